"""Checks of what a user gives: each returns the value as plain Python, or says what to give."""

import math
import operator
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np

from xai_widgets.errors import MethodError, MetricError, near_matches
from xai_widgets.explainers.baselines import check_baseline

Check = Callable[[str, Any], Any]
"""From what to call a parameter, and its value, to the value."""


def whole(least: int) -> Check:
    """Return a check for whole numbers of at least ``least``."""

    def check(name: str, value: Any) -> int:
        try:
            number = None if isinstance(value, bool) else operator.index(value)
        except TypeError:
            number = None
        if number is None or number < least:
            raise MetricError(f"{name} is {value!r}: give a whole number of at least {least}.")
        return number

    return check


def number(above: float, up_to: float = math.inf, *, none: bool = False) -> Check:
    """Return a check for finite numbers above ``above``, up to ``up_to``; None where allowed."""
    ends = f"above {above:g}" + ("" if up_to == math.inf else f", up to {up_to:g}")

    def check(name: str, value: Any) -> float | None:
        if value is None and none:
            return None
        if not is_number(value) or not above < value <= up_to:
            raise MetricError(
                f"{name} is {value!r}: give a number {ends}{', or None' if none else ''}."
            )
        return value if isinstance(value, int) else float(value)

    return check


def choice(known: Sequence[str]) -> Check:
    """Return a check for one of several texts."""

    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            raise MetricError(f"{name} cannot be {value!r}.{near_matches(str(value), known)}")
        return value

    return check


def fill(name: str, value: Any) -> Any:
    """Check what pixels are removed to: any baseline."""
    try:
        check_baseline(value)
    except MethodError as error:
        raise MetricError(f"{name} cannot be used. {error}") from error
    return value


def flag(name: str, value: Any) -> bool:
    """Check what is either True or False."""
    if not isinstance(value, bool | np.bool_):
        raise MetricError(f"{name} is {value!r}: give True or False.")
    return bool(value)


def confidence_level(value: Any) -> float:
    """Check a confidence of intervals."""
    if not is_number(value) or not 0 < value < 1:
        raise MetricError(f"confidence is {value!r}: give a number between 0 and 1.")
    return float(value)


def is_number(value: Any) -> bool:
    """Tell whether a value is one finite number, of Python or NumPy."""
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def true_labels(given: Sequence[Any], names: Sequence[str]) -> list[str | None]:
    """Return the true class of each picture by its name, None where it is not known.

    Parameters
    ----------
    given
        Positions from 0, names, or None.
    names
        The K classes of the model.

    Raises
    ------
    MetricError
        If the model has no such class.
    """
    return [None if label is None else _class_name(label, names) for label in given]


def _class_name(label: Any, names: Sequence[str]) -> str:
    if isinstance(label, str):
        if label in names:
            return str(label)
        alike = {name for name in names if name.lower() == label.lower()}
        if len(alike) == 1:
            return alike.pop()
        raise MetricError(
            f"The model has no class {label!r} among the labels: give its class names or "
            f"positions, or a column of your own.{near_matches(label, names)}"
        )
    try:
        position = None if isinstance(label, bool) else operator.index(label)
    except TypeError:
        position = None
    if position is None or not 0 <= position < len(names):
        raise MetricError(
            f"The model has no class {label!r} among the labels: give positions from 0 to "
            f"{len(names) - 1}, or class names."
        )
    return names[position]
