"""Run the benchmarks and write their table: ``make bench`` or ``python -m benchmarks NAME``."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.paired import HEADER, Line

NAMES = ("attribution", "keras", "memory", "opacity", "readiness")
RESULTS = Path(__file__).parent / "RESULTS.md"


def main() -> None:
    """Run what was asked for, print it, and write the table where everything was run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="which; default all")
    names = parser.parse_args().names or NAMES
    lines: list[Line] = []
    for name in names:
        print(f"{name} ...", flush=True)
        found = importlib.import_module(f"benchmarks.{name}").run()
        lines += found
        print("\n".join([HEADER, *map(str, found)]), flush=True)
    if tuple(names) == NAMES:
        RESULTS.write_text(report(lines), encoding="utf-8")


def report(lines: list[Line]) -> str:
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
            HEADER,
            *map(str, lines),
            "",
        ]
    )


if __name__ == "__main__":
    main()
