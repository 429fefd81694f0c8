"""A PNG of where one token attends: the picture, its heads' mean, and every head."""

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_widgets.models.primitives import PreparedImage
from xai_widgets.plotting import caption

if TYPE_CHECKING:
    from xai_widgets.widgets.attention.record import ShownLayer

COLOURS = "inferno"
OPACITY = 0.7
HEADS_A_ROW = 4


def draw_attention(
    image: PreparedImage, layer: "ShownLayer", number: int, total: int, head: str | int, token: int
) -> bytes:
    """Draw the picture with the query, where it attends, and the same for every head.

    Parameters
    ----------
    number, total
        Of the layer, from 1.
    head
        "mean", "max", "rollout" or a head's position, from 0.
    token
        The query, as its position among the tokens.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec
    from matplotlib.patches import Rectangle

    rows = np.asarray(layer.weights[:, token, layer.grid.patches], dtype=np.float32)
    shown = {
        "mean": lambda: rows[:-1].mean(axis=0),
        "max": lambda: rows[:-1].max(axis=0),
        "rollout": lambda: rows[-1],
    }.get(str(head), lambda: rows[int(head)])()
    in_a_row = 2 if layer.heads <= HEADS_A_ROW else HEADS_A_ROW
    span = HEADS_A_ROW // in_a_row
    height = math.ceil(layer.heads / in_a_row)
    figure = Figure(figsize=(10, max(3.4, 1.7 * height)), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    grid = GridSpec(height, 2 * HEADS_A_ROW, figure=figure)
    pane = max(2, HEADS_A_ROW // 2)

    def draw(ax: Any, values: Any, title: str, drawn: bool = True) -> None:
        if drawn:
            # Grey below the colours, so that every colour is the attention's.
            ax.imshow(image.display.pixels.mean(axis=2), cmap="gray", vmin=0, vmax=255)
            _overlay(ax, image, layer, values)
        else:
            ax.imshow(image.display.pixels)
        caption(ax, title)

    picture = figure.add_subplot(grid[:, :pane])
    draw(picture, shown, f"Query: {token_name(layer, token)}", drawn=False)
    patch = token - layer.grid.prefix
    if patch >= 0:
        x, y, width, tall = _patch(image, layer, patch)
        picture.add_patch(Rectangle((x, y), width, tall, fill=False, edgecolor="white", lw=3))
        picture.add_patch(Rectangle((x, y), width, tall, fill=False, edgecolor="#1565c0", lw=1.5))
    named = {"mean": "mean of heads", "max": "largest of heads", "rollout": "rollout"}
    name = named.get(str(head), f"head {int(head) + 1}" if str(head).isdigit() else "")
    draw(
        figure.add_subplot(grid[:, pane : 2 * pane]),
        shown,
        f"Layer {number} of {total}, {name}",
    )
    for index in range(layer.heads):
        start = 2 * pane + span * (index % in_a_row)
        place = grid[index // in_a_row, start : start + span]
        draw(figure.add_subplot(place), rows[index], f"{index + 1}")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def token_name(layer: "ShownLayer", token: int) -> str:
    """Name a token for people: "CLS", "register 2" or "patch row 3, column 5", from 1."""
    prefix = layer.grid.prefix
    if token < prefix:
        return "CLS" if token == 0 else f"register {token}"
    row, column = divmod(token - prefix, layer.grid.columns)
    return f"patch row {row + 1}, column {column + 1}"


def _overlay(ax: Any, image: PreparedImage, layer: "ShownLayer", values: Any) -> None:
    placement = image.placement
    left, top = placement.x - 0.5, placement.y - 0.5
    limit = float(values.max()) or 1.0
    heat = values.reshape(layer.grid.rows, layer.grid.columns)
    ax.imshow(
        heat,
        cmap=COLOURS,
        vmin=0,
        vmax=limit,
        alpha=OPACITY,
        extent=(left, left + placement.width, top + placement.height, top),
        interpolation="nearest",
    )
    ax.set_xlim(-0.5, image.display.width - 0.5)
    ax.set_ylim(image.display.height - 0.5, -0.5)


def _patch(image: PreparedImage, layer: "ShownLayer", patch: int) -> tuple[float, ...]:
    row, column = divmod(patch, layer.grid.columns)
    width = image.placement.width / layer.grid.columns
    height = image.placement.height / layer.grid.rows
    left, top = image.placement.x - 0.5, image.placement.y - 0.5
    return left + column * width, top + row * height, width, height
