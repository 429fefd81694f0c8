"""Follows a path and keeps what every step contributes, from coarse to fine where it can."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.explainers.adaptive import adaptive
from xai_widgets.explainers.base import Attribution, completeness
from xai_widgets.explainers.baselines import share_equal
from xai_widgets.explainers.blur_ig import BlurIG, Neighbours
from xai_widgets.explainers.expected_gradients import ExpectedGradients
from xai_widgets.explainers.guided_ig import GuidedIG, guided_steps
from xai_widgets.explainers.integrated_gradients import IntegratedGradients
from xai_widgets.explainers.path_stack import Convergence, Floats, Nodes, PathStack
from xai_widgets.explainers.quadrature import chunks
from xai_widgets.explainers.shown import Shown
from xai_widgets.explainers.straight_path import StraightPath
from xai_widgets.models.backend import Array
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import Gradients, PreparedImage
from xai_widgets.models.targets import Target

ERROR_LIMIT = 0.01
"""Half precision is kept where no value is off by more than this share of its map's maximum."""
STRIDES = (8, 4, 2, 1)
"""Coarser trapezoids of a blur path that are summed beside it; each needs pictures further off."""

PathExplainer = IntegratedGradients | ExpectedGradients | GuidedIG | BlurIG
StackStream = Generator[Nodes, None, PathStack]


def path_stack(
    model: ExplainableModel,
    image: PreparedImage,
    target: Target,
    explainer: PathExplainer,
    start: Floats | None = None,
    watched: Sequence[int] = (),
    precision: str = "float16",
) -> StackStream:
    """Follow a path and keep what each step contributes; yields points as they are computed.

    Parameters
    ----------
    explainer
        Integrated gradients on pixels by the trapezoid or adaptive, expected gradients by the
        trapezoid, guided IG or blur IG; the stack's attribution is what it gives.
    start
        The baseline as model input, float32 [H, W, C]; of expected gradients all of them,
        [B, H, W, C]; not needed for blur IG.
    watched
        Classes whose scores are kept beside the target's; they cost no passes where the model
        gives its output with the gradient.
    precision
        "float16" (float32 where half precision is too coarse for a map) or "float32".

    Returns
    -------
    PathStack
        Complete, with the attribution. Of expected gradients, maps and scores are means over the
        baselines.
    """
    walk = _Walk(model, target, tuple(watched), precision)
    if isinstance(explainer, BlurIG):
        return _blur(walk, image, explainer)
    assert start is not None
    if isinstance(explainer, GuidedIG):
        return _guided(walk, image, explainer, start)
    if isinstance(explainer, ExpectedGradients):
        return _averaged(walk, image, explainer.n_samples, start)
    if explainer.quadrature == "adaptive":
        return _adaptive(walk, image, explainer, start)
    return _straight(walk, image, explainer.n_steps, start)


@dataclass(eq=False)
class _Walk:
    """What all paths share: gradients, the watched scores, packing."""

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

    def forward(self, images: Floats) -> Floats:
        """Return the scores [1 + watched] of one picture, without a gradient."""
        backend = self.model.backend
        own = backend.to_numpy(self.model.target_scores(images, self.target))[:1]
        others = backend.to_numpy(self.model.scores(images))[0, list(self.watched)]
        return np.asarray(np.concatenate([own, others]), dtype=np.float32)

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


def _averaged(walk: _Walk, image: PreparedImage, n: int, starts: Floats) -> StackStream:
    """Follow the paths from several baselines together, and keep their mean at each point."""
    model, backend, draws = walk.model, walk.model.backend, len(starts)
    ways = image.values - starts
    stack = PathStack(n)
    total: Any = 0.0
    ends = [0.0, 0.0]
    for points, _intervals in chunks(n, max(1, model.chunk_size // draws)):
        rows = np.repeat(np.arange(len(points)), draws)
        drawn = np.tile(np.arange(draws), len(points))
        positions = np.asarray(points)[rows]
        maps = np.zeros((len(points), *image.values.shape[:2]), np.float32)
        scores = np.zeros((len(points), 1 + len(walk.watched)), np.float32)
        for first in range(0, len(rows), model.chunk_size):
            part = slice(first, first + model.chunk_size)
            way = ways[drawn[part]]
            alphas = (positions[part] / n).reshape(-1, 1, 1, 1)
            images = backend.asarray(np.float32(starts[drawn[part]] + alphas * way))
            result = model.gradients(images, walk.target)
            moved = result.values * backend.asarray(way)
            at_end = (positions[part] == 0) | (positions[part] == n)
            weights = np.where(at_end, 0.5, 1.0).reshape(-1, 1, 1, 1) / n / draws
            total = total + backend.sum(moved * backend.asarray(weights), (0,))
            np.add.at(maps, rows[part], backend.to_numpy(backend.sum(moved, (3,))) / draws)
            np.add.at(scores, rows[part], walk.scores(result, images) / draws)
        for end, position in enumerate((0, n)):
            if position in points:
                ends[end] = float(scores[points.index(position), 0])
        nodes = Nodes(tuple(points), *walk.packed(maps), scores)
        stack.parts.append(nodes)
        yield nodes
    values = np.asarray(backend.to_numpy(total), dtype=np.float32)
    share = float(np.mean([share_equal(model, image, start) for start in starts]))
    told = completeness(values, ends[1], ends[0])
    told |= {"share_equal_to_baseline": share, "n_background": draws}
    stack.attribution = Attribution(values, ends[1], told)
    return stack


@dataclass(frozen=True, eq=False)
class _Recorded(StraightPath):
    """A straight path that remembers what was found at each of its points."""

    walk: "_Walk | None" = None
    found: list[tuple[Floats, Floats, Floats]] = field(default_factory=list)

    def single(self, alphas: Floats) -> tuple[list[Array], Floats, Floats]:
        assert self.walk is not None
        backend = self.model.backend
        images = self.points(alphas)
        result = self.model.gradients(images, self.target)
        product = result.values * self.displacement
        maps = backend.to_numpy(backend.sum(product, (3,)))
        scores = self.walk.scores(result, images)
        self.found.append((alphas, maps, scores))
        gradients = [result.values[i] * 1.0 for i in range(len(alphas))]
        slopes = backend.to_numpy(backend.sum(product, (1, 2, 3)))
        return gradients, backend.to_numpy(result.scores), slopes


def _adaptive(
    walk: _Walk, image: PreparedImage, explainer: IntegratedGradients, start: Floats
) -> StackStream:
    """Halve the worst stretches until the tolerance is kept; every part is a trapezoid."""
    model, n = walk.model, explainer.n_steps
    path = _Recorded(model, walk.target, start, image.values, walk=walk)
    stack = PathStack(n)

    def taken() -> Nodes:
        alphas, maps, scores = (np.concatenate(each) for each in zip(*path.found, strict=True))
        path.found.clear()
        positions = tuple(float(alpha * n) for alpha in alphas)
        nodes = Nodes(positions, *walk.packed(maps), scores)
        stack.parts.append(nodes)
        return nodes

    estimates = adaptive(path, n, model.chunk_size, explainer.tolerance)
    while True:
        try:
            next(estimates)
        except StopIteration as stop:
            estimate = stop.value
            break
        if path.found:
            yield taken()
    if path.found:
        yield taken()
    product = model.backend.to_numpy(estimate.gradient * path.displacement)
    values = np.asarray(product, dtype=np.float32)
    told = completeness(values, estimate.ends[1], estimate.ends[0])
    told |= {"share_equal_to_baseline": share_equal(model, image, start), **estimate.told}
    stack.attribution = Attribution(values, estimate.ends[1], told)
    return stack


def _guided(walk: _Walk, image: PreparedImage, explainer: GuidedIG, start: Floats) -> StackStream:
    """Walk step by step: a point is known when the gradient there has been taken."""
    model, n = walk.model, explainer.n_steps
    shown = Shown(model, image)
    stack = PathStack(n, rule="backward")
    total = np.zeros(image.values.shape)
    map_ = np.zeros(image.values.shape[:2], np.float32)
    waiting: list[tuple[int, Floats, Floats, Any]] = []

    def taken() -> Nodes:
        positions = tuple(number for number, *_ in waiting)
        maps, scores, pictures = (np.stack(each) for each in list(zip(*waiting, strict=True))[1:])
        waiting.clear()
        nodes = Nodes(positions, *walk.packed(maps), scores, pictures)
        stack.parts.append(nodes)
        return nodes

    for step in guided_steps(model, image, walk.target, explainer, start):
        images = model.backend.asarray(step.point)
        scores = walk.scores(step.gradients, images)[0]
        waiting.append((step.number - 1, map_, scores, shown(step.point)[0]))
        total += step.contribution
        map_ = np.asarray(step.contribution.sum(2) * n, dtype=np.float32)
        if len(waiting) >= model.chunk_size:
            yield taken()
    last = walk.forward(image.values[None])
    waiting.append((n, map_, last, shown(image.values)))
    yield taken()
    values = np.asarray(total, dtype=np.float32)
    first = float(stack.parts[0].scores[0, 0])
    score = float(last[0])
    told = completeness(values, score, first)
    told |= {"share_equal_to_baseline": share_equal(model, image, start)}
    stack.attribution = Attribution(values, score, told)
    return stack


def _blur(walk: _Walk, image: PreparedImage, explainer: BlurIG) -> StackStream:
    """Follow the fading blur from its start: each picture is made from the last but one.

    A coarser trapezoid takes the same gradients times wider changes, so that it cannot be made
    from the maps: the finest of them are summed on the way.
    """
    model, backend, n = walk.model, walk.model.backend, explainer.n_steps
    widest = explainer.max_sigma * min(image.values.shape[:2])
    strides = [stride for stride in STRIDES if n % stride == 0 and stride <= n]
    around = Neighbours(image.values, widest * np.arange(n, -1, -1) / n, max(strides))
    shown = Shown(model, image)
    stack = PathStack(n)
    total: Any = 0.0
    sums = dict.fromkeys(strides, 0.0)
    coarser = np.zeros(image.values.shape[:2])
    ends = [0.0, 0.0]
    for first in range(0, n + 1, model.chunk_size):
        positions = range(first, min(first + model.chunk_size, n + 1))
        pictures, changes = around.at(positions)
        images = backend.asarray(pictures)
        result = model.gradients(images, walk.target)
        moved = result.values * backend.asarray(changes)
        total = total + backend.sum(moved, (0,))
        gradients = backend.to_numpy(result.values)
        for stride in strides[:-1]:
            chosen = [at for at in positions if at % stride == 0]
            if not chosen:
                continue
            rows = [at - first for at in chosen]
            wider = (gradients[rows] * around.changes(chosen, stride)).sum(3)
            sums[stride] += float(wider.sum(dtype=np.float64))
            if stride == 2:
                coarser += wider.sum(0)
        # The change at an end is half an interval's: as a derivative it counts twice.
        weights = np.where(np.isin(positions, (0, n)), 0.5, 1.0) / n
        maps = backend.to_numpy(backend.sum(moved, (3,)))
        sums[1] += float(maps.sum(dtype=np.float64))
        scores = walk.scores(result, images)
        if first == 0:
            ends[0] = float(scores[0, 0])
        ends[1] = float(scores[-1, 0])
        packed = walk.packed(np.asarray(maps / weights[:, None, None], dtype=np.float32))
        nodes = Nodes(tuple(positions), *packed, scores, shown(pictures))
        stack.parts.append(nodes)
        yield nodes
    values = np.asarray(backend.to_numpy(total), dtype=np.float32)
    change, fine = ends[1] - ends[0], values.sum(2)
    size = float(np.abs(fine).sum())
    stack.convergence = Convergence(
        tuple((n // stride + 1, sums[stride] - change) for stride in strides),
        float(np.abs(coarser - fine).sum()) / size if 2 in strides and size else None,
    )
    stack.attribution = Attribution(values, ends[1], completeness(values, ends[1], ends[0]))
    return stack
