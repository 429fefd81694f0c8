"""A table of measurements that are no ratios of times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows under a title, with a sentence on how to read them.

    Attributes
    ----------
    title, text
        Heading and explanation.
    header, rows
        Cells, as text or numbers.
    """

    title: str
    text: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]

    def __str__(self) -> str:
        """Format as a Markdown section."""
        lines = [f"## {self.title}", "", self.text, "", _row(self.header)]
        lines.append("|" + "---|" * len(self.header))
        return "\n".join([*lines, *map(_row, self.rows)])


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:.3g}"
    return str(value)
