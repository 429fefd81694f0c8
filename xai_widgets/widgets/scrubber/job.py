"""One job of the path scrubber: from a state of its traits to the steps of a path."""

import time
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from xai_widgets.errors import MethodError, ModelError
from xai_widgets.explainers.baselines import (
    background_values,
    baseline_values,
    holds_several,
    share_equal,
)
from xai_widgets.explainers.blur_ig import BlurIG, blurred
from xai_widgets.explainers.expected_gradients import ExpectedGradients
from xai_widgets.explainers.guided_ig import GuidedIG
from xai_widgets.explainers.integrated_gradients import IntegratedGradients
from xai_widgets.explainers.path_stack import Nodes, PathStack
from xai_widgets.explainers.path_walk import PathExplainer, path_stack
from xai_widgets.explainers.run import explanation_of, predicted_outputs
from xai_widgets.explainers.shown import Shown
from xai_widgets.explanation import Explanation
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import ClassTarget, Target, resolve_target
from xai_widgets.widgets.base import failure
from xai_widgets.widgets.describe import HIDDEN_SHARE, facts, notes, picture, prediction
from xai_widgets.widgets.engine import Outcome, Steps

if TYPE_CHECKING:
    from xai_widgets.widgets.scrubber.scrubber import PathScrubber

CHUNK_BYTES = 4 * 1024**2
KEYED = ("path", "baseline", "draws", "n_steps", "tolerance", "precision")
CANDIDATES = ("blur", "mean", "grey", "white", "black")
"""Baselines that the hint compares, the one that is taken in a tie first."""


@dataclass(frozen=True)
class Scrubbed:
    """What a job ends in, kept in the model's cache."""

    stack: PathStack
    explanation: Explanation
    hint: dict[str, Any] | None


@dataclass(frozen=True)
class Series:
    """One line of the score chart.

    Attributes
    ----------
    role
        "target", "class" (the target's own class where it is contrasted), "contrast" or
        "runner-up".
    text
        Its name for people.
    """

    role: str
    text: str
    index: int | None = None


class ScrubJob:
    """Predicts, follows the path and tells the browser every chunk of it."""

    def __init__(self, scrubber: "PathScrubber", revision: int, state: dict[str, Any]) -> None:
        self._scrubber = scrubber
        self._revision = revision
        self._state = state
        self._started = time.perf_counter()
        self._cached = False
        self._done: Scrubbed | None = None

    def steps(self) -> Steps:
        """Do the work, yielding wherever it may be cancelled."""
        scrubber, model, image = self._scrubber, self._scrubber.model, self._scrubber.image
        self._tell("picture", picture(image))
        yield
        reason = model.capabilities.reason(("input_gradients",))
        if reason is not None:
            raise MethodError(f"The path has no gradients to scrub through. {reason}")
        if not np.isfinite(image.values).all():
            raise ModelError(
                "The model input holds NaN or infinite values: check the preprocessing "
                "(a std of zero?)."
            )
        outputs = predicted_outputs(model, image, "integrated_gradients")
        said = prediction(model, outputs)
        self._tell("prediction", said)
        yield
        asked = scrubber.asked_target(self._state["target"])
        target = model.resolve_target(
            resolve_target(asked, model.labels, said["predicted"]), outputs, image
        )
        lines = _series(model, target, said["scores"])
        yield from self._follow(image, target, lines)

    def _follow(self, image: PreparedImage, target: Target, lines: Sequence[Series]) -> Steps:
        scrubber, model, state = self._scrubber, self._scrubber.model, self._state
        n, precision = state["n_steps"], state["precision"]
        explainer = self._explainer(scrubber.asked_baseline(state["baseline"]))
        start = self._start(image, explainer)
        yield
        self._tell("path", self._description(image, target, lines, start, explainer))
        key = (
            "path stack",
            model.fingerprint,
            image.key,
            image.display.key,
            *((name, repr(state[name])) for name in KEYED),
            target,
            tuple(line.index for line in lines),
            self._source(),
        )
        cache = scrubber._engine.cache
        known: Scrubbed | None = cache.get(key)
        if known is not None:
            self._cached = True
            for nodes in known.stack.parts:
                self._send(nodes)
                yield
            self._keep(known)
            return
        watched = [line.index for line in lines if line.index is not None]
        stream = path_stack(model, image, target, explainer, start, watched, precision)
        done = 0
        try:
            while True:
                nodes = next(stream)
                done += len(nodes.positions)
                self._send(nodes)
                text = "Following the path"
                progress = {"done": done, "total": n + 1, "stage": "explain", "text": text}
                scrubber._reply("progress", progress, self._revision)
                yield
        except StopIteration as stop:
            stack: PathStack = stop.value
        finally:
            stream.close()
        assert stack.attribution is not None
        if not np.isfinite(stack.attribution.values).all():
            raise ModelError(
                "The path gave NaN or infinite values: the gradient of this model overflows on "
                "this image. Try float32 weights or another baseline."
            )
        seconds = time.perf_counter() - self._started
        explanation = explanation_of(
            stack.attribution, explainer, model, image, target, None, seconds
        )
        yield
        found = Scrubbed(stack, explanation, self._hint(image, explanation, state["baseline"]))
        cache.put(key, found, stack.nbytes + image.values.nbytes + 5 * image.display.pixels.nbytes)
        self._keep(found)

    def finish(self, outcome: Outcome) -> None:
        """Send the one final message."""
        if outcome.kind == "error":
            payload = {**failure(outcome), "stage": "explain", "withdrawn": []}
        elif outcome.kind == "cancelled":
            payload = {"message": "Cancelled: this is what there was."}
        else:
            payload = self._summary()
        self._scrubber._end(self._revision, outcome, payload)

    # Parts --------------------------------------------------------------------------------

    def _tell(self, kind: str, payload: dict[str, Any]) -> None:
        self._scrubber._tell(kind, payload, self._revision)

    def _keep(self, found: Scrubbed) -> None:
        self._done = found
        self._scrubber._keep(found, self._revision)

    def _send(self, nodes: Nodes) -> None:
        for payload in stack_payloads(nodes):
            self._scrubber._tell_stack(payload, self._revision)

    def _explainer(self, baseline: Any) -> PathExplainer:
        """Return the method of `explain` that the path takes apart."""
        state = self._state
        n, tolerance = state["n_steps"], state["tolerance"]
        if state["path"] == "blur":
            return BlurIG(n_steps=n)
        if state["path"] == "guided":
            return GuidedIG(baseline=baseline, n_steps=n)
        if state["draws"] > 1 and holds_several(baseline):
            return ExpectedGradients(
                background=baseline,
                n_samples=n,
                quadrature="trapezoid",
                n_baselines=state["draws"],
            )
        if tolerance is not None:
            return IntegratedGradients(baseline, n, quadrature="adaptive", tolerance=tolerance)
        return IntegratedGradients(baseline, n)

    def _start(self, image: PreparedImage, explainer: PathExplainer) -> Any:
        """Return the baseline, or several; from memory where only the target has changed."""
        if isinstance(explainer, BlurIG):
            return None
        model, cache = self._scrubber.model, self._scrubber._engine.cache
        draws = explainer.n_baselines if isinstance(explainer, ExpectedGradients) else 0
        key = ("baseline", model.fingerprint, image.key, self._name(), draws, self._source())
        values = cache.get(key)
        if values is None:
            if isinstance(explainer, ExpectedGradients):
                asked = explainer.background, explainer.seed, draws
                values = background_values(model, image, *asked)
            else:
                values = baseline_values(model, image, explainer.baseline)
            cache.put(key, values, values.nbytes)
        return values

    def _source(self) -> Hashable:
        """Return whose baseline it is: pictures of its own mean something else to each scrubber."""
        baseline = self._state["baseline"]
        own = baseline == "images" or not isinstance(baseline, str)
        return self._scrubber._owner if own else None

    def _name(self) -> str:
        baseline = self._state["baseline"]
        return baseline if isinstance(baseline, str) else str(baseline["name"])

    def _description(
        self,
        image: PreparedImage,
        target: Target,
        lines: Sequence[Series],
        start: Any,
        explainer: PathExplainer,
    ) -> dict[str, Any]:
        model = self._scrubber.model
        first, draws = start, 1
        if isinstance(explainer, BlurIG):
            first = blurred(image.values, explainer.max_sigma * min(image.values.shape[:2]))
        elif isinstance(explainer, ExpectedGradients):
            first, draws = start.mean(0), len(start)
        return {
            "key": f"{self._revision}",
            "n_steps": self._state["n_steps"],
            "placement": image.placement.to_dict(),
            "shape": list(image.values.shape[:2]),
            "ends": Shown(model, image)(np.stack([first, image.values])),
            "series": [{"role": line.role, "text": line.text} for line in lines],
            "target": target.to_dict(),
            "target_text": target.text(model.labels),
            "path": self._state["path"],
            "baseline": self._name(),
            "rule": "backward" if isinstance(explainer, GuidedIG) else "trapezoid",
            "tolerance": explainer.tolerance if _adaptive(explainer) else None,
            "draws": draws,
        }

    def _hint(
        self, image: PreparedImage, explanation: Explanation, baseline: Any
    ) -> dict[str, Any] | None:
        """Say which baseline hides least where this one hides much."""
        share = explanation.diagnostics.get("share_equal_to_baseline", 0.0)
        if share <= HIDDEN_SHARE:
            return None
        model = self._scrubber.model
        shares = {
            name: share_equal(model, image, baseline_values(model, image, name))
            for name in CANDIDATES
            if name != baseline
        }
        best = min(shares, key=lambda name: round(shares[name], 2))
        return {"share": share, "best": best, "best_share": shares[best]}

    def _summary(self) -> dict[str, Any]:
        assert self._done is not None
        explanation = self._done.explanation
        # The hint says more about hidden pixels than the note would.
        told = {k: v for k, v in explanation.diagnostics.items() if k != "share_equal_to_baseline"}
        known = self._done.stack.convergence
        return {
            "seconds": round(time.perf_counter() - self._started, 3),
            "cached": self._cached,
            "target": explanation.target.to_dict(),
            "layer": None,
            "facts": facts(explanation),
            "notes": notes(replace(explanation, diagnostics=told)),
            "hint": self._done.hint,
            "convergence": None if known is None else asdict(known),
        }


def _adaptive(explainer: PathExplainer) -> TypeGuard[IntegratedGradients]:
    return isinstance(explainer, IntegratedGradients) and explainer.quadrature == "adaptive"


def stack_payloads(nodes: Nodes, limit_bytes: int = CHUNK_BYTES) -> Iterator[dict[str, Any]]:
    """Yield the payloads of the `stack` messages of some points, each of a bounded size."""
    each = max(1, nodes.nbytes // max(1, len(nodes.positions)))
    step = max(1, limit_bytes // each)
    halves = nodes.maps.dtype == np.float16
    for start in range(0, len(nodes.positions), step):
        part = slice(start, start + step)
        yield {
            "positions": np.array(nodes.positions[part], dtype=np.float32),
            # The bits of half precision, as browsers have no such numbers.
            "array": nodes.maps[part].view(np.uint16) if halves else nodes.maps[part],
            "scales": nodes.scales[part],
            "scores": nodes.scores[part],
            "pictures": None if nodes.pictures is None else nodes.pictures[part],
        }


def _series(model: Any, target: Target, scores: Any) -> list[Series]:
    """Return whose scores are drawn: the target's, its rival's, the next best class's."""
    lines = [Series("target", target.text(model.labels))]
    if not isinstance(target, ClassTarget):
        return lines
    index, versus = int(target.index), target.versus
    if versus is not None:
        lines.append(Series("class", model.labels[index], index))
        lines.append(Series("contrast", model.labels[int(versus)], int(versus)))
    if model.task == "regression" or len(scores) < 2:
        return lines
    order = np.argsort(-scores, kind="stable")
    rival = next(int(other) for other in order if other != index)
    if versus is None or rival != int(versus):
        lines.append(Series("runner-up", model.labels[rival], rival))
    return lines
