"""The array operations an explainer's loop needs, so that it stays on the model's device."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
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
    def max(self, array: Array, axes: tuple[int, ...]) -> Array:
        """Take the maximum over axes."""

    @abstractmethod
    def relu(self, array: Array) -> Array:
        """Replace negative values by zero."""

    @abstractmethod
    def softmax(self, scores: Array) -> Array:
        """Normalise [N, K] scores to probabilities."""

    @abstractmethod
    def concatenate(self, arrays: Sequence[Array]) -> Array:
        """Join arrays along their first axis."""

    @abstractmethod
    def reshape(self, array: Array, shape: tuple[int, ...]) -> Array:
        """Arrange the same values in another shape; -1 for one side that follows from the rest."""

    @abstractmethod
    def where(self, condition: Array, chosen: Array, other: Array) -> Array:
        """Choose values where a condition holds, others elsewhere."""

    @abstractmethod
    def abs(self, array: Array) -> Array:
        """Return magnitudes."""

    @abstractmethod
    def matmul(self, first: Array, second: Array) -> Array:
        """Multiply matrices [..., A, B] and [..., B, C] to [..., A, C]."""

    def masked(self, image: Array, masks: Array) -> Array:
        """Multiply an image [H, W, C] by each of N masks [N, H, W, 1], to [N, H, W, C]."""
        return masks * image

    @abstractmethod
    def transposed(self, array: Array) -> Array:
        """Swap the last two axes."""

    @abstractmethod
    def resize(self, array: Array, size: tuple[int, int]) -> Array:
        """Resize [N, H, W, C] bilinearly to ``size`` (half-pixel centres, edges repeated)."""

    @abstractmethod
    def blur(self, array: Array, sigma: float) -> Array:
        """Blur [N, H, W, C] with a Gaussian of ``sigma`` pixels, edges repeated; 4 sigma wide."""

    @abstractmethod
    def sigmoid(self, array: Array) -> Array:
        """Return 1 / (1 + exp(-array))."""

    @abstractmethod
    def split(self, array: Array) -> Sequence[Array]:
        """Return the rows of an array along its first axis, each with a first axis of one."""

    @abstractmethod
    def recoloured(self, array: Array, matrix: Array, offset: Array | None = None) -> Array:
        """Return images [N, H, W, P] with the colours ``pixel @ matrix + offset`` of [N, H, W, C].

        As `matmul`, in the order of the images' memory: on CPUs six times as fast.
        """

    @abstractmethod
    def irfft2(self, spectra: Array, size: tuple[int, int]) -> Array:
        """Transform spectra [N, C, H, W // 2 + 1, 2] to real images [N, H, W, C] of ``size``.

        The last axis holds real and imaginary parts. As `numpy.fft.irfft2`: divided by H W.
        """

    @abstractmethod
    def warp(self, array: Array, matrix: Array) -> Array:
        """Move [N, H, W, C] about, bilinearly, zero where nothing is.

        Parameters
        ----------
        array
            [N, H, W, C].
        matrix
            [2, 3]: where a pixel of the result comes from, (row, column), relative to the centre
            and in pixels: ``source = matrix[:, :2] @ place + matrix[:, 2]``.
        """

    @abstractmethod
    def gradients(
        self, function: Callable[..., Array], arguments: Sequence[Array]
    ) -> tuple[Array, tuple[Array | None, ...]]:
        """Return values and d sum(values) / d argument of a function, by the framework.

        Parameters
        ----------
        function
            Returns values [N] from the arguments; differentiable operations of the framework, such
            as those of this class, and models (`ExplainableModel.compiled`).
        arguments
            With respect to what.

        Returns
        -------
        tuple
            Values, and for each argument its gradient; None where the values do not depend on it.
        """


def gaussian_kernel(sigma: float) -> npt.NDArray[np.float32]:
    """Return the weights of a Gaussian blur, cut off at 4 sigma, float32 [2 r + 1]."""
    radius = max(1, round(4 * sigma))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum(), dtype=np.float32)
