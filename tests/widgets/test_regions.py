"""Regions: checked, turned into the right pixels, filled as asked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import grid_points_in_poly

from xai_widgets.errors import RegionError
from xai_widgets.models.images import DisplayImage
from xai_widgets.superpixels import segment
from xai_widgets.widgets.regions import (
    ablate,
    check_region,
    crop,
    decode_runs,
    encode_runs,
    region_mask,
)


@pytest.fixture
def picture() -> DisplayImage:
    return DisplayImage(np.random.default_rng(1).integers(0, 256, (30, 50, 3), dtype=np.uint8))


def mask_of(region: dict, picture: DisplayImage) -> np.ndarray:
    return region_mask(check_region(region), picture, lambda: segment(picture))


def test_a_rectangle_covers_the_pixels_whose_centres_it_holds(picture: DisplayImage) -> None:
    mask = mask_of({"type": "rect", "x": 4.6, "y": 2, "width": 10, "height": 3.4}, picture)
    expected = np.zeros((30, 50), dtype=bool)
    expected[2:5, 5:15] = True
    np.testing.assert_array_equal(mask, expected)


def test_a_polygon_around_a_rectangle_is_that_rectangle(picture: DisplayImage) -> None:
    corners = [[5.2, 2.2], [15.2, 2.2], [15.2, 8.2], [5.2, 8.2]]
    rectangle = {"type": "rect", "x": 5.2, "y": 2.2, "width": 10, "height": 6}
    np.testing.assert_array_equal(
        mask_of({"type": "polygon", "points": corners}, picture), mask_of(rectangle, picture)
    )


@given(
    st.lists(st.tuples(st.integers(-200, 700), st.integers(-200, 500)), min_size=3, max_size=8).map(
        lambda points: [[x / 8, y / 8] for x, y in points]
    )
)
def test_a_polygon_is_the_same_as_if_the_whole_picture_were_looked_at(
    points: list[list[float]],
) -> None:
    picture = DisplayImage(np.zeros((30, 50, 3), dtype=np.uint8))
    corners = np.array([[y - 0.5, x - 0.5] for x, y in points])
    whole = np.asarray(grid_points_in_poly((30, 50), corners), dtype=bool)
    if not whole.any():
        with pytest.raises(RegionError):
            mask_of({"type": "polygon", "points": points}, picture)
        return
    np.testing.assert_array_equal(mask_of({"type": "polygon", "points": points}, picture), whole)


def test_superpixels_divide_the_picture(picture: DisplayImage) -> None:
    n = int(segment(picture).max()) + 1
    total = sum(mask_of({"type": "superpixels", "ids": [i]}, picture).astype(int) for i in range(n))
    assert (total == 1).all()


@given(hnp.arrays(bool, st.tuples(st.integers(1, 8), st.integers(1, 8))))
def test_run_lengths_survive_a_round_trip(mask: np.ndarray) -> None:
    runs = encode_runs(mask)
    assert sum(runs) == mask.size
    np.testing.assert_array_equal(decode_runs(runs, list(mask.shape)), mask)


def test_run_lengths_start_with_the_zeros() -> None:
    assert encode_runs(np.array([[True, False, False]])) == [0, 1, 2]


def test_a_mask_on_a_coarser_grid_is_enlarged(picture: DisplayImage) -> None:
    region = {"type": "mask", "size": [3, 5], "counts": [1, 1, 13]}
    mask = mask_of(region, picture)
    assert mask.sum() == 100
    assert mask[:10, 10:20].all()


@pytest.mark.parametrize(
    "region",
    [
        "rect",
        {},
        {"type": "circle"},
        {"type": "rect", "x": 0, "y": 0, "width": 0, "height": 5},
        {"type": "rect", "x": float("nan"), "y": 0, "width": 1, "height": 5},
        {"type": "rect", "x": 0},
        {"type": "polygon", "points": [[0, 0], [1, 1]]},
        {"type": "polygon", "points": "abc"},
        {"type": "superpixels", "ids": []},
        {"type": "superpixels", "ids": [-1]},
        {"type": "mask", "size": [2, 2], "counts": [3]},
        {"type": "mask", "size": [2, 2], "counts": [5, -1]},
        {"type": "mask", "size": [100_000, 10_000], "counts": [10**9]},
    ],
)
def test_malformed_regions_get_a_sentence(region: object) -> None:
    with pytest.raises(RegionError):
        check_region(region)


def test_a_region_outside_the_picture_gets_a_sentence(picture: DisplayImage) -> None:
    with pytest.raises(RegionError, match="covers no pixel"):
        mask_of({"type": "rect", "x": 500, "y": 0, "width": 5, "height": 5}, picture)


@pytest.mark.parametrize("fill", ["blur", "mean", "black"])
def test_an_ablation_changes_the_region_and_nothing_else(picture: DisplayImage, fill: str) -> None:
    mask = mask_of({"type": "rect", "x": 5, "y": 5, "width": 10, "height": 10}, picture)
    filled = ablate(picture, mask, fill).pixels
    np.testing.assert_array_equal(filled[~mask], picture.pixels[~mask])
    inside = filled[mask].astype(float)
    if fill == "black":
        assert not inside.any()
    elif fill == "mean":
        assert (inside == picture.pixels.mean((0, 1)).round()).all()
    else:
        assert inside.std() < 0.3 * picture.pixels[mask].astype(float).std()


def test_an_unknown_fill_gets_a_sentence(picture: DisplayImage) -> None:
    with pytest.raises(RegionError, match="cannot be filled"):
        ablate(picture, np.ones((30, 50), dtype=bool), "pink")


def test_a_crop_shows_the_pixels_it_names(picture: DisplayImage) -> None:
    pixels, box = crop(picture, {"x": 3.2, "y": 4.9, "width": 6, "height": 5}, 100)
    assert box == {"x": 3, "y": 4, "width": 7, "height": 6}
    np.testing.assert_array_equal(pixels, picture.pixels[4:10, 3:10])


def test_a_crop_is_cut_off_at_the_border_and_shrunk_to_its_limit(picture: DisplayImage) -> None:
    pixels, box = crop(picture, {"x": -20, "y": -20, "width": 500, "height": 500}, 25)
    assert box == {"x": 0, "y": 0, "width": 50, "height": 30}
    assert pixels.shape == (15, 25, 3)
