"""TensorFlow's side of the array operations in backend.py."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from xai_widgets.models.backend import Backend, gaussian_kernel


class TensorFlowBackend(Backend):
    """Float32 eager tensors on one device.

    Parameters
    ----------
    device
        A TensorFlow device name, "/CPU:0"; None leaves the choice to TensorFlow.
    """

    def __init__(self, device: str | None = None) -> None:
        self.device = device

    def asarray(self, values: Any) -> Any:
        """Move values to the device as float32."""
        with tf.device(self.device):
            if tf.is_tensor(values):
                return tf.cast(tf.convert_to_tensor(values), tf.float32)
            return tf.convert_to_tensor(np.asarray(values, dtype=np.float32))

    def to_numpy(self, array: Any) -> npt.NDArray[np.float32]:
        """Copy a tensor to NumPy float32."""
        if tf.is_tensor(array):
            array = array.numpy()
        return np.asarray(array, dtype=np.float32)

    def stack(self, arrays: Sequence[Any]) -> Any:
        """Join tensors along a new first axis."""
        with tf.device(self.device):
            return tf.stack([self.asarray(array) for array in arrays])

    def sum(self, array: Any, axes: tuple[int, ...]) -> Any:
        """Sum over axes."""
        with tf.device(self.device):
            return tf.reduce_sum(self.asarray(array), axis=axes)

    def mean(self, array: Any, axes: tuple[int, ...]) -> Any:
        """Average over axes."""
        with tf.device(self.device):
            return tf.reduce_mean(self.asarray(array), axis=axes)

    def max(self, array: Any, axes: tuple[int, ...]) -> Any:
        """Take the maximum over axes."""
        with tf.device(self.device):
            return tf.reduce_max(self.asarray(array), axis=axes)

    def relu(self, array: Any) -> Any:
        """Replace negative values by zero."""
        with tf.device(self.device):
            return tf.nn.relu(self.asarray(array))

    def softmax(self, scores: Any) -> Any:
        """Normalise [N, K] scores to probabilities."""
        with tf.device(self.device):
            return tf.nn.softmax(self.asarray(scores), axis=1)

    def concatenate(self, arrays: Sequence[Any]) -> Any:
        """Join tensors along their first axis."""
        with tf.device(self.device):
            return tf.concat([self.asarray(array) for array in arrays], axis=0)

    def reshape(self, array: Any, shape: tuple[int, ...]) -> Any:
        """Arrange the same values in another shape."""
        with tf.device(self.device):
            return tf.reshape(self.asarray(array), shape)

    def where(self, condition: Any, chosen: Any, other: Any) -> Any:
        """Choose values where a condition holds, others elsewhere."""
        with tf.device(self.device):
            return tf.where(condition, self.asarray(chosen), self.asarray(other))

    def abs(self, array: Any) -> Any:
        """Return magnitudes."""
        with tf.device(self.device):
            return tf.abs(self.asarray(array))

    def matmul(self, first: Any, second: Any) -> Any:
        """Multiply matrices."""
        with tf.device(self.device):
            return tf.matmul(self.asarray(first), self.asarray(second))

    def transposed(self, array: Any) -> Any:
        """Swap the last two axes."""
        with tf.device(self.device):
            return tf.linalg.matrix_transpose(self.asarray(array))

    def resize(self, array: Any, size: tuple[int, int]) -> Any:
        """Resize [N, H, W, C] bilinearly."""
        with tf.device(self.device):
            return tf.image.resize(self.asarray(array), size, method="bilinear")

    def blur(self, array: Any, sigma: float) -> Any:
        """Blur [N, H, W, C] with a Gaussian, one axis after the other."""
        images = self.asarray(array)
        if sigma <= 0:
            return images
        kernel = gaussian_kernel(sigma)
        channels, radius = int(images.shape[3]), len(kernel) // 2
        with tf.device(self.device):
            for axis in (1, 2):
                first, last = images[:, :1], images[:, -1:]
                if axis == 2:
                    first, last = images[:, :, :1], images[:, :, -1:]
                padded = tf.concat(
                    [tf.repeat(first, radius, axis), images, tf.repeat(last, radius, axis)], axis
                )
                shape = (-1, 1, 1, 1) if axis == 1 else (1, -1, 1, 1)
                weight = tf.repeat(tf.reshape(kernel, shape), channels, axis=2)
                images = tf.nn.depthwise_conv2d(padded, weight, (1, 1, 1, 1), "VALID")
        return images

    def sigmoid(self, array: Any) -> Any:
        """Return 1 / (1 + exp(-array))."""
        with tf.device(self.device):
            return tf.sigmoid(self.asarray(array))

    def split(self, array: Any) -> Sequence[Any]:
        """Return the rows of a tensor, each with a first axis of one."""
        with tf.device(self.device):
            return list(tf.split(self.asarray(array), array.shape[0]))

    def irfft2(self, real: Any, imaginary: Any, size: tuple[int, int]) -> Any:
        """Transform spectra [N, C, H, W // 2 + 1] to real images [N, H, W, C]."""
        with tf.device(self.device):
            spectrum = tf.complex(self.asarray(real), self.asarray(imaginary))
            return tf.transpose(tf.signal.irfft2d(spectrum, size), (0, 2, 3, 1))

    def warp(self, array: Any, matrix: Any) -> Any:
        """Move [N, H, W, C] about, bilinearly, zero where nothing is.

        By gathering four neighbours: the gradient that TensorFlow registers for its own projective
        transform is that of a transform backwards, which is not the adjoint.
        """
        with tf.device(self.device):
            images, moves = self.asarray(array), self.asarray(matrix)
            n, height, width, channels = images.shape
            centre = tf.constant([(height - 1) / 2, (width - 1) / 2])
            rows, columns = tf.meshgrid(tf.range(height), tf.range(width), indexing="ij")
            places = tf.cast(tf.stack([rows, columns], axis=-1), tf.float32) - centre
            source = tf.reshape(places, (-1, 2)) @ tf.transpose(moves[:, :2]) + moves[:, 2] + centre
            corner = tf.floor(source)
            share = source - corner
            flat = tf.reshape(tf.transpose(images, (1, 2, 0, 3)), (height * width, -1))
            moved = tf.zeros_like(flat)
            for step in ((0, 0), (0, 1), (1, 0), (1, 1)):
                place = corner + tf.constant(step, tf.float32)
                inside = tf.reduce_all((place >= 0) & (place <= 2 * centre), axis=1)
                weight = tf.where(tf.constant(step) == 1, share, 1 - share)
                weight = tf.reduce_prod(weight, axis=1) * tf.cast(inside, tf.float32)
                index = tf.cast(tf.clip_by_value(place, 0, 2 * centre), tf.int32)
                moved += tf.gather(flat, index[:, 0] * width + index[:, 1]) * weight[:, None]
            return tf.transpose(tf.reshape(moved, (height, width, n, channels)), (2, 0, 1, 3))

    def gradients(
        self, function: Callable[..., Any], arguments: Sequence[Any]
    ) -> tuple[Any, tuple[Any, ...]]:
        """Return values and d sum(values) / d argument of a function, by a gradient tape."""
        with tf.device(self.device):
            leaves = [tf.identity(self.asarray(array)) for array in arguments]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(leaves)
                values = function(*leaves)
                total = tf.reduce_sum(values)
            return values, tuple(tape.gradient(total, leaves))
