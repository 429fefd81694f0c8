"""What fills a region in an ablation, and finer cuts of a picture.

Positions are display-image pixels, x before y. Regions themselves are in xai_widgets/regions.py.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from xai_widgets.errors import RegionError
from xai_widgets.models.images import DisplayImage, Pixels
from xai_widgets.regions import (
    Mask,
    check_region,
    decode_runs,
    encode_runs,
    number,
    region_mask,
)

__all__ = [
    "FILLS",
    "Mask",
    "ablate",
    "check_region",
    "crop",
    "decode_runs",
    "encode_runs",
    "region_mask",
]

FILLS = ("blur", "mean", "black")
BLUR_FRACTION = 0.12


def ablate(image: DisplayImage, mask: Mask, fill: str) -> DisplayImage:
    """Return the picture with a region filled.

    Parameters
    ----------
    fill
        "blur" (standard deviation of 12 % of the shorter side), "mean" (the picture's mean
        colour) or "black".

    Raises
    ------
    RegionError
        If the fill is unknown.
    """
    if fill not in FILLS:
        raise RegionError(f"A region cannot be filled with {fill!r}: use one of {FILLS}.")
    pixels = image.pixels.copy()
    pixels[mask] = _filling(image, fill)[mask]
    return DisplayImage(pixels, f"{image.name}, region filled with {fill}")


def _filling(image: DisplayImage, fill: str) -> Pixels:
    if fill == "blur":
        from scipy.ndimage import gaussian_filter

        sigma = BLUR_FRACTION * min(image.height, image.width)
        blurred = gaussian_filter(image.pixels.astype(np.float32), (sigma, sigma, 0))
        return np.asarray(blurred.round(), dtype=np.uint8)
    colour = image.pixels.mean(axis=(0, 1)).round() if fill == "mean" else np.zeros(3)
    return np.broadcast_to(colour.astype(np.uint8), image.pixels.shape)


def crop(image: DisplayImage, box: Mapping[str, Any], longest_side: int) -> tuple[Pixels, Any]:
    """Return a finer cut of a picture.

    Parameters
    ----------
    box
        x, y, width, height in display pixels; what lies outside the picture is cut off.
    longest_side
        The largest side of the answer in pixels.

    Returns
    -------
    pixels, box
        uint8 [h, w, 3], and the rectangle that it shows.
    """
    left = int(np.clip(np.floor(number(box["x"])), 0, image.width - 1))
    top = int(np.clip(np.floor(number(box["y"])), 0, image.height - 1))
    right = int(np.clip(np.ceil(number(box["x"]) + number(box["width"])), left + 1, image.width))
    bottom = int(np.clip(np.ceil(number(box["y"]) + number(box["height"])), top + 1, image.height))
    cut = Image.fromarray(image.pixels[top:bottom, left:right])
    cut.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
    shown = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    return np.asarray(cut), shown
