"""The comparison's grid: cells stream in, each by itself, those in view first, none twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from traitlets import TraitError

import xai_widgets as xw
from tests.models.keras_nets import settled
from tests.widgets.comparing import LABELS, Make, browser, cells, scores
from tests.widgets.conftest import Recorded, SmallNet
from xai_widgets.errors import XaiError
from xai_widgets.explainers.gradient import Gradient
from xai_widgets.models.preprocessing import Preprocessing
from xai_widgets.widgets.comparison import board as comparison_board
from xai_widgets.widgets.comparison.comparison import Comparison
from xai_widgets.widgets.engine import ResultCache, engine_of
from xai_widgets.widgets.protocol import FINAL_KINDS


@pytest.fixture
def make(make_comparison: Make) -> Make:
    return make_comparison


@pytest.fixture(scope="module")
def keras_model() -> xw.ExplainableModel:
    import keras

    source = keras.Sequential(
        [
            keras.Input((24, 24, 3)),
            keras.layers.Conv2D(6, 3, activation="relu", name="stem"),
            keras.layers.Conv2D(8, 3, activation="relu", name="body"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(4),
        ]
    )
    return xw.load(settled(source), labels=LABELS, preprocessing=Preprocessing(size=24))


def test_every_cell_has_the_map_of_explain_and_the_scores_of_evaluate(
    make: Make, recorded: Recorded, model: xw.ExplainableModel, pictures: np.ndarray
) -> None:
    methods = ["gradient", "grad_cam", "eigen_cam"]  # the second is zero for this network
    metrics = ["complexity", "deletion", "weight_randomisation"]
    comparison = make(methods, metrics=metrics)
    final = recorded.final(1)
    assert (final["kind"], final["payload"]["n_failed"]) == ("result", 0)
    shown = cells(recorded)
    assert set(shown) == {f"0.{image}.{method}.0.0" for image in range(3) for method in range(3)}
    for key, cell in shown.items():
        _, image, method, _, _ = (int(part) for part in key.split("."))
        alone = xw.explain(model, pictures[image], methods[method])
        np.testing.assert_allclose(cell["array"], alone.map, rtol=1e-4, atol=1e-7)
        assert cell["target_text"] == alone.target_text == cell["predicted"]
        assert cell["score"] == pytest.approx(alone.score, rel=1e-5)
        assert cell["placement"] == {"x": 0, "y": 0, "width": 48, "height": 40}
    table = xw.evaluate(model, pictures[:3], methods, metrics)
    told = scores(recorded)
    assert len(told) == len(table)
    for record in table:
        key = f"0.{record['image_index']}.{methods.index(record['method'])}.0.0"
        value = told[key, record["metric"]]
        assert alike(value["value"], record["value"])
        assert alike(value["control"], record["control"])
        assert value["control_name"] == record["control_name"]
    for mine, record in zip(
        sorted_records(comparison.records()), sorted_records(table), strict=True
    ):
        assert alike(mine["mean"], record["mean"])
        assert alike(mine["low"], record["low"])
    assert sum(record["value"] is not None for record in table) > 12


def alike(value: float | None, other: float | None) -> bool:
    """Say whether two numbers are the same but for rounding, or neither is there."""
    return value is other is None or (None not in (value, other) and value == pytest.approx(other))


def sorted_records(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(records, key=lambda r: (r["method"], r["metric"], r["image_index"]))


def test_pictures_come_once_and_before_their_first_cell(make: Make, recorded: Recorded) -> None:
    make()
    recorded.final(1)
    sent = [m for m in recorded.messages if m["kind"] in ("picture", "cell")]
    known = set()
    for message in sent:
        payload = message["payload"]
        if message["kind"] == "picture":
            assert (payload["model"], payload["index"]) not in known
            known.add((payload["model"], payload["index"]))
            assert payload["array"].shape == (40, 48, 3)
        elif payload["state"] == "done":
            assert tuple(int(part) for part in payload["key"].split(".")[:2]) in known


def test_models_of_two_frameworks_stand_in_one_grid(
    make: Make, recorded: Recorded, model: xw.ExplainableModel, keras_model: xw.ExplainableModel
) -> None:
    comparison = make(
        ["integrated_gradients", "grad_cam"],
        models={"torch": model, "keras": keras_model},
        rows="models",
        targets="cow",
        metrics=["deletion", "completeness_gap"],
        study="agreement",
    )
    assert recorded.final(1)["kind"] == "result"
    shown = cells(recorded)
    assert [shown[f"{m}.0.0.0.0"]["array"].shape for m in (0, 1)] == [(32, 32), (24, 24)]
    assert {cell["target_text"] for cell in shown.values()} == {"cow"}
    assert len([value for value in scores(recorded).values() if value["value"] is not None]) == 6
    frameworks = [record["framework"] for record in comparison.records()]
    assert frameworks == ["torch"] * 4 + ["tensorflow"] * 4
    comparison.columns = "models"
    comparison.rows = "methods"
    comparison.wait()
    matrix = recorded.wait("agreement")["payload"]["matrix"]
    assert matrix.shape == (2, 2)  # the two see the picture on grids of their own
    assert np.isfinite(matrix).all()


def test_a_method_that_fails_on_one_image_gives_its_cell_the_sentence(
    make: Make, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Gradient.stream

    def stream(self: Any, model: Any, image: Any, target: Any, layer: Any) -> Any:
        if image.display.name == "image 1":
            raise XaiError("This picture is too plain for gradients.")
        return whole(self, model, image, target, layer)

    monkeypatch.setattr(Gradient, "stream", stream)
    comparison = make(metrics=["complexity"])
    final = recorded.final(1)
    assert (final["kind"], final["payload"]["n_failed"]) == ("result", 1)
    failed = cells(recorded, "failed")
    assert list(failed) == ["0.1.0.0.0"]
    assert failed["0.1.0.0.0"]["message"] == "This picture is too plain for gradients."
    assert len(cells(recorded)) == 5
    notes = [r["note"] for r in comparison.records() if r["value"] is None]
    assert notes == ["This picture is too plain for gradients."]
    monkeypatch.undo()
    monkeypatch.setattr(type(comparison), "send", lambda _self, c, b=None: recorded.add(c, b))
    browser(comparison, "retry")
    assert recorded.final(2)["payload"]["n_failed"] == 0


def test_a_method_that_the_model_lacks_says_why_and_costs_nothing(
    make: Make, recorded: Recorded
) -> None:
    make(["gradient", "attention_rollout"], metrics=["complexity"])
    assert recorded.final(1)["payload"]["n_failed"] == 3
    messages = {cell["message"] for cell in cells(recorded, "failed").values()}
    assert len(messages) == 1
    assert messages.pop().startswith("Attention rollout cannot explain this model.")


def test_a_picture_that_cannot_be_opened_costs_its_row_alone(
    make: Make, recorded: Recorded, pictures: np.ndarray, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    comparison = make(images=[pictures[0], broken, pictures[1]], metrics=["complexity"])
    assert recorded.final(1)["payload"]["n_failed"] == 2
    failed = cells(recorded, "failed")
    assert set(failed) == {"0.1.0.0.0", "0.1.1.0.0"}
    assert all("'broken.png' cannot be read" in cell["message"] for cell in failed.values())
    browser(comparison, "thumbnails", {"start": 0, "stop": 3})
    items = recorded.wait("thumbnails")["payload"]["items"]
    assert [item["error"] is None for item in items] == [True, False, True]


def test_cells_in_view_come_first_and_the_newest_list_wins(
    make: Make, recorded: Recorded, net: SmallNet, pictures: np.ndarray
) -> None:
    net.gate.clear()
    net.entered.clear()
    comparison = make(["gradient"], pictures)
    assert net.entered.wait(30)
    browser(comparison, "visible", {"keys": ["0.2.0.0.0"]})
    browser(comparison, "visible", {"keys": ["0.5.0.0.0", "0.3.0.0.0", "nonsense", 7]})
    net.gate.set()
    recorded.final(1)
    assert list(cells(recorded)) == [f"0.{image}.0.0.0" for image in (0, 5, 3, 1, 2, 4)]


def test_cancel_keeps_what_is_there_and_retry_goes_on(
    make: Make, recorded: Recorded, net: SmallNet, pictures: np.ndarray
) -> None:
    comparison = make(["gradient"], pictures)
    recorded.final(1)
    net.gate.clear()
    net.entered.clear()
    comparison.metrics = ["deletion"]
    assert net.entered.wait(30)
    browser(comparison, "cancel", {"lane": "grid"})
    net.gate.set()
    assert recorded.final(2)["kind"] == "cancelled"
    before = len(recorded.messages)
    browser(comparison, "retry")
    assert recorded.final(3)["kind"] == "result"
    assert not cells(recorded, after=before)  # the maps are there
    assert len(scores(recorded)) == 6


def test_a_view_that_comes_later_is_filled_without_computing(
    make: Make, recorded: Recorded, net: SmallNet
) -> None:
    comparison = make(metrics=["complexity"], selected=[{"methods": 1}], study="curves")
    recorded.final(1)
    recorded.wait("curve")
    comparison.wait()
    net.entered.clear()
    before = len(recorded.messages)
    browser(comparison, "hello")
    kinds = [message["kind"] for message in recorded.messages[before:]]
    assert kinds[:3] == ["ack", "setup", "accepted"]
    assert kinds.count("picture") == 3
    assert kinds.count("cell") == kinds.count("scores") == 6
    assert kinds[-3:] == ["curve", "study", "result"]
    assert all(cell["array"] is not None for cell in cells(recorded, after=before).values())
    assert not net.entered.is_set()


def test_swapped_axes_and_shown_entries_compute_nothing_again(
    make: Make, recorded: Recorded, net: SmallNet
) -> None:
    comparison = make()
    recorded.final(1)
    net.entered.clear()
    comparison.rows = "methods"  # the two change places
    assert comparison.columns == "images"
    comparison.hidden = {"images": [0]}
    comparison.hidden = {}
    comparison.sort = None
    comparison.wait()
    assert comparison._revision == 4
    for revision in (1, 2, 3, 4):
        assert len(recorded.of(*FINAL_KINDS, revision=revision)) == 1
    assert recorded.final(4)["payload"]["cached"] is True
    assert len(recorded.of("picture")) == 3
    assert len([m for m in recorded.of("cell") if m["payload"]["state"] == "done"]) == 6
    assert not net.entered.is_set()


def test_a_metric_that_is_added_measures_maps_that_are_there(
    make: Make, recorded: Recorded
) -> None:
    comparison = make()
    recorded.final(1)
    comparison.metrics = ["sparseness"]
    recorded.final(2)
    assert len(recorded.of("cell")) == 12  # begun and done, once each
    assert len(scores(recorded)) == 6


def test_layers_of_a_method_that_looks_at_none_share_one_map(
    make: Make, recorded: Recorded, pictures: np.ndarray
) -> None:
    make(images=pictures[:1], layers=["stem", None], metrics=["complexity"])
    recorded.final(1)
    shown = cells(recorded)
    assert set(shown) == {f"0.0.{method}.{layer}.0" for method in (0, 1) for layer in (0, 1)}
    assert shown["0.0.0.1.0"]["sharing"] == "0.0.0.0.0"
    np.testing.assert_array_equal(shown["0.0.0.1.0"]["array"], shown["0.0.0.0.0"]["array"])
    assert shown["0.0.1.1.0"]["sharing"] is None
    assert (shown["0.0.1.1.0"]["array"] != shown["0.0.1.0.0"]["array"]).any()
    assert len(recorded.of("cell")) == 2 * 4
    assert len(scores(recorded)) == 4


def test_changed_weights_are_explained_anew(make: Make, recorded: Recorded, net: SmallNet) -> None:
    comparison = make(["gradient"], targets="zebra", metrics=["deletion"])
    before = comparison.explanation(images=1).map
    recorded.final(1)
    with torch.no_grad():
        net.head.weight.mul_(2)
    after = len(recorded.messages)
    browser(comparison, "retry")
    recorded.final(2)
    np.testing.assert_allclose(
        cells(recorded, after=after)["0.1.0.0.0"]["array"], 2 * before, rtol=1e-4
    )
    assert len(scores(recorded, after)) == 3


def test_maps_of_a_large_grid_come_when_they_are_in_view_and_again_when_they_were_let_go(
    make: Make, recorded: Recorded, model: xw.ExplainableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison_board, "MAP_BYTES", 0)
    comparison = make(metrics=["complexity"])
    recorded.final(1)
    assert [cell["array"] for cell in cells(recorded).values()] == [None] * 6
    assert len(scores(recorded)) == 6
    browser(comparison, "visible", {"keys": ["0.1.0.0.0"]})
    whole = cells(recorded)["0.1.0.0.0"]["array"]
    assert whole is not None
    engine_of(model).cache = ResultCache()  # as when other work has filled it
    before = len(recorded.messages)
    browser(comparison, "visible", {"keys": ["0.1.0.0.0", "0.2.0.0.0"]})
    recorded.wait("cell", after=before)
    comparison.wait()
    found = cells(recorded, after=before)
    assert list(found) == ["0.2.0.0.0"]  # the other is in the browser
    assert found["0.2.0.0.0"]["array"].shape == (32, 32)


def test_the_setup_says_what_there_is_and_once_what_a_metric_lacks(
    make: Make, recorded: Recorded
) -> None:
    comparison = make(
        {"grad_cam": "grad_cam", "smooth": ("smoothgrad", {"n_samples": 4})},
        targets=["cow", None],
        metrics=["mass_accuracy", "complexity"],
    )
    recorded.final(1)
    browser(comparison, "hello")
    setup = recorded.wait("setup")["payload"]
    methods = setup["axes"]["methods"]
    assert [method["label"] for method in methods] == ["Grad-CAM", "smooth"]
    assert [method["parameters"] for method in methods] == ["", "n_samples 4"]
    assert [entry["label"] for entry in setup["axes"]["targets"]] == ["cow", "predicted class"]
    assert [entry["name"] for entry in setup["axes"]["images"]] == ["image 0", "image 1", "image 2"]
    needs = {metric["name"]: metric["needs_missing"] for metric in setup["metrics"]}
    assert "give masks" in needs["mass_accuracy"]
    assert needs["complexity"] is None
    assert {name for _, name in scores(recorded)} == {"complexity"}
    lacking = [r for r in comparison.records() if r["metric"] == "mass_accuracy"]
    assert all(r["value"] is None and "give masks" in r["note"] for r in lacking)


def test_masks_and_others_reach_the_metrics(
    make: Make, recorded: Recorded, model: xw.ExplainableModel, pictures: np.ndarray
) -> None:
    region = {"type": "rect", "x": 4, "y": 4, "width": 20, "height": 20}
    metrics = ["mass_accuracy", "agreement"]
    masks = [region, None, region]
    comparison = make(["gradient", "eigen_cam", "grad_cam"], masks=masks, metrics=metrics)
    table = xw.evaluate(model, pictures[:3], ["gradient", "eigen_cam", "grad_cam"], metrics, masks)
    for mine, record in zip(
        sorted_records(comparison.records()), sorted_records(table), strict=True
    ):
        assert alike(mine["value"], record["value"])
        assert (mine["note"] is None) == (record["note"] is None)


def test_the_model_is_as_it_was(make: Make, net: SmallNet) -> None:
    before = {name: value.clone() for name, value in net.state_dict().items()}
    comparison = make(
        ["guided_backprop", "noise_grad"],
        metrics=["weight_randomisation", "max_sensitivity"],
        selected=[{}],
        study="sanity",
    )
    comparison.wait()
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert not any(p.grad is not None for p in net.parameters())


def test_default_axes_are_those_with_something_to_compare(
    make: Make, model: xw.ExplainableModel, pictures: np.ndarray
) -> None:
    sides = lambda comparison: (comparison.rows, comparison.columns)  # noqa: E731
    one = pictures[:1]
    assert sides(make(images=pictures)) == ("images", "methods")
    assert sides(make("gradient", one, targets=["cow", "horse"])) == ("images", "targets")
    assert sides(make(("gradient", "eigen_cam"), one, layers=["stem", "body"])) == (
        "layers",
        "methods",
    )
    twice = make("gradient", pictures[:2], models=[model, model])
    assert sides(twice) == ("images", "models")
    assert twice.axes.names == ("SmallNet (torch)", "SmallNet (torch) 2")
    assert sides(make("gradient", one)) == ("images", "methods")


@pytest.mark.parametrize(
    ("trait", "value", "told"),
    [
        ("rows", "colours", "There is no axis 'colours'"),
        ("fixed", {"methods": 5}, "no entry 5 among the methods: there are 2"),
        ("fixed", {"methods": "eigen_kam"}, "Did you mean 'eigen_cam'"),
        ("hidden", {"images": [0, 1, 2]}, "All images would be hidden"),
        ("hidden", {"images": "0"}, "give a list of positions"),
        ("hidden", {"images": [True]}, "no entry True"),
        ("metrics", ["deletio"], "Did you mean 'deletion'"),
        ("sort", {"metric": "deletion"}, "sort is"),
        ("sort", {"metric": "deletion", "axis": "up"}, "rows or columns"),
        ("sort", {"metric": ["deletion"], "axis": "rows"}, "There is no metric"),
        ("selected", [{}, {}, {}], "at most two"),
        ("selected", [{"images": 9}], "no entry 9"),
        ("study", "curve", "Did you mean 'curves'"),
        ("curve", {"kind": "removal"}, "kind cannot be 'removal'"),
        ("curve", {"fill": "red"}, "fill cannot be 'red'"),
        ("curve", {"n_steps": 0}, "whole number from 1"),
        ("curve", {"steps": 3}, "no field 'steps'"),
        ("cascade", {"mode": "all"}, "mode cannot be 'all'"),
        ("cascade", {"n_stages": 1.5}, "whole number from 1"),
    ],
)
def test_wrong_traits_are_refused_with_a_sentence(
    make: Make, trait: str, value: Any, told: str
) -> None:
    comparison = make()
    before = getattr(comparison, trait)
    with pytest.raises(TraitError, match=told):
        setattr(comparison, trait, value)
    assert getattr(comparison, trait) == before


class Unregistered(Gradient):
    """A method of one's own, under the name of another."""


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"models": []}, "The list of models is empty"),
        ({"methods": []}, "The list of methods is empty"),
        ({"methods": ["gradient", "gradient"]}, "among the methods twice"),
        ({"images": []}, "The list of images is empty"),
        ({"targets": []}, "The list of targets is empty"),
        ({"targets": ["cow", "cow"]}, "'cow' is among the targets twice"),
        ({"targets": "sheep"}, "There is no class 'sheep'"),
        ({"layers": []}, "The list of layers is empty"),
        ({"layers": ["stam"]}, "Did you mean 'stem'"),
        ({"layers": 3}, "layers is 3"),
        ({"layers": [[]]}, "An empty list is among the layers"),
        ({"labels": 3}, "labels is 3"),
        ({"methods": [Unregistered()]}, "Unregistered is not registered as 'gradient'"),
        ({"metrics": ["complexity", "complexity"]}, "among the metrics twice"),
        ({"metrics": 3}, "metrics is 3"),
        ({"masks": [None]}, "masks has 1 entries"),
        ({"seed": -1}, "seed is -1"),
        ({"normalisation": "abs"}, "normalisation is 'abs'"),
        ({"normalisation": 0}, "normalisation is 0"),
        ({"rows": "methods", "columns": "methods"}, "two different axes"),
        ({"row": "methods"}, "has no trait 'row'"),
    ],
)
def test_wrong_arguments_are_refused_with_a_sentence(
    make: Make, given: dict[str, Any], told: str
) -> None:
    with pytest.raises(XaiError, match=told):
        make(**given)


def test_a_target_that_one_model_lacks_fails_in_its_cells_alone(
    make: Make, recorded: Recorded, model: xw.ExplainableModel
) -> None:
    torch.manual_seed(1)
    other = xw.load(SmallNet(2).eval(), labels=["zebra", "okapi"], input_size=(32, 32))
    make(["gradient"], models=[model, other], targets=["okapi"])
    recorded.final(1)
    messages = {key: cell["message"] for key, cell in cells(recorded, "failed").items()}
    assert set(messages) == {f"0.{image}.0.0.0" for image in range(3)}
    assert all("There is no class 'okapi'" in message for message in messages.values())
    assert set(cells(recorded)) == {f"1.{image}.0.0.0" for image in range(3)}


def test_closing_stops_the_work_on_every_model(
    recorded: Recorded, net: SmallNet, model: xw.ExplainableModel, pictures: np.ndarray
) -> None:
    net.gate.clear()
    net.entered.clear()
    comparison = Comparison(model, pictures, ["integrated_gradients"])
    assert net.entered.wait(30)
    comparison.close()
    net.gate.set()
    assert comparison._job is not None and comparison._job.ended.wait(60)
    assert comparison._job.outcome == "cancelled"
