"""From pictures to inputs: found out by trying, the same as the model's own preprocessing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import xai_widgets as xw
from tests.models import keras_nets
from tests.models.nets import convolutional, picture
from xai_widgets.features.inputs import input_map

SIDE = 16
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def grey_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def bent(image: Any) -> Any:
    return (np.asarray(image.resize((SIDE, SIDE)), np.float32) / 255) ** 2.2 * 3 - 1


def swapped(image: Any) -> Any:
    return np.asarray(image.resize((SIDE, SIDE)), np.float32)[..., ::-1] / 127.5 - 1


MODELS: dict[str, Any] = {
    "0..1": lambda: xw.load(convolutional(), preprocessing={"size": SIDE}),
    "ImageNet": lambda: xw.load(convolutional(), preprocessing={"size": SIDE, **IMAGENET}),
    "cropped": lambda: xw.load(
        convolutional(),
        preprocessing={"size": SIDE, "resize": "crop", "crop_fraction": 0.875, **IMAGENET},
    ),
    "blue first": lambda: xw.load(convolutional(), preprocessing=swapped),
    "grey": lambda: xw.load(
        grey_net(), preprocessing={"size": SIDE, "channels": 1, "mean": (0.3,), "std": (0.5,)}
    ),
    "Keras": lambda: xw.load(keras_nets.functional()),
}


@pytest.mark.parametrize("name", list(MODELS))
def test_a_picture_becomes_what_the_preprocessing_makes_of_it(name: str) -> None:
    model = MODELS[name]()
    found = input_map(model)
    assert found.note is None and found.channels == (1 if name == "grey" else 3)
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (4, 3)).astype(np.uint8)
    for colour in colours:
        image = np.broadcast_to(colour, (*model.input_shape[:2], 3)).copy()
        expected = model.prepare(image).values
        shown = image[None].astype(np.float32) / 255
        if name == "grey":
            shown = shown @ np.array([[0.299], [0.587], [0.114]], np.float32)
        inputs = model.backend.to_numpy(found.inputs(model.backend.asarray(shown), model.backend))[
            0
        ]
        reach = np.abs(found.matrix).sum()
        np.testing.assert_allclose(inputs, expected, atol=reach / 255)


@pytest.mark.parametrize("name", list(MODELS))
def test_the_picture_of_an_input_is_the_one_it_was_made_from(name: str) -> None:
    model = MODELS[name]()
    found = input_map(model)
    values = model.prepare(picture()).values
    again = model.backend.asarray(found.picture_of(values)[None])
    inputs = model.backend.to_numpy(found.inputs(again, model.backend))[0]
    np.testing.assert_allclose(inputs, values, atol=1e-3 * float(np.abs(found.matrix).max()) + 1e-5)


def test_grey_pictures_are_grey() -> None:
    found = xw.visualise(MODELS["grey"](), 0, n_steps=3)
    assert found.images.shape == (1, SIDE, SIDE, 3)
    np.testing.assert_array_equal(found.images[..., 0], found.images[..., 1])
    np.testing.assert_array_equal(found.images[..., 0], found.images[..., 2])


def test_a_preprocessing_that_is_not_linear_is_said_and_gone_around() -> None:
    model = xw.load(convolutional(), preprocessing=bent)
    found = xw.visualise(model, 0, n_steps=8)
    assert len(found.notes) == 1 and "not one linear map of the colours" in found.notes[0]
    assert found.values[0] > found.start_values[0]


def test_a_dream_of_a_grey_model_is_grey() -> None:
    found = xw.deep_dream(MODELS["grey"](), picture(), "0", octaves=1, n_steps=1)
    np.testing.assert_array_equal(found.image[..., 0], found.image[..., 2])
    assert torch.is_grad_enabled()
