"""Every array operation gives the same in PyTorch, TensorFlow and NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch

from xai_widgets.errors import ModelError
from xai_widgets.models.backend import Backend, gaussian_kernel
from xai_widgets.models.numpy_backend import NumpyBackend
from xai_widgets.models.tensorflow_backend import TensorFlowBackend
from xai_widgets.models.torch_backend import TorchBackend

BACKENDS: dict[str, Backend] = {
    "torch": TorchBackend(torch.device("cpu")),
    "tensorflow": TensorFlowBackend("/CPU:0"),
    "numpy": NumpyBackend(),
}


def values(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


IMAGES = values(2, 7, 5, 3)
SCORES = values(4, 6)
OPERATIONS: dict[str, Callable[[Backend], Any]] = {
    "asarray": lambda b: b.asarray(IMAGES),
    "asarray of a list": lambda b: b.asarray([[1, 2], [3, 4]]),
    "asarray of a number": lambda b: b.asarray(2.5),
    "asarray of doubles": lambda b: b.asarray(IMAGES.astype(np.float64)),
    "stack": lambda b: b.stack([IMAGES, b.asarray(IMAGES) * 2]),
    "sum": lambda b: b.sum(IMAGES, (1, 2)),
    "sum of all": lambda b: b.sum(IMAGES, (0, 1, 2, 3)),
    "mean": lambda b: b.mean(IMAGES, (0, 3)),
    "max": lambda b: b.max(IMAGES, (1, 2)),
    "relu": lambda b: b.relu(IMAGES),
    "softmax": lambda b: b.softmax(SCORES),
    "steep softmax": lambda b: b.softmax(SCORES * 300),
    "concatenate": lambda b: b.concatenate([IMAGES, b.asarray(IMAGES[:1])]),
    "reshape": lambda b: b.reshape(IMAGES, (2, 35, -1)),
    "where": lambda b: b.where(b.asarray(IMAGES) > 0.2, IMAGES, b.asarray(IMAGES) * 0),
    "where of a mask an image": lambda b: b.where(b.asarray(IMAGES[:, :, :, :1]) > 0, IMAGES, 1.0),
    "masked": lambda b: b.masked(b.asarray(IMAGES[0]), b.asarray(values(4, 7, 5, 1, seed=1))),
    "abs": lambda b: b.abs(IMAGES),
    "resize up": lambda b: b.resize(IMAGES, (16, 11)),
    "resize by a whole factor": lambda b: b.resize(IMAGES, (21, 15)),
    "resize in one direction": lambda b: b.resize(IMAGES, (7, 20)),
    "resize of one pixel": lambda b: b.resize(IMAGES[:, :1, :1], (3, 4)),
    "blur": lambda b: b.blur(IMAGES, 0.8),
    "blur wider than the picture": lambda b: b.blur(IMAGES, 4.0),
    "no blur": lambda b: b.blur(IMAGES, 0.0),
    "matmul": lambda b: b.matmul(b.asarray(SCORES), b.asarray(values(6, 5, seed=1))),
    "matmul of stacks": lambda b: b.matmul(
        b.asarray(values(3, 4, 6)), b.asarray(values(3, 6, 2, seed=1))
    ),
    "sigmoid": lambda b: b.sigmoid(SCORES * 30),
    "split": lambda b: b.stack(b.split(SCORES)),
    "transposed": lambda b: b.transposed(b.asarray(values(3, 4, 6))),
    "irfft2": lambda b: b.irfft2(values(2, 3, 6, 4, 2), (6, 7)),
    "irfft2 of even sides": lambda b: b.irfft2(values(1, 1, 4, 5, 2), (4, 8)),
    "recoloured": lambda b: b.recoloured(IMAGES, values(3, 3)),
    "recoloured to other channels": lambda b: b.recoloured(IMAGES, values(3, 2), values(2)),
    "warp": lambda b: b.warp(IMAGES, np.array([[0.9, -0.4, 0.7], [0.3, 1.2, -1.3]])),
    "warp of nothing": lambda b: b.warp(IMAGES, np.array([[1, 0, 0], [0, 1, 0]])),
    "warp by whole pixels": lambda b: b.warp(IMAGES, np.array([[1, 0, 2], [0, 1, -1]])),
    "arithmetic": lambda b: (b.asarray(SCORES) * 2 - 1) / 3 + b.asarray(SCORES) ** 2,
    "slices": lambda b: b.asarray(IMAGES)[:, 1:4, :, 0],
    "channels": lambda b: b.asarray(IMAGES)[..., 1] - b.asarray(IMAGES)[..., 2],
    "new axes": lambda b: b.asarray(SCORES)[:, None, None, :],
    "negative": lambda b: -b.asarray(SCORES),
}


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_gives_the_same_in_every_framework(name: str, framework: str) -> None:
    backend, reference = BACKENDS[framework], BACKENDS["numpy"]
    expected = reference.to_numpy(OPERATIONS[name](reference))
    found = backend.to_numpy(OPERATIONS[name](backend))
    assert found.dtype == expected.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("framework", BACKENDS)
def test_every_operation_of_the_contract_is_tried_here(framework: str) -> None:
    own = {name for name in vars(Backend) if not name.startswith("_")}
    tried = {name.split()[0] for name in OPERATIONS} | {"to_numpy", "gradients"}
    assert own <= tried
    assert not own - set(dir(BACKENDS[framework]))


@pytest.mark.parametrize("framework", BACKENDS)
def test_results_stay_in_their_framework(framework: str) -> None:
    kind = {"torch": torch.Tensor, "tensorflow": tf.Tensor, "numpy": np.ndarray}[framework]
    for name, operation in OPERATIONS.items():
        assert isinstance(operation(BACKENDS[framework]), kind), name


@pytest.mark.parametrize("framework", BACKENDS)
def test_operations_leave_what_they_are_given_as_it_was(framework: str) -> None:
    kept = IMAGES.copy()
    for operation in OPERATIONS.values():
        operation(BACKENDS[framework])
    np.testing.assert_array_equal(IMAGES, kept)


@pytest.mark.parametrize("framework", BACKENDS)
def test_a_blur_keeps_constants_and_has_the_width_it_says(framework: str) -> None:
    backend = BACKENDS[framework]
    flat = backend.to_numpy(backend.blur(np.full((1, 9, 9, 1), 0.7), 2.0))
    np.testing.assert_allclose(flat, 0.7, rtol=1e-5)
    point = np.zeros((1, 41, 41, 1), np.float32)
    point[0, 20, 20, 0] = 1
    spread = backend.to_numpy(backend.blur(point, 2.5))[0, :, :, 0]
    assert spread.sum() == pytest.approx(1, rel=1e-4)
    rows = np.arange(41) - 20
    assert np.sqrt((spread.sum(axis=1) * rows**2).sum()) == pytest.approx(2.5, rel=0.01)
    np.testing.assert_allclose(spread, np.outer(spread.sum(1), spread.sum(0)), atol=1e-6)
    assert gaussian_kernel(2.5).size == 21


@pytest.mark.parametrize("framework", BACKENDS)
def test_arrays_of_other_frameworks_and_read_only_ones_are_taken(framework: str) -> None:
    backend = BACKENDS[framework]
    frozen = IMAGES.copy()
    frozen.flags.writeable = False
    for array in (frozen, IMAGES[:, ::-1], torch.from_numpy(IMAGES).half()):
        found = backend.to_numpy(backend.asarray(array))
        np.testing.assert_allclose(found, np.asarray(array, np.float32))


def test_a_warp_by_whole_pixels_takes_each_pixel_from_its_source() -> None:
    moved = BACKENDS["numpy"].warp(IMAGES, np.array([[1, 0, 2], [0, 1, -1]]))
    np.testing.assert_allclose(moved[:, :5, 1:], IMAGES[:, 2:, :-1], atol=1e-6)
    assert not moved[:, 5:].any() and not moved[:, :, 0].any()


@pytest.mark.parametrize("name", ["torch", "tensorflow"])
def test_gradients_are_those_of_the_formula_and_none_where_nothing_depends(name: str) -> None:
    backend = BACKENDS[name]

    def function(x: Any, y: Any) -> Any:
        return backend.sum(x * x * 3, (1,))

    found, (first, second) = backend.gradients(
        function, (backend.asarray(SCORES), backend.asarray(SCORES))
    )
    np.testing.assert_allclose(backend.to_numpy(found), (3 * SCORES**2).sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(backend.to_numpy(first), 6 * SCORES, rtol=1e-5)
    assert second is None
    constant = backend.asarray(np.ones(4))
    assert backend.gradients(lambda x: constant, (backend.asarray(SCORES),))[1] == (None,)


def test_values_are_chosen_where_the_sides_are_not_known_yet_too() -> None:
    backend = BACKENDS["tensorflow"]

    @tf.function(input_signature=[tf.TensorSpec([None, None])])
    def positive(scores: Any) -> Any:
        return backend.where(scores > 0, scores, 0.0)

    np.testing.assert_array_equal(backend.to_numpy(positive(SCORES)), np.maximum(SCORES, 0))


def test_numpy_has_no_gradients() -> None:
    with pytest.raises(ModelError, match="NumPy arrays have no gradient"):
        BACKENDS["numpy"].gradients(lambda x: x, (SCORES,))
