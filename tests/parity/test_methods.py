"""Every method gives the same map of the same weights in PyTorch and in Keras."""

from __future__ import annotations

from typing import Any

import pytest

import xai_widgets as xw
from tests.explainers.quickly import ALL, CONVOLUTIONAL, QUICK
from tests.parity.test_frameworks import maps_differ

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

WEIGHT_NOISE = {"noise_grad", "fusion_grad"}
"""The same seed shakes other weights: the frameworks lay them out in another order."""
RELU_ONLY = {"guided_backprop", "deconvolution", "guided_grad_cam"}


def pair(name: str, **options: str) -> tuple[Any, Any, Any]:
    data = {"lesion-area": "lesions"}.get(name, name)
    image = xw.demo.dataset(data, n=2, seed=3).images[1]
    torch, keras = (
        xw.demo.model(name, framework=framework, **options) for framework in ("torch", "tensorflow")
    )
    return torch, keras, image


def assert_equal_maps(torch: Any, keras: Any, image: Any, method: str, **options: Any) -> None:
    options = {**QUICK.get(method, {}), **options}
    expected = xw.explain(torch, image, method, **options)
    found = xw.explain(keras, image, method, **options)
    median, total, largest = maps_differ(found.attribution, expected.attribution)
    assert expected.attribution.any()
    assert median <= 1e-4
    assert total <= 1e-3
    assert largest <= 1e-2
    assert found.score == pytest.approx(expected.score, rel=1e-4, abs=1e-5)


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any, Any]:
    return pair("digits")


@pytest.fixture(scope="module")
def transformer() -> tuple[Any, Any, Any]:
    return pair("animals", architecture="vit")


@pytest.mark.parametrize("method", [name for name in CONVOLUTIONAL if name not in WEIGHT_NOISE])
def test_the_maps_of_a_convolutional_network_are_equal(method: str, digits: Any) -> None:
    assert_equal_maps(*digits, method)


@pytest.mark.parametrize("method", [n for n in ALL if n not in WEIGHT_NOISE | RELU_ONLY])
def test_the_maps_of_a_vision_transformer_are_equal(method: str, transformer: Any) -> None:
    torch, keras, image = transformer
    assert_equal_maps(torch, keras, image, method)


@pytest.fixture(scope="module", params=["scenes", "lesion-area"])
def other_task(request: pytest.FixtureRequest) -> tuple[Any, Any, Any]:
    return pair(request.param)


@pytest.mark.parametrize("method", ["gradient", "integrated_gradients", "deep_shap", "occlusion"])
def test_segmentations_and_regressions_are_equal(method: str, other_task: Any) -> None:
    assert_equal_maps(*other_task, method)
