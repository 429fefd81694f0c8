"""Gradient, input x gradient and SmoothGrad give the numbers of their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.explainers.helpers import TORCH, chunked, linear_model, quick, relative, smooth_model
from tests.models.nets import picture
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import ClassTarget

TARGETS = [ClassTarget(1), ClassTarget(1, versus=2)]


def by_hand(model: ExplainableModel, values: Any, target: ClassTarget) -> Any:
    """Return the gradient of one input [H, W, C] in float64."""
    module = model.source.double()
    try:
        x = torch.from_numpy(np.asarray(values, np.float64))[None].permute(0, 3, 1, 2)
        x = x.requires_grad_()
        (gradient,) = torch.autograd.grad(target(module(x), TORCH).sum(), x)
    finally:
        module.float()
    return gradient[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("target", TARGETS)
def test_the_gradient_is_that_of_autograd(target: ClassTarget) -> None:
    model = smooth_model()
    image = model.prepare(picture())
    result = quick(model, "gradient", image, target=target)
    assert relative(result.attribution, by_hand(model, image.values, target)) < 1e-5
    assert result.attribution.shape == image.values.shape
    assert result.attribution.dtype == np.float32


@pytest.mark.parametrize("target", TARGETS)
def test_input_x_gradient_is_the_product(target: ClassTarget) -> None:
    model = smooth_model()
    image = model.prepare(picture())
    found = quick(model, "input_x_gradient", image, target=target).attribution
    expected = by_hand(model, image.values, target) * image.values
    assert relative(found, expected) < 1e-5


@pytest.mark.parametrize("method", ["gradient", "input_x_gradient", "smoothgrad"])
def test_a_contrast_is_the_difference_of_two_maps(method: str) -> None:
    model = smooth_model()
    first, second, both = (
        quick(model, method, target=target) for target in (1, 2, ClassTarget(1, 2))
    )
    assert relative(both.attribution, first.attribution - second.attribution) < 1e-4
    assert both.score == pytest.approx(first.score - second.score, abs=1e-5)


class TestSmoothGrad:
    def smoothgrad(
        self, model: ExplainableModel, image: PreparedImage | None = None, **options: Any
    ) -> Any:
        given = model.prepare(picture()) if image is None else image
        return quick(model, "smoothgrad", given, target=1, **options).attribution

    def test_it_is_the_mean_over_a_loop_by_hand(self) -> None:
        model = smooth_model()
        image = model.prepare(picture())
        generator = np.random.default_rng(7)
        noise = generator.standard_normal((4, *image.values.shape), dtype=np.float32)
        spread = 0.2 * (image.values.max() - image.values.min())
        expected = np.mean(
            [by_hand(model, image.values + spread * one, ClassTarget(1)) for one in noise], axis=0
        )
        found = self.smoothgrad(model, image, n_samples=4, noise_level=0.2, seed=7)
        assert relative(found, expected) < 1e-4

    def test_the_seed_decides_the_map(self) -> None:
        model = smooth_model()
        assert np.array_equal(self.smoothgrad(model, seed=3), self.smoothgrad(model, seed=3))
        assert not np.array_equal(self.smoothgrad(model, seed=3), self.smoothgrad(model, seed=4))

    @pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
    def test_the_chunk_size_does_not(self, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
        model = smooth_model()
        expected = self.smoothgrad(model, n_samples=7)
        chunked(model, size, monkeypatch)
        assert relative(self.smoothgrad(model, n_samples=7), expected) < 1e-6

    def test_a_linear_model_gives_its_weights(self) -> None:
        model = linear_model()
        found = self.smoothgrad(model, n_samples=9)
        np.testing.assert_allclose(found, model.source.weight(1), rtol=1e-5, atol=1e-7)

    @pytest.mark.parametrize("options", [{"noise_level": 0.0}, {"noise_level": 0.0, "seed": 9}])
    def test_without_noise_it_is_the_gradient(self, options: dict[str, Any]) -> None:
        model = smooth_model()
        expected = quick(model, "gradient", target=1).attribution
        assert relative(self.smoothgrad(model, **options), expected) < 1e-5
