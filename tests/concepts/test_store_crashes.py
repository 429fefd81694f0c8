"""A program killed at any moment loses nothing acknowledged and leaves no half of a change."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.concepts.editing import State, is_after, state_of
from tests.concepts.pictures import POLYGON, RECT, noise
from xai_widgets.concepts import atomic
from xai_widgets.concepts.store import ConceptStore

ROUNDS = 12
STEPS = (
    "_write_durably",
    "_sync_file",
    "sync_folder",
    "make_folder",
    "_prepare",
    "_remove_if_empty",
)

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks processes")


def open_whole(folder: Path) -> ConceptStore:
    """Open a store and look at everything in it."""
    store = ConceptStore(folder)
    assert store.problems == ()
    for concept in store.concepts:
        store.pictures(concept.name, included=False)
    leftovers = [p for p in folder.rglob("*") if p.is_file() and ".staging" in p.parts]
    assert leftovers == []
    n_files = len(list(folder.glob("concepts/*/*")))
    assert n_files == 2 * sum(len(concept.examples) for concept in store.concepts)
    return store


def edit_until_killed(folder: Path, seed: int) -> tuple[State, dict[str, Any] | None]:
    """Return what was acknowledged last, and what was under way."""
    dice = random.Random(seed)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.concepts.editing", str(folder), str(seed)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    n_lines, spin = dice.randint(1, 40), dice.random() * 0.02
    lines = [process.stdout.readline() for _ in range(n_lines)]
    end = time.perf_counter() + spin
    while time.perf_counter() < end:
        pass
    process.kill()
    rest, _ = process.communicate()
    messages = [
        json.loads(line)
        for line in [*lines, *rest.splitlines()]
        if line.endswith("}\n") or line.endswith("}")
    ]
    done = [i for i, message in enumerate(messages) if "done" in message]
    under_way = messages[-1].get("begin")
    return messages[done[-1]]["done"], under_way


def test_killing_loses_nothing_acknowledged(tmp_path: Path) -> None:
    folder, under_way_seen = tmp_path / "store", 0
    for seed in range(ROUNDS):
        acknowledged, under_way = edit_until_killed(folder, seed)
        found = state_of(open_whole(folder))
        if found != acknowledged:
            assert under_way is not None and is_after(acknowledged, under_way, found)
        under_way_seen += under_way is not None
    assert under_way_seen > 0


def run_and_die(folder: Path, edit: Any, moment: int) -> bool:
    """Edit in a process that ends abruptly at the given step; say whether it came to its end."""
    pid = os.fork()
    if pid == 0:
        try:
            left = [moment]

            def dying(call: Any) -> Any:
                def step(*arguments: Any, **options: Any) -> Any:
                    if left[0] == 0:
                        os._exit(9)
                    left[0] -= 1
                    return call(*arguments, **options)

                return step

            store = ConceptStore(folder)
            for name in STEPS:
                setattr(atomic, name, dying(getattr(atomic, name)))
            for name in ("replace", "unlink", "rmdir"):
                setattr(os, name, dying(getattr(os, name)))
            edit(store)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 9)
    return code == 0


EDITS = {
    "add": lambda store: store.add("stripes", noise(), POLYGON),
    "change": lambda store: store.change(ids(store), included=False, comment="out"),
    "move": lambda store: store.move(ids(store), "dots"),
    "copy": lambda store: store.copy(ids(store), "dots"),
    "reshape": lambda store: store.reshape(ids(store)[0], noise(), POLYGON),
    "remove": lambda store: store.remove(ids(store)),
    "rename": lambda store: store.change_concept("stripes", name="bands"),
    "remove concept": lambda store: store.remove_concept("stripes"),
}


def ids(store: ConceptStore) -> list[str]:
    return [example.id for example in store.concept("stripes").examples]


def shape_of(store: ConceptStore) -> Any:
    """Return what a store holds but for ids, which differ from run to run."""
    return [
        (
            concept.name,
            sorted((str(e.region), e.included, e.comment, e.crop_hash) for e in concept.examples),
        )
        for concept in store.concepts
    ]


@needs_fork
@pytest.mark.parametrize("name", EDITS)
def test_ending_at_any_step_of_an_edit_leaves_all_of_it_or_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every step is still gone through, but the disk is not waited for.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    origin = tmp_path / "origin"
    store = ConceptStore(origin, author="a")
    store.add_concept("stripes")
    store.add_concept("dots")
    store.add_many("stripes", [(noise(), RECT), (noise(seed=1), RECT)])
    before = shape_of(store)

    def fresh(folder: Path) -> Path:
        return Path(shutil.copytree(origin, folder))

    done = ConceptStore(fresh(tmp_path / "done"))
    EDITS[name](done)
    after = shape_of(done)
    assert before != after
    found = []
    for moment in range(200):
        folder = fresh(tmp_path / str(moment))
        survivor = ConceptStore(folder)
        finished = run_and_die(folder, EDITS[name], moment)
        survivor.refresh()
        found.append(shape_of(survivor))
        assert shape_of(open_whole(folder)) == found[-1]
        if finished:
            break
    assert finished and len(found) > 5
    turning = found.index(after)
    assert found[:turning] == [before] * turning and set(map(str, found[turning:])) == {str(after)}
