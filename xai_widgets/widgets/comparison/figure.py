"""A comparison as a figure for publications, drawn without pyplot: the grid as it is on screen."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_widgets.errors import MetricError, XaiError
from xai_widgets.evaluation.checks import is_number, whole
from xai_widgets.explanation import MAGNITUDE_COLOURS, SIGNED_COLOURS
from xai_widgets.plotting import fade
from xai_widgets.widgets.comparison.axes import Cell
from xai_widgets.widgets.comparison.maps import Found
from xai_widgets.widgets.comparison.table import cells_on_screen, value_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import Figure

    from xai_widgets.widgets.comparison.comparison import Comparison

SCALES = ("own", "shared")
PICTURE_SIDE = 256
SCALE_PERCENTILE = 99.5
FONT = 7
LINE = 0.125
"""Height of a line of text in inches."""
LABEL, GAP = 0.75, 0.06
FAINT = "#60656d"
ONE = {
    "images": "Image",
    "methods": "Method",
    "models": "Model",
    "layers": "Layer",
    "targets": "Target",
}


@dataclass(frozen=True)
class Style:
    """How the figure is drawn; see `Comparison.figure`."""

    width: float = 7.0
    opacity: float | None = 0.75
    scale: str = "own"
    max_rows: int | None = None
    max_columns: int | None = None

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise MetricError(f"scale cannot be {self.scale!r}: use one of {', '.join(SCALES)}.")
        _between("width", self.width, 1, 100, "give inches, from 1 to 100")
        if self.opacity is not None:
            _between("opacity", self.opacity, 0, 1, "give a number from 0 to 1, or None")
        for name in ("max_rows", "max_columns"):
            if getattr(self, name) is not None:
                whole(1)(name, getattr(self, name))


def _between(name: str, value: Any, low: float, high: float, advice: str) -> None:
    if not is_number(value) or not low <= value <= high:
        raise MetricError(f"{name} is {value!r}: {advice}.")


def draw_comparison(comparison: "Comparison", style: Style, compute: bool = True) -> "Figure":
    """Draw the grid on a figure that pyplot does not know.

    Parameters
    ----------
    compute
        Whether maps that were let go are made again; else their cells stay empty.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    whole = cells_on_screen(comparison)
    cells = [row[: style.max_columns] for row in whole[: style.max_rows]]
    layout = _Layout(comparison, style, len(cells), len(cells[0]))
    figure = Figure(figsize=(style.width, layout.height), facecolor="white")
    FigureCanvasAgg(figure)
    found = [[_found(comparison, cell, compute) for cell in row] for row in cells]
    limit = max((_top(each) for row in found for each in row if each is not None), default=1.0)
    grid = comparison._grid()
    for column, cell in enumerate(cells[0]):
        layout.heading(figure, column, comparison.axes.title(grid.columns, cell.at(grid.columns)))
    drawn: dict[bool, Any] = {}
    for row, (line, maps) in enumerate(zip(cells, found, strict=True)):
        layout.label(figure, row, comparison.axes.title(grid.rows, line[0].at(grid.rows)))
        if grid.rows == "images":
            _draw_picture(layout.panel(figure, row, -1), comparison, line[0])
        for column, (cell, explained) in enumerate(zip(line, maps, strict=True)):
            panel = layout.panel(figure, row, column)
            if explained is None:
                _draw_reason(panel, comparison, cell)
            else:
                top = limit if style.scale == "shared" else _top(explained)
                mappable = _draw_map(panel, comparison, cell, explained, top, style)
                drawn.setdefault(explained.signed, mappable)
            layout.values(figure, row, column, _values(comparison, cell, line))
    layout.bars(figure, drawn, limit)
    layout.foot(figure, _foot(comparison, whole, cells))
    return figure


Box = tuple[float, float, float, float]
"""Left, bottom, width and height as shares of the figure."""


class _Layout:
    """Places in inches: labels to the left, headings above, colour bars and remarks below."""

    def __init__(self, comparison: "Comparison", style: Style, n_rows: int, n_columns: int) -> None:
        self._style = style
        self._first = 1 if comparison.rows == "images" else 0
        self._side = (style.width - LABEL) / (n_columns + self._first) - GAP
        self._head = 3 * LINE
        self._row = self._side + GAP + 0.105 * len(comparison.metrics) + 0.09
        self._low = 0.78
        self.height = self._head + n_rows * self._row + self._low

    def panel(self, figure: "Figure", row: int, column: int) -> "Panel":
        x = LABEL + (column + self._first) * (self._side + GAP)
        y = self.height - self._head - row * self._row - self._side
        panel = figure.add_axes(self._share(x, y, self._side, self._side))
        panel.set_anchor("N")
        panel.set_xticks([])
        panel.set_yticks([])
        for spine in panel.spines.values():
            spine.set_linewidth(0.4)
        return panel

    def heading(self, figure: "Figure", column: int, text: str) -> None:
        x = LABEL + (column + self._first) * (self._side + GAP) + self._side / 2
        share = self._share(x, self.height - self._head + 0.04, 0, 0)
        width = max(6, int(self._side * 72 / FONT * 1.75))
        self._text(figure, share, _wrapped(text, width, 2), ha="center", va="bottom")

    def label(self, figure: "Figure", row: int, text: str) -> None:
        y = self.height - self._head - row * self._row - self._side / 2
        share = self._share(LABEL - 0.06, y, 0, 0)
        label = self._text(figure, share, _wrapped(text, 14, 4), ha="right", va="center")
        wide = label.get_window_extent().width / figure.dpi
        label.set_fontsize(FONT * min(1.0, (LABEL - 0.12) / wide))

    def values(
        self, figure: "Figure", row: int, column: int, lines: Sequence[tuple[str, bool]]
    ) -> None:
        """Write the values below a panel, the best of the row bold."""
        x = LABEL + (column + self._first) * (self._side + GAP)
        y = self.height - self._head - row * self._row - self._side - 0.03
        for number, (text, is_best) in enumerate(lines):
            weight = "bold" if is_best else "normal"
            share = self._share(x, y - 0.105 * number, 0, 0)
            style = {"ha": "left", "va": "top", "fontweight": weight}
            self._text(figure, share, text, fontsize=FONT - 1, **style)

    def bars(self, figure: "Figure", drawn: dict[bool, Any], limit: float) -> None:
        """Draw one colour bar for signed maps, and one for magnitudes, as far as there are any."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        shared = self._style.scale == "shared"
        end = limit if shared else 1.0
        what = "attribution" if shared else "share of each map's own scale"
        length = min(2.2, (self._style.width - LABEL) / max(1, len(drawn)) - 0.3)
        for number, signed in enumerate(sorted(drawn, reverse=True)):
            box = self._share(LABEL + number * (length + 0.3), 0.56, length, 0.08)
            norm = Normalize(-end if signed else 0.0, end)
            colours = SIGNED_COLOURS if signed else MAGNITUDE_COLOURS
            bar = figure.colorbar(
                ScalarMappable(norm, colours),
                extend="both" if signed else "max",
                cax=figure.add_axes(box),
                orientation="horizontal",
                ticks=[-end, 0, end] if signed else [0, end],
            )
            bar.ax.tick_params(labelsize=FONT - 1, length=2, pad=1)
            bar.set_label(f"{'signed' if signed else 'magnitude'}, {what}", fontsize=FONT - 1)
            bar.outline.set_linewidth(0.4)

    def foot(self, figure: "Figure", text: str) -> None:
        self._text(figure, self._share(0.06, 0.05, 0, 0), text, ha="left", va="bottom", color=FAINT)

    def _text(self, figure: "Figure", share: Sequence[float], text: str, **style: Any) -> Any:
        return figure.text(share[0], share[1], _literal(text), **{"fontsize": FONT, **style})

    def _share(self, x: float, y: float, width: float, height: float) -> Box:
        whole = self._style.width
        return x / whole, y / self.height, width / whole, height / self.height


def _found(comparison: "Comparison", cell: Cell, compute: bool) -> Found | None:
    about = comparison.board.cells.get(comparison.axes.source(cell), {})
    if about.get("state") != "done":
        return None
    known = comparison.maps.known(cell)
    if known is not None or not compute:
        return known
    try:
        return comparison.found(cell)
    except XaiError:
        return None


def _top(found: Found) -> float:
    """Return the magnitude with the last colour, as on screen: twin of `scaleOf` in core/stats.ts.

    The few largest pixels share a colour, so that one of them does not wash out all others.
    """
    sizes = np.abs(found.map)
    return float(np.percentile(sizes, SCALE_PERCENTILE)) or float(sizes.max()) or 1.0


def _draw_picture(panel: "Panel", comparison: "Comparison", cell: Cell, grey: bool = False) -> bool:
    """Draw a cell's picture on its own grid; False if it cannot be opened."""
    try:
        display = comparison.axes.images[cell.images]
    except XaiError:
        panel.set_facecolor("#eeeeee")
        return False
    pixels = display.resized(PICTURE_SIDE)
    if grey:
        pixels = np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    panel.imshow(pixels, extent=(0, display.width, display.height, 0), aspect="equal")
    panel.set_xlim(0, display.width)
    panel.set_ylim(display.height, 0)
    return True


def _draw_map(
    panel: "Panel", comparison: "Comparison", cell: Cell, found: Found, top: float, style: Style
) -> Any:
    about = comparison.board.cells[comparison.axes.source(cell)]
    place = about["placement"]
    values = found.map
    alpha: Any = None
    if style.opacity is not None and _draw_picture(panel, comparison, cell, grey=True):
        alpha = fade(values, top, style.opacity)
    mappable = panel.imshow(
        values,
        cmap=SIGNED_COLOURS if found.signed else MAGNITUDE_COLOURS,
        vmin=-top if found.signed else 0.0,
        vmax=top,
        alpha=alpha,
        extent=(
            place["x"],
            place["x"] + place["width"],
            place["y"] + place["height"],
            place["y"],
        ),
        aspect="equal",
    )
    if alpha is not None:
        panel.set_autoscale_on(False)
    return mappable


def _draw_reason(panel: "Panel", comparison: "Comparison", cell: Cell) -> None:
    about = comparison.board.cells.get(comparison.axes.source(cell), {})
    text = about.get("message") or "Not computed."
    inches = panel.get_position().width * panel.figure.get_figwidth()  # type: ignore[union-attr]
    width = max(8, int(inches * 72 / (FONT - 2) * 1.7))
    panel.set_facecolor("#f4f4f5")
    panel.text(
        *(0.5, 0.5, _literal(_wrapped(text, width, 8))),
        ha="center",
        va="center",
        fontsize=FONT - 2,
        color=FAINT,
        transform=panel.transAxes,
    )


def _values(comparison: "Comparison", cell: Cell, row: Sequence[Cell]) -> list[tuple[str, bool]]:
    """Return what is written below a cell, and what of it is the best of its row."""
    lines = []
    for name in comparison.metrics:
        value = value_of(comparison, cell, name)
        told = "\N{EN DASH}" if value is None else f"{value:.3g}"
        metric = comparison.metric_of[name]
        known = [each for each in (value_of(comparison, c, name) for c in row) if each is not None]
        best = (max if metric.direction == "higher" else min)(known, default=None)
        is_best = value is not None and value == best and len(set(known)) > 1
        lines.append((f"{metric.title} {told}", is_best))
    return lines


def _foot(comparison: "Comparison", whole: list[list[Cell]], cells: list[list[Cell]]) -> str:
    """Return what the grid does not show: where it stands on the other axes, and what is cut."""
    grid, axes = comparison._grid(), comparison.axes
    still = [axis for axis in ONE if axis not in (grid.rows, grid.columns)]
    first = cells[0][0]
    told = [
        f"{ONE[axis]}: {axes.title(axis, first.at(axis))}"
        for axis in still
        if axes.size(axis) > 1 or axis in ("models", "targets")
    ]
    if len(cells) < len(whole):
        told.append(f"{len(cells)} of {len(whole)} rows")
    if len(cells[0]) < len(whole[0]):
        told.append(f"{len(cells[0])} of {len(whole[0])} columns")
    if comparison.sort is not None:
        told.append(f"{comparison.sort['axis']} by {comparison.sort['metric']}, best first")
    return "; ".join(told)


def _wrapped(text: str, width: int, lines: int) -> str:
    found = textwrap.wrap(text, width) or [""]
    if len(found) > lines:
        found = [*found[: lines - 1], f"{found[lines - 1][: width - 1]}\N{HORIZONTAL ELLIPSIS}"]
    return "\n".join(found)


def _literal(text: str) -> str:
    """Keep matplotlib from reading a user's text as a formula."""
    return text.replace("$", r"\$")
