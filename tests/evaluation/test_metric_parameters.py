"""A metric with a parameter that makes no sense cannot be made: it would give a perfect score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.evaluation.helpers import linear_case
from xai_widgets.errors import MetricError
from xai_widgets.evaluation import metric, metrics
from xai_widgets.evaluation.base import drain
from xai_widgets.evaluation.curves import curve_steps

COUNTS = [
    ("deletion", "n_steps"),
    ("insertion", "n_steps"),
    ("pixel_flipping", "n_steps"),
    ("infidelity", "n_samples"),
    ("max_sensitivity", "n_samples"),
    ("shift_stability", "pixels"),
    ("noise_stability", "n_samples"),
    ("weight_randomisation", "n_seeds"),
]
NUMBERS = [
    ("pixel_flipping", "share"),
    ("infidelity", "size"),
    ("max_sensitivity", "radius"),
    ("noise_stability", "level"),
    ("lighting_stability", "factor"),
    ("top_area_iou", "share"),
]
CHOICES = [
    ("deletion", "order"),
    ("insertion", "order"),
    ("pixel_flipping", "order"),
    ("infidelity", "perturbation"),
    ("weight_randomisation", "mode"),
    ("weight_randomisation", "kind"),
    ("weight_randomisation", "sign"),
    ("data_randomisation", "kind"),
    ("data_randomisation", "sign"),
    ("agreement", "kind"),
    ("agreement", "sign"),
]
FLAGS = [("complexity", "relative"), ("infidelity", "rescale"), ("weight_randomisation", "last")]


FILLS = [(name, "fill") for name in ("deletion", "insertion", "pixel_flipping", "infidelity")]


def test_every_parameter_is_tried_here() -> None:
    tried = {*COUNTS, *NUMBERS, *CHOICES, *FLAGS, *FILLS, ("weight_randomisation", "n_stages")}
    known = {(record["metric"], name) for record in metrics() for name in record["parameters"]}
    assert tried == known


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("blurr", "Did you mean 'blur'"),
        ("mean 0.5", "There is no baseline"),
        ("no/such/file.png", "a file must exist"),
        (None, "no array of numbers|give a name"),
        (3, "give a name"),
        (np.zeros((4, 4), np.float32), r"shape \[4, 4\]"),
        (np.full((4, 4, 3), np.nan, np.float32), "NaN or infinite"),
    ],
    ids=repr,
)
@pytest.mark.parametrize(("name", "parameter"), FILLS)
def test_a_fill_is_a_baseline(name: str, parameter: str, value: Any, told: str) -> None:
    with pytest.raises(MetricError, match=rf"^fill of .* cannot be used\. .*({told})"):
        metric(name, **{parameter: value})


@pytest.mark.parametrize("value", ["noise 0.2", "#ff0080", "zeros", np.zeros((8, 8, 3))], ids=repr)
def test_every_baseline_is_a_fill(value: Any) -> None:
    assert metric("deletion", fill=value).parameters()["n_steps"] == 100


@pytest.mark.parametrize("value", [0, -1, 2.5, "x", None, True, [3]], ids=repr)
@pytest.mark.parametrize(("name", "parameter"), COUNTS)
def test_counts_are_whole_and_at_least_one(name: str, parameter: str, value: Any) -> None:
    with pytest.raises(MetricError, match=rf"^{parameter} of .* a whole number of at least 1\.$"):
        metric(name, **{parameter: value})


@pytest.mark.parametrize("value", [-1, 0.5, "x", None], ids=repr)
def test_stages_are_counted_from_none_which_is_all(value: Any) -> None:
    assert metric("weight_randomisation", n_stages=0).parameters()["n_stages"] == 0
    with pytest.raises(MetricError, match=r"n_stages of .* at least 0"):
        metric("weight_randomisation", n_stages=value)


@pytest.mark.parametrize("value", [0, -0.1, np.nan, np.inf, "x", True, [0.5]], ids=repr)
@pytest.mark.parametrize(("name", "parameter"), NUMBERS)
def test_numbers_are_finite_and_in_their_range(name: str, parameter: str, value: Any) -> None:
    with pytest.raises(MetricError, match=rf"^{parameter} of .*: give a number above [01]"):
        metric(name, **{parameter: value})


@pytest.mark.parametrize(
    ("name", "parameter"),
    [("pixel_flipping", "share"), ("infidelity", "size"), ("top_area_iou", "share")],
)
def test_a_share_is_at_most_the_whole(name: str, parameter: str) -> None:
    assert metric(name, **{parameter: 1}).parameters()[parameter] == 1
    with pytest.raises(MetricError, match="up to 1"):
        metric(name, **{parameter: 1.1})


def test_light_that_does_not_change_is_no_test() -> None:
    with pytest.raises(MetricError, match="above 1"):
        metric("lighting_stability", factor=1)


@pytest.mark.parametrize("value", ["zz", 3, None, ["signed"]], ids=repr)
@pytest.mark.parametrize(("name", "parameter"), CHOICES)
def test_choices_name_what_there_is(name: str, parameter: str, value: Any) -> None:
    with pytest.raises(MetricError, match=rf"^{parameter} of .* cannot be .* (Known|Did you mean)"):
        metric(name, **{parameter: value})


@pytest.mark.parametrize("value", ["no", 2, None], ids=repr)
@pytest.mark.parametrize(("name", "parameter"), FLAGS)
def test_flags_are_true_or_false(name: str, parameter: str, value: Any) -> None:
    with pytest.raises(MetricError, match="give True or False"):
        metric(name, **{parameter: value})


def test_numbers_of_numpy_become_plain_ones() -> None:
    found = metric("pixel_flipping", n_steps=np.int64(3), share=np.float32(0.5)).parameters()
    assert (type(found["n_steps"]), type(found["share"])) == (int, float)


@pytest.mark.parametrize("n_steps", [0, -1, "x", 2.5])
def test_a_curve_has_a_step_at_least(n_steps: Any) -> None:
    case, _ = linear_case()
    with pytest.raises(MetricError, match=r"n_steps is .* at least 1"):
        drain(curve_steps(case, "deletion", n_steps))
