"""Coats of the demo animals: stripes, spots, patches, network and plain, in shared colours.

A coat is a field of marks in [0, 1] plus two colours drawn from one palette for all coats, so that
the pattern and not the colour tells the animals apart.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .fields import Field, Picture, cells, noise, paint, step

PALETTE = (
    # ground, mark
    ((0.93, 0.91, 0.87), (0.10, 0.09, 0.09)),
    ((0.90, 0.80, 0.62), (0.42, 0.24, 0.12)),
    ((0.86, 0.68, 0.40), (0.16, 0.11, 0.08)),
    ((0.90, 0.86, 0.78), (0.50, 0.22, 0.10)),
    ((0.72, 0.55, 0.38), (0.24, 0.15, 0.10)),
    ((0.75, 0.74, 0.72), (0.26, 0.26, 0.28)),
    ((0.82, 0.52, 0.28), (0.28, 0.12, 0.07)),
    ((0.88, 0.84, 0.74), (0.34, 0.30, 0.26)),
)
"""Pairs of colours (RGB in [0, 1]) that every coat may have; ``mark`` is the darker one."""

Marks = Callable[[np.random.Generator, Field, Field, float], Field]


def colours(rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a light and a dark colour [3], the same distribution for every coat."""
    light, dark = np.array(PALETTE[rng.integers(len(PALETTE))], np.float32)
    light = light * rng.uniform(0.9, 1.05) + rng.normal(0, 0.015, 3)
    dark = dark * rng.uniform(0.85, 1.15) + rng.normal(0, 0.012, 3)
    return light.astype(np.float32), dark.astype(np.float32)


def stripes(rng: np.random.Generator, along: Field, across: Field, scale: float) -> Field:
    """Return bands across the ``along`` axis, about 8 px apart at scale 1, wavy and forking."""
    size = along.shape[0]
    period = scale * rng.uniform(6.0, 8.5)
    wave = noise(rng, size, 30 * scale) * 0.9 + noise(rng, size, 12 * scale) * 0.35
    slant = rng.uniform(-0.25, 0.25)
    phase = (along + slant * across) / period * 2 * np.pi + wave
    duty = rng.uniform(-0.25, 0.2) + 0.18 * noise(rng, size, 20 * scale)
    return step(np.sin(phase) + duty, 0.8 * 2 * np.pi / period)


def spots(rng: np.random.Generator, along: Field, across: Field, scale: float) -> Field:
    """Return scattered dots, some of them open rings as on a leopard."""
    size = along.shape[0]
    period = scale * rng.uniform(6.5, 9.0)
    x = along + 0.8 * scale * noise(rng, size, 9 * scale)
    y = across + 0.8 * scale * noise(rng, size, 9 * scale)
    nearest, _ = cells(rng, x, y, period)
    radius = period * rng.uniform(0.29, 0.36) * (1 + 0.12 * noise(rng, size, 25 * scale))
    dots = step(radius - nearest, 1.1)
    if rng.random() < 0.5:
        hollow = step(radius * rng.uniform(0.40, 0.55) - nearest, 1.0)
        dots = dots * (1 - 0.65 * hollow)
    return dots


def patches(rng: np.random.Generator, along: Field, across: Field, scale: float) -> Field:
    """Return a few large blotches with clear edges, as on a cow."""
    size = along.shape[0]
    field = noise(rng, size, scale * rng.uniform(11, 16)) + 0.18 * noise(rng, size, 6 * scale)
    # A quantile keeps the dark share away from 0 and 1, where the coat would look plain.
    return step(field - np.quantile(field, rng.uniform(0.42, 0.62)), 0.22 / scale)


def network(rng: np.random.Generator, along: Field, across: Field, scale: float) -> Field:
    """Return dark polygons parted by light lines, as on a giraffe."""
    size = along.shape[0]
    period = scale * rng.uniform(11.0, 14.5)
    x = along + 0.7 * scale * noise(rng, size, 8 * scale)
    y = across + 0.7 * scale * noise(rng, size, 8 * scale)
    first, second = cells(rng, x, y, period)
    width = scale * rng.uniform(2.0, 2.9)
    return step(second - first - width, 1.6)


def plain(rng: np.random.Generator, along: Field, across: Field, scale: float) -> Field:
    """Return no pattern: one tone anywhere between light and dark, hardly varying."""
    size = along.shape[0]
    tone = rng.uniform(0.0, 1.0)
    return np.asarray(np.clip(tone + 0.03 * noise(rng, size, 30 * scale), 0, 1), np.float32)


COATS: dict[str, Marks] = {
    "stripes": stripes,
    "spots": spots,
    "patches": patches,
    "network": network,
    "plain": plain,
}


def coat(
    rng: np.random.Generator, kind: str, along: Field, across: Field, scale: float = 1.0
) -> Picture:
    """Return a coat as a picture over the whole grid.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    kind : str
        One of `COATS`.
    along, across : ndarray, shape [size, size]
        Coordinates (px) along and across the part of the body the coat lies on.
    scale : float
        Size of the animal relative to the usual one; the pattern grows with it.
    """
    light, dark = colours(rng)
    marks = COATS[kind](rng, along, across, scale)
    size = along.shape[0]
    picture = paint(np.broadcast_to(light, (size, size, 3)), dark, marks)
    fur = 1 + 0.025 * noise(rng, size, 3) + 0.03 * noise(rng, size, 40)
    return np.asarray(picture * fur[..., None], np.float32)
