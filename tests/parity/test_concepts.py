"""The same weights in PyTorch and Keras show the same of many pictures: features, maps, sweeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xai_widgets as xw
from tests.parity.test_frameworks import maps_differ
from xai_widgets.concepts.evidence import Evidence, result_of
from xai_widgets.concepts.maps import concept_map
from xai_widgets.concepts.scrub import scrub

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

MODELS = {"digits": "cnn", "animals": "vit"}


@pytest.fixture(scope="module", params=MODELS)
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any, dict[str, Any]]:
    name, architecture = request.param, MODELS[request.param]
    models = [
        xw.demo.model(name, framework=framework, architecture=architecture)
        for framework in ("torch", "tensorflow")
    ]
    images = xw.demo.dataset(name, n=8, seed=4).images
    return models[0], models[1], {str(i): image for i, image in enumerate(images)}


def assert_equal(found: Any, expected: Any) -> None:
    median, l1, largest = maps_differ(found, expected)
    assert median <= 1e-4
    assert l1 <= 1e-3
    assert largest <= 1e-2


@pytest.mark.parametrize("pooled", [True, False])
def test_activations_and_gradients_are_the_same(pair: Any, pooled: bool) -> None:
    torch, keras, pictures = pair
    twins = torch.recommended_layer, keras.recommended_layer
    views = [Evidence(m, [layer], pooled) for m, layer in zip((torch, keras), twins, strict=True)]
    expected, found = (
        [result_of(view.activations_of(pictures))[view.layers[0]] for view in views],
        [result_of(view.gradients_of(pictures, 2))[view.layers[0]] for view in views],
    )
    for ours, theirs in (expected, found):
        assert np.abs(theirs).max() > 0
        assert_equal(theirs, ours)


def test_maps_and_sweeps_are_the_same(pair: Any) -> None:
    torch, keras, pictures = pair
    twins = torch.recommended_layer, keras.recommended_layer
    vector = np.random.default_rng(0).normal(size=torch.layer(twins[0]).shape[-1])
    maps, sweeps = [], []
    for model, layer in zip((torch, keras), twins, strict=True):
        image = model.prepare(pictures["0"])
        maps.append(concept_map(model, image, 2, layer, vector))
        sweeps.append(scrub(model, image, layer, vector))
    assert_equal(maps[1].heatmap, maps[0].heatmap)
    assert sweeps[1].unit == pytest.approx(sweeps[0].unit, rel=1e-4)
    np.testing.assert_allclose(sweeps[1].outputs, sweeps[0].outputs, atol=1e-3)
