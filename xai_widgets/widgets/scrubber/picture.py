"""Pictures of a scrubbed path, made in Python: a figure of the sweep, and single frames of it."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.explainers.path_stack import PathStack
from xai_widgets.explanation import SIGNED_COLOURS, Explanation

Pixels = npt.NDArray[np.uint8]
SHOWN = 5
LINES = {"target": "#1565c0", "class": "#5c6bc0", "contrast": "#c2571a", "runner-up": "#757575"}


def largest(maps: Any) -> float:
    """Return what has the last colour: the 99.5th percentile of the magnitude, never zero."""
    size = np.abs(maps)
    return float(np.percentile(size, 99.5)) or float(size.max(initial=0.0)) or 1.0


def interpolated(stack: PathStack, path: Mapping[str, Any], index: int) -> Pixels:
    """Return what the model saw at a point, uint8 [H, W, 3]."""
    position = stack.positions[index]
    for part in stack.parts:
        if part.pictures is not None and position in part.positions:
            return np.asarray(part.pictures[part.positions.index(position)])
    first, last = path["ends"].astype(np.float32)
    alpha = stack.alphas[index]
    return np.asarray(np.round(first + alpha * (last - first)), dtype=np.uint8)


def draw_sweep(stack: PathStack, explanation: Explanation, path: Mapping[str, Any]) -> bytes:
    """Draw some steps side by side (picture and attribution so far), and the charts, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    alphas, scores, accumulated = stack.alphas, stack.scores, stack.accumulated
    figure = Figure(figsize=(10, 6.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(3, SHOWN, height_ratios=[1, 1, 0.8])
    scale = largest(accumulated[-1])
    chosen = [int(np.abs(alphas - at).argmin()) for at in np.linspace(0, 1, SHOWN)]
    for column, index in enumerate(chosen):
        above, below = (figure.add_subplot(grid[row, column]) for row in (0, 1))
        above.imshow(interpolated(stack, path, index))
        above.set_title(f"\N{GREEK SMALL LETTER ALPHA} = {alphas[index]:.2f}", fontsize=9)
        below.imshow(accumulated[index], cmap=SIGNED_COLOURS, vmin=-scale, vmax=scale)
        below.set_title(f"sum {accumulated[index].sum():+.3g}", fontsize=9)
        for ax in (above, below):
            ax.set_axis_off()
    chart = figure.add_subplot(grid[2, :3])
    for line, values in zip(path["series"], scores.T, strict=True):
        chart.plot(alphas, values, color=LINES[line["role"]], label=line["text"])
    chart.set_title("Score along the path", fontsize=9, loc="left")
    chart.legend(fontsize=8, frameon=False)
    gap = figure.add_subplot(grid[2, 3:])
    gap.plot(alphas, scores[:, 0] - scores[0, 0], color="#9aa5b1", label="f(x) - f(baseline)")
    sums = accumulated.sum(axis=(1, 2))
    gap.plot(alphas, sums, color=LINES["target"], linestyle="--", label="attribution so far")
    delta = explanation.diagnostics["convergence_delta"]
    gap.set_title(f"Completeness, gap {delta:+.3g}", fontsize=9, loc="left")
    gap.legend(fontsize=8, frameon=False)
    for ax in (chart, gap):
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    start = "a blurred picture" if path["path"] == "blur" else path["baseline"]
    if path["draws"] > 1:
        start = f"{path['draws']} draws of {start}"
    title = f"{explanation.title} for {explanation.target_text}, from {start}"
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
