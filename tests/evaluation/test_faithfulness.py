"""Deletion, insertion, pixel-flipping and infidelity where the model is known: a linear one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import xai_widgets as xw
from tests.evaluation.helpers import SIDE, linear_case, random_map
from xai_widgets.errors import MetricError
from xai_widgets.evaluation import metric
from xai_widgets.evaluation.base import drain
from xai_widgets.evaluation.curves import curve_steps, removal_steps
from xai_widgets.evaluation.faithfulness import Infidelity


def test_a_step_changes_the_most_important_pixels_that_are_left() -> None:
    values = random_map(6)
    steps = removal_steps(values, 9)
    assert np.bincount(steps.ravel())[1:].tolist() == [4] * 9
    order = np.argsort(-values.ravel())
    np.testing.assert_array_equal(steps.ravel()[order], np.repeat(np.arange(1, 10), 4))


def test_ties_are_broken_at_random_and_by_the_seed_alone() -> None:
    flat = np.zeros((10, 10))
    first = removal_steps(flat, 2, seed=0)
    rows = first.mean(axis=1)
    assert rows.min() > 1.2 and rows.max() < 1.8  # not swept from top to bottom
    np.testing.assert_array_equal(first, removal_steps(flat, 2, seed=0))
    assert (first != removal_steps(flat, 2, seed=1)).any()


def test_a_curve_starts_at_the_picture_and_ends_at_the_fill() -> None:
    case, model = linear_case()
    found = drain(curve_steps(case, "deletion", 16, "black", probability=False))
    whole, empty = case.image.values[None], np.zeros((1, SIDE, SIDE, 3), np.float32)
    scores = [float(model.target_scores(x, case.target)[0]) for x in (whole, empty)]
    assert found.values[[0, -1]] == pytest.approx(scores, rel=1e-5)
    back = drain(curve_steps(case, "insertion", 16, "black", probability=False))
    assert back.values[[-1, 0]] == pytest.approx(scores, rel=1e-5)
    assert found.fractions[0] == 0 and found.fractions[-1] == 1


def test_each_point_of_a_curve_is_the_score_of_the_picture_at_that_step() -> None:
    case, model = linear_case()
    found = drain(curve_steps(case, "deletion", 8, "mean"))
    assert found.is_probability
    for step in range(9):
        gone = (found.step_of <= step)[:, :, None]
        shown = np.where(gone, found.fill, case.image.values)
        probability = model.probabilities(model.outputs(shown[None]))[0, 0]
        assert found.values[step] == pytest.approx(float(probability), rel=1e-5)


def test_curves_do_not_depend_on_the_chunk_size(monkeypatch: pytest.MonkeyPatch) -> None:
    case, _ = linear_case()
    expected = drain(curve_steps(case, "deletion", 20)).values
    monkeypatch.setattr(type(case.model), "chunk_size", property(lambda _: 3))
    np.testing.assert_allclose(drain(curve_steps(case, "deletion", 20)).values, expected, rtol=1e-5)


def score(name: str, attribution: Any = "weights", **parameters: Any) -> float:
    case, _ = linear_case(attribution)
    return metric(name, **parameters).measure(case)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("deletion", {"fill": "black", "n_steps": 64}),
        ("insertion", {"fill": "black", "n_steps": 64}),
        ("pixel_flipping", {"fill": "black", "n_steps": 32, "share": 0.5}),
    ],
)
def test_the_true_contributions_beat_all_random_orders(name: str, parameters: Any) -> None:
    true = score(name, **parameters)
    inverted = score(name, -linear_case()[0].attribution, **parameters)
    null = [score(name, random_map(SIDE, seed), **parameters) for seed in range(39)]
    better = metric(name).better
    assert all(better(true, other) for other in null)
    assert all(better(other, inverted) for other in null)


def test_pixel_flipping_of_a_linear_model_is_the_mean_of_partial_sums() -> None:
    case, _ = linear_case()
    found = metric("pixel_flipping", fill="black", n_steps=SIDE * SIDE, share=1.0).measure(case)
    contributions = np.sort(case.signed.ravel())[::-1]
    expected = np.concatenate([[0], contributions.cumsum()]).mean()
    assert found == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("times_input", [True, False])
@pytest.mark.parametrize("perturbation", ["square", "noise"])
def test_a_linear_models_gradient_is_perfectly_faithful(
    times_input: bool, perturbation: str
) -> None:
    case, _ = linear_case(times_input=times_input)
    options = {"perturbation": perturbation, "fill": "zeros", "rescale": False}
    assert metric("infidelity", **options).measure(case) == pytest.approx(0, abs=1e-8)


def test_infidelity_of_a_wrong_map_is_that_of_no_map_or_worse() -> None:
    case, _ = linear_case()
    for values in (np.zeros((SIDE, SIDE), np.float32), -case.attribution):
        wrong, _ = linear_case(values, distributes=True)
        none, _ = linear_case(np.zeros((SIDE, SIDE), np.float32), distributes=True)
        options = {"fill": "zeros", "rescale": False}
        found = metric("infidelity", **options).measure(wrong)
        assert found >= metric("infidelity", **options).measure(none) > 1e-4


def test_scores_without_a_probability_have_no_range() -> None:
    case, _ = linear_case()
    assert metric("deletion").bounds(case) == (0, 1)
    model = xw.load(case.model.source, preprocessing={"size": SIDE}, task="regression")  # type: ignore[union-attr]
    other, _ = linear_case()
    assert metric("deletion").bounds(type(other)(**{**vars(other), "model": model})) == (None, None)


@pytest.mark.parametrize(
    ("name", "parameters", "text"),
    [
        ("deletoin", {}, "Did you mean 'deletion'"),
        ("deletion", {"steps": 3}, "Did you mean 'n_steps'"),
        ("infidelity", {"perturbation": "circle"}, "'square', 'noise'"),
    ],
)
def test_a_mistyped_metric_is_refused(name: str, parameters: Any, text: str) -> None:
    with pytest.raises(MetricError, match=text):
        metric(name, **parameters)


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(MetricError, match="'signed', 'absolute'"):
        score("deletion", order="random")


def test_the_model_is_asked_about_perturbations_once_for_all_maps_of_a_picture() -> None:
    case, model = linear_case()
    asked: list[int] = []
    own = type(model).target_scores

    def counting(self: Any, images: Any, target: Any) -> Any:
        asked.append(len(images))
        return own(self, images, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model), "target_scores", counting)
        infidelity = metric("infidelity", n_samples=16)
        first = infidelity.measure(case)
        n_asked = sum(asked)
        assert infidelity.measure(replace(case, attribution=random_map(SIDE))) != first
    assert sum(asked) == n_asked == 17


@pytest.mark.parametrize("distributes", [True, False])
def test_sums_over_squares_equal_those_over_masks(distributes: bool) -> None:
    case, _ = linear_case(random_map(SIDE), distributes=distributes)
    infidelity = Infidelity(n_samples=5, size=0.4, fill="mean")
    expected = []
    for removed, touched in infidelity._perturbations(case):
        factor = touched if distributes else removed
        expected.append((factor * case.attribution[:, :, None]).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(infidelity._announced(case), np.concatenate(expected), rtol=1e-4)
