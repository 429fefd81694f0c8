"""A damaged or hostile folder: what is wrong is named, the rest is there, nothing leads outside."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.concepts.pictures import POLYGON, RECT, noise
from xai_widgets.concepts import atomic
from xai_widgets.concepts.crops import MAX_SIDE
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.errors import StoreError


@pytest.fixture
def store(tmp_path: Path) -> ConceptStore:
    store = ConceptStore(tmp_path / "store", author="Ada")
    store.add_concept("stripes")
    store.add_concept("dots", role="random", colour="#123456")
    store.add_many("stripes", [(noise(seed=i), RECT) for i in range(3)])
    store.add("dots", noise(), POLYGON)
    return store


def files(store: ConceptStore, suffix: str = ".json") -> list[Path]:
    return [
        store.folder / "concepts/stripes" / (example.id + suffix)
        for example in store.concept("stripes").examples
    ]


def edit(path: Path, **fields: Any) -> None:
    document = json.loads(path.read_text())
    document.update(fields)
    path.write_text(json.dumps(document))


DEEP = "[" * 100_000
HUGE_MASK = {"type": "mask", "size": [100_000, 10_000], "counts": [10**9]}
DAMAGES = {
    "empty": b"",
    "half": b'{"type": "Annot',
    "no text": b"\xff\xfe\x00\xd8",
    "list": b"[]",
    "other type": b'{"type": "Collection"}',
    "deep": DEEP.encode(),
    "not a number": b'{"type": "Annotation", "x": NaN}',
    "infinite": b'{"type": "Annotation", "x": 1e999}',
    "long number": b'{"type": "Annotation", "x": ' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_annotation_is_named_and_the_rest_is_there(
    name: str, store: ConceptStore
) -> None:
    broken = files(store)[1]
    broken.write_bytes(DAMAGES[name])
    opened = ConceptStore(store.folder)
    (problem,) = opened.problems
    assert broken.name in problem and problem.endswith(".")
    assert len(opened.concept("stripes").examples) == 2
    opened.add("stripes", noise(), RECT)
    opened.change_concept("dots", comment="still works")
    assert broken.read_bytes() == DAMAGES[name]
    assert len(ConceptStore(store.folder).problems) == 1


def test_a_field_of_others_that_is_nested_deeply_is_named(store: ConceptStore) -> None:
    path = files(store)[0]
    path.write_text(path.read_text().rstrip()[:-1] + ', "x": ' + "[" * 200 + "]" * 200 + "}")
    (problem,) = ConceptStore(store.folder).problems
    assert "nested too deeply" in problem


FIELDS: list[dict[str, Any]] = [
    {"xai:included": "yes"},
    {"xai:region": {"type": "superpixels", "ids": [1]}},
    {"xai:region": HUGE_MASK},
    {"xai:region": {"type": "rect", "x": "0", "y": 0, "width": -5, "height": 1}},
    {"xai:region": {"type": "rect", "x": 1e300, "y": 0, "width": 5, "height": 1}},
    {"xai:region": 5},
    {"xai:crop": {"hash": "../../secret"}},
    {"created": "<script>alert(1)</script>"},
    {"target": "http://example.org/picture.png"},
    {"target": {"source": {"xai:hash": "zz", "xai:width": 5, "xai:height": 5}}},
    {"target": {"source": {"xai:hash": "", "xai:width": 10**12, "xai:height": 5}}},
    {"target": {"source": {"xai:hash": "", "xai:width": True, "xai:height": 5}}},
    {"body": [{"purpose": "commenting", "value": 7}]},
    {"body": [{"purpose": "commenting", "value": "x" * 20_000}]},
    {"creator": {"name": ["list"]}},
]


@pytest.mark.parametrize("fields", FIELDS, ids=lambda fields: str(fields)[:40])
def test_a_field_of_a_wrong_type_or_size_is_named(
    fields: dict[str, Any], store: ConceptStore
) -> None:
    edit(files(store)[0], **fields)
    opened = ConceptStore(store.folder)
    assert len(opened.problems) == 1 and files(store)[0].name in opened.problems[0]
    assert len(opened.concept("stripes").examples) == 2


def test_markup_in_texts_is_kept_as_text(store: ConceptStore) -> None:
    text = "<img src=x onerror=alert(1)>"
    edit(
        files(store)[0],
        creator={"type": "Person", "name": text},
        body=[{"purpose": "commenting", "value": text + "\u0000\u0007"}],
    )
    example = ConceptStore(store.folder).concept("stripes").examples[0]
    assert (example.comment, example.author) == (text, text)


def test_half_a_character_in_a_field_of_others_is_no_trouble(store: ConceptStore) -> None:
    edit(files(store)[0], rights="\ud800 [[[[", creator={"name": "\udfff"})
    opened = ConceptStore(store.folder)
    example = opened.concept("stripes").examples[0]
    opened.change(example.id, comment="\ud83d")
    again = ConceptStore(store.folder).example(example.id)
    assert (again.comment, again.author) == ("?", "?")
    assert json.loads(files(store)[0].read_text())["rights"] == "\ud800 [[[["


def test_a_text_full_of_brackets_is_not_deep(store: ConceptStore) -> None:
    example = store.concept("stripes").examples[0]
    store.change(example.id, comment='[{"' * 300)
    assert ConceptStore(store.folder).example(example.id).comment == '[{"' * 300


def test_a_name_of_a_picture_with_a_path_is_only_its_last_part(store: ConceptStore) -> None:
    document = json.loads(files(store)[0].read_text())
    document["target"]["source"]["xai:name"] = "../../..\\windows/passwd\n"
    files(store)[0].write_text(json.dumps(document))
    image = ConceptStore(store.folder).concept("stripes").examples[0].image
    assert image is not None and image.name == "passwd"


@pytest.mark.parametrize("damage", ["cut", "gone", "empty", "other", "bomb", "gif"])
def test_a_damaged_crop_is_named_when_it_is_looked_at(damage: str, store: ConceptStore) -> None:
    path = files(store, ".png")[0]
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "gone":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other":
        shutil.copy(files(store, ".png")[1], path)
    elif damage == "bomb":
        Image.new("1", (MAX_SIDE * 20, MAX_SIDE * 20)).save(path)
    else:
        Image.new("RGB", (5, 5)).save(path, "GIF")
    opened = ConceptStore(store.folder)
    broken, *others = opened.concept("stripes").examples
    with pytest.raises(StoreError, match=path.name):
        opened.picture(broken.id)
    for example in others:
        opened.picture(example.id)
    with pytest.raises(StoreError, match=path.name):
        opened.pictures("stripes")
    removal = opened.remove(broken.id)
    assert len(opened.pictures("stripes")) == 2
    opened.restore(removal)
    assert len(opened.concept("stripes").examples) == 3


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"concepts": 5}', DEEP.encode()])
def test_concepts_are_put_together_from_their_folders_if_the_list_is_damaged(
    content: bytes, store: ConceptStore
) -> None:
    (store.folder / "store.json").write_bytes(content)
    opened = ConceptStore(store.folder)
    assert set(opened.names) == {"stripes", "dots"}
    assert len(opened.concept("stripes").examples) == 3
    assert "store.json" in opened.problems[0]
    opened.add("dots", noise(), RECT)
    opened.add_concept("ruler")
    (kept,) = store.folder.glob("conflicts/*/store.json")
    assert kept.read_bytes() == content
    found = ConceptStore(store.folder)
    assert found.problems == () and set(found.names) == {"stripes", "dots", "ruler"}


@pytest.mark.parametrize(
    "record",
    [
        7,
        {"name": "x", "folder": "../../outside"},
        {"name": "x", "folder": "/etc"},
        {"name": "x", "folder": "con/.."},
        {"name": 5, "folder": "x"},
        {"name": "", "folder": "x"},
        {"name": "x", "folder": "x", "role": "admin"},
        {"name": "x", "folder": "x", "colour": "url(javascript:alert(1))"},
        {"name": "x", "folder": "x", "comment": ["a"]},
        {"name": "stripes", "folder": "x"},
        {"name": "x", "folder": "stripes"},
    ],
)
def test_a_hostile_entry_in_the_list_is_named_and_left_out(
    record: Any, store: ConceptStore
) -> None:
    index = json.loads((store.folder / "store.json").read_text())
    index["concepts"].append(record)
    (store.folder / "store.json").write_text(json.dumps(index))
    opened = ConceptStore(store.folder)
    assert opened.names == ("stripes", "dots") and len(opened.problems) == 1
    opened.add_concept("ruler")
    assert list(store.folder.glob("conflicts/*/store.json"))
    assert ConceptStore(store.folder).problems == ()


def test_a_folder_that_the_list_does_not_know_is_shown(store: ConceptStore) -> None:
    shutil.copytree(store.folder / "concepts/dots", store.folder / "concepts/from-a-friend")
    for path in (store.folder / "concepts/from-a-friend").iterdir():
        path.rename(path.with_name("a" * 32 + path.suffix))
    opened = ConceptStore(store.folder)
    assert opened.names == ("stripes", "dots", "dots (2)")
    assert len(opened.problems) == 1 and "from-a-friend" in opened.problems[0]
    opened.change_concept("dots (2)", name="more dots")
    assert ConceptStore(store.folder).problems == ()
    assert len(ConceptStore(store.folder).pictures("more dots")) == 1


def test_the_same_example_in_two_folders_is_named_and_counts_once(store: ConceptStore) -> None:
    shutil.copy(files(store)[0], store.folder / "concepts/dots")
    opened = ConceptStore(store.folder)
    assert sum(len(concept.examples) for concept in opened.concepts) == 4
    assert len(opened.problems) == 1 and "same name" in opened.problems[0]


def test_a_link_is_not_followed_in_reading(store: ConceptStore, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    files(store)[0].rename(secret)
    files(store)[0].symlink_to(secret)
    picture = files(store, ".png")[1]
    outside = tmp_path / "outside.png"
    picture.rename(outside)
    picture.symlink_to(outside)
    (store.folder / "concepts/linked").symlink_to(tmp_path, target_is_directory=True)
    opened = ConceptStore(store.folder)
    assert opened.names == ("stripes", "dots")
    assert len(opened.concept("stripes").examples) == 2
    assert len(opened.problems) == 2 and all("link" in problem for problem in opened.problems)
    with pytest.raises(StoreError, match="link"):
        opened.picture(opened.concept("stripes").examples[0].id)


def test_a_link_is_not_followed_in_writing(store: ConceptStore, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.rmtree(store.folder / "concepts/dots")
    (store.folder / "concepts/dots").symlink_to(elsewhere, target_is_directory=True)
    store.refresh()
    with pytest.raises(StoreError, match="link"):
        store.add("dots", noise(), RECT)
    assert not list(elsewhere.iterdir())
    assert len(ConceptStore(store.folder).concept("stripes").examples) == 3


@pytest.mark.parametrize("name", ["concepts", "vectors", "conflicts", ".staging", "store.json"])
def test_a_store_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    ConceptStore(tmp_path / "store").add_concept("a")
    target = tmp_path / "elsewhere"
    path = tmp_path / "store" / name
    if path.is_file():
        path.rename(target)
    else:
        target.mkdir()
        shutil.rmtree(path, ignore_errors=True)
    path.symlink_to(target)
    with pytest.raises(StoreError, match="link"):
        ConceptStore(tmp_path / "store")


@pytest.mark.parametrize(
    "journal",
    [
        {"writes": ["../../outside"], "moves": [], "deletes": []},
        {"writes": [], "moves": [], "deletes": ["../victim"]},
        {"writes": [], "moves": [["store.json", "/tmp/x"]], "deletes": []},
        {"writes": [], "moves": [["store.json"]], "deletes": []},
        {"writes": [], "moves": [], "deletes": [["store.json"]]},
        {"writes": 5},
        [],
        None,
    ],
)
def test_a_journal_that_we_never_wrote_is_thrown_away(
    journal: Any, store: ConceptStore, tmp_path: Path
) -> None:
    (tmp_path / "victim").write_text("here")
    staging = store.folder / ".staging"
    text = json.dumps(journal) if journal is not None else DEEP
    (staging / f"x{atomic.JOURNAL}").write_text(text)
    (staging / "x.0").write_text("evil")
    (staging / f"..{atomic.JOURNAL}").symlink_to(tmp_path / "victim")
    opened = ConceptStore(store.folder)
    assert len(opened.concept("stripes").examples) == 3
    assert not list(staging.iterdir()) and (tmp_path / "victim").read_text() == "here"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "victim"]


def test_leftovers_of_a_killed_program_are_cleaned_up(store: ConceptStore) -> None:
    staging = store.folder / ".staging"
    (staging / "0123.0").write_bytes(b"half of a pict")
    (staging / "0123.new").write_bytes(b'{"writes": ["store')
    (staging / "older").mkdir()
    (store.folder / "concepts/stripes" / f".{'a' * 32}.json.partial").write_bytes(b"{")
    opened = ConceptStore(store.folder)
    assert opened.problems == () and not list(staging.iterdir())


def test_other_peoples_files_are_left_alone(store: ConceptStore) -> None:
    note = store.folder / "concepts/stripes/notes.txt"
    note.write_text("mine")
    (store.folder / "README.md").write_text("# Ours")
    store.change_concept("stripes", name="bands")
    store.remove_concept("bands")
    assert note.read_text() == "mine" and (store.folder / "README.md").exists()


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "paper.tex").write_text("x")
    with pytest.raises(StoreError, match=r"not a concept store: it holds 'paper.tex'"):
        ConceptStore(tmp_path)
    with pytest.raises(StoreError, match="is a file"):
        ConceptStore(tmp_path / "paper.tex")
    with pytest.raises(StoreError, match="cannot be made"):
        ConceptStore(tmp_path / "paper.tex" / "below")


def test_a_fresh_repository_is_not_something_else(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "README.md").write_text("# Concepts")
    (tmp_path / ".gitignore").write_text("mine")
    ConceptStore(tmp_path).add_concept("a")
    assert (tmp_path / ".gitignore").read_text() == "mine"


def test_a_store_of_a_newer_version_is_refused(store: ConceptStore) -> None:
    index = json.loads((store.folder / "store.json").read_text())
    (store.folder / "store.json").write_text(json.dumps({**index, "version": 2}))
    with pytest.raises(StoreError, match="newer version"):
        ConceptStore(store.folder)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX permissions")
def test_a_disk_that_refuses_leaves_everything_as_it_was(
    store: ConceptStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(files: dict[Path, bytes]) -> None:
        raise OSError(28, "No space left on device")

    before = store.concepts
    monkeypatch.setattr(atomic, "_write_durably", full)
    with pytest.raises(StoreError, match="No space left on device"):
        store.add("stripes", noise(), RECT)
    with pytest.raises(StoreError, match="No space left on device"):
        store.change([example.id for example in before[0].examples], included=False)
    monkeypatch.undo()
    assert store.concepts == before == ConceptStore(store.folder).concepts
    assert not list((store.folder / ".staging").iterdir())


def test_a_folder_that_is_gone_gets_a_sentence(store: ConceptStore) -> None:
    shutil.rmtree(store.folder)
    with pytest.raises(StoreError, match="is gone"):
        store.add("stripes", noise(), RECT)
