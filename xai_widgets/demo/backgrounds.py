"""Landscapes behind the demo animals, busy enough that an edge detector cannot find the animal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .fields import Field, Picture, blur, cells, grid, limb, noise, paint, step

Ground = Callable[[np.random.Generator, int], Picture]

_GRASS = ((0.36, 0.50, 0.20), (0.50, 0.58, 0.26), (0.28, 0.42, 0.22))
_SAVANNA = ((0.76, 0.65, 0.38), (0.70, 0.56, 0.32), (0.80, 0.72, 0.48))
_EARTH = ((0.60, 0.46, 0.34), (0.52, 0.42, 0.34), (0.68, 0.52, 0.38))
_STONE = ((0.58, 0.57, 0.54), (0.50, 0.50, 0.52), (0.64, 0.60, 0.54))
_SNOW = ((0.82, 0.85, 0.89), (0.74, 0.79, 0.86), (0.85, 0.85, 0.85))
_LEAVES = ((0.22, 0.36, 0.18), (0.34, 0.44, 0.18), (0.18, 0.30, 0.22))
_SKIES = (
    ((0.42, 0.62, 0.86), (0.82, 0.89, 0.95)),
    ((0.62, 0.70, 0.80), (0.88, 0.88, 0.86)),
    ((0.56, 0.58, 0.74), (0.98, 0.80, 0.62)),
    ((0.70, 0.75, 0.78), (0.84, 0.86, 0.86)),
)


def _tint(rng: np.random.Generator, choices: tuple[tuple[float, ...], ...]) -> NDArray[np.float32]:
    colour = np.array(choices[rng.integers(len(choices))], np.float32)
    return np.asarray(colour * rng.uniform(0.85, 1.12) + rng.normal(0, 0.015, 3), np.float32)


def _shaded(colour: NDArray[np.float32], light: Field) -> Picture:
    return np.asarray(colour * light[..., None], np.float32)


def _specks(rng: np.random.Generator, size: int, period: float) -> Field:
    """Return small blots of unequal size in clumps, about ``period`` px apart."""
    x, y = grid(size)
    x, y = x + 1.2 * noise(rng, size, 6), y + 1.2 * noise(rng, size, 6)
    nearest, _ = cells(rng, x, y * rng.uniform(1.2, 2.2), period)
    radius = 0.14 + 0.14 * noise(rng, size, period * 1.5) + 0.12 * noise(rng, size, 34)
    return step(np.asarray(period * np.minimum(radius, 0.3) - nearest, np.float32), 1.2)


def grass(rng: np.random.Generator, size: int) -> Picture:
    """Return blades of grass, green or dry."""
    colour = _tint(rng, _GRASS if rng.random() < 0.5 else _SAVANNA)
    x, y = grid(size)
    lean = x + rng.uniform(-0.35, 0.35) * y + 1.4 * noise(rng, size, 24)
    column = np.interp(lean.ravel(), np.arange(-size, 2 * size), rng.normal(0, 1, 3 * size))
    blades = column.reshape(size, size).astype(np.float32) * np.clip(
        0.5 + 0.7 * noise(rng, size, 9), 0, 1.3
    )
    light = 1 + 0.16 * blades + 0.10 * noise(rng, size, 30, 3)
    return _shaded(colour, light.astype(np.float32))


def earth(rng: np.random.Generator, size: int) -> Picture:
    """Return bare soil or sand with grit on it."""
    colour = _tint(rng, _EARTH if rng.random() < 0.6 else _SAVANNA)
    light = 1 + 0.10 * noise(rng, size, 40, 4) + 0.05 * noise(rng, size, 2)
    pebbles = _specks(rng, size, rng.uniform(5, 9))
    return _shaded(colour, np.asarray(light * (1 - 0.3 * pebbles), np.float32))


def stones(rng: np.random.Generator, size: int) -> Picture:
    """Return rubble or rock with cracks."""
    x, y = grid(size)
    bend = 5 * noise(rng, size, 12)
    first, second = cells(rng, x + bend, (y - bend) * 1.6, rng.uniform(16, 34))
    crack = step(1.2 - (second - first), 1.6)
    light = (1 + 0.14 * noise(rng, size, 22, 4)) * (1 - 0.38 * crack)
    return _shaded(_tint(rng, _STONE if rng.random() < 0.6 else _EARTH), light.astype(np.float32))


def snow(rng: np.random.Generator, size: int) -> Picture:
    """Return a wind-blown field of snow with tufts sticking out."""
    light = 1 + 0.05 * noise(rng, size, 36, 3)
    tufts = _specks(rng, size, rng.uniform(5, 8))
    return _shaded(_tint(rng, _SNOW), np.asarray(light * (1 - 0.55 * tufts), np.float32))


def leaves(rng: np.random.Generator, size: int) -> Picture:
    """Return foliage: overlapping leaves in light and shade."""
    x, y = grid(size)
    first, _ = cells(rng, x, y * rng.uniform(0.7, 1.4), rng.uniform(6, 10))
    clumps = noise(rng, size, 26, 3)
    light = 1 + 0.34 * clumps + 0.30 * (0.5 - first / 5) + 0.10 * noise(rng, size, 3)
    return _shaded(_tint(rng, _LEAVES), np.clip(light, 0.25, 1.8).astype(np.float32))


GROUNDS: dict[str, Ground] = {
    "grass": grass,
    "earth": earth,
    "stones": stones,
    "snow": snow,
    "leaves": leaves,
}


def sky(rng: np.random.Generator, size: int) -> Picture:
    """Return a sky that pales towards the horizon, with clouds or without."""
    top, bottom = np.array(_SKIES[rng.integers(len(_SKIES))], np.float32)
    _, y = grid(size)
    picture = top + (y / size)[..., None] ** 0.8 * (bottom - top)
    cover = rng.uniform(-0.8, 1.6)
    clouds = step(noise(rng, size, 44, 4) - cover, 1.4) * rng.uniform(0.3, 0.8)
    return paint(picture.astype(np.float32), np.full(3, 0.96, np.float32), clouds)


def _trees(rng: np.random.Generator, picture: Picture, horizon: float) -> Picture:
    """Return the picture with a few trunks and crowns standing on the horizon."""
    size = picture.shape[0]
    x, y = grid(size)
    wood = _tint(rng, ((0.30, 0.22, 0.16), (0.42, 0.36, 0.30)))
    crown_colour = leaves(rng, size)
    for _ in range(rng.integers(1, 5)):
        foot = (rng.uniform(0, size), horizon + rng.uniform(0, 5))
        height = rng.uniform(18, 46)
        head = (foot[0] + rng.uniform(-5, 5), foot[1] - height)
        trunk, _along = limb(x, y, foot, head, (rng.uniform(1.0, 2.4), 0.8))
        picture = paint(picture, wood, step(-trunk, 1.2))
        wide, high = rng.uniform(7, 18), rng.uniform(5, 13)
        crown = np.hypot((x - head[0]) / wide, (y - head[1]) / high) - 1
        crown = crown + 0.22 * noise(rng, size, 9, 2)
        picture = paint(picture, crown_colour, step(-crown, 0.16))
    return picture


def landscape(rng: np.random.Generator, size: int, footing: float) -> Picture:
    """Return a background picture [size, size, 3].

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    size : int
        Side in px.
    footing : float
        Height (px from the top) at which an animal stands; the horizon lies above it.
    """
    kinds = list(GROUNDS)
    ground = GROUNDS[kinds[rng.integers(len(kinds))]](rng, size)
    behind = rng.random()
    horizon = footing - rng.uniform(4, 62)
    if behind < 0.55:
        far = sky(rng, size)
    elif behind < 0.85:
        far = leaves(rng, size) * np.float32(rng.uniform(0.8, 1.3))
    else:
        far = stones(rng, size)
    _, y = grid(size)
    if behind < 0.55 and rng.random() < 0.5:
        ridge = y - horizon + rng.uniform(6, 22) + 5 * noise(rng, size, 40, 3)
        hill = _tint(rng, _LEAVES + _STONE) * np.float32(0.6) + np.float32(0.28)
        far = paint(far, hill.astype(np.float32), step(ridge, 1.5))
    edge = y - horizon + 2.5 * noise(rng, size, 24, 3)
    picture = paint(far, ground, step(edge, 2.0))
    if rng.random() < 0.55:
        picture = _trees(rng, picture, horizon)
    if rng.random() < 0.2:
        picture = blur(picture, rng.uniform(0.6, 1.6))
    return picture


def open_country(rng: np.random.Generator, size: int, horizon: float) -> Picture:
    """Return a landscape with nothing standing in it [size, size, 3].

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    size : int
        Side in px.
    horizon : float
        Height (px from the top) at which the ground begins.
    """
    # No leaves on the ground, where nobody could tell a tree from it.
    kinds = [kind for kind in GROUNDS if kind != "leaves"]
    ground = GROUNDS[kinds[rng.integers(len(kinds))]](rng, size)
    picture = sky(rng, size)
    _, y = grid(size)
    for rise in np.sort(rng.uniform(2, 20, rng.integers(0, 3)))[::-1]:
        ridge = y - horizon + rise + 5 * noise(rng, size, rng.uniform(30, 60), 3)
        hill = _tint(rng, _LEAVES + _STONE) * np.float32(0.6) + np.float32(0.28)
        picture = paint(picture, hill.astype(np.float32), step(ridge, 1.5))
    edge = y - horizon + 1.5 * noise(rng, size, 24, 3)
    # The ground darkens a little towards the viewer, which gives the plain some depth.
    near = np.clip((y - horizon) / (size - horizon), 0, 1)[..., None]
    return paint(picture, ground * (1.06 - 0.14 * near), step(edge, 2.0))
