"""What excites channels in a set of images, and which channels fire in a region."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import xai_widgets as xw
from tests.models.nets import convolutional
from xai_widgets.features import firing_channels, top_images, top_images_stream
from xai_widgets.features.receptive import receptive_field

SIDE = 32


def detector() -> xw.ExplainableModel:
    """Return a model whose layer "0" sees in its channels what is red, green and blue."""
    convolution = nn.Conv2d(3, 3, 5, stride=4, padding=2, bias=False)
    with torch.no_grad():
        convolution.weight.fill_(-0.5)
        for c in range(3):
            convolution.weight[c, c] = 1
        convolution.weight /= 25
    network = nn.Sequential(
        convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)
    )
    return xw.load(network.eval(), preprocessing={"size": SIDE})


def spots() -> Any:
    """Return four grey pictures, each with a spot of one colour, of the last one two."""
    images = np.full((4, 64, 64, 3), 20, np.uint8)
    for i, colour in enumerate(([255, 0, 0], [0, 255, 0], [0, 0, 255], [160, 0, 0])):
        images[i, 8:24, 40:56] = colour
    return images


def test_the_images_with_a_channels_colour_come_first_and_are_cut_out_around_it() -> None:
    found = top_images(detector(), "0", spots(), n=2)
    assert [entry.channel for entry in found] == [0, 1, 2]
    assert [int(entry.indices[0]) for entry in found] == [0, 1, 2]
    assert found[0].indices.tolist() == [0, 3]
    for entry in found:
        assert entry.values[0] >= entry.values[-1]
        row, column = entry.positions[0]
        assert 1 <= row <= 2 and 5 <= column <= 6
        crop = entry.crops[0]
        middle = (crop["x"] + crop["width"] / 2, crop["y"] + crop["height"] / 2)
        assert 40 <= middle[0] <= 56 and 8 <= middle[1] <= 24
        assert 8 <= crop["width"] <= 12  # five pixels of the input are ten of the picture


def test_values_are_the_layers_largest_activations() -> None:
    model, images = detector(), spots()
    found = top_images(model, "1", images, channels=[2], n=4)[0]
    values = np.stack([model.prepare(image).values for image in images])
    maps = model.backend.to_numpy(model.activations(values, "1"))[..., 2]
    np.testing.assert_allclose(found.values, np.sort(maps.max(axis=(1, 2)))[::-1], rtol=1e-5)
    for index, value, (row, column) in zip(
        found.indices, found.values, found.positions, strict=True
    ):
        assert maps[index, row, column] == pytest.approx(value)


def test_a_direction_finds_what_lies_along_it() -> None:
    found = top_images(detector(), "0", spots(), direction=[0, 1, -1], n=1)
    assert len(found) == 1 and found[0].channel is None and found[0].indices.tolist() == [1]


def test_looking_streams_and_ends_in_the_same() -> None:
    model = xw.load(convolutional(), preprocessing={"size": 200})
    images = np.random.default_rng(0).integers(0, 256, (25, 32, 32, 3)).astype(np.uint8)
    steps = list(top_images_stream(model, "0", images, n=3))
    assert len(steps) > 1 and steps[-1].done == steps[-1].total == 25
    whole = top_images(model, "0", images, n=3)
    assert [e.to_dict() for e in steps[-1].found] == [e.to_dict() for e in whole]


def test_layers_of_vectors_take_the_whole_picture() -> None:
    found = top_images(detector(), "4", spots(), n=1)
    assert found[0].crops[0] == {"x": 0.0, "y": 0.0, "width": 64.0, "height": 64.0}


def test_tokens_are_looked_at_by_patch() -> None:
    model = xw.demo.model("animals", "torch", "vit")
    layer = model.patch_layer
    assert layer is not None
    found = top_images(model, layer, xw.demo.dataset("animals", n=2).images, channels=[0], n=1)
    grid = model.layer(layer).grid
    assert grid is not None
    row, column = found[0].positions[0]
    assert row < grid.rows and column < grid.columns


def test_the_receptive_field_of_a_convolution_is_its_kernel() -> None:
    field = receptive_field(detector(), "0")
    assert field.grid == (8, 8) and 4 <= field.height <= 6 and 4 <= field.width <= 6


@pytest.mark.parametrize("images", [None, spots()])
def test_the_channel_of_a_spots_colour_fires_there(images: Any) -> None:
    model = detector()
    for i in range(3):
        region = {"type": "rect", "x": 40, "y": 8, "width": 16, "height": 16}
        found = firing_channels(model, spots()[i], "0", region, images=images)
        assert found[0].channel == i
        assert found[0].inside > found[0].outside and found[0].contrast > 1


def test_where_nothing_is_nothing_fires() -> None:
    region = {"type": "rect", "x": 4, "y": 40, "width": 16, "height": 16}
    found = firing_channels(detector(), spots()[0], "1", region)
    assert found == []
