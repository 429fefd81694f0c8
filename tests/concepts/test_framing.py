"""A crop is shown to the model at the scale that it has in its picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import xai_widgets as xw
from xai_widgets.concepts.framing import MAX_SIDE, framed, region_sides
from xai_widgets.concepts.random_regions import moved
from xai_widgets.concepts.records import Example, ImageRef
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.concepts.tcav import tcav
from xai_widgets.models.images import DisplayImage
from xai_widgets.regions import encode_runs, region_mask

RECT = {"type": "rect", "x": 4, "y": 3, "width": 5, "height": 4}


def test_a_crop_lies_in_the_middle_and_is_mirrored_at_its_edges() -> None:
    crop = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    picture = framed(crop, 20, 12, RECT)
    assert picture.shape == (12, 20, 3)
    top, left = 4, 7
    np.testing.assert_array_equal(picture[top : top + 4, left : left + 5], crop)
    np.testing.assert_array_equal(picture[top + 4 : top + 8, left : left + 5], crop[::-1])
    np.testing.assert_array_equal(picture[top : top + 4, left + 5 : left + 10], crop[:, ::-1])
    np.testing.assert_array_equal(picture[top : top + 4, left - 5 : left], crop[:, ::-1])


def test_a_crop_as_large_as_its_picture_is_the_picture() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    whole = {"type": "rect", "x": 0, "y": 0, "width": 7, "height": 9}
    np.testing.assert_array_equal(framed(crop, 7, 9, whole), crop)


def test_a_large_picture_is_shrunk_and_its_crop_with_it() -> None:
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, (np.arange(400) // 20) % 2 == 1] = 255
    region = {"type": "rect", "x": 0, "y": 0, "width": 400, "height": 400}
    picture = framed(stripes, 4 * MAX_SIDE, 2 * MAX_SIDE, region)
    assert picture.shape == (MAX_SIDE // 2, MAX_SIDE, 3)
    middle = picture[MAX_SIDE // 4, MAX_SIDE // 2 - 45 : MAX_SIDE // 2 + 45, 0].astype(float)
    edges = np.flatnonzero(np.diff((middle > 127).astype(int)))
    assert set(np.diff(edges)) <= {4, 5, 6}  # bands of 20 px are 5 px wide at a quarter


def test_sides_of_each_kind_of_region_are_shares_of_the_picture() -> None:
    assert region_sides(RECT, 20, 8) == (0.25, 0.5)
    polygon = {"type": "polygon", "points": [[2, 1], [7, 1], [4, 5]]}
    assert region_sides(polygon, 20, 8) == (0.25, 0.5)
    mask = np.zeros((4, 8), bool)
    mask[1:3, 2:4] = True
    kept = {"type": "mask", "size": [4, 8], "counts": encode_runs(mask)}
    assert region_sides(kept, 20, 8) == (0.25, 0.5)


@pytest.mark.parametrize("kind", ["polygon", "mask"])
def test_a_random_region_has_the_outline_of_an_example(kind: str) -> None:
    source = DisplayImage(np.zeros((40, 40, 3), np.uint8), "source")
    other = DisplayImage(np.zeros((80, 80, 3), np.uint8), "other")
    polygon = {"type": "polygon", "points": [[4, 4], [14, 4], [4, 16]]}
    mask = region_mask(polygon, source, lambda: None)
    region = (
        polygon
        if kind == "polygon"
        else {"type": "mask", "size": [40, 40], "counts": encode_runs(mask)}
    )
    example = Example("0" * 32, ImageRef("", "source", 40, 40), region)
    placed = region_mask(moved(example, other, 30, 40, (20, 24)), other, lambda: None)
    rows, columns = np.flatnonzero(placed.any(1)), np.flatnonzero(placed.any(0))
    assert (rows[0], columns[0]) == (40, 30)
    # Twice as wide and high on a picture twice as wide and high.
    assert placed.sum() == pytest.approx(4 * mask.sum(), rel=0.1)


def test_stripes_cut_from_zebras_are_tested_at_their_own_scale(tmp_path: Path) -> None:
    data = xw.demo.dataset("animals", n=100, seed=5)
    zebras = np.flatnonzero(data.labels == data.class_names.index("zebra"))
    rng = np.random.default_rng(0)
    side = 24
    store = ConceptStore(tmp_path / "concepts")
    store.add_concept("stripes")
    stretched = []
    for index in zebras:
        animal = data.masks["animal"][index]
        for _ in range(200):
            x, y = rng.integers(0, 128 - side, 2).tolist()
            if animal[y : y + side, x : x + side].mean() > 0.7:
                region = {"type": "rect", "x": x, "y": y, "width": side, "height": side}
                store.add("stripes", data.images[index], region)
                stretched.append(data.images[index][y : y + side, x : x + side])
                break
    model, layer = xw.demo.model("animals"), "stage3"
    (record,) = tcav(model, data.images[zebras], "zebra", store, layer)
    assert record["significant"]
    assert record["magnitude"] > 0.3
    # As large as the whole input, the same crops are bands that no zebra has.
    pool = xw.demo.concept("random", exclude="stripes", n=100)
    (wide,) = tcav(model, data.images[zebras], "zebra", {"stripes": stretched}, layer, pool)
    assert wide["magnitude"] < record["magnitude"] / 2
