"""Changes of several files that happen whole or not at all, also when the program is killed.

What is new is first written beside the store, in .staging, and forced to disk. A journal that is
put in place by one rename says what is to become of it: that rename is the moment of the change.
Whoever opens the folder next finishes a journal that was left behind, and throws away what has
none. Every step can be repeated, so being killed while finishing does no harm either.
"""

import contextlib
import json
import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xai_widgets.concepts.layout import LOCK, STAGING, is_link, is_ours, read_bytes
from xai_widgets.errors import StoreError

JOURNAL = ".journal"
MAX_JOURNAL = 64_000_000
LOCK_SECONDS = 20.0
SYNC_THREADS = 16


class Change:
    """What a change does to the folder: files written, moved and deleted.

    Paths are relative to the store, with forward slashes.
    """

    def __init__(self) -> None:
        self.writes: dict[str, bytes] = {}
        self.moves: dict[str, str] = {}
        self.deletes: list[str] = []

    def write(self, path: str, data: bytes) -> None:
        """Let a file have these bytes."""
        self.writes[path] = data

    def move(self, source: str, target: str) -> None:
        """Let a file lie elsewhere."""
        self.moves[source] = target

    def delete(self, path: str) -> None:
        """Let a file be gone."""
        self.deletes.append(path)

    def commit(self, root: Path) -> None:
        """Carry the change out; on return it is on disk.

        Raises
        ------
        StoreError
            If the disk refuses, in which case nothing has changed.
        """
        for path in (*self.writes, *self.moves, *self.moves.values(), *self.deletes):
            if not is_ours(path):
                raise StoreError(f"{path!r} is not a file of a concept store and is not touched.")
        staged = _Staged(root, uuid.uuid4().hex)
        try:
            if len(self.writes) == 1 and not self.moves and not self.deletes:
                self._write_one(root, staged)
            else:
                self._write_many(root, staged)
        except OSError as error:
            raise StoreError(
                f"The change cannot be saved in {str(root)!r}: {error.strerror or error}. "
                "Nothing has changed; make room or allow writing there, and try again."
            ) from error

    def _write_one(self, root: Path, staged: "_Staged") -> None:
        ((path, data),) = self.writes.items()
        try:
            _write_durably({staged.file(0): data})
            _prepare(root, path)
            os.replace(staged.file(0), root / path)
        finally:
            staged.throw_away()
        sync_folder((root / path).parent)

    def _write_many(self, root: Path, staged: "_Staged") -> None:
        if not (self.writes or self.moves or self.deletes):
            return
        journal = {
            "writes": list(self.writes),
            "moves": list(self.moves.items()),
            "deletes": self.deletes,
        }
        try:
            new = {staged.file(n): data for n, data in enumerate(self.writes.values())}
            _write_durably({**new, staged.unsigned: json.dumps(journal).encode()})
            for path in (*self.writes, *self.moves.values()):
                _prepare(root, path)
            os.replace(staged.unsigned, staged.journal)
            sync_folder(staged.folder)
        except BaseException:
            staged.throw_away()
            raise
        try:
            _finish(root, staged, journal)
        except OSError as error:
            raise StoreError(
                f"The change was decided on but not finished in {str(root)!r}: "
                f"{error.strerror or error}. It is finished when the store is next used."
            ) from error


class _Staged:
    """The files of one change before they are in place."""

    def __init__(self, root: Path, name: str) -> None:
        self.folder = root / STAGING
        self.name = name
        self.journal = self.folder / f"{name}{JOURNAL}"
        self.unsigned = self.folder / f"{name}.new"

    def file(self, number: int) -> Path:
        """Return where a file lies until it is in place."""
        return self.folder / f"{self.name}.{number}"

    def throw_away(self) -> None:
        """Remove all of it, the journal first: without one there is nothing to finish."""
        with contextlib.suppress(OSError):
            self.journal.unlink(missing_ok=True)
            for path in self.folder.glob(f"{self.name}.*"):
                path.unlink(missing_ok=True)


def recover(root: Path) -> None:
    """Finish what a killed program had decided on, and throw away what it had not.

    To be called by the holder of the lock.
    """
    if not (root / STAGING).is_dir() or is_link(root / STAGING):
        return
    names = sorted(os.listdir(root / STAGING))
    for name in names:
        if name.endswith(JOURNAL):
            staged = _Staged(root, name.removesuffix(JOURNAL))
            journal = _read_journal(staged.journal)
            if journal is not None:
                _finish(root, staged, journal)
    for path in (root / STAGING).iterdir():
        if path.is_dir() and not is_link(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _read_journal(path: Path) -> dict[str, Any] | None:
    """Return a journal whose every path is one of ours; anything else never was one."""
    try:
        journal = json.loads(read_bytes(path, MAX_JOURNAL))
        writes, moves, deletes = (list(journal[key]) for key in ("writes", "moves", "deletes"))
        paths = [*writes, *deletes, *(path for pair in moves for path in pair)]
        if not all(isinstance(path, str) and is_ours(path) for path in paths):
            return None
        if any(len(pair) != 2 for pair in moves):
            return None
    except (StoreError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return {"writes": writes, "moves": moves, "deletes": deletes}


def _finish(root: Path, staged: _Staged, journal: dict[str, Any]) -> None:
    folders = set()
    for number, path in enumerate(journal["writes"]):
        if staged.file(number).exists():
            _prepare(root, path)
            os.replace(staged.file(number), root / path)
        folders.add((root / path).parent)
    for source, target in journal["moves"]:
        if (root / source).exists():
            _prepare(root, source)
            _prepare(root, target)
            os.replace(root / source, root / target)
        folders.update({(root / source).parent, (root / target).parent})
    for path in journal["deletes"]:
        if (root / path).parent.exists():
            _prepare(root, path)
            (root / path).unlink(missing_ok=True)
        folders.add((root / path).parent)
    for folder in folders:
        if folder.exists():
            sync_folder(folder)
    for folder in sorted(folders, key=lambda folder: -len(folder.parts)):
        _remove_if_empty(root, folder)
    # Forgotten for good before anything else is done, or a crash would bring it about once more.
    staged.journal.unlink(missing_ok=True)
    sync_folder(staged.folder)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, and force their names to disk."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)
        sync_folder(new.parent)


def _prepare(root: Path, path: str) -> None:
    """Make the folders of a file, none of which may be a link to somewhere else."""
    folder = root
    for part in Path(path).parts[:-1]:
        folder = folder / part
        if is_link(folder):
            raise StoreError(f"{str(folder)!r} is a link and is not written through.")
        make_folder(folder)


def _remove_if_empty(root: Path, folder: Path) -> None:
    """Remove the folder of a concept that holds nothing any more."""
    while folder != root and folder.parent != root:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _write_durably(files: dict[Path, bytes]) -> None:
    """Write new files and force them to disk, several at a time: file systems do that together."""
    for folder in {path.parent for path in files}:
        make_folder(folder)
    for path, data in files.items():
        with path.open("xb") as file:
            file.write(data)
    if len(files) == 1:
        _sync_file(*files)
        return
    with ThreadPoolExecutor(max_workers=min(SYNC_THREADS, len(files))) as pool:
        list(pool.map(_sync_file, files))


def _sync_file(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_file(path: Path, data: bytes) -> None:
    """Write one file anywhere, whole or not at all; on return it is on disk.

    Raises
    ------
    StoreError
        If the disk refuses.
    """
    partial = path.with_name(f".{path.name[:80]}.{uuid.uuid4().hex}.partial")
    try:
        make_folder(path.parent)
        try:
            _write_durably({partial: data})
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be written: {error.strerror or error}.") from error


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to disk, where the system lets folders be opened."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except (PermissionError, IsADirectoryError):
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(root: Path) -> Iterator[bool]:
    """Hold the folder for oneself; yields False where nothing may be written there.

    A lock ends with the program that holds it, however that ends.

    Raises
    ------
    StoreError
        If another program holds the folder for 20 s.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(root / LOCK, flags, 0o666)
    except OSError:
        yield False
        return
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise StoreError(
                    f"Another program has been writing to {str(root)!r} for {LOCK_SECONDS:.0f} s: "
                    "wait for it or stop it, and try again. Nothing has changed."
                )
            time.sleep(0.005)
        yield True
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            # A network folder without locks: versions are still compared before each write.
            return True
        return True
