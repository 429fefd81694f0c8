"""Edits of a concept store: what the browser asks for, done on disk, and how each is undone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xai_widgets.concepts.layout import clean_name
from xai_widgets.concepts.random_regions import random_regions
from xai_widgets.concepts.records import Concept, Removal
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.errors import StoreConflict, StoreError, XaiError
from xai_widgets.models.images import DisplayImage, ImageSet
from xai_widgets.widgets.regions import check_region, encode_runs
from xai_widgets.widgets.workbench.pictures import Pictures

HISTORY = 200
HISTORY_BYTES = 256 * 1024**2
"""What removals in the history may hold in memory; the newest step stays however large it is."""
RANDOM_NAME = "random"
MIN_RANDOM, MAX_RANDOM = 100, 1000
RANDOM_PER_EXAMPLE = 4


class EditError(XaiError, ValueError):
    """An edit cannot be made as it was asked for."""


@dataclass(frozen=True)
class Step:
    """An edit that was made: what it did in words, and how it is undone and done again."""

    text: str
    undo: Callable[[], object]
    redo: Callable[[], object]
    presences: tuple["_Presence", ...] = ()

    @property
    def nbytes(self) -> int:
        """The files that it keeps to bring back what was removed."""
        return sum(presence.nbytes for presence in self.presences)


class _Presence:
    """Something that was added or removed, and can be made to come and go."""

    def __init__(
        self,
        store: ConceptStore,
        remove: Callable[[], Removal],
        removal: Removal | None = None,
    ) -> None:
        self._store, self._remove, self._removal = store, remove, removal

    def leave(self) -> None:
        self._removal = self._remove()

    def return_(self) -> None:
        assert self._removal is not None
        self._store.restore(self._removal)
        self._removal = None

    @property
    def nbytes(self) -> int:
        """The files that are kept while it is away."""
        return 0 if self._removal is None else sum(map(len, self._removal.files.values()))


class Editor:
    """Makes edits on a store, one at a time, and remembers how to undo them.

    Parameters
    ----------
    store
        Where they go; each edit is on disk when it returns.
    images
        The pictures that positions refer to.
    pictures
        Opens them, and finds those that examples are from.
    """

    def __init__(self, store: ConceptStore, images: ImageSet, pictures: Pictures) -> None:
        self._store = store
        self._images = images
        self._pictures = pictures
        self._done: list[Step] = []
        self._undone: list[Step] = []
        self._n_random = 0

    @property
    def undo_text(self) -> str | None:
        """What `undo` would take back; None if there is nothing."""
        return self._done[-1].text if self._done else None

    @property
    def redo_text(self) -> str | None:
        """What `redo` would do again; None if there is nothing."""
        return self._undone[-1].text if self._undone else None

    def apply(self, edit: Mapping[str, Any]) -> None:
        """Make an edit; it is on disk afterwards.

        Raises
        ------
        XaiError
            If it cannot be made: then nothing has changed.
        """
        op = edit.get("op")
        if op == "undo":
            self._repeat(self._done, self._undone, "undo", lambda step: step.undo())
        elif op == "redo":
            self._repeat(self._undone, self._done, "do again", lambda step: step.redo())
        elif op == "refresh":
            if self._store.refresh():
                self._forget()
        elif op in _OPS:
            try:
                step = _OPS[op](self, edit)
            except KeyError as error:
                raise EditError(
                    f"The edit {op!r} lacks {error}: reload the page, and report it if it stays."
                ) from error
            self._undone.clear()
            if step is not None:
                self._done.append(step)
                del self._done[:-HISTORY]
                self._bound()
        else:
            raise EditError(f"There is no edit {op!r}: use one of {', '.join(_OPS)}.")

    def _forget(self) -> None:
        """Forget the history: the store is no longer what it was."""
        self._done.clear()
        self._undone.clear()

    def _repeat(
        self, source: list[Step], target: list[Step], verb: str, do: Callable[[Step], object]
    ) -> None:
        if not source:
            raise EditError(f"There is nothing to {verb}.")
        try:
            do(source[-1])
        except StoreConflict:
            raise
        except StoreError as error:
            if isinstance(error.__cause__, OSError):
                raise  # the disk refused: it may work later
            source.pop()  # what it was about is gone for good: it must not bar the steps behind it
            raise EditError(f"{error} That step was taken out of the history.") from error
        target.append(source.pop())
        self._bound()

    def _bound(self) -> None:
        """Drop the oldest steps that hold more files than memory is meant for."""
        total = sum(step.nbytes for step in (*self._done, *self._undone))
        while total > HISTORY_BYTES and len(self._done) > 1:
            total -= self._done.pop(0).nbytes
        while total > HISTORY_BYTES and len(self._undone) > 1:
            total -= self._undone.pop(0).nbytes

    # Concepts -----------------------------------------------------------------------------

    def _create_concept(self, edit: Mapping[str, Any]) -> Step:
        name, store = clean_name(str(edit["name"])), self._store
        store.add_concept(name, colour=edit.get("colour"))
        presence = _Presence(store, lambda: store.remove_concept(name))
        return Step(f"make the concept {name!r}", presence.leave, presence.return_, (presence,))

    def _change_concept(self, edit: Mapping[str, Any]) -> Step | None:
        store = self._store
        old = store.concept(clean_name(str(edit["name"])))
        fields = (("name", "to"), ("colour", "colour"), ("comment", "comment"))
        new = {mine: str(edit[its]) for mine, its in fields if edit.get(its) is not None}
        if "name" in new:
            new["name"] = clean_name(new["name"])
        new = {field: value for field, value in new.items() if value != getattr(old, field)}
        if not new:
            return None
        was = {field: getattr(old, field) for field in new}
        store.change_concept(old.name, **new)
        now = new.get("name", old.name)
        what = f"rename {old.name!r} to {now!r}" if "name" in new else f"change {old.name!r}"
        return Step(
            what,
            lambda: store.change_concept(now, **was),
            lambda: store.change_concept(old.name, **new),
        )

    def _delete_concept(self, edit: Mapping[str, Any]) -> Step:
        name, store = clean_name(str(edit["name"])), self._store
        presence = _Presence(store, lambda: store.remove_concept(name))
        presence.leave()
        return Step(f"delete the concept {name!r}", presence.return_, presence.leave, (presence,))

    # Examples -----------------------------------------------------------------------------

    def _add(self, edit: Mapping[str, Any]) -> Step:
        concept, store = clean_name(str(edit["concept"])), self._store
        store.concept(concept)  # before a picture is opened and cut
        image = self._opened(edit["index"])
        example = store.add(concept, image, self._stored(edit.get("region"), image))
        return self._added(f"add an example to {concept!r}", [example.id])

    def _added(self, text: str, ids: Sequence[str]) -> Step:
        presence = _Presence(self._store, lambda: self._store.remove(ids))
        return Step(text, presence.leave, presence.return_, (presence,))

    def _change(self, edit: Mapping[str, Any]) -> Step | None:
        ids, store = _ids(edit), self._store
        new: dict[str, Any] = {}
        if edit.get("included") is not None:
            new["included"] = bool(edit["included"])
        if edit.get("comment") is not None:
            new["comment"] = str(edit["comment"])
        old = [store.example(each) for each in ids]
        old = [e for e in old if any(getattr(e, key) != value for key, value in new.items())]
        if not old:
            return None
        changed = [example.id for example in old]
        store.change(changed, **new)

        def undo() -> None:
            for field in new:
                for value in dict.fromkeys(getattr(example, field) for example in old):
                    same = [example.id for example in old if getattr(example, field) == value]
                    store.change(same, **{field: value})

        verb = "comment on" if "included" not in new else "exclude"
        if new.get("included"):
            verb = "include"
        return Step(f"{verb} {_examples(changed)}", undo, lambda: store.change(changed, **new))

    def _reshape(self, edit: Mapping[str, Any]) -> Step:
        store = self._store
        old = store.example(str(edit["id"]))
        index = self._pictures.index_of(old)
        image = None if index is None else self._opened(index)
        if image is None or (old.image is not None and old.image.hash not in ("", image.key)):
            name = "its picture" if old.image is None else repr(old.image.name)
            raise EditError(
                f"The example cannot be reshaped, as {name} is not among the images: open the "
                "workbench with the folder that it came from."
            )
        new = self._stored(edit["region"], image)
        position = int(index or 0)

        def reshaped(region: dict[str, Any] | None) -> None:
            store.reshape(old.id, self._opened(position), region)

        reshaped(new)
        return Step("reshape an example", lambda: reshaped(old.region), lambda: reshaped(new))

    def _move(self, edit: Mapping[str, Any]) -> Step | None:
        store, concept = self._store, clean_name(str(edit["concept"]))
        homes = {each: store.concept_of(each) for each in _ids(edit)}
        ids = [each for each, home in homes.items() if home != concept]
        if not ids:
            return None
        store.move(ids, concept)

        def undo() -> None:
            for home in dict.fromkeys(homes[each] for each in ids):
                store.move([each for each in ids if homes[each] == home], home)

        return Step(
            f"move {_examples(ids)} to {concept!r}",
            undo,
            lambda: store.move(ids, concept),
        )

    def _copy(self, edit: Mapping[str, Any]) -> Step:
        concept = clean_name(str(edit["concept"]))
        ids = _ids(edit)
        copies = self._store.copy(ids, concept)
        return self._added(f"copy {_examples(ids)} to {concept!r}", [e.id for e in copies])

    def _remove(self, edit: Mapping[str, Any]) -> Step:
        ids, store = _ids(edit), self._store
        presence = _Presence(store, lambda: store.remove(ids))
        presence.leave()
        return Step(f"remove {_examples(ids)}", presence.return_, presence.leave, (presence,))

    def _reject(self, edit: Mapping[str, Any]) -> Step:
        concept, store = clean_name(str(edit["concept"])), self._store
        store.concept(concept)
        image = self._opened(edit["index"])
        rejected = store.reject(concept, image, self._stored(edit.get("region"), image))
        return self._added(f"reject a suggestion for {concept!r}", [rejected.id])

    # The random set -----------------------------------------------------------------------

    def _random(self, edit: Mapping[str, Any]) -> Step:
        store = self._store
        concepts = store.concepts
        home = next((each for each in concepts if each.role == "random"), None)
        largest = max(
            (len(each.examples) for each in concepts if each.role == "concept"), default=0
        )
        n = int(edit.get("n") or max(MIN_RANDOM, RANDOM_PER_EXAMPLE * largest))
        if not 1 <= n <= MAX_RANDOM:
            raise EditError(f"A random set cannot have {n} examples: give 1 to {MAX_RANDOM}.")
        old = [] if home is None else [example.id for example in home.examples]
        self._n_random += 1
        seed = store.revision + self._n_random
        stream = random_regions(concepts, len(self._images), self._pictures, n, seed)
        steps: list[Step] = []
        try:
            if home is None:
                steps.append(self._make_random_concept(concepts))
                home = next(each for each in store.concepts if each.role == "random")
            new = [example.id for example in store.add_many(home.name, stream)]
            if not new:
                raise EditError(
                    "There is no room for random examples: every picture is annotated all over. "
                    "Give the workbench more images."
                )
            steps.append(self._added("", new))
            if old:
                presence = _Presence(store, lambda: store.remove(old))
                presence.leave()
                steps.append(Step("", presence.return_, presence.leave, (presence,)))
        except BaseException:
            for step in reversed(steps):
                step.undo()
            raise

        def undo() -> None:
            for step in reversed(steps):
                step.undo()

        def redo() -> None:
            for step in steps:
                step.redo()

        text = "make the random set" if not old else "replace the random set"
        kept = tuple(presence for step in steps for presence in step.presences)
        return Step(text, undo, redo, kept)

    def _make_random_concept(self, concepts: Sequence[Concept]) -> Step:
        store, taken = self._store, {each.name for each in concepts}
        names = [RANDOM_NAME, *(f"{RANDOM_NAME} {number}" for number in range(2, len(taken) + 3))]
        name = next(each for each in names if each not in taken)
        store.add_concept(name, role="random")
        presence = _Presence(store, lambda: store.remove_concept(name))
        return Step("", presence.leave, presence.return_, (presence,))

    # Parts --------------------------------------------------------------------------------

    def _opened(self, index: Any) -> DisplayImage:
        position = int(index) if isinstance(index, int | float) else -1
        if not 0 <= position < len(self._images):
            raise EditError(
                f"There is no image {index!r}: there are {len(self._images)}, counted from 0."
            )
        return self._pictures(position)

    def _stored(self, region: Any, image: DisplayImage) -> dict[str, Any] | None:
        """Return a region as it is stored: superpixels become a mask, as their map is not kept."""
        checked = check_region(region)
        if checked is None or checked["type"] != "superpixels":
            return checked
        labels = self._pictures.superpixels(image)
        mask = np.isin(labels, checked["ids"])
        if not mask.any():
            raise EditError(
                f"The picture {image.name!r} has no superpixels {checked['ids'][:4]}: it has "
                f"{int(labels.max()) + 1}, counted from 0."
            )
        return {"type": "mask", "size": list(mask.shape), "counts": encode_runs(mask)}


def _ids(edit: Mapping[str, Any]) -> list[str]:
    ids = edit["ids"]
    if isinstance(ids, str) or not isinstance(ids, Sequence) or not ids:
        raise EditError("Name the examples that are meant: a list with at least one id.")
    return [str(each) for each in dict.fromkeys(ids)]


def _examples(ids: Sequence[str]) -> str:
    return "an example" if len(ids) == 1 else f"{len(ids)} examples"


_OPS: dict[Any, Callable[[Editor, Mapping[str, Any]], Step | None]] = {
    "create_concept": Editor._create_concept,
    "change_concept": Editor._change_concept,
    "delete_concept": Editor._delete_concept,
    "add": Editor._add,
    "change": Editor._change,
    "reshape": Editor._reshape,
    "move": Editor._move,
    "copy": Editor._copy,
    "remove": Editor._remove,
    "reject": Editor._reject,
    "random": Editor._random,
}
