"""TensorFlow's side of the array operations in backend.py."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from xai_widgets.models.backend import Backend


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

    def relu(self, array: Any) -> Any:
        """Replace negative values by zero."""
        with tf.device(self.device):
            return tf.nn.relu(self.asarray(array))

    def softmax(self, scores: Any) -> Any:
        """Normalise [N, K] scores to probabilities."""
        with tf.device(self.device):
            return tf.nn.softmax(self.asarray(scores), axis=1)
