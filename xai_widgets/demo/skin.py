"""Skin, hairs, rulers and lighting of the demo lesions: everything that must not decide."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .fields import Field, Picture, cells, grid, inside, noise, paint, rotated, step

TONES = (
    (0.95, 0.80, 0.71),
    (0.92, 0.74, 0.63),
    (0.87, 0.67, 0.54),
    (0.80, 0.58, 0.44),
    (0.70, 0.49, 0.36),
    (0.60, 0.41, 0.30),
)
"""Skin colours (RGB in [0, 1]) from light to brown."""

HAIRS = ((0.10, 0.08, 0.07), (0.20, 0.13, 0.09), (0.34, 0.22, 0.13))


def skin(rng: np.random.Generator, size: int) -> Picture:
    """Return bare skin: a tone, faint flush, and the fine furrows a dermatoscope shows."""
    where = rng.uniform(0, len(TONES) - 1)
    low = int(where)
    high = min(low + 1, len(TONES) - 1)
    tones = np.array(TONES, np.float32)
    tone = tones[low] + (where - low) * (tones[high] - tones[low]) + rng.normal(0, 0.012, 3)
    x, y = grid(size)
    first, second = cells(rng, x + 2 * noise(rng, size, 14), y, rng.uniform(5, 9))
    furrows = step(1.0 - (second - first), 2.0)
    light = 1 + 0.022 * noise(rng, size, 34, 3) - rng.uniform(0.01, 0.05) * furrows
    light = light + 0.012 * noise(rng, size, 2.5)
    flush = rng.uniform(0.0, 0.05) * np.clip(noise(rng, size, 44, 2), -1, 2)
    picture = tone * light[..., None] - flush[..., None] * np.array([0.15, 0.8, 0.7])
    return np.asarray(picture, np.float32)


def _curve(rng: np.random.Generator, x: Field, y: Field, width: float) -> tuple[Field, Field]:
    """Return the distance (px) to a bent hair that crosses part of the picture."""
    size = x.shape[0]
    angle = rng.uniform(0, 2 * np.pi)
    centre = rng.uniform(-0.05, 1.05, 2) * size
    along, across = rotated(x - np.float32(centre[0]), y - np.float32(centre[1]), angle)
    half = rng.uniform(0.14, 0.5) * size
    t = along / half
    bow, twist = rng.normal(0, 0.09) * half, rng.normal(0, 0.03) * half
    line = bow * t * t + twist * t * t * t
    slope = (2 * bow * t + 3 * twist * t * t) / half
    distance = np.abs(across - line) / np.sqrt(1 + slope * slope)
    taper = np.clip((1 - t) * 1.2, 0, 1) * (np.abs(t) < 1)
    return distance.astype(np.float32), np.asarray(width * taper, np.float32)


def hairs(rng: np.random.Generator, picture: Picture) -> Picture:
    """Return the picture with no, few or many hairs over it, each with a faint shadow."""
    size = picture.shape[0]
    x, y = grid(size)
    few, many = int(rng.integers(1, 6)), int(rng.integers(5, 17))
    count = int(rng.choice([0, few, many], p=[0.2, 0.5, 0.3]))
    colour = np.array(HAIRS[rng.integers(len(HAIRS))], np.float32)
    for _ in range(count):
        distance, width = _curve(rng, x, y, rng.uniform(0.45, 0.95))
        there = np.clip(width / 0.3, 0, 1)
        shadow = step(width + 1.0 - distance, 2.5) * there
        picture = paint(picture, picture * np.float32(0.86), shadow.astype(np.float32))
        strand = step(width - distance, 1.1) * there * rng.uniform(0.75, 1.0)
        picture = paint(picture, colour, strand.astype(np.float32))
    return picture


def ruler(
    rng: np.random.Generator, picture: Picture, anywhere: bool = False
) -> tuple[Picture, NDArray[np.bool_]]:
    """Return the picture with a ruler at one of its edges, and the ruler's mask.

    With ``anywhere`` the ruler may lie across the picture at any angle, as a concept's example.
    """
    size = picture.shape[0]
    x, y = grid(size)
    edge = int(rng.integers(4))
    angle = edge * np.pi / 2 + rng.normal(0, 0.045)
    if anywhere:
        angle = rng.uniform(0, 2 * np.pi)
    along, across = rotated(x - np.float32(size / 2), y - np.float32(size / 2), angle)
    width = rng.uniform(10.5, 15.5)
    half = rng.uniform(0.36, 0.62) * size
    centre = rng.uniform(-0.1, 0.1) * size
    # ``across`` is size / 2 at the edge; the strip keeps a margin or is cut a little by it.
    top = size / 2 - width - rng.uniform(-1.5, 5.0)
    if anywhere:
        top = rng.uniform(-0.38, 0.3) * size
    s, t = along - np.float32(centre), across - np.float32(top)
    strip = np.maximum(np.abs(s) - half, np.abs(t - width / 2) - width / 2)
    shade = inside(strip - 1.5, 4.0) * np.float32(0.35)
    picture = paint(picture, picture * np.float32(0.55), shade)
    plastic = rng.uniform(0.86, 0.97) * np.array([1.0, rng.uniform(0.96, 1), rng.uniform(0.84, 1)])
    plastic = plastic + 0.02 * noise(rng, size, 40)[..., None]
    picture = paint(picture, plastic, inside(strip) * np.float32(rng.uniform(0.86, 1.0)))
    spacing = rng.uniform(3.0, 4.6)
    number = np.round(s / spacing)
    fifth = number % 5 == 0
    reach = width * np.where(fifth, 0.55, 0.3)
    tick = np.maximum(np.abs(s - number * spacing) - np.where(fifth, 0.55, 0.4), t - reach)
    tick = np.maximum(tick, np.maximum(strip + 0.3, 0.6 - t))
    ink = np.array([0.10, 0.10, 0.13], np.float32)
    picture = paint(picture, ink, inside(tick.astype(np.float32)) * np.float32(0.9))
    picture = _figures(rng, picture, s, t, spacing * 10, width, strip)
    return picture, strip < 0


# 3 x 5 pixels per figure, row by row.
_FIGURES = ("010110010010111", "110001010100111", "110001010001110", "101101111001001")


def _figures(
    rng: np.random.Generator,
    picture: Picture,
    s: Field,
    t: Field,
    every: float,
    width: float,
    strip: Field,
) -> Picture:
    """Return the picture with the ruler's numbers under every tenth tick."""
    first = int(rng.integers(0, 2))
    for place in (-1, 0, 1):
        glyph = np.array([c == "1" for c in _FIGURES[(first + place + 1) % 4]]).reshape(5, 3)
        column = np.floor((s - place * every + 2.4) / 1.6).astype(int)
        row = np.floor((t - width * 0.6) / 1.0).astype(int)
        there = (column >= 0) & (column < 3) & (row >= 0) & (row < 5) & (strip < -0.3)
        ink = there & glyph[np.clip(row, 0, 4), np.clip(column, 0, 2)]
        picture = paint(picture, np.full(3, 0.15, np.float32), ink.astype(np.float32) * 0.75)
    return picture


def lighting(rng: np.random.Generator, picture: Picture) -> Picture:
    """Return the picture under uneven light, with a vignette, gloss and sensor noise."""
    size = picture.shape[0]
    x, y = grid(size)
    u, v = (x / size - 0.5), (y / size - 0.5)
    angle = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(0, 0.18) * (np.cos(angle) * u + np.sin(angle) * v)
    fall = rng.uniform(0.05, 0.55) * np.clip(np.hypot(u, v) - 0.25, 0, None) ** 1.5
    light = rng.uniform(0.88, 1.08) * (1 + slope) * (1 - 1.6 * fall)
    colour = 1 + rng.normal(0, 0.02, 3)
    if rng.random() < 0.35:
        spot = np.exp(
            -((u - rng.uniform(-0.4, 0.4)) ** 2 + (v - rng.uniform(-0.4, 0.4)) ** 2) / 0.02
        )
        light = light + rng.uniform(0.02, 0.09) * spot
    grain = rng.normal(0, rng.uniform(0.004, 0.016), picture.shape)
    picture = np.asarray(picture * light[..., None] * colour + grain, np.float32)
    if rng.random() < 0.18:
        # The round window of a dermatoscope, dark outside.
        window = np.hypot(u - rng.normal(0, 0.01), v - rng.normal(0, 0.01)) - rng.uniform(0.6, 0.66)
        picture = paint(picture, np.full(3, 0.03, np.float32), step(window, 0.03))
    return picture
