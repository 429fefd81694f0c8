"""Checks of what a user gives: each returns the value as plain Python, or says what to give."""

import operator
from collections.abc import Sequence
from typing import Any

from xai_widgets.errors import MetricError, near_matches


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
