"""Show a crop to a model at the scale it has in its picture.

A crop stretched to the model's input is another texture: the stripes of a zebra, four times as
wide, are no stripes to a network that learned them at their own width. A crop on a plain ground
brings the ground along, and a border. So a crop is mirrored at its edges until it fills a picture
of the size it came from.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.models.images import DisplayImage, Pixels
from xai_widgets.regions import decode_runs

MAX_SIDE = 1024
"""Pixels a side of a framed crop; larger pictures are shrunk, and their crops with them."""


def framed(crop: Pixels, width: int, height: int, region: Mapping[str, Any]) -> Pixels:
    """Fill a picture with a crop of it, mirrored at its edges, the crop in the middle.

    Parameters
    ----------
    crop
        uint8 [h, w, 3].
    width, height
        Size in pixels of the picture that the crop came from.
    region
        What was cut out, in its wire form; the crop may have been shrunk since.

    Returns
    -------
    uint8 [H, W, 3]
        As large as the picture, at most 1024 pixels a side.
    """
    scale = min(1.0, MAX_SIDE / max(width, height))
    wide, high = max(1, round(width * scale)), max(1, round(height * scale))
    if scale < 1:
        across, down = region_sides(region, width, height)
        crop = DisplayImage(crop).resized(max(1, round(max(across * wide, down * high))))
    rows, columns = _mirrored(high, crop.shape[0]), _mirrored(wide, crop.shape[1])
    return np.ascontiguousarray(crop[rows[:, None], columns])


def region_sides(region: Mapping[str, Any], width: int, height: int) -> tuple[float, float]:
    """Return width and height of a region's bounding box as shares of its picture, 0..1.

    Parameters
    ----------
    region
        Of type "rect", "polygon" or "mask".
    width, height
        Size of the picture in pixels.
    """
    if region["type"] == "rect":
        across, down = region["width"] / width, region["height"] / height
    elif region["type"] == "polygon":
        extent = np.ptp(np.asarray(region["points"], dtype=float), axis=0)
        across, down = float(extent[0]) / width, float(extent[1]) / height
    else:
        mask = decode_runs(region["counts"], region["size"])
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not rows.size:
            return 0.0, 0.0
        across = float(np.ptp(columns) + 1) / mask.shape[1]
        down = float(np.ptp(rows) + 1) / mask.shape[0]
    return min(1.0, across), min(1.0, down)


def _mirrored(n: int, side: int) -> npt.NDArray[np.intp]:
    """Return which of a crop's ``side`` pixels is at each of n positions, its middle in theirs."""
    position = (np.arange(n) - (n - side) // 2) % (2 * side)
    return np.minimum(position, 2 * side - 1 - position)
