"""Move maps between grids: a coarse layer, the model's input, the display image."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from xai_widgets.models.preprocessing import Placement

Map = npt.NDArray[np.float32]

COMMON_SIDE = 224


def upsample(values: Map, size: tuple[int, int]) -> Map:
    """Resize a map [h, w] to ``size`` (height, width) bilinearly, as values and not as colours."""
    if values.shape == tuple(size):
        return values
    picture = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def aligned(
    maps: Sequence[Map], placements: Sequence[Placement], size: tuple[int, int]
) -> list[Map]:
    """Bring maps of one picture onto one grid, so that they can be compared pixel by pixel.

    Parameters
    ----------
    maps
        float32 [h, w], each on the input grid of its model.
    placements
        Where each lies on the picture.
    size
        (height, width) of the picture.

    Returns
    -------
    list of float32 [h, w]
        The maps themselves where they lie on one grid already; else on the picture, shrunk to 224
        pixels a side, zero where a model saw nothing.
    """
    one_grid = len({(values.shape, place) for values, place in zip(maps, placements, strict=True)})
    if one_grid <= 1:
        return list(maps)
    share = min(1.0, COMMON_SIDE / max(size))
    small = (max(1, round(size[0] * share)), max(1, round(size[1] * share)))
    scale_y, scale_x = small[0] / size[0], small[1] / size[1]
    return [
        to_display(
            values,
            Placement(
                place.x * scale_x,
                place.y * scale_y,
                place.width * scale_x,
                place.height * scale_y,
            ),
            small,
        )
        for values, place in zip(maps, placements, strict=True)
    ]


def to_display(values: Map, placement: Placement, size: tuple[int, int]) -> Map:
    """Draw a map on the model's input grid onto the display image's grid.

    Parameters
    ----------
    values
        float32 [h, w] on the input grid.
    placement
        Where the input grid lies on the picture, in display pixels.
    size
        (height, width) of the picture.

    Returns
    -------
    float32 [height, width]
        Bilinear; zero where the model saw nothing.
    """
    rows, columns = (
        max(1, min(cells, round(side)))  # a map finer than the picture is averaged, not sampled
        for cells, side in zip(values.shape, (placement.height, placement.width), strict=True)
    )
    scale_x, scale_y = columns / placement.width, rows / placement.height
    affine = (scale_x, 0.0, -placement.x * scale_x, 0.0, scale_y, -placement.y * scale_y)
    picture = Image.fromarray(np.ascontiguousarray(upsample(values, (rows, columns))))
    placed = picture.transform(
        (size[1], size[0]), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR
    )
    return np.asarray(placed)
