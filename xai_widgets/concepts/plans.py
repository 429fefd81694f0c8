"""What each edit of a concept set does to the files, worked out on what the folder holds.

Every plan fills in a `Change` and returns what it rests on ("example:<id>", "concept:<slug>" ...):
where another program has changed one of these since it was read, the edit is a conflict. A plan is
worked out again on what the folder holds now, so it must give the same ids every time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from xai_widgets.concepts.atomic import Change
from xai_widgets.concepts.catalogue import (
    COLOURS,
    MAX_ANNOTATION,
    Catalogue,
    Entry,
    Heading,
    changed,
)
from xai_widgets.concepts.crops import MAX_BYTES
from xai_widgets.concepts.layout import CONCEPTS, INDEX, read_bytes, slug_of
from xai_widgets.concepts.records import Concept, Example, Removal
from xai_widgets.errors import StoreError, near_matches

RANDOM_COLOUR = "#888888"


def heading_of(catalogue: Catalogue, name: str) -> Heading:
    """Return the heading of a concept.

    Raises
    ------
    StoreError
        If there is none of this name.
    """
    heading = catalogue.by_name.get(name) if isinstance(name, str) else None
    if heading is None:
        raise StoreError(
            f"There is no concept {str(name)[:80]!r}.{near_matches(str(name), catalogue.by_name)}"
        )
    return heading


def entry_of(catalogue: Catalogue, example_id: str) -> Entry:
    """Return the entry of an example.

    Raises
    ------
    StoreError
        If there is none with this id.
    """
    entry = catalogue.entries.get(example_id) if isinstance(example_id, str) else None
    if entry is None:
        raise StoreError(
            f"There is no example {str(example_id)[:40]!r} in the store: it was removed, or the "
            "store was changed by another program; refresh and try again."
        )
    return entry


def _name_of(catalogue: Catalogue, entry: Entry) -> str:
    return catalogue.by_slug[entry.slug].name


def _check_free(catalogue: Catalogue, name: str) -> None:
    if name in catalogue.by_name:
        raise StoreError(f"There is a concept {name!r} already: choose another name.")


def _slug_for(catalogue: Catalogue, root: Path, name: str, own: str = "") -> str:
    """Return a free folder for a concept; the one it has already counts as free."""
    taken = set(catalogue.by_slug)
    if (root / CONCEPTS).is_dir():
        taken.update(path.name for path in (root / CONCEPTS).iterdir())
    return slug_of(name, taken - {own})


def add_concept(
    catalogue: Catalogue,
    change: Change,
    root: Path,
    concept: Concept,
    colour: str | None = None,
    position: int | None = None,
) -> Heading:
    """Plan a new concept without examples."""
    _check_free(catalogue, concept.name)
    if colour is None:
        used = {heading.colour for heading in catalogue.headings}
        free = [candidate for candidate in COLOURS if candidate not in used] or [
            COLOURS[len(catalogue.headings) % len(COLOURS)]
        ]
        colour = RANDOM_COLOUR if concept.role == "random" else free[0]
    slug = _slug_for(catalogue, root, concept.name)
    heading = Heading(slug, concept.name, concept.role, colour, concept.comment)
    headings = list(catalogue.headings)
    headings.insert(len(headings) if position is None else position, heading)
    change.write(INDEX, catalogue.index_bytes(tuple(headings)))
    return heading


def change_concept(
    catalogue: Catalogue, change: Change, root: Path, name: str, fields: Mapping[str, str]
) -> set[str]:
    """Plan other fields of a concept; another name also moves its folder."""
    old = heading_of(catalogue, name)
    new = replace(old, **fields)
    if new.name != old.name:
        _check_free(catalogue, new.name)
        new = replace(new, slug=_slug_for(catalogue, root, new.name, old.slug))
        for entry in catalogue.within(old.slug):
            if new.slug == old.slug:
                _write(change, entry, new.name, None)
            else:
                _move_entry(change, entry, new)
    headings = tuple(new if heading is old else heading for heading in catalogue.headings)
    change.write(INDEX, catalogue.index_bytes(headings))
    return {f"concept:{old.slug}", f"called:{new.name}"}


def remove_concept(
    catalogue: Catalogue, change: Change, root: Path, name: str
) -> tuple[set[str], Removal]:
    """Plan a concept gone with all its examples."""
    heading = heading_of(catalogue, name)
    entries = catalogue.within(heading.slug)
    files = _take(catalogue, change, root, entries)
    headings = tuple(other for other in catalogue.headings if other is not heading)
    change.write(INDEX, catalogue.index_bytes(headings))
    concept = next(concept for concept in catalogue.concepts if concept.name == name)
    removal = Removal(
        files,
        tuple(entry.example.id for entry in entries),
        concept,
        catalogue.headings.index(heading),
    )
    return {f"concept:{heading.slug}", f"within:{heading.slug}"}, removal


def add(
    catalogue: Catalogue,
    change: Change,
    name: str,
    made: Sequence[tuple[Example, bytes | None]] | Sequence[tuple[Example, bytes]],
    rejected: bool = False,
) -> set[str]:
    """Plan new examples with their crops."""
    heading = heading_of(catalogue, name)
    for example, crop in made:
        _write(change, Entry(example, heading.slug, rejected, {}), heading.name, crop)
    return {f"name:{heading.slug}"}


def _write(change: Change, entry: Entry, name: str, crop: bytes | None) -> None:
    if crop is not None:
        change.write(entry.crop_path, crop)
    change.write(entry.path, entry.to_bytes(name))


def change_examples(
    catalogue: Catalogue, change: Change, ids: Sequence[str], fields: Mapping[str, Any]
) -> set[str]:
    """Plan other fields of examples."""
    for example_id in ids:
        entry = entry_of(catalogue, example_id)
        _write(change, changed(entry, **fields), _name_of(catalogue, entry), None)
    return {f"example:{example_id}" for example_id in ids}


def reshape(
    catalogue: Catalogue, change: Change, example_id: str, fields: Mapping[str, Any], crop: bytes
) -> set[str]:
    """Plan another region, and so another crop, of an example."""
    entry = entry_of(catalogue, example_id)
    if entry.rejected:
        raise StoreError("A rejected suggestion cannot be reshaped: add an example instead.")
    _write(change, changed(entry, **fields), _name_of(catalogue, entry), crop)
    return {f"example:{example_id}"}


def move(catalogue: Catalogue, change: Change, ids: Sequence[str], name: str) -> set[str]:
    """Plan examples belonging to another concept."""
    heading = heading_of(catalogue, name)
    touched = {f"name:{heading.slug}"}
    for example_id in ids:
        entry = entry_of(catalogue, example_id)
        if entry.slug != heading.slug:
            _move_entry(change, entry, heading)
        touched.add(f"example:{example_id}")
    return touched


def _move_entry(change: Change, entry: Entry, heading: Heading) -> None:
    moved = replace(entry, slug=heading.slug)
    if not entry.rejected:
        change.move(entry.crop_path, moved.crop_path)
    change.write(moved.path, moved.to_bytes(heading.name))
    change.delete(entry.path)


def copy(
    catalogue: Catalogue,
    change: Change,
    root: Path,
    copies: Mapping[str, Example],
    name: str,
) -> set[str]:
    """Plan copies of examples, given by the ids of the originals."""
    heading = heading_of(catalogue, name)
    touched = {f"name:{heading.slug}"}
    for example_id, example in copies.items():
        entry = entry_of(catalogue, example_id)
        crop = None if entry.rejected else read_bytes(root / entry.crop_path, MAX_BYTES)
        _write(change, Entry(example, heading.slug, entry.rejected, {}), heading.name, crop)
        touched.add(f"example:{example_id}")
    return touched


def remove(
    catalogue: Catalogue, change: Change, root: Path, ids: Sequence[str]
) -> tuple[set[str], Removal]:
    """Plan examples gone."""
    entries = [entry_of(catalogue, example_id) for example_id in ids]
    files = _take(catalogue, change, root, entries)
    return {f"example:{example_id}" for example_id in ids}, Removal(files, tuple(ids))


def _take(
    catalogue: Catalogue, change: Change, root: Path, entries: Iterable[Entry]
) -> dict[tuple[str, str], bytes]:
    """Plan files gone and return their bytes; a crop that cannot be read is no reason to stay."""
    files = {}
    for entry in entries:
        name = _name_of(catalogue, entry)
        for path, limit in ((entry.path, MAX_ANNOTATION), (entry.crop_path, MAX_BYTES)):
            if entry.rejected and path == entry.crop_path:
                continue
            change.delete(path)
            inside = path.removeprefix(f"{CONCEPTS}/{entry.slug}/")
            try:
                files[name, inside] = read_bytes(root / path, limit)
            except StoreError:
                if path == entry.path:
                    files[name, inside] = entry.to_bytes(name)
    return files


def restore(catalogue: Catalogue, change: Change, root: Path, removal: Removal) -> set[str]:
    """Plan what was removed being there again."""
    here = [example_id for example_id in removal.ids if example_id in catalogue.entries]
    if here:
        raise StoreError(f"Nothing was restored: the example {here[0]!r} is in the store already.")
    touched = {f"example:{example_id}" for example_id in removal.ids}
    slugs = {}
    if removal.concept is not None:
        concept = removal.concept
        heading = add_concept(
            catalogue, change, root, concept, concept.colour, min(removal.position, 10**6)
        )
        slugs[concept.name] = heading.slug
        touched.add(f"called:{concept.name}")
    for (name, inside), data in removal.files.items():
        if name not in slugs:
            slugs[name] = heading_of(catalogue, name).slug
            touched.add(f"name:{slugs[name]}")
        change.write(f"{CONCEPTS}/{slugs[name]}/{inside}", data)
    return touched
