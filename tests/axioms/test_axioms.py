"""What must hold for any network: completeness, dummies, linearity, invariance, determinism."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.axioms.conftest import SIDE, drawn_picture, network, plain
from tests.explainers.quickly import CONVOLUTIONAL, QUICK, RANDOM
from xai_widgets.explainers.run import explain
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.targets import ClassTarget

seeds = st.integers(0, 10_000)


def explained(model: ExplainableModel, image: Any, method: str, **options: Any) -> Any:
    return explain(model, image, method, **{"target": 1, **QUICK.get(method, {}), **options})


def assert_equal_maps(found: Any, expected: Any) -> None:
    """Allow for the order of additions, and for single gates that flip."""
    size = np.abs(expected)
    scale = max(float(size.mean()), 1e-12)
    difference = np.abs(np.asarray(found, np.float64) - expected)
    assert np.median(difference) <= 1e-4 * scale
    assert difference.sum() <= 1e-3 * max(float(size.sum()), 1e-12)
    assert difference.max() <= 1e-2 * max(float(size.max()), 1e-12)


# Completeness -----------------------------------------------------------------------------


@given(seeds, st.sampled_from(["black", "white", "grey", "mean", "blur", "noise"]))
def test_integrated_gradients_sum_to_the_change_of_the_score(seed: int, baseline: str) -> None:
    model, image = network(seed, lambda: plain(nn.Softplus)), drawn_picture(seed)
    result = explained(model, image, "integrated_gradients", baseline=baseline, n_steps=128)
    change = result.score - result.diagnostics["score_baseline"]
    assert result.attribution.sum() == pytest.approx(change, abs=2e-3 * abs(change) + 2e-4)


@given(seeds, st.sampled_from([0.05, 0.01]))
def test_adaptive_steps_keep_the_gap_within_the_tolerance(seed: int, tolerance: float) -> None:
    model, image = network(seed), drawn_picture(seed)
    result = explained(
        model,
        image,
        "integrated_gradients",
        quadrature="adaptive",
        tolerance=tolerance,
        n_steps=1024,
    )
    change = result.score - result.diagnostics["score_baseline"]
    gap = abs(float(result.attribution.sum(dtype=np.float64)) - change)
    assert gap <= tolerance * abs(change) + 1e-5


@given(seeds, st.sampled_from(["black", "white", "blur"]))
@pytest.mark.parametrize("activation", [nn.ReLU, nn.GELU, nn.SiLU, nn.Hardswish])
def test_deep_shap_is_complete(activation: Any, seed: int, baseline: str) -> None:
    model, image = network(seed, lambda: plain(activation)), drawn_picture(seed)
    result = explained(model, image, "deep_shap", background=baseline)
    change = result.score - result.diagnostics["score_baseline"]
    assert result.attribution.sum() == pytest.approx(change, abs=1e-2 * abs(change) + 1e-5)


@given(seeds)
def test_shapley_values_share_the_change_of_the_score_out(seed: int) -> None:
    model, image = network(seed), drawn_picture(seed)
    result = explained(model, image, "shapley_sampling", baseline="black")
    change = result.score - result.diagnostics["score_baseline"]
    assert result.map.sum() == pytest.approx(change, abs=1e-3 * abs(change) + 1e-5)


# Dummies ----------------------------------------------------------------------------------


class LeftHalf(nn.Module):
    """Never looks at the right half of the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.net = plain()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x[..., : SIDE // 2])


PIXELWISE = (
    "gradient",
    "input_x_gradient",
    "smoothgrad",
    "smoothgrad_squared",
    "vargrad",
    "guided_backprop",
    "deconvolution",
    "integrated_gradients",
    "expected_gradients",
    "blur_ig",
    "guided_ig",
    "gradient_shap",
    "deep_shap",
    "noise_grad",
    "fusion_grad",
)


@pytest.mark.parametrize("method", PIXELWISE)
@given(seeds)
def test_pixels_that_the_model_ignores_get_nothing(method: str, seed: int) -> None:
    result = explained(network(seed, LeftHalf), drawn_picture(seed), method)
    assert not result.map[:, SIDE // 2 :].any()
    assert result.map[:, : SIDE // 2].any()


@given(seeds)
def test_windows_over_pixels_that_the_model_ignores_get_nothing(seed: int) -> None:
    model, image = network(seed, LeftHalf), drawn_picture(seed)
    result = explained(model, image, "occlusion", window_size=4, stride=4)
    ignored, seen = (np.abs(half).max() for half in np.split(result.map, 2, axis=1)[::-1])
    assert ignored <= 1e-5 * seen  # scores of the same picture differ in the last bit by batch


# Linearity --------------------------------------------------------------------------------

LINEAR = (
    "gradient",
    "input_x_gradient",
    "smoothgrad",
    "integrated_gradients",
    "expected_gradients",
    "blur_ig",
    "gradient_shap",
    "deep_shap",
    "shapley_sampling",
    "noise_grad",
    "fusion_grad",
    "occlusion",
    "rise",
)


@pytest.mark.parametrize("method", LINEAR)
@given(seeds)
def test_a_contrast_is_the_difference_of_its_classes(method: str, seed: int) -> None:
    model, image = network(seed), drawn_picture(seed)
    one, other, contrast = (
        explained(model, image, method, target=target).attribution
        for target in (0, 2, ClassTarget(0, versus=2))
    )
    scale = np.abs(one).max() + np.abs(other).max()
    np.testing.assert_allclose(contrast, one - other, atol=2e-4 * scale)


# Implementation ---------------------------------------------------------------------------


class Functional(nn.Module):
    """The same layers with functions in place of modules, in place, and one method."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = plain()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, _, pool, second, norm, _, mean, flatten, head = self.layers
        x = pool(F.relu(first(x), inplace=True))
        return head(flatten(mean(norm(second(x)).relu_())))


class Modules(Functional):
    """The same, by modules."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layers(x)
        return out


@pytest.mark.parametrize("method", CONVOLUTIONAL)
def test_relus_as_functions_and_as_modules_give_the_same_map(method: str) -> None:
    image = drawn_picture(3)
    layer = {"layer": "layers.3"} if "cam" in method else {}
    modules, functions = (network(3, make) for make in (Modules, Functional))
    found = explained(functions, image, method, **layer).attribution
    assert_equal_maps(found, explained(modules, image, method, **layer).attribution)


# Batches and seeds ------------------------------------------------------------------------


@pytest.mark.parametrize("method", CONVOLUTIONAL)
def test_the_map_does_not_depend_on_the_chunk_size(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, image = network(5), drawn_picture(5)
    expected = explained(model, image, method).attribution
    monkeypatch.setattr(type(model), "chunk_size", property(lambda _: 2))
    assert_equal_maps(explained(model, image, method).attribution, expected)


@pytest.mark.parametrize("rule", [None, "guided", "deconvolution"])
@given(seeds)
def test_gradients_do_not_depend_on_the_rest_of_the_batch(rule: str | None, seed: int) -> None:
    model = network(seed)
    batch = np.stack([model.prepare(drawn_picture(seed + i)).values for i in range(3)])
    together = model.backend.to_numpy(model.gradients(batch, ClassTarget(1), rule=rule).values)
    for i in range(3):
        alone = model.gradients(batch[i : i + 1], ClassTarget(1), rule=rule).values
        assert_equal_maps(together[i], model.backend.to_numpy(alone)[0])


@given(seeds)
def test_multipliers_do_not_depend_on_the_rest_of_the_batch(seed: int) -> None:
    model = network(seed)
    images = np.stack([model.prepare(drawn_picture(seed + i)).values for i in range(4)])

    def multipliers(values: Any) -> Any:
        found = model.gradients(values, ClassTarget(1), rule="rescale").values
        return model.backend.to_numpy(found)

    together = multipliers(images)
    for i in range(2):
        assert_equal_maps(together[i], multipliers(images[[i, i + 2]])[0])


@pytest.mark.parametrize("method", CONVOLUTIONAL)
def test_the_same_question_has_the_same_answer(method: str) -> None:
    model, image = network(7), drawn_picture(7)
    first, second = (explained(model, image, method).attribution for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    "method",
    [name for name in RANDOM if name not in ("integrated_gradients", "guided_ig", "deep_shap")],
)
def test_another_seed_draws_other_numbers(method: str) -> None:
    model, image = network(7), drawn_picture(7)
    first, second = (explained(model, image, method, seed=seed).attribution for seed in (0, 1))
    assert not np.array_equal(first, second)
