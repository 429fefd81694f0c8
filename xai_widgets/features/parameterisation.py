"""How a picture is written as numbers that an optimiser changes: Fourier coefficients, pixels."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import MethodError, near_matches
from xai_widgets.models.backend import Array, Backend

Values = npt.NDArray[np.float32]

COLOUR_ROOT = np.array(
    [[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], dtype=np.float32
)
"""A square root of the covariance of the colours of ImageNet's pixels, as Lucid has it."""

EDGE = 0.02
"""Levels of a start picture are kept this far from black and white, where a sigmoid is flat."""


def colour_matrix(channels: int) -> Values:
    """Return what makes colours, before the sigmoid, of decorrelated ones: ``x @ matrix``, [C, C].

    Its longest row of the transform is one; grey pictures have nothing to decorrelate.
    """
    if channels != 3:
        return np.eye(channels, dtype=np.float32)
    longest = np.linalg.norm(COLOUR_ROOT, axis=0).max()
    return np.asarray((COLOUR_ROOT / longest).T, dtype=np.float32)


@dataclass(frozen=True)
class Parameterisation(ABC):
    """Pictures of one size, 0..1, as parameters.

    Attributes
    ----------
    size
        (height, width) in pixels.
    channels
        3 for colours, 1 for grey.
    """

    size: tuple[int, int]
    channels: int = 3
    name: ClassVar[str]

    @abstractmethod
    def noise(self, rng: np.random.Generator, strength: float) -> Values:
        """Return the parameters of one grey picture with noise, without the batch axis."""

    @abstractmethod
    def parameters_of(self, picture: Values) -> Values:
        """Return the parameters of a picture [H, W, C], 0..1, without the batch axis."""

    @abstractmethod
    def plane(self, parameters: Array, backend: Backend) -> Array:
        """Return decorrelated colours [N, H, W, C] of parameters [N, ...], before the sigmoid."""

    def pictures(self, parameters: Array, backend: Backend) -> Array:
        """Return pictures [N, H, W, C], 0..1, of parameters [N, ...]."""
        plane = self.plane(parameters, backend)
        if self.channels == 3:
            plane = backend.recoloured(plane, backend.asarray(colour_matrix(3)))
        return backend.sigmoid(plane)

    def plane_of(self, picture: Values) -> npt.NDArray[np.float64]:
        """Return the decorrelated colours [H, W, C] of a picture, before the sigmoid."""
        levels = np.clip(picture.astype(np.float64), EDGE, 1 - EDGE)
        logits = np.log(levels / (1 - levels))
        return np.asarray(logits @ np.linalg.inv(colour_matrix(self.channels).astype(np.float64)))


@dataclass(frozen=True)
class Fourier(Parameterisation):
    """The coefficients of a real Fourier transform, each scaled by its wavelength.

    ``plane = irfft2(scale * (a + i b))`` with ``scale = sqrt(H W) / max(f, 1 / max(H, W))``, f in
    cycles per pixel: a step of the same size in all parameters then changes coarse structure as
    much more as natural pictures have more of it. Olah, Mordvintsev and Schubert, "Feature
    visualization", Distill 2017. As in Lucid, which divides by 4 once more: on small networks steps
    of 0.05 are then too short to leave a grey picture. Parameters are [N, C, H, W // 2 + 1, 2],
    real and imaginary parts last.
    """

    name: ClassVar[str] = "fourier"

    @cached_property
    def scale(self) -> Values:
        """How much each coefficient counts, float32 [H, W // 2 + 1, 1]."""
        height, width = self.size
        rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
        frequency = np.maximum(np.hypot(rows, columns), 1 / max(height, width))
        return np.asarray(np.sqrt(height * width) / frequency, dtype=np.float32)[..., None]

    def noise(self, rng: np.random.Generator, strength: float) -> Values:
        """Return normal coefficients of standard deviation ``strength``."""
        height, width = self.size
        shape = (2, self.channels, height, width // 2 + 1)
        parts = rng.standard_normal(shape, dtype=np.float32) * np.float32(strength)
        return np.ascontiguousarray(np.moveaxis(parts, 0, -1))

    def parameters_of(self, picture: Values) -> Values:
        """Return the coefficients of a picture."""
        spectrum = np.fft.rfft2(self.plane_of(picture), axes=(0, 1)).transpose(2, 0, 1)
        parts = np.stack([spectrum.real, spectrum.imag], axis=-1)
        return np.asarray(parts / self.scale, dtype=np.float32)

    def plane(self, parameters: Array, backend: Backend) -> Array:
        """Transform coefficients to [N, H, W, C]."""
        return backend.irfft2(parameters * backend.asarray(self.scale), self.size)


@dataclass(frozen=True)
class Pixels(Parameterisation):
    """Every pixel by itself, the plain alternative; parameters are [N, H, W, C]."""

    name: ClassVar[str] = "pixels"

    def noise(self, rng: np.random.Generator, strength: float) -> Values:
        """Return normal values of standard deviation ``strength``."""
        shape = (*self.size, self.channels)
        return rng.standard_normal(shape, dtype=np.float32) * np.float32(strength)

    def parameters_of(self, picture: Values) -> Values:
        """Return decorrelated colours before the sigmoid."""
        return np.asarray(self.plane_of(picture), dtype=np.float32)

    def plane(self, parameters: Array, backend: Backend) -> Array:
        """Return the parameters."""
        return parameters


KINDS: dict[str, type[Parameterisation]] = {kind.name: kind for kind in (Fourier, Pixels)}


def parameterisation_of(name: str, size: tuple[int, int], channels: int) -> Parameterisation:
    """Return a parameterisation by name.

    Raises
    ------
    MethodError
        If there is none of that name.
    """
    if name not in KINDS:
        raise MethodError(f"There is no parameterisation {name!r}.{near_matches(str(name), KINDS)}")
    return KINDS[name](size, channels)
