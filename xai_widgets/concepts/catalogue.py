"""What a store's folder holds: read whole, and again only where files have changed.

A file that is damaged is named in a sentence and left as it is; the rest is read.
"""

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from xai_widgets.concepts.annotation import from_annotation, tag_of, to_annotation
from xai_widgets.concepts.json_text import read_json, to_bytes
from xai_widgets.concepts.layout import (
    CONCEPTS,
    INDEX,
    MAX_COMMENT,
    REJECTED,
    SLUG,
    clean_colour,
    clean_name,
    clean_text,
    is_link,
)
from xai_widgets.concepts.records import ROLES, Concept, Example
from xai_widgets.errors import StoreError

FORMAT = "xai_widgets concepts"
VERSION = 1
MAX_INDEX = 16_000_000
MAX_ANNOTATION = 48_000_000
COLOURS = (
    "#4477aa",
    "#ee6677",
    "#228833",
    "#ccbb44",
    "#66ccee",
    "#aa3377",
    "#ee8866",
    "#44bb99",
    "#bbcc33",
    "#77aadd",
)
"""Paul Tol's bright and light schemes: told apart by most people with colour-blindness."""

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Heading:
    """What store.json says of a concept."""

    slug: str
    name: str
    role: str
    colour: str
    comment: str


@dataclass(frozen=True, eq=False)
class Entry:
    """One annotation as it lies on disk."""

    example: Example
    slug: str
    rejected: bool
    document: Mapping[str, Any]

    @property
    def path(self) -> str:
        """The annotation's file, relative to the store."""
        between = f"{REJECTED}/" if self.rejected else ""
        return f"{CONCEPTS}/{self.slug}/{between}{self.example.id}.json"

    @property
    def crop_path(self) -> str:
        """The crop's file, relative to the store."""
        return f"{CONCEPTS}/{self.slug}/{self.example.id}.png"

    def to_bytes(self, concept: str) -> bytes:
        """Return the annotation's file."""
        return to_bytes(to_annotation(self.example, concept, self.rejected, self.document))


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Everything that a store's folder holds, but for pictures and vectors."""

    headings: tuple[Heading, ...] = ()
    entries: Mapping[str, Entry] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    read: Mapping[str, Entry | str] = field(default_factory=dict)
    """What became of each annotation's file: its entry, or why it has none."""
    index_damaged: bool = False

    @cached_property
    def by_name(self) -> dict[str, Heading]:
        """The headings by the names of their concepts."""
        return {heading.name: heading for heading in self.headings}

    @cached_property
    def by_slug(self) -> dict[str, Heading]:
        """The headings by their folders."""
        return {heading.slug: heading for heading in self.headings}

    @cached_property
    def concepts(self) -> tuple[Concept, ...]:
        """The concepts in order, with their examples in the order of their making."""
        members: dict[str, list[Entry]] = {heading.slug: [] for heading in self.headings}
        for entry in self.entries.values():
            members[entry.slug].append(entry)
        return tuple(_concept(heading, members[heading.slug]) for heading in self.headings)

    def within(self, slug: str) -> list[Entry]:
        """Return the entries of a concept, rejected ones too."""
        return [entry for entry in self.entries.values() if entry.slug == slug]

    def index_bytes(self, headings: tuple[Heading, ...]) -> bytes:
        """Return the content of store.json."""
        concepts = [
            {
                "name": heading.name,
                "folder": heading.slug,
                "role": heading.role,
                "colour": heading.colour,
                "comment": heading.comment,
            }
            for heading in headings
        ]
        return to_bytes({"format": FORMAT, "version": VERSION, "concepts": concepts})


def _concept(heading: Heading, entries: list[Entry]) -> Concept:
    ordered = sorted(entries, key=lambda entry: (entry.example.created, entry.example.id))
    return Concept(
        name=heading.name,
        role=heading.role,
        colour=heading.colour,
        comment=heading.comment,
        examples=tuple(entry.example for entry in ordered if not entry.rejected),
        rejected=tuple(entry.example for entry in ordered if entry.rejected),
    )


def differences(old: Catalogue, new: Catalogue) -> set[str]:
    """Say what became different: "example:<id>", "within:<slug>", "concept:<slug>" ..."""
    found = set()
    for key in old.entries.keys() | new.entries.keys():
        before, after = old.entries.get(key), new.entries.get(key)
        if before is not after:
            found.add(f"example:{key}")
            found.update(f"within:{entry.slug}" for entry in (before, after) if entry)
    for slug in old.by_slug.keys() | new.by_slug.keys():
        was, present = old.by_slug.get(slug), new.by_slug.get(slug)
        if was != present:
            found.add(f"concept:{slug}")
            if was is None or present is None or was.name != present.name:
                found.add(f"name:{slug}")
                found.update(f"called:{heading.name}" for heading in (present,) if heading)
    return found


def read_folder(root: Path, known: Catalogue | None = None) -> Catalogue:
    """Read a store's folder.

    Parameters
    ----------
    root
        The folder.
    known
        What was read before: files that are still the same are not read again, and the same
        object is returned where nothing has changed at all.

    Raises
    ------
    StoreError
        If the store was made by a newer version of xai_widgets.
    """
    problems: list[str] = []
    stamps = dict(_scan(root, problems))
    if known is not None and stamps == known.stamps and not (problems or known.problems):
        return known
    headings, damaged = _read_index(root, problems)
    read: dict[str, Entry | str] = {}
    for path, stamp in stamps.items():
        if path == INDEX:
            continue
        if known is not None and known.stamps.get(path) == stamp and path in known.read:
            read[path] = known.read[path]
        else:
            read[path] = _read_entry(root, path)
    entries: dict[str, Entry] = {}
    for path, result in read.items():
        if isinstance(result, str):
            problems.append(result)
        elif result.example.id in entries:
            problems.append(
                f"{path!r} has the same name as {entries[result.example.id].path!r} and was left "
                "out: remove one of the two."
            )
        else:
            entries[result.example.id] = result
    headings = _adopt(headings, entries, problems)
    fresh = Catalogue(headings, entries, tuple(problems), stamps, read, damaged)
    if known is not None and stamps == known.stamps and fresh.problems == known.problems:
        return known
    return fresh


def _scan(root: Path, problems: list[str]) -> Iterator[tuple[str, Stamp]]:
    """Find store.json and the annotations, with what tells that a file is another one now."""
    with contextlib.suppress(OSError):
        yield INDEX, _stamp(os.lstat(root / INDEX))
    folder = root / CONCEPTS
    if is_link(folder):
        problems.append(f"{CONCEPTS!r} is a link and was not followed.")
        return
    for concept in _listed(folder):
        if concept.is_symlink():
            problems.append(f"'{CONCEPTS}/{concept.name}' is a link and was not followed.")
        elif concept.is_dir() and SLUG.fullmatch(concept.name):
            for below in ("", f"{REJECTED}/"):
                inside = f"{CONCEPTS}/{concept.name}/{below}"
                if below and is_link(root / inside.rstrip("/")):
                    problems.append(f"{inside!r} is a link and was not followed.")
                    continue
                for file in _listed(root / inside):
                    if not file.name.endswith(".json") or file.name.startswith("."):
                        continue
                    if file.is_symlink():
                        problems.append(f"'{inside}{file.name}' is a link and was not followed.")
                    elif file.is_file():
                        yield inside + file.name, _stamp(file.stat())


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _stamp(status: os.stat_result) -> Stamp:
    return (
        status.st_ino,
        status.st_mtime_ns,
        status.st_size if stat.S_ISREG(status.st_mode) else -1,
    )


def _read_entry(root: Path, path: str) -> Entry | str:
    parts = path.split("/")
    try:
        document = read_json(root / path, MAX_ANNOTATION)
        example = from_annotation(document, parts[-1].removesuffix(".json"))
    except StoreError as error:
        reason = str(error).rstrip(".")
        if parts[-1] not in reason:
            reason = f"{path!r} was left out: {reason}"
        return f"{reason}. Repair the file or remove it."
    return Entry(example, parts[1], REJECTED in parts[2:-1], document)


def _read_index(root: Path, problems: list[str]) -> tuple[tuple[Heading, ...], bool]:
    if not (root / INDEX).exists() and not is_link(root / INDEX):
        return (), False
    try:
        index = read_json(root / INDEX, MAX_INDEX)
        if not isinstance(index, dict) or not isinstance(index.get("concepts"), list):
            raise StoreError(f"{INDEX!r} holds no list of concepts.")
    except StoreError as error:
        problems.append(
            f"{error} The concepts were put together from their folders; the file is kept in "
            "'conflicts' at the next change."
        )
        return (), True
    version = index.get("version")
    if index.get("format") == FORMAT and isinstance(version, int) and version > VERSION:
        raise StoreError(
            f"{str(root)!r} was made by a newer version of xai_widgets (format {version}, and this "
            f"one reads up to {VERSION}): update xai_widgets."
        )
    headings: list[Heading] = []
    damaged = False
    for record in index["concepts"]:
        try:
            heading = _heading(record)
        except StoreError as error:
            problems.append(f"A concept in {INDEX!r} was left out: {error}")
            damaged = True
            continue
        if any(heading.slug == h.slug or heading.name == h.name for h in headings):
            problems.append(f"{INDEX!r} lists {heading.name!r} twice; the first one counts.")
            damaged = True
        else:
            headings.append(heading)
    return tuple(headings), damaged


def _heading(record: Any) -> Heading:
    if not isinstance(record, dict):
        raise StoreError("it is no object.")
    slug, role = record.get("folder"), record.get("role", "concept")
    if not isinstance(slug, str) or not SLUG.fullmatch(slug):
        raise StoreError(
            f"its folder {str(slug)[:80]!r} is not made of lower-case letters, digits and hyphens."
        )
    if role not in ROLES:
        raise StoreError(f"its role {str(role)[:40]!r} is none of {ROLES}.")
    return Heading(
        slug=slug,
        name=clean_name(record.get("name")),
        role=role,
        colour=clean_colour(record.get("colour", COLOURS[0])),
        comment=clean_text(record.get("comment", ""), "A comment", MAX_COMMENT),
    )


def _adopt(
    headings: tuple[Heading, ...], entries: Mapping[str, Entry], problems: list[str]
) -> tuple[Heading, ...]:
    """Show folders of examples that store.json does not list as concepts too."""
    result = list(headings)
    slugs = {heading.slug for heading in headings}
    for entry in entries.values():
        if entry.slug in slugs:
            continue
        slugs.add(entry.slug)
        names = {heading.name for heading in result}
        tag = tag_of(entry.document)
        try:
            name = clean_name(tag) if tag else entry.slug
        except StoreError:
            name = entry.slug
        if name in names:
            name = next(
                candidate
                for number in range(2, len(names) + 3)
                if (candidate := f"{name} ({number})") not in names
            )
        colour = COLOURS[len(result) % len(COLOURS)]
        result.append(Heading(entry.slug, name, "concept", colour, ""))
        problems.append(
            f"'{CONCEPTS}/{entry.slug}' is not listed in {INDEX!r} and is shown as {name!r}."
        )
    return tuple(result)


def changed(entry: Entry, **fields: Any) -> Entry:
    """Return an entry whose example has other fields."""
    return replace(entry, example=replace(entry.example, **fields))
