"""Scrubbing moves an activation along a vector: nothing at 0, and the derivative as its slope."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import xai_widgets as xw
from tests.explainers.test_untouched import unchanged
from tests.models.nets import Residual, convolutional, picture, seeded
from xai_widgets.concepts.maps import concept_map
from xai_widgets.concepts.scrub import default_epsilons, scrub, scrub_steps
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
    return model, model.prepare(xw.demo.dataset(name, n=1, seed=2).images[0])


def unit_vector(size: int, seed: int = 0) -> Any:
    vector = np.random.default_rng(seed).normal(size=size)
    return vector / np.linalg.norm(vector)


def test_at_zero_the_model_says_what_it_says(given: tuple[ExplainableModel, Any]) -> None:
    model, image = given
    layer = model.recommended_layer
    size = model.layer(layer).shape[-1]
    sweep = scrub(model, image, layer, unit_vector(size))
    assert sweep.probabilities and sweep.outputs.shape == (33, len(model.labels))
    np.testing.assert_allclose(sweep.outputs.sum(axis=1), 1, atol=1e-5)
    middle = int(np.flatnonzero(sweep.epsilons == 0)[0])
    forward = model.forward_pass(image)
    np.testing.assert_allclose(sweep.scores[middle], forward.scores, rtol=1e-4, atol=1e-4)
    assert np.ptp(sweep.outputs, axis=0).max() > 1e-3


def test_its_slope_at_zero_is_the_directional_derivative(
    given: tuple[ExplainableModel, Any],
) -> None:
    model, image = given
    layer = model.recommended_layer
    vector = unit_vector(model.layer(layer).shape[-1], seed=1)
    step = 1e-3
    sweep = scrub(model, image, layer, 5 * vector, [-step, step])  # its length does not matter
    slopes = (sweep.scores[1] - sweep.scores[0]) / (2 * step)
    expected = [
        sweep.unit * concept_map(model, image, index, layer, vector).derivative
        for index in range(len(model.labels))
    ]
    np.testing.assert_allclose(slopes, expected, rtol=0, atol=0.03 * np.abs(expected).max())


def test_epsilon_one_moves_an_activation_by_its_own_length() -> None:
    model = load(convolutional(nn.Softplus), input_size=32)
    image = model.prepare(picture())
    activation = model.activations(image.values[None], "3").numpy()[0]
    vector = unit_vector(8)
    sweep = scrub(model, image, "3", vector, [0.0, 1.0])
    unit = float(np.linalg.norm(activation, axis=2).mean())
    assert sweep.unit == pytest.approx(unit, rel=1e-5)
    head = model.source[-1]
    moved = torch.from_numpy((activation + unit * vector).mean(axis=(0, 1)).astype(np.float32))
    np.testing.assert_allclose(sweep.scores[1], head(moved).detach(), rtol=1e-4)


def test_the_whole_activation_and_a_vector_layer_can_be_moved() -> None:
    model = load(convolutional(nn.Softplus), input_size=32)
    image = model.prepare(picture())
    whole = model.activations(image.values[None], "2").numpy()[0]
    vector = unit_vector(whole.size)
    sweep = scrub(model, image, "2", vector, [1.0])
    assert sweep.unit == pytest.approx(float(np.linalg.norm(whole)), rel=1e-5)
    moved = nn.functional.softplus(
        torch.from_numpy(whole + sweep.unit * vector.reshape(whole.shape)).float()
    )
    expected = model.source[-1](moved.mean(dim=(0, 1))).detach()
    np.testing.assert_allclose(sweep.scores[0], expected, rtol=1e-4)
    logits = model.forward_pass(image).scores
    sweep = scrub(model, image, "6", np.array([1.0, 0, 0]), [2.0])
    length = float(np.linalg.norm(logits))
    np.testing.assert_allclose(sweep.scores[0], logits + np.array([2 * length, 0, 0]), rtol=1e-4)


def test_the_image_runs_once_up_to_the_layer() -> None:
    sizes: dict[str, list[int]] = {"before": [], "after": []}
    module = seeded(Residual)
    model = load(module, input_size=32)
    module.layer1.register_forward_hook(lambda _m, x, _y: sizes["before"].append(len(x[0])))
    module.fc.register_forward_hook(lambda _m, x, _y: sizes["after"].append(len(x[0])))
    image = model.prepare(picture())
    for n_passes in (3, 2):  # the activation, whether it works for one image, the sweep
        for passes in sizes.values():
            passes.clear()
        with unchanged(module):
            scrub(model, image, "layer3", unit_vector(8))
        assert sizes["before"] == [1] * n_passes
        assert sizes["after"] == [1] * (n_passes - 1) + [33]


class Knowing(nn.Module):
    """Knows from the beginning how many images there are."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = len(x)
        x = self.stem(x)
        return self.head(x.reshape(n, 4, -1).mean(2)[:n])


def test_a_model_that_counts_its_images_beforehand_gets_all_of_them() -> None:
    model = load(seeded(Knowing), input_size=16)
    image = model.prepare(picture(16, 16))
    epsilons = default_epsilons()
    sweep = scrub(model, image, "stem", np.array([1.0, -1.0, 0.5, 0.0]))
    for i in (0, 16, 32):
        alone = scrub(model, image, "stem", np.array([1.0, -1.0, 0.5, 0.0]), [epsilons[i]])
        np.testing.assert_allclose(sweep.scores[i], alone.scores[0], rtol=1e-5)
    assert len(np.unique(sweep.scores[:, 0])) == 33


def test_it_comes_in_steps_that_can_be_cancelled() -> None:
    module = seeded(Residual)
    model = load(module, input_size=32)
    image = model.prepare(picture())
    with unchanged(module):
        steps = scrub_steps(model, image, "layer2", unit_vector(8), np.linspace(-1, 1, 300))
        first = next(steps)
        assert (first.done, first.total) == (150, 300)
        steps.close()


def test_a_regressions_outputs_are_no_probabilities() -> None:
    model = load(convolutional(nn.Softplus, 1), input_size=32)
    sweep = scrub(model, model.prepare(picture()), "3", np.ones(8))
    assert not sweep.probabilities
    np.testing.assert_array_equal(sweep.outputs, sweep.scores)


def test_what_does_not_fit_is_a_sentence() -> None:
    model = load(convolutional(), input_size=32)
    image = model.prepare(picture())
    with pytest.raises(ConceptError, match="does not fit layer"):
        scrub(model, image, "3", np.ones(7))
    with pytest.raises(ConceptError, match="at least one"):
        scrub(model, image, "3", np.ones(8), [])
    with pytest.raises(ConceptError, match="finite"):
        scrub(model, image, "3", np.ones(8), [np.inf])
    with pytest.raises(LayerError, match="no layer"):
        scrub(model, image, "30", np.ones(8))
