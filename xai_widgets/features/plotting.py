"""Draw optimised pictures with Matplotlib, without pyplot's global state."""

import math
from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from xai_widgets.features.settings import count

if TYPE_CHECKING:
    from xai_widgets.features.visualisation import Visualisation

SIDE_INCHES = 2.4
TITLE_WIDTH = 34
"""Letters of a line above a picture."""


def draw_pictures(result: "Visualisation", columns: int = 4) -> Figure:
    """Return a figure of the pictures of a visualisation, each under its objective and value."""
    pairs = zip(result.texts, result.values, strict=True)
    titles = [f"{fill(text, TITLE_WIDTH)}\n{value:.4g}" for text, value in pairs]
    return draw_row(list(result.images), titles, columns)


def draw_row(
    images: Sequence[npt.NDArray[np.uint8]], titles: Sequence[str], columns: int = 4
) -> Figure:
    """Return a figure of pictures under their titles, so many in a row."""
    columns = min(count("columns", columns), len(images))
    rows = math.ceil(len(images) / columns)
    lines = 1 + max(title.count("\n") + 1 for title in titles)
    figure = Figure(
        figsize=(SIDE_INCHES * columns, (SIDE_INCHES + 0.15 * lines) * rows), layout="tight"
    )
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, image, title in zip(axes, images, titles, strict=False):
        ax.imshow(image, interpolation="nearest")
        ax.set_title(title, fontsize=8, parse_math=False)
    return figure
