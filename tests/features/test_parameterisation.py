"""Pictures as Fourier coefficients: against numpy.fft by hand, the adjoint, and there and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch

from xai_widgets.errors import MethodError
from xai_widgets.features.parameterisation import (
    COLOUR_ROOT,
    Fourier,
    Parameterisation,
    Pixels,
    colour_matrix,
    parameterisation_of,
)
from xai_widgets.models.backend import Backend
from xai_widgets.models.tensorflow_backend import TensorFlowBackend
from xai_widgets.models.torch_backend import TorchBackend

BACKENDS: dict[str, Backend] = {
    "torch": TorchBackend(torch.device("cpu")),
    "tensorflow": TensorFlowBackend("/CPU:0"),
}
FORMS: list[Parameterisation] = [
    Fourier((12, 10)),
    Fourier((9, 7)),
    Fourier((8, 11), channels=1),
    Pixels((6, 5)),
    Pixels((6, 5), channels=1),
]


@pytest.fixture(params=list(BACKENDS))
def backend(request: pytest.FixtureRequest) -> Backend:
    return BACKENDS[request.param]


def parameters(form: Parameterisation, n: int = 2) -> Any:
    return np.stack([form.noise(np.random.default_rng(i), 0.3) for i in range(n)])


def by_hand(size: tuple[int, int], coefficients: Any) -> Any:
    """Return pictures as Olah et al. describe them, in float64, in loops over frequencies."""
    height, width = size
    scaled = np.zeros(coefficients.shape[:4], dtype=complex)
    for row in range(height):
        for column in range(width // 2 + 1):
            cycles_down = (row if row <= (height - 1) // 2 else row - height) / height
            frequency = max(np.hypot(cycles_down, column / width), 1 / max(height, width))
            pair = coefficients[:, :, row, column].astype(np.float64)
            scaled[..., row, column] = (pair[..., 0] + 1j * pair[..., 1]) / frequency
    scaled *= np.sqrt(height * width)
    planes = np.fft.irfft2(scaled, s=size).transpose(0, 2, 3, 1)
    if planes.shape[-1] == 3:
        longest = max(np.sqrt((COLOUR_ROOT[:, j] ** 2).sum()) for j in range(3))
        planes = np.einsum("nhwj,cj->nhwc", planes, COLOUR_ROOT / longest)
    return 1 / (1 + np.exp(-planes))


@pytest.mark.parametrize("form", FORMS[:3], ids=str)
def test_fourier_pictures_are_those_of_numpy_by_hand(form: Fourier, backend: Backend) -> None:
    given = parameters(form)
    found = backend.to_numpy(form.pictures(backend.asarray(given), backend))
    assert found.shape == (2, *form.size, form.channels)
    np.testing.assert_allclose(found, by_hand(form.size, given), atol=2e-6)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_the_gradient_is_the_adjoint(form: Parameterisation, backend: Backend) -> None:
    """<w, plane(p)> has the gradient A^T w: <A^T w, q> = <w, A q> for any q, A being linear."""
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(2, *form.size, form.channels)).astype(np.float32)
    given, other = parameters(form), parameters(form)[::-1].copy()

    def projected(values: Any) -> Any:
        plane = form.plane(values, backend)
        return backend.sum(plane * backend.asarray(weights), (1, 2, 3))

    _, (gradient,) = backend.gradients(projected, (backend.asarray(given),))
    along = backend.to_numpy(form.plane(backend.asarray(other), backend)).astype(np.float64)
    left = (backend.to_numpy(gradient).astype(np.float64) * other).sum()
    assert left == pytest.approx((weights * along).sum(), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("form", [FORMS[0], FORMS[1], FORMS[2]], ids=str)
def test_the_gradient_of_a_picture_is_a_difference_quotient(
    form: Parameterisation, backend: Backend
) -> None:
    rng = np.random.default_rng(5)
    weights = rng.normal(size=(1, *form.size, form.channels))
    given = parameters(form, 1)
    step = np.float32(1e-2)

    def total(values: Any) -> Any:
        pictures = form.pictures(values, backend)
        return backend.sum(pictures * backend.asarray(weights), (1, 2, 3))

    _, (gradient,) = backend.gradients(total, (backend.asarray(given),))
    found = backend.to_numpy(gradient)
    for _ in range(6):
        way = rng.normal(size=given.shape).astype(np.float32)
        way /= np.abs(way).sum() / 10
        up, down = (by_hand(form.size, given + sign * step * way) for sign in (1, -1))
        quotient = ((up - down) * weights).sum() / (2 * float(step))
        assert (found * way).sum() == pytest.approx(quotient, rel=2e-2, abs=2e-3)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_picture_comes_back_from_its_parameters(form: Parameterisation, backend: Backend) -> None:
    rng = np.random.default_rng(0)
    picture = rng.uniform(0.05, 0.95, (*form.size, form.channels)).astype(np.float32)
    given = backend.asarray(form.parameters_of(picture)[None])
    np.testing.assert_allclose(
        backend.to_numpy(form.pictures(given, backend))[0], picture, atol=2e-5
    )


def test_colours_of_natural_pictures_are_decorrelated() -> None:
    """The transform of independent values has the covariance that the root is a root of."""
    covariance = colour_matrix(3).T @ colour_matrix(3)
    expected = COLOUR_ROOT @ COLOUR_ROOT.T
    np.testing.assert_allclose(covariance / covariance[0, 0], expected / expected[0, 0], rtol=1e-5)
    np.testing.assert_array_equal(colour_matrix(1), [[1]])


def test_noise_is_the_same_for_the_same_generator() -> None:
    form = Fourier((8, 8))
    first, again, other = (form.noise(np.random.default_rng(s), 0.1) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_unknown_parameterisation_is_refused() -> None:
    with pytest.raises(MethodError, match=r"no parameterisation 'furier'\. Did you mean 'fourier'"):
        parameterisation_of("furier", (8, 8), 3)


def test_the_split_of_a_traced_tensor_is_that_of_an_eager_one() -> None:
    backend = BACKENDS["tensorflow"]
    given = tf.constant(np.arange(6, dtype=np.float32).reshape(3, 2))
    traced = tf.function(lambda values: tuple(backend.split(values)))(given)
    np.testing.assert_array_equal(np.concatenate([part.numpy() for part in traced]), given.numpy())
