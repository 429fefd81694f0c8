"""TensorFlow's side of the array operations in backend.py."""

from collections.abc import Sequence
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
