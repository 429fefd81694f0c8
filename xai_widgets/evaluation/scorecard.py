"""What passed, what failed, and what that means: records in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xai_widgets.evaluation.base import Metric
from xai_widgets.evaluation.controls import MEANINGS
from xai_widgets.evaluation.records import summarise
from xai_widgets.evaluation.registry import METRICS

SANITY_LIMIT = 0.5
GAP_LIMIT = 0.05

MARKS = {"passed": "+", "failed": "-", "unclear": "?", "described": "o", "not computed": "x"}


@dataclass(frozen=True)
class Line:
    """One line of a scorecard.

    Attributes
    ----------
    method, metric
        What was judged, by what.
    outcome
        "passed", "failed", "unclear" (the interval holds both), "described" (by a metric that does
        not judge) or "not computed".
    text
        Why, and what it means.
    """

    method: str
    metric: str
    outcome: str
    text: str


@dataclass(frozen=True)
class Scorecard:
    """A verdict in words on every method."""

    lines: tuple[Line, ...]

    def __str__(self) -> str:
        """Return one block a method."""
        blocks = []
        for method in dict.fromkeys(line.method for line in self.lines):
            own = [line for line in self.lines if line.method == method]
            tests = [line for line in own if line.outcome in ("passed", "failed", "unclear")]
            passed = sum(line.outcome == "passed" for line in own)
            said = [f"  {MARKS[line.outcome]} {line.text}" for line in own]
            blocks.append("\n".join([f"{method}: {passed} of {len(tests)} tests passed", *said]))
        return "\n\n".join(blocks)

    def to_dict(self) -> list[dict[str, str]]:
        """Return the lines as records."""
        return [vars(line).copy() for line in self.lines]


def scorecard(records: Sequence[dict[str, Any]]) -> Scorecard:
    """Say in words what passed and what failed.

    A score passes where the interval of its gain over the hardest control lies above zero, fails
    where it lies below, and is unclear in between. Weight and data randomisation pass below 0.5,
    the completeness gap below 5 %.

    Parameters
    ----------
    records
        Of `evaluate`.
    """
    return Scorecard(tuple(_line(row) for row in summarise(records)))


def _line(row: dict[str, Any]) -> Line:
    kind = METRICS[row["metric"]]
    if row["mean"] is None:
        why = row["notes"][0] if row["notes"] else f"{kind.title}: there are no pictures."
        return Line(row["method"], row["metric"], "not computed", why)
    outcome, against = _outcome(kind, row)
    said = {
        "passed": kind.meaning,
        "failed": kind.failing,
        "unclear": "these pictures do not decide; give more of them",
        "described": f"the {row['direction']}, the more: {kind.meaning}",
    }[outcome]
    spread = "" if row["low"] is None else f"{row['low']:.3g} to {row['high']:.3g}, "
    n = f"{row['n_images']} picture{'s' if row['n_images'] > 1 else ''}"
    failed = f", {row['n_failed']} failed" if row["n_failed"] else ""
    numbers = f"{row['mean']:.3g} ({spread}{n}{failed})"
    mark = "" if outcome == "described" else f" {outcome}"
    text = f"{kind.title}{mark}: {said}. It is {numbers}, {against}."
    return Line(row["method"], row["metric"], outcome, text)


def _outcome(kind: type[Metric], row: dict[str, Any]) -> tuple[str, str]:
    """Return the outcome of a row, and what it is held against."""
    limit = _limit(row["metric"])
    if limit is not None:
        low, high = (row["mean"] if row[end] is None else row[end] for end in ("low", "high"))
        outcome = "passed" if high <= limit else "failed" if low > limit else "unclear"
        return outcome, f"and the limit is {limit:g}"
    if row["control_name"] is None:
        return ("unclear" if kind.judges else "described"), "and there was no control"
    against = f"and {row['control_mean']:.3g} for {MEANINGS[row['control_name']]}"
    return (_gained(row["gain_low"], row["gain_high"]) if kind.judges else "described"), against


def _limit(metric: str) -> float | None:
    if metric == "completeness_gap":
        return GAP_LIMIT
    return SANITY_LIMIT if metric in ("weight_randomisation", "data_randomisation") else None


def _gained(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "unclear"
    return "passed" if low > 0 else "failed" if high < 0 else "unclear"
