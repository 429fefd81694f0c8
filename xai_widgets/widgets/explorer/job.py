"""One job of the Explorer: from a state of its traits to messages for the browser."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from xai_widgets.explainers.base import Progress, parameter_records
from xai_widgets.explainers.registry import find
from xai_widgets.explainers.run import explain_stream, predicted_outputs
from xai_widgets.explanation import Explanation
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import RegionTarget, Target, resolve_target
from xai_widgets.widgets.base import failure
from xai_widgets.widgets.describe import facts, notes, picture, prediction
from xai_widgets.widgets.engine import Outcome, Steps
from xai_widgets.widgets.regions import ablate, region_mask

if TYPE_CHECKING:
    from xai_widgets.widgets.explorer.explorer import Explorer

STAGES = ("load", "predict", "explain", "ablate")
STAGE_KINDS = ("picture", "prediction", "map", "ablation")


@dataclass(frozen=True)
class Request:
    """The state of the traits that a job answers."""

    revision: int
    image_index: int
    target: dict[str, Any] | None
    layer: str | None
    method: str
    parameters: dict[str, Any]
    region: dict[str, Any] | None
    ablation: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the state without its revision."""
        return {name: value for name, value in asdict(self).items() if name != "revision"}


@dataclass
class Shown:
    """What the views show: the newest message of each kind, to fill a new view with.

    ``keys`` tell what a message was made from, so that nothing unchanged is sent again.
    """

    request: Request | None = None
    payloads: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)
    explanation: Explanation | None = None
    failure: str | None = None

    def accept(self, request: Request) -> None:
        """Start a new request: nothing final is known of it."""
        self.request = request
        self.explanation = None
        self.failure = None
        for kind in ("result", "error", "cancelled", "progress"):
            self.payloads.pop(kind, None)

    def withdraw(self, kinds: Sequence[str]) -> None:
        """Forget messages that no longer belong to the state."""
        for kind in kinds:
            self.keys.pop(kind, None)
            self.payloads.pop(kind, None)

    def messages(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the messages that bring a new view up to date, in order."""
        order = ("picture", "prediction", "map", "ablation", "result", "error", "cancelled")
        known = [(kind, self.payloads[kind]) for kind in order if kind in self.payloads]
        accepted = [] if self.request is None else [("accepted", self.request.to_dict())]
        return [*accepted, *known]


class ExplorerJob:
    """Loads the image, predicts, explains and ablates, telling the browser each as it is known."""

    def __init__(self, explorer: "Explorer", request: Request) -> None:
        self._explorer = explorer
        self._request = request
        self._stage = "load"
        self._cached = False
        self._started = time.perf_counter()

    def steps(self) -> Steps:
        """Do the work, yielding wherever it may be cancelled."""
        request, explorer = self._request, self._explorer
        name = explorer.images.name(request.image_index)
        image = explorer.model.prepare(explorer.images[request.image_index], name)
        self._show_picture(image)
        yield
        self._stage = "predict"
        outputs = predicted_outputs(explorer.model, image, request.method, request.layer)
        self._show_prediction(image, outputs)
        yield
        if request.method:
            self._stage = "explain"
            predicted = explorer.model.predicted_class(outputs)
            asked = explorer.target_of(request, image.display, predicted)
            yield from self._explain(image, resolve_target(asked, explorer.model.labels, predicted))
        self._stage = "ablate"
        yield from self._ablate(image)

    def finish(self, outcome: Outcome) -> None:
        """Send the one final message, and take back what is no longer true."""
        with self._explorer.current(self._request) as shown:
            if outcome.kind == "error":
                gone = STAGE_KINDS[STAGES.index(self._stage) :]
                payload = {**failure(outcome), "stage": self._stage, "withdrawn": list(gone)}
                if shown is not None:
                    shown.withdraw(gone)
                    if self._stage != "ablate":
                        shown.failure = payload["message"]
            elif outcome.kind == "cancelled":
                payload = {"message": "Cancelled."}
            else:
                payload = self._summary(shown)
            if shown is not None:
                shown.payloads[outcome.kind] = payload
            self._explorer._reply(outcome.kind, payload, self._request.revision)

    # Parts --------------------------------------------------------------------------------

    def _show(self, kind: str, key: Any, payload: dict[str, Any]) -> None:
        """Send a message unless the views show it already, or a newer job has taken over."""
        with self._explorer.current(self._request) as shown:
            if shown is not None and shown.keys.get(kind) != key:
                shown.keys[kind] = key
                shown.payloads[kind] = payload
                self._explorer._reply(kind, payload, self._request.revision)

    def _show_picture(self, image: PreparedImage) -> None:
        index = self._request.image_index
        self._show("picture", (index, image.display.key), picture(image, index))

    def _show_prediction(self, image: PreparedImage, outputs: Any) -> None:
        index, model = self._request.image_index, self._explorer.model
        key = (index, image.key, model.fingerprint)
        self._show("prediction", key, prediction(model, outputs, index))

    def _explain(self, image: PreparedImage, target: Target) -> Steps:
        request, explorer = self._request, self._explorer
        model, cache = explorer.model, explorer._engine.cache
        parameters, words = self._parameters()
        key = (
            model.fingerprint,
            image.key,
            image.display.key,
            request.method,
            repr(sorted(words.items())),
            repr(target.to_dict()) if isinstance(target, RegionTarget) else target,
            request.layer,
        )
        explanation = cache.get(key)
        if explanation is None:
            stream = explain_stream(model, image, request.method, target, request.layer, parameters)
            try:
                while True:
                    step = next(stream)
                    if isinstance(step, Progress):
                        self._show_progress(step)
                    else:
                        self._show_map(step, key, partial=True)
                    yield
            except StopIteration as stop:
                explanation = stop.value
            finally:
                stream.close()
            size = explanation.attribution.nbytes + image.values.nbytes
            cache.put(key, explanation, size + 5 * image.display.pixels.nbytes)
        else:
            self._cached = True
        with explorer.current(request) as shown:
            if shown is not None:
                shown.explanation = explanation
        self._show_map(explanation, key, partial=False)
        yield

    def _parameters(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the method's parameters, and what to call them; "images" are the other ones."""
        request = self._request
        parameters = dict(request.parameters.get(request.method, {}))
        words = dict(parameters)
        for record in parameter_records(find(request.method)):
            name = record["name"]
            if parameters.get(name, record["default"]) == "images":
                parameters[name] = self._explorer.background(request.image_index)
                words[name] = [picture.key for picture in parameters[name]]
        return parameters, words

    def _show_progress(self, step: Progress) -> None:
        payload = {"done": step.done, "total": step.total, "stage": self._stage, "text": ""}
        with self._explorer.current(self._request) as shown:
            if shown is not None:
                self._explorer._reply("progress", payload, self._request.revision)

    def _show_map(self, explanation: Explanation, key: Any, partial: bool) -> None:
        text = f"{hash(key):x}"
        payload = {
            "key": text,
            "partial": partial,
            "array": explanation.map,
            "placement": explanation.image.placement.to_dict(),
            "signed": explanation.signed,
            "method": explanation.method,
            "method_title": explanation.title,
            "layer": explanation.layer,
            "target": explanation.target.to_dict(),
            "target_text": explanation.target_text,
            "score": explanation.score,
        }
        stamp = explanation.provenance["duration_s"] if partial else None
        self._show("map", (key, stamp), payload)

    def _ablate(self, image: PreparedImage) -> Steps:
        request, explorer = self._request, self._explorer
        if request.region is None or request.ablation is None:
            self._show("ablation", None, {})
            return
        key = (image.key, image.display.key, repr(request.region), request.ablation)
        with explorer.current(request) as shown:
            if shown is None or shown.keys.get("ablation") == key:
                return
        mask = region_mask(
            request.region, image.display, lambda: explorer.superpixels(image.display)
        )
        yield
        changed = explorer.model.prepare(ablate(image.display, mask, request.ablation))
        model = explorer.model
        outputs = model.outputs(changed.values[None])
        probabilities = model.probabilities(outputs)
        scores = model.backend.to_numpy(model.class_scores(outputs))
        payload = {
            "fill": request.ablation,
            "area": float(mask.mean()),
            "probabilities": None if probabilities is None else probabilities[0],
            "scores": scores[0],
        }
        self._show("ablation", key, payload)
        yield

    def _summary(self, shown: Shown | None) -> dict[str, Any]:
        explanation = None if shown is None else shown.explanation
        return {
            "seconds": round(time.perf_counter() - self._started, 3),
            "cached": self._cached,
            "target": None if explanation is None else explanation.target.to_dict(),
            "layer": None if explanation is None else explanation.layer,
            "facts": [] if explanation is None else facts(explanation),
            "notes": [] if explanation is None else notes(explanation),
        }
