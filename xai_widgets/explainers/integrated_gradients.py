"""Integrated gradients, by a trapezoid whose points are nested from coarse to fine."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from xai_widgets.explainers.base import Attribution, Cost, Explainer, Progress, Stream, parameter
from xai_widgets.explainers.baselines import BASELINES, baseline_values, share_equal
from xai_widgets.models.base import ExplainableModel, PreparedImage
from xai_widgets.models.targets import Target


def nested_points(n_steps: int) -> list[list[int]]:
    """Return the points 0..n_steps of a trapezoid, level by level from coarse to fine.

    Each level halves the intervals of all before it together, so nothing is computed twice and
    every level ends in a valid estimate; an odd number of intervals cannot be halved further.
    """
    stride = n_steps & -n_steps
    levels = [list(range(0, n_steps + 1, stride))]
    while stride > 1:
        levels.append(list(range(stride // 2, n_steps, stride)))
        stride //= 2
    return levels


def chunks(n_steps: int, size: int) -> Iterator[tuple[list[int], int | None]]:
    """Cut the nested points into chunks of at most ``size``, one more for the first.

    Yields
    ------
    points, intervals
        Positions on the path, and the number of intervals of the level that the chunk completes,
        None in the middle of a level.
    """
    waiting: list[int] = []
    intervals = 0
    levels = nested_points(n_steps)
    for i, level in enumerate(levels):
        waiting += level
        intervals = len(level) - 1 if i == 0 else intervals * 2
        following = levels[i + 1] if i + 1 < len(levels) else None
        if following is not None and len(waiting) + len(following) <= size + 1:
            continue
        while len(waiting) > size + 1:
            yield waiting[:size], None
            waiting = waiting[size:]
        yield waiting, intervals
        waiting = []


@dataclass(frozen=True)
class IntegratedGradients(Explainer):
    """Integrated gradients: (x - b) times the mean gradient between baseline and image.

    attribution = (x - b) * integral over alpha in 0..1 of d f(b + alpha (x - b)) / d x, [H, W, C].

    The attributions sum to f(x) - f(b), which the convergence delta checks. The integral is a
    trapezoid over ``n_steps`` intervals, its points nested from coarse to fine and summed on the
    device, so that memory does not depend on the number of steps.

    Diagnostics: ``convergence_delta`` = sum of the attributions - (f(x) - f(b)),
    ``convergence_delta_relative`` to f(x) - f(b) (None where that is zero), ``score_baseline``,
    and ``share_equal_to_baseline``, the share of pixels that get nothing by construction.

    References
    ----------
    Sundararajan et al. 2017, arXiv:1703.01365.
    """

    name: ClassVar[str] = "integrated_gradients"
    title: ClassVar[str] = "Integrated gradients"
    family: ClassVar[str] = "path"
    reference: ClassVar[str] = "Sundararajan et al. 2017, arXiv:1703.01365"

    baseline: Any = parameter(
        "black", "The picture the path starts from: what counts as nothing.", choices=BASELINES
    )
    n_steps: int = parameter(
        64,
        "Intervals of the path between baseline and image.",
        minimum=1,
        maximum=2048,
        label="Steps",
    )

    @property
    def cost(self) -> Cost:
        """A pass each way for both ends of every interval."""
        return Cost(self.n_steps + 1, self.n_steps + 1)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Sum gradients chunk by chunk; every completed level gives a partial map."""
        backend, n = model.backend, self.n_steps
        start = baseline_values(model, image, self.baseline)
        origin, path = backend.asarray(start), backend.asarray(image.values - start)
        equal = share_equal(model, image, start)
        total, done, ends = 0.0, 0, np.zeros(2)
        attribution = Attribution(np.zeros_like(image.values), 0.0)
        for points, intervals in chunks(n, model.chunk_size):
            positions = np.asarray(points)
            alphas = backend.asarray((positions / n).reshape(-1, 1, 1, 1))
            weights = np.where((positions == 0) | (positions == n), 0.5, 1.0)
            result = model.gradients(origin + alphas * path, target, weights)
            total = total + result.values
            done += len(points)
            scores = backend.to_numpy(result.scores)
            for end, position in enumerate((0, n)):
                if position in points:
                    ends[end] = scores[points.index(position)]
            if intervals is not None:
                values = backend.to_numpy(total * path) / np.float32(intervals)
                attribution = _attribution(values, ends, equal)
            if done <= n:
                yield Progress(done, n + 1, attribution if intervals is not None else None)
        return attribution


def _attribution(values: Any, ends: Any, equal: float) -> Attribution:
    difference = float(ends[1] - ends[0])
    delta = float(values.sum(dtype=np.float64)) - difference
    return Attribution(
        values,
        float(ends[1]),
        {
            "convergence_delta": delta,
            "convergence_delta_relative": delta / difference if difference else None,
            "score_baseline": float(ends[0]),
            "share_equal_to_baseline": equal,
        },
    )
