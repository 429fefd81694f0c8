"""What the workbench keeps and shows again: reloads, restarts, pictures, the end."""

from __future__ import annotations

import base64
import gc
import io
import threading
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import xai_widgets as xw
from tests.widgets.conftest import Recorded, SmallNet
from tests.widgets.workbench import Make, browser, edit
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.widgets.workbench.workbench import ConceptWorkbench


@pytest.fixture
def make(make_workbench: Make) -> Make:
    return make_workbench


def test_a_restarted_kernel_shows_the_last_scores_without_computing_them(
    make: Make, recorded: Recorded, net: SmallNet, filled: ConceptStore, pictures: np.ndarray
) -> None:
    first = make(layers=["body"])
    expected, vectors = first.test(), first.vectors
    bars = recorded.of("bars")[-1]["payload"]
    first.close()
    again = xw.load(_copied(net), labels=["zebra", "leopard", "cow", "horse"], input_size=(32, 32))
    recorded.messages.clear()
    second = ConceptWorkbench(again, pictures, ConceptStore(filled.folder), target="zebra")
    recorded.final(1)
    assert not recorded.of("progress")
    restored = recorded.of("bars")[-1]["payload"]
    assert restored["stored"] and not restored["partial"]
    assert second.records == expected
    for place, vector in vectors.items():
        np.testing.assert_array_equal(second.vectors[place], vector)
    for mine, its in zip(restored["rankings"], bars["rankings"], strict=True):
        np.testing.assert_array_equal(mine["indices"], its["indices"])
    assert recorded.of("map") and recorded.of("sweep")
    second.testing = True
    assert not recorded.final(2)["payload"]["cached"]
    assert not recorded.of("bars")[-1]["payload"]["stored"]
    second.close()


def _copied(net: SmallNet) -> SmallNet:
    copied = SmallNet().eval()
    copied.load_state_dict(net.state_dict())
    return copied


def test_a_store_made_for_another_model_says_so_and_its_annotations_stay_usable(
    make: Make, recorded: Recorded, filled: ConceptStore, pictures: np.ndarray
) -> None:
    make().test()
    torch.manual_seed(7)
    labels = ["zebra", "leopard", "cow", "horse"]
    other = xw.load(SmallNet().eval(), labels=labels, input_size=(32, 32))
    recorded.messages.clear()
    workbench = ConceptWorkbench(other, pictures, ConceptStore(filled.folder), target="zebra")
    final = recorded.final(1)
    (note,) = final["payload"]["notes"]
    assert "another model" in note["text"] and not recorded.of("bars")
    assert len(workbench.test()) == 4
    workbench.close()


def test_changed_examples_are_said_beside_what_was_tested_before(
    make: Make, recorded: Recorded, filled: ConceptStore
) -> None:
    workbench = make()
    workbench.test()
    workbench.testing = False
    one = filled.concept("red").examples[0].id
    edit(workbench, recorded, "change", ids=[one], included=False)
    recorded.final(workbench._revision)
    assert "examples have changed" in recorded.of("bars")[-1]["payload"]["note"]
    edit(workbench, recorded, "undo")
    workbench.target = "cow"
    recorded.final(workbench._revision)
    note = recorded.of("bars")[-1]["payload"]["note"]
    assert "These scores are for zebra: press Test for cow." in note
    recorded.messages.clear()
    edit(workbench, recorded, "change", ids=[one], included=False)
    make(target="zebra")
    notes = recorded.final(1)["payload"]["notes"]
    assert "have changed since the last test" in notes[0]["text"]


def test_a_reload_fills_every_view_without_computing(
    make: Make, recorded: Recorded, net: SmallNet, filled
) -> None:
    workbench = make(testing=True)
    workbench.suggest("red")
    browser(workbench, "hello", {"module": True})
    net.entered.clear()
    after = len(recorded.messages)
    browser(workbench, "hello", {"module": False})
    kinds = [message["kind"] for message in recorded.messages[after:]]
    assert kinds == [
        "ack", "setup", "accepted", "shelf", "picture", "prediction", "bars", "map", "sweep",
        "result", "suggestions",
    ]  # fmt: skip
    assert not net.entered.is_set()
    setup = recorded.of("setup")[-1]["payload"]
    assert setup["n_images"] == 6 and setup["folder"].endswith("concepts")
    assert setup["classifiers"][0]["name"] == "ridge"
    assert recorded.of("module")[0]["payload"]["script"]


def test_thumbnails_examples_superpixels_and_crops_do_not_wait_for_the_model(
    make: Make, recorded: Recorded, net: SmallNet, filled: ConceptStore
) -> None:
    workbench = make()
    recorded.final(1)
    net.gate.clear()
    net.entered.clear()
    workbench.testing = True
    assert net.entered.wait(60)
    ids = [example.id for example in filled.concept("red").examples]
    browser(workbench, "examples", {"ids": ids})
    browser(workbench, "thumbnails", {"start": 0, "stop": 4})
    browser(workbench, "superpixels")
    box = {"index": 1, "x": 2, "y": 3, "width": 10, "height": 8, "max_px": 64}
    browser(workbench, "crop", box)
    assert len(recorded.wait("examples")["payload"]["items"]) == 8
    assert len(recorded.wait("thumbnails")["payload"]["items"]) == 4
    assert recorded.wait("superpixels")["payload"]["array"].dtype == np.uint16
    assert recorded.wait("crop")["payload"]["array"].shape == (8, 10, 3)
    net.gate.set()


def test_five_hundred_images_are_not_opened_to_show_one(
    make: Make, recorded: Recorded, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(500):
        (folder / f"{index:03}.png").write_bytes(b"never opened")
    Image.new("RGB", (32, 32)).save(folder / "007.png")
    make(folder, image_index=7)
    assert recorded.final(1)["kind"] == "result"
    assert len(recorded.of("picture")) == 1


def test_it_shows_itself_as_a_picture(make: Make, filled) -> None:
    workbench = make()
    data, _ = workbench._repr_mimebundle_()
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).width > 800
    workbench.test()
    assert workbench.to_png() != base64.b64decode(data["image/png"])


def test_a_running_test_does_not_keep_the_cell_waiting_for_its_picture(
    make: Make, net: SmallNet, filled: ConceptStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xai_widgets.widgets.workbench import workbench as concept_workbench

    monkeypatch.setattr(concept_workbench, "PATIENCE_SECONDS", 0.01)
    net.gate.clear()
    workbench = make(testing=True)
    data, _ = workbench._repr_mimebundle_()
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).width > 800
    net.gate.set()


def test_closing_finishes_the_edits_and_frees_the_workbench(
    model: xw.ExplainableModel, pictures: np.ndarray, recorded: Recorded, filled: ConceptStore
) -> None:
    workbench = ConceptWorkbench(model, pictures, filled, target="zebra")
    workbench.test()
    browser(workbench, "edit", {"op": "create_concept", "name": "last"})
    seen = weakref.ref(workbench)
    workbench.close()
    assert "last" in ConceptStore(filled.folder).names
    del workbench
    recorded.messages.clear()
    for _ in range(50):
        gc.collect()
        if seen() is None:
            break
        threading.Event().wait(0.1)
    assert seen() is None


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_stripes_speak_for_zebra_in_both_frameworks(
    framework: str, recorded: Recorded, store: ConceptStore
) -> None:
    model = xw.demo.model("animals", framework=framework)
    sets = {name: xw.demo.concept(name, n=12) for name in ("stripes", "spots")}
    sets["random"] = xw.demo.concept("random", exclude=list(sets), n=60)
    for name, examples in sets.items():
        store.add_concept(name, role="random" if name == "random" else "concept")
        store.add_many(name, [(image, None) for image in examples])
    data = xw.demo.dataset("animals", n=16)
    layers = [model.recommended_layer]
    workbench = ConceptWorkbench(model, data.images, store, target="zebra", layers=layers)
    found = {record["concept"]: record for record in workbench.test()}
    assert found["stripes"]["significant"] and found["stripes"]["magnitude"] > 0.3
    assert not (found["spots"]["significant"] and found["spots"]["magnitude"] > 0)
    best = recorded.of("bars")[-1]["payload"]["rankings"][0]
    assert best["concept"] == "stripes"
    assert "zebra" in [data.class_names[label] for label in data.labels[best["indices"][:3]]]
    workbench.close()


@pytest.mark.parametrize("pooled", [True, False])
def test_a_transformer_is_tested_mapped_and_searched_like_any_other(
    pooled: bool, recorded: Recorded, filled: ConceptStore
) -> None:
    model = xw.demo.model("animals", architecture="vit")
    layer = model.recommended_layer
    assert layer is not None
    pictures = xw.demo.dataset("animals", n=10).images
    workbench = ConceptWorkbench(model, pictures, filled, layers=[layer], pooled=pooled)
    assert {record["concept"] for record in workbench.test()} == {"red", "blue"}
    assert recorded.of("map")[-1]["payload"]["array"].shape == model.input_shape[:2]
    assert len(workbench.suggest("red")) > 0
    workbench.target = "zebra"
    workbench.layer = model.vector_layers[-1].name  # a head: nowhere on the picture, but a layer
    workbench.records
    final = recorded.final(workbench._revision)["payload"]
    assert "no feature map" in final["notes"][0]["text"]
    assert not recorded.of("map", revision=workbench._revision)
    assert recorded.of("sweep", revision=workbench._revision)
    workbench.close()


def test_scores_of_other_images_are_never_taken_for_those_of_a_workbench(
    make: Make, recorded: Recorded, filled: ConceptStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xai_widgets.widgets.workbench import job as concept_job

    # As where the images of a closed workbench have left their place in memory to others.
    monkeypatch.setattr(concept_job, "id", lambda thing: 1, raising=False)
    rng = np.random.default_rng(3)
    first, second = (rng.integers(0, high, (6, 32, 32, 3), dtype=np.uint8) for high in (256, 90))
    found = make(first, layers=["stem"], testing=True).records
    other = make(second, layers=["stem"], testing=True)
    assert other.records != found
    assert [m["payload"]["cached"] for m in recorded.of("result")] == [False, False]


def test_restored_scores_say_where_they_are_of_other_images_or_other_classes(
    make: Make, recorded: Recorded, filled: ConceptStore, pictures: np.ndarray
) -> None:
    make(layers=["body"]).test()
    sentence = "From a test on other images: press Test."
    for arguments, expected in (
        ({"images": pictures[:4]}, True),
        ({"images": pictures[::-1]}, True),  # as many, with the same names
        ({"classes": [0, 1, 2, 3, 0, 1]}, True),
        ({}, False),
    ):
        after = len(recorded.messages)
        make(**arguments, layers=["body"])
        recorded.wait("result", after=after)
        bars = recorded.wait("bars", after=after)["payload"]
        assert bars["stored"] and (sentence in (bars["note"] or "")) is expected


def test_other_settings_are_said_only_as_long_as_they_are_other(
    make: Make, recorded: Recorded, filled: ConceptStore
) -> None:
    make(layers=["body"]).test()
    workbench = make(layers=["body"], classifier="mean_difference")
    workbench.records
    assert "other settings" in recorded.of("bars")[-1]["payload"]["note"]
    workbench.classifier = "ridge"
    workbench.records
    assert "settings" not in (recorded.of("bars")[-1]["payload"]["note"] or "")


@pytest.mark.parametrize("wrong", [{"low": "high"}, {"concept": None}, None])
def test_results_that_were_edited_by_hand_are_a_sentence_and_stop_nothing(
    wrong: dict[str, Any] | None, make: Make, recorded: Recorded, filled: ConceptStore
) -> None:
    make(layers=["body"]).test()
    (kept,) = filled.vectors()
    records = [{} if wrong is None else {**record, **wrong} for record in kept.records]
    filled.save_vectors(replace(kept, records=tuple(records)))
    after = len(recorded.messages)
    workbench = make(layers=["body"])
    (note,) = recorded.wait("result", after=after)["payload"]["notes"]
    assert "damaged" in note["text"]
    assert workbench.to_png()
    assert len(workbench.test()) == 2
