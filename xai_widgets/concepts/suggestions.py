"""Suggest examples: superpixels of pictures that look to a layer as a concept's examples do."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.concepts.evidence import Evidence, Pictures, Steps
from xai_widgets.concepts.features import direction_at
from xai_widgets.models.images import DisplayImage
from xai_widgets.models.primitives import LayerPass, PreparedImage
from xai_widgets.regions import encode_runs, resize_nearest
from xai_widgets.superpixels import LabelMap, segment

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]

COVERED = 0.5
"""A superpixel with more than this share of its pixels in marked regions is not suggested."""
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Suggestion:
    """One superpixel.

    Attributes
    ----------
    key
        Of the picture.
    superpixel
        Its label in the picture's superpixels.
    similarity
        Cosine between the concept's vector and the mean activation of the superpixel, less the mean
        over all pictures, -1..1. Superpixels that differ less from the mean than they do on average
        (root mean square) count for less in proportion: the direction of next to nothing is no
        likeness, and the rim of what is found would come before it.
    region
        The wire form of its mask.
    """

    key: str
    superpixel: int
    similarity: float
    region: dict[str, Any]


def suggest(
    evidence: Evidence,
    pictures: Pictures,
    layer: str,
    vector: npt.ArrayLike,
    marked: Mapping[str, Sequence[Mask]] | None = None,
    n: int = 40,
    per_picture: int = 3,
    segments: Callable[[DisplayImage], LabelMap] = segment,
) -> Steps[list[Suggestion]]:
    """Rank the superpixels of pictures by their similarity to a concept, the most similar first.

    Each picture passes through the model once; another vector is ranked from what is known then.

    Parameters
    ----------
    evidence
        Runs the model and remembers.
    pictures
        By key.
    layer
        A layer with positions on the picture.
    vector
        The concept's vector there, [C], or as long as the layer's whole output, which is then
        averaged over the positions: a superpixel has one activation, wherever it lies.
    marked
        Regions that are not suggested again, annotated and rejected ones, by picture: masks bool
        [H, W] on the display image, or smaller.
    n, per_picture
        At most so many suggestions, at most so many of one picture.
    segments
        Cuts a picture into superpixels, always into the same ones.

    Returns
    -------
    list of Suggestion
        Empty where everything is marked, or all superpixels look alike to the layer.

    Raises
    ------
    XaiError
        If the layer has no positions, the vector does not fit, or a picture cannot be opened.
    """
    model = evidence.model
    layer = model.resolve_layer(layer, vectors=True)
    view = evidence.at([layer])
    pieces, cut = ("superpixels", layer, segments), ("labels", segments)

    def compute(images: Sequence[PreparedImage], passed: LayerPass) -> dict[Hashable, list[Any]]:
        labels = [np.asarray(segments(image.display)) for image in images]
        maps = model.backend.to_numpy(model.feature_map(layer, passed.activation(layer)))
        found = zip(maps, labels, images, strict=True)
        return {pieces: [_pooled(*given) for given in found], cut: labels}

    direction = _direction(view, vector)
    known = yield from view.computed(pictures, [pieces, cut], compute)
    keys = [key for key, kind in known if kind == pieces]
    ranked = _ranked({key: known[key, pieces] for key in keys}, direction)
    labels = {key: known[key, cut] for key in keys}
    return _chosen(ranked, labels, marked or {}, n, per_picture)


def _pooled(activation: Floats, labels: LabelMap, image: PreparedImage) -> Floats:
    """Return the mean activation of each superpixel, and how many of its pixels the model saw.

    Parameters
    ----------
    activation
        [h, w, C]; between its positions it is interpolated.
    labels
        [H, W] on the picture.
    image
        Says where the model's input lies on the picture.

    Returns
    -------
    float32 [S, C + 1]
        Zero for superpixels outside of the model's input.
    """
    placement, display = image.placement, image.display
    rows = _along(display.height, labels.shape[0], placement.y, placement.height, len(activation))
    columns = _along(
        display.width, labels.shape[1], placement.x, placement.width, activation.shape[1]
    )
    seen = rows.inside[:, None] & columns.inside[None, :]
    n_pieces, n_cells = int(labels.max()) + 1, activation.shape[0] * activation.shape[1]
    shares = np.zeros(n_pieces * n_cells)
    for row, row_share in rows.corners:
        for column, column_share in columns.corners:
            cell = row[:, None] * activation.shape[1] + column[None, :]
            place = labels.astype(np.intp) * n_cells + cell
            share = seen * row_share[:, None] * column_share[None, :]
            shares += np.bincount(place.ravel(), share.ravel(), len(shares))
    weights = shares.reshape(n_pieces, n_cells)
    n_seen = weights.sum(axis=1, keepdims=True)
    means = weights @ activation.reshape(n_cells, -1) / np.maximum(n_seen, TINY)
    return np.concatenate([means, n_seen], axis=1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Axis:
    """Where pixels lie between the positions of a layer, along one axis.

    Attributes
    ----------
    corners
        The positions before and after each pixel, and what they contribute.
    inside
        Whether the model saw the pixel.
    """

    corners: tuple[tuple[Indices, npt.NDArray[np.float64]], ...]
    inside: Mask


def _along(side: int, n_pixels: int, start: float, length: float, n_cells: int) -> _Axis:
    position = (np.arange(n_pixels) + 0.5) * side / n_pixels
    at = (position - start) / length
    cell = np.clip(at * n_cells - 0.5, 0, n_cells - 1)
    before = np.floor(cell).astype(np.intp)
    after = np.minimum(before + 1, n_cells - 1)
    share = cell - before
    return _Axis(((before, 1 - share), (after, share)), (at >= 0) & (at < 1))


def _direction(view: Evidence, vector: npt.ArrayLike) -> Floats:
    """Return a vector as one direction for any position, [C]."""
    (layer,) = view.layers
    shape = view.model.layer(layer).shape
    whole = view.model.feature_map(layer, direction_at(view.model, layer, shape, vector))
    return np.asarray(view.model.backend.to_numpy(whole).mean(axis=(0, 1, 2)))


def _ranked(pieces: Mapping[str, Floats], direction: Floats) -> list[tuple[float, str, int]]:
    """Return similarity, picture and label of each superpixel, the most similar first."""
    seen = {key: rows[:, -1] > 0 for key, rows in pieces.items()}
    means = [rows[seen[key], :-1].mean(axis=0) for key, rows in pieces.items() if seen[key].any()]
    if not means:
        return []
    centre = np.mean(means, axis=0)
    moved = {key: rows[:, :-1] - centre for key, rows in pieces.items()}
    lengths = {key: np.linalg.norm(rows, axis=1) for key, rows in moved.items()}
    every = np.concatenate([lengths[key][seen[key]] for key in pieces])
    usual = float(np.sqrt(np.mean(every**2)))
    if usual <= TINY:
        return []
    unit = direction / max(float(np.linalg.norm(direction)), TINY)
    found = []
    for key, rows in moved.items():
        similarity = rows @ unit / np.maximum(lengths[key], usual)
        found += [(float(similarity[i]), key, int(i)) for i in np.flatnonzero(seen[key])]
    return sorted(found, key=lambda entry: -entry[0])


def _chosen(
    ranked: Sequence[tuple[float, str, int]],
    labels: Mapping[str, LabelMap],
    marked: Mapping[str, Sequence[Mask]],
    n: int,
    per_picture: int,
) -> list[Suggestion]:
    covered = {key: _covered(labels[key], masks) for key, masks in marked.items() if key in labels}
    taken: Counter[str] = Counter()
    found: list[Suggestion] = []
    for similarity, key, label in ranked:
        if len(found) == n:
            break
        if taken[key] == per_picture or label in covered.get(key, ()):
            continue
        taken[key] += 1
        mask = labels[key] == label
        region = {"type": "mask", "size": list(mask.shape), "counts": encode_runs(mask)}
        found.append(Suggestion(key, label, similarity, region))
    return found


def _covered(labels: LabelMap, masks: Sequence[Mask]) -> set[int]:
    """Return the superpixels that lie mostly in marked regions."""
    marked = np.zeros(labels.shape, dtype=bool)
    for mask in masks:
        marked |= resize_nearest(mask, labels.shape)
    inside = np.bincount(labels[marked], minlength=int(labels.max()) + 1)
    sizes = np.bincount(labels.ravel())
    return set(np.flatnonzero(inside > COVERED * np.maximum(sizes, 1)).tolist())
