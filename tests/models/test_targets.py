"""Targets are understood in every form a user or the browser writes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from xai_widgets.errors import TargetError
from xai_widgets.models.numpy_backend import NumpyBackend
from xai_widgets.models.targets import ClassTarget, resolve_target

LABELS = ("Cat", "dog", "zebra", "horse", "DOG", "crane", "crane")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ClassTarget(3)),
        (2, ClassTarget(2)),
        (0, ClassTarget(0)),
        (np.int64(2), ClassTarget(2)),
        (np.uint8(2), ClassTarget(2)),
        (torch.tensor(2), ClassTarget(2)),
        ("zebra", ClassTarget(2)),
        ("ZEBRA", ClassTarget(2)),
        ("cat", ClassTarget(0)),
        ("dog", ClassTarget(1)),
        ("DOG", ClassTarget(4)),
        (ClassTarget("zebra"), ClassTarget(2)),
        (ClassTarget("zebra", versus="horse"), ClassTarget(2, 3)),
        (ClassTarget(2, versus="Horse"), ClassTarget(2, 3)),
        ({"kind": "class", "index": 2, "versus": None}, ClassTarget(2)),
        ({"index": "zebra", "versus": 3}, ClassTarget(2, 3)),
    ],
)
def test_a_target_resolves_to_class_positions(given: Any, expected: ClassTarget) -> None:
    resolved = resolve_target(given, LABELS, predicted=3)
    assert resolved == expected
    assert type(resolved.index) is int


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("zebr", "Did you mean 'zebra'"),
        ("HORSES", "Did you mean 'horse'"),
        ("qqqq", "Known: 'Cat'"),
        ("Dog", r"2 classes are called 'Dog': give the position instead, one of \[1, 4\]"),
        ("crane", r"2 classes are called 'crane'.*\[5, 6\]"),
        (7, "There is no class 7: the model has 7 outputs, 0 to 6"),
        (-1, "There is no class -1"),
        (True, "cannot be a bool"),
        (np.bool_(True), "cannot be a bool"),
        (1.0, "cannot be a float"),
        (np.float32(1), "cannot be a float32"),
        ([1], "cannot be a list"),
        (np.array([1, 2]), "cannot be a ndarray"),
        (torch.tensor([1, 2]), "cannot be a Tensor"),
        (ClassTarget(2, versus=2), "'zebra' cannot be contrasted with itself"),
        (ClassTarget("zebra", versus=2), "'zebra' cannot be contrasted with itself"),
        (ClassTarget(2, versus="hors"), "Did you mean 'horse'"),
        ({"kind": "neuron", "index": 2}, "Unknown kind of target 'neuron'"),
        ({"kind": "class"}, "needs an 'index'"),
        ({"kind": "class", "index": None}, "cannot be a NoneType"),
    ],
)
def test_a_target_that_does_not_exist_is_refused_with_a_way_out(given: Any, told: str) -> None:
    with pytest.raises(TargetError, match=told):
        resolve_target(given, LABELS, predicted=3)


@pytest.mark.parametrize("wrap", [np.asarray, torch.tensor])
def test_a_target_reduces_scores_in_their_own_framework(wrap: Any) -> None:
    scores = wrap([[1.0, 2.0, 4.0], [0.0, 5.0, 1.0]])
    assert ClassTarget(2)(scores, NumpyBackend()).tolist() == [4.0, 1.0]
    assert ClassTarget(2, versus=1)(scores, NumpyBackend()).tolist() == [2.0, -4.0]
    assert type(ClassTarget(2)(scores, NumpyBackend())) is type(scores)


@pytest.mark.parametrize("target", [ClassTarget(2), ClassTarget(2, 3)])
def test_the_wire_form_resolves_to_the_same_target(target: ClassTarget) -> None:
    assert resolve_target(target.to_dict(), LABELS, predicted=0) == target


def test_a_target_is_named_for_people() -> None:
    assert ClassTarget(2).text(LABELS) == "zebra"
    assert ClassTarget(2, 3).text(LABELS) == "zebra versus horse"
