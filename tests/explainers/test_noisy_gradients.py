"""SmoothGrad squared, VarGrad, NoiseGrad and FusionGrad, against two layers solved by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.explainers.closed_forms import (
    FRAMEWORKS,
    UNITS,
    TwoLayer,
    in_framework,
    picture,
    two_layer,
)
from tests.explainers.helpers import chunked, linear_model, quick, relative, smooth_model
from xai_widgets.explainers.run import explain, explain_stream
from xai_widgets.models.base import ExplainableModel

TARGET = 1
SAMPLES = 9
LEVEL = 0.4


def draws(form: TwoLayer, values: Any, seed: int = 5) -> Any:
    """Return the closed-form gradient of each noisy copy, [N, H, W, C]."""
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal((SAMPLES, *values.shape), dtype=np.float32)
    copies = values + np.float32(LEVEL * np.ptp(values)) * noise
    return np.stack([form.gradient(one, TARGET) for one in copies])


EXPECTED = {
    "smoothgrad": lambda gradients: gradients.mean(0),
    "smoothgrad_squared": lambda gradients: (gradients**2).mean(0),
    "vargrad": lambda gradients: gradients.var(0),
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("method", EXPECTED)
def test_it_is_its_formula_over_the_closed_form_gradients(method: str, framework: str) -> None:
    form = two_layer()
    model = in_framework(form, framework)
    image = model.prepare(picture())
    expected = EXPECTED[method](draws(form, image.values))
    options = {"n_samples": SAMPLES, "noise_level": LEVEL, "seed": 5}
    result = explain(model, image, method, TARGET, **options)
    assert relative(result.attribution, expected) < 1e-4
    assert result.score == pytest.approx(form.score(image.values, TARGET), abs=1e-4)
    if method != "smoothgrad":
        assert not result.signed and result.attribution.min() >= 0


@pytest.mark.parametrize("size", [1, 2, 4, 64])
@pytest.mark.parametrize("method", ["smoothgrad_squared", "vargrad"])
def test_the_chunk_size_changes_nothing(
    method: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = smooth_model()
    expected = quick(model, method, n_samples=7).attribution
    chunked(model, size, monkeypatch)
    assert relative(quick(model, method, n_samples=7).attribution, expected) < 1e-4


def test_squared_is_the_square_of_the_mean_plus_the_variance() -> None:
    model = smooth_model()
    mean, squared, variance = (
        quick(model, method, n_samples=8, target=1).attribution.astype(np.float64)
        for method in ("smoothgrad", "smoothgrad_squared", "vargrad")
    )
    assert relative(mean**2 + variance, squared) < 1e-5


def test_a_tiny_variance_beside_a_large_mean_is_not_lost() -> None:
    """E[g^2] - E[g]^2 in float32 would be rounding noise here, and partly negative."""
    model = smooth_model()
    result = quick(model, "vargrad", n_samples=12, noise_level=0.001, target=1).attribution
    assert (result >= 0).all() and np.count_nonzero(result) > 0.9 * result.size
    gradient = quick(model, "gradient", target=1).attribution
    assert np.sqrt(result).mean() < 2e-3 * np.abs(gradient).mean()


def test_one_sample_has_no_variance_and_a_linear_model_none_at_all() -> None:
    assert not quick(smooth_model(), "vargrad", n_samples=1).attribution.any()
    model = linear_model()
    assert np.abs(quick(model, "vargrad", target=0).attribution).max() < 1e-12
    squared = quick(model, "smoothgrad_squared", target=0).attribution
    np.testing.assert_allclose(squared, model.source.weight(0) ** 2, rtol=1e-4, atol=1e-8)


# Noisy weights ------------------------------------------------------------------------------


def changed(form: TwoLayer, model: ExplainableModel, generator: Any, level: float) -> TwoLayer:
    """Return the closed form under the next draw, in the order in which weights are offered."""
    arrays: list[Any] = []

    def record(_name: str, weight: Any) -> Any:
        factors = generator.standard_normal(weight.shape, dtype=np.float32)
        arrays.append(weight.astype(np.float64) * (1 + np.float32(level) * factors))
        return weight

    with model.changed_weights(record):
        pass
    hidden, shift, out, last = arrays
    if model.framework == "torch":
        hidden = hidden.reshape(UNITS, 3, *form.hidden.shape[1:3]).transpose(0, 2, 3, 1)
    else:
        hidden, out = hidden.T.reshape(form.hidden.shape), out.T
    return TwoLayer(hidden, shift, out, last)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_noise_grad_perturbs_the_original_weights_each_time(framework: str) -> None:
    form = two_layer()
    model = in_framework(form, framework)
    image = model.prepare(picture())
    generator = np.random.default_rng([4, 1])
    forms = [changed(form, model, generator, 0.3) for _ in range(6)]
    expected = np.mean([one.gradient(image.values, TARGET) for one in forms], axis=0)
    result = explain(model, image, "noise_grad", TARGET, n_weights=6, weight_noise=0.3, seed=4)
    assert relative(result.attribution, expected) < 1e-4
    assert relative(expected, form.gradient(image.values, TARGET)) > 0.02
    assert result.score == pytest.approx(form.score(image.values, TARGET), abs=1e-4)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_fusion_grad_adds_noise_to_the_image(framework: str) -> None:
    form = two_layer()
    model = in_framework(form, framework)
    image = model.prepare(picture())
    of_weights, of_inputs = np.random.default_rng([2, 1]), np.random.default_rng(2)
    spread = np.float32(LEVEL * np.ptp(image.values))
    gradients = []
    for _ in range(3):
        noisy_form = changed(form, model, of_weights, 0.2)
        noise = of_inputs.standard_normal((4, *image.values.shape), dtype=np.float32)
        gradients += [noisy_form.gradient(image.values + spread * one, TARGET) for one in noise]
    options = {"n_weights": 3, "n_samples": 4, "weight_noise": 0.2, "noise_level": LEVEL, "seed": 2}
    result = explain(model, image, "fusion_grad", TARGET, **options)
    assert relative(result.attribution, np.mean(gradients, axis=0)) < 1e-4


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_without_noise_on_the_weights_they_are_the_gradient_and_smoothgrad(framework: str) -> None:
    model = in_framework(two_layer(), framework)
    image = model.prepare(picture())
    plain = explain(model, image, "gradient", TARGET).attribution
    still = explain(model, image, "noise_grad", TARGET, n_weights=2, weight_noise=0.0)
    assert relative(still.attribution, plain) < 1e-6
    smooth = explain(model, image, "smoothgrad", TARGET, n_samples=5).attribution
    fused = explain(model, image, "fusion_grad", TARGET, n_weights=1, n_samples=5, weight_noise=0.0)
    assert relative(fused.attribution, smooth) < 1e-6


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("method", ["noise_grad", "fusion_grad"])
def test_the_weights_are_the_users_own_whenever_a_step_is_over(method: str, framework: str) -> None:
    model = in_framework(two_layer(), framework)
    image = model.prepare(picture())
    before, scores = model.weight_hash, model.backend.to_numpy(model.scores(image.values[None]))
    stream = explain_stream(model, image, method, TARGET, None, {"n_weights": 4})
    for _ in range(3):
        next(stream)
        assert model.weight_hash == before
        found = model.backend.to_numpy(model.scores(image.values[None]))
        np.testing.assert_array_equal(found, scores)
    stream.close()
    assert model.weight_hash == before


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_weights_are_back_after_a_failure(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = in_framework(two_layer(), framework)
    before, calls = model.weight_hash, []
    gradients = type(model).gradients

    def failing(*arguments: Any, **options: Any) -> Any:
        calls.append(model.weight_hash)
        if len(calls) > 1:
            raise RuntimeError("out of memory")
        return gradients(*arguments, **options)

    monkeypatch.setattr(type(model), "gradients", failing)
    with pytest.raises(RuntimeError, match="out of memory"):
        explain(model, picture(), "noise_grad", TARGET, n_weights=4)
    assert model.weight_hash == before
    assert len(calls) == 2
