"""What a model shows of pictures is computed once: features, gradients, predictions by key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import xai_widgets as xw
from tests.explainers.test_untouched import unchanged
from tests.models.nets import Residual, picture, seeded
from xai_widgets.concepts.evidence import Evidence, result_of
from xai_widgets.errors import ConceptError, LayerError, ModelError, TargetError
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget

FRAMEWORKS = ("torch", "tensorflow")
LAYERS = ["layer2", "layer3"]


def pictures(n: int = 6, side: int = 32) -> dict[str, Any]:
    return {f"picture {i}": picture(side, side, seed=i) for i in range(n)}


@pytest.fixture
def module() -> torch.nn.Module:
    return seeded(Residual)


@pytest.fixture
def seen(module: torch.nn.Module) -> list[int]:
    """How many images each forward pass had, since the model was loaded."""
    sizes: list[int] = []
    module.conv1.register_forward_hook(lambda _m, inputs, _o: sizes.append(len(inputs[0])))
    return sizes


@pytest.fixture
def evidence(module: torch.nn.Module, seen: list[int], monkeypatch: pytest.MonkeyPatch) -> Evidence:
    model = load(module, input_size=32)
    monkeypatch.setattr(type(model), "chunk_size", property(lambda _: 4))
    seen.clear()
    return Evidence(model, LAYERS)


def by_hand(model: ExplainableModel, image: Any, layer: str, target: int) -> tuple[Any, Any]:
    """Return activation and gradient of one image at a layer."""
    forward = model.forward_pass(model.prepare(image))
    found = forward.activation(layer), forward.gradient(ClassTarget(target), layer)
    return tuple(model.backend.to_numpy(array) for array in found)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("architecture", ["cnn", "vit"])
def test_features_are_those_of_single_images(framework: str, architecture: str) -> None:
    name = "digits" if architecture == "cnn" else "animals"
    model = xw.demo.model(name, framework=framework, architecture=architecture)
    data = xw.demo.dataset(name, n=3, seed=1)
    layers = [model.recommended_layer, model.layers[2].name]
    given = dict(zip("abc", data.images, strict=True))
    for pooled in (True, False):
        evidence = Evidence(model, layers, pooled)
        activations = result_of(evidence.activations_of(given))
        gradients = result_of(evidence.gradients_of(given, 2))
        for layer in layers:
            assert activations[layer].dtype == gradients[layer].dtype == np.float32
            for i, image in enumerate(data.images):
                pair = list(by_hand(model, image, layer, 2))
                if pooled:
                    pair = [np.asarray(model.feature_map(layer, array)) for array in pair]
                    pair = [pair[0].mean((1, 2)), pair[1].sum((1, 2))]
                for found, expected in zip((activations, gradients), pair, strict=True):
                    np.testing.assert_allclose(
                        found[layer][i],
                        expected.ravel(),
                        rtol=1e-3,
                        atol=1e-4 * np.abs(expected).max(),
                    )


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_layers_that_return_vectors_can_be_looked_at(framework: str) -> None:
    model = xw.demo.model("digits", framework=framework)
    data = xw.demo.dataset("digits", n=3, seed=1)
    head = model.vector_layers[-1].name
    evidence = Evidence(model, [head])
    given = dict(zip("abc", data.images, strict=True))
    logits = result_of(evidence.activations_of(given))[head]
    assert logits.shape == (3, 10)
    np.testing.assert_allclose(logits, result_of(evidence.predictions_of(given)).scores, atol=1e-5)
    gradients = result_of(evidence.gradients_of(given, ClassTarget(3, versus=1)))[head]
    np.testing.assert_array_equal(gradients, np.tile(np.eye(10)[3] - np.eye(10)[1], (3, 1)))


def test_taking_an_example_out_needs_no_forward_pass(evidence: Evidence, seen: list[int]) -> None:
    given = pictures()
    whole = result_of(evidence.activations_of(given))
    assert seen == [4, 2]
    del given["picture 3"]
    fewer = result_of(evidence.activations_of(given))
    assert seen == [4, 2]
    for layer in LAYERS:
        np.testing.assert_array_equal(fewer[layer], np.delete(whole[layer], 3, axis=0))


def test_another_class_and_a_contrast_need_no_forward_pass(
    evidence: Evidence, seen: list[int]
) -> None:
    given = pictures()
    one = result_of(evidence.gradients_of(given, 1))
    assert seen == [4, 2]
    two = result_of(evidence.gradients_of(given, 2))
    contrast = result_of(evidence.gradients_of(given, ClassTarget(1, versus=2)))
    result_of(evidence.gradients_of({"picture 5": given["picture 5"]}, 4))
    assert seen == [4, 2]
    for layer in LAYERS:
        np.testing.assert_allclose(contrast[layer], one[layer] - two[layer], atol=1e-6)
        assert np.abs(contrast[layer]).max() > 1e-4


def test_gradients_bring_activations_and_predictions_with_them(
    evidence: Evidence, seen: list[int]
) -> None:
    result_of(evidence.gradients_of(pictures(), 1))
    seen.clear()
    result_of(evidence.activations_of(pictures()))
    found = result_of(evidence.predictions_of(pictures()))
    assert seen == []
    expected = evidence.model.predict(list(pictures().values()))
    labels = [evidence.model.labels[index] for index in found.classes]
    assert labels == [record["label"] for record in expected]


def test_a_view_shares_what_is_known(evidence: Evidence, seen: list[int]) -> None:
    whole = result_of(evidence.gradients_of(pictures(), 1))
    seen.clear()
    late = evidence.at(["layer3"])
    np.testing.assert_array_equal(
        result_of(late.gradients_of(pictures(), 1))["layer3"], whole["layer3"]
    )
    full = evidence.at(pooled=False)
    found = result_of(full.gradients_of(pictures(), 1))["layer3"]
    assert seen == []  # from the retained passes
    assert found.shape == (6, int(np.prod(evidence.model.layer("layer3").shape)))
    result_of(evidence.at(["layer1"]).activations_of(pictures()))
    assert seen == [4, 2]


def test_passes_that_do_not_fit_into_memory_are_run_again(
    evidence: Evidence, seen: list[int]
) -> None:
    expected = result_of(evidence.gradients_of(pictures(), 2))
    small = Evidence(evidence.model, LAYERS, retained_bytes=0)
    result_of(small.gradients_of(pictures(), 1))
    seen.clear()
    found = result_of(small.gradients_of(pictures(), 2))
    assert seen == [4, 2]
    for layer in LAYERS:
        np.testing.assert_array_equal(found[layer], expected[layer])


def test_features_that_do_not_fit_into_memory_are_still_returned(
    evidence: Evidence, seen: list[int]
) -> None:
    expected = result_of(evidence.activations_of(pictures()))
    small = Evidence(evidence.model, LAYERS, cached_bytes=200)
    found = result_of(small.activations_of(pictures()))
    for layer in LAYERS:
        np.testing.assert_array_equal(found[layer], expected[layer])
    assert small._shared.known._nbytes <= 200


def test_a_changed_model_empties_it(
    evidence: Evidence, module: torch.nn.Module, seen: list[int]
) -> None:
    before = result_of(evidence.gradients_of(pictures(), 1))["layer3"]
    with torch.no_grad():
        module.fc.weight.mul_(2.0)
    seen.clear()
    after = result_of(evidence.gradients_of(pictures(), 1))["layer3"]
    assert seen == [4, 2]
    np.testing.assert_allclose(after, 2 * before, rtol=1e-4, atol=1e-7)


def test_a_model_that_changes_meanwhile_is_an_error(
    evidence: Evidence, module: torch.nn.Module
) -> None:
    steps = evidence.activations_of(pictures())
    next(steps)
    with torch.no_grad():
        module.fc.weight.mul_(2.0)
    with pytest.raises(ModelError, match="changed while"):
        next(steps)


def test_progress_counts_pictures(evidence: Evidence) -> None:
    steps = [(step.done, step.total) for step in evidence.activations_of(pictures())]
    assert steps == [(4, 6), (6, 6)]
    assert list(evidence.activations_of(pictures())) == []
    steps = [(step.done, step.total) for step in evidence.gradients_of(pictures(9), 1)]
    assert steps == [(4, 9), (8, 9), (9, 9)]
    steps = [(step.done, step.total) for step in evidence.gradients_of(pictures(9), 2)]
    assert steps[-1] == (9, 9) and len(steps) == 3


def test_a_cancelled_pass_leaves_the_model_as_it_was_and_keeps_what_was_done(
    evidence: Evidence, module: torch.nn.Module, seen: list[int]
) -> None:
    starts: list[Callable[[], Any]] = [
        lambda: evidence.activations_of(pictures()),
        lambda: evidence.gradients_of(pictures(), 1),
    ]
    for start in starts:
        with unchanged(module):
            steps = start()
            next(steps)
            steps.close()
    seen.clear()
    result_of(evidence.gradients_of(pictures(), 1))
    assert seen == [2]


def test_pictures_are_opened_once_and_only_when_needed(evidence: Evidence) -> None:
    opened: list[str] = []

    def opening(key: str) -> Callable[[], Any]:
        def open_() -> Any:
            opened.append(key)
            return pictures()[key]

        return open_

    given = {key: opening(key) for key in pictures()}
    result_of(evidence.activations_of(given))
    result_of(evidence.activations_of(given))
    assert opened == list(pictures())


def test_pairs_give_a_row_each_and_the_same_picture_runs_once(
    evidence: Evidence, seen: list[int]
) -> None:
    pairs = [("a", picture(seed=1)), ("b", picture(seed=2)), ("a", picture(seed=1))]
    found = result_of(evidence.activations_of(pairs))["layer3"]
    assert seen == [2] and len(found) == 3
    np.testing.assert_array_equal(found[0], found[2])


def test_inputs_of_many_sizes_can_be_pooled_and_nothing_else(seen: list[int]) -> None:
    model = load(
        seeded(Residual), preprocessing=lambda pixels: np.float32(pixels) / 255, input_size=32
    )
    given = {"small": picture(32, 32), "large": picture(48, 64), "also small": picture(32, 32, 1)}
    evidence = Evidence(model, ["layer2"])
    assert result_of(evidence.activations_of(given))["layer2"].shape == (3, 8)
    with pytest.raises(ConceptError, match="different sizes"):
        result_of(evidence.at(pooled=False).activations_of(given))


def test_nan_is_a_sentence(module: torch.nn.Module) -> None:
    evidence = Evidence(load(module, input_size=32), LAYERS)
    with torch.no_grad():
        module.layer3[0].conv1.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="NaN or infinite"):
        result_of(evidence.activations_of(pictures()))


@pytest.mark.parametrize(
    ("target", "error", "text"),
    [
        (None, ConceptError, "give a class"),
        ("zebra", TargetError, "no class 'zebra'"),
        (5, TargetError, "no class 5"),
        ({"kind": "layer", "layer": "nowhere"}, LayerError, "no layer 'nowhere'"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(
    evidence: Evidence, target: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        result_of(evidence.gradients_of(pictures(), target))


def test_layers_that_do_not_exist_are_refused(evidence: Evidence) -> None:
    with pytest.raises(LayerError, match="Did you mean 'layer3'"):
        Evidence(evidence.model, ["layer33"])
    with pytest.raises(ConceptError, match="at least one"):
        Evidence(evidence.model, [])


def test_a_layer_without_a_row_for_each_image_is_a_sentence(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "xai_widgets.concepts.evidence.features", lambda *_: np.zeros((1, 4), np.float32)
    )
    with pytest.raises(LayerError, match="1 rows for 4 images at one of 'layer2', 'layer3'"):
        result_of(evidence.activations_of(pictures()))
