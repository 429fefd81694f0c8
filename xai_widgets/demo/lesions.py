"""Demo data "lesions": generated skin lesions, benign or malignant, sometimes beside a ruler.

Border and tones decide: benign lesions have a smooth border and one tone, malignant ones a ragged
border and several tones. Size, place, skin, hairs, light and edge softness are drawn without
looking at the class. Whether a ruler lies in the picture is up to the caller.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .fields import Field, Picture, grid, noise, paint, step, to_uint8
from .skin import hairs, lighting, ruler, skin
from .streams import balanced, stream

SIZE = 128
CLASS_NAMES = ("benign", "malignant")
RULERS = ("random", "malignant", "none")

_BROWNS = ((0.66, 0.52, 0.44), (0.52, 0.38, 0.31), (0.60, 0.42, 0.30), (0.45, 0.34, 0.30))
_TONES = {
    "black": (0.20, 0.17, 0.18),
    "blue": (0.40, 0.45, 0.58),
    "red": (0.82, 0.45, 0.42),
    "tan": (0.84, 0.66, 0.48),
    "dark": (0.32, 0.22, 0.18),
    "grey": (0.62, 0.57, 0.58),
}
"""What a tone leaves of the skin's light (RGB); the first of a lesion is one of `_BROWNS`."""


def outline(rng: np.random.Generator, ragged: float) -> Field:
    """Return the signed distance (px, about) to a lesion's border.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    ragged : float
        0 for an ellipse, 1 for a border full of notches and bays.
    """
    x, y = grid(SIZE)
    radius = rng.uniform(19, 31)
    cx, cy = SIZE / 2 + rng.uniform(-17, 17, 2)
    dx, dy = x - np.float32(cx), y - np.float32(cy)
    angle = np.arctan2(dy, dx)
    aspect, turn = rng.uniform(0.0, 0.17), rng.uniform(0, 2 * np.pi)
    shape = 1 + aspect * np.cos(2 * (angle - turn))
    for order in range(3, 10):
        weight = rng.normal() * (order / 3) ** -0.6
        shape += ragged * 0.085 * weight * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    # Every border wavers a little; only its size follows ``ragged``.
    waver = noise(rng, SIZE, 26) * 0.9
    notches = noise(rng, SIZE, 12, 2) * 3.0 * ragged
    distance = np.hypot(dx, dy) - radius * np.clip(shape, 0.35, 1.7) + waver + notches
    return np.asarray(distance, np.float32)


def pigment(rng: np.random.Generator, distance: Field, several: float) -> Picture:
    """Return what the lesion leaves of the skin's light [SIZE, SIZE, 3].

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    distance : ndarray, shape [SIZE, SIZE]
        Signed distance to the border, px.
    several : float
        0 for one tone, 1 for up to four in clear patches.
    """
    base = np.array(_BROWNS[rng.integers(len(_BROWNS))], np.float32) * rng.uniform(0.85, 1.12)
    depth = np.clip(-distance / 18, 0, 1)[..., None]
    tone = np.asarray(base * (1 + rng.uniform(-0.02, 0.16) * (0.5 - depth)), np.float32)
    names = rng.permutation(list(_TONES))
    for name in names[: rng.integers(2, 4)]:
        field = noise(rng, SIZE, rng.uniform(13, 24), 2)
        where = step(field - rng.uniform(0.1, 0.8), rng.uniform(0.5, 1.3))
        tone = paint(tone, np.array(_TONES[name], np.float32), where * np.float32(0.9 * several))
    globules = 1 + rng.uniform(0.01, 0.05) * noise(rng, SIZE, 4) + 0.03 * noise(rng, SIZE, 18, 2)
    return np.asarray(tone * globules[..., None], np.float32)


def severity(rng: np.random.Generator, malignant: bool) -> float:
    """Return how far a sign (border or tones) goes, in [0, 1], with a gap between the classes."""
    return float(rng.uniform(0.42, 1.0) if malignant else rng.uniform(0.0, 0.16))


def draw(
    key: tuple[str | int, ...], malignant: bool, with_ruler: bool
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return one picture uint8 [SIZE, SIZE, 3], the lesion's mask and the ruler's mask.

    Each part has its own stream under ``key``, so that the same key with and without a ruler is
    the same skin with the same lesion: a pair for a counterfactual.
    """
    rng = stream(*key, "lesion")
    distance = outline(rng, severity(rng, malignant))
    tone = pigment(rng, distance, severity(rng, malignant))
    picture = skin(stream(*key, "skin"), SIZE)
    halo = step(-distance + 3.0, 9.0)[..., None] * rng.uniform(0.0, 0.12)
    picture = np.asarray(picture * (1 - halo * np.array([0.4, 1.0, 1.0])), np.float32)
    cover = step(-distance, rng.uniform(1.5, 4.5))
    picture = paint(picture, picture * tone, cover)
    picture = hairs(stream(*key, "hairs"), picture)
    ruler_mask = np.zeros((SIZE, SIZE), np.bool_)
    if with_ruler:
        picture, ruler_mask = ruler(stream(*key, "ruler"), picture)
    picture = lighting(stream(*key, "light"), picture)
    return to_uint8(picture), (distance < 0) & ~ruler_mask, ruler_mask


def generate(
    n: int, seed: int, split: str, rulers: str = "random"
) -> tuple[NDArray[np.uint8], NDArray[np.int64], dict[str, NDArray[np.bool_]]]:
    """Return images [n, SIZE, SIZE, 3], labels [n] and the masks "lesion" and "ruler".

    With random rulers every four pictures hold each pair of class and ruler once, so the two are
    uncorrelated exactly, not only on average.
    """
    images = np.empty((n, SIZE, SIZE, 3), np.uint8)
    labels = np.empty(n, np.int64)
    masks = {name: np.empty((n, SIZE, SIZE), np.bool_) for name in ("lesion", "ruler")}
    key = ("lesions", split, seed)
    for index, pair in balanced(n, 4, *key):
        label, coin = pair % 2, pair // 2 == 1
        with_ruler = {"random": coin, "malignant": label == 1, "none": False}[rulers]
        images[index], masks["lesion"][index], masks["ruler"][index] = draw(
            (*key, index), label == 1, with_ruler
        )
        labels[index] = label
    return images, labels, masks
