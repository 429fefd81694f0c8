"""Write a result to a file whose suffix says what of it."""

from collections.abc import Callable, Mapping
from pathlib import Path

from xai_widgets.errors import XaiError
from xai_widgets.explanation import write_whole


def save_as(path: str | Path, writers: Mapping[str, Callable[[], bytes]], what: str) -> Path:
    """Write what the writer of a path's suffix returns, whole or not at all.

    Parameters
    ----------
    path
        Where.
    writers
        {".png": returns the file's bytes}.
    what
        Names the result in sentences: "A dream".

    Raises
    ------
    XaiError
        If the suffix has no writer, or the folder does not exist.
    """
    path = Path(path)
    if path.suffix.lower() not in writers:
        raise XaiError(
            f"{what} cannot be saved as {path.suffix or path.name!r}: use one of "
            f"{', '.join(writers)}."
        )
    if not path.parent.is_dir():
        raise XaiError(f"The folder {str(path.parent)!r} does not exist: create it first.")
    write_whole(path, writers[path.suffix.lower()]())
    return path
