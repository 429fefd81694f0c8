"""What a path scrubber is asked for: its traits, checked, and what they stand for."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import traitlets
from traitlets import Dict, Float, Int, Unicode, validate

from xai_widgets.explainers.baselines import BASELINES, baseline_values, holds_several
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.widgets.asked_target import AskedTarget
from xai_widgets.widgets.base import StateError, as_state_error
from xai_widgets.widgets.regions import check_region

PATHS = ("straight", "guided", "blur")
PRECISIONS = ("float16", "float32")
MIN_STEPS, MAX_STEPS = 8, 512
MAX_DRAWS = 64
ASKED = ("target", "baseline", "draws", "n_steps", "tolerance", "path", "precision")


class Given(traitlets.Any):
    """Any value but None, which is checked like the others: `traitlets.Any` lets it pass."""

    allow_none = False


class ScrubState(AskedTarget):
    """The traits of `PathScrubber`, where each is documented.

    Targets that are functions and baselines that are pictures cannot be sent: their wire form
    holds a name, by which they are kept here.
    """

    no_region = (
        "The scrubber explains a class over the whole picture: give the class, or use "
        "explain for a class over a region."
    )
    _baselines: dict[str, Any]
    _others: Callable[[], Any] | None

    image = Given()
    baseline = Given("black").tag(sync=True)
    draws = Int(1).tag(sync=True)
    n_steps = Int(64).tag(sync=True)
    tolerance: Any = Float(None, allow_none=True).tag(sync=True)
    path = Unicode("straight").tag(sync=True)
    precision = Unicode("float16").tag(sync=True)
    region: Any = Dict(default_value=None, allow_none=True).tag(sync=True)

    @validate("image")
    def _check_image(self, proposal: Any) -> PreparedImage:
        value = proposal["value"]
        prepared: PreparedImage = self.model.prepare(value)
        return prepared

    def asked_target(self, wire: Any) -> Any:
        """Return a target of which only the wire form was kept, functions with their code."""
        if wire is not None and wire["kind"] == "function":
            return self.functions[wire["name"]]
        return wire

    @validate("baseline")
    def _check_baseline(self, proposal: Any) -> str | dict[str, Any]:
        value = proposal["value"]
        if isinstance(value, dict) and value.get("name") in self._baselines:
            return self._own(value["name"])
        if isinstance(value, str) and value == "images":
            if self._others is None:
                raise StateError(
                    "The baseline 'images' stands for other pictures: give them to the "
                    "PathScrubber as `others`, or open it from an Explorer with several."
                )
            return value
        image = self._trait_values.get("image")
        with as_state_error():
            if isinstance(image, PreparedImage):  # else it is checked by the job
                baseline_values(self.model, image, value)
        if isinstance(value, str) and (value in BASELINES or not Path(value).exists()):
            return value
        name = f"own {len(self._baselines) + 1}"
        self._baselines[name] = value
        return self._own(name)

    def _own(self, name: str) -> dict[str, Any]:
        several = holds_several(self._baselines[name])
        return {"kind": "own", "name": name, "several": several}

    def asked_baseline(self, wire: str | Mapping[str, Any]) -> Any:
        """Return a baseline of which only the wire form was kept."""
        if wire == "images" and self._others is not None:
            return self._others()
        return wire if isinstance(wire, str) else self._baselines[wire["name"]]

    @validate("n_steps")
    def _check_steps(self, proposal: Any) -> int:
        value = int(proposal["value"])
        if not MIN_STEPS <= value <= MAX_STEPS:
            raise StateError(f"n_steps is {value}: give a number from {MIN_STEPS} to {MAX_STEPS}.")
        return value

    @validate("draws")
    def _check_draws(self, proposal: Any) -> int:
        value = int(proposal["value"])
        if not 1 <= value <= MAX_DRAWS:
            raise StateError(f"draws is {value}: give a number from 1 to {MAX_DRAWS}.")
        return value

    @validate("tolerance")
    def _check_tolerance(self, proposal: Any) -> float | None:
        value: float | None = proposal["value"]
        if value is not None and not 0 <= value <= 1:
            raise StateError(
                f"tolerance is {value}: give a share of the score's change from 0 to 1, or None "
                "for equal steps."
            )
        return value

    @validate("path", "precision")
    def _check_choice(self, proposal: Any) -> str:
        name, value = proposal["trait"].name, str(proposal["value"])
        known = PATHS if name == "path" else PRECISIONS
        if value not in known:
            raise StateError(f"{name} cannot be {value!r}: use one of {known}.")
        return value

    @validate("region")
    def _check_region(self, proposal: Any) -> dict[str, Any] | None:
        with as_state_error():
            return check_region(proposal["value"])
