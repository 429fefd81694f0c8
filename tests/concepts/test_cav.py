"""Concept vectors from inner products are those of the classifiers on the features themselves."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import pytest

from xai_widgets.concepts.cav import (
    CLASSIFIERS,
    SHRINKAGE,
    cav,
    check_classifier,
    fit,
    held_out_accuracy,
    products,
    stratified_folds,
)
from xai_widgets.errors import ConceptError, DependencyError


def examples(n: int = 30, m: int = 20, d: int = 12, shift: float = 1.0, seed: int = 0) -> Any:
    """Return positives and others with a common covariance that is no sphere, off the origin."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(d, d))
    rows = rng.normal(size=(n + m, d)) @ mix + 3.0
    rows[:n] += shift * rng.normal(size=d)
    return rows[:n].astype(np.float32), rows[n:].astype(np.float32)


def unit(vector: Any) -> Any:
    return np.asarray(vector) / np.linalg.norm(vector)


def test_ridge_is_fishers_discriminant_with_a_shrunken_covariance() -> None:
    positive, others = examples()
    rows = np.concatenate([positive, others]).astype(np.float64)
    scatter = (rows - rows.mean(0)).T @ (rows - rows.mean(0))
    shrunken = scatter + SHRINKAGE * np.trace(scatter) * np.eye(len(scatter))
    expected = unit(np.linalg.solve(shrunken, positive.mean(0) - others.mean(0)))
    assert cav(positive, others) == pytest.approx(expected, abs=1e-5)


def test_the_mean_difference_is_the_difference_of_the_means() -> None:
    positive, others = examples()
    expected = unit(positive.mean(0) - others.mean(0))
    assert cav(positive, others, "mean_difference") == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("classifier", ["logistic", "svm"])
def test_scikit_learns_classifiers_are_the_same_in_the_span_of_the_examples(
    classifier: str,
) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC

    positive, others = examples(d=60)
    rows = np.concatenate([positive, others]).astype(np.float64)
    rows = rows - rows.mean(0)
    labels = np.arange(len(rows)) < len(positive)
    direct = (
        LogisticRegression(class_weight="balanced", max_iter=5000, tol=1e-8)
        if classifier == "logistic"
        else SVC(kernel="linear", class_weight="balanced", tol=1e-6)
    )
    direct.fit(rows / np.sqrt(np.square(rows).sum() / len(rows)), labels)
    assert cav(positive, others, classifier) @ unit(direct.coef_[0]) > 0.999


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_a_fit_decides_as_its_vector_does_wherever_the_origin_is(classifier: str) -> None:
    positive, others = examples(shift=2.0)
    rows = np.concatenate([positive, others]).astype(np.float64)
    fits = [
        fit((moved @ moved.T)[None], len(positive), classifier) for moved in (rows, rows - 50.0)
    ]
    assert fits[0].coefficients == pytest.approx(fits[1].coefficients, abs=1e-5)
    vector = fits[0].coefficients[0] @ rows
    assert np.linalg.norm(vector) == pytest.approx(1.0)
    decisions = rows @ vector + fits[0].intercepts[0]
    right = (decisions > 0) == (np.arange(len(rows)) < len(positive))
    assert right.mean() > 0.8
    moved_decisions = (rows - 50.0) @ (fits[1].coefficients[0] @ (rows - 50.0))
    assert moved_decisions + fits[1].intercepts[0] == pytest.approx(decisions, abs=1e-3)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_examples_that_are_all_the_same_have_no_vector(classifier: str) -> None:
    same = np.full((6, 4), 2.5, np.float32)
    assert not cav(same, same, classifier).any()


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_held_out_accuracy_is_chance_for_noise_and_one_for_what_is_apart(classifier: str) -> None:
    rng = np.random.default_rng(1)
    n, m = 40, 25
    folds = stratified_folds(n, m, 5, rng)
    assert sorted(np.bincount(folds).tolist()) == [13] * 5
    # Many dimensions: a classifier that sees its test examples would separate anything.
    noise = rng.normal(size=(8, n + m, 200))
    kernels = noise @ noise.swapaxes(1, 2)
    assert held_out_accuracy(kernels, n, folds, classifier) == pytest.approx(0.5, abs=0.1)
    noise[:, :n, 0] += 200.0
    kernels = noise @ noise.swapaxes(1, 2)
    assert held_out_accuracy(kernels, n, folds, classifier) == 1.0


def test_a_hundred_thousand_features_cost_what_a_hundred_do() -> None:
    rng = np.random.default_rng(2)
    wide = rng.normal(size=(80, 100_000)).astype(np.float32)
    kernel = products(wide)
    assert kernel[:3, :3] == pytest.approx(wide[:3].astype(float) @ wide[:3].T, rel=1e-4, abs=0.5)
    narrow = products(wide[:, :100])
    seconds = []
    for kernels in (np.repeat(narrow[None], 200, 0), np.repeat(kernel[None], 200, 0)):
        fit(kernels[:2], 40)
        started = time.process_time()
        fit(kernels, 40)
        seconds.append(time.process_time() - started)
    assert seconds[1] < 3 * seconds[0] + 0.1


def test_products_are_taken_around_an_origin() -> None:
    rng = np.random.default_rng(3)
    positive, others = (rng.normal(3, 1, (n, 20_000)).astype(np.float32) for n in (5, 4))
    origin = others.mean(0)
    expected = (positive.astype(np.float64) - origin) @ (others.astype(np.float64) - origin).T
    assert products(positive, others, origin) == pytest.approx(expected, rel=1e-3, abs=1.0)


def test_a_classifier_that_does_not_exist_is_named_with_its_neighbours() -> None:
    with pytest.raises(ConceptError, match=r"no classifier 'rige'.*Did you mean 'ridge'"):
        check_classifier("rige")
    with pytest.raises(ConceptError, match="one of the two sets is empty"):
        cav(np.zeros((0, 3)), np.ones((4, 3)))


@pytest.mark.parametrize("classifier", ["logistic", "svm"])
def test_without_scikit_learn_a_sentence_says_what_to_install(
    classifier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(DependencyError, match=r"xai-widgets\[concepts\]"):
        check_classifier(classifier)
    assert check_classifier("ridge") == "ridge"
