"""A trapezoid that halves the stretches of a path where its error is largest."""

from dataclasses import dataclass

import numpy as np

from xai_widgets.explainers.straight_path import Estimate, Estimates, Floats, StraightPath
from xai_widgets.models.backend import Array

FIRST = 8
"""Stretches to begin with, where as many evaluations again are left four times."""
ROUND = 8
"""Stretches that are halved before the errors are compared anew; no chunk size changes it."""
WORTHWHILE = 0.25
"""Stretches whose error is below this share of the largest wait for the next round."""
SHORTEST = 2.0**-18
KEPT_BYTES = 256 * 1024**2
"""Gradients at the ends of stretches that may still be halved are kept up to this size."""


@dataclass(eq=False)
class _Point:
    """Where the gradient was evaluated; it is kept as long as a stretch may still be halved."""

    alpha: float
    score: float
    slope: float
    gradient: Array
    stretches: int


@dataclass(eq=False)
class _Stretch:
    """A stretch of the path between two points."""

    start: _Point
    end: _Point

    @property
    def length(self) -> float:
        return self.end.alpha - self.start.alpha

    @property
    def error(self) -> float:
        """The trapezoid's error: its integral is exactly the difference of the scores."""
        trapezoid = self.length * (self.start.slope + self.end.slope) / 2
        return abs(trapezoid - (self.end.score - self.start.score))


class _Partition:
    """The path cut into stretches, and the sum over them."""

    def __init__(self, points: list[_Point], capacity: int) -> None:
        self.open = [_Stretch(points[i], points[i + 1]) for i in range(len(points) - 1)]
        self.closed_error = 0.0
        self.kept = len(points)
        self.capacity = capacity
        self.total: Array = sum(
            (stretch.start.gradient + stretch.end.gradient) * (stretch.length / 2)
            for stretch in self.open
        )

    @property
    def error(self) -> float:
        return self.closed_error + sum(stretch.error for stretch in self.open)

    def largest(self, limit: int) -> list[_Stretch]:
        """Return what is worth halving next, at most ``limit`` stretches."""
        able = [stretch for stretch in self.open if stretch.length > SHORTEST]
        ordered = sorted(able, key=lambda stretch: -stretch.error)[: min(limit, ROUND)]
        return [part for part in ordered if part.error >= WORTHWHILE * ordered[0].error]

    def halve(self, stretch: _Stretch, middle: _Point) -> None:
        """Put a point into a stretch, and correct the sum for it."""
        start, end, length = stretch.start, stretch.end, stretch.length
        outer = (start.gradient + end.gradient) * (length / 4)
        self.total = self.total + middle.gradient * (length / 2) - outer
        self.open.remove(stretch)
        self.open += [_Stretch(start, middle), _Stretch(middle, end)]
        self.kept += 1

    def make_room(self) -> None:
        """Settle the stretches with the smallest errors, so that gradients can be let go."""
        while self.kept > self.capacity and self.open:
            stretch = min(self.open, key=lambda part: part.error)
            self.open.remove(stretch)
            self.closed_error += stretch.error
            for point in (stretch.start, stretch.end):
                point.stretches -= 1
                if point.stretches == 0:
                    point.gradient = None
                    self.kept -= 1


def adaptive(path: StraightPath, n_steps: int, size: int, tolerance: float) -> Estimates:
    """Halve stretches until the sum of their errors is at most ``tolerance`` x |f(x) - f(b)|.

    The errors are summed by magnitude: with their signs they cancel, and the map is as bad as it
    was. At most ``n_steps + 1`` evaluations.
    """
    cap = n_steps + 1
    first = int(np.clip(n_steps // 4, 1, FIRST))
    points: list[_Point] = []
    alphas = np.linspace(0, 1, first + 1)
    alphas = np.append(alphas[[0, -1]], alphas[1:-1])  # whoever looks on sees both ends at once
    for start in range(0, len(alphas), size):
        points += _evaluated(path, alphas[start : start + size])
        if start + size < len(alphas):
            yield Estimate(len(points), cap)
    points.sort(key=lambda point: point.alpha)
    points[0].stretches = points[-1].stretches = 1
    capacity = max(4 * ROUND, KEPT_BYTES // (4 * max(1, int(np.prod(points[0].gradient.shape)))))
    partition = _Partition(points, capacity)
    ends, done = (points[0].score, points[-1].score), len(points)
    goal = tolerance * abs(ends[1] - ends[0])
    while True:
        error = partition.error
        told = {
            "evaluations": done,
            "tolerance_achieved": error / abs(ends[1] - ends[0]) if ends[0] != ends[1] else None,
        }
        estimate = Estimate(done, cap, partition.total, ends, told)
        chosen = partition.largest(cap - done) if error > goal else []
        if not chosen:
            return estimate
        yield estimate
        for start in range(0, len(chosen), size):
            part = chosen[start : start + size]
            middles = [(stretch.start.alpha + stretch.end.alpha) / 2 for stretch in part]
            for stretch, point in zip(part, _evaluated(path, np.array(middles)), strict=True):
                partition.halve(stretch, point)
            done += len(part)
            if start + size < len(chosen):
                yield Estimate(done, cap)
        partition.make_room()


def _evaluated(path: StraightPath, alphas: Floats) -> list[_Point]:
    gradients, scores, slopes = path.single(alphas)
    return [
        _Point(float(alpha), float(score), float(slope), gradient, 2)
        for alpha, score, slope, gradient in zip(alphas, scores, slopes, gradients, strict=True)
    ]
