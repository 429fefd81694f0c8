"""Explanations in matplotlib, drawn on figures of their own and never through pyplot's state."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xai_widgets.explanation import Explanation


def colour_scale(explanation: "Explanation") -> tuple[str, float, float]:
    """Return colour map and limits: zero-centred for signed maps, from zero for others."""
    from xai_widgets.explanation import MAGNITUDE_COLOURS, SIGNED_COLOURS

    heatmap = explanation.heatmap
    limit = float(np.abs(heatmap).max(initial=0.0)) or 1.0
    return (
        (SIGNED_COLOURS, -limit, limit) if explanation.signed else (MAGNITUDE_COLOURS, 0.0, limit)
    )


def fade(heatmap: npt.NDArray[np.float32], limit: float, opacity: float) -> Any:
    """Return the opacity of each pixel: weak attribution lets the picture through."""
    return opacity * np.sqrt(np.clip(np.abs(heatmap) / limit, 0.0, 1.0))


def draw_overlay(explanation: "Explanation", ax: "Axes | None", opacity: float) -> "Axes":
    """Draw the heat map over the picture, with a colour bar; see `Explanation.plot`."""
    if ax is None:
        from matplotlib import pyplot as plt

        ax = plt.subplots(figsize=(5, 4.2), layout="constrained")[1]
    colours, low, high = colour_scale(explanation)
    ax.imshow(explanation.image.display.pixels)
    drawn = ax.imshow(
        explanation.heatmap,
        cmap=colours,
        vmin=low,
        vmax=high,
        alpha=fade(explanation.heatmap, high, opacity),
    )
    caption(ax, f"{explanation.title}: {explanation.target_text}")
    bar = ax.figure.colorbar(drawn, ax=ax, shrink=0.85)
    if bar.solids is not None:
        bar.solids.set_alpha(1.0)
    return ax


def draw_figure(explanation: "Explanation") -> "Figure":
    """Draw picture, map and overlay side by side on a figure that pyplot does not know."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3)
    colours, low, high = colour_scale(explanation)
    axes[0].imshow(explanation.image.display.pixels)
    caption(axes[0], explanation.image.display.name)
    axes[1].imshow(explanation.heatmap, cmap=colours, vmin=low, vmax=high)
    caption(axes[1], explanation.title)
    draw_overlay(explanation, axes[2], opacity=0.75)
    caption(axes[2], f"for {explanation.target_text}, score {explanation.score:.3g}")
    return figure


def caption(ax: "Axes", text: str) -> None:
    """Title axes with plain text, dollar signs included, and hide their ticks."""
    ax.set_title(text.replace("$", r"\$"), fontsize=10)
    ax.set_xticks([])
    ax.set_yticks([])
