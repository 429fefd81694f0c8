"""Arrays inside messages: ``{dtype, shape, buffer}`` plus one binary buffer each.

Twin of js/src/core/codec.ts. Buffers are little-endian and C-contiguous.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import XaiError

DTYPES = frozenset(
    {
        "uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64",
    }
)  # fmt: skip


class CodecError(XaiError, ValueError):
    """An array cannot be sent, or a received one does not fit its description."""


def encode(payload: Any) -> tuple[Any, list[bytes]]:
    """Replace every array in a payload by its description.

    Parameters
    ----------
    payload
        Dicts and lists at any depth, NumPy arrays among their values.

    Returns
    -------
    payload, buffers
        JSON-ready; ``buffer`` in a description is the position in the list of buffers.

    Raises
    ------
    CodecError
        If an array has a dtype that browsers have no array for.
    """
    buffers: list[bytes] = []

    def walk(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            if value.dtype.name not in DTYPES:
                raise CodecError(
                    f"An array of {value.dtype} cannot be sent: convert it to one of "
                    f"{', '.join(sorted(DTYPES))}."
                )
            portable = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
            buffers.append(portable.tobytes())
            return {
                "dtype": value.dtype.name,
                "shape": list(value.shape),
                "buffer": len(buffers) - 1,
            }
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, Mapping):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [walk(item) for item in value]
        return value

    return walk(payload), buffers


def decode(payload: Any, buffers: Sequence[Any]) -> Any:
    """Put arrays back into a payload, the inverse of `encode`.

    Raises
    ------
    CodecError
        If a description names an unknown dtype or a missing buffer, or their sizes differ.
    """
    if isinstance(payload, Mapping):
        if set(payload) == {"dtype", "shape", "buffer"}:
            return _array(payload, buffers)
        return {key: decode(item, buffers) for key, item in payload.items()}
    if isinstance(payload, list):
        return [decode(item, buffers) for item in payload]
    return payload


def _array(description: Mapping[str, Any], buffers: Sequence[Any]) -> npt.NDArray[Any]:
    dtype, index = description["dtype"], description["buffer"]
    if dtype not in DTYPES or not isinstance(index, int) or not 0 <= index < len(buffers):
        raise CodecError(f"A message describes an array that it does not hold: {description}.")
    portable = np.dtype(dtype).newbyteorder("<")
    data = bytes(buffers[index])
    shape = tuple(int(side) for side in description["shape"])
    if len(data) != int(np.prod(shape, dtype=np.int64)) * portable.itemsize:
        raise CodecError(f"A buffer of {len(data)} bytes does not fit {dtype} {list(shape)}.")
    return np.frombuffer(data, dtype=portable).reshape(shape).astype(dtype)
