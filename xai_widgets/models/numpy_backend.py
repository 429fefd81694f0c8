"""NumPy's side of the array operations in backend.py, for models that only predict."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.models.backend import Backend

Floats = npt.NDArray[np.float32]


class NumpyBackend(Backend):
    """Float32 NumPy arrays."""

    def asarray(self, values: Any) -> Floats:
        """Return values as contiguous float32."""
        if hasattr(values, "detach"):
            values = values.detach().cpu()
        return np.ascontiguousarray(values, dtype=np.float32)

    def to_numpy(self, array: Any) -> Floats:
        """Return an array as float32."""
        return self.asarray(array)

    def stack(self, arrays: Sequence[Any]) -> Floats:
        """Join arrays along a new first axis."""
        return np.stack([self.asarray(array) for array in arrays])

    def sum(self, array: Any, axes: tuple[int, ...]) -> Floats:
        """Sum over axes."""
        return np.asarray(self.asarray(array).sum(axis=axes), dtype=np.float32)

    def mean(self, array: Any, axes: tuple[int, ...]) -> Floats:
        """Average over axes."""
        return np.asarray(self.asarray(array).mean(axis=axes), dtype=np.float32)

    def relu(self, array: Any) -> Floats:
        """Replace negative values by zero."""
        return np.maximum(self.asarray(array), np.float32(0))

    def softmax(self, scores: Any) -> Floats:
        """Normalise [N, K] scores to probabilities."""
        values = self.asarray(scores)
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)
