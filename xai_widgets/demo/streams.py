"""Random streams of the demo generators: one independent stream per picture and per part of it.

Picture ``i`` of a data set depends on the data set's name, the split, the seed, ``i`` and nothing
else, so asking for more pictures keeps the first ones, and two splits never share a stream.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

SPLITS = ("train", "test")


def stream(*key: str | int) -> np.random.Generator:
    """Return the random generator that belongs to a key of words and non-negative integers.

    Parameters
    ----------
    *key : str or int
        For instance ``("lesions", "test", 0, 17, "hairs")``. Words are hashed with CRC-32, which
        does not change between Python runs.
    """
    entropy = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in key]
    # Tagging each part with its kind keeps a word from colliding with an integer.
    tags = [int(isinstance(part, str)) for part in key]
    return np.random.default_rng(
        np.random.SeedSequence([v for pair in zip(tags, entropy, strict=True) for v in pair])
    )


def balanced(n: int, n_kinds: int, *key: str | int) -> Iterator[tuple[int, int]]:
    """Yield ``(index, kind)`` for n pictures, each block of n_kinds holding every kind once."""
    for index in range(n):
        block, place = divmod(index, n_kinds)
        order = stream(*key, block, "order").permutation(n_kinds)
        yield index, int(order[place])
