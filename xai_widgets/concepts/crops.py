"""The picture of an example: cut out of its source, written and read as PNG."""

import io
from typing import Any

import numpy as np
from PIL import Image

from xai_widgets.errors import ImageError, RegionError, StoreError
from xai_widgets.models.images import DisplayImage, Pixels, open_image
from xai_widgets.regions import check_region, region_mask

MAX_SIDE = 1024
"""Pixels a side of a crop; larger ones are shrunk."""
MAX_BYTES = 16_000_000
MAX_POINTS = 5_000
MAX_RUNS = 4_000_000
FAR = 1e6
"""Positions beyond this many pixels are not on any picture that can be opened."""


def clean_region(region: Any) -> dict[str, Any] | None:
    """Return a region as a store keeps it: None, or a rect, polygon or mask in its wire form.

    Raises
    ------
    RegionError
        If it is malformed, made of superpixels, or of an absurd size.
    """
    if isinstance(region, dict):
        _check_amount(region)
    checked = check_region(region)
    if checked is None:
        return None
    if checked["type"] == "superpixels":
        raise RegionError(
            "Superpixels are only known to the picture they were made of: "
            "turn them into a region of type 'mask' first."
        )
    positions = (
        [abs(value) for value in checked.values() if isinstance(value, float)]
        if checked["type"] == "rect"
        else [abs(value) for point in checked.get("points", ()) for value in point]
    )
    if max(positions, default=0.0) > FAR:
        raise RegionError(
            f"The region reaches {max(positions):.3g} pixels far: give positions on the picture."
        )
    return checked


def _check_amount(region: dict[str, Any]) -> None:
    """Refuse what is too much before anything is computed with it."""
    for field, limit in (("points", MAX_POINTS), ("counts", MAX_RUNS)):
        values = region.get(field, ())
        if isinstance(values, list | tuple) and len(values) > limit:
            raise RegionError(
                f"The region has {len(values)} {field}: at most {limit} are taken. Simplify it."
            )


def cut_out(image: DisplayImage, region: dict[str, Any] | None) -> Pixels:
    """Return an example's own picture.

    Parameters
    ----------
    image
        The source.
    region
        From `clean_region`.

    Returns
    -------
    uint8 [h, w, 3]
        The bounding box of the region; what lies outside of the region is filled with the mean
        colour inside it. At most 1024 pixels a side.

    Raises
    ------
    RegionError
        If the region covers no pixel of the picture.
    """
    if region is None:
        return np.ascontiguousarray(image.resized(MAX_SIDE))
    mask = region_mask(region, image, _no_superpixels)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    pixels, inside = image.pixels[box].copy(), mask[box]
    if not inside.all():
        pixels[~inside] = pixels[inside].mean(axis=0).round().astype(np.uint8)
    return np.ascontiguousarray(DisplayImage(pixels).resized(MAX_SIDE))


def _no_superpixels() -> Any:
    raise RegionError("A store keeps no superpixels.")


def encode(pixels: Pixels) -> bytes:
    """Return a crop as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def decode(data: bytes, what: str, crop_hash: str = "") -> Pixels:
    """Return the crop uint8 [h, w, 3] of a PNG.

    Parameters
    ----------
    data
        The file.
    what
        Its name, for the sentence.
    crop_hash
        The `DisplayImage.key` that it must have; "" for any.

    Raises
    ------
    StoreError
        If it is damaged, no PNG, larger than a store writes, or another picture than expected.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            if max(picture.size) > MAX_SIDE:
                raise StoreError(
                    f"{what} has {picture.width} x {picture.height} pixels and was not decoded: "
                    f"crops have at most {MAX_SIDE} a side."
                )
            crop = open_image(picture, name=what)
    except (OSError, ValueError, SyntaxError, ImageError, Image.DecompressionBombError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"{what} is damaged and cannot be shown: remove the example, or bring the file back "
            "from a copy."
        ) from error
    if crop_hash and crop.key != crop_hash:
        raise StoreError(
            f"{what} is not the picture that was annotated: remove the example, or bring the file "
            "back from a copy."
        )
    return np.array(crop.pixels)
