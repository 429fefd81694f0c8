"""The concept shelf: what the store holds, in the form that the browser shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from xai_widgets.concepts.records import Concept, Example
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.errors import XaiError
from xai_widgets.models.images import DisplayImage
from xai_widgets.widgets.workbench.edits import Editor
from xai_widgets.widgets.workbench.pictures import Pictures

THUMBNAIL_SIDE = 96
MAX_EXAMPLES = 40
ENOUGH, PLENTY = 20, 40
LOOSE_INTERVAL = 0.3


def shelf(
    store: ConceptStore,
    editor: Editor,
    pictures: Pictures,
    conflict: str | None,
    least: int,
    records: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the payload of the `shelf` message.

    Parameters
    ----------
    store, editor, pictures
        The concepts, the history, and where examples are from.
    conflict
        The sentence on another kernel's change, if there is one.
    least
        How many examples a test needs.
    records
        Records of the last test: how well a concept separates is part of the advice.
    """
    concepts = store.concepts
    return {
        "folder": str(store.folder),
        "revision": store.revision,
        "undo": editor.undo_text,
        "redo": editor.redo_text,
        "conflict": conflict,
        "concepts": [
            {
                "name": concept.name,
                "role": concept.role,
                "colour": concept.colour,
                "comment": concept.comment,
                "advice": advice(concept, concepts, least, records),
                "n": len(concept.examples),
                "n_included": len(concept.included),
                "n_rejected": len(concept.rejected),
                "examples": [_entry(example, pictures) for example in concept.examples],
            }
            for concept in concepts
        ],
    }


def _entry(example: Example, pictures: Pictures) -> dict[str, Any]:
    return {
        "id": example.id,
        "index": pictures.index_of(example),
        "name": "" if example.image is None else example.image.name,
        "region": example.region,
        "included": example.included,
        "comment": example.comment,
    }


def advice(
    concept: Concept,
    concepts: Sequence[Concept],
    least: int,
    records: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Say whether a set holds enough examples, and what more would bring.

    Parameters
    ----------
    concept
        The set.
    concepts
        All of them, for what a random set is compared with.
    least
        How many examples a test needs.
    records
        Records of the last test, of all concepts.
    """
    n = len(concept.included)
    if concept.role == "random":
        return _random_advice(n, concepts)
    if n < least:
        return (
            f"{least - n} more to test it: a test needs {least}, and {ENOUGH} to {PLENTY} that "
            "differ in everything but the concept make it sharp."
        )
    if n < ENOUGH:
        return f"Enough for a first test; {ENOUGH} to {PLENTY} examples make it sharper."
    mine = [record for record in records if record["concept"] == concept.name]
    loose = [r for r in mine if _interval(r) > LOOSE_INTERVAL]
    if mine and len(loose) == len(mine):
        return (
            "Enough by number, but how well it separates is uncertain "
            f"(accuracy within {_interval(mine[0]):.0%}): add examples that differ more."
        )
    return "Enough examples." if n < PLENTY else "Plenty of examples: more will change little."


def _interval(record: Mapping[str, Any]) -> float:
    low, high = record.get("accuracy_low"), record.get("accuracy_high")
    return 0.0 if low is None or high is None else float(high) - float(low)


def _random_advice(n: int, concepts: Sequence[Concept]) -> str:
    largest = max((len(c.included) for c in concepts if c.role == "concept"), default=0)
    wanted = max(100, 4 * largest)
    if n < wanted:
        return (
            f"{n} to compare with: {wanted} or more give a fairer null. It must hold everything "
            "but the concepts."
        )
    return "Enough to compare with. It must hold everything but the concepts: look it through."


def thumbnails(store: ConceptStore, ids: Sequence[Any]) -> dict[str, Any]:
    """Return the payload of the `examples` message: crops of at most 96 pixels a side."""
    items = []
    for each in list(ids)[:MAX_EXAMPLES]:
        item: dict[str, Any] = {"id": str(each), "array": None, "error": None}
        try:
            crop = DisplayImage(store.picture(str(each)), str(each))
            item["array"] = crop.resized(THUMBNAIL_SIDE)
        except XaiError as error:
            item["error"] = str(error)
        items.append(item)
    return {"items": items}
