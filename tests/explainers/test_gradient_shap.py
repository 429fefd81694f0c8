"""GradientSHAP multiplies each draw by its own path, and its mean is that of expected gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.explainers.helpers import chunked, linear_model, quick, relative
from tests.explainers.twins import FRAMEWORKS, nchw, net, scores, twin
from tests.models.nets import SIDE, picture
from xai_widgets.explainers.run import explain_stream
from xai_widgets.explanation import Explanation

TARGET = 1


def backgrounds(n: int = 3, side: int = SIDE) -> Any:
    return np.stack([picture(side, side, seed=10 + k) for k in range(n)])


def by_hand(values: Any, background: Any, n: int, level: float, seed: int) -> Any:
    """Return mean (x' - b) * gradient at b + alpha (x' - b), the draws one by one."""
    module = net(smooth=True)
    draws, noise = (np.random.default_rng([seed, stream]) for stream in range(2))
    chosen = draws.integers(0, len(background), n)
    alphas = draws.random(n, dtype=np.float32)
    total = np.zeros(values.shape)
    for k, alpha in zip(chosen, alphas, strict=True):
        noisy = values
        if level:
            drawn = noise.standard_normal(values.shape, dtype=np.float32)
            noisy = values + level * np.ptp(values) * drawn
        path = noisy - background[k]
        x = nchw(background[k] + alpha * path).requires_grad_()
        (gradient,) = torch.autograd.grad(module(x)[0, TARGET], x)
        total += gradient[0].permute(1, 2, 0).numpy() * path
    return total / n


@pytest.mark.parametrize("level", [0.0, 0.2])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_it_equals_the_draws_one_by_one(framework: str, level: float) -> None:
    model = twin(framework, smooth=True)
    image = model.prepare(picture())
    background = backgrounds()
    values = np.stack([model.prepare(one).values for one in background])
    result = quick(
        model,
        "gradient_shap",
        image,
        target=TARGET,
        background=background,
        n_samples=12,
        noise_level=level,
        seed=4,
    )
    assert relative(result.attribution, by_hand(image.values, values, 12, level, 4)) < 1e-4


def test_the_baseline_of_each_draw_is_in_its_product() -> None:
    """Averaging the gradients first and multiplying by x - mean b is another, biased estimate.

    By hand, f = x^2 / 2 in each pixel: E[(x - b) (b + a (x - b))] = E[(x^2 - b^2) / 2], which sums
    to f(x) - E f(b); the other gives (x - E b) (x + E b) / 2, too much by Var(b) / 2.
    """
    from torch import nn

    from xai_widgets.models.loading import load

    class Square(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            score = (x**2).sum((1, 2, 3)) / 2
            return torch.stack([score, -score], dim=1)

    model = load(Square().eval(), input_size=4)
    image = model.prepare(np.full((4, 4, 3), 204, np.uint8))  # x = 0.8
    background = [np.full((4, 4, 3), level, np.uint8) for level in (0, 255)]  # b = 0 or 1
    result = quick(
        model,
        "gradient_shap",
        image,
        target=0,
        background=background,
        n_samples=2000,
        noise_level=0.0,
    )
    right, wrong = (0.8**2 - 0.5) / 2, (0.8 - 0.5) * (0.8 + 0.5) / 2
    assert result.attribution.mean() == pytest.approx(right, abs=0.02)
    assert abs(wrong - right) > 0.1
    error = result.diagnostics["sum_standard_error"]
    assert abs(result.diagnostics["convergence_delta"]) < 4 * error
    assert error < 0.05 * abs(result.score)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_without_noise_it_tends_to_expected_gradients(framework: str) -> None:
    model = twin(framework, smooth=True)
    image = model.prepare(picture())
    background = backgrounds()
    maps = [
        quick(model, "integrated_gradients", image, target=TARGET, n_steps=64, baseline=one)
        for one in background
    ]
    expected = np.mean([one.attribution for one in maps], axis=0)
    few, many = (
        quick(
            model,
            "gradient_shap",
            image,
            target=TARGET,
            background=background,
            n_samples=n,
            noise_level=0.0,
        ).attribution
        for n in (8, 2000)
    )
    assert relative(many, expected) < 0.05
    assert relative(many, expected) < 0.5 * relative(few, expected)


def test_a_linear_model_is_exact_but_for_the_baselines_drawn() -> None:
    model = linear_model()
    image = model.prepare(picture(8, 8))
    result = quick(
        model, "gradient_shap", image, target=1, background="grey", n_samples=3, noise_level=0.0
    )
    expected = image.values - model.prepare(np.full((8, 8, 3), 128, np.uint8)).values
    np.testing.assert_allclose(result.attribution, expected * model.source.weight(1), atol=1e-5)
    assert abs(result.diagnostics["convergence_delta"]) < 1e-4


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_scores_and_delta_are_those_of_the_baselines_drawn(framework: str) -> None:
    model = twin(framework, smooth=True)
    image = model.prepare(picture())
    background = backgrounds()
    values = np.stack([model.prepare(one).values for one in background])
    options = {"target": TARGET, "background": background, "n_samples": 7, "seed": 1}
    result = quick(model, "gradient_shap", image, **options)
    chosen = np.random.default_rng([1, 0]).integers(0, 3, 7)
    mean = float(scores(net(smooth=True), values, TARGET)[chosen].mean())
    found = result.diagnostics
    assert found["score_baseline"] == pytest.approx(mean, abs=1e-5)
    gap = result.attribution.sum(dtype=np.float64) - (result.score - mean)
    assert found["convergence_delta"] == pytest.approx(gap, abs=1e-4)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_map_does_not_depend_on_the_chunks(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = twin(framework, smooth=True)
    options = {"target": 0, "n_samples": 10, "seed": 2}
    whole = quick(model, "gradient_shap", **options)
    for size in (1, 3):
        chunked(model, size, monkeypatch)
        parts = quick(model, "gradient_shap", **options)
        np.testing.assert_allclose(parts.attribution, whole.attribution, rtol=1e-3, atol=1e-7)
    other = quick(model, "gradient_shap", **{**options, "seed": 3})
    assert relative(other.attribution, whole.attribution) > 0.01


def test_partial_maps_are_means_of_the_draws_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    model = twin("torch", smooth=True)
    chunked(model, 4, monkeypatch)
    image = model.prepare(picture())
    seen = list(explain_stream(model, image, "gradient_shap", 0, None, {"n_samples": 12}))
    partials = [item for item in seen if isinstance(item, Explanation)]
    assert len(partials) == 2
    alone = quick(model, "gradient_shap", image, target=0, n_samples=4).attribution
    np.testing.assert_allclose(partials[0].attribution, alone, atol=1e-7)
