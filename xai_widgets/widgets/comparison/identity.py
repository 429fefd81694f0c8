"""What tells parameters and targets apart, whole: keys of results that are kept."""

import hashlib
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def identity(value: Any) -> Hashable:
    """Return what tells a value from others: arrays by their content, files by time and size.

    What cannot be looked into is told by the object itself, which the key then keeps alive, so that
    no other can take its place in memory.
    """
    if isinstance(value, Mapping):
        return ("mapping", tuple((str(key), identity(value[key])) for key in sorted(value)))
    if isinstance(value, list | tuple):
        return ("sequence", tuple(identity(each) for each in value))
    if isinstance(value, str | Path):
        return (type(value).__name__, str(value), _written(value))
    if value is None or isinstance(value, bool | int | float):
        return (type(value).__name__, value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "buif":
        digest = hashlib.blake2b(np.ascontiguousarray(value).tobytes(), digest_size=16)
        return ("array", value.shape, value.dtype.str, digest.hexdigest())
    if isinstance(getattr(value, "key", None), str):  # a display image
        return (type(value).__name__, value.key)
    try:
        hash(value)
    except TypeError:
        return _Itself(value)
    return (type(value).__name__, value)


def _written(path: str | Path) -> tuple[int, int] | None:
    """Return when a file was written, and its size; None if it is none."""
    try:
        state = Path(path).stat()
    except (OSError, ValueError):  # a plain word, or too long to be a path
        return None
    return state.st_mtime_ns, state.st_size


class _Itself:
    """An object that equals itself alone."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)
