"""What a gallery is asked for: its traits, checked, and what they stand for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets
from traitlets import Dict, Int, Unicode, validate

from xai_widgets.errors import LayerError, XaiError, near_matches
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.images import ImageSet
from xai_widgets.widgets.base import StateError, as_state_error
from xai_widgets.widgets.regions import check_region

KINDS = ("channels", "classes", "own")
ASKED = ("kind", "layer", "page", "start", "parameters", "image_index", "region")
LOOKED_AT = ("selected", "mix_with")
PAGE_SIZE = 24
MAX_STEPS = 2048
CHOICES = {"parameterisation": ("fourier", "pixels"), "transforms": ("standard", "none")}


def _number(name: str, label: str, default: float, low: float, high: float, text: str) -> Any:
    kind = "int" if isinstance(default, int) else "float"
    step = 1 if kind == "int" else 0.01
    return {
        "name": name,
        "label": label,
        "kind": kind,
        "default": default,
        "minimum": low,
        "maximum": high,
        "step": step,
        "choices": None,
        "unit": None,
        "help": text,
    }


def _choice(name: str, label: str, text: str) -> dict[str, Any]:
    choices = CHOICES[name]
    return {
        "name": name,
        "label": label,
        "kind": "choice",
        "default": choices[0],
        "choices": list(choices),
        "help": text,
    }


PARAMETERS: tuple[dict[str, Any], ...] = (
    _number("n_steps", "Steps", 128, 8, MAX_STEPS, "How many steps each picture is optimised."),
    _number("seed", "Seed", 0, 0, 2**31 - 1, "Another seed starts from other noise."),
    _number("learning_rate", "Learning rate", 0.05, 0.001, 1.0, "Of the optimiser, Adam."),
    _choice(
        "parameterisation",
        "Basis",
        "Fourier coefficients give natural pictures, pixels show what the gradient does by itself.",
    ),
    _choice(
        "transforms",
        "Transforms",
        "Pictures are moved, scaled and turned a little at each step (standard), or held still.",
    ),
)
DEFAULTS = {record["name"]: record["default"] for record in PARAMETERS}


class GalleryState(traitlets.HasTraits):
    """The traits of `FeatureGallery`, where each is documented."""

    model: ExplainableModel
    images: ImageSet | None
    _own: list[tuple[str, Any]]

    kind = Unicode("channels").tag(sync=True)
    layer = Unicode(None, allow_none=True).tag(sync=True)
    page = Int(0).tag(sync=True)
    selected: Any = Int(None, allow_none=True).tag(sync=True)
    mix_with: Any = Int(None, allow_none=True).tag(sync=True)
    start: Any = Int(None, allow_none=True).tag(sync=True)
    parameters = Dict().tag(sync=True)
    image_index = Int(0).tag(sync=True)
    region: Any = Dict(default_value=None, allow_none=True).tag(sync=True)

    @property
    def names(self) -> Sequence[str]:
        """The names of everything that has pictures, of the present kind and layer.

        Raises
        ------
        LayerError
            If the layer has no channels.
        """
        if self.kind == "classes":
            return self.model.labels
        if self.kind == "own":
            return [name for name, _ in self._own]
        shape = self.model.layer(self.resolved_layer).shape
        if not shape:
            raise LayerError(
                f"The output of layer {self.resolved_layer!r} has no channels: choose a layer that "
                "returns feature maps, tokens or a vector."
            )
        return [str(channel) for channel in range(shape[-1])]

    @property
    def resolved_layer(self) -> str:
        """The layer that is asked for, else the recommended one, else the last.

        Raises
        ------
        LayerError
            If the model shows none.
        """
        model = self.model
        known = (*model.layers, *model.vector_layers)
        if not known:
            raise LayerError(
                f"{model.name} shows no layers, so that there are no channels to look at: choose "
                "Classes, or load the original model."
            )
        return str(self.layer or model.recommended_layer or known[-1].name)

    @validate("kind")
    def _check_kind(self, proposal: Any) -> str:
        value = str(proposal["value"])
        if value not in KINDS:
            raise StateError(f"kind cannot be {value!r}: use one of {KINDS}.")
        if value == "own" and not self._own:
            raise StateError(
                "No objectives of your own were given: use add(objective, name), or give some as "
                "`objective`."
            )
        return value

    @validate("layer")
    def _check_layer(self, proposal: Any) -> str | None:
        with as_state_error():
            value = proposal["value"]
            return None if value is None else self.model.resolve_layer(value, vectors=True)

    @validate("page", "selected", "mix_with")
    def _check_position(self, proposal: Any) -> int | None:
        value: int | None = proposal["value"]
        if value is not None and value < 0:
            raise StateError(f"{proposal['trait'].name} is {value}: count from 0.")
        return value

    @validate("start", "image_index")
    def _check_image(self, proposal: Any) -> int | None:
        value: int | None = proposal["value"]
        name, known = proposal["trait"].name, 0 if self.images is None else len(self.images)
        if value is None or (name == "image_index" and value == 0):
            return value
        if not 0 <= value < known:
            count = f"it has {known}, counted from 0" if known else "it was given none"
            raise StateError(f"The gallery has no image {value}: {count}.")
        return value

    @validate("parameters")
    def _check_parameters(self, proposal: Any) -> dict[str, Any]:
        values = dict(proposal["value"])
        records = {record["name"]: record for record in PARAMETERS}
        for name, value in values.items():
            if name not in records:
                near = near_matches(str(name), records)
                raise StateError(f"There is no parameter {name!r}.{near}")
            if isinstance(value, np.generic):
                values[name] = value = value.item()
            _check_value(records[name], value)
        return values

    @validate("region")
    def _check_region(self, proposal: Any) -> dict[str, Any] | None:
        with as_state_error():
            value = check_region(proposal["value"])
        if value is not None and self.images is None:
            raise StateError(
                "A region lies on one of the images: give the gallery images, and `image_index`."
            )
        return value

    @property
    def asked_parameters(self) -> dict[str, Any]:
        """All parameters of the optimisation."""
        return {**DEFAULTS, **self.parameters}


def _check_value(record: dict[str, Any], value: Any) -> None:
    """Refuse what a parameter cannot be."""
    name = record["name"]
    if record["kind"] == "choice":
        if value not in record["choices"]:
            raise StateError(f"{name} cannot be {value!r}: use one of {record['choices']}.")
        return
    kinds = int if record["kind"] == "int" else int | float
    if isinstance(value, bool) or not isinstance(value, kinds):
        whole = "a whole number" if record["kind"] == "int" else "a number"
        raise StateError(f"{name} cannot be {value!r}: give {whole}.")
    if not record["minimum"] <= value <= record["maximum"]:
        raise StateError(
            f"{name} is {value}: give a number from {record['minimum']} to {record['maximum']}."
        )


def checked_name(name: str) -> str:
    """Return an own objective's name without blanks around it.

    Raises
    ------
    XaiError
        If nothing is left of it.
    """
    cleaned = " ".join(str(name).split())
    if not cleaned:
        raise XaiError("An objective needs a name: give a few letters.")
    return cleaned
