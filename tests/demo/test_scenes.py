"""Facts about the demo data "scenes": every pixel has one class, and what can be seen decides."""

from __future__ import annotations

import numpy as np
import pytest

from xai_widgets import demo
from xai_widgets.demo.fields import grid
from xai_widgets.demo.scenery import THINGS, Place
from xai_widgets.demo.streams import stream


@pytest.fixture(scope="module")
def scenes() -> demo.Dataset:
    return demo.dataset("scenes", n=60, seed=11)


def areas(data: demo.Dataset) -> np.ndarray:
    """Return the share of each class [N, K] but the background."""
    return np.stack([data.masks[name].mean((1, 2)) for name in data.class_names[1:]], 1)


def test_every_pixel_belongs_to_one_class(scenes: demo.Dataset) -> None:
    assert scenes.segmentation is not None
    assert scenes.segmentation.shape == scenes.images.shape[:3]
    assert scenes.segmentation.dtype == np.int64
    assert scenes.class_names[0] == "background" and "background" not in scenes.masks
    for k, name in enumerate(scenes.class_names[1:], 1):
        np.testing.assert_array_equal(scenes.segmentation == k, scenes.masks[name])
    assert sum(mask.astype(int) for mask in scenes.masks.values()).max() == 1  # type: ignore[union-attr]


def test_label_is_what_covers_most(scenes: demo.Dataset) -> None:
    np.testing.assert_array_equal(scenes.labels, 1 + areas(scenes).argmax(1))


def test_labels_are_about_balanced(scenes: demo.Dataset) -> None:
    counts = np.bincount(scenes.labels, minlength=6)
    assert counts[0] == 0
    assert counts[1:].min() >= 6 and counts[1:].max() <= 18, counts


def test_scenes_hold_several_things_and_leave_room(scenes: demo.Dataset) -> None:
    kinds = (areas(scenes) > 0.004).sum(1)
    assert kinds.mean() > 2.2
    assert (kinds >= 2).mean() > 0.85
    background = 1 - areas(scenes).sum(1)
    assert background.min() > 0.5 and background.max() < 0.95


def test_every_class_is_seen_often_and_large_enough(scenes: demo.Dataset) -> None:
    share = areas(scenes)
    assert ((share > 0.01).mean(0) > 0.25).all(), (share > 0.01).mean(0)


@pytest.mark.parametrize("name", THINGS)
def test_a_thing_changes_the_picture_in_its_mask_and_little_elsewhere(name: str) -> None:
    x, _ = grid(128)
    before = np.full((*x.shape, 3), 0.5, np.float32)
    place = Place(64.0, 100.0, 1500.0)
    after, mask = THINGS[name](stream("test", name), before, place)
    changed = np.abs(after - before).max(-1)
    assert 0.5 < mask.sum() / place.area < 1.7
    assert (changed[mask] > 0.02).mean() > 0.7
    # Shadows lie around the foot; nothing above it but the thing itself.
    above = ~mask
    above[88:] = False
    assert (changed[above] > 0.1).mean() < 0.02
    rows = np.nonzero(mask.any(1))[0]
    assert abs(int(rows.max()) - place.foot) < 5, "stands on its foot"


def test_other_data_sets_have_no_segmentation() -> None:
    assert demo.dataset("lesions", n=1).segmentation is None
