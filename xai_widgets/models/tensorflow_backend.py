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
        """Choose values where a condition holds, others elsewhere.

        By the first version of TensorFlow's operation, which does not broadcast: on CPUs the one
        behind `tf.where` branches for each value and takes several times as long.
        """
        with tf.device(self.device):
            arrays = tf.convert_to_tensor(condition), self.asarray(chosen), self.asarray(other)
            if not tf.executing_eagerly():  # sides may not be known yet
                return tf.where(*arrays)
            shape = np.broadcast_shapes(*(array.shape for array in arrays))
            mask, x, y = (tf.broadcast_to(array, shape) for array in arrays)
            return tf.raw_ops.Select(condition=mask, x=x, y=y)

    def abs(self, array: Any) -> Any:
        """Return magnitudes."""
        with tf.device(self.device):
            return tf.abs(self.asarray(array))

    def matmul(self, first: Any, second: Any) -> Any:
        """Multiply matrices."""
        with tf.device(self.device):
            return tf.matmul(self.asarray(first), self.asarray(second))

    def masked(self, image: Any, masks: Any) -> Any:
        """Multiply an image by each of N masks, repeated first.

        A product that repeats the last axis itself takes Eigen four times as long.
        """
        with tf.device(self.device):
            image = self.asarray(image)
            shape = (*masks.shape[:3], image.shape[2])
            return tf.broadcast_to(self.asarray(masks), shape) * image

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

    def recoloured(self, array: Any, matrix: Any, offset: Any = None) -> Any:
        """Mix the channels of [N, H, W, C], as one matrix of all pixels."""
        with tf.device(self.device):
            images, matrix = self.asarray(array), self.asarray(matrix)
            n, height, width, channels = images.shape
            mixed = tf.reshape(images, (-1, channels)) @ matrix
            if offset is not None:
                mixed = tf.nn.bias_add(mixed, self.asarray(offset))
            return tf.reshape(mixed, (n, height, width, matrix.shape[1]))

    def irfft2(self, spectra: Any, size: tuple[int, int]) -> Any:
        """Transform spectra [N, C, H, W // 2 + 1, 2] to real images [N, H, W, C].

        With a gradient of its own: TensorFlow's takes four times as long as the transform.
        """
        height, width = size
        # all but the first column, and the last of an even side, stand for two of the whole
        columns = np.full(width // 2 + 1, 2 / (height * width), np.float32)
        columns[[0, -1] if width % 2 == 0 else [0]] /= 2

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def transform(given: Any) -> tuple[Any, Callable[[Any], Any]]:
            def back(gradient: Any) -> Any:
                return tf.bitcast(tf.signal.rfft2d(gradient), tf.float32) * columns[:, None]

            return tf.signal.irfft2d(tf.bitcast(given, tf.complex64), size), back

        with tf.device(self.device):
            return tf.transpose(transform(self.asarray(spectra)), (0, 2, 3, 1))

    def warp(self, array: Any, matrix: Any) -> Any:
        """Move [N, H, W, C] about, bilinearly, zero where nothing is.

        By gathering four neighbours, and back by the transposed sparse matrix of the same weights:
        the gradient that TensorFlow registers for its own projective transform is that of a
        transform backwards, which is not the adjoint.
        """
        with tf.device(self.device):
            images = self.asarray(array)
            n, height, width, channels = images.shape
            places, weights = _neighbours(self.asarray(matrix), (height, width))

            @tf.custom_gradient  # type: ignore[untyped-decorator]
            def moved(pixels: Any) -> tuple[Any, Callable[[Any], Any]]:
                def back(gradient: Any) -> Any:
                    rows = tf.repeat(tf.range(height * width, dtype=tf.int64), 4)
                    columns = tf.cast(tf.reshape(tf.stack(places, axis=1), [-1]), tf.int64)
                    return tf.raw_ops.SparseTensorDenseMatMul(
                        a_indices=tf.stack([rows, columns], axis=1),
                        a_values=tf.reshape(tf.stack(weights, axis=1), [-1]),
                        a_shape=tf.constant([height * width] * 2, tf.int64),
                        b=gradient,
                        adjoint_a=True,
                    )

                parts = zip(places, weights, strict=True)
                return tf.add_n([tf.gather(pixels, at) * w[:, None] for at, w in parts]), back

            flat = tf.reshape(tf.transpose(images, (1, 2, 0, 3)), (height * width, -1))
            planes = tf.reshape(moved(flat), (height, width, n, channels))
            return tf.transpose(planes, (2, 0, 1, 3))

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


def _neighbours(matrix: Any, size: tuple[int, int]) -> tuple[list[Any], list[Any]]:
    """Return the four pixels around where each comes from, int32 [H W], and their weights [H W].

    Pixels outside weigh nothing.
    """
    height, width = size
    rows = tf.range(height, dtype=tf.float32)[:, None] - (height - 1) / 2
    columns = tf.range(width, dtype=tf.float32) - (width - 1) / 2
    either: list[list[tuple[Any, Any]]] = []
    for axis, side in enumerate(size):
        shifted = matrix[axis, 1] * columns + (matrix[axis, 2] + (side - 1) / 2)
        source = matrix[axis, 0] * rows + shifted
        before = tf.floor(source)
        share, first = source - before, tf.cast(before, tf.int32)
        either.append(
            [
                (
                    tf.clip_by_value(place, 0, side - 1),
                    tf.where((place >= 0) & (place < side), weight, 0.0),
                )
                for place, weight in ((first, 1 - share), (first + 1, share))
            ]
        )
    pairs = [(row, column) for row in either[0] for column in either[1]]
    places = [tf.reshape(row[0] * width + column[0], [-1]) for row, column in pairs]
    return places, [tf.reshape(row[1] * column[1], [-1]) for row, column in pairs]
