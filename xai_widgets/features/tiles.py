"""Gradients of a picture of any size through a model of one size: in tiles, wherever they fall."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float32]

AT_ONCE = 4
"""Tiles that pass through the model at once, where there are as many; else one by one."""


def tiled(
    picture: Values,
    tile: tuple[int, int],
    offset: tuple[int, int],
    compute: Callable[[Values], tuple[Values, Values]],
) -> tuple[Values, float]:
    """Return the gradient of a picture, and the mean value of its tiles.

    The picture is taken as one that goes on at its opposite edge. Tiles meet at other places at
    each offset, so that no seams grow.

    Parameters
    ----------
    picture
        [H, W, P], at least as large as a tile.
    tile
        (h, w): what the model takes.
    offset
        (rows, columns) by which the tiles are shifted.
    compute
        Takes tiles [T, h, w, P], returns gradients of the same shape and values [T].

    Returns
    -------
    float32 [H, W, P], float
    """
    height, width = picture.shape[:2]
    rows, columns = -(-height // tile[0]), -(-width // tile[1])
    rolled = np.roll(picture, offset, axis=(0, 1))
    spare = ((0, rows * tile[0] - height), (0, columns * tile[1] - width), (0, 0))
    padded = np.pad(rolled, spare, mode="wrap")
    cells = padded.reshape(rows, tile[0], columns, tile[1], -1).swapaxes(1, 2)
    parts = np.ascontiguousarray(cells.reshape(-1, *tile, picture.shape[2]))
    whole = len(parts) // AT_ONCE * AT_ONCE
    sizes = [AT_ONCE] * (whole // AT_ONCE) + [1] * (len(parts) - whole)
    found, values, first = [], [], 0
    for size in sizes:
        gradient, value = compute(parts[first : first + size])
        found.append(gradient)
        values.append(value)
        first += size
    gradients = np.concatenate(found).reshape(rows, columns, *tile, -1).swapaxes(1, 2)
    gradients = gradients.reshape(padded.shape)[:height, :width]
    back = np.roll(gradients, (-offset[0], -offset[1]), axis=(0, 1))
    return np.ascontiguousarray(back), float(np.concatenate(values).mean())
