"""A program that edits a concept store for ever, saying before and after what it does.

``python -m tests.concepts.editing FOLDER SEED`` prints lines of JSON: what it is about to do, then
what the store holds once that is acknowledged. It is there to be killed.
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

from tests.concepts.pictures import MASK, POLYGON, RECT, noise
from xai_widgets.concepts.store import ConceptStore

State = dict[str, dict[str, list[Any]]]
REGIONS = [RECT, POLYGON, MASK]


def state_of(store: ConceptStore) -> State:
    """Return what a store holds, for comparison."""
    return {
        concept.name: {e.id: [e.included, e.comment] for e in concept.examples}
        for concept in store.concepts
    }


def choose(state: State, number: int, dice: random.Random) -> dict[str, Any]:
    """Choose what to do next."""
    names = sorted(state)
    ids = sorted(example_id for examples in state.values() for example_id in examples)
    name = dice.choice(names)
    some = dice.sample(ids, min(len(ids), dice.randint(1, 4)))
    kinds = ["add", "change", "move", "copy", "remove", "rename", "concept", "drop"]
    kind = dice.choices(kinds, [6, 4, 3, 2, 3 if len(ids) > 12 else 0, 1, 1, 1])[0]
    if kind == "concept" and len(names) > 4:
        kind = "drop"
    if (kind in ("change", "move", "copy", "remove") and not ids) or (
        kind == "drop" and len(names) < 3
    ):
        kind = "add"
    return {
        "kind": kind,
        "name": name,
        "ids": some,
        "text": f"{kind} {number}",
        "n": dice.randint(1, 3),
    }


def carry_out(store: ConceptStore, step: dict[str, Any]) -> None:
    """Do it."""
    kind, name, ids, text = step["kind"], step["name"], step["ids"], step["text"]
    if kind == "add":
        store.add_many(name, [(noise(), REGIONS[i]) for i in range(step["n"])], comment=text)
    elif kind == "change":
        store.change(ids, included=len(text) % 2 == 0, comment=text)
    elif kind == "move":
        store.move(ids, name)
    elif kind == "copy":
        store.copy(ids, name)
    elif kind == "remove":
        store.remove(ids)
    elif kind == "rename":
        store.change_concept(name, name=text)
    elif kind == "concept":
        store.add_concept(text)
    else:
        store.remove_concept(name)


def is_after(before: State, step: dict[str, Any], after: State) -> bool:
    """Say whether a state is what the step makes of another, wholly."""
    kind, name, ids, text = step["kind"], step["name"], step["ids"], step["text"]
    expected: State = {key: dict(examples) for key, examples in before.items()}
    if kind in ("add", "copy"):
        n = step["n"] if kind == "add" else len(ids)
        new = {key: value for key, value in after[name].items() if key not in before[name]}
        expected[name].update(new)
        return len(new) == n and after == expected
    if kind in ("change", "move", "remove"):
        for examples in expected.values():
            for example_id in set(ids) & examples.keys():
                value = examples.pop(example_id)
                if kind == "change":
                    examples[example_id] = [len(text) % 2 == 0, text]
                elif kind == "move":
                    after_name = expected[name]
                    after_name[example_id] = value
    elif kind == "rename":
        expected = {text if key == name else key: value for key, value in expected.items()}
    elif kind == "concept":
        expected[text] = {}
    else:
        del expected[name]
    return after == expected


def say(what: str, value: Any) -> None:
    """Tell the parent, at once."""
    sys.stdout.write(json.dumps({what: value}) + "\n")
    sys.stdout.flush()


def main(folder: str, seed: str) -> None:
    """Edit until killed."""
    store, dice, number = ConceptStore(folder, author="editor"), random.Random(seed), 0
    if not store.names:
        store.add_concept("first")
        store.add_concept("second")
    say("done", state_of(store))
    while True:
        number += 1
        step = choose(state_of(store), number, dice)
        step["text"] += f" of {seed}"
        say("begin", step)
        carry_out(store, step)
        say("done", state_of(store))


if __name__ == "__main__":
    main(*sys.argv[1:])
