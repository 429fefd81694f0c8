"""Targets are understood in every form a user or the browser writes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from xai_widgets.errors import TargetError
from xai_widgets.models.numpy_backend import NumpyBackend
from xai_widgets.models.preprocessing import Placement
from xai_widgets.models.targets import (
    ClassTarget,
    FunctionTarget,
    LayerTarget,
    RegionTarget,
    Target,
    placed_mask,
    resolve_target,
)

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


MASK = np.zeros((4, 4), bool)
MASK[:2] = True


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (LayerTarget("a", 3, (1, 2), "max"), LayerTarget("a", 3, (1, 2), "max")),
        ({"kind": "layer", "layer": "a"}, LayerTarget("a")),
        (
            {"kind": "layer", "layer": "a", "channel": 3, "position": [1, 2], "reduce": "max"},
            LayerTarget("a", 3, (1, 2), "max"),
        ),
    ],
)
def test_a_layer_target_is_understood_in_either_form(given: Any, expected: LayerTarget) -> None:
    resolved = resolve_target(given, LABELS, predicted=3)
    assert resolved == expected
    assert resolve_target(resolved.to_dict(), LABELS, predicted=0) == expected


def test_a_region_keeps_its_mask_and_gets_class_positions() -> None:
    region = {"type": "rect", "x": 0}
    resolved = resolve_target(RegionTarget("zebra", MASK, "horse", region), LABELS, predicted=0)
    assert isinstance(resolved, RegionTarget)
    assert (resolved.index, resolved.versus, resolved.mask is MASK) == (2, 3, True)
    wire = {"kind": "region", "index": 2, "versus": 3, "region": region}
    assert resolved.to_dict() == wire
    with pytest.raises(TargetError, match="Did you mean 'zebra'"):
        resolve_target(RegionTarget("zebr", MASK), LABELS, predicted=0)


def test_a_function_is_a_target_of_its_own_name() -> None:
    def confidence(outputs: Any) -> Any:
        return outputs.max(1)

    resolved = resolve_target(confidence, LABELS, predicted=0)
    assert resolved.to_dict() == {"kind": "function", "name": "confidence"}
    assert resolved(np.array([[1.0, 3.0]]), NumpyBackend()).tolist() == [3.0]
    assert not resolved.linear


MAPS = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (LayerTarget("a"), MAPS.mean(axis=(1, 2, 3))),
        (LayerTarget("a", reduce="max"), MAPS.max(axis=(1, 2, 3))),
        (LayerTarget("a", 2), MAPS[..., 2].mean(axis=(1, 2))),
        (LayerTarget("a", 2, (1, 3)), MAPS[:, 1, 3, 2]),
        (LayerTarget("a", None, (1, 3), "max"), MAPS[:, 1, 3].max(axis=1)),
        (ClassTarget(1), MAPS[..., 1].mean(axis=(1, 2))),
        (ClassTarget(1, versus=4), (MAPS[..., 1] - MAPS[..., 4]).mean(axis=(1, 2))),
    ],
)
def test_maps_are_reduced_to_one_number_per_image(target: Target, expected: Any) -> None:
    np.testing.assert_allclose(target(MAPS, NumpyBackend()), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (LayerTarget("a", 5), r"no channel 5: layer 'a' has 5, 0 to 4"),
        (LayerTarget("a", -1), r"no channel -1"),
        (LayerTarget("a", 0, (3, 0)), r"no position \[3, 0\] in layer 'a': its grid is 3 x 4"),
        (LayerTarget("a", 0, (1,)), r"no position \[1\]"),
        (FunctionTarget(lambda outputs: outputs.mean()), r"returned shape \[\] for 2 images"),
    ],
)
def test_what_a_target_cannot_reduce_is_a_sentence(target: Target, told: str) -> None:
    with pytest.raises(TargetError, match=told):
        target(MAPS, NumpyBackend())


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (LayerTarget("a", 3, None, "max"), "maximum of channel 3 of a"),
        (LayerTarget("a", None, (1, 2)), "mean of all channels of a at [1, 2]"),
        (RegionTarget(2, MASK, 3), "zebra versus horse in the region"),
    ],
)
def test_targets_of_other_kinds_are_named_for_people(target: Target, text: str) -> None:
    assert target.text(LABELS) == text


def test_a_mask_moves_to_the_grid_of_a_dense_output() -> None:
    moved = placed_mask(MASK, Placement(0, 0, 4, 4), (2, 2))
    np.testing.assert_allclose(moved, [[0.5, 0.5], [0, 0]])
    cropped = placed_mask(MASK, Placement(0, 1, 4, 2), (2, 2))
    np.testing.assert_allclose(cropped, [[0.5, 0.5], [0, 0]])
    partly = placed_mask(MASK, Placement(0, 0, 4, 4), (1, 4))
    np.testing.assert_allclose(partly, [[0.25] * 4])
    padded = placed_mask(MASK, Placement(0, -4, 4, 12), (3, 1))
    np.testing.assert_allclose(padded, [[0], [1], [0]])


def test_a_region_outside_of_what_the_model_sees_is_a_sentence() -> None:
    with pytest.raises(TargetError, match="holds no pixel that the model sees"):
        placed_mask(MASK, Placement(0, 2, 4, 2), (2, 2))


def test_a_region_is_the_weighted_mean_of_its_cells() -> None:
    mask = placed_mask(MASK, Placement(0, 0, 4, 4), (3, 4))
    found = RegionTarget(1, mask)(MAPS, NumpyBackend())
    expected = (MAPS[:, 0, :, 1].mean(axis=1) * 2 + MAPS[:, 1, :, 1].mean(axis=1)) / 3
    np.testing.assert_allclose(found, expected, rtol=1e-5)
