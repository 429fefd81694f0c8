"""Intervals over images: they cover the truth as often as they say, within the metric's range."""

from __future__ import annotations

import numpy as np
import pytest

from xai_widgets.evaluation.intervals import interval


@pytest.mark.parametrize("n", [12, 32])
def test_intervals_cover_the_truth_about_as_often_as_they_say(n: int) -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(300):
        low, high = interval(rng.normal(2, 1, n), seed=trial) or (0, 0)
        covered += low <= 2 <= high
    assert 0.90 <= covered / 300 <= 0.98


def test_one_picture_has_no_interval() -> None:
    assert interval([0.3]) is None


def test_an_interval_stays_within_the_range() -> None:
    assert interval([0.0, 0.0, 1.0], minimum=0, maximum=1) == (0, 1)


def test_the_same_value_everywhere_has_no_width() -> None:
    assert interval([0.25] * 5) == (0.25, 0.25)


def test_more_confidence_is_wider() -> None:
    values = np.random.default_rng(0).random(20)
    narrow, wide = interval(values, 0.5), interval(values, 0.99)
    assert narrow is not None and wide is not None
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
