"""How much of the input a position of a layer sees: measured, by gradients of noise."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import LayerTarget

SHARE = 0.95
N_PROBES = 4


@dataclass(frozen=True)
class Field:
    """The effective receptive field of a layer's positions.

    Attributes
    ----------
    height, width
        Of the square around a position's centre that holds 95 % of the gradient's magnitude, in
        pixels of the input.
    shift
        (rows, columns) by which the square's centre lies off that of the position's cell: strides
        and paddings are not always even.
    grid
        (rows, columns) of the layer.
    size
        (height, width) of the input.
    """

    height: float
    width: float
    shift: tuple[float, float]
    grid: tuple[int, int]
    size: tuple[int, int]

    def crop(self, position: tuple[int, int], image: PreparedImage) -> dict[str, float]:
        """Return what a position sees of a picture: x, y, width, height in display pixels."""
        sides = []
        reaches = (self.height, self.width)
        for at, cells, side, reach, shift in zip(
            position, self.grid, self.size, reaches, self.shift, strict=True
        ):
            centre = (at + 0.5) * side / cells + shift
            low, high = max(0.0, centre - reach / 2), min(float(side), centre + reach / 2)
            sides.append((low / side, high / side))
        placement, display = image.placement, image.display
        (top, bottom), (left, right) = sides
        x = np.clip(placement.x + np.array([left, right]) * placement.width, 0, display.width)
        y = np.clip(placement.y + np.array([top, bottom]) * placement.height, 0, display.height)
        return {
            "x": float(x[0]),
            "y": float(y[0]),
            "width": float(x[1] - x[0]),
            "height": float(y[1] - y[0]),
        }


def receptive_field(model: ExplainableModel, layer: str) -> Field:
    """Return the effective receptive field of a layer; the whole input where it is not spatial.

    Luo et al., "Understanding the effective receptive field", NeurIPS 2016: gradients of the middle
    of the layer with respect to inputs of noise.
    """
    entry, size = model.layer(layer), model.input_shape[:2]
    grid = entry.resolution
    whole = Field(float(size[0]), float(size[1]), (0.0, 0.0), grid or (1, 1), size)
    if grid is None or not entry.spatial:
        return whole
    row, column = grid[0] // 2, grid[1] // 2
    position: tuple[int, ...] = (row, column)
    if entry.grid is not None:
        position = (entry.grid.patches.start + row * grid[1] + column,)
    reason = model.capabilities.reason(("input_gradients",))
    if reason is not None:
        return whole
    rng = np.random.default_rng(0)
    probes = rng.normal(size=(N_PROBES, *model.input_shape)).astype(np.float32)
    found = model.gradients(probes, LayerTarget(layer, None, position))
    strength = np.abs(model.backend.to_numpy(found.values)).sum(axis=(0, 3))
    if not strength.sum() > 0:
        return whole
    sides, shifts = [], []
    for axis, at in enumerate((row, column)):
        profile = strength.sum(axis=1 - axis)
        centre = float((np.arange(len(profile)) + 0.5) @ profile / profile.sum())
        sides.append(_reach(profile, centre))
        # never outside of its position: far-reaching layers see the middle of the picture
        nominal = (at + 0.5) * size[axis] / grid[axis]
        half = size[axis] / grid[axis] / 2
        shifts.append(float(np.clip(centre - nominal, -half, half)))
    return Field(sides[0], sides[1], (shifts[0], shifts[1]), grid, size)


def _reach(profile: npt.NDArray[np.float32], centre: float) -> float:
    """Return the width around a centre that holds most of a profile."""
    distance = np.abs(np.arange(len(profile)) + 0.5 - centre)
    order = np.argsort(distance, kind="stable")
    held = np.cumsum(profile[order]) / profile.sum()
    last = min(int(np.searchsorted(held, SHARE)), len(order) - 1)
    return float(2 * distance[order][last] + 1)
