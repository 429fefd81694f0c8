"""Demo data "digits": scikit-learn's handwritten digits, enlarged from 8 to 32 px.

Real handwriting (UCI "Optical Recognition of Handwritten Digits", Alpaydin and Kaynak 1998), light
strokes on black. The division into train and test is fixed: the last 50 of each class are test.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xai_widgets.errors import DependencyError

from .names import DemoError
from .streams import balanced, stream

SIZE = 32
CLASS_NAMES = tuple("0123456789")
N_TEST = 50
"""Test pictures of each class."""


@lru_cache(maxsize=1)
def _originals() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the pictures [1797, 8, 8] in [0, 16] and their labels."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DependencyError(
            'The demo data "digits" come with scikit-learn, which is not installed; '
            'install it with: pip install "xai-widgets[demo]".'
        ) from error
    bunch = load_digits()
    return bunch.images.astype(np.float32), bunch.target.astype(np.int64)


def _enlarged(original: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return one digit uint8 [SIZE, SIZE]."""
    small = Image.fromarray(original / 16 * 255)
    large = np.asarray(small.resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    return np.asarray(np.clip(large, 0, 255) + 0.5, np.float32).clip(0, 255).astype(np.uint8)


def _members(split: str) -> list[NDArray[np.int64]]:
    """Return for each class the positions of its pictures in one split."""
    labels = _originals()[1]
    of_class = [np.flatnonzero(labels == k) for k in range(len(CLASS_NAMES))]
    return [m[-N_TEST:] if split == "test" else m[:-N_TEST] for m in of_class]


def generate(
    n: int, seed: int, split: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64], dict[str, NDArray[np.bool_]]]:
    """Return images [n, SIZE, SIZE, 3], labels [n] and the mask "stroke" [n, SIZE, SIZE].

    The seed chooses the order; no picture comes twice.
    """
    members = _members(split)
    most = min(map(len, members)) * len(members)
    if n > most:
        raise DemoError(
            f'"digits" has at most {most} balanced pictures in the split "{split}", '
            f"but n={n} were asked for; ask for fewer."
        )
    originals, _ = _originals()
    key = ("digits", split, seed)
    orders = [stream(*key, k, "members").permutation(m) for k, m in enumerate(members)]
    images = np.empty((n, SIZE, SIZE, 3), np.uint8)
    labels = np.empty(n, np.int64)
    for index, label in balanced(n, len(members), *key):
        original = originals[orders[label][index // len(members)]]
        images[index] = _enlarged(original)[..., None]
        labels[index] = label
    return images, labels, {"stroke": images[..., 0] > 96}
