"""Things to put into a landscape: an animal, a ball, a balloon, a hut, a tree, each with its mask.

Animals, balls and balloons wear the same coats, so that a patch of stripes is none of the three.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .animals import shadow, skeleton, stand
from .backgrounds import leaves
from .fields import Field, Picture, grid, inside, limb, noise, paint, smooth_union, step
from .textures import COATS, PALETTE

Mask = NDArray[np.bool_]

_CLOTH = (
    ((0.95, 0.90, 0.80), (0.78, 0.16, 0.14)),
    ((0.96, 0.82, 0.30), (0.16, 0.30, 0.62)),
    ((0.93, 0.93, 0.92), (0.12, 0.42, 0.50)),
    ((0.98, 0.66, 0.22), (0.52, 0.14, 0.40)),
    ((0.70, 0.86, 0.60), (0.16, 0.38, 0.24)),
)
_WALLS = ((0.86, 0.82, 0.74), (0.66, 0.46, 0.32), (0.72, 0.36, 0.28), (0.62, 0.62, 0.64))
_ROOFS = ((0.55, 0.20, 0.15), (0.34, 0.30, 0.32), (0.62, 0.50, 0.28), (0.30, 0.36, 0.44))


@dataclass(frozen=True)
class Place:
    """Where a thing stands: x and height of its foot (px), and about how much it covers (px^2)."""

    x: float
    foot: float
    area: float


def _coated(
    rng: np.random.Generator, along: Field, across: Field, scale: float, cloth: float
) -> Picture:
    """Return any coat, in an animal's colours or, with probability ``cloth``, in bright ones."""
    choices = _CLOTH if rng.random() < cloth else PALETTE
    light, dark = np.array(choices[rng.integers(len(choices))], np.float32)
    kinds = list(COATS)
    marks = COATS[kinds[rng.integers(len(kinds))]](rng, along, across, scale)
    size = along.shape[0]
    picture = paint(np.broadcast_to(light, (size, size, 3)), dark, marks)
    return np.asarray(picture * (1 + 0.03 * noise(rng, size, 12, 2))[..., None], np.float32)


def _cast(picture: Picture, x: Field, y: Field, place: Place, half: float) -> Picture:
    """Return the picture with a pool of shadow ``2 * half`` px wide under something."""
    pool = np.hypot((x - place.x) / half, (y - place.foot) / (0.2 * half)) - 1
    return paint(picture, picture * np.float32(0.5), step(-pool, 0.8) * np.float32(0.8))


def _sphere(x: Field, y: Field, place: Place, radius: float, middle: float) -> Field:
    """Return the light on a ball lit from above and the left, about 1 on average."""
    u, v = (x - place.x) / radius, (y - middle) / radius
    towards = np.sqrt(np.clip(1 - u * u - v * v, 0, 1))
    return np.asarray(0.62 + 0.55 * np.clip(0.65 * towards - 0.35 * u - 0.6 * v, 0, 1), np.float32)


def animal(rng: np.random.Generator, picture: Picture, place: Place) -> tuple[Picture, Mask]:
    """Return the picture with a grazing animal of any build and coat, and its mask."""
    size = picture.shape[0]
    parts = skeleton(rng)
    low = np.min([np.minimum(p.start, p.end) - max(p.radii) for p in parts], axis=0)
    high = np.max([np.maximum(p.start, p.end) + max(p.radii) for p in parts], axis=0)
    # A body fills about a quarter of its frame.
    scale = float(np.clip(np.sqrt(4.2 * place.area) / np.max(high - low), 0.5, 1.3))
    x, y = grid(size)
    centre = place.x
    if rng.random() < 0.5:
        x, centre = np.ascontiguousarray(size - x), size - centre
    sole = max(p.end[1] for p in parts if p.layer == "hoof")
    origin = np.array([(low[0] + high[0]) / 2, sole])

    def move(point: tuple[float, float]) -> tuple[float, float]:
        across, down = scale * (np.array(point) - origin) + np.array([centre, place.foot])
        return float(across), float(down)

    parts = [
        replace(
            p,
            start=move(p.start),
            end=move(p.end),
            radii=(p.radii[0] * scale, p.radii[1] * scale),
        )
        for p in parts
    ]
    picture = shadow(picture, x, y, parts)
    kinds = list(COATS)
    kind = kinds[rng.integers(len(kinds))]
    return stand(rng, rng, picture, x, y, parts, scale, kind, rng.uniform(0.1, 0.3))


def ball(rng: np.random.Generator, picture: Picture, place: Place) -> tuple[Picture, Mask]:
    """Return the picture with a ball that lies on the ground, and its mask."""
    x, y = grid(picture.shape[0])
    radius = float(np.sqrt(place.area / np.pi))
    middle = place.foot - 0.93 * radius
    distance = np.asarray(np.hypot(x - place.x, y - middle) - radius, np.float32)
    # Longitude and latitude, so that the pattern bends around the ball.
    turn = rng.uniform(0, 2 * np.pi)
    u = ((x - place.x) * np.cos(turn) + (y - middle) * np.sin(turn)) / radius
    v = ((y - middle) * np.cos(turn) - (x - place.x) * np.sin(turn)) / radius
    bent = np.asarray(
        radius * np.arcsin(np.clip(u / np.sqrt(np.clip(1 - v * v, 0.05, 1)), -1, 1)), np.float32
    )
    skin = _coated(rng, bent + 64, np.asarray(radius * v + 64, np.float32), radius / 18, 0.6)
    skin = skin * _sphere(x, y, place, radius, middle)[..., None]
    glint = np.hypot(x - place.x + 0.38 * radius, y - middle + 0.42 * radius) - 0.13 * radius
    skin = paint(skin, np.ones(3, np.float32), inside(glint, 0.2 * radius) * np.float32(0.6))
    picture = _cast(picture, x, y, place, 1.05 * radius)
    return paint(picture, skin, inside(distance, 1.3)), distance < 0


def balloon(rng: np.random.Generator, picture: Picture, place: Place) -> tuple[Picture, Mask]:
    """Return the picture with a hot-air balloon whose basket ends at ``foot``, and its mask."""
    x, y = grid(picture.shape[0])
    radius = float(np.sqrt(place.area / 4.1))
    basket = 0.34 * radius
    middle = place.foot - basket - 1.55 * radius
    top = np.hypot(x - place.x, y - middle) - radius
    throat = (place.x, middle + 1.22 * radius)
    cone, _ = limb(x, y, (place.x, middle + 0.25 * radius), throat, (0.93 * radius, 0.26 * radius))
    envelope = smooth_union(np.asarray(top, np.float32), cone, 0.15 * radius)
    half = np.clip(radius * np.sqrt(np.clip(1 - ((y - middle) / radius) ** 2, 0, 1)), 0, None)
    low = radius * (0.96 - 0.55 * np.clip((y - middle) / radius - 0.25, 0, 2))
    half = np.maximum(np.where(y > middle + 0.25 * radius, low, half), 1.0)
    around = radius * np.arcsin(np.clip((x - place.x) / half, -1, 1))
    across = np.asarray(y - middle + 64, np.float32)
    skin = _coated(rng, np.asarray(around + 64, np.float32), across, radius / 14, 0.7)
    skin = skin * _sphere(x, y, place, 1.25 * radius, middle)[..., None]
    box = np.maximum(
        np.abs(x - place.x) - 0.24 * radius, np.abs(y - place.foot + 0.5 * basket) - 0.5 * basket
    )
    wicker = np.array([0.46, 0.30, 0.16], np.float32) * rng.uniform(0.8, 1.2)
    ropes = np.full(x.shape, 1e3, np.float32)
    for side in (-1, 1):
        rope, _ = limb(
            x,
            y,
            (place.x + side * 0.26 * radius, throat[1]),
            (place.x + side * 0.22 * radius, place.foot - basket),
            (0.5, 0.5),
        )
        ropes = np.minimum(ropes, rope)
    picture = paint(picture, wicker * np.float32(0.6), inside(ropes, 1.2))
    picture = paint(picture, wicker, inside(np.asarray(box, np.float32), 1.2))
    picture = paint(picture, skin, inside(envelope, 1.3))
    return picture, np.minimum(np.minimum(envelope, box), ropes) < 0


def hut(rng: np.random.Generator, picture: Picture, place: Place) -> tuple[Picture, Mask]:
    """Return the picture with a hut of planks, bricks or plaster, and its mask."""
    size = picture.shape[0]
    x, y = grid(size)
    wide = float(np.sqrt(place.area * rng.uniform(0.85, 1.25)))
    high = place.area / wide
    walls, roof = 0.60 * high, rng.uniform(0.5, 0.72) * high
    u, v = x - place.x, place.foot - y
    front = np.maximum(np.abs(u) - wide / 2, np.maximum(v - walls, -v))
    eaves = wide * rng.uniform(0.55, 0.62)
    ridge = eaves * rng.choice([0.0, 0.0, 0.45, 0.6])
    slope = np.clip((v - walls) / roof, 0, 1)
    gable = np.maximum(
        np.abs(u) - (eaves + slope * (ridge - eaves)), np.maximum(walls - 1 - v, v - walls - roof)
    )
    colour = np.array(_WALLS[rng.integers(len(_WALLS))], np.float32) * rng.uniform(0.85, 1.12)
    courses = 1 + 0.10 * np.sin(2 * np.pi * (v if rng.random() < 0.5 else u) / rng.uniform(3, 5))
    light = courses * (1 + 0.06 * noise(rng, size, 5, 2)) * (1.05 - 0.2 * (u / wide + 0.5))
    wall = np.asarray(colour * light[..., None], np.float32)
    dark = np.array([0.16, 0.13, 0.12], np.float32)
    door_at = rng.uniform(-0.28, 0.28) * wide
    door = np.maximum(np.abs(u - door_at) - 0.11 * wide, np.maximum(v - 0.62 * walls, -v))
    wall = paint(wall, dark * np.float32(rng.uniform(0.8, 2.2)), inside(door.astype(np.float32)))
    for side in (-1, 1):
        at = door_at + side * rng.uniform(0.26, 0.34) * wide
        if abs(at) < 0.38 * wide:
            square = np.maximum(np.abs(u - at), np.abs(v - 0.58 * walls)) - 0.085 * wide
            frame = np.asarray(square - 0.8, np.float32)
            wall = paint(wall, np.full(3, 0.9, np.float32), inside(frame))
            pane = np.array([0.30, 0.38, 0.46], np.float32)
            wall = paint(wall, pane, inside(square.astype(np.float32)))
    tile = np.array(_ROOFS[rng.integers(len(_ROOFS))], np.float32) * rng.uniform(0.85, 1.2)
    rows = 1 + 0.13 * np.sin(2 * np.pi * v / rng.uniform(2.6, 4.0)) + 0.08 * noise(rng, size, 4)
    cover = np.asarray(tile * (rows * (1.08 - 0.2 * (u / wide + 0.5)))[..., None], np.float32)
    shade = paint(wall, wall * np.float32(0.6), step(v - walls + 2.5, 2.0))
    picture = _cast(picture, x, y, place, 0.62 * wide)
    front, gable = front.astype(np.float32), gable.astype(np.float32)
    picture = paint(picture, shade, inside(front, 1.2))
    picture = paint(picture, cover, inside(gable, 1.2))
    return picture, np.minimum(front, gable) < 0


def tree(rng: np.random.Generator, picture: Picture, place: Place) -> tuple[Picture, Mask]:
    """Return the picture with a broad-leaved tree or a conifer, and its mask."""
    size = picture.shape[0]
    x, y = grid(size)
    radius = float(np.sqrt(place.area / np.pi))
    lean = rng.normal(0, 0.12) * radius
    stem = rng.uniform(0.7, 1.2) * radius
    wood = np.array([0.34, 0.25, 0.18], np.float32) * rng.uniform(0.7, 1.3)
    crown = np.full(x.shape, 1e3, np.float32)
    if rng.random() < 0.4:
        high, wide = 2.5 * radius, 0.92 * radius
        stem *= 0.5
        t = (place.foot - stem - y) / high
        jag = 0.16 * wide * (((t * 4) % 1) - 0.5) * (t > 0)
        flank = np.abs(x - place.x - lean * t) - (wide * (1 - t) - jag)
        crown = np.maximum(0.9 * flank, high * np.maximum(-t, t - 1)).astype(np.float32)
        top, middle = (place.x + lean, place.foot - stem), place.foot - stem - 0.4 * high
    else:
        middle = place.foot - stem - 0.75 * radius
        top = (place.x + lean, middle)
        for _ in range(rng.integers(3, 6)):
            cx = place.x + lean + rng.uniform(-0.55, 0.55) * radius
            cy = middle + rng.uniform(-0.45, 0.4) * radius
            blob = np.hypot(x - cx, (y - cy) * 1.1) - radius * rng.uniform(0.56, 0.78)
            crown = smooth_union(crown, np.asarray(blob, np.float32), 3.0)
    crown = np.asarray(crown + 0.09 * radius * noise(rng, size, 7, 2), np.float32)
    thick = 0.13 * radius + 0.8
    trunk, _ = limb(x, y, (place.x, place.foot), top, (thick, 0.6 * thick))
    light = 1.0 - 0.30 * np.clip((x - place.x) / radius + 0.8 * (y - middle) / radius, -1, 1)
    picture = _cast(picture, x, y, place, 0.8 * radius)
    bark = wood * (1.15 - 0.25 * (x - place.x) / thick).clip(0.5, 1.4)[..., None]
    picture = paint(picture, bark.astype(np.float32), inside(trunk, 1.2))
    foliage = leaves(rng, size) * light[..., None].astype(np.float32)
    picture = paint(picture, foliage, inside(crown, 1.8))
    return picture, np.minimum(crown, trunk) < 0


Thing = Callable[[np.random.Generator, Picture, Place], tuple[Picture, Mask]]

THINGS: dict[str, Thing] = {
    "animal": animal,
    "ball": ball,
    "balloon": balloon,
    "hut": hut,
    "tree": tree,
}
"""What a scene may hold, by name."""
