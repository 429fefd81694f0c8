"""Time contenders in turn, round by round, so that a noisy machine is noisy for all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One row of the report: a ratio, and what it has to be."""

    what: str
    ratio: float
    low: float
    high: float
    goal: str
    reached: bool

    def __str__(self) -> str:
        """Format as a row of a Markdown table."""
        verdict = "yes" if self.reached else "**no**"
        spread = f"{self.low:.3g} .. {self.high:.3g}"
        return f"| {self.what} | {self.ratio:.3g} | {spread} | {self.goal} | {verdict} |"


HEADER = "| what | ratio (median) | rounds | goal | reached |\n|---|---|---|---|---|"


def time_in_turn(
    contenders: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Return the seconds of each contender in each round; every round starts with another one."""
    names = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(-warm_up, rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            started = time.perf_counter()
            contenders[name]()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def compare(
    what: str, ours: list[float], theirs: list[float], at_most: float | None = None
) -> Line:
    """Return the ratio ours / theirs, paired by round."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    median = statistics.median(ratios)
    goal = "-" if at_most is None else f"<= {at_most:g}"
    reached = at_most is None or median <= at_most
    return Line(what, median, min(ratios), max(ratios), goal, reached)
