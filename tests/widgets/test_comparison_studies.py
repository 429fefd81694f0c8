"""Studies below the grid: what players scrub equals what the evaluation computes at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import xai_widgets as xw
from tests.widgets.comparing import Make, browser, study
from tests.widgets.conftest import Recorded, SmallNet
from xai_widgets import evaluation


@pytest.fixture
def make(make_comparison: Make) -> Make:
    return make_comparison


@pytest.mark.parametrize(("kind", "fill"), [("deletion", "mean"), ("insertion", "blur")])
def test_a_player_gets_the_curve_and_its_random_control(
    make: Make,
    recorded: Recorded,
    model: xw.ExplainableModel,
    pictures: np.ndarray,
    kind: str,
    fill: str,
) -> None:
    comparison = make(metrics=[evaluation.metric(kind, fill=fill)])
    comparison.curve = {"kind": kind, "fill": fill}
    comparison.selected = [{"images": 2}]
    comparison.study = "curves"
    done = study(recorded, "done")
    assert (done["key"], done["kind"], done["done"]) == ("0.2.0.0.0", "curves", done["total"])
    sent = recorded.wait("curve")["payload"]
    options: dict[str, Any] = {"kind": kind, "fill": fill}
    explanation = xw.explain(model, pictures[2], "gradient")
    seed = 2  # that of the third picture, as in evaluate
    alone = evaluation.curve(model, explanation, seed=seed, **options)
    random = evaluation.random_curve(model, explanation, seed=seed, **options)
    np.testing.assert_allclose(sent["values"], alone.values, atol=1e-5)
    np.testing.assert_allclose(sent["random"], random.values, atol=1e-5)
    np.testing.assert_array_equal(sent["step_of"], alone.step_of)
    np.testing.assert_allclose(sent["fractions"], alone.fractions, atol=1e-6)
    assert sent["step_of"].dtype == np.uint8
    record = next(r for r in comparison.records() if r["image_index"] == 2)
    assert sent["area"] == pytest.approx(record["value"], rel=1e-5)
    assert sent["random_area"] == pytest.approx(record["control"], rel=1e-5)
    shown = model.prepare(pictures[2]).values * 255
    assert np.abs(sent["original"].astype(float) - shown).max() <= 1
    if fill == "mean":
        assert np.ptp(sent["filled"], axis=(0, 1)).max() == 0


def test_more_than_255_steps_are_counted_in_two_bytes(make: Make, recorded: Recorded) -> None:
    make(selected=[{}], study="curves", curve={"n_steps": 300})
    assert study(recorded, "done")["done"] > 1
    sent = recorded.wait("curve")["payload"]
    assert (sent["step_of"].dtype, sent["step_of"].max()) == (np.uint16, 300)
    assert sent["values"].shape == (301,)


@pytest.mark.parametrize("mode", ["cascade", "independent"])
def test_a_strip_gets_its_maps_one_by_one_and_then_whole(
    make: Make, recorded: Recorded, model: xw.ExplainableModel, pictures: np.ndarray, mode: str
) -> None:
    make(selected=[{}], study="sanity", cascade={"mode": mode})
    assert study(recorded, "done")["kind"] == "sanity"
    whole = recorded.wait("cascade")["payload"]
    alone = evaluation.cascade(model, pictures[0], "gradient", mode=mode)
    assert whole["stages"] == list(alone.stages)
    np.testing.assert_allclose(whole["maps"], alone.maps, rtol=1e-4, atol=1e-7)
    for name, values in alone.similarity.items():
        np.testing.assert_allclose(whole["similarity"][name], values, atol=1e-4)
    parts = [message["payload"] for message in recorded.of("cascade_map")]
    assert [part["index"] for part in parts] == list(range(len(alone.stages) + 1))
    np.testing.assert_array_equal(np.stack([part["array"] for part in parts]), whole["maps"])
    assert parts[0]["similarity"] is None
    assert parts[1]["similarity"].keys() == alone.similarity.keys()


def test_columns_agree_as_their_maps_do(
    make: Make, recorded: Recorded, model: xw.ExplainableModel, pictures: np.ndarray
) -> None:
    methods = ["gradient", "vargrad", "smoothgrad"]
    comparison = make(methods, study="agreement", hidden={"images": [1]})
    comparison.wait()
    found = [[xw.explain(model, pictures[i], m) for m in methods] for i in (0, 2)]
    matrices = [
        evaluation.agreement_matrix([e.map for e in row], have_sign=[e.signed for e in row])
        for row in found
    ]
    assert [e.signed for e in found[0]] == [True, False, True]
    study(recorded, "done")
    sent = recorded.wait("agreement")["payload"]
    assert sent["labels"] == ["Gradient", "VarGrad", "SmoothGrad"]
    assert sent["keys"] == [0, 1, 2]
    np.testing.assert_allclose(sent["matrix"], np.mean(matrices, axis=0), atol=1e-4)
    assert "of magnitudes where one of two has no sign" in sent["over"]
    assert sent["over"].endswith("over 2 images")


def test_a_failed_map_is_left_out_of_the_agreement(make: Make, recorded: Recorded) -> None:
    comparison = make(["gradient", "attention_rollout", "smoothgrad"], study="agreement")
    comparison.wait()
    study(recorded, "done")
    matrix = recorded.wait("agreement")["payload"]["matrix"]
    assert np.isnan(matrix[1]).all()
    assert np.isfinite(matrix[0, 2])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"study": "curves"}, "No cell is selected"),
        ({"study": "sanity", "selected": [{"methods": 2}]}, "cannot explain this model"),
        ({"study": "curves", "selected": [{"methods": 1}]}, "zero everywhere"),
        ({"study": "agreement", "rows": "methods"}, "maps of one picture"),
    ],
)
def test_what_cannot_be_studied_is_a_sentence(
    make: Make, recorded: Recorded, given: dict[str, Any], told: str
) -> None:
    comparison = make(["gradient", "grad_cam", "attention_rollout"], **given)
    comparison.wait()
    assert told in study(recorded, "failed")["message"]
    assert recorded.final(1)["kind"] == "result"


def test_a_study_does_not_wait_for_the_grid_and_is_cancelled_alone(
    make: Make, recorded: Recorded, net: SmallNet, pictures: np.ndarray
) -> None:
    comparison = make(["gradient"])
    recorded.final(1)
    net.gate.clear()
    net.entered.clear()
    comparison.metrics = ["deletion", "insertion", "pixel_flipping"]
    assert net.entered.wait(30)
    comparison.selected = [{}]
    comparison.study = "curves"
    browser(comparison, "cancel", {"lane": "study"})
    net.gate.set()
    assert study(recorded, "cancelled")["message"] == "Cancelled."
    before = len(recorded.messages)
    browser(comparison, "retry")
    study(recorded, "done", after=before)
    comparison.wait()
    kinds = [message["kind"] for message in recorded.messages[before:]]
    assert kinds.index("curve") < kinds.index("result")


def test_a_second_look_is_answered_from_the_cache(
    make: Make, recorded: Recorded, net: SmallNet
) -> None:
    comparison = make(selected=[{}], study="sanity")
    study(recorded, "done")
    comparison.wait()
    comparison.study = "curves"
    before = len(recorded.messages)
    study(recorded, "done", after=before)
    net.entered.clear()
    before = len(recorded.messages)
    comparison.study = "sanity"
    study(recorded, "done", after=before)
    assert not net.entered.is_set()
    recorded.wait("cascade", after=before)
    comparison.selected = [{}, {"methods": 1}]  # the cell that is studied stays
    assert not [m for m in recorded.messages[before:] if m["kind"] == "cascade"][1:]


def test_the_newest_study_wins(make: Make, recorded: Recorded, net: SmallNet) -> None:
    comparison = make(["gradient"])
    comparison.wait()
    net.gate.clear()
    net.entered.clear()
    comparison.selected, comparison.study = [{}], "sanity"
    assert net.entered.wait(30)
    comparison.study = "curves"
    comparison.selected = [{"images": 1}]
    net.gate.set()
    study(recorded, "done")
    assert recorded.of("curve")[-1]["payload"]["key"] == "0.1.0.0.0"
    assert not recorded.of("cascade")
    comparison.study = None
    browser(comparison, "hello")
    assert recorded.messages[-1]["kind"] == "result"


def test_a_study_of_weights_that_changed_is_made_again_with_the_grid(
    make: Make, recorded: Recorded
) -> None:
    torch.manual_seed(3)
    network = SmallNet().eval()
    comparison = make(["gradient"], models=network, study="curves", selected=[{}])
    comparison.wait()
    study(recorded, "done")
    before = recorded.wait("curve")["payload"]["values"]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(-1.5)
    seen = len(recorded.messages)
    browser(comparison, "retry")
    comparison.wait()
    study(recorded, "done", after=seen)
    curves = [m["payload"] for m in recorded.messages[seen:] if m["kind"] == "curve"]
    assert not np.array_equal(curves[-1]["values"], before)
