"""Where everything lies in the folder of a concept store, and which names are safe there.

::

    store.json                            the concepts in order: name, folder, role, colour, comment
    concepts/<slug>/<id>.json             an example: a W3C Web Annotation
    concepts/<slug>/<id>.png              its crop
    concepts/<slug>/rejected/<id>.json    a suggestion that is not to be shown again
    vectors/<name>.safetensors            trained vectors with the records of their test
    conflicts/<time>/...                  versions that lost against another program's
    .lock  .staging/                      for the program that is writing; ignored by Git

A path from a file is never used before `is_ours` has seen it, and no link is followed.
"""

import os
import re
import stat
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from xai_widgets.errors import StoreError

INDEX = "store.json"
CONCEPTS = "concepts"
REJECTED = "rejected"
VECTORS = "vectors"
CONFLICTS = "conflicts"
STAGING = ".staging"
LOCK = ".lock"

MAX_NAME = 200
MAX_COMMENT = 10_000

_ID = r"[0-9a-f]{32}"
_SLUG = r"[a-z0-9][a-z0-9-]{0,63}"
ID = re.compile(_ID)
SLUG = re.compile(_SLUG)
_OURS = re.compile(
    rf"(?:store\.json|concepts/{_SLUG}/{_ID}\.(?:json|png)|concepts/{_SLUG}/rejected/{_ID}\.json"
    rf"|vectors/{_SLUG}\.safetensors)"
)
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_ALLOWED_BESIDE = {"readme.md", "readme.txt", "readme", "license", "license.md", "license.txt"}


def is_ours(path: str) -> bool:
    """Say whether a path, relative to the store, is one that the store itself would write."""
    return _OURS.fullmatch(path) is not None


def slug_of(name: str, taken: Iterable[str] = ()) -> str:
    """Return a folder name for a concept: lower-case ASCII, on every system, not yet taken."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or "concept"
    if _RESERVED.fullmatch(slug):
        slug = f"{slug}-concept"
    used, candidate, number = set(taken), slug, 2
    while candidate in used:
        candidate, number = f"{slug}-{number}", number + 1
    return candidate


def clean_text(text: object, what: str, limit: int, one_line: bool = False) -> str:
    """Return a text without control characters and lone surrogates.

    Markup stays as it is: texts are only ever shown as text.

    Raises
    ------
    StoreError
        If it is no text, or longer than ``limit`` characters.
    """
    if not isinstance(text, str):
        raise StoreError(f"{what} must be text, and {type(text).__name__} was given.")
    if len(text) > limit:
        raise StoreError(f"{what} has {len(text)} characters: use at most {limit}.")
    text = text.encode("utf-8", "replace").decode("utf-8")
    if one_line:
        text = " ".join(text.split())
    kept = (c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
    return "".join(kept).strip()


def clean_name(name: object) -> str:
    """Return the name of a concept in one line.

    Raises
    ------
    StoreError
        If nothing is left of it, or it is too long.
    """
    text = clean_text(name, "The name of a concept", MAX_NAME, one_line=True)
    if not text:
        raise StoreError("The name of a concept is empty: give it a name such as 'stripes'.")
    return text


def clean_colour(colour: object) -> str:
    """Return a colour as "#rrggbb".

    Raises
    ------
    StoreError
        If it is anything else.
    """
    text = colour.lower() if isinstance(colour, str) else ""
    if not _COLOUR.fullmatch(text):
        raise StoreError(f"{str(colour)[:40]!r} is not a colour: write it as '#rrggbb'.")
    return text


def clean_file_name(name: object) -> str:
    """Return the last part of what a picture is called, as text for people."""
    text = str(name).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    return clean_text(text[:MAX_NAME], "A file name", MAX_NAME, one_line=True) or "image"


def is_link(path: Path) -> bool:
    """Say whether a path is a symbolic link."""
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except OSError:
        return False


def read_bytes(path: Path, limit: int) -> bytes:
    """Return a plain file's bytes; no link is followed, no device or pipe is opened.

    Raises
    ------
    StoreError
        If it is none, larger than ``limit`` bytes, or cannot be read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        if is_link(path):
            raise StoreError(f"{str(path)!r} is a link and was not followed: put the file there.")
        descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be read: {error.strerror or error}.") from error
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StoreError(f"{str(path)!r} is not a plain file and was not read.")
        if status.st_size > limit:
            raise StoreError(
                f"{str(path)!r} has {status.st_size / 1e6:.0f} MB and was not read: "
                f"at most {limit / 1e6:.0f} MB are expected there."
            )
        try:
            return file.read()
        except OSError as error:
            raise StoreError(f"{str(path)!r} cannot be read: {error.strerror or error}.") from error


def check_folder(folder: Path) -> None:
    """Refuse a folder that is something else than a concept store, or that leads elsewhere.

    Raises
    ------
    StoreError
        With what it is instead.
    """
    if folder.exists() and not folder.is_dir():
        raise StoreError(
            f"{str(folder)!r} is a file: give a folder for the concepts, new or made by a "
            "ConceptStore."
        )
    if not folder.is_dir():
        return
    for name in (INDEX, CONCEPTS, VECTORS, CONFLICTS, STAGING):
        if is_link(folder / name):
            raise StoreError(
                f"{str(folder / name)!r} is a link, and a concept store stays in its own folder: "
                "replace the link by what it points to."
            )
    for name in (CONCEPTS, VECTORS, CONFLICTS, STAGING):
        if (folder / name).exists() and not (folder / name).is_dir():
            raise StoreError(
                f"{str(folder / name)!r} is a file where a concept store has a folder: rename it."
            )
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise StoreError(f"{str(folder)!r} cannot be read: {error.strerror or error}.") from error
    if INDEX in names or CONCEPTS in names:
        return
    strangers = [n for n in names if not n.startswith(".") and n.lower() not in _ALLOWED_BESIDE]
    if strangers:
        shown = ", ".join(repr(name) for name in sorted(strangers)[:3])
        raise StoreError(
            f"{str(folder)!r} is not a concept store: it holds {shown} and no {INDEX}. "
            "Give an empty or new folder."
        )
