"""Formulas on maps whose score is known: perfect, inverted, uniform, random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.helpers import random_map, square_mask
from xai_widgets.errors import MapError, MetricError
from xai_widgets.evaluation.agreement import agreement_matrix
from xai_widgets.evaluation.complexity import entropy, sparseness
from xai_widgets.evaluation.faithfulness import infidelity
from xai_widgets.evaluation.localisation import (
    mass_accuracy,
    mass_density,
    pointing_game,
    rank_accuracy,
    top_area_iou,
)
from xai_widgets.evaluation.similarity import similarity, spearman, ssim

MASK = square_mask()
SHARE = MASK.mean()
LOCALISATION: dict[Callable[..., float], tuple[float, float, float]] = {
    pointing_game: (1, 0, SHARE),
    mass_accuracy: (1, 0, SHARE),
    mass_density: (1 / SHARE, 0, 1),
    rank_accuracy: (1, 0, SHARE),
    top_area_iou: (1, 0, SHARE / (2 - SHARE)),
}
"""Scores of the mask as a map, of its inverse, and of the same value everywhere."""


@pytest.mark.parametrize("metric", LOCALISATION)
def test_localisation_of_perfect_inverted_and_uniform_maps(metric: Callable[..., float]) -> None:
    perfect, inverted, uniform = LOCALISATION[metric]
    assert metric(MASK.astype(float), MASK) == pytest.approx(perfect)
    assert metric(1.0 - MASK, MASK) == pytest.approx(inverted)
    assert metric(np.ones(MASK.shape), MASK) == pytest.approx(uniform)


@pytest.mark.parametrize("metric", LOCALISATION)
def test_localisation_of_random_maps_is_chance(metric: Callable[..., float]) -> None:
    scores = [metric(random_map(seed=seed), MASK) for seed in range(400)]
    error = np.std(scores) / 20
    assert abs(np.mean(scores) - LOCALISATION[metric][2]) < 4 * error + 0.005


@pytest.mark.parametrize("metric", LOCALISATION)
def test_a_map_that_knows_the_mask_beats_all_its_permutations(metric: Callable[..., float]) -> None:
    values = MASK + random_map()
    rng = np.random.default_rng(0)
    null = [metric(rng.permutation(values.ravel()).reshape(20, 20), MASK) for _ in range(199)]
    p = (1 + sum(score >= metric(values, MASK) for score in null)) / 200
    assert p <= (0.25 if metric is pointing_game else 0.005)


def test_the_top_area_may_be_larger_than_the_mask() -> None:
    assert top_area_iou(MASK.astype(float), MASK, share=2 * SHARE) == pytest.approx(0.5, abs=1e-9)


def test_ties_count_as_a_random_choice_among_them() -> None:
    values = np.zeros((2, 2))
    values[0, 0] = 1
    mask = np.array([[True, True], [False, False]])
    assert rank_accuracy(values, mask) == pytest.approx((1 + 1 / 3) / 2)


def test_entropy_goes_from_one_pixel_to_all() -> None:
    one = np.zeros((10, 10))
    one[3, 4] = 5
    assert entropy(one) == 0
    assert entropy(np.full((10, 10), 0.3)) == pytest.approx(np.log(100))
    assert entropy(-MASK.astype(float)) == pytest.approx(np.log(MASK.sum()))


def test_sparseness_goes_from_all_pixels_to_one() -> None:
    one = np.zeros((10, 10))
    one[3, 4] = 5
    assert sparseness(np.full((10, 10), 0.3)) == pytest.approx(0)
    assert sparseness(one) == pytest.approx(0.99)
    assert sparseness([1, 2, 3, 4]) == pytest.approx(0.25)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.floats(0.01, 100))
def test_complexity_does_not_look_at_scale_or_position(seed: int, scale: float) -> None:
    values = random_map(6, seed)
    moved = np.random.default_rng(seed).permutation(values.ravel()) * scale
    assert entropy(moved) == pytest.approx(entropy(values), rel=1e-5)
    assert sparseness(moved) == pytest.approx(sparseness(values), rel=1e-4, abs=1e-6)


def test_infidelity_is_the_mean_squared_error_of_what_was_announced() -> None:
    assert infidelity([1, 2, 3], [1, 2, 3]) == 0
    assert infidelity([0, 0], [3, 4]) == pytest.approx(12.5)


def test_rescaled_infidelity_forgives_the_scale_alone() -> None:
    said, came = np.array([1.0, -2.0, 3.0]), np.array([2.0, 1.0, 0.5])
    assert infidelity(5 * came, came, rescale=True) == pytest.approx(0)
    assert infidelity(np.zeros(3), came, rescale=True) == 1
    expected = 1 - (said @ came) ** 2 / ((said @ said) * (came @ came))
    assert infidelity(said, came, rescale=True) == pytest.approx(expected)


def test_rank_correlation_equals_scipys() -> None:
    from scipy.stats import spearmanr

    one, other = random_map(seed=1).round(1), random_map(seed=2).round(1)
    assert spearman(one, other) == pytest.approx(spearmanr(one.ravel(), other.ravel()).statistic)


def test_similarity_of_the_same_the_opposite_and_a_constant_map() -> None:
    values = random_map() - 0.5
    assert similarity(values, 3 * values, "spearman") == pytest.approx(1)
    assert similarity(values, -values, "spearman") == pytest.approx(-1)
    assert similarity(values, -values, "spearman", "absolute") == pytest.approx(1)
    assert similarity(values, np.zeros_like(values), "spearman") == 0
    assert ssim(values, 3 * values) == pytest.approx(1)
    assert ssim(values, random_map(seed=9) - 0.5) < 0.2


def test_the_matrix_of_agreement_is_symmetric_with_ones_on_its_diagonal() -> None:
    maps = [random_map(seed=seed) for seed in range(3)]
    found = agreement_matrix([*maps, maps[0]])
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_allclose(np.diag(found), 1)
    assert found[0, 3] == pytest.approx(1) and abs(found[0, 1]) < 0.2


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: similarity(MASK, MASK, "pearson"), MetricError, "no similarity 'pearson'"),
        (lambda: similarity(MASK, MASK, "ssim", "plus"), MetricError, "signed or absolute"),
        (lambda: agreement_matrix([MASK, MASK[:3]]), MapError, "maps of one shape"),
    ],
)
def test_what_cannot_be_compared_is_refused(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()
