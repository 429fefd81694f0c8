"""Edits of concept sets: on disk in order, undone and done again, refused with one sentence."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xai_widgets.concepts.random_regions import random_regions
from xai_widgets.concepts.records import Concept
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.errors import StoreConflict, XaiError
from xai_widgets.models.images import DisplayImage, ImageSet
from xai_widgets.superpixels import segment
from xai_widgets.widgets.regions import region_mask
from xai_widgets.widgets.workbench.edit_queue import EditQueue
from xai_widgets.widgets.workbench.edits import Editor
from xai_widgets.widgets.workbench.pictures import Pictures
from xai_widgets.widgets.workbench.shelf import advice, shelf, thumbnails

RECT = {"type": "rect", "x": 4, "y": 6, "width": 20, "height": 12}
OTHER = {"type": "rect", "x": 1, "y": 2, "width": 9, "height": 30}


class Desk:
    """A store with its editor, and what a browser would see of them."""

    def __init__(self, folder: Path, pictures: np.ndarray) -> None:
        self.images = ImageSet(pictures)
        self.store = ConceptStore(folder)
        self.pictures = Pictures(self.images)
        self.editor = Editor(self.store, self.images, self.pictures)

    def edit(self, op: str, **fields: Any) -> None:
        self.editor.apply({"op": op, **fields})

    def seen(self) -> list[dict[str, Any]]:
        payload = shelf(self.store, self.editor, self.pictures, None, 5)
        return [
            {**concept, "examples": [dict(each) for each in concept["examples"]]}
            for concept in payload["concepts"]
        ]

    def ids(self, concept: str) -> list[str]:
        return [example.id for example in self.store.concept(concept).examples]


@pytest.fixture
def desk(tmp_path: Path, pictures: np.ndarray) -> Desk:
    desk = Desk(tmp_path / "concepts", pictures)
    desk.edit("create_concept", name="stripes", colour="#ee6677")
    desk.edit("create_concept", name="spots")
    for index in range(3):
        desk.edit("add", concept="stripes", index=index, region=RECT)
    desk.edit("add", concept="spots", index=4, region=None)
    return desk


EDITS: dict[str, Any] = {
    "create_concept": lambda desk: {"name": "ruler"},
    "change_concept": lambda desk: {"name": "stripes", "to": "bands", "colour": "#112233"},
    "delete_concept": lambda desk: {"name": "stripes"},
    "add": lambda desk: {"concept": "spots", "index": 5, "region": OTHER},
    "change": lambda desk: {"ids": desk.ids("stripes")[:2], "included": False, "comment": "dim"},
    "reshape": lambda desk: {"id": desk.ids("stripes")[1], "region": OTHER},
    "move": lambda desk: {"ids": desk.ids("stripes")[1:], "concept": "spots"},
    "copy": lambda desk: {"ids": desk.ids("stripes")[1:], "concept": "spots"},
    "remove": lambda desk: {"ids": desk.ids("stripes")[:2]},
    "reject": lambda desk: {"concept": "stripes", "index": 3, "region": OTHER},
    "random": lambda desk: {"n": 12},
}


@pytest.mark.parametrize("op", EDITS)
def test_every_edit_is_on_disk_and_can_be_undone_and_done_again(desk: Desk, op: str) -> None:
    before = desk.seen()
    desk.edit(op, **EDITS[op](desk))
    after = desk.seen()
    text = desk.editor.undo_text
    assert after != before and text
    again = Desk(desk.store.folder, np.stack([image.pixels for image in desk.images]))
    assert again.seen() == after  # as another kernel reads it
    desk.edit("undo")
    assert desk.seen() == before
    assert desk.editor.redo_text == text
    desk.edit("redo")
    assert desk.seen() == after
    desk.edit("undo")
    assert desk.seen() == before


def test_the_whole_history_goes_back_to_nothing_and_forward_again(desk: Desk) -> None:
    for op in ("change", "copy", "random", "reject", "change_concept"):
        desk.edit(op, **EDITS[op](desk))
    end, texts = desk.seen(), []
    while desk.editor.undo_text:
        texts.append(desk.editor.undo_text)
        desk.edit("undo")
    assert desk.seen() == [] and len(texts) == 11
    assert "rename 'stripes' to 'bands'" in texts
    while desk.editor.redo_text:
        desk.edit("redo")
    assert desk.seen() == end


def test_a_new_edit_takes_the_place_of_what_was_undone(desk: Desk) -> None:
    desk.edit("undo")
    assert desk.editor.redo_text == "add an example to 'spots'"
    desk.edit("create_concept", name="ruler")
    assert desk.editor.redo_text is None


def test_superpixels_become_a_mask_that_covers_the_same_pixels(desk: Desk) -> None:
    desk.edit("add", concept="spots", index=1, region={"type": "superpixels", "ids": [2, 5]})
    stored = desk.store.concept("spots").examples[-1].region
    assert stored is not None and stored["type"] == "mask"
    image: DisplayImage = desk.images[1]
    labels = segment(image)
    expected = region_mask({"type": "superpixels", "ids": [2, 5]}, image, lambda: labels)
    np.testing.assert_array_equal(region_mask(stored, image, lambda: labels), expected)


@pytest.mark.parametrize(
    ("op", "fields", "sentence"),
    [
        ("paint", {}, "There is no edit 'paint'"),
        ("add", {"concept": "stripes"}, "lacks 'index'"),
        ("add", {"concept": "strips", "index": 0}, "stripes"),
        ("add", {"concept": "stripes", "index": 99}, "There is no image 99"),
        ("add", {"concept": "stripes", "index": 0, "region": {"type": "circle"}}, "'type'"),
        (
            "add",
            {"concept": "stripes", "index": 0, "region": {"type": "superpixels", "ids": [999]}},
            "no superpixels",
        ),
        (
            "add",
            {"concept": "stripes", "index": 0, "region": {**RECT, "x": 900}},
            "covers no pixel",
        ),
        ("create_concept", {"name": "stripes"}, "already"),
        ("create_concept", {"name": "  "}, "name"),
        ("change_concept", {"name": "stripes", "to": "spots"}, "already"),
        ("change", {"ids": "all"}, "Name the examples"),
        ("change", {"ids": ["x"], "included": False}, "no example 'x'"),
        ("reshape", {"id": "x", "region": RECT}, "no example 'x'"),
        ("move", {"ids": [], "concept": "spots"}, "Name the examples"),
        ("random", {"n": 100000}, "1 to 1000"),
        ("redo", {}, "nothing to do again"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence_and_changes_nothing(
    desk: Desk, op: str, fields: dict[str, Any], sentence: str
) -> None:
    before, text = desk.seen(), desk.editor.undo_text
    with pytest.raises(XaiError, match=sentence) as caught:
        desk.edit(op, **fields)
    assert len(str(caught.value).split("\n")) == 1
    assert desk.seen() == before and desk.editor.undo_text == text


def test_an_example_of_a_picture_that_is_not_here_keeps_its_shape(desk: Desk) -> None:
    elsewhere = Desk(desk.store.folder, np.zeros((2, 30, 30, 3), np.uint8))
    assert [each["index"] for each in elsewhere.seen()[0]["examples"]] == [None] * 3
    with pytest.raises(XaiError, match="is not among the images"):
        elsewhere.edit("reshape", id=desk.ids("stripes")[0], region=OTHER)
    elsewhere.edit("change", ids=desk.ids("stripes")[:1], included=False)


def test_the_picture_of_an_example_is_guessed_by_name_and_known_once_it_was_opened(
    desk: Desk, pictures: np.ndarray
) -> None:
    turned = Desk(desk.store.folder, pictures[::-1])
    indices = [each["index"] for each in turned.seen()[0]["examples"]]
    assert indices == [0, 1, 2]  # by name and size, as no picture was opened
    for index in range(len(pictures)):
        turned.pictures(index)
    assert [each["index"] for each in turned.seen()[0]["examples"]] == [5, 4, 3]


def test_two_kernels_do_not_overwrite_each_other(desk: Desk, pictures: np.ndarray) -> None:
    other = Desk(desk.store.folder, pictures)
    shared = desk.ids("stripes")[0]
    other.edit("change", ids=[shared], comment="mine")
    with pytest.raises(StoreConflict):
        desk.edit("change", ids=[shared], comment="yours")
    desk.edit("refresh")
    assert desk.store.example(shared).comment == "mine"
    assert desk.editor.undo_text is None
    desk.edit("change", ids=[shared], comment="yours")
    assert desk.store.example(shared).comment == "yours"


def test_random_regions_avoid_what_is_annotated_and_have_its_sizes(
    tmp_path: Path, pictures: np.ndarray
) -> None:
    desk = Desk(tmp_path / "concepts", pictures)
    desk.edit("create_concept", name="left")
    for index in range(4):
        left = {"type": "rect", "x": 0, "y": 0, "width": 24, "height": 40}
        desk.edit("add", concept="left", index=index, region=left)
    desk.edit("create_concept", name="whole")
    desk.edit("add", concept="whole", index=4, region=None)
    desk.edit("change", ids=desk.ids("whole"), included=False)  # still annotated
    desk.edit("random", n=60)
    keys = {image.key: index for index, image in enumerate(desk.images)}
    found = desk.store.concept("random").examples
    assert len(found) == 60
    for example in found:
        assert example.image is not None
        index, region = keys[example.image.hash], example.region
        assert index != 4
        if region is not None and index < 4:
            assert region["x"] >= 24
        if region is None:
            assert index == 5


def test_random_regions_are_the_same_for_a_seed_and_stop_where_there_is_no_room(
    pictures: np.ndarray, desk: Desk
) -> None:
    def drawn(seed: int, concepts: tuple[Concept, ...]) -> list[Any]:
        stream = random_regions(concepts, 6, desk.pictures, 20, seed)
        return [(image.name, region) for image, region in stream]

    concepts = desk.store.concepts
    assert drawn(3, concepts) == drawn(3, concepts) != drawn(4, concepts)
    for index in range(6):
        desk.edit("add", concept="spots", index=index, region=None)
    assert drawn(3, desk.store.concepts) == []
    with pytest.raises(XaiError, match="no room"):
        desk.edit("random")
    assert "random" not in desk.store.names


def test_the_advice_follows_the_number_of_examples_and_how_well_they_separate(desk: Desk) -> None:
    def said(n: int, records: list[dict[str, Any]] | None = None) -> str:
        example = desk.store.concept("stripes").examples[0]
        return advice(Concept("c", examples=(example,) * n), (), 5, records or [])

    assert said(2).startswith("3 more to test it")
    assert "first test" in said(8)
    assert said(25) == "Enough examples."
    unsure = [{"concept": "c", "accuracy_low": 0.5, "accuracy_high": 0.9}]
    assert "uncertain" in said(25, unsure)
    assert "Plenty" in said(60)


def test_thumbnails_are_small_and_a_missing_one_is_said(desk: Desk) -> None:
    one = desk.ids("stripes")[0]
    items = thumbnails(desk.store, [one, "gone"])["items"]
    assert items[0]["array"].shape == (12, 20, 3) and items[0]["error"] is None
    assert items[1]["array"] is None and "no example" in items[1]["error"]
    assert len(thumbnails(desk.store, [one] * 100)["items"]) == 40


def test_queued_work_is_done_in_order_and_an_error_does_not_stop_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raised: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    queue, gate, done = EditQueue(), threading.Event(), []

    def fail() -> None:
        raise RuntimeError("a bug")

    queue.put(lambda: done.append(gate.wait(30)))
    queue.put(fail)
    for number in range(20):
        queue.put(lambda number=number: done.append(number))  # type: ignore[misc]
    assert not queue.wait(0.01) and done == []
    gate.set()
    assert queue.wait(30)
    assert done == [True, *range(20)] and len(raised) == 1


def test_a_step_whose_example_another_program_removed_does_not_bar_those_before_it(
    desk: Desk, pictures: np.ndarray
) -> None:
    one = desk.ids("stripes")[0]
    desk.edit("change", ids=[one], included=False)
    Desk(desk.store.folder, pictures).edit("remove", ids=[one])
    desk.edit("create_concept", name="ruler")  # merges what the other program did
    desk.edit("undo")
    with pytest.raises(XaiError, match="taken out of the history"):
        desk.edit("undo")
    assert desk.editor.undo_text == "add an example to 'spots'"
    desk.edit("undo")
    assert desk.ids("spots") == []


def test_the_history_holds_so_many_bytes_of_removed_files_and_no_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xai_widgets.widgets.workbench import edits as concept_edits

    first, second, third = desk.ids("stripes")
    desk.edit("remove", ids=[first])
    held = desk.editor._done[-1].nbytes
    assert held > 0
    monkeypatch.setattr(concept_edits, "HISTORY_BYTES", held + held // 2)
    desk.edit("remove", ids=[second])
    assert sum(step.nbytes for step in desk.editor._done) <= held + held // 2
    desk.edit("undo")
    assert desk.ids("stripes") == [second, third] and desk.editor.undo_text is None
