"""Blur IG: the path from a blurred picture to the sharp one, through all blurs between."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from xai_widgets.explainers.base import (
    Attribution,
    Cost,
    Explainer,
    Progress,
    Stream,
    completeness,
    parameter,
)
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target

Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class BlurIG(Explainer):
    """Blur IG: gradients times the change of the picture, while a Gaussian blur fades, [H, W, C].

    attribution = integral of d f(x_s) / d x * d x_s / d s over the blur's standard deviation s,
    from ``max_sigma`` to 0, x_s the picture blurred by s (edges repeated). No baseline colour is
    needed, and no pixel is excluded. The integral is a trapezoid over the pictures x_s at
    ``n_steps`` equal steps of s; the attributions sum to f(x) - f(x blurred by ``max_sigma``).

    Diagnostics: ``convergence_delta``, ``convergence_delta_relative`` and ``score_baseline``, as
    of integrated gradients.

    References
    ----------
    Xu, Venugopalan and Sundararajan 2020, arXiv:2004.03383.
    """

    name: ClassVar[str] = "blur_ig"
    title: ClassVar[str] = "Blur IG"
    family: ClassVar[str] = "path"
    reference: ClassVar[str] = "Xu et al. 2020, arXiv:2004.03383"

    n_steps: int = parameter(
        64,
        "Steps from the blurred picture to the sharp one.",
        minimum=1,
        maximum=2048,
        label="Steps",
    )
    max_sigma: float = parameter(
        0.17,
        "Standard deviation of the widest blur, as a share of the shorter side (the paper's 50 "
        "pixels are 0.17 of 299).",
        minimum=0.01,
        maximum=1.0,
        step=0.01,
        label="Widest blur",
    )

    @property
    def cost(self) -> Cost:
        """A pass each way for both ends of every step."""
        return Cost(self.n_steps + 1, self.n_steps + 1)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Sum over chunks of blurred pictures, each weighted by half its neighbours' distance."""
        backend, n = model.backend, self.n_steps
        widest = self.max_sigma * min(image.values.shape[:2])
        sigmas = widest * np.arange(n, -1, -1) / n
        total, ends = 0.0, [0.0, 0.0]
        around = Neighbours(image.values, sigmas)
        for start in range(0, n + 1, model.chunk_size):
            positions = range(start, min(start + model.chunk_size, n + 1))
            pictures, changes = around.at(positions)
            result = model.gradients(backend.asarray(pictures), target)
            total = total + backend.sum(result.values * backend.asarray(changes), (0,))
            scores = backend.to_numpy(result.scores)
            if start == 0:
                ends[0] = float(scores[0])
            ends[1] = float(scores[-1])
            if positions.stop <= n:
                values = backend.to_numpy(total)
                partial = Attribution(values, ends[1], completeness(values, ends[1], ends[0]))
                yield Progress(positions.stop, n + 1, partial)
        values = backend.to_numpy(total)
        return Attribution(values, ends[1], completeness(values, ends[1], ends[0]))


class Neighbours:
    """The blurred pictures of a path, made when they are needed and kept while they are.

    Parameters
    ----------
    values
        The sharp picture, float32 [H, W, C].
    sigmas
        Standard deviation of the blur at each point of the path, in pixels.
    reach
        How many points before and after those asked for are kept.
    """

    def __init__(self, values: Values, sigmas: npt.NDArray[Any], reach: int = 1) -> None:
        self._values, self._sigmas, self._reach = values, sigmas, reach
        self._kept: dict[int, Values] = {}

    def at(self, positions: range) -> tuple[Values, Values]:
        """Return pictures, and half the change from the one before each to the one after."""
        last = len(self._sigmas) - 1
        first = max(positions.start - self._reach, 0)
        needed = range(first, min(positions.stop - 1 + self._reach, last) + 1)
        self._kept = {i: self._kept[i] if i in self._kept else self._blurred(i) for i in needed}
        pictures = np.stack([self._kept[i] for i in positions])
        return pictures, self.changes(positions, 1)

    def changes(self, positions: Sequence[int], stride: int) -> Values:
        """Return half the change from ``stride`` points before each to as many after it.

        The points are among those last asked for, and ``stride`` is within reach.
        """
        last = len(self._sigmas) - 1
        changes = [
            self._kept[min(i + stride, last)] - self._kept[max(i - stride, 0)] for i in positions
        ]
        return np.asarray(np.stack(changes) / 2, dtype=np.float32)

    def _blurred(self, position: int) -> Values:
        return blurred(self._values, float(self._sigmas[position]))


def blurred(values: Values, sigma: float) -> Values:
    """Blur [H, W, C] with a Gaussian of ``sigma`` pixels, edges repeated.

    As two products with matrices: exact, and faster than a wide kernel that moves over the rows.
    """
    if sigma == 0:
        return values
    rows, columns = (_matrix(side, sigma) for side in values.shape[:2])
    across = np.einsum("ih,hwc->iwc", rows, values.astype(np.float64), optimize=True)
    return np.asarray(np.einsum("jw,iwc->ijc", columns, across, optimize=True), dtype=np.float32)


def _matrix(side: int, sigma: float) -> npt.NDArray[np.float64]:
    """Return the blur of a line of ``side`` pixels as a matrix; cut off at 4 sigma."""
    radius = int(4 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    sources = np.clip(np.arange(side)[:, None] + offsets, 0, side - 1)
    matrix = np.zeros((side, side))
    np.add.at(matrix, (np.arange(side)[:, None], sources), weights / weights.sum())
    return matrix
