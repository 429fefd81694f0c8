"""Masks may be arrays, regions drawn by hand, or the marked examples of a concept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xai_widgets as xw
from tests.evaluation.helpers import SIDE
from tests.models.nets import Linear, seeded
from xai_widgets.errors import MapError, RegionError, StoreError
from xai_widgets.evaluation.masks import describe_masks, mask_of, masks_for

RECT = {"type": "rect", "x": 2, "y": 0, "width": 3, "height": 4}
CORNER = {"type": "polygon", "points": [[5, 5], [8, 5], [8, 8], [5, 8]]}


@pytest.fixture
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)


def scores(pictures: np.ndarray, masks: Any) -> list[Any]:
    model = xw.load(seeded(Linear, SIDE), preprocessing={"size": SIDE})
    options = {"masks": masks, "controls": False}
    return xw.evaluate(model, pictures, "gradient", ["mass_accuracy"], **options)


def rectangle() -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[0:4, 2:5] = True
    return mask


def test_a_region_scores_as_the_array_that_it_covers(pictures: np.ndarray) -> None:
    both = rectangle()
    both[5:8, 5:8] = True
    drawn = scores(pictures, [RECT, [RECT, CORNER], None])
    given = scores(pictures, [rectangle(), both, None])
    assert [r["value"] for r in drawn] == [r["value"] for r in given]
    assert drawn[0]["value"] != drawn[1]["value"]
    assert "give masks" in drawn[2]["note"]


def test_the_examples_of_a_concept_are_the_masks_of_their_pictures(
    pictures: np.ndarray, tmp_path: Path
) -> None:
    store = xw.ConceptStore(tmp_path / "concepts")
    store.add_concept("ruler")
    store.add("ruler", pictures[1], RECT)
    store.add("ruler", pictures[2])  # as a whole
    store.add("ruler", pictures[0], CORNER, included=False)
    found = scores(pictures, (store, "ruler"))
    assert [r["value"] is None for r in found] == [True, False, True]
    assert found[1]["value"] == scores(pictures, [None, rectangle(), None])[1]["value"]
    assert "The whole of 'image 2' is an example of 'ruler'" in found[2]["note"]
    entry = masks_for((store, "ruler"), 3)[1]
    np.testing.assert_array_equal(mask_of(entry, xw.open_image(pictures[1])), rectangle())
    assert describe_masks([None, entry]) == "examples of the concept 'ruler'"


@pytest.mark.parametrize(
    ("masks", "error", "told"),
    [
        ([RECT], MapError, "masks has 1 entries, and there are 3 pictures"),
        (RECT, MapError, "masks has 1 entries"),
        (3, MapError, "masks is 3: give a sequence"),
        ([{"type": "circle"}, None, None], RegionError, "A region must be"),
        ([[RECT, {"type": "rect", "x": 0}], None, None], RegionError, "malformed"),
    ],
)
def test_wrong_masks_are_refused_before_anything_runs(
    pictures: np.ndarray, masks: Any, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        scores(pictures, masks)


def test_a_region_outside_of_the_picture_is_a_note(pictures: np.ndarray) -> None:
    outside = {"type": "rect", "x": 90, "y": 0, "width": 3, "height": 4}
    found = scores(pictures, [outside, RECT, RECT])
    assert "covers no pixel of 'image 0'" in found[0]["note"]
    assert found[1]["value"] is not None


def test_a_concept_that_is_not_there_is_named(pictures: np.ndarray, tmp_path: Path) -> None:
    store = xw.ConceptStore(tmp_path / "concepts")
    store.add_concept("ruler")
    with pytest.raises(StoreError, match="There is no concept 'ruller'"):
        scores(pictures, (store, "ruller"))
