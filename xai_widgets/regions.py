"""Regions of a picture: their wire form, checked, and their masks.

Twin of js/src/core/regions.ts. Positions are display-image pixels, x before y.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import RegionError
from xai_widgets.models.images import MAX_PIXELS
from xai_widgets.superpixels import LabelMap

Mask = npt.NDArray[np.bool_]


def check_region(region: Any) -> dict[str, Any] | None:
    """Return a region in its wire form after checking types and numbers.

    Parameters
    ----------
    region
        None, or a dict: ``{"type": "rect", "x", "y", "width", "height"}``,
        ``{"type": "polygon", "points": [[x, y], ...]}``, ``{"type": "superpixels", "ids": [...]}``
        or ``{"type": "mask", "size": [height, width], "counts": [...]}`` with run lengths in row
        order that start with the zeros.

    Raises
    ------
    RegionError
        If it is none of these.
    """
    if region is None:
        return None
    if not isinstance(region, Mapping) or region.get("type") not in _CHECKS:
        raise RegionError(
            "A region must be None or a dict whose 'type' is 'rect', 'polygon', 'superpixels' or "
            "'mask'."
        )
    try:
        return {"type": region["type"], **_CHECKS[region["type"]](region)}
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise RegionError(
            f"The {region['type']} region is malformed ({error}): see the documentation of the "
            "trait `region` for its fields."
        ) from error


def number(value: Any) -> float:
    """Return a position as a float, refusing what is no finite number."""
    position = float(value)
    if not np.isfinite(position):
        raise ValueError("a position is not finite")
    return position


def _check_rect(region: Mapping[str, Any]) -> dict[str, Any]:
    rect = {name: number(region[name]) for name in ("x", "y", "width", "height")}
    if rect["width"] <= 0 or rect["height"] <= 0:
        raise ValueError("width and height must be positive")
    return rect


def _check_polygon(region: Mapping[str, Any]) -> dict[str, Any]:
    points = [[number(x), number(y)] for x, y in region["points"]]
    if len(points) < 3:
        raise ValueError("a polygon needs at least three points")
    return {"points": points}


def _check_superpixels(region: Mapping[str, Any]) -> dict[str, Any]:
    ids = [int(label) for label in region["ids"]]
    if not ids or min(ids) < 0:
        raise ValueError("ids must be a list of at least one superpixel, counted from 0")
    return {"ids": ids}


def _check_mask(region: Mapping[str, Any]) -> dict[str, Any]:
    height, width = (int(side) for side in region["size"])
    counts = [int(run) for run in region["counts"]]
    if height * width > MAX_PIXELS:
        raise ValueError(f"a mask has at most {MAX_PIXELS // 1_000_000} million pixels")
    if height < 1 or width < 1 or min(counts, default=0) < 0 or sum(counts) != height * width:
        raise ValueError("counts must add up to height x width")
    return {"size": [height, width], "counts": counts}


_CHECKS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "rect": _check_rect,
    "polygon": _check_polygon,
    "superpixels": _check_superpixels,
    "mask": _check_mask,
}


class Sized(Protocol):
    """A picture, or what is known of one."""

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""

    @property
    def width(self) -> int:
        """Pixels from left to right."""

    @property
    def name(self) -> str:
        """For sentences."""


def region_mask(
    region: Mapping[str, Any], image: Sized, superpixels: Callable[[], LabelMap]
) -> Mask:
    """Return a region as bool [H, W] on the display image's grid.

    Parameters
    ----------
    region
        In its wire form, checked. A pixel belongs to a rectangle or polygon that covers its centre.
    image
        The picture.
    superpixels
        Gives the label map when a region of superpixels needs it.

    Raises
    ------
    RegionError
        If it covers no pixel of the picture.
    """
    size = (image.height, image.width)
    kind = region["type"]
    if kind == "rect":
        mask = _rect_mask(region, size)
    elif kind == "polygon":
        mask = _polygon_mask(region["points"], size)
    elif kind == "superpixels":
        labels = resize_nearest(superpixels(), size)
        mask = np.isin(labels, region["ids"])
    else:
        mask = resize_nearest(decode_runs(region["counts"], region["size"]), size)
    if not mask.any():
        raise RegionError(
            f"The region covers no pixel of {image.name!r} ({image.width} x {image.height}): "
            "draw it inside the picture."
        )
    return mask


def _rect_mask(region: Mapping[str, Any], size: tuple[int, int]) -> Mask:
    y, x = np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5
    rows = (y >= region["y"]) & (y < region["y"] + region["height"])
    columns = (x >= region["x"]) & (x < region["x"] + region["width"])
    return np.asarray(rows[:, None] & columns)


def _polygon_mask(points: list[list[float]], size: tuple[int, int]) -> Mask:
    from skimage.measure import grid_points_in_poly

    corners = np.array([[y - 0.5, x - 0.5] for x, y in points])
    # Only the polygon's box is looked at: the whole of a large picture would take seconds.
    start = np.clip(np.floor(corners.min(axis=0)), 0, size).astype(int)
    end = np.clip(np.ceil(corners.max(axis=0)) + 1, start, size).astype(int)
    mask = np.zeros(size, dtype=np.bool_)
    if (end > start).all():
        shape = tuple((end - start).tolist())
        inside = grid_points_in_poly(shape, corners - start)  # type: ignore[no-untyped-call]
        mask[start[0] : end[0], start[1] : end[1]] = inside
    return mask


def resize_nearest(values: npt.NDArray[Any], size: tuple[int, ...]) -> npt.NDArray[Any]:
    """Resize labels or a mask [h, w] to ``size`` (height, width), mixing no values."""
    rows = (np.arange(size[0]) * values.shape[0]) // size[0]
    columns = (np.arange(size[1]) * values.shape[1]) // size[1]
    return np.asarray(values[rows[:, None], columns])


def decode_runs(counts: list[int], size: list[int]) -> Mask:
    """Return the mask [H, W] of run lengths in row order that start with the zeros."""
    flags = np.arange(len(counts)) % 2 == 1
    return np.repeat(flags, counts).reshape(size)


def encode_runs(mask: Mask) -> list[int]:
    """Return the run lengths of a mask [H, W] in row order, starting with the zeros."""
    flat = np.asarray(mask, dtype=bool).ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return [0, *runs] if flat.size and flat[0] else runs
