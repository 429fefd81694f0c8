"""Versions that lost against another program's: kept beside, named in a sentence."""

import uuid
from datetime import UTC, datetime
from pathlib import Path

from xai_widgets.concepts.atomic import Change, write_file
from xai_widgets.concepts.catalogue import MAX_INDEX, Catalogue
from xai_widgets.concepts.layout import CONFLICTS, INDEX, is_link, read_bytes
from xai_widgets.errors import StoreConflict, StoreError


def keep(root: Path, seen: Catalogue, now: Catalogue, change: Change) -> StoreConflict:
    """Write down a change that was not carried out, and return the error that says so.

    Parameters
    ----------
    root
        The store.
    seen, now
        What this program has read, and what the folder holds.
    change
        Worked out on what was read.
    """
    files = dict(change.writes)
    if not files:
        for entry in seen.entries.values():
            if entry.path in change.deletes:
                files[entry.path] = entry.to_bytes(seen.by_slug[entry.slug].name)
    folder = _new_folder(root)
    for path, data in files.items():
        write_file(folder / path, data)
    kept = folder.relative_to(root).as_posix()
    return StoreConflict(
        f"Nothing was changed in {str(root)!r}: another program has changed "
        f"{_what(seen, now, change)} since it was read. Its version is in place and yours is kept "
        f"in {kept!r}: refresh, look, and make your change again."
    )


def _what(seen: Catalogue, now: Catalogue, change: Change) -> str:
    """Name what clashes, for people."""
    paths = {*change.writes, *change.moves, *change.deletes}
    for key in seen.entries.keys() | now.entries.keys():
        before, after = seen.entries.get(key), now.entries.get(key)
        entry = before or after
        if before is after or entry is None or entry.path not in paths:
            continue
        slug = before.slug if before else entry.slug
        heading = seen.by_slug.get(slug) or now.by_slug.get(slug)
        return f"an example of {heading.name!r}" if heading else "an example"
    for slug in seen.by_slug.keys() | now.by_slug.keys():
        was, present = seen.by_slug.get(slug), now.by_slug.get(slug)
        if was != present:
            named = was or present
            return f"the concept {named.name!r}" if named else "a concept"
    return "the same"


def keep_index(root: Path) -> None:
    """Copy a store.json that could not be read whole before it is written anew."""
    write_file(_new_folder(root) / INDEX, read_bytes(root / INDEX, 4 * MAX_INDEX))


def _new_folder(root: Path) -> Path:
    if is_link(root / CONFLICTS):
        raise StoreError(f"{str(root / CONFLICTS)!r} is a link and is not written through.")
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    return root / CONFLICTS / f"{moment}-{uuid.uuid4().hex[:8]}"
