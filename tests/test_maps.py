"""Maps keep their values and their place when they move between grids."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_widgets.maps import aligned, to_display, upsample
from xai_widgets.models.preprocessing import Placement

VALUES = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)


@pytest.mark.parametrize("size", [(7, 5), (14, 10), (56, 40), (33, 29)])
def test_upsampling_is_bilinear_between_pixel_centres(size: tuple[int, int]) -> None:
    expected = F.interpolate(torch.from_numpy(VALUES)[None, None], size, mode="bilinear")
    np.testing.assert_allclose(upsample(VALUES, size), expected[0, 0], atol=1e-5)


def test_a_map_that_fits_already_is_not_copied() -> None:
    assert upsample(VALUES, (7, 5)) is VALUES


def test_a_constant_map_stays_constant() -> None:
    flat = np.full((4, 4), -2.5, np.float32)
    np.testing.assert_allclose(upsample(flat, (31, 17)), -2.5, rtol=1e-6)
    shown = to_display(flat, Placement(0, 0, 17, 31), (31, 17))
    np.testing.assert_allclose(shown, -2.5, rtol=1e-6)


def test_a_map_on_its_own_grid_is_shown_as_it_is() -> None:
    np.testing.assert_allclose(to_display(VALUES, Placement(0, 0, 5, 7), (7, 5)), VALUES)


def test_a_stretched_map_equals_upsampling() -> None:
    shown = to_display(VALUES, Placement(0, 0, 40, 56), (56, 40))
    np.testing.assert_allclose(shown, upsample(VALUES, (56, 40)), atol=1e-5)


def test_what_lies_outside_the_input_is_zero() -> None:
    shown = to_display(np.ones((4, 4), np.float32), Placement(3, 2, 4, 4), (10, 12))
    expected = np.zeros((10, 12))
    expected[2:6, 3:7] = 1
    assert np.array_equal(shown, expected)


def test_padding_is_cut_off() -> None:
    values = np.arange(16, dtype=np.float32).reshape(4, 4)
    shown = to_display(values, Placement(0, -1, 4, 4), (2, 4))
    assert np.array_equal(shown, values[1:3])


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    rows=st.integers(8, 40),
    columns=st.integers(8, 40),
    height=st.integers(2, 90),
    width=st.integers(2, 90),
)
def test_the_mean_survives_on_pictures_finer_or_coarser_than_the_map(
    rows: int, columns: int, height: int, width: int
) -> None:
    rng = np.random.default_rng(rows * 100 + columns)
    values = rng.uniform(1, 2, (rows, columns)).astype(np.float32)
    shown = to_display(values, Placement(0, 0, width, height), (height, width))
    assert shown.shape == (height, width)
    assert shown.mean() == pytest.approx(values.mean(), rel=0.06)
    assert values.min() - 1e-5 <= shown.min() and shown.max() <= values.max() + 1e-5


def test_a_single_hot_cell_is_not_lost_on_a_small_picture() -> None:
    for position in range(64):
        values = np.zeros((64, 64), np.float32)
        values[position, position] = 1
        assert to_display(values, Placement(0, 0, 8, 8), (8, 8)).max() > 0


def test_maps_on_one_grid_are_compared_as_they_are() -> None:
    place = Placement(0, 0, 40, 30)
    maps = [np.eye(4, dtype=np.float32), np.ones((4, 4), np.float32)]
    assert all(a is b for a, b in zip(aligned(maps, [place] * 2, (30, 40)), maps, strict=True))


def test_maps_of_two_grids_are_compared_where_they_lie_on_the_picture() -> None:
    whole, left = Placement(0, 0, 400, 200), Placement(0, 0, 200, 200)
    first = np.zeros((4, 8), np.float32)
    first[:, :4] = 1
    placed = aligned([first, np.ones((6, 6), np.float32)], [whole, left], (200, 400))
    assert [values.shape for values in placed] == [(112, 224)] * 2
    for values in placed:  # both speak for the left half
        assert values[:, :90].min() == pytest.approx(1)
        assert values[:, 134:].max() == pytest.approx(0)
