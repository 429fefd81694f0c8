"""Sketches: strokes as vector data, checked, and the picture that a model gets to see of them.

Twin of js/src/core/sketch.ts: both give the same pixels. Positions are shares of the pad's longer
side, x before y, from its upper left corner; widths too.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import SketchError
from xai_widgets.models.images import Pixels

Coverage = npt.NDArray[np.float64]

UNITS = 1000
"""Of the pad's longer side, on the screen: maps are placed in them."""
MAX_POINTS = 200_000
MAX_BYTES = 4 * 1024**2
DEFAULT_WIDTH = 0.12
WINDOW_CELLS = 64
"""Cells along the longer side on which the extent of a drawing is found."""
MIN_WINDOW = 0.1
_COLOUR = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True)
class Window:
    """The part of the pad that the model sees, in shares of the pad's longer side."""

    x: float
    y: float
    width: float
    height: float

    def to_list(self) -> list[float]:
        """Return x, y, width and height."""
        return [self.x, self.y, self.width, self.height]


def whole(size: tuple[int, int]) -> Window:
    """Return the window that shows the whole pad of a size (height, width)."""
    height, width = size
    longest = max(size)
    return Window(0.0, 0.0, width / longest, height / longest)


def check_colour(value: Any) -> str:
    """Return a colour as "#rrggbb".

    Raises
    ------
    SketchError
        If it is none that Matplotlib knows, or transparent.
    """
    from matplotlib.colors import to_hex, to_rgba

    try:
        if to_rgba(value)[3] < 1:
            raise ValueError("transparent")
        return str(to_hex(value))
    except (ValueError, TypeError):
        raise SketchError(
            f"{value!r} is no colour: give a name such as 'white', or '#rrggbb'."
        ) from None


def contrast(ground: str) -> str:
    """Return black or white, whichever shows on a ground "#rrggbb"."""
    red, green, blue = _channels(ground)
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 127.5 else "#ffffff"


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def check_sketch(value: Any, ink: str = "#ffffff") -> dict[str, Any]:
    """Return a sketch in its wire form after checking types and numbers.

    Parameters
    ----------
    value
        ``{"strokes": [{"points": [[x, y], [x, y, pressure], ...], "width", "colour", "erase"}]}``;
        only the points are needed. A pressure, 0..4, scales the width; 1 is that of a mouse.
    ink
        Colour of strokes that have none.

    Raises
    ------
    SketchError
        If it is none.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("strokes"), Sequence):
        raise SketchError(
            "A sketch must be a dict {'strokes': [{'points': [[x, y], ...]}, ...]}, with positions "
            "as shares of the pad's longer side."
        )
    total = sum(len(_points(stroke, number)) for number, stroke in enumerate(value["strokes"]))
    if total > MAX_POINTS:
        raise SketchError(
            f"The sketch has {total} points, but at most {MAX_POINTS} can be drawn: leave some out."
        )
    return {
        "strokes": [_stroke(stroke, number, ink) for number, stroke in enumerate(value["strokes"])]
    }


def _points(stroke: Any, number: int) -> Sequence[Any]:
    points = stroke.get("points") if isinstance(stroke, Mapping) else None
    if isinstance(points, np.ndarray):
        points = points.tolist()
    if not isinstance(points, Sequence):
        raise SketchError(
            f"Stroke {number} of the sketch must be a dict with 'points': [[x, y], ...]."
        )
    return points


def _stroke(value: Any, number: int, ink: str) -> dict[str, Any]:
    where = f"Stroke {number} of the sketch"
    points = []
    for point in _points(value, number):
        try:
            numbers = [float(part) for part in point]
        except (TypeError, ValueError):
            numbers = []
        if len(numbers) not in (2, 3) or not np.isfinite(numbers).all():
            raise SketchError(
                f"{where} has the point {point!r}: give [x, y] or [x, y, pressure], finite numbers."
            )
        if len(numbers) == 3 and not 0 <= numbers[2] <= 4:
            raise SketchError(
                f"{where} has the point {point!r}: the pressure scales the width, from 0 to 4."
            )
        if max(map(abs, numbers)) > 10:
            raise SketchError(
                f"{where} has the point {point!r}: positions are shares of the pad's longer side, "
                "so divide pixels by it."
            )
        points.append([round(part, 4) for part in numbers])
    if not points:
        raise SketchError(f"{where} has no points: give one at least.")
    try:
        width = float(DEFAULT_WIDTH if value.get("width") is None else value["width"])
    except (TypeError, ValueError):
        width = 0.0
    if not 0 < width <= 2:
        raise SketchError(
            f"{where} has the width {value['width']!r}: give a share of the pad's longer side, "
            f"such as {DEFAULT_WIDTH}."
        )
    colour = ink if value.get("colour") is None else check_colour(value["colour"])
    return {
        "points": points,
        "width": round(width, 4),
        "colour": colour,
        "erase": bool(value.get("erase", False)),
    }


def turned(sketch: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    """Return a sketch whose strokes of one colour have another."""
    return {
        "strokes": [
            {**stroke, "colour": new} if stroke["colour"] == old else stroke
            for stroke in sketch["strokes"]
        ]
    }


def placed(sketch: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """Return a sketch made on a square pad, put in the middle of a pad of (height, width)."""
    height, width = size
    longest, side = max(size), min(size)
    scale, left, top = side / longest, (width - side) / 2 / longest, (height - side) / 2 / longest
    strokes = [
        {
            **stroke,
            "points": [[left + p[0] * scale, top + p[1] * scale, *p[2:]] for p in stroke["points"]],
            "width": stroke.get("width", DEFAULT_WIDTH) * scale,
        }
        for stroke in sketch["strokes"]
    ]
    return {"strokes": strokes}


# Pixels -----------------------------------------------------------------------------------


def _segments(
    stroke: Mapping[str, Any], window: Window, scale: float
) -> Iterator[tuple[float, float, float, float, float]]:
    """Yield x0, y0, x1, y1 and radius of each piece of a stroke, in pixels."""
    points = stroke["points"]
    for index in range(max(1, len(points) - 1)):
        a, b = points[index], points[min(index + 1, len(points) - 1)]
        pressure = ((a[2] if len(a) > 2 else 1.0) + (b[2] if len(b) > 2 else 1.0)) / 2
        yield (
            (a[0] - window.x) * scale,
            (a[1] - window.y) * scale,
            (b[0] - window.x) * scale,
            (b[1] - window.y) * scale,
            stroke["width"] * pressure / 2 * scale,
        )


def coverage(stroke: Mapping[str, Any], size: tuple[int, ...], window: Window) -> Coverage:
    """Return how much of each pixel a stroke covers, [h, w] in 0..1.

    A piece of the stroke is all that lies within its radius of a line; an edge pixel is covered
    by its distance from that border.
    """
    height, width = size
    found = np.zeros(size)
    for x0, y0, x1, y1, radius in _segments(stroke, window, width / window.width):
        left = max(0, int(np.floor(min(x0, x1) - radius - 1)))
        right = min(width, int(np.ceil(max(x0, x1) + radius + 1)))
        top = max(0, int(np.floor(min(y0, y1) - radius - 1)))
        bottom = min(height, int(np.ceil(max(y0, y1) + radius + 1)))
        if left >= right or top >= bottom:
            continue
        x = np.arange(left, right) + 0.5 - x0
        y = (np.arange(top, bottom) + 0.5 - y0)[:, None]
        dx, dy = x1 - x0, y1 - y0
        along = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-12), 0, 1)
        distance = np.sqrt((x - along * dx) ** 2 + (y - along * dy) ** 2)
        new = np.clip(radius + 0.5 - distance, 0, min(1.0, 2 * radius))
        part = found[top:bottom, left:right]
        np.maximum(part, new, out=part)
    return found


def rasterise(
    sketch: Mapping[str, Any],
    size: tuple[int, int],
    ground: str,
    window: Window | None = None,
    background: Pixels | None = None,
) -> Pixels:
    """Return the picture of a sketch.

    Parameters
    ----------
    sketch
        In its wire form.
    size
        (height, width) of the picture in pixels.
    ground
        Colour below the strokes, "#rrggbb".
    window
        The part of the pad to show; None for all of it.
    background
        uint8 [height, width, 3] of the whole pad in place of the ground; an eraser brings it back.

    Returns
    -------
    ndarray
        uint8 [height, width, 3].
    """
    window = window or whole(size)
    paper = np.empty((*size, 3))
    paper[:] = _channels(ground) if background is None else background
    picture = paper.copy()
    for stroke in sketch["strokes"]:
        share = coverage(stroke, size, window)[..., None]
        colour = paper if stroke["erase"] else np.array(_channels(stroke["colour"]), dtype=float)
        picture += (colour - picture) * share
    return np.floor(picture + 0.5).astype(np.uint8)


def fitted(sketch: Mapping[str, Any], size: tuple[int, int], margin: float) -> Window:
    """Return the window that just encloses what is drawn; the whole pad while nothing is.

    Parameters
    ----------
    sketch
        In its wire form.
    size
        (height, width) of the pad, of which only the ratio counts.
    margin
        Share of the window that is left free on each side of the drawing, 0..0.4.
    """
    pad = whole(size)
    cells = tuple(max(1, int(side * WINDOW_CELLS + 0.5)) for side in (pad.height, pad.width))
    ink = np.zeros(cells)
    for stroke in sketch["strokes"]:
        share = coverage(stroke, cells, Window(0, 0, cells[1] / WINDOW_CELLS, 0))
        ink = ink * (1 - share) if stroke["erase"] else np.maximum(ink, share)
    rows, columns = (np.flatnonzero((ink > 0.25).any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return pad
    top, bottom = rows[0] / WINDOW_CELLS, (rows[-1] + 1) / WINDOW_CELLS
    left, right = columns[0] / WINDOW_CELLS, (columns[-1] + 1) / WINDOW_CELLS
    scale = max((right - left) / pad.width, (bottom - top) / pad.height, MIN_WINDOW)
    scale /= 1 - 2 * margin
    width, height = pad.width * scale, pad.height * scale
    return Window((left + right - width) / 2, (top + bottom - height) / 2, width, height)
