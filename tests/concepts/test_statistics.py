"""The statistics of TCAV: intervals, p values, what is drawn, and that chance stays chance."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pytest

from xai_widgets.concepts.layer_test import (
    pool_null_steps,
    score,
    separate,
    shuffled_null_steps,
)
from xai_widgets.concepts.sampling import (
    leave_out,
    pseudo_concepts,
    random_sets,
    set_size,
    shuffled_concepts,
)
from xai_widgets.concepts.statistics import (
    bootstrap_interval,
    holm,
    n_pseudo_concepts,
    permutation_p,
    stream,
    wilson,
)
from xai_widgets.errors import ConceptError


def test_wilson_intervals_are_those_of_the_tables() -> None:
    assert wilson(0.9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert wilson(1.0, 20) == pytest.approx((0.8389, 1.0), abs=1e-4)
    assert wilson(0.5, 0) == (0.0, 1.0)


def test_holm_multiplies_by_the_tests_left_and_never_decreases() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_p_counts_what_is_as_far_from_zero_on_either_side() -> None:
    null = np.array([-3.0, -1.0, 0.5, 2.0])
    assert permutation_p(2.0, null) == 3 / 5
    assert permutation_p(-2.0, null) == 3 / 5
    assert permutation_p(9.0, null) == 1 / 5
    assert permutation_p(0.0, np.zeros(4)) == 1.0


def test_there_are_enough_pseudo_concepts_for_the_smallest_p_to_pass_holm() -> None:
    assert n_pseudo_concepts(199, 1, 0.05) == 199
    assert n_pseudo_concepts(199, 18, 0.05) == 360
    for m, alpha in ((1, 0.05), (7, 0.05), (30, 0.01)):
        assert m / (n_pseudo_concepts(19, m, alpha) + 1) <= alpha


@pytest.mark.parametrize(("n_tests", "alpha"), [(1, 1e-9), (1, 5e-324), (5001, 0.05)])
def test_more_pseudo_concepts_than_can_be_fitted_are_refused(n_tests: int, alpha: float) -> None:
    with pytest.raises(ConceptError, match="more than 100,000 pseudo-concepts: give an alpha"):
        n_pseudo_concepts(199, n_tests, alpha)
    assert n_pseudo_concepts(199, 5000, 0.05) == n_pseudo_concepts(199, 1, 1e-5) == 100_000


def test_streams_depend_on_the_whole_key_and_on_nothing_else() -> None:
    draws = [stream(0, "a", 1).random(), stream(1, "a", 1).random(), stream(0, "a", "1").random()]
    assert len(set(draws)) == 3
    assert stream(0, "a", 1).random() == draws[0]


def test_the_bootstrap_interval_covers_the_truth_as_often_as_it_says() -> None:
    covered = 0
    for trial in range(200):
        rng = np.random.default_rng(trial)
        images, sets = rng.normal(1.0, 1.0, 40), rng.normal(0.0, 0.3, 10)
        derivatives = images[None] + sets[:, None] + rng.normal(0, 0.2, (10, 40))
        low, high = bootstrap_interval(derivatives, np.full(40, 2.0), rng, 300)
        covered += low <= 0.5 <= high
    assert 0.86 <= covered / 200 <= 0.99


def test_random_sets_are_disjoint_as_far_as_the_pool_goes() -> None:
    rng = np.random.default_rng(0)
    sets = random_sets(100, 20, 8, rng)
    assert sets.shape == (8, 20)
    assert len(np.unique(sets[:5])) == 100
    assert all(len(np.unique(one)) == 20 for one in sets)
    assert random_sets(12, 12, 8, rng).shape == (1, 12)


@pytest.mark.parametrize(("n", "pool"), [(40, 200), (40, 120), (5, 17)])
def test_pseudo_concepts_and_their_random_sets_share_no_picture(n: int, pool: int) -> None:
    size = set_size(n, pool)
    sets = random_sets(pool, size, 6, stream(0, "sets"))
    drawn = list(islice(pseudo_concepts(n, pool, sets, partial(stream, 0)), 300))
    for pseudo in drawn:
        assert len(set(pseudo.positive)) == n
        assert all(len(set(one)) == size for one in pseudo.sets)
        assert not set(pseudo.positive) & set(pseudo.sets.ravel())
    # Of the concept's random sets, everything stays that the pseudo-concept leaves.
    first = drawn[0]
    for own, kept in zip(sets, first.sets, strict=True):
        assert set(own) - set(first.positive) <= set(kept)
    counts = np.bincount(np.concatenate([p.positive for p in drawn]), minlength=pool)
    expected = 300 * n / pool
    assert np.abs(counts - expected).max() < 6 * np.sqrt(expected)


def test_shuffled_concepts_deal_all_pictures_to_two_sides() -> None:
    n, pool = 10, 12
    sets = random_sets(pool, set_size(n, pool), 4, stream(0, "sets"))
    assert pool < leave_out(n)
    for pseudo in islice(shuffled_concepts(n, pool, sets, partial(stream, 0)), 20):
        assert len(set(pseudo.positive)) == n
        assert not set(pseudo.positive) & set(pseudo.sets.ravel())
        assert set(pseudo.positive) | set(pseudo.sets.ravel()) == set(range(n + pool))


def features(rng: np.random.Generator, n: int) -> Any:
    """Return features of random pictures of several kinds, as of several textures."""
    kinds = np.random.default_rng(0).normal(0, 1.5, (6, 8))
    return kinds[rng.integers(6, size=n)] + rng.normal(size=(n, 8))


def finished(steps: Any) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def p_of(
    concept: Any, pool: Any, gradients: Any, seed: int, shuffle: bool = False
) -> tuple[float, float]:
    """Return our p, and that of the t-test over the random sets."""
    from scipy.stats import ttest_ind

    n = len(concept)
    rows = np.concatenate([concept, pool])
    kernel = rows @ rows.T
    streams = partial(stream, seed)
    separation = separate(kernel, n, "ridge", 10, streams)
    steps = (
        shuffled_null_steps(kernel, n, "ridge", 10, 39, streams)
        if shuffle
        else pool_null_steps(kernel[n:, n:], n, "ridge", 10, 39, streams)
    )
    projections, norms = gradients @ rows.T, np.linalg.norm(gradients, axis=1)
    found = score(projections, norms, separation, finished(steps), streams("bootstrap"))
    assert found.p is not None
    # What other tools do: the scores of concept against random sets, beside those of one random
    # set against others.
    sets = separation.sets
    order = np.r_[n + sets[0], n + np.setdiff1d(np.arange(len(pool)), sets[0])]
    theirs = separate(kernel[np.ix_(order, order)], sets.shape[1], "ridge", 10, streams)
    runs = [
        (s.coefficients @ p.T).mean(axis=1)
        for s, p in ((separation, projections), (theirs, projections[:, order]))
    ]
    return found.p, float(ttest_ind(*runs).pvalue)


@pytest.mark.parametrize(("pool", "shuffle"), [(60, False), (30, False), (60, True), (15, True)])
def test_random_concepts_are_significant_no_more_often_than_alpha(pool: int, shuffle: bool) -> None:
    """The test of the test, small; the t-test over random sets finds effects where none are."""
    n, trials, alpha = 10, 400, 0.05
    ours = theirs = 0
    for trial in range(trials):
        rng = np.random.default_rng([trial, 7])
        gradients = np.array([1.0, -0.5, 0, 0, 2.0, 0, 0, 0]) + rng.normal(0, 0.3, (12, 8))
        own, t_test = p_of(features(rng, n), features(rng, pool), gradients, trial, shuffle)
        ours += own <= alpha
        theirs += t_test <= alpha
    # Above this, chance alone comes once in two hundred times.
    assert ours <= trials * alpha + 2.6 * np.sqrt(trials * alpha * (1 - alpha))
    assert theirs > (0.25 if pool > 2 * n else alpha) * trials


def test_a_real_concept_is_significant() -> None:
    rng = np.random.default_rng(3)
    gradients = np.array([1.0, 0, 0, 0, 0, 0, 0, 0]) + rng.normal(0, 0.1, (12, 8))
    shift = np.array([4.0, 0, 0, 0, 0, 0, 0, 0])
    for shuffle in (False, True):
        concept, pool = features(rng, 10) + shift, features(rng, 60)
        assert p_of(concept, pool, gradients, 0, shuffle)[0] == 1 / 40


def test_a_null_is_yielded_in_chunks_so_that_it_can_be_cancelled() -> None:
    rng = np.random.default_rng(0)
    pool = features(rng, 40)
    steps = pool_null_steps(pool @ pool.T, 10, "ridge", 10, 25, partial(stream, 0))
    assert [next(steps), next(steps), next(steps)] == [10, 20, 25]
    steps.close()


def test_more_pseudo_concepts_keep_the_first_ones() -> None:
    rng = np.random.default_rng(0)
    pool = features(rng, 40)
    few, many = (
        finished(pool_null_steps(pool @ pool.T, 10, "ridge", 3, count, partial(stream, 0)))
        for count in (20, 45)
    )
    assert np.array_equal(few.coefficients, many.coefficients[:20])
