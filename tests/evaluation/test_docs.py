"""docs/evaluation.md lists the metrics that exist, with what the code says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xai_widgets.evaluation import metrics
from xai_widgets.evaluation.quantus import NAMES

DOCS = Path(__file__).parents[2] / "docs" / "evaluation.md"


def row(record: dict[str, Any]) -> str:
    """Return a metric's row of the table."""
    low, high = record["minimum"], record["maximum"]
    span = "any" if low is None else f"from {low:g}" if high is None else f"{low:g} .. {high:g}"
    cells = [
        f"`{record['metric']}`",
        record["direction"],
        span + (f" {record['unit']}" if record["unit"] else ""),
        record["meaning"],
        ", ".join(record["controls"]).replace("_", " "),
        record["reference"],
    ]
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("record", metrics(), ids=lambda record: record["metric"])
def test_the_table_says_what_the_code_says(record: dict[str, Any]) -> None:
    assert row(record) in DOCS.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_what_quantus_computes_has_one_of_our_names(name: str) -> None:
    assert name in {record["metric"] for record in metrics()}
