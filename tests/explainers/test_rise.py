"""RISE equals its formula mask by mask, finds what decides, and knows how reliable it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.explainers.helpers import chunked, linear_model, quick, relative
from tests.explainers.twins import FRAMEWORKS, net, scores, twin
from tests.models.nets import SIDE, picture
from xai_widgets.explainers.rise import RandomGrids, reliability
from xai_widgets.models.numpy_backend import NumpyBackend

TARGET = 1
OPTIONS: dict[str, Any] = {"n_masks": 30, "grid_size": 5, "p": 0.4, "seed": 3}


def masks_by_hand(size: tuple[int, int]) -> Any:
    """Enlarge the same grids with PyTorch's bilinear resizing, and cut the window out."""
    grids = RandomGrids.draw(OPTIONS["n_masks"], 5, OPTIONS["p"], size, OPTIONS["seed"])
    cells = [-(-side // 5) for side in size]
    enlarged = torch.nn.functional.interpolate(
        torch.from_numpy(grids.cells)[:, None], [6 * cell for cell in cells], mode="bilinear"
    )[:, 0].numpy()
    return np.stack(
        [
            mask[y : y + size[0], x : x + size[1]]
            for mask, (y, x) in zip(enlarged, grids.shifts, strict=True)
        ]
    )


@pytest.mark.parametrize("size", [(32, 32), (24, 41)])
def test_masks_are_enlarged_grids_shifted_by_less_than_a_cell(size: tuple[int, int]) -> None:
    grids = RandomGrids.draw(OPTIONS["n_masks"], 5, OPTIONS["p"], size, OPTIONS["seed"])
    found = grids.masks(np.arange(OPTIONS["n_masks"]), NumpyBackend())[..., 0]
    np.testing.assert_allclose(found, masks_by_hand(size), atol=1e-5)
    assert found.min() >= 0 and found.max() <= 1 + 1e-6
    for axis, side in enumerate(size):
        assert 0 <= grids.shifts[:, axis].min() < grids.shifts[:, axis].max() < -(-side // 5)


def test_masks_are_open_with_the_probability_asked_for() -> None:
    grids = RandomGrids.draw(4000, 7, 0.3, (28, 28), 0)
    masks = grids.masks(np.arange(4000), NumpyBackend())
    assert masks.mean() == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_it_equals_the_formula(framework: str, centred: bool) -> None:
    model = twin(framework)
    image = model.prepare(picture())
    masks = masks_by_hand((SIDE, SIDE))
    seen = scores(net(), masks[..., None] * image.values, TARGET).astype(np.float64)
    gains = seen - seen.mean() if centred else seen
    expected = (gains[:, None, None] * masks).sum(axis=0) / (len(masks) * OPTIONS["p"])
    result = quick(model, "rise", image, target=TARGET, **OPTIONS, centred=centred)
    assert relative(result.attribution, expected) < 1e-4
    assert result.score == pytest.approx(scores(net(), image.values, TARGET)[0], abs=1e-5)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_map_does_not_depend_on_the_chunks(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = twin(framework)
    whole = quick(model, "rise", target=0, **OPTIONS)
    for size in (1, 7):
        chunked(model, size, monkeypatch)
        parts = quick(model, "rise", target=0, **OPTIONS)
        np.testing.assert_allclose(parts.attribution, whole.attribution, rtol=1e-3, atol=1e-5)
        assert parts.diagnostics["reliability"] == pytest.approx(
            whole.diagnostics["reliability"], abs=1e-3
        )


def test_both_frameworks_draw_the_same_masks_and_another_seed_others() -> None:
    maps = {name: quick(twin(name), "rise", target=0, **OPTIONS).attribution for name in FRAMEWORKS}
    np.testing.assert_allclose(maps["torch"], maps["tensorflow"], rtol=1e-3, atol=1e-5)
    other = quick(twin("torch"), "rise", target=0, **{**OPTIONS, "seed": 4}).attribution
    assert relative(other, maps["torch"]) > 0.1


def test_a_pixel_that_decides_alone_is_found_and_its_size_is_the_closed_form() -> None:
    """A score of one pixel: its covariance with the mask is known, and its neighbours share it."""
    model = linear_model()
    with torch.no_grad():
        model.source.head.weight.zero_()
        model.source.head.weight[1, 3 * 8 + 4] = 1.0  # red, row 3, column 4
        model.source.head.bias.fill_(20.0)
    pixels = np.full((8, 8, 3), 255, np.uint8)
    image = model.prepare(pixels)
    result = quick(model, "rise", image, target=1, n_masks=3000, grid_size=4, p=0.5)
    peak = np.unravel_index(result.map.argmax(), (8, 8))
    assert np.abs(np.subtract(peak, (3, 4))).max() <= 1
    masks = RandomGrids.draw(3000, 4, 0.5, (8, 8), 0).masks(np.arange(3000), NumpyBackend())[..., 0]
    variance = masks[:, 3, 4].var() / 0.5 * image.values[3, 4, 0]
    assert result.map[3, 4] == pytest.approx(variance, rel=0.02)
    assert result.diagnostics["reliability"] > 0.95
    published = quick(
        model, "rise", image, target=1, n_masks=3000, grid_size=4, p=0.5, centred=False
    )
    assert published.map.mean() == pytest.approx(20 + 0.5 * image.values[3, 4, 0], rel=0.05)
    assert abs(published.diagnostics["reliability"]) < 0.9, "the constant's noise drowns the pixel"


def test_a_score_that_does_not_move_has_no_reliability() -> None:
    model = linear_model()
    with torch.no_grad():
        model.source.head.weight[0].zero_()
    result = quick(model, "rise", picture(8, 8), target=0, n_masks=10)
    assert np.abs(result.attribution).max() < 1e-4
    assert reliability([np.zeros((2, 2), np.float32)] * 2) is None
