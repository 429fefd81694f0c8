"""Max-sensitivity and stability of maps that never change, follow the picture, or jump."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import xai_widgets as xw
from tests.evaluation.helpers import linear_case, random_map
from xai_widgets.evaluation import Case, metric
from xai_widgets.evaluation.controls import edge_map
from xai_widgets.evaluation.robustness import relative_change, shifted
from xai_widgets.evaluation.subjects import subjects

ALL = ("max_sensitivity", "shift_stability", "noise_stability", "lighting_stability")


@pytest.fixture(scope="module")
def case() -> Case:
    model = xw.demo.model("digits")
    image = model.prepare(xw.demo.dataset("digits", n=1).images[0])
    explanation = xw.explain(model, image, "gradient")
    return Case(image=image, attribution=explanation.attribution, model=model,
                target=explanation.target)  # fmt: skip


def test_the_relative_change_is_that_of_norms() -> None:
    assert relative_change([3.0, 4.0], [3.0, 4.0]) == 0
    assert relative_change([3.0, 4.0], [0.0, 0.0]) == 1
    assert relative_change([3.0, 4.0], [3.0, 14.0]) == 2


@pytest.mark.parametrize("name", ["max_sensitivity", "noise_stability", "lighting_stability"])
def test_a_map_that_never_changes_is_perfectly_stable(name: str, case: Case) -> None:
    same = replace(case, explain=lambda image: case.attribution)
    expected = 0 if name == "max_sensitivity" else 1
    assert metric(name).measure(same) == pytest.approx(expected)


def test_a_map_that_does_not_move_with_the_picture_is_not_stable_under_shifts(case: Case) -> None:
    moving = replace(case, attribution=edge_map(case.image), explain=edge_map)
    frozen = replace(moving, explain=lambda image: moving.attribution)
    assert metric("shift_stability").measure(moving) > 0.98
    assert metric("shift_stability").measure(frozen) < 0.9


@pytest.mark.parametrize("name", ALL)
def test_noise_instead_of_a_map_is_unstable(name: str, case: Case) -> None:
    seeds = iter(range(100))
    own, again = random_map(32, 99) - 0.5, lambda image: random_map(32, next(seeds)) - 0.5
    noise = replace(case, attribution=own, explain=again)
    found = metric(name).measure(noise)
    assert found > 0.5 if name == "max_sensitivity" else abs(found) < 0.15


def test_a_linear_models_gradient_does_not_change() -> None:
    case, model = linear_case(times_input=False)
    explain = subjects("gradient")[0].explainer(model, case.target)  # type: ignore[arg-type]
    assert metric("max_sensitivity").measure(replace(case, explain=explain)) < 1e-6


def test_max_sensitivity_grows_with_the_radius(case: Case) -> None:
    explain = subjects("gradient")[0].explainer(case.model, case.target)  # type: ignore[arg-type]
    asked = replace(case, explain=explain)
    found = [metric("max_sensitivity", radius=r, n_samples=4).measure(asked) for r in (1e-5, 0.1)]
    assert found[0] < found[1]


def test_shifting_repeats_the_border() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    found = shifted(pixels, (0, 1))
    np.testing.assert_array_equal(found[:, 1], pixels[:, 0])
    np.testing.assert_array_equal(found[:, 0], pixels[:, 0])


@pytest.mark.parametrize("name", ALL)
def test_finished_maps_cannot_be_asked_again(name: str, case: Case) -> None:
    with pytest.raises(xw.errors.MetricError, match="give a method's name"):
        metric(name).measure(case)


def test_the_gap_of_integrated_gradients_closes_with_steps() -> None:
    model, images = xw.demo.model("digits"), xw.demo.dataset("digits", n=2).images
    methods: Any = {str(n): ("integrated_gradients", {"n_steps": n}) for n in (2, 64)}
    records = xw.evaluate(model, images, methods, "completeness_gap")
    means = {record["method"]: record["mean"] for record in records}
    assert means["64"] < 0.1 < means["2"]
    assert {record["control"] for record in records} == {1.0}


def test_a_method_that_does_not_distribute_the_score_has_no_gap() -> None:
    model, images = xw.demo.model("digits"), xw.demo.dataset("digits", n=1).images
    (record,) = xw.evaluate(model, images, "grad_cam", "completeness_gap")
    assert record["value"] is None and "grad_cam does not" in record["note"]
