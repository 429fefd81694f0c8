"""Run lengths as other programs write them: COCO's, plain and packed, and Label Studio's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.concepts.crops import MAX_RUNS
from xai_widgets.errors import StoreError
from xai_widgets.models.images import MAX_PIXELS
from xai_widgets.regions import Mask, decode_runs, encode_runs

ALPHA = 3
_RUN_SIZES = (3, 4, 8, 16)
"""Bits of the four kinds of run lengths that Label Studio itself writes."""


def from_coco(counts: Any, size: tuple[int, int]) -> Mask:
    """Return the mask of COCO's run lengths, which run down the columns.

    Parameters
    ----------
    counts
        A list of whole numbers that starts with the zeros, or the string that pycocotools packs
        them into.
    size
        Height and width.

    Raises
    ------
    StoreError
        If they do not add up to the picture, or are something else.
    """
    runs = unpack_coco(counts) if isinstance(counts, str) else _whole_numbers(counts)
    _check_runs(runs, size)
    return np.ascontiguousarray(decode_runs(runs, [size[1], size[0]]).T)


def to_coco(mask: Mask) -> list[int]:
    """Return COCO's run lengths of a mask [H, W]."""
    return encode_runs(np.ascontiguousarray(mask.T))


def unpack_coco(text: str) -> list[int]:
    """Return the run lengths of COCO's packed string (rleFrString of the COCO API).

    Each number is split into groups of five bits, the lowest first, one character a group; from
    the fourth number on it is the difference to the number two before.
    """
    runs: list[int] = []
    value, shift = 0, 0
    if len(text) > 8 * MAX_RUNS:
        raise StoreError(f"its run lengths have {len(text)} characters, which is too much")
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64 or shift > 60:
            raise StoreError("its packed run lengths are damaged")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise StoreError("its packed run lengths end in the middle of a number")
    return runs


def _whole_numbers(counts: Any) -> list[int]:
    if not isinstance(counts, list) or len(counts) > MAX_RUNS:
        raise StoreError(f"its run lengths are no list of at most {MAX_RUNS} numbers")
    if not all(isinstance(run, int) and not isinstance(run, bool) for run in counts):
        raise StoreError("its run lengths are not all whole numbers")
    return counts


def _check_runs(runs: list[int], size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise StoreError(
            f"its mask is said to have {size[1]} x {size[0]} pixels, which is too much"
        )
    if min(runs, default=0) < 0 or sum(runs) != size[0] * size[1]:
        raise StoreError(f"its run lengths do not add up to {size[1]} x {size[0]} pixels")


def from_label_studio(rle: Any, size: tuple[int, int]) -> Mask:
    """Return the mask of a Label Studio brush: where the stroke is at least half opaque.

    The bytes hold the four channels of every pixel in rows, packed as
    https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack does: the number of values
    (32 bits), the bits of a value less one (5), of four kinds of run length less one (4 each);
    then runs of a flag, the kind of length, the length less one, and one value or as many.

    Raises
    ------
    StoreError
        If the bytes are damaged, or are of a picture of another size.
    """
    n_values = 4 * size[0] * size[1]
    if n_values > 4 * MAX_PIXELS:
        raise StoreError(f"its brush is said to have {size[1]} x {size[0]} pixels: too much")
    bits = _Bits(_bytes_of(rle))
    n_said, word_size = bits.read(32), bits.read(5) + 1
    kinds = [bits.read(4) + 1 for _ in range(4)]
    if n_said != n_values:
        raise StoreError(f"its brush is not one of {size[1]} x {size[0]} pixels")
    if word_size != 8:
        raise StoreError(f"its brush has values of {word_size} bits, and 8 were expected")
    values = np.zeros(n_values, dtype=np.uint8)
    start = 0
    while start < n_values:
        repeated = bits.read(1)
        end = start + 1 + bits.read(kinds[bits.read(2)])
        if end > n_values:
            raise StoreError("its brush is damaged: a run leaves the picture")
        values[start:end] = bits.read(8) if repeated else bits.read_bytes(end - start)
        start = end
    return np.asarray(values.reshape(*size, 4)[:, :, ALPHA] >= 128)


def to_label_studio(mask: Mask) -> list[int]:
    """Return the bytes of a Label Studio brush with a mask's pixels opaque."""
    texts = [f"{4 * mask.size:032b}", f"{7:05b}", *(f"{size - 1:04b}" for size in _RUN_SIZES)]
    longest = 1 << _RUN_SIZES[-1]
    value = 0
    for run in encode_runs(mask):
        left = 4 * run
        while left > 0:
            length = min(left, longest)
            kind = next(k for k, size in enumerate(_RUN_SIZES) if length <= 1 << size)
            texts.append(f"1{kind:02b}{length - 1:0{_RUN_SIZES[kind]}b}{value:08b}")
            left -= length
        value = 255 - value
    bits = "".join(texts)
    packed = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2)
    return list(packed.to_bytes(-(-len(bits) // 8), "big"))


def _bytes_of(rle: Any) -> npt.NDArray[np.uint8]:
    limit = 8 * MAX_RUNS
    if not isinstance(rle, list) or not 0 < len(rle) <= limit:
        raise StoreError(f"its brush is no list of at most {limit} bytes")
    if not all(type(value) is int and 0 <= value <= 255 for value in rle):
        raise StoreError("its brush is no list of bytes from 0 to 255")
    return np.array(rle, dtype=np.uint8)


class _Bits:
    """Bits read one group after the other, the highest of each byte first."""

    def __init__(self, data: npt.NDArray[np.uint8]) -> None:
        self._bits = np.unpackbits(data)
        self._text = "".join(map(str, self._bits.tolist()))
        self._position = 0

    def read(self, n_bits: int) -> int:
        """Return a whole number of so many bits."""
        return int(self._text[self._take(n_bits) : self._position], 2)

    def read_bytes(self, n_bytes: int) -> Sequence[int] | npt.NDArray[np.uint8]:
        """Return so many numbers of eight bits each."""
        start = self._take(8 * n_bytes)
        return np.packbits(self._bits[start : self._position])

    def _take(self, n_bits: int) -> int:
        start = self._position
        self._position += n_bits
        if self._position > len(self._text):
            raise StoreError("its brush is damaged: it ends too early")
        return start
