"""Bad input: a sentence each, before anything is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import xai_widgets as xw
from scripts.format_zoo import onnx_file
from tests.models.nets import convolutional, picture
from xai_widgets.errors import (
    ImageError,
    LayerError,
    MethodError,
    ModelError,
    RegionError,
    TargetError,
    XaiError,
)
from xai_widgets.features import (
    firing_channels,
    mixtures,
    objectives,
    top_images,
    visualise_stream,
)

SIDE = 16


@pytest.fixture(scope="module")
def model() -> xw.ExplainableModel:
    return xw.load(convolutional(), preprocessing={"size": SIDE}, labels=["cat", "dog", "owl"])


@pytest.mark.parametrize(
    ("objective", "error", "message"),
    [
        ("dgo", TargetError, r"no class 'dgo'\. Did you mean 'dog'"),
        (7, TargetError, "no class 7: the model has 3 outputs"),
        (objectives.channel("9", 0), LayerError, r"no layer '9'"),
        (objectives.channel("0", 6), TargetError, "no channel 6: layer '0' has 6, 0 to 5"),
        (objectives.neuron("0", 0, (8, 0)), TargetError, r"no position \[8, 0\] in layer '0'"),
        (objectives.direction("0", np.ones(5)), TargetError, "vector has 5 values.*6 channels"),
        (objectives.direction("0", np.zeros(6)), TargetError, "finite numbers, not all zero"),
        (objectives.direction("0", np.ones(6), 9), TargetError, "cosine is 9: give a power"),
        (objectives.direction("0", np.ones(6), "x"), TargetError, "cosine is 'x': give a power"),
        (objectives.channel("0", "a"), TargetError, "counted from 0: 'a' is no whole number"),
        (objectives.neuron("0", 0, "ab"), TargetError, "counted from 0: 'a' is no whole number"),
        (objectives.neuron("0", 0, 5), TargetError, r"no position \[5\] in layer '0'"),
        (objectives.diversity("0"), TargetError, "ask for two at least, n=2"),
        (objectives.alignment("0"), TargetError, "alignment compares pictures"),
        ([objectives.diversity("0"), "cat"], TargetError, "give that objective alone"),
        (None, TargetError, "Give one objective, or a list"),
        ([], MethodError, "0 pictures at once: give 1 to 64"),
        (3.5, TargetError, "An objective cannot be a float"),
        (xw.RegionTarget(0, np.ones((4, 4), bool)), TargetError, "A region belongs to one picture"),
        ({"kind": "sound"}, TargetError, "Unknown kind of target 'sound'"),
    ],
)
def test_an_objective_that_the_model_has_not(
    model: xw.ExplainableModel, objective: Any, error: type[XaiError], message: str
) -> None:
    with pytest.raises(error, match=message):
        xw.visualise(model, objective, n_steps=2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_steps": 0}, "n_steps is 0: give a whole number of at least 1"),
        ({"n_steps": 2.5}, "n_steps is 2.5: give a whole number"),
        ({"size": 4}, "size is 4: give a whole number of at least 8"),
        ({"size": (20, 20, 3)}, "give one side, or"),
        ({"size": 9999}, "at most 2048 pixels"),
        ({"learning_rate": 0}, "learning_rate is 0: give a number above 0"),
        ({"l2": -1}, "l2 is -1: give a number from 0"),
        ({"l2": "much"}, "l2 is 'much': give a number"),
        ({"seed": -1}, "seed is -1"),
        ({"n": 65}, "65 pictures at once"),
        ({"parameterisation": "wavelets"}, "no parameterisation 'wavelets'"),
        ({"transforms": "wild"}, "no transforms 'wild'"),
    ],
)
def test_a_setting_that_makes_no_sense(
    model: xw.ExplainableModel, settings: Any, message: str
) -> None:
    with pytest.raises(MethodError, match=message):
        xw.visualise(model, "cat", **{"n_steps": 2, **settings})


def test_a_list_of_objectives_has_a_picture_each(model: xw.ExplainableModel) -> None:
    with pytest.raises(MethodError, match="n is 2 for a list of objectives"):
        xw.visualise(model, ["cat", "dog"], n=2)


def test_sums_of_what_is_no_objective_are_refused() -> None:
    with pytest.raises(TargetError, match="cannot be added to a str"):
        objectives.class_score("cat") + "dog"  # type: ignore[operator]
    with pytest.raises(TargetError, match="cannot be multiplied by a str"):
        objectives.class_score("cat") * "dog"  # type: ignore[operator]


def test_a_start_that_is_no_image(model: xw.ExplainableModel) -> None:
    with pytest.raises(ImageError):
        xw.visualise(model, "cat", start=np.zeros((2, 2, 2, 2, 2)))


@pytest.mark.parametrize("nothing", [lambda out: out[:, 0] * 0, lambda out: out.new_ones(len(out))])
def test_an_objective_that_does_not_depend_on_the_picture(
    model: xw.ExplainableModel, nothing: Any
) -> None:
    with pytest.raises(MethodError, match="does not depend on the picture"):
        xw.visualise(model, nothing)


def test_an_objective_that_becomes_nan_says_so_and_leaves_what_was_reached(
    model: xw.ExplainableModel,
) -> None:
    free = xw.visualise(model, 0, n_steps=30)
    limit = float(free.start_values[0] + free.values[0]) / 2

    def until_the_limit(out: torch.Tensor) -> torch.Tensor:
        return out[:, 0] + 0 * torch.sqrt(limit - out[:, 0])

    seen: list[Any] = []
    stream = map(seen.append, visualise_stream(model, until_the_limit, every=1, learning_rate=0.2))
    with pytest.raises(ModelError, match=r"is NaN or infinite after \d+ steps: check"):
        list(stream)
    assert len(seen) > 1 and np.isfinite(seen[-1].result.best.values).all()


def test_a_dead_channel_takes_nothing_from_the_others() -> None:
    network: Any = convolutional()
    with torch.no_grad():
        network[0].weight[2] = 0
        network[0].bias[2] = -1
    model = xw.load(network, preprocessing={"size": SIDE})
    goals = [objectives.channel("1", 1), objectives.channel("1", 2)]
    found = xw.visualise(model, goals, n_steps=8)
    assert found.values[0] > found.start_values[0]
    assert len(found.notes) == 1 and "channel 2 of 1" in found.notes[0]
    with pytest.raises(MethodError, match="channel 2 of 1 does not depend on the picture"):
        xw.visualise(model, goals[1])


def test_a_model_that_only_predicts(tmp_path: Path) -> None:
    model = xw.load(onnx_file(tmp_path))
    for attempt in (
        lambda: xw.visualise(model, 0),
        lambda: xw.deep_dream(model, picture(), "conv"),
    ):
        with pytest.raises(MethodError, match="needs gradients down to the picture"):
            attempt()
    with pytest.raises(LayerError, match="shows no layers"):
        top_images(model, None, picture())


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"layers": "nope"}, LayerError, "no layer 'nope'"),
        ({"layers": []}, LayerError, "The list of layers is empty"),
        ({"octave_scale": 1}, MethodError, "octave_scale is 1: give a number above 1"),
        ({"octaves": 30}, MethodError, "The dream would have"),
        ({"octaves": 9000}, MethodError, "octaves is 9000: give at most 32"),
        ({"octaves": 0}, MethodError, "octaves is 0"),
        ({"step": 0}, MethodError, "step is 0: give a number above 0"),
        ({"jitter": -1}, MethodError, "jitter is -1"),
        ({"layers": objectives.diversity("0")}, MethodError, "a dream has one"),
        ({"layers": objectives.layer("0"), "guide": picture()}, MethodError, "layers by name"),
    ],
)
def test_a_dream_that_cannot_be(
    model: xw.ExplainableModel, settings: Any, error: type[XaiError], message: str
) -> None:
    with pytest.raises(error, match=message):
        xw.deep_dream(model, picture(), **{"layers": "0", "n_steps": 1, **settings})


def test_channels_regions_and_mixtures_that_are_not_there(model: xw.ExplainableModel) -> None:
    with pytest.raises(LayerError, match="no channel 6: layer '0' has 6, 0 to 5"):
        top_images(model, "0", picture(), channels=[6])
    with pytest.raises(MethodError, match="not both"):
        top_images(model, "0", picture(), channels=[1], direction=np.ones(6))
    with pytest.raises(MethodError, match="n is 0"):
        top_images(model, "0", picture(), n=0)
    whole = {"type": "rect", "x": 0, "y": 0, "width": 32, "height": 32}
    with pytest.raises(MethodError, match="The region covers the whole picture"):
        firing_channels(model, picture(), "0", whole)
    with pytest.raises(RegionError):
        firing_channels(model, picture(), "0", {"type": "circle"})
    with pytest.raises(LayerError, match="has no positions on the picture"):
        firing_channels(model, picture(), "6", whole)
    with pytest.raises(MethodError, match="n is 1: give a whole number of at least 2"):
        next(mixtures(model, 0, 1, n=1))


def test_a_concept_that_was_not_trained_there() -> None:
    vectors = {("stripes", "layer1"): np.ones(4)}
    found = objectives.concept("stripes", "layer1", vectors)
    assert found.text(()) == "stripes in layer1"
    with pytest.raises(TargetError, match="no trained vector of 'spots' at layer 'layer1'"):
        objectives.concept("spots", "layer1", vectors)


def test_vectors_that_are_none_are_refused_as_they_are_written() -> None:
    with pytest.raises(TargetError, match="vector of a direction is 'abc': give one number"):
        objectives.direction("0", "abc")
    for vectors in (None, 5, [3]):
        with pytest.raises(TargetError, match="holds no concept vectors: give a ConceptStore"):
            objectives.concept("stripes", "0", vectors)


def test_a_figure_without_columns(model: xw.ExplainableModel) -> None:
    result = xw.visualise(model, "dog", n_steps=1)
    for columns in (0, "two"):
        with pytest.raises(MethodError, match="columns is"):
            result.plot(columns=columns)


def test_no_layer_is_the_recommended_one_and_one_channel_needs_no_list(
    model: xw.ExplainableModel,
) -> None:
    recommended = model.recommended_layer
    for objective in (objectives.channel(None, 0), objectives.neuron(None, 0)):
        assert objective.resolved(model).layers == (recommended,)
    (found,) = top_images(model, "0", picture()[None], channels=3)
    assert found.channel == 3


def test_classes_of_a_model_that_returns_probabilities_come_with_a_note() -> None:
    sure = torch.nn.Sequential(convolutional(), torch.nn.Softmax(dim=1))
    loaded = xw.load(sure, preprocessing={"size": SIDE}, labels=["cat", "dog", "owl"])
    assert "returns probabilities" in xw.visualise(loaded, "dog", n_steps=1).notes[0]
    assert not xw.visualise(loaded, objectives.channel("0.0", 1), n_steps=1).notes
