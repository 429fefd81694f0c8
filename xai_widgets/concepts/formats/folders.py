"""Concept sets as folders of pictures: a folder for each concept."""

import os
from collections.abc import Iterator
from pathlib import Path

from xai_widgets.concepts.atomic import write_file
from xai_widgets.concepts.crops import encode
from xai_widgets.concepts.examples import ExampleStore
from xai_widgets.concepts.formats.placing import Found, Skipped, place, say_what_is_lost, short
from xai_widgets.concepts.layout import slug_of
from xai_widgets.concepts.records import Example, Transfer
from xai_widgets.errors import StoreError, XaiError
from xai_widgets.models.images import IMAGE_SUFFIXES, open_image

WHAT = "A folder of pictures"


def read(store: ExampleStore, path: str | Path) -> Transfer:
    """Add the pictures of a folder to a store, each as a whole.

    Parameters
    ----------
    store
        Gets them.
    path
        Holds a folder for each concept, named like it; or pictures only, which are then examples
        of one concept with the folder's own name.

    Raises
    ------
    StoreError
        If it is no folder.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise StoreError(f"There is no folder {str(folder)!r}: check the path.")
    skipped = Skipped()
    return place(store, _found(folder, skipped), skipped)


def _found(folder: Path, skipped: Skipped) -> Iterator[Found]:
    inside = folder.resolve()
    entries = _listed(folder)
    if not any(entry.is_dir(follow_symlinks=False) for entry in entries):
        yield from _pictures(folder, inside.name, inside, skipped)
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _pictures(Path(entry.path), entry.name, inside, skipped)
        elif entry.is_dir():
            skipped.out(short(entry.name), "it is a link to a folder")
        elif _is_picture(entry):
            skipped.out(short(entry.name), "it lies beside the folders of the concepts")


def _pictures(folder: Path, concept: str, inside: Path, skipped: Skipped) -> Iterator[Found]:
    for entry in _listed(folder):
        where = short(f"{folder.name}/{entry.name}", 120)
        path = Path(entry.path)
        if entry.is_symlink() and inside not in path.resolve().parents:
            skipped.out(where, "it is a link to somewhere outside of the folder")
        elif entry.is_dir():
            skipped.out(where, "it is a folder within that of a concept")
        elif _is_picture(entry):
            try:
                yield Found(where=where, concept=concept, image=open_image(path))
            except XaiError as error:
                skipped.out(where, error)


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise StoreError(f"{str(folder)!r} cannot be read: {error.strerror or error}.") from error
    return sorted(shown, key=lambda entry: entry.name)


def _is_picture(entry: os.DirEntry[str]) -> bool:
    return entry.is_file() and Path(entry.name).suffix.lower() in IMAGE_SUFFIXES


def write(store: ExampleStore, path: str | Path) -> Transfer:
    """Write the crops of the included examples, a folder for each concept.

    Parameters
    ----------
    store
        What is written.
    path
        A new or empty folder.

    Raises
    ------
    StoreError
        If there is something in it, or the disk refuses.
    """
    folder = Path(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreError(f"{str(folder)!r} is not an empty folder: give a new one.")
    skipped, done = Skipped(), list[Example]()
    taken: set[str] = set()
    n_excluded = 0
    for concept in store.concepts:
        slug = slug_of(concept.name, taken)
        taken.add(slug)
        if slug != concept.name and concept.examples:
            skipped.say(f"The folder of {short(concept.name)} is called {slug!r}.")
        for number, example in enumerate(concept.examples, 1):
            if not example.included:
                n_excluded += 1
                continue
            try:
                pixels = store.picture(example.id)
            except StoreError as error:
                skipped.out(f"Example {example.id}", error)
                continue
            stem = slug_of(Path(example.image.name).stem) if example.image else "crop"
            write_file(folder / slug / f"{number:04d}-{stem}.png", encode(pixels))
            done.append(example)
    if n_excluded:
        skipped.say(f"{n_excluded} excluded examples were left out: {WHAT} cannot say so.")
    if done:
        skipped.say(
            "Regions, sources, comments, authors and times were left out: pictures are crops only."
        )
    if any(concept.role == "random" and concept.examples for concept in store.concepts):
        skipped.say("Random sets are folders like others: nothing tells them apart.")
    say_what_is_lost(store, skipped, WHAT)
    return Transfer(tuple(done), skipped.sentences)
