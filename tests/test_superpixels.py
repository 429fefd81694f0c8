"""Superpixels cover the model's input, each pixel in the piece it belongs to on the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.explainers.helpers import linear_model
from tests.models.nets import convolutional, picture
from xai_widgets import superpixels
from xai_widgets.models.images import open_image
from xai_widgets.models.loading import load
from xai_widgets.superpixels import input_superpixels, segment


def quadrants(height: int = 64, width: int = 64) -> Any:
    """Return a picture of four colours, and the quadrant of each pixel."""
    rows = (np.arange(height) >= height // 2).astype(int)
    columns = (np.arange(width) >= width // 2).astype(int)
    number = rows[:, None] * 2 + columns
    colours = np.array([[250, 20, 20], [20, 250, 20], [20, 20, 250], [240, 240, 30]], np.uint8)
    return colours[number], number


@pytest.mark.parametrize("n", [4, 20, 80])
def test_there_are_about_as_many_as_asked_for(n: int) -> None:
    labels = segment(open_image(picture(120, 160)), n)
    assert labels.dtype == np.uint16 and labels.shape == (120, 160)
    assert 0.4 * n <= labels.max() + 1 <= 1.6 * n


def test_pieces_follow_the_picture() -> None:
    pixels, number = quadrants()
    labels = input_superpixels(linear_model().prepare(pixels), 4)
    assert labels.shape == (8, 8) and labels.max() == 3
    for piece in range(4):
        quadrant = number[::8, ::8][labels == piece]
        assert len(set(quadrant.tolist())) == 1


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_labels_lie_where_preprocessing_puts_the_picture(
    resize: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, number = quadrants(40, 80)
    monkeypatch.setattr(superpixels, "segment", lambda _image, _n: number.astype(np.uint16))
    image = load(convolutional(), preprocessing={"size": 32, "resize": resize}).prepare(pixels)
    labels = input_superpixels(image, 4)
    place = image.placement
    at = (np.arange(32) + 0.5) / 32
    rows = np.clip((place.y + at * place.height).astype(int), 0, 39)
    columns = np.clip((place.x + at * place.width).astype(int), 0, 79)
    np.testing.assert_array_equal(labels, number[rows[:, None], columns])
    assert set(labels.ravel()) == {0, 1, 2, 3}


def test_pieces_that_the_model_does_not_see_are_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels, number = quadrants(40, 400)
    monkeypatch.setattr(
        superpixels, "segment", lambda _image, _n: np.arange(400) // 40 + number * 0
    )
    image = load(convolutional(), preprocessing={"size": 32, "resize": "crop"}).prepare(pixels)
    labels = input_superpixels(image, 4)
    assert set(labels.ravel()) == {0, 1}, "the crop shows the middle, pieces 4 and 5 of ten"


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (3, 2)])
def test_tiny_pictures_have_at_least_one_piece(shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), 90, np.uint8)
    labels = input_superpixels(linear_model().prepare(pixels), 40)
    assert labels.shape == (8, 8) and labels.min() == 0
