"""The state of a ConceptWorkbench: its traits, and what each of them accepts."""

from dataclasses import asdict, dataclass
from typing import Any

import traitlets
from traitlets import Bool, Int, Unicode, validate

from xai_widgets.concepts.cav import check_classifier
from xai_widgets.concepts.layout import clean_name
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.concepts.tcav import layers_of
from xai_widgets.errors import near_matches
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.images import ImageSet
from xai_widgets.models.targets import ClassTarget, resolve_target
from xai_widgets.widgets.base import StateError, as_state_error
from xai_widgets.widgets.pictured import PicturedWidget
from xai_widgets.widgets.present_job import PresentJob

AGAINST = ("random", "others")
STATE = (
    "image_index",
    "concept",
    "layer",
    "layers",
    "target",
    "compare",
    "classifier",
    "pooled",
    "against",
    "testing",
)


@dataclass(frozen=True)
class Request:
    """The state of the traits that a job answers."""

    revision: int
    image_index: int
    concept: str | None
    layer: str | None
    layers: list[str]
    target: dict[str, Any] | None
    compare: list[int]
    classifier: str
    pooled: bool
    against: str
    testing: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the state without its revision."""
        return {name: value for name, value in asdict(self).items() if name != "revision"}


class WorkbenchState(PresentJob, PicturedWidget):
    """The traits of a `ConceptWorkbench`, which documents them."""

    store: ConceptStore
    images: ImageSet
    _promised: set[str]  # names of concepts that edits under way will make

    image_index = Int(0).tag(sync=True)
    concept = Unicode(None, allow_none=True).tag(sync=True)
    layer = Unicode(None, allow_none=True).tag(sync=True)
    layers: Any = traitlets.List(Unicode()).tag(sync=True)
    target = traitlets.Any(None, allow_none=True).tag(sync=True)
    compare: Any = traitlets.List(Int()).tag(sync=True)
    classifier = Unicode("ridge").tag(sync=True)
    pooled = Bool(True).tag(sync=True)
    against = Unicode("random").tag(sync=True)
    testing = Bool(False).tag(sync=True)

    @validate("image_index")
    def _check_index(self, proposal: Any) -> int:
        index = int(proposal["value"])
        if not 0 <= index < len(self.images):
            raise StateError(
                f"There is no image {index}: the workbench has {len(self.images)}, counted from 0."
            )
        return index

    @validate("concept")
    def _check_concept(self, proposal: Any) -> str | None:
        name = proposal["value"]
        if name is not None:
            with as_state_error():
                name = clean_name(name)
        if name is None or name in self.store.names or name in self._promised:
            return None if name is None else str(name)
        raise StateError(f"There is no concept {name!r}.{near_matches(name, self.store.names)}")

    @validate("layer")
    def _check_layer(self, proposal: Any) -> str | None:
        with as_state_error():
            value = proposal["value"]
            return None if value is None else self.model.resolve_layer(value, vectors=True)

    @validate("layers")
    def _check_layers(self, proposal: Any) -> list[str]:
        with as_state_error():
            names = [
                self.model.resolve_layer(str(name), vectors=True) for name in proposal["value"]
            ]
        return list(dict.fromkeys(names))

    @validate("target")
    def _check_target(self, proposal: Any) -> dict[str, Any] | None:
        value = proposal["value"]
        if value is None:
            return None
        with as_state_error():
            target = resolve_target(value, self.model.labels, 0)
        if not isinstance(target, ClassTarget):
            raise StateError(
                "Concepts are tested for a class: give its position, its label or a ClassTarget."
            )
        return target.to_dict()

    @validate("compare")
    def _check_compare(self, proposal: Any) -> list[int]:
        n, chosen = len(self.model.labels), list(dict.fromkeys(proposal["value"]))
        for index in chosen:
            if not 0 <= index < n:
                raise StateError(f"There is no class {index}: there are {n}, counted from 0.")
        return chosen

    @validate("classifier")
    def _check_classifier(self, proposal: Any) -> str:
        with as_state_error():
            return check_classifier(proposal["value"])

    @validate("against")
    def _check_against(self, proposal: Any) -> str:
        value = str(proposal["value"])
        if value not in AGAINST:
            raise StateError(f"Concepts cannot be tested against {value!r}: use one of {AGAINST}.")
        return value

    def _request(self) -> Request:
        return Request(self._revision, **{name: getattr(self, name) for name in STATE})


def tested_layers(model: ExplainableModel, layers: list[str], shown: str | None) -> list[str]:
    """Return the layers that are tested, in the order of the forward pass.

    Those that were chosen; else the recommended one and the main ones before it. The layer that is
    shown is always among them.
    """
    order = [layer.name for layer in (*model.layers, *model.vector_layers)]
    chosen = set(layers)
    if not chosen and model.recommended_layer is not None:
        chosen = set(layers_of(model, None))
    if shown is not None:
        chosen.add(shown)
    return [name for name in order if name in chosen]


def shown_layer(model: ExplainableModel, layers: list[str], shown: str | None) -> str | None:
    """Return the layer that map and sweep are about: the recommended one unless told otherwise."""
    if shown is not None:
        return shown
    best = model.recommended_layer
    return best if best in layers else (layers[-1] if layers else None)
