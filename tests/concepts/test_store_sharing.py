"""Two programs on one folder: nothing is overwritten, and a conflict is a sentence."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.concepts.editing import state_of
from tests.concepts.pictures import POLYGON, RECT, noise
from xai_widgets.concepts import atomic
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.errors import StoreConflict, StoreError


@pytest.fixture
def pair(tmp_path: Path) -> tuple[ConceptStore, ConceptStore]:
    first = ConceptStore(tmp_path / "store", author="first")
    first.add_concept("stripes")
    first.add_concept("dots")
    first.add_many("stripes", [(noise(seed=i), RECT) for i in range(3)])
    return first, ConceptStore(tmp_path / "store", author="second")


def ids(store: ConceptStore, concept: str = "stripes") -> list[str]:
    return [example.id for example in store.concept(concept).examples]


def kept_files(store: ConceptStore) -> list[Path]:
    return sorted(path for path in (store.folder / "conflicts").rglob("*") if path.is_file())


def test_changes_of_different_examples_go_together(
    pair: tuple[ConceptStore, ConceptStore],
) -> None:
    first, second = pair
    mine = first.add("stripes", noise(), POLYGON)
    theirs = second.add("stripes", noise(), POLYGON)
    first.change(ids(first)[0], comment="mine")
    second.change(ids(second)[1], comment="theirs")
    first.refresh()
    assert state_of(first) == state_of(second)
    assert {mine.id, theirs.id} <= set(ids(first))
    comments = [example.comment for example in first.concept("stripes").examples]
    assert comments[:2] == ["mine", "theirs"]
    assert not kept_files(first)


def test_the_revision_tells_that_another_program_changed_something(
    pair: tuple[ConceptStore, ConceptStore],
) -> None:
    first, second = pair
    revision = second.revision
    assert second.refresh() is False and second.revision == revision
    first.add_concept("ruler")
    assert second.refresh() is True and second.revision > revision
    assert second.names == ("stripes", "dots", "ruler")


def rename_elsewhere(store: ConceptStore) -> None:
    store.change_concept("stripes", name="bands")


CLASHES: dict[str, tuple[Callable[[ConceptStore], Any], Callable[[ConceptStore], Any]]] = {
    "one example": (
        lambda s: s.change(ids(s)[0], comment="theirs"),
        lambda s: s.change(ids(s)[0], comment="mine"),
    ),
    "removed": (
        lambda s: s.remove(ids(s)[0]),
        lambda s: s.change(ids(s)[0], included=False),
    ),
    "moved": (
        lambda s: s.move(ids(s)[0], "dots"),
        lambda s: s.reshape(ids(s)[0], noise(), POLYGON),
    ),
    "renamed": (rename_elsewhere, lambda s: s.add("stripes", noise(), POLYGON)),
    "concept removed": (
        lambda s: s.remove_concept("stripes"),
        lambda s: s.add("stripes", noise(), POLYGON),
    ),
    "removing what has grown": (
        lambda s: s.add("stripes", noise(), POLYGON),
        lambda s: s.remove_concept("stripes"),
    ),
    "removing what has changed": (
        lambda s: s.change(ids(s)[0], comment="theirs"),
        lambda s: s.remove(ids(s)[0]),
    ),
    "same name": (
        lambda s: s.add_concept("ruler", comment="theirs"),
        lambda s: s.add_concept("ruler", comment="mine"),
    ),
    "concept": (
        lambda s: s.change_concept("dots", comment="theirs"),
        lambda s: s.change_concept("dots", comment="mine"),
    ),
}


@pytest.mark.parametrize("name", CLASHES)
def test_a_clash_is_a_sentence_and_both_versions_are_kept(
    name: str, pair: tuple[ConceptStore, ConceptStore]
) -> None:
    first, second = pair
    theirs, mine = CLASHES[name]
    theirs(first)
    held = state_of(first)
    with pytest.raises(StoreConflict, match=r"another program has changed .+ kept in 'conflicts/"):
        mine(second)
    with pytest.raises(StoreConflict):
        mine(second)
    assert state_of(ConceptStore(first.folder)) == held
    kept = kept_files(second)
    assert kept and all(json.loads(p.read_text()) for p in kept if p.suffix == ".json")
    second.refresh()
    assert state_of(second) == held
    second.add("dots", noise(), RECT)
    assert len(ids(ConceptStore(first.folder), "dots")) == len(held["dots"]) + 1


def test_what_was_kept_of_a_clash_is_what_was_meant(
    pair: tuple[ConceptStore, ConceptStore],
) -> None:
    first, second = pair
    first.change(ids(first)[0], comment="theirs")
    with pytest.raises(StoreConflict):
        second.change(ids(second)[0], comment="mine")
    (kept,) = kept_files(second)
    assert kept.name == f"{ids(first)[0]}.json" and '"mine"' in kept.read_text()
    second.refresh()
    second.change(ids(second)[0], comment="both")
    assert ConceptStore(first.folder).example(ids(first)[0]).comment == "both"


def test_a_rename_takes_along_what_another_program_added(
    pair: tuple[ConceptStore, ConceptStore],
) -> None:
    first, second = pair
    added = first.add("stripes", noise(), POLYGON)
    second.change_concept("stripes", name="bands")
    assert added.id in ids(ConceptStore(first.folder), "bands")
    second.picture(added.id)


def test_an_edit_by_hand_is_seen_and_not_overwritten(
    pair: tuple[ConceptStore, ConceptStore],
) -> None:
    first, _ = pair
    path = next(first.folder.glob(f"concepts/stripes/{ids(first)[0]}.json"))
    document = json.loads(path.read_text())
    document["body"].append({"type": "TextualBody", "purpose": "commenting", "value": "by hand"})
    document["rights"] = "CC0"
    path.write_text(json.dumps(document))
    with pytest.raises(StoreConflict):
        first.change(ids(first)[0], included=False)
    first.refresh()
    assert first.example(ids(first)[0]).comment == "by hand"
    first.change(ids(first)[0], included=False)
    assert json.loads(path.read_text())["rights"] == "CC0"


def test_threads_of_one_program_take_turns(pair: tuple[ConceptStore, ConceptStore]) -> None:
    failures: list[BaseException] = []

    def work(store: ConceptStore, seed: int) -> None:
        try:
            for i in range(8):
                store.add("dots", noise(seed=100 * seed + i), RECT)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(pair[seed % 2], seed)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    store = ConceptStore(pair[0].folder)
    assert len(ids(store, "dots")) == 32 and len(store.pictures("dots")) == 32


def test_two_programs_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    ConceptStore(tmp_path / "store").add_concept("dots")
    script = (
        "import sys\n"
        "from tests.concepts.pictures import RECT, noise\n"
        "from xai_widgets.concepts.store import ConceptStore\n"
        "store = ConceptStore(sys.argv[1])\n"
        "for i in range(15):\n"
        "    sys.stdout.write(store.add('dots', noise(seed=i), RECT).id + '\\n')\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "store")],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    acknowledged = {line for p in processes for line in p.communicate()[0].split()}
    assert [process.returncode for process in processes] == [0, 0]
    store = ConceptStore(tmp_path / "store")
    assert len(acknowledged) == 30 and set(ids(store, "dots")) == acknowledged


def test_a_program_that_never_lets_go_gives_a_sentence(
    pair: tuple[ConceptStore, ConceptStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair
    monkeypatch.setattr(atomic, "LOCK_SECONDS", 0.05)
    with (
        atomic.locked(first.folder),
        pytest.raises(StoreError, match="has been writing to"),
    ):
        second.add("dots", noise(), RECT)
    second.add("dots", noise(), RECT)
