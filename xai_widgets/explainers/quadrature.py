"""Mean gradients along a straight path: trapezoid, midpoint, Gauss-Legendre, adaptive."""

from collections.abc import Iterator, Sequence

import numpy as np

from xai_widgets.explainers.adaptive import adaptive
from xai_widgets.explainers.straight_path import Estimate, Estimates, Floats, StraightPath

QUADRATURES = ("trapezoid", "midpoint", "gauss_legendre", "adaptive")


def integrate(path: StraightPath, quadrature: str, n_steps: int, tolerance: float) -> Estimates:
    """Average the gradient over a path, in chunks; the last estimate is returned.

    Parameters
    ----------
    quadrature
        One of `QUADRATURES`.
    n_steps
        Intervals of the trapezoid; points of midpoint and Gauss-Legendre; of adaptive, one less
        than the evaluations that it may use.
    tolerance
        Of adaptive.
    """
    size = path.model.chunk_size
    if quadrature == "trapezoid":
        return _trapezoid(path, n_steps, size)
    if quadrature == "adaptive":
        return adaptive(path, n_steps, size, tolerance)
    return _rule(path, *nodes(quadrature, n_steps), size)


def nodes(quadrature: str, n: int) -> tuple[Floats, Floats]:
    """Return positions in 0..1 and weights, summing to one, of midpoint or Gauss-Legendre."""
    if quadrature == "midpoint":
        return (np.arange(n) + 0.5) / n, np.full(n, 1 / n)
    from scipy.special import roots_legendre

    positions, weights = roots_legendre(n)
    return (positions + 1) / 2, weights / 2


def _rule(path: StraightPath, alphas: Floats, weights: Floats, size: int) -> Estimates:
    """Sum the points of a rule, spread over the whole path from the first chunk on.

    Partial sums are divided by the weights so far, so that each is an estimate of the mean.
    """
    n = len(alphas)
    order = sorted(range(n), key=lambda i: f"{i:012b}"[::-1])
    ends = path.end_scores()
    total, share = 0.0, 0.0
    for start in range(0, n, size):
        chosen = order[start : start + size]
        values, _ = path.summed(alphas[chosen], weights[chosen])
        total, share = total + values, share + float(weights[chosen].sum())
        estimate = Estimate(start + len(chosen), n, total / share, ends)
        if estimate.done < n:
            yield estimate
    return estimate


# The trapezoid -----------------------------------------------------------------------------


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


def _trapezoid(path: StraightPath, n: int, size: int) -> Estimates:
    """Halve the weights of both ends; every completed level is an estimate."""
    total, done = 0.0, 0
    ends = [0.0, 0.0]
    for points, intervals in chunks(n, size):
        positions = np.asarray(points)
        weights = np.where((positions == 0) | (positions == n), 0.5, 1.0)
        values, scores = path.summed(positions / n, weights)
        total = total + values
        done += len(points)
        _note_ends(ends, points, n, scores)
        mean = None if intervals is None else total / intervals
        estimate = Estimate(done, n + 1, mean, (ends[0], ends[1]))
        if done <= n:
            yield estimate
    return estimate


def _note_ends(ends: list[float], points: Sequence[int], n: int, scores: Floats) -> None:
    for end, position in enumerate((0, n)):
        if position in points:
            ends[end] = float(scores[points.index(position)])
