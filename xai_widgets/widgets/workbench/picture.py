"""A picture of a workbench, made in Python: the shelf of thumbnails, and the scores."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xai_widgets.concepts.store import ConceptStore
from xai_widgets.errors import XaiError
from xai_widgets.models.images import DisplayImage

THUMBNAIL_SIDE = 72
SHOWN_EXAMPLES = 8
MAX_CONCEPTS, MAX_LAYERS = 12, 6
FAINT = "#8a8f98"


def draw_workbench(store: ConceptStore, records: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw the concepts with their first examples, and beside them the scores, as a PNG.

    Parameters
    ----------
    store
        The concept sets.
    records
        Those of the last test; may be empty.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    concepts = store.concepts[:MAX_CONCEPTS]
    height = 1.4 + 0.95 * max(1, len(concepts))
    figure = Figure(figsize=(10, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    halves = figure.add_gridspec(1, 2, width_ratios=[1.25, 1])
    _draw_shelf(figure.add_subfigure(halves[0]), store)
    _draw_bars(figure.add_subfigure(halves[1]), store, records)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _draw_shelf(figure: Any, store: ConceptStore) -> None:
    concepts = store.concepts[:MAX_CONCEPTS]
    figure.suptitle(f"Concepts in {store.folder.name}", fontsize=10, x=0.02, ha="left")
    if not concepts:
        figure.text(0.02, 0.5, "No concept yet.", fontsize=9, color=FAINT)
        return
    grid = figure.add_gridspec(len(concepts), SHOWN_EXAMPLES)
    for row, concept in enumerate(concepts):
        count = f"{len(concept.included)} of {len(concept.examples)} examples"
        for column in range(SHOWN_EXAMPLES):
            ax = figure.add_subplot(grid[row, column])
            ax.set_axis_off()
            if column == 0:
                text = f"{concept.name} \N{MIDDLE DOT} {count}"
                ax.text(
                    *(0, 1.06, _plain(text)),
                    fontsize=8,
                    color=concept.colour,
                    transform=ax.transAxes,
                    in_layout=False,
                )
            if column < len(concept.examples):
                example = concept.examples[column]
                try:
                    crop = DisplayImage(store.picture(example.id))
                except XaiError:
                    continue
                ax.imshow(crop.resized(THUMBNAIL_SIDE), alpha=1.0 if example.included else 0.25)


def _draw_bars(figure: Any, store: ConceptStore, records: Sequence[Mapping[str, Any]]) -> None:
    if not records:
        figure.text(0.05, 0.5, "Not tested yet.", fontsize=9, color=FAINT)
        return
    colours = {concept.name: concept.colour for concept in store.concepts}
    classes = list(dict.fromkeys(record["class"] for record in records))
    layers = list(dict.fromkeys(record["layer"] for record in records))[-MAX_LAYERS:]
    mine = [r for r in records if r["class"] == classes[0] and r["layer"] in layers]
    names = list(dict.fromkeys(record["concept"] for record in mine))
    axes = figure.subplots(1, len(layers), sharey=True, squeeze=False)[0]
    values = [abs(r[key]) for r in mine for key in ("low", "high") if r[key] is not None]
    limit = 1.15 * max(values, default=1.0) or 1.0
    for ax, layer in zip(axes, layers, strict=True):
        for record in (r for r in mine if r["layer"] == layer):
            _draw_bar(ax, names.index(record["concept"]), record, colours, limit)
        ax.axvline(0, color=FAINT, linewidth=0.8)
        ax.set_xlim(-limit, limit)
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.set_title(_plain(layer), fontsize=8)
        ax.set_yticks(range(len(names)), [_plain(name) for name in names], fontsize=8)
        ax.tick_params(labelsize=7)
        ax.spines[["top", "right"]].set_visible(False)
    title = f"What speaks for {classes[0]}: derivative along the concept (* significant)"
    figure.suptitle(_plain(title), fontsize=9, x=0.02, ha="left")


def _draw_bar(
    ax: Any, row: int, record: Mapping[str, Any], colours: Mapping[str, str], limit: float
) -> None:
    value = record["magnitude"]
    if not record["testable"] or value is None:
        ax.text(0, row, "not testable", fontsize=7, ha="center", va="center", color=FAINT)
        return
    colour = colours.get(record["concept"], FAINT)
    ax.barh(row, value, height=0.6, color=colour, alpha=1.0 if record["significant"] else 0.35)
    if record["low"] is not None and record["high"] is not None:
        ax.plot([record["low"], record["high"]], [row, row], color="black", linewidth=1)
    if record["significant"]:
        end = float(np.sign(value)) * limit * 0.96
        ax.text(end, row, "*", fontsize=10, ha="center", va="center")


def _plain(text: str) -> str:
    """Keep matplotlib from reading a user's text as a formula."""
    return text.replace("$", r"\$")
