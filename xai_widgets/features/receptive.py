"""How much of the input a position of a layer sees: measured, by gradients of noise."""

from dataclasses import dataclass

import numpy as np

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
    grid
        (rows, columns) of the layer.
    size
        (height, width) of the input.
    """

    height: float
    width: float
    grid: tuple[int, int]
    size: tuple[int, int]

    def crop(self, position: tuple[int, int], image: PreparedImage) -> dict[str, float]:
        """Return what a position sees of a picture: x, y, width, height in display pixels."""
        sides = []
        for at, cells, side, reach in zip(
            position, self.grid, self.size, (self.height, self.width), strict=True
        ):
            centre = (at + 0.5) * side / cells
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
    if grid is None or not entry.spatial:
        return Field(float(size[0]), float(size[1]), grid or (1, 1), size)
    row, column = grid[0] // 2, grid[1] // 2
    position: tuple[int, ...] = (row, column)
    if entry.grid is not None:
        position = (entry.grid.patches.start + row * grid[1] + column,)
    reason = model.capabilities.reason(("input_gradients",))
    if reason is not None:
        return Field(float(size[0]), float(size[1]), grid, size)
    rng = np.random.default_rng(0)
    probes = rng.normal(size=(N_PROBES, *model.input_shape)).astype(np.float32)
    found = model.gradients(probes, LayerTarget(layer, None, position))
    strength = np.abs(model.backend.to_numpy(found.values)).sum(axis=(0, 3))
    centre = ((row + 0.5) * size[0] / grid[0], (column + 0.5) * size[1] / grid[1])
    return Field(
        _reach(strength.sum(axis=1), centre[0]), _reach(strength.sum(axis=0), centre[1]), grid, size
    )


def _reach(profile: np.ndarray, centre: float) -> float:
    """Return the width around a centre that holds most of a profile."""
    if not profile.sum():
        return float(len(profile))
    distance = np.abs(np.arange(len(profile)) + 0.5 - centre)
    order = np.argsort(distance, kind="stable")
    held = np.cumsum(profile[order]) / profile.sum()
    return float(2 * distance[order][np.searchsorted(held, SHARE)] + 1)
