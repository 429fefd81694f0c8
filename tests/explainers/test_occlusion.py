"""Occlusion is the mean drop over the windows that cover a pixel, for models of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.explainers.helpers import chunked, linear_model, quick, relative
from tests.explainers.twins import FRAMEWORKS, net, scores, twin
from tests.models.nets import SIDE, picture
from xai_widgets.explainers.baselines import baseline_values
from xai_widgets.explainers.occlusion import window_indicators

TARGET = 2


def by_hand(model: Any, image: Any, window: int, stride: int, baseline: str) -> Any:
    base = baseline_values(model, image, baseline)
    plain = scores(net(), image.values, TARGET)[0]
    total, counts = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    starts = sorted({*range(0, SIDE - window + 1, stride), SIDE - window})
    for y in starts:
        for x in starts:
            hidden = image.values.copy()
            hidden[y : y + window, x : x + window] = base[y : y + window, x : x + window]
            total[y : y + window, x : x + window] += plain - scores(net(), hidden, TARGET)[0]
            counts[y : y + window, x : x + window] += 1
    return total / counts


@pytest.mark.parametrize(("window", "stride"), [(8, 8), (8, 4), (6, 5)])
@pytest.mark.parametrize("baseline", ["grey", "blur"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_it_equals_one_picture_after_the_other(
    framework: str, baseline: str, window: int, stride: int
) -> None:
    model = twin(framework)
    image = model.prepare(picture())
    options = {"window_size": window, "stride": stride, "baseline": baseline}
    result = quick(model, "occlusion", image, target=TARGET, **options)
    assert relative(result.attribution, by_hand(model, image, window, stride, baseline)) < 1e-3


def test_single_pixels_of_a_linear_model_get_what_they_contribute() -> None:
    model = linear_model()
    image = model.prepare(picture(8, 8))
    base = baseline_values(model, image, "grey")
    expected = ((image.values - base) * model.source.weight(1)).sum(axis=2)
    result = quick(model, "occlusion", image, target=1, window_size=1, stride=1)
    np.testing.assert_allclose(result.attribution, expected, atol=1e-5)


def test_overlapping_windows_of_a_linear_model_are_averaged() -> None:
    """By hand: each window of two pixels drops the sum of their contributions."""
    model = linear_model()
    image = model.prepare(picture(8, 8))
    base = baseline_values(model, image, "black")
    one = ((image.values - base) * model.source.weight(0)).sum(axis=2).astype(np.float64)
    drops = one[:-1, :-1] + one[1:, :-1] + one[:-1, 1:] + one[1:, 1:]
    total, counts = np.zeros((8, 8)), np.zeros((8, 8))
    for dy in range(2):
        for dx in range(2):
            total[dy : dy + 7, dx : dx + 7] += drops
            counts[dy : dy + 7, dx : dx + 7] += 1
    result = quick(model, "occlusion", image, target=0, window_size=2, stride=1, baseline="black")
    np.testing.assert_allclose(result.attribution, total / counts, atol=1e-4)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_map_does_not_depend_on_the_chunks(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = twin(framework)
    whole = quick(model, "occlusion", target=0)
    chunked(model, 7, monkeypatch)
    parts = quick(model, "occlusion", target=0)
    np.testing.assert_allclose(parts.attribution, whole.attribution, rtol=1e-4, atol=1e-6)
    assert whole.diagnostics == {"window_size": 4, "stride": 2, "windows": 225}


@pytest.mark.parametrize(
    ("side", "window", "stride"), [(10, 3, 3), (10, 3, 2), (7, 7, 3), (5, 1, 1), (9, 4, 4)]
)
def test_every_pixel_is_covered_where_the_stride_is_no_larger_than_the_window(
    side: int, window: int, stride: int
) -> None:
    indicators = window_indicators(side, window, stride)
    assert (indicators.sum(axis=1) == window).all()
    assert (indicators.sum(axis=0) >= 1).all()


def test_a_stride_wider_than_the_window_leaves_zeros_between() -> None:
    result = quick(twin("torch"), "occlusion", target=0, window_size=2, stride=8)
    assert (result.attribution[2:8] == 0).all() and np.isfinite(result.attribution).all()


def test_a_window_larger_than_the_picture_covers_all_of_it() -> None:
    result = quick(twin("torch"), "occlusion", target=0, window_size=500)
    assert result.diagnostics["windows"] == 1 and np.ptp(result.attribution) == 0
