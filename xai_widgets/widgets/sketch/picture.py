"""A sketch pad as a static picture: the drawing, what the model sees with the map, its answer."""

import io
from typing import Any

import numpy as np

from xai_widgets.explanation import Explanation
from xai_widgets.models.images import Pixels
from xai_widgets.plotting import caption, colour_scale, fade

SHOWN = 5
OPACITY = 0.7


def draw_pad(
    drawing: Pixels,
    picture: Pixels,
    explanation: Explanation | None,
    answers: list[tuple[str, float]],
    probable: bool,
) -> bytes:
    """Draw a pad as a PNG.

    Parameters
    ----------
    drawing
        The whole pad, uint8 [H, W, 3].
    picture
        What the model was given, uint8 [h, w, 3].
    explanation
        Of that picture; None where there is none.
    answers
        Labels with values, the largest first.
    probable
        Whether the values are probabilities.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3)
    axes[0].imshow(drawing)
    caption(axes[0], "Drawing")
    axes[1].imshow(picture, interpolation="nearest")
    title = "What the model sees"
    if explanation is not None:
        colours, low, high = colour_scale(explanation)
        alpha: Any = fade(explanation.heatmap, high, OPACITY)
        axes[1].imshow(explanation.heatmap, cmap=colours, vmin=low, vmax=high, alpha=alpha)
        title = f"{explanation.title} for {explanation.target_text}"
    caption(axes[1], title)
    shown = answers[:SHOWN]
    places = np.arange(len(shown))[::-1]
    axes[2].barh(places, [value for _, value in shown], color="#1976d2", height=0.6)
    axes[2].set_yticks(places, [name.replace("$", r"\$") for name, _ in shown])
    if probable:
        axes[2].set_xlim(0, 1)
    axes[2].set_title("Probability" if probable else "Score", fontsize=10)
    axes[2].spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
