"""Expected gradients, blur IG and guided IG, against the papers' algorithms in plain NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from tests.explainers.closed_forms import (
    FRAMEWORKS,
    TwoLayer,
    in_framework,
    picture,
    two_layer,
)
from tests.explainers.helpers import chunked, linear_model, quick, relative, smooth_model
from tests.models import nets
from xai_widgets.explainers.baselines import baseline_values
from xai_widgets.explainers.blur_ig import blurred
from xai_widgets.explainers.run import explain
from xai_widgets.models.base import ExplainableModel

PATHS = ("expected_gradients", "blur_ig", "guided_ig")
TARGET = 1


def plain_gradient(model: ExplainableModel) -> Callable[[Any], Any]:
    """Return the gradient of one input, one at a time, through the contract alone."""
    from xai_widgets.models.targets import ClassTarget

    def gradient(x: Any) -> Any:
        values = np.asarray(x, np.float32)[None]
        return model.backend.to_numpy(model.gradients(values, ClassTarget(TARGET)).values)[0]

    return gradient


# Guided IG: the published algorithm, in pixels and not in shares of the way as ours ------------


def guided_ig_as_published(
    x_input: Any, baseline: Any, gradient_of: Any, steps: int, fraction: float, max_dist: float
) -> Any:
    """Return algorithm 1 of Kapishnikov et al. 2021, bounded by ``max_dist``, in float64."""
    x_input, baseline = np.asarray(x_input, np.float64), np.asarray(baseline, np.float64)
    x, attribution = baseline.copy(), np.zeros_like(x_input)
    whole = np.abs(x_input - baseline).sum()
    for t in range(1, steps + 1):
        fixed = np.asarray(gradient_of(x), np.float64)
        ranking = np.abs(fixed)
        low, high = max(t / steps - max_dist, 0.0), min(t / steps + max_dist, 1.0)
        x_low, x_high = (baseline + (x_input - baseline) * at for at in (low, high))
        goal = whole * (1 - t / steps)
        while True:
            before = x.copy()
            behind = np.abs(x_input - x) > np.abs(x_input - x_low)
            x[behind] = x_low[behind]
            distance = np.abs(x_input - x).sum()
            if math.isclose(distance, goal, rel_tol=1e-9, abs_tol=1e-9):
                attribution += (x - before) * fixed
                break
            ranking[np.isclose(x, x_high, rtol=0, atol=1e-12)] = np.inf
            threshold = np.quantile(ranking, fraction, method="lower")
            chosen = (ranking <= threshold) & np.isfinite(ranking)
            reach = np.abs(x - x_high)[chosen].sum()
            gamma = (distance - goal) / reach if reach > 0 else np.inf
            if gamma > 1:
                x[chosen] = x_high[chosen]
            else:
                x[chosen] += gamma * (x_high - x)[chosen]
            attribution += (x - before) * fixed
            if gamma <= 1:
                break
    return attribution


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("max_dist", [0.0, 0.02, 0.3, 1.0])
@pytest.mark.parametrize("fraction", [0.1, 0.25, 1.0])
def test_guided_ig_is_the_published_algorithm(
    fraction: float, max_dist: float, framework: str
) -> None:
    form = two_layer()
    model = in_framework(form, framework)
    image = model.prepare(picture())
    black = baseline_values(model, image, "black")

    def gradient(x: Any) -> Any:
        return form.gradient(x, TARGET)

    options = {"n_steps": 20, "fraction": fraction, "max_dist": max_dist}
    expected = guided_ig_as_published(image.values, black, gradient, 20, fraction, max_dist)
    result = explain(model, image, "guided_ig", TARGET, **options)
    assert relative(result.attribution, expected) < 1e-3
    assert result.diagnostics["score_baseline"] == pytest.approx(
        form.score(black, TARGET), abs=1e-4
    )


def test_guided_ig_is_the_published_algorithm_on_a_convolutional_network() -> None:
    model = smooth_model()
    image = model.prepare(nets.picture())
    white = baseline_values(model, image, "white")
    expected = guided_ig_as_published(image.values, white, plain_gradient(model), 16, 0.25, 0.1)
    options = {"n_steps": 16, "fraction": 0.25, "max_dist": 0.1, "baseline": "white"}
    found = quick(model, "guided_ig", image, target=TARGET, **options).attribution
    assert relative(found, expected) < 1e-3


def test_guided_ig_without_leeway_is_integrated_gradients_by_left_sums() -> None:
    model = smooth_model()
    image = model.prepare(nets.picture())
    black = baseline_values(model, image, "black")
    gradient, step = plain_gradient(model), image.values - black
    expected = np.mean([gradient(black + t / 12 * step) for t in range(12)], axis=0) * step
    found = quick(model, "guided_ig", image, target=TARGET, n_steps=12, max_dist=0.0).attribution
    assert relative(found, expected) < 1e-4


def test_guided_ig_moves_along_small_gradients_first() -> None:
    """Two values that differ only in their gradient: the one that matters moves last."""
    from xai_widgets.explainers.guided_ig import moved_alphas

    way, gradient = np.ones(4), np.array([4.0, 1.0, 3.0, 2.0])
    alphas = moved_alphas(np.zeros(4), way, gradient, 0.5, 0.25, 1.0)
    np.testing.assert_allclose(alphas, [0, 1, 0, 1], atol=1e-9)
    bounded = moved_alphas(np.zeros(4), way, gradient, 0.5, 0.25, 0.1)
    np.testing.assert_allclose(bounded, [0.4, 0.6, 0.4, 0.6], atol=1e-9)
    assert moved_alphas(alphas, way, gradient, 1.0, 0.25, 1.0).min() == pytest.approx(1.0)


def test_guided_ig_shrinks_its_gap_with_the_steps() -> None:
    model = smooth_model()
    few, many = (
        abs(quick(model, "guided_ig", n_steps=n).diagnostics["convergence_delta_relative"])
        for n in (4, 64)
    )
    assert many < few / 6


# Blur IG --------------------------------------------------------------------------------------


def blur_ig_as_published(x: Any, gradient_of: Any, max_sigma: float, steps: int) -> Any:
    """Return the left sum of Xu et al. 2020, with the blur's derivative by differences.

    The published code pads with zeros; the edge is repeated here, as in ours.
    """
    x = np.asarray(x, np.float64)

    def blur(sigma: float) -> Any:
        return ndimage.gaussian_filter(x, (sigma, sigma, 0), mode="nearest") if sigma else x

    total = np.zeros_like(x)
    for i in range(steps):
        sigma = i * max_sigma / steps
        change = (blur(sigma + 0.01) - blur(sigma)) / 0.01
        total -= max_sigma / steps * change * gradient_of(blur(sigma))
    return total


@pytest.mark.parametrize("sigma", [0.3, 1.0, 4.7, 30.0])
def test_the_blur_is_scipys(sigma: float) -> None:
    values = np.random.default_rng(0).normal(size=(12, 17, 3)).astype(np.float32)
    expected = ndimage.gaussian_filter(values, (sigma, sigma, 0), mode="nearest")
    np.testing.assert_allclose(blurred(values, sigma), expected, atol=1e-5)
    assert np.array_equal(blurred(values, 0.0), values)


@pytest.mark.parametrize("max_sigma", [0.1, 0.17])
def test_blur_ig_converges_to_the_published_sum(max_sigma: float) -> None:
    """Left sums are of the first order: their error halves with twice the steps."""
    model = smooth_model()
    image = model.prepare(nets.picture())
    found = quick(
        model, "blur_ig", image, target=TARGET, n_steps=512, max_sigma=max_sigma
    ).attribution
    errors = [
        relative(
            blur_ig_as_published(image.values, plain_gradient(model), max_sigma * 32, steps), found
        )
        for steps in (100, 200, 400)
    ]
    assert errors[2] < 0.05
    for coarse, fine in pairwise(errors):
        assert fine < 0.8 * coarse


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_blur_ig_of_two_layers_sums_to_the_change_of_the_score(framework: str) -> None:
    form = two_layer()
    model = in_framework(form, framework)
    image = model.prepare(picture())
    result = explain(model, image, "blur_ig", TARGET, n_steps=256, max_sigma=0.4)
    start = form.score(blurred(image.values, 2.0), TARGET)
    assert result.diagnostics["score_baseline"] == pytest.approx(start, abs=1e-4)
    change = form.score(image.values, TARGET) - start
    assert result.attribution.sum() == pytest.approx(change, rel=0.01)


def test_blur_ig_of_a_linear_model_is_the_weight_times_the_lost_detail() -> None:
    model = linear_model()
    image = model.prepare(nets.picture())
    for n_steps in (1, 3, 16):
        result = quick(model, "blur_ig", image, target=0, n_steps=n_steps, max_sigma=0.25)
        expected = model.source.weight(0) * (image.values - blurred(image.values, 2.0))
        np.testing.assert_allclose(result.attribution, expected, rtol=1e-3, atol=1e-5)


# Expected gradients -----------------------------------------------------------------------------


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_expected_gradients_are_integrated_gradients_averaged_over_the_background(
    framework: str,
) -> None:
    form = two_layer()
    model = in_framework(form, framework)
    image = model.prepare(picture())
    background = [picture(seed) for seed in (11, 12, 13)]
    exact = np.mean(
        [form.integrated(image.values, model.prepare(one).values, TARGET) for one in background],
        axis=0,
    )
    options: dict[str, Any] = {"background": background, "seed": 1}
    errors = [
        relative(
            explain(model, image, "expected_gradients", TARGET, n_samples=n, **options).attribution,
            exact,
        )
        for n in (30, 1998)
    ]
    assert errors[1] < 0.02 < errors[0]


def test_each_sample_uses_its_own_baseline_in_the_product() -> None:
    """The mean gradient times the mean distance is another, biased estimate."""
    form = two_layer()
    model = in_framework(form, "torch")
    image = model.prepare(picture())
    background = [picture(11), np.zeros_like(picture())]
    options: dict[str, Any] = {"background": background, "n_samples": 2000}
    found = explain(model, image, "expected_gradients", TARGET, **options).attribution
    starts = [model.prepare(one).values for one in background]
    exact = np.mean([form.integrated(image.values, one, TARGET) for one in starts], axis=0)
    alphas = (np.arange(1000) + 0.5) / 1000
    gradients = [form.gradient(b + a * (image.values - b), TARGET) for b in starts for a in alphas]
    biased = np.mean(gradients, axis=0) * (image.values - np.mean(starts, axis=0))
    assert relative(found, exact) < 0.02
    assert relative(biased, exact) > 0.1


def test_the_gap_is_to_the_mean_score_of_the_baselines_drawn() -> None:
    form: TwoLayer = two_layer()
    model = in_framework(form, "torch")
    image = model.prepare(picture())
    background = [picture(seed) for seed in range(20, 25)]
    result = explain(
        model, image, "expected_gradients", TARGET, background=background, n_samples=500
    )
    mean = np.mean([form.score(model.prepare(one).values, TARGET) for one in background])
    told = result.diagnostics
    assert told["n_background"] == 5
    assert told["score_baseline"] == pytest.approx(mean, abs=1e-3)
    assert abs(told["convergence_delta_relative"]) < 0.05


@pytest.mark.parametrize("baseline", ["black", "blur"])
def test_one_baseline_gives_integrated_gradients(baseline: str) -> None:
    model = smooth_model()
    exact = quick(model, "integrated_gradients", baseline=baseline, n_steps=128, target=0)
    found = quick(model, "expected_gradients", background=baseline, n_samples=500, target=0)
    assert relative(found.attribution, exact.attribution) < 5e-3


# All of them --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 5, 64])
@pytest.mark.parametrize("method", PATHS)
def test_the_chunk_size_changes_nothing(
    method: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = smooth_model()
    steps = {"n_samples": 11} if method == "expected_gradients" else {"n_steps": 11}
    expected = quick(model, method, **steps)
    chunked(model, size, monkeypatch)
    found = quick(model, method, **steps)
    assert relative(found.attribution, expected.attribution) < 1e-4
    for name, value in expected.diagnostics.items():
        assert found.diagnostics[name] == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize("method", PATHS)
def test_pixels_that_the_model_ignores_get_nothing(method: str) -> None:
    import torch

    mask = torch.ones(1, 1, nets.SIDE, nets.SIDE)
    mask[..., :10, :] = 0
    model = nets.Wrapped(before=lambda x: x * mask)
    attribution = quick(model, method).attribution
    assert np.count_nonzero(attribution[:10]) == 0
    assert np.count_nonzero(attribution[10:]) > 0
