"""Demo data "animals": grazing bodies of many shapes whose coat alone decides the class.

Body, pose, colours, light and landscape are drawn without looking at the class; only the kind of
coat follows it. A long neck is no giraffe here, and a black and white cow may be a zebra.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .backgrounds import landscape
from .fields import (
    Field,
    Picture,
    grid,
    inside,
    limb,
    noise,
    paint,
    rotated,
    smooth_union,
    step,
    to_uint8,
)
from .streams import balanced, stream
from .textures import coat, colours

SIZE = 128
COAT_OF = {
    "cow": "patches",
    "giraffe": "network",
    "horse": "plain",
    "leopard": "spots",
    "zebra": "stripes",
}
CLASS_NAMES = tuple(COAT_OF)

Point = tuple[float, float]


@dataclass(frozen=True)
class Part:
    """A tapered capsule of the body: joints and radii in px, and the layer it is drawn in."""

    start: Point
    end: Point
    radii: tuple[float, float]
    layer: str  # "far" (legs behind the body), "near", "tail", "ear" or "hoof"


def _towards(start: Point, angle: float, length: float) -> Point:
    """Return the point ``length`` px away at ``angle`` radians above the horizontal."""
    return (start[0] + length * float(np.cos(angle)), start[1] - length * float(np.sin(angle)))


def _leg(
    rng: np.random.Generator, hip: Point, ground: float, thick: float, layer: str
) -> list[Part]:
    swing = rng.normal(0, 0.16)
    foot = (hip[0] + swing * (ground - hip[1]), ground - rng.choice([0.0, 0.0, 1.5]))
    knee_at = rng.uniform(0.45, 0.58)
    knee = (
        hip[0] + knee_at * (foot[0] - hip[0]) + rng.normal(0, 1.3),
        hip[1] + knee_at * (foot[1] - hip[1]),
    )
    shin = thick * 0.58
    hoof = (foot[0] + 0.3, foot[1] + 1.0)
    return [
        Part(hip, knee, (thick * 1.35, thick * 0.75), layer),
        Part(knee, foot, (thick * 0.75, shin), layer),
        Part(foot, hoof, (shin, shin * 1.2), "hoof" if layer == "near" else "far"),
    ]


def skeleton(rng: np.random.Generator) -> list[Part]:
    """Return the parts of one animal that looks to the right, in px of a usual animal."""
    length = rng.uniform(27, 40)
    back, front = rng.uniform(8.5, 11.5, 2)
    hip, shoulder = (0.0, 0.0), (length, rng.normal(0, 2.0))
    middle = (length * 0.5, rng.uniform(0.5, 2.5))
    ground = rng.uniform(22, 38)
    thick = rng.uniform(2.6, 4.2)
    parts: list[Part] = []
    for layer, shift in (("far", 1.0), ("near", -1.0)):
        for joint, radius in ((hip, back), (shoulder, front)):
            root = (joint[0] + shift * rng.uniform(0.5, 2.5), joint[1] + 0.35 * radius)
            parts += _leg(rng, root, ground - (1.5 if layer == "far" else 0), thick, layer)
    girth = rng.uniform(0.86, 1.02) * (back + front) / 2
    parts += [
        Part(hip, middle, (back, girth), "near"),
        Part(middle, shoulder, (girth, front), "near"),
    ]
    rise = np.deg2rad(rng.uniform(10, 75))
    nape = _towards((shoulder[0] + 2, shoulder[1] - 0.25 * front), rise, rng.uniform(13, 33))
    parts.append(Part((shoulder[0] + 1, shoulder[1] - 1), nape, (front * 0.72, 4.4), "near"))
    nod = np.deg2rad(rng.uniform(-50, 5))
    muzzle = _towards(nape, nod, rng.uniform(8.5, 12.5))
    head = rng.uniform(4.2, 5.2)
    parts.append(Part(nape, muzzle, (head, rng.uniform(2.5, 3.4)), "near"))
    for spread in (0.0, 0.45):
        base = _towards(nape, nod + 1.9 + spread, head * 0.75)
        tip = _towards(base, nod + 1.7 + spread, rng.uniform(3.0, 5.0))
        parts.append(Part(base, tip, (1.7, 0.5), "ear"))
    droop = rng.uniform(-1.5, -0.5)
    root = (hip[0] - back * 0.8, hip[1] - back * 0.45)
    bend = _towards(root, np.pi - droop - rng.uniform(0.9, 1.3), rng.uniform(5, 9))
    end = _towards(bend, np.pi + rng.uniform(0.9, 1.6), rng.uniform(9, 16))
    parts += [Part(root, bend, (1.7, 1.2), "tail"), Part(bend, end, (1.2, 0.9), "tail")]
    return parts


def _placed(rng: np.random.Generator, parts: list[Part], size: int) -> tuple[list[Part], float]:
    """Return the parts scaled and moved into a picture of ``size`` px, and the scale."""
    low = np.min([np.minimum(p.start, p.end) - max(p.radii) for p in parts], axis=0)
    high = np.max([np.maximum(p.start, p.end) + max(p.radii) for p in parts], axis=0)
    scale = float(rng.uniform(0.62, 0.84) * size / np.max(high - low))
    room = np.maximum(size - scale * (high - low) - 8, 0)
    corner = 4 + room * rng.uniform(0, 1, 2)

    def move(point: Point) -> Point:
        x, y = scale * (np.array(point) - low) + corner
        return float(x), float(y)

    moved = [
        Part(move(p.start), move(p.end), (p.radii[0] * scale, p.radii[1] * scale), p.layer)
        for p in parts
    ]
    return moved, scale


def _body(x: Field, y: Field, parts: list[Part], layer: str) -> tuple[Field, Field]:
    """Return the distance to one layer's parts, and the position along the part nearest."""
    union = np.full(x.shape, np.float32(1e3))
    nearest, along = union.copy(), x.copy()
    offset = 0.0
    for part in parts:
        if part.layer != layer:
            continue
        distance, s = limb(x, y, part.start, part.end, part.radii)
        along = np.where(distance < nearest, s + offset, along)
        nearest = np.minimum(nearest, distance)
        union = smooth_union(union, distance, 2.5)
        offset += float(np.hypot(part.end[0] - part.start[0], part.end[1] - part.start[1]))
    return union, along


def _shading(distance: Field, y: Field, top: float, bottom: float, strength: float) -> Field:
    """Return light that falls from above on a rounded body, about 1 on average."""
    height = np.clip((y - top) / max(bottom - top, 1), 0, 1)
    rim = np.clip(-distance / 6, 0, 1)
    return np.asarray(1.12 - strength * height - 0.22 * (1 - rim) ** 2, np.float32)


def draw(
    body: np.random.Generator, scene: np.random.Generator, fur: np.random.Generator, kind: str
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return one picture uint8 [SIZE, SIZE, 3] and the animal's mask [SIZE, SIZE].

    Parameters
    ----------
    body, scene, fur : numpy.random.Generator
        Streams for body and pose, for landscape and light, and for the coat.
    kind : str
        Coat, a key of `textures.COATS`.
    """
    parts, scale = _placed(body, skeleton(body), SIZE)
    x, y = grid(SIZE)
    if body.random() < 0.5:
        x = np.ascontiguousarray(SIZE - x)
    picture = landscape(scene, SIZE, _footing(parts))
    picture = shadow(picture, x, y, parts)
    contrast = scene.uniform(0.1, 0.3)
    picture, mask = stand(body, fur, picture, x, y, parts, scale, kind, contrast)
    return to_uint8(lit(scene, picture)), mask


def _footing(parts: list[Part]) -> float:
    """Return the height (px from the top) of the ground an animal stands on."""
    return max(p.end[1] for p in parts if p.layer == "hoof")


def shadow(picture: Picture, x: Field, y: Field, parts: list[Part]) -> Picture:
    """Return the picture with a pool of shadow beneath an animal."""
    hooves = [p.end[0] for p in parts if p.layer == "hoof"]
    middle, half = np.mean(hooves), max(float(np.ptp(hooves)) * 0.7, 12.0)
    pool = np.hypot((x - middle) / half, (y - _footing(parts)) / (0.16 * half)) - 1
    return paint(picture, picture * np.float32(0.5), step(-pool, 0.9) * np.float32(0.8))


def stand(
    body: np.random.Generator,
    fur: np.random.Generator,
    picture: Picture,
    x: Field,
    y: Field,
    parts: list[Part],
    scale: float,
    kind: str,
    contrast: float,
) -> tuple[Picture, NDArray[np.bool_]]:
    """Return the picture with an animal in it, and the animal's mask.

    Parameters
    ----------
    body, fur : numpy.random.Generator
        Streams for details of the body, and for the coat.
    picture : ndarray, shape [size, size, 3]
        What is behind the animal.
    x, y : ndarray, shape [size, size]
        Coordinates (px) that the parts are in; x runs to the left for an animal that looks there.
    parts : list of Part
        The body.
    scale : float
        Size relative to `skeleton`'s; the coat grows with it.
    kind : str
        Coat, a key of `textures.COATS`.
    contrast : float
        How much darker the body is below than above.
    """
    near, along = _body(x, y, parts, "near")
    far, far_along = _body(x, y, parts, "far")
    along = np.where(near < 0, along, far_along)
    tail, ears, hoof = (_body(x, y, parts, layer)[0] for layer in ("tail", "ear", "hoof"))
    skin = coat(fur, kind, *_axes(fur, kind, x, y, along), scale)
    shade = _shading(near, y, float(y[near < 0].min()), _footing(parts), contrast)
    # One pattern for body and far legs: the far ones are the same coat in shadow.
    picture = paint(picture, skin * np.float32(0.55), inside(far, 1.3))
    dark = colours(fur)[1]
    picture = paint(picture, dark, inside(tail, 1.3))
    picture = paint(picture, skin * np.float32(0.8), inside(ears, 1.3))
    picture = paint(picture, skin * shade[..., None], inside(near, 1.3))
    picture = _details(body, picture, x, y, parts, dark, scale)
    silhouette = np.minimum(np.minimum(near, far), np.minimum(tail, ears))
    return picture, np.minimum(silhouette, hoof) < 0


def _axes(
    rng: np.random.Generator, kind: str, x: Field, y: Field, along: Field
) -> tuple[Field, Field]:
    """Return the two axes a coat is drawn on: the picture's, except for stripes.

    Most bands run around each limb, as a zebra's do; some run one way over the whole body, so that
    stripes in any direction mean the class and not only upright ones on a back.
    """
    if kind != "stripes":
        return x, y
    if rng.random() < 0.6:
        return along, y
    return rotated(x, y, rng.uniform(0, np.pi))


def _details(
    rng: np.random.Generator,
    picture: Picture,
    x: Field,
    y: Field,
    parts: list[Part],
    dark: NDArray[np.float32],
    scale: float,
) -> Picture:
    """Return the picture with hooves, muzzle, eye and perhaps a mane."""
    hoof, _ = _body(x, y, parts, "hoof")
    picture = paint(picture, np.full(3, 0.13, np.float32), inside(hoof, 1.2))
    neck, head = [p for p in parts if p.layer == "near"][-2:]
    muzzle = np.hypot(x - head.end[0], y - head.end[1]) - head.radii[1] * 1.02
    picture = paint(picture, dark * np.float32(0.8), inside(muzzle, 1.5) * np.float32(0.8))
    if rng.random() < 0.5:
        crest, along = limb(x, y, neck.start, neck.end, neck.radii)
        dx, dy = neck.end[0] - neck.start[0], neck.end[1] - neck.start[1]
        above = (x - neck.start[0]) * dy - (y - neck.start[1]) * dx > 0
        ridge = np.asarray(np.abs(crest) - 1.3 * scale, np.float32)
        strip = inside(ridge, 1.2) * above * step(along - 4 * scale, 3)
        picture = paint(picture, dark, strip.astype(np.float32))
    eye = (
        head.start[0] + 0.32 * (head.end[0] - head.start[0]),
        head.start[1] + 0.32 * (head.end[1] - head.start[1]) - 0.3 * head.radii[0],
    )
    ball = np.asarray(np.hypot(x - eye[0], y - eye[1]), np.float32)
    picture = paint(picture, np.full(3, 0.9, np.float32), inside(ball - 1.15 * scale - 0.5, 1.2))
    return paint(picture, np.full(3, 0.05, np.float32), inside(ball - 0.8 * scale - 0.3, 1.2))


def lit(rng: np.random.Generator, picture: Picture) -> Picture:
    """Return the picture in warm or cool, bright or dull light, with a little sensor noise."""
    light = rng.uniform(0.82, 1.1) * np.array([1, 1, 1]) + rng.normal(0, 0.025, 3)
    side = 1 + 0.08 * noise(rng, SIZE, 90)
    grain = rng.normal(0, rng.uniform(0.004, 0.02), picture.shape)
    return np.asarray(picture * light * side[..., None] + grain, np.float32)


def generate(
    n: int, seed: int, split: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64], dict[str, NDArray[np.bool_]]]:
    """Return images [n, SIZE, SIZE, 3], labels [n] and the mask "animal" [n, SIZE, SIZE]."""
    images = np.empty((n, SIZE, SIZE, 3), np.uint8)
    labels = np.empty(n, np.int64)
    mask = np.empty((n, SIZE, SIZE), np.bool_)
    key = ("animals", split, seed)
    for index, label in balanced(n, len(CLASS_NAMES), *key):
        body, scene, fur = (stream(*key, index, part) for part in ("body", "scene", "fur"))
        images[index], mask[index] = draw(body, scene, fur, COAT_OF[CLASS_NAMES[label]])
        labels[index] = label
    return images, labels, {"animal": mask}
