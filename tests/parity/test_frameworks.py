"""The same weights in PyTorch and in Keras give the same scores and the same maps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xai_widgets as xw

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

MODELS = ("lesions", "lesions-shortcut", "animals", "digits")
DATA = {"lesions": "lesions", "lesions-shortcut": "lesions", "animals": "animals"}


def maps_differ(found: Any, expected: Any) -> tuple[float, float, float]:
    """Return the difference: median to mean size, relative L1, and largest to largest size."""
    difference = np.abs(np.asarray(found, np.float64) - expected)
    size = np.abs(np.asarray(expected, np.float64))
    return (
        float(np.median(difference) / size.mean()),
        float(difference.sum() / size.sum()),
        float(difference.max() / size.max()),
    )


@pytest.fixture(scope="module", params=MODELS)
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any, Any]:
    name = request.param
    images = xw.demo.dataset(DATA.get(name, "digits"), n=2, seed=3).images
    return xw.demo.model(name), xw.demo.model(name, framework="tensorflow"), images


def test_the_logits_are_equal(pair: Any) -> None:
    torch, keras, images = pair
    values = np.stack([torch.prepare(image).values for image in images])
    found = keras.backend.to_numpy(keras.scores(values))
    np.testing.assert_allclose(found, torch.backend.to_numpy(torch.scores(values)), atol=1e-4)
    assert torch.labels == keras.labels
    assert torch.preprocess == keras.preprocess


LAYERS = (None, "stage2.block2.relu2", "stage1.block1.norm1")


@pytest.mark.parametrize(
    ("method", "layer", "parameters"),
    [
        ("gradient", None, {}),
        ("input_x_gradient", None, {}),
        ("smoothgrad", None, {"n_samples": 4}),
        ("integrated_gradients", None, {"n_steps": 16}),
        ("integrated_gradients", None, {"n_steps": 4, "baseline": "blur"}),
        *(("grad_cam", layer, {}) for layer in LAYERS),
    ],
)
def test_the_maps_are_equal(
    pair: Any, method: str, layer: str | None, parameters: dict[str, Any]
) -> None:
    torch, keras, images = pair
    for image in images:
        expected = xw.explain(torch, image, method, layer=layer, **parameters)
        twin = None if layer is None else layer.replace(".", "_")
        found = xw.explain(keras, image, method, layer=twin, **parameters)
        assert found.target == expected.target
        assert found.score == pytest.approx(expected.score, abs=1e-4)
        median, l1, largest = maps_differ(found.attribution, expected.attribution)
        assert median <= 1e-4
        assert l1 <= 1e-3
        assert largest <= 1e-2


def test_the_layers_are_the_same_ones(pair: Any) -> None:
    torch, keras, _ = pair
    twins = {layer.name: layer for layer in keras.layers}
    recommended = {layer.name for layer in torch.layers if layer.recommended}
    assert recommended == {"stage3"}
    assert keras.recommended_layer == "stage3_block2_relu2"
    for layer in torch.layers:
        twin = twins.get(layer.name.replace(".", "_"))
        if twin is not None:
            assert twin.shape == layer.shape
    main = [layer.shape[:2] for layer in torch.layers if layer.main]
    assert [layer.shape[:2] for layer in keras.layers if layer.main] == main
