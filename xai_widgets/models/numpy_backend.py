"""NumPy's side of the array operations in backend.py, for models that only predict."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import ModelError
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

    def transposed(self, array: Any) -> Floats:
        """Swap the last two axes."""
        return np.swapaxes(self.asarray(array), -1, -2)

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

    def sigmoid(self, array: Any) -> Floats:
        """Return 1 / (1 + exp(-array))."""
        values = self.asarray(array)
        return np.asarray(0.5 * (1 + np.tanh(values / 2)), dtype=np.float32)

    def split(self, array: Any) -> Sequence[Floats]:
        """Return the rows of an array, each with a first axis of one."""
        return list(self.asarray(array)[:, None])

    def recoloured(self, array: Any, matrix: Any, offset: Any = None) -> Floats:
        """Mix the channels of [N, H, W, C]."""
        mixed = self.matmul(array, matrix)
        return mixed if offset is None else mixed + self.asarray(offset)

    def irfft2(self, spectra: Any, size: tuple[int, int]) -> Floats:
        """Transform spectra [N, C, H, W // 2 + 1, 2] to real images [N, H, W, C]."""
        given = self.asarray(spectra)
        images = np.fft.irfft2(given[..., 0] + 1j * given[..., 1], s=size, axes=(2, 3))
        return np.asarray(images.transpose(0, 2, 3, 1), dtype=np.float32)

    def warp(self, array: Any, matrix: Any) -> Floats:
        """Move [N, H, W, C] about, bilinearly, zero where nothing is."""
        images, moves = self.asarray(array), self.asarray(matrix)
        height, width = images.shape[1:3]
        centre = np.array([(height - 1) / 2, (width - 1) / 2], dtype=np.float32)
        places = np.moveaxis(np.mgrid[:height, :width], 0, -1) - centre
        source = places @ moves[:, :2].T + moves[:, 2] + centre
        corner = np.floor(source).astype(int)
        share = source - corner
        padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
        moved = np.zeros_like(images)
        for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
            y = np.clip(corner[..., 0] + row + 1, 0, height + 1)
            x = np.clip(corner[..., 1] + column + 1, 0, width + 1)
            weight = np.where([row, column], share, 1 - share).prod(axis=-1)
            moved += padded[:, y, x] * weight[..., None].astype(np.float32)
        return moved

    def gradients(self, function: Callable[..., Any], arguments: Sequence[Any]) -> NoReturn:
        """Raise `ModelError`: NumPy differentiates nothing."""
        raise ModelError("NumPy arrays have no gradient: load the original model.")


def _between(n: int, side: int) -> tuple[Any, Any, Floats]:
    """Return the two neighbours of each of ``side`` positions among n, and the second's share."""
    at = np.clip((np.arange(side) + 0.5) * n / side - 0.5, 0, n - 1)
    low = np.floor(at).astype(int)
    return low, np.minimum(low + 1, n - 1), (at - low).astype(np.float32)
