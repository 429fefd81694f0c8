"""The concept workbench's kernel side: state in, scores out, everything else refused."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from PIL import Image

import xai_widgets as xw
from tests.widgets.conftest import Recorded, SmallNet
from tests.widgets.workbench import RECT, Make, browser, edit, tinted, told
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.errors import StoreError, XaiError
from xai_widgets.widgets.protocol import FINAL_KINDS
from xai_widgets.widgets.workbench.workbench import ConceptWorkbench


@pytest.fixture
def make(make_workbench: Make) -> Make:
    return make_workbench


def test_nothing_is_tested_until_it_is_asked_for(make: Make, recorded: Recorded, filled) -> None:
    workbench = make()
    recorded.final(1)
    assert told(recorded, 1) == ["accepted", "picture", "prediction", "result"]
    with pytest.raises(XaiError, match="Nothing was tested yet"):
        _ = workbench.records


def test_a_test_shows_scores_first_without_and_then_with_p_then_map_and_sweep(
    make: Make, recorded: Recorded, filled
) -> None:
    workbench = make(testing=True, concept="blue", layer="body")
    final = recorded.final(1)
    assert final["kind"] == "result"
    kinds = told(recorded, 1)
    assert kinds == [
        "accepted", "picture", "prediction", "bars", "bars", "map", "sweep", "result",
    ]  # fmt: skip
    progress = [message["payload"] for message in recorded.of("progress")]
    assert all(each["done"] <= each["total"] for each in progress)
    texts = " / ".join(dict.fromkeys(each["text"] for each in progress))
    for stage in ("Looking at the images", "Gradients of zebra", "Fitting blue at body", "Testing"):
        assert stage in texts
    first, last = (message["payload"] for message in recorded.of("bars"))
    assert first["partial"] and not last["partial"] and not last["stored"]
    assert {record["p"] for record in first["records"]} == {None}
    assert {(r["concept"], r["class"]) for r in last["records"]} == {
        ("red", "zebra"),
        ("blue", "zebra"),
    }
    assert all(r["p"] is not None for r in last["records"] if r["testable"])
    assert last["records"] == workbench.records
    layers = list(dict.fromkeys(r["layer"] for r in last["records"]))
    assert [c["layer"] for c in last["cosines"]] == layers
    for cosine in last["cosines"]:
        assert cosine["names"] == ["red", "blue"]
        np.testing.assert_allclose(np.diag(cosine["array"]), 1, atol=1e-5)
    for ranking in last["rankings"]:
        assert sorted(ranking["indices"].tolist()) == list(range(6))
        assert (np.diff(ranking["values"]) <= 0).all()
    shown = recorded.of("map")[0]["payload"]
    assert (shown["method"], shown["layer"], shown["signed"]) == ("concept", "body", True)
    assert shown["array"].shape == (32, 32) and "blue" in shown["method_title"]
    sweep = recorded.of("sweep")[0]["payload"]
    assert sweep["outputs"].shape == (len(sweep["epsilons"]), 4) and sweep["probabilities"]
    still = int(np.abs(sweep["epsilons"]).argmin())
    prediction = recorded.of("prediction")[0]["payload"]["probabilities"]
    np.testing.assert_allclose(sweep["outputs"][still], prediction, atol=1e-5)


def test_the_records_are_those_of_tcav(
    make: Make, model: xw.ExplainableModel, pictures: np.ndarray, filled: ConceptStore
) -> None:
    from xai_widgets.concepts.tcav import tcav

    workbench = make(layers=["stem", "body"], classifier="mean_difference")
    found = workbench.test()
    expected = tcav(
        model, pictures, "zebra", filled, ["stem", "body"], classifier="mean_difference"
    )
    for mine, its in zip(found, expected, strict=True):
        assert mine.keys() == its.keys()
        assert (mine["concept"], mine["layer"]) == (its["concept"], its["layer"])
        assert mine["magnitude"] == pytest.approx(its["magnitude"], rel=1e-5)
        assert mine["p"] == its["p"]


def test_excluding_an_example_scores_again_without_a_forward_pass(
    make: Make, recorded: Recorded, net: SmallNet, filled: ConceptStore
) -> None:
    workbench = make(testing=True)
    before = workbench.records
    one = filled.concept("red").examples[0].id
    recorded.final(workbench._revision)
    passes: list[int] = []
    seen: list[int] = []
    original, send = net.forward, recorded.add

    def counted(x: torch.Tensor) -> Any:
        passes.append(len(x))
        return original(x)

    def add(content: dict[str, Any], buffers: Any) -> None:
        if content.get("kind") == "bars" and not content["payload"]["partial"]:
            seen.append(len(passes))
        send(content, buffers)

    net.forward = counted  # type: ignore[method-assign]
    recorded.add = add  # type: ignore[method-assign]
    assert edit(workbench, recorded, "change", ids=[one], included=False)["ok"]
    after = workbench.records
    assert seen == [0]
    counts = {record["concept"]: record["n_examples"] for record in after}
    assert counts == {"red": 7, "blue": 8}
    assert [r["magnitude"] for r in after] != [r["magnitude"] for r in before]
    edit(workbench, recorded, "undo")
    assert [r["magnitude"] for r in workbench.records] == [r["magnitude"] for r in before]


def test_another_picture_is_not_scored_again(make: Make, recorded: Recorded, filled) -> None:
    workbench = make(testing=True)
    workbench.records
    workbench.image_index = 3
    assert recorded.final(2)["payload"]["cached"]
    assert told(recorded, 2) == ["accepted", "picture", "prediction", "map", "sweep", "result"]
    assert not recorded.of("progress", revision=2)


def test_another_class_stands_beside_and_is_named(make: Make, filled) -> None:
    workbench = make(target=xw.ClassTarget("zebra", "horse"), compare=[2, 1], layers=["body"])
    classes = [record["class"] for record in workbench.test()]
    assert classes == ["zebra versus horse"] * 2 + ["cow"] * 2 + ["leopard"] * 2


def test_images_of_the_class_are_used_where_there_are_eight(
    make: Make, recorded: Recorded, filled
) -> None:
    many = np.random.default_rng(1).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    workbench = make(many, classes=[0] * 9 + [1] * 11, testing=True)
    workbench.records
    bars = recorded.of("bars")[-1]["payload"]
    assert bars["n_images"] == 9 and bars["note"] is None
    workbench.target = "cow"
    workbench.records
    bars = recorded.of("bars")[-1]["payload"]
    assert bars["n_images"] == 20 and "None of the images is labelled cow" in bars["note"]
    assert all("None of the images is labelled cow" in record["note"] for record in bars["records"])
    for wrong, sentence in (([0, 1], "shape"), ([7] * 20, "has 4 classes"), (["a"] * 20, "whole")):
        with pytest.raises(traitlets.TraitError, match=sentence):
            make(many, classes=wrong)


def test_a_broken_image_is_left_out_and_said(
    make: Make, recorded: Recorded, filled, tmp_path: Path, pictures: np.ndarray
) -> None:
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{index}.png")
    (tmp_path / "3.png").write_bytes(b"no picture")
    workbench = make(tmp_path, testing=True)
    workbench.records
    bars = recorded.of("bars")[-1]["payload"]
    assert "1 image could not be opened" in bars["note"]
    assert sorted(bars["rankings"][0]["indices"].tolist()) == [0, 1, 2, 4, 5]
    workbench.image_index = 3
    failed = recorded.final(2)
    assert failed["kind"] == "error" and "map" in failed["payload"]["withdrawn"]
    workbench.image_index = 0
    assert recorded.final(3)["kind"] == "result"


def test_a_random_set_is_made_where_there_is_none_and_shown(
    make: Make, recorded: Recorded, filled: ConceptStore
) -> None:
    filled.remove_concept("random")
    workbench = make(testing=True)
    workbench.records
    last = recorded.of("shelf")[-1]["payload"]
    assert [concept["role"] for concept in last["concepts"]] == ["concept", "concept", "random"]
    assert last["undo"] == "make the random set"
    assert len(filled.concept("random").examples) == 100
    assert edit(workbench, recorded, "random", n=40)["ok"]
    assert len(filled.concept("random").examples) == 40
    assert workbench.records[0]["n_examples"] == 8


def test_cancelling_keeps_what_there_is_and_testing_again_ends_it(
    make: Make, recorded: Recorded, net: SmallNet, filled
) -> None:
    workbench = make()
    recorded.final(1)
    net.gate.clear()
    net.entered.clear()
    workbench.testing = True
    assert net.entered.wait(60)
    browser(workbench, "cancel")
    net.gate.set()
    assert recorded.final(2)["kind"] == "cancelled"
    browser(workbench, "retry")
    assert recorded.final(3)["kind"] == "result"
    assert not recorded.of("bars")[-1]["payload"]["partial"]


def test_every_job_ends_in_one_final_message_and_the_newest_state_wins(
    make: Make, recorded: Recorded, filled
) -> None:
    workbench = make(testing=True)
    for layer in ("stem", "body", "stem"):
        workbench.layer = layer
    for index in (4, 2):
        workbench.image_index = index
    workbench.records
    last = workbench._revision
    for revision in range(1, last + 1):
        recorded.final(revision)
        assert len(recorded.of(*FINAL_KINDS, revision=revision)) == 1
    assert recorded.of("map")[-1]["payload"]["layer"] == "stem"
    assert recorded.of("picture")[-1]["payload"]["index"] == 2


def test_a_job_never_sets_traits(make: Make, filled, monkeypatch: pytest.MonkeyPatch) -> None:
    workbench = make()
    setters: set[str] = set()
    original = traitlets.HasTraits._notify_trait

    def noted(self: Any, name: str, old: Any, new: Any) -> None:
        setters.add(threading.current_thread().name)
        original(self, name, old, new)

    monkeypatch.setattr(traitlets.HasTraits, "_notify_trait", noted)
    workbench.test()
    workbench.suggest("red")
    assert setters <= {threading.current_thread().name}


@pytest.mark.parametrize(
    ("trait", "value", "sentence"),
    [
        ("image_index", 99, "There is no image 99"),
        ("layer", "boddy", "Did you mean 'body'"),
        ("layers", ["stem", "no"], "There is no layer 'no'"),
        ("target", "zebbra", "zebra"),
        ("target", xw.LayerTarget("body"), "tested for a class"),
        ("compare", [9], "There is no class 9"),
        ("classifier", "forest", "There is no classifier"),
        ("against", "noise", "cannot be tested against"),
        ("concept", "none", "There is no concept"),
    ],
)
def test_wrong_state_is_refused_with_a_sentence_and_the_old_one_stays(
    make: Make, trait: str, value: Any, sentence: str
) -> None:
    workbench = make()
    before = getattr(workbench, trait)
    with pytest.raises(traitlets.TraitError, match=sentence):
        setattr(workbench, trait, value)
    assert getattr(workbench, trait) == before


def test_what_cannot_be_tested_is_said_and_nothing_is_lost(
    make: Make, recorded: Recorded, filled: ConceptStore
) -> None:
    workbench = make()
    filled.add_concept("empty")
    filled.add_concept("few")
    filled.add_many("few", [(image, None) for image in tinted(3, (0, 250, 0), 9)])
    records = workbench.test()
    notes = {r["concept"]: r["note"] for r in records if not r["testable"]}
    assert "'empty' is empty" in notes["empty"] and "3 examples" in notes["few"]
    for name in ("red", "blue", "empty", "few"):
        edit(workbench, recorded, "delete_concept", name=name)
    recorded.final(workbench._revision)
    with pytest.raises(XaiError, match="There is no concept to test"):
        _ = workbench.records
    assert not any(kind == "bars" for kind in workbench._shown)
    for _ in range(4):
        edit(workbench, recorded, "undo")
    assert len(workbench.records) == len(records)


def test_a_damaged_file_of_the_store_is_named_and_the_rest_is_there(
    make: Make, recorded: Recorded, filled: ConceptStore
) -> None:
    one = filled.concept("red").examples[0].id
    (damaged,) = filled.folder.glob(f"concepts/*/{one}.json")
    damaged.write_text("{")
    workbench = make(store=filled.folder)
    notes = [note["text"] for note in recorded.final(1)["payload"]["notes"]]
    assert any(one in note for note in notes)
    assert len(workbench.store.concept("red").examples) == 7


def test_a_folder_that_is_something_else_and_a_model_without_gradients_are_sentences(
    make: Make, recorded: Recorded, pictures: np.ndarray, tmp_path: Path, filled: ConceptStore
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("text")
    with pytest.raises(StoreError):
        make(store=tmp_path / "thesis")

    class Detached(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.detach().mean((2, 3))

    model = xw.load(Detached().eval(), input_size=(32, 32), labels=["r", "g", "b"])
    workbench = ConceptWorkbench(model, pictures, filled)
    assert recorded.final(1)["kind"] == "result"  # it can still be annotated
    assert edit(workbench, recorded, "add", concept="red", index=0, region=RECT)["ok"]
    with pytest.raises(XaiError, match="cannot be tested on this model"):
        workbench.test()
    workbench.close()
