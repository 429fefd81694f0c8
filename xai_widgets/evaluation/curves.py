"""Deletion and insertion curves: what the model says as pixels go, or come, by importance.

All steps are computed once. A curve keeps one small number per pixel, the step at which it changes,
so that a player shows the picture at any step without asking the kernel.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import MetricError
from xai_widgets.evaluation.base import Case
from xai_widgets.evaluation.checks import whole
from xai_widgets.explainers.baselines import baseline_values
from xai_widgets.explainers.masking import chunks
from xai_widgets.models.backend import Array
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.targets import ClassTarget, Target

Steps = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]

KINDS = ("deletion", "insertion")
ORDERS = ("signed", "absolute")


@dataclass(frozen=True, eq=False)
class Curve:
    """What the model says while pixels change from ``start`` to ``end``, most important first.

    Attributes
    ----------
    kind
        "deletion": from the picture to the fill-in; "insertion": from the fill-in to the picture.
    values
        float64 [S + 1]: the target's probability (or score) with the first k steps changed.
    step_of
        int32 [H, W] on the input grid: the step, 1..S, at which a pixel changes.
    fill
        float32 [H, W, C]: the fill-in, in the model's value range.
    is_probability
        Whether values are probabilities, 0..1.
    """

    kind: str
    values: Values
    step_of: Steps = field(repr=False)
    fill: Floats = field(repr=False)
    is_probability: bool

    @cached_property
    def fractions(self) -> Values:
        """float64 [S + 1]: share of the pixels that have changed."""
        n_steps = len(self.values) - 1
        counts = np.bincount(self.step_of.ravel(), minlength=n_steps + 1)
        return np.asarray(counts.cumsum() / self.step_of.size)

    @property
    def area(self) -> float:
        """The area under the curve, the mean value on the way."""
        return float(np.trapezoid(self.values, self.fractions))

    @property
    def mean_drop(self) -> float:
        """Mean of f(x) - f(x_k) over steps 0..S: AOPC of Samek et al. 2017."""
        return float(np.mean(self.values[0] - self.values))

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the pictures, JSON-ready."""
        return {
            "kind": self.kind,
            "fractions": self.fractions.tolist(),
            "values": self.values.tolist(),
            "area": self.area,
            "is_probability": self.is_probability,
        }


def removal_steps(values: npt.ArrayLike, n_steps: int, seed: int = 0, share: float = 1.0) -> Steps:
    """Return the step 1..n_steps at which each pixel [H, W] changes, the largest value first.

    Pixels of the same value come in random order, drawn by the seed: in order of position they
    would be swept from top to bottom. Steps hold the same number of pixels, give or take one.

    Parameters
    ----------
    share
        Share of the pixels that change; the others get step n_steps + 1.
    """
    array = np.asarray(values, dtype=np.float32)
    n = max(1, round(share * array.size))
    n_steps = min(n_steps, n)
    ties = np.random.default_rng(seed).permutation(array.size)
    order = np.lexsort((ties, -array.ravel()))
    steps = np.full(array.size, n_steps + 1, dtype=np.int32)
    steps[order[:n]] = 1 + np.arange(n) * n_steps // n
    return steps.reshape(array.shape)


def target_values(
    model: ExplainableModel, images: Array, target: Target, probability: bool = True
) -> tuple[Floats, bool]:
    """Return the target's probabilities [N], or its scores where it has none, and which of them."""
    if probability and has_probability(model, target):
        assert isinstance(target, ClassTarget)
        probabilities = model.probabilities(model.outputs(images))
        if probabilities is not None:
            return probabilities[:, int(target.index)], True
    return model.backend.to_numpy(model.target_scores(images, target)), False


def has_probability(model: ExplainableModel, target: Target) -> bool:
    """Tell whether a target is one class of a classifier."""
    of_class = isinstance(target, ClassTarget) and target.versus is None
    return of_class and model.is_classifier and model.task == "classification"


def curve_steps(
    case: Case,
    kind: str,
    n_steps: int = 100,
    fill: Any = "blur",
    order: str = "signed",
    probability: bool = True,
    share: float = 1.0,
) -> Generator[None, None, Curve]:
    """Compute a curve in chunks, yielding after each; what `deletion_curve` returns at once."""
    if kind not in KINDS or order not in ORDERS:
        raise MetricError(
            f"A curve of kind {kind!r} in order {order!r} does not exist: use one of "
            f"{', '.join(KINDS)}, and one of {', '.join(ORDERS)}."
        )
    whole(1)("n_steps", n_steps)
    assert case.model is not None and case.target is not None
    model, backend, image = case.model, case.model.backend, case.image
    filled = baseline_values(model, image, fill, case.seed)
    ranking = np.abs(case.signed) if order == "absolute" else case.signed
    step_of = removal_steps(ranking, n_steps, case.seed, share)
    n_steps = int(min(n_steps, step_of.max()))
    start, end = (image.values, filled) if kind == "deletion" else (filled, image.values)
    first, last = backend.asarray(start[None]), backend.asarray(end[None])
    # One number per value, not per pixel: compared and chosen along memory, in half the time.
    per_value = np.broadcast_to(step_of[None, :, :, None], first.shape)
    changes_at = backend.asarray(per_value.astype(np.float32))
    found: list[Floats] = []
    is_probability = False
    for begin, stop in chunks(n_steps + 1, model.chunk_size):
        step = np.arange(begin, stop, dtype=np.float32).reshape(-1, 1, 1, 1)
        pictures = backend.where(changes_at > backend.asarray(step), first, last)
        values, is_probability = target_values(model, pictures, case.target, probability)
        found.append(values)
        yield
    return Curve(kind, np.concatenate(found).astype(np.float64), step_of, filled, is_probability)
