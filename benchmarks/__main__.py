"""Run the benchmarks and write their table: ``make bench`` or ``python -m benchmarks NAME``."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.paired import HEADER, Line
from benchmarks.tables import Table

NAMES = (
    "attribution",
    "keras",
    "memory",
    "opacity",
    "scrubbing",
    "sketch",
    "readiness",
    "quadrature",
    "perturbation",
    "localisation",
    "tcav",
    "tcav_features",
    "tcav_chance",
    "evaluation",
    "features",
    "comparison",
)
RESULTS = Path(__file__).parent / "RESULTS.md"


def main() -> None:
    """Run what was asked for, print it, and write the table where everything was run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="which; default all")
    names = parser.parse_args().names or NAMES
    found: list[Line | Table] = []
    for name in names:
        print(f"{name} ...", flush=True)
        new = importlib.import_module(f"benchmarks.{name}").run()
        found += new
        print("\n".join(_sections(new)), flush=True)
    if tuple(names) == NAMES:
        RESULTS.write_text(report(found), encoding="utf-8")


def _sections(found: list[Line | Table]) -> list[str]:
    """Return the ratios in one table, and the other tables after it."""
    ratios = [str(line) for line in found if isinstance(line, Line)]
    tables = [text for line in found if isinstance(line, Table) for text in ("", str(line))]
    return [*([HEADER, *ratios] if ratios else []), *tables]


def report(found: list[Line | Table]) -> str:
    """Return the table as a Markdown page."""
    import torch

    return "\n".join(
        [
            "# Benchmarks",
            "",
            "Written by `make bench`. Ratios of times measured in turn in one run; smaller is "
            "better unless the goal says otherwise.",
            "",
            f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, "
            f"PyTorch {torch.__version__}, {os.cpu_count()} cores.",
            "",
            *_sections(found),
            "",
        ]
    )


if __name__ == "__main__":
    main()
