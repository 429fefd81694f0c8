"""A comparison as records: the grid as it is on screen, in its order, with where it came from."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xai_widgets.evaluation.records import Record, with_intervals
from xai_widgets.widgets.comparison.axes import Cell
from xai_widgets.widgets.comparison.state import SIDES

if TYPE_CHECKING:
    from xai_widgets.widgets.comparison.comparison import Comparison

ENTRIES = ("model", "layer_asked", "target_asked")
"""Columns that, with the method, tell one series of pictures from another."""


def sorted_side(comparison: "Comparison", side: str) -> list[int]:
    """Return the positions along "rows" or "columns" in the order on screen.

    Best first by the mean of the sorted metric over the grid; entries without a value come last,
    and equal ones stay as they were. Twin of `sorted` in js/src/core/comparison.ts.
    """
    grid, sort = comparison._grid(), comparison.sort
    order = grid.shown(comparison.axes, side)
    if sort is None or sort["axis"] != side:
        return order
    name = sort["metric"]
    higher = comparison.metric_of[name].direction == "higher"
    others = grid.shown(comparison.axes, next(each for each in SIDES if each != side))
    means: dict[int, float | None] = {}
    for at in order:
        cells = [grid.cell(at, o) if side == "rows" else grid.cell(o, at) for o in others]
        known = [value_of(comparison, cell, name) for cell in cells]
        values = [value for value in known if value is not None]
        means[at] = sum(values) / len(values) if values else None

    def rank(at: int) -> tuple[bool, float]:
        mean = means[at]
        return mean is None, 0.0 if mean is None else -mean if higher else mean

    return sorted(order, key=rank)


def value_of(comparison: "Comparison", cell: Cell, metric: str) -> float | None:
    """Return a metric's value of a cell, None where there is none."""
    record = comparison.board.scores.get(comparison.axes.source(cell), {}).get(metric)
    return None if record is None else record["value"]


def cells_on_screen(comparison: "Comparison") -> list[list[Cell]]:
    """Return the cells of the grid row by row, in the order on screen."""
    grid = comparison._grid()
    columns = sorted_side(comparison, "columns")
    rows = sorted_side(comparison, "rows")
    return [[grid.cell(row, column) for column in columns] for row in rows]


def records(comparison: "Comparison") -> list[dict[str, Any]]:
    """Return the grid as it is; see `Comparison.records`."""
    with comparison._state_lock:
        names: list[str | None] = list(comparison.metrics) or [None]
        found = [
            _record(comparison, cell, name)
            for row in cells_on_screen(comparison)
            for cell in row
            for name in names
        ]
    return with_intervals(found, seed=comparison.seed, by=ENTRIES)


def _record(comparison: "Comparison", cell: Cell, name: str | None) -> dict[str, Any]:
    axes, board = comparison.axes, comparison.board
    source = axes.source(cell)
    about = board.cells.get(source, {})
    record = board.scores.get(source, {}).get(name) if name else None
    if record is None:
        record = _blank(comparison, cell, name, about)
    origin = board.sources.get(source, {})
    provenance = origin.get("provenance", {})
    layer = origin.get("layer")
    return {
        **record,
        "method": axes.subjects[cell.methods].label,
        "model": axes.names[cell.models],
        "framework": axes.models[cell.models].framework,
        "layer": " + ".join(layer) if isinstance(layer, tuple) else layer,
        "layer_asked": axes.label("layers", cell.layers),
        "target_asked": axes.label("targets", cell.targets),
        "score": about.get("score"),
        "state": about.get("state", "waiting"),
        "method_parameters": dict(provenance.get("parameters", {})),
        "weight_hash": provenance.get("model", {}).get("weight_hash"),
        "image_hash": provenance.get("image", {}).get("hash"),
        "map_hash": origin.get("map_hash"),
        "version": provenance.get("versions", {}).get("xai-widgets"),
    }


def _blank(
    comparison: "Comparison", cell: Cell, name: str | None, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the record of what has no value, with the sentence that says why."""
    record: dict[str, Any] = dict.fromkeys(Record.__annotations__)
    record.update(
        image=comparison.axes.images.name(cell.images),
        image_index=cell.images,
        metric=name,
        controls={},
        parameters={},
        normalisation=comparison.normalisation.to_dict(),
        target=about.get("target_text"),
        predicted=about.get("predicted"),
        confidence=about.get("probability"),
        seed=comparison.seed,
        n_images=0,
        note=about.get("message"),
    )
    if name is not None:
        metric = comparison.metric_of[name]
        record.update(
            direction=metric.direction,
            minimum=metric.minimum,
            maximum=metric.maximum,
            unit=metric.unit,
            parameters=metric.parameters(),
            note=record["note"] or comparison.missing[name],
        )
    return record
