"""The user's model is as it was: after the end, a cancel, a failure, in a foreign mode."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.explainers.test_untouched import unchanged, user_model
from tests.models import keras_nets, test_keras_untouched
from tests.models.nets import SIDE, Residual, Restless, picture
from xai_widgets.errors import ModelError
from xai_widgets.features import (
    deep_dream,
    deep_dream_stream,
    firing_channels,
    objectives,
    top_images,
    visualise,
    visualise_stream,
)
from xai_widgets.models.loading import load

REGION = {"type": "rect", "x": 4, "y": 4, "width": 8, "height": 8}


@pytest.mark.parametrize("make", [Residual, Restless])
def test_a_torch_module_is_as_it_was(make: Any) -> None:
    source = user_model(make)
    with unchanged(source):
        model = load(source, input_size=(SIDE, SIDE))
        layer = model.layers[0].name
        visualise(model, [0, objectives.channel(layer, 0)], n_steps=2)
        deep_dream(model, picture(), layer, octaves=2, n_steps=1, guide=picture(seed=1))
        top_images(model, layer, [picture()], n=1)
        firing_channels(model, picture(), layer, REGION)


def test_a_torch_module_is_as_it_was_between_the_steps_and_after_a_cancel() -> None:
    source = user_model()
    model = load(source, input_size=(SIDE, SIDE))
    layer = model.layers[0].name
    for stream in (
        visualise_stream(model, objectives.channel(layer, 0), every=1),
        deep_dream_stream(model, picture(), layer, octaves=1),
    ):
        with unchanged(source):
            next(stream)
            next(stream)
        with unchanged(source):
            stream.close()


def test_a_torch_module_is_as_it_was_after_a_failure_in_the_middle() -> None:
    source = user_model(Restless)
    model = load(source, input_size=(SIDE, SIDE))
    stream = visualise_stream(model, 0, every=1)
    next(stream)
    with unchanged(source):
        source.fails_in = 3
        with pytest.raises(ModelError, match="out of memory"):
            list(stream)
        source.fails_in = None


def test_a_keras_model_is_as_it_was_after_the_end_a_cancel_and_a_failure() -> None:
    source = keras_nets.functional()
    source.compile("adam", "mse")
    model = load(source)
    layer = model.layers[0].name

    def fails(outputs: Any) -> Any:
        raise RuntimeError("out of memory")

    with test_keras_untouched.unchanged(source):
        visualise(model, [0, objectives.channel(layer, 0)], n_steps=2)
        stream = visualise_stream(model, 1, every=1)
        next(stream)
        next(stream)
        stream.close()
        with pytest.raises(Exception, match="out of memory"):
            visualise(model, fails, n_steps=2)
        deep_dream(model, picture(), layer, octaves=1, n_steps=1)


def test_it_works_in_whatever_mode_the_caller_is() -> None:
    model = load(user_model(Residual), input_size=(SIDE, SIDE))
    expected = visualise(model, 0, n_steps=2)
    for mode in (torch.no_grad(), torch.inference_mode(), torch.enable_grad()):
        with mode:
            found = visualise(model, 0, n_steps=2)
        np.testing.assert_array_equal(found.images, expected.images)
