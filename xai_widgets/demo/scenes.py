"""Demo data "scenes": a landscape with several things in it, and which thing each pixel shows.

What, where and how large is drawn first; what stands nearer hides what is behind it, and only what
can be seen counts. A scene is labelled with the thing that covers most of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .animals import lit
from .backgrounds import open_country
from .fields import to_uint8
from .scenery import THINGS, Place
from .streams import balanced, stream

SIZE = 128
CLASS_NAMES = ("background", *THINGS)
"""Position 0 is what none of the things covers; no scene is labelled with it."""


@dataclass(frozen=True)
class _Planned:
    """One thing of a scene before it is drawn; ``index`` is its stream."""

    kind: str
    place: Place
    index: int


def _apart(
    rng: np.random.Generator, low: float, high: float, taken: list[float], tries: int = 8
) -> float:
    """Return a position between two, rather far from those taken (best of a few candidates)."""
    candidates = rng.uniform(min(low, high), max(low, high), tries)
    if not taken:
        return float(candidates[0])
    return float(max(candidates, key=lambda c: min(abs(c - t) for t in taken)))


def plan(rng: np.random.Generator, main: str, horizon: float) -> list[_Planned]:
    """Return the things of a scene from far to near: a large one and two to four smaller ones."""
    kinds = [main, *rng.choice(list(THINGS), rng.integers(2, 5))]
    planned: list[_Planned] = []
    ground: list[float] = []
    air: list[float] = []
    for index, kind in enumerate(kinds):
        area = rng.uniform(1200, 2300) if index == 0 else rng.uniform(380, 950)
        # An animal is wider than high; nothing should be cut off by much.
        margin = min(float(np.sqrt(area)) * (0.95 if kind == "animal" else 0.62), 0.4 * SIZE)
        if kind == "balloon":
            highest = 1.5 * float(np.sqrt(area)) + 2
            foot = rng.uniform(highest, max(horizon + 12, highest + 4))
            x = _apart(rng, margin, SIZE - margin, air)
            air.append(x)
        else:
            # What covers more stands nearer, roughly.
            depth = rng.uniform(0.45, 0.95) if index == 0 else rng.uniform(0.05, 0.85)
            foot = horizon + 6 + depth * (SIZE - 8 - horizon)
            foot = max(foot, 2.0 * np.sqrt(area))
            x = _apart(rng, margin, SIZE - margin, ground)
            ground.append(x)
        planned.append(_Planned(str(kind), Place(x, min(float(foot), SIZE - 3), area), index))
    return sorted(planned, key=lambda p: (p.kind != "balloon", p.place.foot))


def draw(key: tuple[str | int, ...], main: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return one picture uint8 [SIZE, SIZE, 3] and the class of each pixel [SIZE, SIZE].

    Parameters
    ----------
    key : tuple
        The picture's key; each thing has its own stream under it.
    main : str
        What is planned to be the largest thing, a key of `scenery.THINGS`.
    """
    rng = stream(*key, "scene")
    horizon = rng.uniform(0.34, 0.58) * SIZE
    picture = open_country(rng, SIZE, horizon)
    segmentation = np.zeros((SIZE, SIZE), np.int64)
    for thing in plan(stream(*key, "plan"), main, horizon):
        own = stream(*key, "thing", thing.index)
        picture, mask = THINGS[thing.kind](own, picture, thing.place)
        segmentation[mask] = CLASS_NAMES.index(thing.kind)
    return to_uint8(lit(rng, picture)), segmentation


def generate(
    n: int, seed: int, split: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Return images [n, SIZE, SIZE, 3], labels [n] and segmentation [n, SIZE, SIZE]."""
    images = np.empty((n, SIZE, SIZE, 3), np.uint8)
    labels = np.empty(n, np.int64)
    segmentation = np.empty((n, SIZE, SIZE), np.int64)
    key = ("scenes", split, seed)
    for index, kind in balanced(n, len(THINGS), *key):
        images[index], segmentation[index] = draw((*key, index), CLASS_NAMES[1 + kind])
        covered = np.bincount(segmentation[index].ravel(), minlength=len(CLASS_NAMES))
        labels[index] = 1 + int(covered[1:].argmax())
    return images, labels, segmentation
