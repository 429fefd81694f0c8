"""The array operations an explainer's loop needs, so that it stays on the model's device."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = Any
"""An array of the model's framework, on its device; arithmetic operators work on it."""


class Backend(ABC):
    """One framework's arrays. Everything is float32, images are [N, H, W, C]."""

    @abstractmethod
    def asarray(self, values: npt.ArrayLike) -> Array:
        """Move NumPy values to the device as float32."""

    @abstractmethod
    def to_numpy(self, array: Array) -> npt.NDArray[np.float32]:
        """Copy an array to NumPy float32."""

    @abstractmethod
    def stack(self, arrays: Sequence[Array]) -> Array:
        """Join arrays along a new first axis."""

    @abstractmethod
    def sum(self, array: Array, axes: tuple[int, ...]) -> Array:
        """Sum over axes."""

    @abstractmethod
    def mean(self, array: Array, axes: tuple[int, ...]) -> Array:
        """Average over axes."""

    @abstractmethod
    def relu(self, array: Array) -> Array:
        """Replace negative values by zero."""

    @abstractmethod
    def softmax(self, scores: Array) -> Array:
        """Normalise [N, K] scores to probabilities."""
