"""Draw optimised pictures with Matplotlib, without pyplot's global state."""

import math
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from xai_widgets.features.visualisation import Visualisation

SIDE_INCHES = 2.4


def draw_pictures(result: "Visualisation", columns: int = 4) -> Figure:
    """Return a figure of the pictures of a visualisation, each under its objective and value."""
    columns = max(1, min(columns, len(result)))
    rows = math.ceil(len(result) / columns)
    figure = Figure(figsize=(SIDE_INCHES * columns, (SIDE_INCHES + 0.5) * rows), layout="tight")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, image, text, value in zip(
        axes, result.images, result.texts, result.values, strict=False
    ):
        ax.imshow(image, interpolation="nearest")
        ax.set_title(f"{text}\n{value:.4g}", fontsize=8, parse_math=False, wrap=True)
    return figure
