"""Pad, jitter, scale and rotation of the pictures that the model sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from xai_widgets.errors import MethodError
from xai_widgets.features import Transforms
from xai_widgets.features.transforms import transforms_of
from xai_widgets.models.backend import Backend
from xai_widgets.models.tensorflow_backend import TensorFlowBackend
from xai_widgets.models.torch_backend import TorchBackend

BACKENDS: dict[str, Backend] = {
    "torch": TorchBackend(torch.device("cpu")),
    "tensorflow": TensorFlowBackend("/CPU:0"),
}


def drawn(transforms: Transforms, n: int = 200, size: tuple[int, int] = (40, 60)) -> Any:
    rng = np.random.default_rng(0)
    return np.stack([transforms.draw(rng, size) for _ in range(n)])


def test_jitter_moves_by_its_share_of_the_sides() -> None:
    matrices = drawn(Transforms(0, 0.1, 0, 0))
    np.testing.assert_allclose(matrices[:, :, :2], np.broadcast_to(np.eye(2), (200, 2, 2)))
    largest = np.abs(matrices[:, :, 2]).max(axis=0)
    assert (largest <= [4, 6]).all() and (largest > [3.8, 5.7]).all()


def test_scale_rotation_and_pad_stay_within_their_ranges() -> None:
    matrices = drawn(Transforms(0, 0, 0.25, 10))[:, :, :2]
    factors = np.sqrt(np.linalg.det(matrices))
    angles = np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    assert 0.8 <= factors.min() < 0.82 and 1.22 < factors.max() <= 1.25
    assert 9.5 < np.abs(angles).max() <= 10
    np.testing.assert_allclose(
        drawn(Transforms(0.1, 0, 0, 0), 1)[0], [[1.2, 0, 0], [0, 1.2, 0]], rtol=1e-6
    )


@pytest.mark.parametrize("name", list(BACKENDS))
def test_moving_a_picture_about_has_the_exact_adjoint(name: str) -> None:
    backend, rng = BACKENDS[name], np.random.default_rng(2)
    x, y = (rng.normal(size=(2, 9, 7, 3)).astype(np.float32) for _ in range(2))
    matrix = Transforms(0.1, 0.2, 0.3, 40).draw(rng, (9, 7))

    def projected(values: Any) -> Any:
        return backend.sum(backend.warp(values, matrix) * backend.asarray(y), (1, 2, 3))

    values, (gradient,) = backend.gradients(projected, (backend.asarray(x),))
    assert (backend.to_numpy(gradient) * x).sum() == pytest.approx(
        float(backend.to_numpy(values).sum()), rel=1e-4
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pad": 0.6}, "pad of the transforms is 0.6: give a number from 0 to 0.5"),
        ({"rotate": -1}, "rotate of the transforms is -1"),
        ({"jitter": float("nan")}, "jitter of the transforms is nan"),
        ({"scale": "much"}, "scale of the transforms is 'much': give a number"),
    ],
)
def test_transforms_out_of_range_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(MethodError, match=message):
        Transforms(**settings)


def test_transforms_are_found_by_name() -> None:
    assert transforms_of("none").still and not transforms_of("standard").still
    with pytest.raises(MethodError, match=r"no transforms 'standart'.*Did you mean 'standard'"):
        transforms_of("standart")
    with pytest.raises(MethodError, match="no transforms 3"):
        transforms_of(3)
