"""Scalar fields on a pixel grid: noise, cells, signed distances and how to composite with them.

All fields are float32 arrays [size, size]; coordinates are in pixels, x to the right, y down.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Picture = NDArray[np.float32]
"""Colour picture [size, size, 3] in [0, 1]."""


@lru_cache(maxsize=16)
def grid(size: int) -> tuple[Field, Field]:
    """Return the x and y coordinates of the pixel centres, read-only."""
    y, x = np.mgrid[:size, :size].astype(np.float32) + np.float32(0.5)
    x.flags.writeable = y.flags.writeable = False
    return x, y


@lru_cache(maxsize=256)
def _interpolation(size: int, cells: int) -> Field:
    """Return the matrix [size, cells + 1] that interpolates node values along one axis."""
    position = (np.arange(size) + 0.5) / size * cells
    left = np.minimum(position.astype(int), cells - 1)
    t = position - left
    t = t * t * (3 - 2 * t)
    weights = np.zeros((size, cells + 1), np.float32)
    weights[np.arange(size), left] = 1 - t
    weights[np.arange(size), left + 1] = t
    weights.flags.writeable = False
    return weights


def noise(rng: np.random.Generator, size: int, period: float, octaves: int = 1) -> Field:
    """Return smooth noise of about unit variance, its coarsest features ``period`` px apart."""
    total = np.zeros((size, size), np.float32)
    power = 0.0
    for octave in range(octaves):
        cells = int(np.clip(round(size / period * 2**octave), 1, size // 2))
        nodes = rng.standard_normal((cells + 1, cells + 1)).astype(np.float32)
        rows = _interpolation(size, cells)
        total += 0.5**octave * (rows @ nodes @ rows.T)
        power += 0.25**octave
    return (total * np.float32(1.5 / np.sqrt(power))).astype(np.float32)


def cells(rng: np.random.Generator, x: Field, y: Field, period: float) -> tuple[Field, Field]:
    """Return distances (px) to the nearest and second nearest point of a jittered grid.

    Worley, "A cellular texture basis function", SIGGRAPH 1996.
    """
    jitter = rng.uniform(0.12, 0.88, (64 * 64, 2)).astype(np.float32)
    across, down = np.ascontiguousarray(jitter.T)
    u, v = (x / period).astype(np.float32), (y / period).astype(np.float32)
    column, row = np.floor(u), np.floor(v)
    du, dv = u - column, v - row
    column, row = column.astype(np.int32), row.astype(np.int32)
    first = np.full(x.shape, np.inf, np.float32)
    second = first.copy()
    for dr in (-1, 0, 1):
        for dc in (-1, 0, 1):
            # The jitter repeats every 64 cells, which is more than any picture shows.
            point = ((row + dr) & 63) * 64 + ((column + dc) & 63)
            square = (across[point] + dc - du) ** 2 + (down[point] + dr - dv) ** 2
            second = np.minimum(second, np.maximum(first, square))
            first = np.minimum(first, square)
    scale = np.float32(period)
    return np.sqrt(first) * scale, np.sqrt(second) * scale


def step(field: Field, softness: float = 1.0) -> Field:
    """Return a soft step, 0 below zero and 1 above it, ``softness`` units wide."""
    t = np.clip(field / softness + 0.5, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def inside(distance: Field, softness: float = 1.0) -> Field:
    """Return the coverage [0, 1] of a shape given its signed distance (px, negative inside)."""
    return step(-distance, softness)


def limb(
    x: Field,
    y: Field,
    start: tuple[float, float],
    end: tuple[float, float],
    radii: tuple[float, float],
) -> tuple[Field, Field]:
    """Return the distance (px) to a tapered capsule, and the position along it (px from start)."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = max(float(np.hypot(dx, dy)), 1e-3)
    along = ((x - start[0]) * dx + (y - start[1]) * dy) / length
    t = np.clip(along / length, 0, 1)
    distance = np.hypot(x - start[0] - t * dx, y - start[1] - t * dy)
    distance -= radii[0] + t * (radii[1] - radii[0])
    return distance.astype(np.float32), along.astype(np.float32)


def smooth_union(a: Field, b: Field, width: float) -> Field:
    """Return the union of two distances with a fillet of ``width`` px."""
    h = np.clip(0.5 + 0.5 * (b - a) / width, 0, 1)
    return np.asarray(b + (a - b) * h - width * h * (1 - h), np.float32)


def rotated(x: Field, y: Field, angle: float) -> tuple[Field, Field]:
    """Return coordinates turned by ``angle`` radians about the grid's origin."""
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return c * x + s * y, c * y - s * x


def paint(picture: Picture, colour: NDArray[np.floating], alpha: Field) -> Picture:
    """Return the picture with a colour [3] or picture [size, size, 3] laid over it."""
    return np.asarray(picture + alpha[..., None] * (colour - picture), np.float32)


def blur(picture: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Return the picture [H, W] or [H, W, C] blurred by a Gaussian of ``sigma`` px."""
    radius = max(1, int(np.ceil(3 * sigma)))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    for axis in (0, 1):
        margins = [(radius, radius) if a == axis else (0, 0) for a in range(picture.ndim)]
        padded = np.pad(picture, margins, mode="edge")
        length = picture.shape[axis]
        picture = np.sum(
            [w * padded.take(range(i, i + length), axis) for i, w in enumerate(kernel)],
            axis=0,
            dtype=np.float32,
        )
    return picture


def to_uint8(picture: Picture) -> NDArray[np.uint8]:
    """Return the picture quantised to 0..255."""
    return np.asarray(np.clip(picture, 0, 1) * 255 + 0.5, np.uint8)
