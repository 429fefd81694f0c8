"""Regions as selectors of Web Annotations: media fragments for boxes, SVG for everything else."""

import math
import re
from typing import Any

import numpy as np

from xai_widgets.errors import StoreError
from xai_widgets.regions import decode_runs

MEDIA_FRAGMENTS = "http://www.w3.org/TR/media-frags/"
SVG = "http://www.w3.org/2000/svg"
MAX_PIECES = 20_000
"""Rows of a mask that are written as SVG; beyond, only its bounding box is."""
MAX_SVG = 8_000_000

_NUMBER = r"\s*([0-9]+(?:\.[0-9]+)?)\s*"
_XYWH = re.compile(rf"xywh=(pixel:|percent:)?{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}")
_POLYGON = re.compile(r"<polygon\b[^<>]*?\spoints\s*=\s*[\"']([^\"'<>]*)[\"'][^<>]*/?>")
_RECT = re.compile(r"<rect\b([^<>]*)/?>")
_ATTRIBUTE = re.compile(r"\b(x|y|width|height)\s*=\s*[\"']\s*([-+0-9.eE]+)\s*[\"']")


def to_selector(region: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """Return the selector of a region.

    Parameters
    ----------
    region
        In its wire form, checked.
    size
        Height and width of the picture in pixels.

    Returns
    -------
    dict
        A FragmentSelector in whole pixels for a rectangle, else an SvgSelector.
    """
    if region["type"] == "rect":
        left, top = math.floor(region["x"]), math.floor(region["y"])
        right = math.ceil(region["x"] + region["width"])
        bottom = math.ceil(region["y"] + region["height"])
        return _fragment(left, top, right, bottom, size)
    if region["type"] == "polygon":
        points = " ".join(f"{x:.10g},{y:.10g}" for x, y in region["points"])
        return _svg(f'<polygon points="{points}"/>')
    return _of_mask(region, size)


def _of_mask(region: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """Draw a mask as one box per run of pixels in a row."""
    height, width = region["size"]
    mask = decode_runs(region["counts"], region["size"])
    padded = np.pad(mask.astype(np.int8), ((0, 0), (1, 1)))
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    if not len(rows):
        return _svg("<path d=''/>".replace("'", '"'))
    if len(rows) > MAX_PIECES:
        across, down = size[1] / width, size[0] / height
        return _fragment(
            math.floor(starts.min() * across),
            math.floor(rows.min() * down),
            math.ceil(ends.max() * across),
            math.ceil((rows.max() + 1) * down),
            size,
        )
    pieces = "".join(
        f"M{x} {y}h{end - x}v1h-{end - x}z"
        for y, x, end in zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True)
    )
    path = f'<path d="{pieces}"/>'
    if (height, width) == size:
        return _svg(path)
    return _svg(f'<g transform="scale({size[1] / width:.10g} {size[0] / height:.10g})">{path}</g>')


def _fragment(
    left: int, top: int, right: int, bottom: int, size: tuple[int, int]
) -> dict[str, Any]:
    left, top = max(0, left), max(0, top)
    right, bottom = min(size[1], right), min(size[0], bottom)
    return {
        "type": "FragmentSelector",
        "conformsTo": MEDIA_FRAGMENTS,
        "value": f"xywh=pixel:{left},{top},{max(0, right - left)},{max(0, bottom - top)}",
    }


def _svg(drawing: str) -> dict[str, Any]:
    return {"type": "SvgSelector", "value": f'<svg xmlns="{SVG}">{drawing}</svg>'}


def from_selector(selector: Any, size: tuple[int, int] | None) -> dict[str, Any]:
    """Return the region of another program's selector: a box, or an SVG polygon or rectangle.

    Parameters
    ----------
    selector
        A FragmentSelector or SvgSelector, or a list whose first is one.
    size
        Height and width of the picture, for percent; None where unknown.

    Raises
    ------
    StoreError
        If it is another selector, or draws something else.
    """
    if isinstance(selector, list) and selector:
        selector = selector[0]
    value = selector.get("value") if isinstance(selector, dict) else None
    kind = selector.get("type") if isinstance(selector, dict) else None
    if isinstance(value, str) and len(value) <= MAX_SVG:
        if kind == "FragmentSelector":
            region = _from_fragment(value, size)
        elif kind == "SvgSelector":
            region = _from_svg(value)
        else:
            region = None
        if region is not None:
            return region
    raise StoreError(
        "its selector is not understood: a FragmentSelector with 'xywh=pixel:...' or an "
        "SvgSelector with one polygon or rectangle is"
    )


def _from_fragment(value: str, size: tuple[int, int] | None) -> dict[str, Any] | None:
    found = _XYWH.fullmatch(value)
    if not found:
        return None
    x, y, width, height = (float(number) for number in found.groups()[1:])
    if found[1] == "percent:":
        if size is None:
            return None
        x, width = x * size[1] / 100, width * size[1] / 100
        y, height = y * size[0] / 100, height * size[0] / 100
    return {"type": "rect", "x": x, "y": y, "width": width, "height": height}


def _from_svg(value: str) -> dict[str, Any] | None:
    """Read the two simplest drawings; nothing of the SVG is ever shown or run."""
    polygons, boxes = _POLYGON.findall(value), _RECT.findall(value)
    if "transform" in value or len(polygons) + len(boxes) != 1:
        return None
    try:
        if boxes:
            sides = {name: float(number) for name, number in _ATTRIBUTE.findall(boxes[0])}
            return {"type": "rect", "x": sides.get("x", 0.0), "y": sides.get("y", 0.0), **sides}
        numbers = [float(number) for number in re.split(r"[\s,]+", polygons[0].strip())]
    except ValueError:
        return None
    if len(numbers) % 2:
        return None
    points = [list(pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]
    return {"type": "polygon", "points": points}
