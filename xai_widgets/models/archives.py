"""Look into ZIP archives before anything opens them: their members, and where these point."""

import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from xai_widgets.errors import ModelError, TrustError

NO_WAY_OUT = (
    "{file} holds a member called {member!r}, which {why}: no program writes such an archive by "
    "itself, so it is refused, trusted or not. Get the model from its source again."
)


@contextmanager
def opened_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a ZIP archive whose members all stay inside it.

    Raises
    ------
    TrustError
        If a member points outside, is a link, or appears twice.
    ModelError
        If the archive is cut off or damaged.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise ModelError(
            f"{path.name} begins as a ZIP archive but cannot be read as one ({error}): it is "
            "truncated or damaged. Copy or save it again."
        ) from error
    with archive:
        seen: set[str] = set()
        for info in archive.infolist():
            why = _suspicion(info)
            if info.filename in seen:
                why = "appears twice"
            if why is not None:
                raise TrustError(
                    NO_WAY_OUT.format(file=path.name, member=info.filename[:200], why=why)
                )
            seen.add(info.filename)
        yield archive


def read_member(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a member's content.

    Raises
    ------
    ModelError
        If it is damaged.
    """
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"The member {name!r} of {path.name} cannot be read ({error}): the file is damaged. "
            "Copy or save it again."
        ) from error


def _suspicion(info: zipfile.ZipInfo) -> str | None:
    # orig_filename is what is written in the file; zipfile cuts off what follows a null byte.
    for name in (info.filename, info.orig_filename):
        windows = PureWindowsPath(name)
        if PurePosixPath(name).is_absolute() or windows.drive or windows.root:
            return "is an absolute path"
        if ".." in windows.parts:
            return "points outside of the archive"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link"
    return None
