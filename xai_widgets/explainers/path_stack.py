"""What every step of a path contributes: one map per step, from coarse to fine."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.explainers.base import Attribution, completeness
from xai_widgets.explainers.baselines import share_equal
from xai_widgets.explainers.blur_ig import BlurIG, Neighbours
from xai_widgets.explainers.integrated_gradients import IntegratedGradients
from xai_widgets.explainers.quadrature import chunks
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import Gradients, PreparedImage
from xai_widgets.models.targets import Target

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

ERROR_LIMIT = 0.01
"""Half precision is kept where no value is off by more than this share of its map's maximum."""


@dataclass(frozen=True, eq=False)
class Nodes:
    """Some points of a path.

    Attributes
    ----------
    positions
        Which points, from 0 at the baseline to n at the image.
    maps
        float16 or float32 [k, H, W]; times ``scales`` they are the values.
    scales
        float32 [k].
    scores
        float32 [k, S]: the target's score, then those of the classes that are watched.
    pictures
        uint8 [k, H, W, 3], what the model saw, where that is not on the line from the baseline to
        the image; else None.
    """

    positions: tuple[int, ...]
    maps: npt.NDArray[Any]
    scales: Floats
    scores: Floats
    pictures: Pixels | None = None

    @property
    def values(self) -> Floats:
        """float32 [k, H, W]: the derivative of the score along the path, pixel by pixel."""
        return np.asarray(self.maps.astype(np.float32) * self.scales[:, None, None])

    @property
    def nbytes(self) -> int:
        """Size of the maps and pictures in bytes."""
        return self.maps.nbytes + (0 if self.pictures is None else self.pictures.nbytes)


@dataclass(eq=False)
class PathStack:
    """The maps of a path's points, as many as there are yet.

    A point's map is the sum over channels of d x / d alpha times the gradient there, so that its
    sum is the slope of the score along the path. The integral of the maps over alpha, a trapezoid
    with halved end weights, is the attribution.

    Attributes
    ----------
    n_steps
        Intervals of the path: there are one more points.
    parts
        The points, in the order in which they were computed.
    attribution
        The result, once every point is there.
    """

    n_steps: int
    parts: list[Nodes] = field(default_factory=list)
    attribution: Attribution | None = None

    @property
    def complete(self) -> bool:
        """Whether every point is there."""
        return self.attribution is not None

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        own = 0 if self.attribution is None else self.attribution.values.nbytes
        return own + sum(part.nbytes for part in self.parts)

    @property
    def positions(self) -> npt.NDArray[np.int64]:
        """The points that are there, ascending, int [k]."""
        return np.sort(np.array([at for part in self.parts for at in part.positions], np.int64))

    @property
    def alphas(self) -> npt.NDArray[np.float64]:
        """Where on the path these points are, 0..1, [k]."""
        return np.asarray(self.positions / self.n_steps)

    @property
    def maps(self) -> Floats:
        """Their maps, float32 [k, H, W]."""
        return self._sorted([part.values for part in self.parts])

    @property
    def scores(self) -> Floats:
        """Their scores, float32 [k, S]."""
        return self._sorted([part.scores for part in self.parts])

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """The trapezoid's weights, [k], summing to one; half of their neighbours' at both ends."""
        alphas = self.alphas
        between = np.diff(alphas) / 2
        return np.asarray(np.append(between, 0.0) + np.insert(between, 0, 0.0))

    @property
    def contributions(self) -> Floats:
        """What each point adds to the attribution, float32 [k, H, W]; the sum is its map."""
        return np.asarray(self.maps * self.weights[:, None, None], dtype=np.float32)

    @property
    def accumulated(self) -> Floats:
        """The attribution of the path up to each point, float32 [k, H, W]; zero at the first."""
        maps = self.maps
        steps = (maps[1:] + maps[:-1]) * (np.diff(self.alphas)[:, None, None] / 2)
        return np.concatenate([np.zeros_like(maps[:1]), np.cumsum(steps, axis=0, dtype=np.float32)])

    def _sorted(self, arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        order = np.argsort([at for part in self.parts for at in part.positions])
        return np.asarray(np.concatenate(arrays)[order])


StackStream = Generator[Nodes, None, PathStack]


def path_stack(
    model: ExplainableModel,
    image: PreparedImage,
    target: Target,
    explainer: IntegratedGradients | BlurIG,
    start: Floats | None = None,
    watched: Sequence[int] = (),
    precision: str = "float16",
) -> StackStream:
    """Follow a path and keep what each step contributes; yields points as they are computed.

    Parameters
    ----------
    explainer
        Integrated gradients on pixels by the trapezoid, or blur IG; the stack's attribution is
        what it gives.
    start
        The baseline as model input, float32 [H, W, C]; not needed for blur IG.
    watched
        Classes whose scores are kept beside the target's; they cost no passes where the model
        gives its output with the gradient.
    precision
        "float16" (float32 where half precision is too coarse for a map) or "float32".

    Returns
    -------
    PathStack
        Complete, with the attribution.
    """
    walk = _Walk(model, target, tuple(watched), precision)
    if isinstance(explainer, BlurIG):
        return _blur(walk, image, explainer)
    assert start is not None
    return _straight(walk, image, explainer.n_steps, start)


@dataclass(eq=False)
class _Walk:
    """What both paths share: gradients, the watched scores, packing."""

    model: ExplainableModel
    target: Target
    watched: tuple[int, ...]
    precision: str

    def scores(self, gradients: Gradients, images: Any) -> Floats:
        """Return the scores [k, 1 + watched] at some points."""
        backend = self.model.backend
        own = backend.to_numpy(gradients.scores)[:, None]
        if not self.watched:
            return np.asarray(own, dtype=np.float32)
        if gradients.outputs is None:
            every = self.model.scores(images)
        else:
            every = self.model.class_scores(gradients.outputs)
        others = backend.to_numpy(every)[:, list(self.watched)]
        return np.asarray(np.concatenate([own, others], axis=1), dtype=np.float32)

    def packed(self, maps: Floats) -> tuple[npt.NDArray[Any], Floats]:
        """Return maps and scales; in half precision unless that is asked not to be or too coarse.

        Each map is divided by its largest magnitude, so that half precision neither overflows
        nor loses maps of tiny gradients.
        """
        size = np.abs(maps).max(axis=(1, 2))
        scales = np.where(size > 0, size, 1).astype(np.float32)
        if self.precision == "float16":
            halves = (maps / scales[:, None, None]).astype(np.float16)
            error = np.abs(halves.astype(np.float32) * scales[:, None, None] - maps)
            if (error.max(axis=(1, 2)) <= ERROR_LIMIT * size).all():
                return halves, scales
        return maps, np.ones_like(scales)


def _straight(walk: _Walk, image: PreparedImage, n: int, start: Floats) -> StackStream:
    model, backend = walk.model, walk.model.backend
    origin, way = backend.asarray(start), backend.asarray(image.values - start)
    stack = PathStack(n)
    total: Any = 0.0
    ends = [0.0, 0.0]
    for points, _intervals in chunks(n, model.chunk_size):
        positions = np.asarray(points)
        images = origin + backend.asarray((positions / n).reshape(-1, 1, 1, 1)) * way
        result = model.gradients(images, walk.target)
        weights = np.where((positions == 0) | (positions == n), 0.5, 1.0) / n
        total = total + backend.sum(
            result.values * backend.asarray(weights.reshape(-1, 1, 1, 1)), (0,)
        )
        maps = backend.to_numpy(backend.sum(result.values * way, (3,)))
        scores = walk.scores(result, images)
        for end, position in enumerate((0, n)):
            if position in points:
                ends[end] = float(scores[points.index(position), 0])
        nodes = Nodes(tuple(points), *walk.packed(maps), scores)
        stack.parts.append(nodes)
        yield nodes
    values = np.asarray(backend.to_numpy(total * way), dtype=np.float32)
    told = completeness(values, ends[1], ends[0])
    told |= {"share_equal_to_baseline": share_equal(model, image, start)}
    stack.attribution = Attribution(values, ends[1], told)
    return stack


def _blur(walk: _Walk, image: PreparedImage, explainer: BlurIG) -> StackStream:
    """Follow the fading blur from its start: each picture is made from the last but one."""
    model, backend, n = walk.model, walk.model.backend, explainer.n_steps
    widest = explainer.max_sigma * min(image.values.shape[:2])
    around = Neighbours(image.values, widest * np.arange(n, -1, -1) / n)
    shown = Shown(model, image)
    stack = PathStack(n)
    total: Any = 0.0
    ends = [0.0, 0.0]
    for first in range(0, n + 1, model.chunk_size):
        positions = range(first, min(first + model.chunk_size, n + 1))
        pictures, changes = around.at(positions)
        images = backend.asarray(pictures)
        result = model.gradients(images, walk.target)
        moved = result.values * backend.asarray(changes)
        total = total + backend.sum(moved, (0,))
        # The change at an end is half an interval's: as a derivative it counts twice.
        weights = np.where(np.isin(positions, (0, n)), 0.5, 1.0) / n
        maps = backend.to_numpy(backend.sum(moved, (3,))) / weights[:, None, None]
        scores = walk.scores(result, images)
        if first == 0:
            ends[0] = float(scores[0, 0])
        ends[1] = float(scores[-1, 0])
        packed = walk.packed(np.asarray(maps, dtype=np.float32))
        nodes = Nodes(tuple(positions), *packed, scores, shown(pictures))
        stack.parts.append(nodes)
        yield nodes
    values = np.asarray(backend.to_numpy(total), dtype=np.float32)
    stack.attribution = Attribution(values, ends[1], completeness(values, ends[1], ends[0]))
    return stack


class Shown:
    """Turns model inputs back into pictures: the preprocessing, seen as an affine map of colours.

    Four flat pictures tell how display colours become channels; where that is not the same
    everywhere or cannot be undone, the pictures come out approximate. They are only looked at.
    """

    def __init__(self, model: ExplainableModel, image: PreparedImage) -> None:
        from xai_widgets.explainers.baselines import colour_values

        def mean(level: Any) -> npt.NDArray[np.float64]:
            return np.asarray(colour_values(model, image, level).mean((0, 1)), dtype=np.float64)

        self._black = mean(0)
        colours = [[255 if i == j else 0 for i in range(3)] for j in range(3)]
        matrix = np.stack([mean(colour) - self._black for colour in colours])  # display -> input
        self._back = np.linalg.pinv(matrix) * 255

    def __call__(self, values: Floats) -> Pixels:
        """Return uint8 [..., H, W, 3] of model inputs [..., H, W, C]."""
        colours = (values - self._black) @ self._back
        return np.asarray(np.clip(np.round(colours), 0, 255), dtype=np.uint8)
