"""NumPy's side of the array operations in backend.py, for models that only predict."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.models.backend import Backend, gaussian_kernel

Floats = npt.NDArray[np.float32]


class NumpyBackend(Backend):
    """Float32 NumPy arrays."""

    def asarray(self, values: Any) -> Floats:
        """Return values as contiguous float32."""
        if hasattr(values, "detach"):
            values = values.detach().cpu()
        return np.asarray(values, dtype=np.float32, order="C")

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

    def max(self, array: Any, axes: tuple[int, ...]) -> Floats:
        """Take the maximum over axes."""
        return np.asarray(self.asarray(array).max(axis=axes), dtype=np.float32)

    def relu(self, array: Any) -> Floats:
        """Replace negative values by zero."""
        return np.maximum(self.asarray(array), np.float32(0))

    def softmax(self, scores: Any) -> Floats:
        """Normalise [N, K] scores to probabilities."""
        values = self.asarray(scores)
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)

    def concatenate(self, arrays: Sequence[Any]) -> Floats:
        """Join arrays along their first axis."""
        return np.concatenate([self.asarray(array) for array in arrays])

    def reshape(self, array: Any, shape: tuple[int, ...]) -> Floats:
        """Arrange the same values in another shape."""
        return self.asarray(array).reshape(shape)

    def where(self, condition: Any, chosen: Any, other: Any) -> Floats:
        """Choose values where a condition holds, others elsewhere."""
        return np.where(condition, self.asarray(chosen), self.asarray(other))

    def abs(self, array: Any) -> Floats:
        """Return magnitudes."""
        return np.abs(self.asarray(array))

    def matmul(self, first: Any, second: Any) -> Floats:
        """Multiply matrices."""
        return np.asarray(np.matmul(self.asarray(first), self.asarray(second)), dtype=np.float32)

    def resize(self, array: Any, size: tuple[int, int]) -> Floats:
        """Resize [N, H, W, C] bilinearly."""
        values = self.asarray(array)
        for axis, side in ((1, size[0]), (2, size[1])):
            low, high, share = _between(values.shape[axis], side)
            shape = [1] * 4
            shape[axis] = side
            share = share.reshape(shape)
            values = values.take(low, axis) * (1 - share) + values.take(high, axis) * share
        return np.asarray(values, dtype=np.float32, order="C")

    def blur(self, array: Any, sigma: float) -> Floats:
        """Blur [N, H, W, C] with a Gaussian."""
        from scipy.ndimage import correlate1d

        values = self.asarray(array)
        if sigma <= 0:
            return values
        kernel = gaussian_kernel(sigma)
        rows = correlate1d(values, kernel, axis=1, mode="nearest")
        return np.asarray(correlate1d(rows, kernel, axis=2, mode="nearest"), dtype=np.float32)


def _between(n: int, side: int) -> tuple[Any, Any, Floats]:
    """Return the two neighbours of each of ``side`` positions among n, and the second's share."""
    at = np.clip((np.arange(side) + 0.5) * n / side - 0.5, 0, n - 1)
    low = np.floor(at).astype(int)
    return low, np.minimum(low + 1, n - 1), (at - low).astype(np.float32)
