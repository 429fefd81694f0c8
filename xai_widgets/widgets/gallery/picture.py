"""A PNG of a gallery: the enlarged picture, its page, and the images that excite it."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xai_widgets.plotting import caption

if TYPE_CHECKING:
    from xai_widgets.widgets.gallery.job import Page
    from xai_widgets.widgets.gallery.look import Excited
    from xai_widgets.widgets.gallery.record import Optimised

ACROSS = 8
LARGE = 4
"""Columns of the enlarged picture, and rows."""


def draw_gallery(
    title: str,
    page: "Page",
    records: Mapping[int, "Optimised"],
    shown: int | None,
    exciting: Sequence["Excited"],
    name: str,
) -> bytes:
    """Draw a page with the enlarged picture on its left.

    Parameters
    ----------
    title
        Name of the model.
    page, records
        What is shown, and its pictures as far as they are.
    shown
        Which of them is enlarged.
    exciting
        Images that excite it most.
    name
        What is enlarged, for people.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = math.ceil(len(page.items) / ACROSS)
    seen = list(exciting[:ACROSS])
    height = max(LARGE, rows + bool(seen))
    figure = Figure(figsize=(12, 1.05 * height + 0.5), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(height, LARGE + ACROSS)
    of = f", {page.layer}" if page.layer else ""
    figure.suptitle(f"{title}{of}", fontsize=10, x=0.01, ha="left")
    record = None if shown is None else records.get(shown)
    if record is not None:
        first, last = record.history[0][1], record.history[-1][1]
        large = figure.add_subplot(grid[:LARGE, :LARGE])
        _draw(large, record.picture, f"{name}\n{first:.3g} to {last:.3g}")
    for place, index in enumerate(page.items):
        row, column = divmod(place, ACROSS)
        ax = figure.add_subplot(grid[row, LARGE + column])
        if index in records:
            _draw(ax, records[index].picture, page.names[index])
        else:
            ax.set_axis_off()
    for place, each in enumerate(seen):
        _draw(figure.add_subplot(grid[rows, LARGE + place]), each.crop, f"{each.value:.3g}")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _draw(ax: Any, pixels: Any, text: str) -> None:
    ax.imshow(pixels)
    caption(ax, text)
