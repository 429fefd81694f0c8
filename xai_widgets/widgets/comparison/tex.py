"""A comparison as a LaTeX table: a row for each series of pictures, a column for each metric."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xai_widgets.errors import XaiError
from xai_widgets.evaluation.records import grouped
from xai_widgets.widgets.checking import plain
from xai_widgets.widgets.comparison.table import ENTRIES, records

if TYPE_CHECKING:
    from xai_widgets.widgets.comparison.comparison import Comparison

SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}
ARROWS = {"higher": r"$\uparrow$", "lower": r"$\downarrow$"}
HEADINGS = {"model": "Model", "method": "Method", "layer_asked": "Layer", "target_asked": "Target"}


def escaped(text: str) -> str:
    """Return text as LaTeX shows it: nothing in it is a command or a comment."""
    one_line = " ".join(str(text).split())
    return re.sub("|".join(map(re.escape, SPECIAL)), lambda found: SPECIAL[found[0]], one_line)


def to_tex(comparison: "Comparison", provenance: Mapping[str, Any]) -> str:
    """Return the table, in the style of the package booktabs, its provenance as comments.

    Raises
    ------
    XaiError
        If no metric is shown.
    """
    if not comparison.metrics:
        raise XaiError("A table needs a metric: set the trait `metrics`, as in ['deletion'].")
    rows = records(comparison)
    series = list(grouped(rows, ("method", *ENTRIES)).values())
    named = [name for name in HEADINGS if name == "method" or _differs(rows, name)]
    metrics = list(comparison.metrics)
    means = [_means(group) for group in series]
    best = {
        name: _best([mean.get(name) for mean in means], comparison.metric_of[name].direction)
        for name in metrics
    }
    titles = {
        subject.label: comparison.axes.title("methods", at)
        for at, subject in enumerate(comparison.axes.subjects)
    }
    lines = []
    for group, mean in zip(series, means, strict=True):
        first = group[0]
        cells = [
            escaped(titles[first["method"]] if name == "method" else first[name]) for name in named
        ]
        cells += [_number(group, name, mean.get(name) == best[name]) for name in metrics]
        lines.append(f"{' & '.join(cells)} \\\\")
    head = [HEADINGS[name] for name in named]
    head += [
        f"{escaped(comparison.metric_of[name].title)} "
        f"{ARROWS[comparison.metric_of[name].direction]}"
        for name in metrics
    ]
    n = len({record["image_index"] for record in rows})
    told = json.dumps(plain(dict(provenance)), sort_keys=True)
    return "\n".join(
        [
            "% Needs \\usepackage{booktabs}. Means over pictures, 95 % intervals in brackets.",
            f"% Pictures: {n}. The arrow says which way is better; the best mean is bold.",
            f"% Provenance: {told}",
            f"\\begin{{tabular}}{{{'l' * len(named)}{'r' * len(metrics)}}}",
            "\\toprule",
            f"{' & '.join(head)} \\\\",
            "\\midrule",
            *lines,
            "\\bottomrule",
            "\\end{tabular}",
            "",
        ]
    )


def _differs(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    return len({row[name] for row in rows}) > 1


def _means(group: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {row["metric"]: row["mean"] for row in group if row["mean"] is not None}


def _best(values: Sequence[float | None], direction: str) -> float | None:
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return None
    return max(known) if direction == "higher" else min(known)


def _number(group: Sequence[Mapping[str, Any]], name: str, is_best: bool) -> str:
    row = next(row for row in group if row["metric"] == name)
    if row["mean"] is None:
        return "--"
    text = f"{row['mean']:.3f}"
    text = f"\\textbf{{{text}}}" if is_best else text
    return text if row["low"] is None else f"{text} [{row['low']:.3f}, {row['high']:.3f}]"
