"""JSON that people read and compare line by line, and JSON from strangers."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from xai_widgets.concepts.layout import read_bytes
from xai_widgets.errors import StoreError

MAX_DEPTH = 100
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def to_text(value: Any, indent: str = "") -> str:
    """Return JSON with one field a line, and lists of numbers on one line."""
    inner = indent + "  "
    if isinstance(value, dict) and value:
        fields = (
            f"{inner}{json.dumps(str(key), ensure_ascii=False)}: {to_text(item, inner)}"
            for key, item in value.items()
        )
        return "{\n" + ",\n".join(fields) + "\n" + indent + "}"
    if isinstance(value, list | tuple) and not _is_plain(value):
        items = (inner + to_text(item, inner) for item in value)
        return "[\n" + ",\n".join(items) + "\n" + indent + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def to_bytes(value: Any) -> bytes:
    """Return `to_text` as a file's content."""
    # Half of a surrogate pair has no UTF-8; backslashreplace writes it as JSON does.
    return (to_text(value) + "\n").encode("utf-8", "backslashreplace")


def _is_plain(values: Any) -> bool:
    """Say whether a list holds only numbers, or lists of numbers."""
    return all(
        _is_plain(item) if isinstance(item, list | tuple) else isinstance(item, int | float)
        for item in values
    )


def parse(data: bytes, what: str) -> Any:
    """Return the value of JSON text.

    Parameters
    ----------
    data
        UTF-8, with or without a byte order mark.
    what
        The file's name, for the sentence.

    Raises
    ------
    StoreError
        If it is no JSON, not UTF-8, nested too deeply, or holds NaN or infinite numbers.
    """
    if _is_deep(data):
        raise StoreError(f"{what} is nested too deeply to be read.")
    try:
        return json.loads(
            data.decode("utf-8-sig"),
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_integer,
        )
    except RecursionError as error:
        raise StoreError(f"{what} is nested too deeply to be read.") from error
    except UnicodeDecodeError as error:
        raise StoreError(f"{what} is not text in UTF-8 and cannot be read as JSON.") from error
    except ValueError as error:
        raise StoreError(f"{what} cannot be read as JSON: {str(error)[:200]}.") from error


def _is_deep(data: bytes) -> bool:
    """Say whether JSON is nested more than 100 deep: reading or showing it could then fail."""
    if _depth(data) <= MAX_DEPTH:
        return False
    return _depth(_STRING.sub(b"", data)) > MAX_DEPTH


def _depth(data: bytes) -> int:
    """Return how many brackets are open at most, those within texts included."""
    open_now, most = 0, 0
    for start in range(0, len(data), 1 << 20):
        part = np.frombuffer(data, np.uint8, min(1 << 20, len(data) - start), start)
        # "[" and "]" differ from "{" and "}" in the bit 0x20 only.
        plain = part & 0xDF
        steps = (plain == ord("[")).astype(np.int32) - (plain == ord("]"))
        depths = open_now + np.cumsum(steps)
        open_now, most = int(depths[-1]), max(most, int(depths.max()))
    return most


def read_json(path: Path, limit: int) -> Any:
    """Return the value of a JSON file of at most ``limit`` bytes; no link is followed.

    Raises
    ------
    StoreError
        If there is no such file, or it cannot be read as JSON.
    """
    return parse(read_bytes(path, limit), repr(str(path)))


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is not a finite number")
    return value


def _integer(text: str) -> int:
    if len(text) > 20:
        raise ValueError(f"{text[:10]}... is too large a number")
    return int(text)
