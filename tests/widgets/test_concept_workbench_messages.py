"""The workbench's edits and suggestions, as the browser asks for them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from PIL import Image

from tests.widgets.conftest import Recorded, SmallNet
from tests.widgets.workbench import RECT, Make, browser, edit
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.errors import XaiError


@pytest.fixture
def make(make_workbench: Make) -> Make:
    return make_workbench


def test_an_edit_is_acknowledged_only_when_it_is_on_disk(
    make: Make, recorded: Recorded, store: ConceptStore
) -> None:
    workbench = make()
    on_disk: list[int] = []
    send = recorded.add

    def add(content: dict[str, Any], buffers: Any) -> None:
        if content.get("kind") == "saved":
            on_disk.append(len(list(store.folder.glob("concepts/stripes/*.json"))))
        send(content, buffers)

    recorded.add = add  # type: ignore[method-assign]
    edit(workbench, recorded, "create_concept", name="stripes")
    for index in range(3):
        edit(workbench, recorded, "add", concept="stripes", index=index, region=RECT)
    assert on_disk == [0, 1, 2, 3]
    shelf = recorded.of("shelf")[-1]["payload"]
    assert [each["index"] for each in shelf["concepts"][0]["examples"]] == [0, 1, 2]
    assert shelf["concepts"][0]["advice"].startswith("2 more")


def test_edits_run_in_order_and_none_is_lost_behind_a_running_test(
    make: Make, recorded: Recorded, net: SmallNet, filled: ConceptStore
) -> None:
    workbench = make()
    recorded.final(1)
    net.gate.clear()
    net.entered.clear()
    workbench.testing = True
    assert net.entered.wait(60)  # the model is busy, the edits are not
    for number in range(25):
        browser(workbench, "edit", {"op": "create_concept", "name": f"c{number}"}, f"e{number}")
    assert workbench._edits.wait(60)
    net.gate.set()
    answers = [message["payload"] for message in recorded.of("saved")]
    assert [answer["id"] for answer in answers] == [f"e{number}" for number in range(25)]
    assert all(answer["ok"] for answer in answers)
    assert list(filled.names[3:]) == [f"c{number}" for number in range(25)]


def test_a_concept_under_way_can_be_selected_and_a_missing_one_cannot(
    make: Make, recorded: Recorded
) -> None:
    workbench = make()
    browser(workbench, "edit", {"op": "create_concept", "name": "ruler"})
    workbench.concept = "ruler"
    with pytest.raises(traitlets.TraitError, match="There is no concept 'rulr'"):
        workbench.concept = "rulr"
    assert workbench.concept == "ruler"


def test_a_refused_edit_is_answered_with_its_sentence(make: Make, recorded: Recorded) -> None:
    workbench = make()
    answer = edit(workbench, recorded, "add", concept="stripes", index=0, region=None)
    assert not answer["ok"] and "There is no concept 'stripes'" in answer["message"]
    answer = edit(workbench, recorded, "undo")
    assert not answer["ok"] and answer["message"] == "There is nothing to undo."


def test_a_conflict_is_a_sentence_until_the_folder_is_read_again(
    make: Make, recorded: Recorded, filled: ConceptStore
) -> None:
    workbench = make()
    one = filled.concept("red").examples[0].id
    other = ConceptStore(filled.folder)
    other.change([one], comment="theirs")
    answer = edit(workbench, recorded, "change", ids=[one], comment="mine")
    assert not answer["ok"]
    assert recorded.of("shelf")[-1]["payload"]["conflict"] == answer["message"]
    assert edit(workbench, recorded, "refresh")["ok"]
    shelf = recorded.of("shelf")[-1]["payload"]
    assert shelf["conflict"] is None
    assert shelf["concepts"][0]["examples"][0]["comment"] == "theirs"
    assert edit(workbench, recorded, "change", ids=[one], comment="mine")["ok"]


def test_what_was_changed_in_python_is_shown_after_refresh(
    make: Make, recorded: Recorded, store: ConceptStore
) -> None:
    workbench = make()
    store.add_concept("made in a cell")
    workbench.refresh()
    shelf = recorded.of("shelf")[-1]["payload"]
    assert [concept["name"] for concept in shelf["concepts"]] == ["made in a cell"]


def test_suggestions_come_with_a_picture_and_are_taken_off_once_decided(
    make: Make, recorded: Recorded, filled: ConceptStore
) -> None:
    workbench = make()  # without a test, a first vector is made for it
    items = workbench.suggest("red")
    payload = recorded.of("suggestions")[-1]["payload"]
    assert (payload["concept"], payload["message"]) == ("red", None)
    similarities = [item["similarity"] for item in items]
    assert similarities == sorted(similarities, reverse=True) and len(items) > 3
    assert all(max(item["array"].shape[:2]) <= 96 for item in items)
    first, second = ({k: i[k] for k in ("index", "region")} for i in items[:2])
    assert edit(workbench, recorded, "add", concept="red", **first)["ok"]
    assert edit(workbench, recorded, "reject", concept="red", **second)["ok"]
    after = len(recorded.messages)
    browser(workbench, "hello")
    left = recorded.wait("suggestions", after=after)["payload"]["items"]
    assert len(left) == len(items) - 2
    again = [(item["index"], item["region"]) for item in workbench.suggest("red")]
    assert (first["index"], first["region"]) not in again
    assert (second["index"], second["region"]) not in again
    assert recorded.of("shelf")[-1]["payload"]["concepts"][0]["n_rejected"] == 1


def test_suggestions_that_cannot_be_made_are_a_sentence(
    make: Make, recorded: Recorded, store: ConceptStore
) -> None:
    workbench = make()
    with pytest.raises(XaiError, match="There is no concept to look for"):
        workbench.suggest()
    store.add_concept("stripes")
    with pytest.raises(XaiError, match="'stripes'"):
        workbench.suggest("stripes")
    with pytest.raises(XaiError, match="There is no concept 'strips'"):
        workbench.suggest("strips")


def test_cancel_stops_suggestions_and_a_picture_does_not_wait_for_them(
    make: Make, recorded: Recorded, net: SmallNet, filled
) -> None:
    workbench = make()
    recorded.final(1)
    workbench.suggest("red")
    after = len(recorded.messages)
    net.gate.clear()
    net.entered.clear()
    with torch.no_grad():
        net.head.weight.mul_(1.5)  # so that everything is looked at again
    browser(workbench, "suggest", {"concept": "blue"})
    assert net.entered.wait(60)
    workbench.image_index = 2
    net.gate.set()
    recorded.final(2)
    assert not recorded.of("suggestions", revision=2)
    browser(workbench, "cancel")
    message = recorded.wait("suggestions", after=after)["payload"]["message"]
    assert message in ("Cancelled.", None)


def test_spaces_in_a_name_are_cleaned_before_it_is_used(
    make: Make, recorded: Recorded, store: ConceptStore
) -> None:
    workbench = make()
    browser(workbench, "edit", {"op": "create_concept", "name": "a  b"})
    workbench.concept = "a  b"
    assert workbench.concept == "a b" and workbench._edits.wait(60)
    assert edit(workbench, recorded, "add", concept="a  b", index=0, region=RECT)["ok"]
    assert edit(workbench, recorded, "change_concept", name="a  b", to="c  d")["ok"]
    for _ in range(3):
        assert edit(workbench, recorded, "undo")["ok"]
    assert store.names == ()


def test_suggestions_are_never_made_with_a_vector_that_no_longer_holds(
    make: Make, recorded: Recorded, filled: ConceptStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xai_widgets.widgets.workbench import suggesting as concept_suggesting

    trained: list[str] = []
    original = concept_suggesting.vector_steps

    def counted(question: Any, *given: Any) -> Any:
        trained.append(question.classifier)
        return original(question, *given)

    monkeypatch.setattr(concept_suggesting, "vector_steps", counted)
    workbench = make()
    workbench.test()
    workbench.testing = False
    workbench.suggest("red")
    assert trained == []
    workbench.classifier = "mean_difference"
    workbench.suggest("red")
    workbench.classifier = "ridge"
    one = filled.concept("red").examples[0].id
    edit(workbench, recorded, "change", ids=[one], included=False)
    workbench.suggest("red")
    assert trained == ["mean_difference", "ridge"]


def test_suggestions_do_without_a_first_image_that_is_broken(
    make: Make, filled: ConceptStore, tmp_path: Path, pictures: np.ndarray
) -> None:
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{index}.png")
    (tmp_path / "0.png").write_bytes(b"no picture")
    assert make(tmp_path, image_index=1).suggest("red")


def test_a_random_set_that_two_jobs_wait_for_is_made_once(
    make: Make, recorded: Recorded, filled: ConceptStore
) -> None:
    from xai_widgets.models.targets import ClassTarget
    from xai_widgets.widgets.workbench.job import question_of, random_set

    filled.remove_concept("random")
    workbench = make()
    recorded.final(1)
    question = question_of(workbench, workbench._request(), ClassTarget(0))
    gate = threading.Event()
    workbench._edits.put(lambda: gate.wait(60) and None)
    waiting = [random_set(workbench, question, lambda *told: None) for _ in range(2)]
    for each in waiting:
        next(each)
    gate.set()
    for each in waiting:
        list(each)
    assert workbench.editor.undo_text == "make the random set"


def test_closing_lets_go_of_fits_suggestions_and_scores(make: Make, filled: ConceptStore) -> None:
    workbench = make()
    workbench.test()
    workbench.suggest("red")
    workbench.close()
    assert workbench.fits.nbytes == 0 and workbench._scored is None
    assert workbench._suggesting._shown is None
