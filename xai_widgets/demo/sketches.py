"""Small sketches as vector data: the ten digits, some of them written in other ways, and shapes.

Drawn by hand for this package on a square of 100 x 100.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .names import choice

Line = tuple[str, tuple[tuple[int, int], ...]]

BROAD, NARROW = 0.12, 0.03
"""Widths of the strokes, in shares of the side."""
STEPS = 8
"""Points of a curve from one given point to the next."""

_CURVE, _LINE = "curve", "line"
DIGITS: dict[str, tuple[Line, ...]] = {
    "zero": (
        (_CURVE, ((50, 10), (32, 20), (26, 50), (32, 80), (50, 90), (68, 80), (74, 50), (68, 20),
                  (50, 10))),
    ),
    "one": ((_LINE, ((36, 30), (54, 12), (54, 90))),),
    "two": (
        (_CURVE, ((30, 30), (38, 15), (54, 11), (68, 20), (69, 36), (58, 54), (42, 70), (28, 87))),
        (_LINE, ((28, 87), (74, 87))),
    ),
    "three": (
        (_CURVE, ((30, 20), (46, 11), (64, 16), (66, 32), (52, 45), (44, 47))),
        (_CURVE, ((44, 47), (62, 49), (72, 64), (64, 82), (46, 90), (28, 80))),
    ),
    "four": ((_LINE, ((54, 12), (26, 62), (76, 62))), (_LINE, ((62, 38), (60, 90)))),
    "five": (
        (_LINE, ((70, 12), (36, 12), (32, 46))),
        (_CURVE, ((32, 46), (48, 38), (66, 46), (70, 66), (58, 85), (40, 90), (26, 80))),
    ),
    "six": (
        (_CURVE, ((64, 12), (44, 24), (32, 50), (31, 72), (42, 88), (58, 88), (70, 74), (64, 58),
                  (48, 54), (34, 64))),
    ),
    "seven": ((_LINE, ((28, 13), (73, 13), (46, 90))),),
    "eight": (
        (_CURVE, ((66, 22), (52, 11), (36, 18), (36, 34), (52, 46), (66, 60), (68, 78), (52, 90),
                  (36, 80), (34, 64), (48, 48), (64, 34), (66, 22))),
    ),
    "nine": (
        (_CURVE, ((68, 30), (56, 12), (38, 16), (32, 34), (42, 48), (58, 46), (68, 30))),
        (_CURVE, ((68, 30), (68, 52), (62, 74), (54, 90))),
    ),
}  # fmt: skip
OTHER_DIGITS: dict[str, tuple[Line, ...]] = {
    "zero-slanted": (
        (_CURVE, ((62, 12), (42, 14), (30, 34), (29, 58), (38, 82), (54, 88), (68, 74), (72, 48),
                  (68, 24), (58, 12), (50, 13))),
    ),
    "one-plain": ((_LINE, ((50, 10), (50, 90))),),
    "one-footed": ((_LINE, ((34, 32), (52, 12), (52, 88))), (_LINE, ((34, 88), (70, 88)))),
    "two-looped": (
        (_CURVE, ((32, 26), (46, 12), (64, 16), (68, 34), (54, 56), (30, 84), (44, 80), (58, 86),
                  (74, 82))),
    ),
    "three-flat": (
        (_LINE, ((30, 13), (68, 13), (46, 42))),
        (_CURVE, ((46, 42), (66, 48), (70, 68), (56, 88), (38, 89), (27, 80))),
    ),
    "four-open": ((_LINE, ((34, 12), (28, 50), (70, 50))), (_LINE, ((66, 12), (62, 90)))),
    "five-capped": (
        (_LINE, ((36, 14), (34, 44))),
        (_CURVE, ((34, 44), (54, 40), (70, 56), (66, 78), (48, 90), (28, 84))),
        (_LINE, ((36, 14), (70, 12))),
    ),
    "six-straight": (
        (_CURVE, ((54, 10), (38, 34), (30, 62), (36, 84), (54, 90), (68, 78), (62, 60), (46, 56),
                  (33, 70))),
    ),
    "seven-barred": ((_LINE, ((28, 14), (72, 14), (46, 90))), (_LINE, ((36, 52), (68, 50)))),
    "seven-curved": (
        (_CURVE, ((28, 20), (40, 13), (56, 15), (72, 12))),
        (_CURVE, ((72, 12), (60, 40), (50, 66), (47, 90))),
    ),
    "eight-rings": (
        (_CURVE, ((50, 11), (36, 20), (38, 38), (50, 46), (64, 38), (64, 20), (50, 11))),
        (_CURVE, ((50, 46), (34, 58), (32, 78), (50, 90), (68, 78), (66, 58), (50, 46))),
    ),
    "nine-straight": (
        (_CURVE, ((67, 26), (52, 11), (36, 18), (33, 36), (44, 50), (60, 44), (67, 26))),
        (_LINE, ((67, 26), (66, 90))),
    ),
}  # fmt: skip
_RING = tuple(
    (round(50 + 36 * np.cos(angle)), round(50 + 36 * np.sin(angle)))
    for angle in np.linspace(0, 2 * np.pi, 13)
)
SHAPES: dict[str, tuple[Line, ...]] = {
    "circle": ((_CURVE, _RING),),
    "square": ((_LINE, ((18, 18), (82, 18), (82, 82), (18, 82), (18, 18))),),
    "triangle": ((_LINE, ((50, 14), (86, 80), (14, 80), (50, 14))),),
    "cross": ((_LINE, ((20, 20), (80, 80))), (_LINE, ((80, 20), (20, 80)))),
    "stripes": tuple((_LINE, ((x, 12), (x - 8, 88))) for x in range(20, 96, 12)),
    "spots": tuple(
        (_CURVE, ((x - 3, y), (x, y - 3), (x + 3, y), (x, y + 3), (x - 3, y)))
        for row, y in enumerate(range(16, 90, 17))
        for x in range(16 + 9 * (row % 2), 90, 18)
    ),
    "house": (
        (_LINE, ((22, 46), (22, 86), (78, 86), (78, 46))),
        (_LINE, ((14, 52), (50, 16), (86, 52))),
        (_LINE, ((44, 86), (44, 62), (58, 62), (58, 86))),
    ),
}
NAMES = (*DIGITS, *OTHER_DIGITS, *SHAPES)


def sketch(name: str) -> dict[str, Any]:
    """Return a stored sketch, to be drawn on by `SketchPad`.

    Parameters
    ----------
    name : str
        "zero" to "nine"; digits in other hands, such as "seven-barred", "four-open" or
        "one-footed"; or a shape: "circle", "square", "triangle", "cross", "stripes", "spots",
        "house".

    Returns
    -------
    dict
        ``{"strokes": [{"points": [[x, y], ...], "width"}]}``, in shares of the side of a square.

    Raises
    ------
    DemoError
        If there is no such sketch.
    """
    name = choice(name, NAMES, "stored sketch called")
    width = NARROW if name in SHAPES else BROAD
    lines = {**DIGITS, **OTHER_DIGITS, **SHAPES}[name]
    return {"strokes": [{"points": _points(line), "width": width} for line in lines]}


def _points(line: Line) -> list[list[float]]:
    """Return the points of a line; curves run through the given ones (Catmull and Rom)."""
    kind, given = line
    corners = np.array(given, dtype=np.float64) / 100
    points = corners if kind == _LINE else _curve(corners)
    return [[round(float(x), 3), round(float(y), 3)] for x, y in points]


def _curve(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    ends = 2 * corners[[0, -1]] - corners[[1, -2]]
    padded = np.concatenate([ends[:1], corners, ends[1:]])
    t = (np.arange(STEPS) / STEPS)[:, None]
    parts = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        linear, square = c - a, 2 * a - 5 * b + 4 * c - d
        parts.append((2 * b + linear * t + square * t**2 + (3 * b - a - 3 * c + d) * t**3) / 2)
    return np.concatenate([*parts, corners[-1:]])
