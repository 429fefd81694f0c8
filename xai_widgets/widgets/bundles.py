"""Read the built browser code that ships inside the package."""

from functools import lru_cache
from pathlib import Path

from xai_widgets.errors import XaiError

STATIC = Path(__file__).parent.parent / "static"


@lru_cache
def bundle(name: str) -> str:
    """Return the text of a built file, "explorer.js" or "explorer.css".

    It is handed to anywidget as text: given as a path, a widget is never released
    (https://github.com/manzt/anywidget/issues/929).

    Raises
    ------
    XaiError
        If the file was never built.
    """
    path = STATIC / name
    if not path.exists():
        raise XaiError(
            f"The browser code {name!r} is missing from this installation: install Node 20 or "
            "newer and run `pip install .` again, or install a released wheel."
        )
    return path.read_text(encoding="utf-8")
