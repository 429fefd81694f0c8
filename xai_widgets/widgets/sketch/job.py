"""One explanation of a drawing: in steps that give way to predictions."""

import math
import time
from typing import TYPE_CHECKING, Any

from xai_widgets.errors import MethodError
from xai_widgets.explainers.base import Progress, parameter_records
from xai_widgets.explainers.registry import find
from xai_widgets.explainers.run import explain_stream
from xai_widgets.explanation import Explanation
from xai_widgets.sketch import UNITS, Window
from xai_widgets.widgets.base import failure
from xai_widgets.widgets.describe import facts, notes
from xai_widgets.widgets.engine import Outcome, Steps

if TYPE_CHECKING:
    from xai_widgets.widgets.sketch.looking import Drawn, SketchPadLooking


QUICK_PASSES = 4
PROGRESS_SECONDS = 0.1


def by_speed(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the methods, the fast ones first, in families that say whether they keep up."""

    def passes(record: dict[str, Any]) -> float:
        cost = find(record["name"])().cost
        return math.inf if cost.per else cost.forwards + cost.backwards

    def family(record: dict[str, Any]) -> str:
        if not record["applicable"]:
            return "Does not apply"
        return "Follows the hand" if passes(record) <= QUICK_PASSES else "Takes longer"

    ordered = sorted(records, key=lambda record: (not record["applicable"], passes(record)))
    return [{**record, "family": family(record)} for record in ordered]


class SketchJob:
    """Explains what the model has seen, with what is asked at the time."""

    def __init__(self, pad: "SketchPadLooking", drawn: "Drawn", revision: int) -> None:
        self._pad, self._drawn, self._revision = pad, drawn, revision
        self._method, self._layer = pad.method, pad.layer
        self._target: Any = pad.target
        if self._target is not None and self._target["kind"] == "function":
            self._target = pad.functions[self._target["name"]]
        self._parameters = dict(pad.parameters.get(self._method, {}))
        self._explanation: Explanation | None = None
        self._started = self._told = time.perf_counter()

    def steps(self) -> Steps:
        """Do the work, yielding wherever it may be stopped or interrupted."""
        placed = self._drawn.placed
        if not self._method or placed is None:
            return
        image, window = placed
        self._check_parameters()
        model, pad = self._pad.model, self._pad
        stream = explain_stream(
            model, image, self._method, self._target, self._layer, self._parameters
        )
        try:
            while True:
                step = next(stream)
                if isinstance(step, Progress):
                    self._tell_progress(step)
                else:
                    self._tell_map(step, window, partial=True)
                yield
        except StopIteration as stop:
            explanation: Explanation = stop.value
        finally:
            stream.close()
        self._explanation = explanation
        pad.keep(self._drawn, explanation)
        self._tell_map(explanation, window, partial=False)

    def finish(self, outcome: Outcome) -> None:
        """Send the one final message."""
        if outcome.kind == "error":
            payload = {**failure(outcome), "stage": "explain", "withdrawn": ["map"]}
        elif outcome.kind == "cancelled":
            payload = {"message": "Cancelled."}
        else:
            found = self._explanation
            payload = {
                "seconds": round(time.perf_counter() - self._started, 3),
                "cached": False,
                "target": None if found is None else found.target.to_dict(),
                "layer": None if found is None else found.layer,
                "facts": [] if found is None else facts(found),
                "notes": [] if found is None else notes(found),
            }
        self._pad.ended(self._revision, outcome, payload)

    def _check_parameters(self) -> None:
        """Refuse a background of other pictures: there are none beside a drawing."""
        for record in parameter_records(find(self._method)):
            name = record["name"]
            if self._parameters.get(name, record["default"]) == "images":
                raise MethodError(
                    f"The {record['label'].lower()} 'images' needs other pictures, and a pad has "
                    "none: choose another one."
                )

    def _tell_progress(self, step: Progress) -> None:
        """Say now and then how far it is: a quick method would say it more often than it draws."""
        now = time.perf_counter()
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            payload = {"done": step.done, "total": step.total, "stage": "explain", "text": ""}
            self._pad._reply("progress", payload, self._revision)

    def _tell_map(self, explanation: Explanation, window: Window, partial: bool) -> None:
        payload = {
            "key": f"{id(self._drawn):x} {self._revision}",
            "partial": partial,
            "array": explanation.map,
            "placement": on_pad(explanation, window),
            "signed": explanation.signed,
            "method": explanation.method,
            "method_title": explanation.title,
            "layer": explanation.layer,
            "target": explanation.target.to_dict(),
            "target_text": explanation.target_text,
            "score": explanation.score,
        }
        self._pad._tell("map", payload, self._revision)


def on_pad(explanation: Explanation, window: Window) -> dict[str, float]:
    """Return where the map lies on the pad, whose longer side has `UNITS`."""
    display, placement = explanation.image.display, explanation.image.placement
    x_scale = window.width * UNITS / display.width
    y_scale = window.height * UNITS / display.height
    return {
        "x": window.x * UNITS + placement.x * x_scale,
        "y": window.y * UNITS + placement.y * y_scale,
        "width": placement.width * x_scale,
        "height": placement.height * y_scale,
    }
