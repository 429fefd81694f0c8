"""Checks of what a user asks the demo for: names that exist, numbers that make sense."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from xai_widgets.errors import XaiError, near_matches


class DemoError(XaiError, ValueError):
    """The demo data, concepts or models do not have what was asked for."""


def choice(value: object, allowed: Iterable[str], what: str) -> str:
    """Return the value if it is allowed.

    Parameters
    ----------
    value : object
        What the user gave.
    allowed : iterable of str
        What there is.
    what : str
        What it is a name of, as in "demo data set".

    Raises
    ------
    DemoError
        If there is no such name; the message suggests the nearest ones.
    """
    names = list(allowed)
    if isinstance(value, str) and value in names:
        return value
    raise DemoError(f"There is no {what} {value!r}.{near_matches(str(value), names)}")


def whole_number(value: object, what: str, least: int) -> int:
    """Return a whole number of at least ``least``, or raise DemoError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise DemoError(f"{what} must be a whole number of at least {least}, not {value!r}.")
    return int(value)
