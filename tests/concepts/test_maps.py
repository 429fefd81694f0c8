"""Where a concept acts: the gradient times the vector at each place, which adds up to the score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch import nn

import xai_widgets as xw
from tests.models.nets import convolutional, picture
from xai_widgets.concepts.evidence import Evidence, result_of
from xai_widgets.concepts.maps import concept_map
from xai_widgets.errors import ConceptError, LayerError
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load

MODELS = {
    "cnn": ("digits", "cnn", "torch"),
    "vit": ("animals", "vit", "torch"),
    "Keras cnn": ("digits", "cnn", "tensorflow"),
    "Keras vit": ("animals", "vit", "tensorflow"),
}


@pytest.fixture(scope="module", params=MODELS)
def given(request: pytest.FixtureRequest) -> tuple[ExplainableModel, Any]:
    name, architecture, framework = MODELS[request.param]
    model = xw.demo.model(name, framework=framework, architecture=architecture)
    return model, xw.demo.dataset(name, n=2, seed=2).images


def vector_for(model: ExplainableModel, layer: str, pooled: bool = True) -> Any:
    shape = model.layer(layer).shape
    size = shape[-1] if pooled else int(np.prod(shape))
    vector = np.random.default_rng(0).normal(size=size)
    return vector / np.linalg.norm(vector)


def test_it_adds_up_to_the_derivative_that_tcav_uses(given: tuple[ExplainableModel, Any]) -> None:
    model, images = given
    layer = model.recommended_layer
    for pooled in (True, False):
        vector = vector_for(model, layer, pooled)
        if not pooled and model.layer(layer).grid is not None:
            tokens = vector.reshape(model.layer(layer).shape)
            tokens[: model.layer(layer).grid.patches.start] = 0  # CLS has no place on the map
        pictures = {str(i): image for i, image in enumerate(images)}
        gradients = result_of(Evidence(model, [layer], pooled).gradients_of(pictures, 1))[layer]
        for image, gradient in zip(images, gradients, strict=True):
            found = concept_map(model, model.prepare(image), 1, layer, vector)
            assert found.grid.shape == model.layer(layer).resolution
            assert found.derivative == pytest.approx(float(gradient @ vector), rel=1e-3, abs=1e-5)
            assert found.grid.sum() == pytest.approx(found.derivative, rel=1e-3, abs=1e-5)


def test_each_place_is_the_gradient_there_times_the_vector() -> None:
    model = load(convolutional(nn.Softplus), input_size=32)
    image, vector = model.prepare(picture()), np.arange(8.0)
    found = concept_map(model, image, 2, "3", vector)
    gradient = model.gradients(image.values[None], found.target, layer="3").values.numpy()[0]
    np.testing.assert_allclose(found.grid, gradient @ vector, rtol=1e-4, atol=1e-7)
    opposite = concept_map(model, image, 2, "3", -vector)
    np.testing.assert_allclose(opposite.grid, -found.grid)


def test_it_lies_on_the_picture_as_class_activation_maps_do() -> None:
    model = load(convolutional(nn.Softplus), input_size=32)
    image = model.prepare(picture(48, 64))
    found = concept_map(model, image, None, "3", np.ones(8))
    cam = xw.explain(model, image.display, "hires_cam", layer="3")
    assert found.target == cam.target
    assert found.score == pytest.approx(cam.score, rel=1e-5)
    assert found.values.shape == cam.map.shape
    assert found.heatmap.shape == cam.heatmap.shape == (48, 64)
    assert np.abs(found.heatmap).max() > 0


def test_a_vector_or_layer_that_does_not_fit_is_a_sentence() -> None:
    model = load(convolutional(), input_size=32)
    image = model.prepare(picture())
    with pytest.raises(ConceptError, match="has 7 values and does not fit layer '3'"):
        concept_map(model, image, 0, "3", np.ones(7))
    for bad in (np.zeros(8), np.full(8, np.nan)):
        with pytest.raises(ConceptError, match="zero or not finite"):
            concept_map(model, image, 0, "3", bad)
    with pytest.raises(LayerError, match="no feature map"):
        concept_map(model, image, 0, "6", np.ones(3))
    with pytest.raises(LayerError, match="no layer 'nowhere'"):
        concept_map(model, image, 0, "nowhere", np.ones(3))
