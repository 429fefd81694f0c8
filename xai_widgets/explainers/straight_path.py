"""A straight path between two model inputs, and the gradient along it."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import MethodError
from xai_widgets.models.backend import Array
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.targets import Target

AFFINE_TOLERANCE = 1e-3

Floats = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Estimate:
    """What is known of an integral so far.

    Attributes
    ----------
    done, total
        Evaluations of the gradient so far, and at most.
    gradient
        The mean gradient along the path, on the device; None where there is nothing new.
    ends
        The scores at the start and at the end of the path.
    told
        Diagnostics.
    """

    done: int
    total: int
    gradient: Array | None = None
    ends: tuple[float, float] = (0.0, 0.0)
    told: Mapping[str, Any] = field(default_factory=dict)


Estimates = Generator[Estimate, None, Estimate]


@dataclass(frozen=True, eq=False)
class StraightPath:
    """The straight line between two model inputs [H, W, C], and the gradient along it.

    Attributes
    ----------
    start, end
        Float32 [H, W, C].
    layer
        Where the gradient is taken: None for the input, or a layer that is affine in it.
    """

    model: ExplainableModel
    target: Target
    start: npt.NDArray[np.float32]
    end: npt.NDArray[np.float32]
    layer: str | None = None

    @cached_property
    def _line(self) -> tuple[Array, Array]:
        asarray = self.model.backend.asarray
        return asarray(self.start), asarray(self.end - self.start)

    @cached_property
    def displacement(self) -> Array:
        """How far the place where the gradient is taken moves along the whole path.

        Raises
        ------
        MethodError
            If it does not move on a straight line.
        """
        if self.layer is None:
            return self._line[1]
        half = (self.start + self.end) / 2
        inputs = np.stack([self.start, half, self.end])
        first, middle, last = self.model.activations(inputs, self.layer)
        size = self.model.backend.to_numpy
        bend, length = size(middle * 2 - first - last), size(last - first)
        if np.abs(bend).max() > AFFINE_TOLERANCE * max(np.abs(length).max(), 1e-30):
            raise MethodError(
                f"The patches at layer {self.layer!r} are no affine function of the pixels, as "
                "behind a convolutional stem: choose space='pixels'."
            )
        return last - first

    def points(self, alphas: Floats) -> Array:
        """Return points of the path as model inputs, [k, H, W, C]."""
        origin, step = self._line
        return origin + self.model.backend.asarray(alphas.reshape(-1, 1, 1, 1)) * step

    def summed(self, alphas: Floats, weights: Floats) -> tuple[Array, Floats]:
        """Return the weighted sum of the gradients at points of the path, and the scores there."""
        result = self.model.gradients(self.points(alphas), self.target, weights, layer=self.layer)
        return result.values, self.model.backend.to_numpy(result.scores)

    def single(self, alphas: Floats) -> tuple[list[Array], Floats, Floats]:
        """Return each gradient, the scores, and the slopes d score / d alpha at points."""
        backend, displacement = self.model.backend, self.displacement
        result = self.model.gradients(self.points(alphas), self.target, layer=self.layer)
        axes = tuple(range(1, len(result.values.shape)))
        slopes = backend.to_numpy(backend.sum(result.values * displacement, axes))
        # A copy each: a view would keep the memory of all of them.
        gradients = [result.values[i] * 1.0 for i in range(len(alphas))]
        return gradients, backend.to_numpy(result.scores), slopes

    def end_scores(self) -> tuple[float, float]:
        """Return the scores at both ends, for two forward passes."""
        both = np.stack([self.start, self.end])
        scores = self.model.backend.to_numpy(self.model.target_scores(both, self.target))
        return float(scores[0]), float(scores[1])
