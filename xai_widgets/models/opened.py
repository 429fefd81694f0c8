"""`Opened`: what a file turned out to hold, and what was allowed for it."""

from dataclasses import dataclass, field
from typing import Any

from xai_widgets.models.carried import Carried


@dataclass(frozen=True, eq=False)
class Opened:
    """A model read from a file.

    Attributes
    ----------
    source
        The model object that an adapter takes.
    format
        A name of `xai_widgets.models.formats.FORMATS`.
    trusted
        True if code inside of the file was allowed to run.
    carried
        Labels and preprocessing found in the file or beside it.
    notes
        Sentences on what was assumed while opening.
    """

    source: Any
    format: str
    trusted: bool = False
    carried: Carried = field(default_factory=Carried)
    notes: tuple[str, ...] = ()


def refusal(name: str, what: str, instead: str) -> str:
    """Say why a file is refused, what is safe, and how to insist."""
    return (
        f"{name} {what}: it is refused. {instead} "
        "If you know where the file comes from, pass trust=True (on the command line --trust)."
    )
