"""Check what a user sets, each with a sentence."""

import math
import operator
from typing import Any

from xai_widgets.errors import MethodError
from xai_widgets.models.base import ExplainableModel

MIN_SIDE, MAX_SIDE = 8, 2048


def count(name: str, value: Any, least: int = 1) -> int:
    """Return a whole number of at least ``least``.

    Raises
    ------
    MethodError
        If it is none.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        whole = operator.index(value)
    except TypeError:
        raise MethodError(f"{name} is {value!r}: give a whole number.") from None
    if whole < least:
        raise MethodError(f"{name} is {whole}: give a whole number of at least {least}.")
    return whole


def number(name: str, value: Any, above: bool = False) -> float:
    """Return a finite number of at least 0, or above it.

    Raises
    ------
    MethodError
        If it is none.
    """
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise MethodError(f"{name} is {value!r}: give a number.") from None
    if not math.isfinite(found) or found < 0 or (above and not found):
        raise MethodError(f"{name} is {found:g}: give a number {'above' if above else 'from'} 0.")
    return found


def size_of(size: Any, model: ExplainableModel) -> tuple[int, int]:
    """Return (height, width) of what a user gave: a side, a pair, or None for the model's own.

    Raises
    ------
    MethodError
        If it is none of these.
    """
    if size is None:
        return model.input_shape[:2]
    sides = tuple(size) if isinstance(size, list | tuple) else (size, size)
    if len(sides) != 2:
        raise MethodError(f"size is {size!r}: give one side, or (height, width), in pixels.")
    height, width = (count("size", side, MIN_SIDE) for side in sides)
    if max(height, width) > MAX_SIDE:
        raise MethodError(f"size is {size!r}: give sides of at most {MAX_SIDE} pixels.")
    return height, width
