"""The state of a Comparison: its traits, and what each of them accepts."""

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import traitlets
from traitlets import Unicode, validate

from xai_widgets.errors import near_matches
from xai_widgets.evaluation.base import Metric
from xai_widgets.evaluation.cascade import MODES
from xai_widgets.evaluation.curves import KINDS
from xai_widgets.widgets.base import StateError
from xai_widgets.widgets.comparison.axes import AXES, Axes, Cell
from xai_widgets.widgets.pictured import PicturedWidget

GRID = ("rows", "columns", "fixed", "hidden", "metrics")
"""What the grid is made of; other traits say how it is ordered and what is studied below it."""
STUDIES = ("pair", "curves", "sanity", "agreement")
FILLS = ("mean", "blur", "noise", "black")
SIDES = ("rows", "columns")
MAX_STEPS = 1000
CURVE = {"kind": "deletion", "fill": "mean", "n_steps": 100}
CASCADE = {"mode": "cascade", "n_stages": None}


@dataclass(frozen=True)
class Grid:
    """The cells that are shown, before they are sorted."""

    rows: str
    columns: str
    fixed: Mapping[str, int]
    hidden: Mapping[str, list[int]]
    metrics: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return the traits as they are sent."""
        return {name: getattr(self, name) for name in GRID}

    def shown(self, axes: Axes, side: str) -> list[int]:
        """Return the positions along "rows" or "columns" that are not hidden, as given."""
        axis = getattr(self, side)
        return [at for at in range(axes.size(axis)) if at not in self.hidden.get(axis, ())]

    def cell(self, row: int, column: int) -> Cell:
        """Return the cell at positions of the two axes."""
        return Cell.of({**self.fixed, self.rows: row, self.columns: column})

    def cells(self, axes: Axes) -> list[Cell]:
        """Return all of them in reading order."""
        columns = self.shown(axes, "columns")
        return [self.cell(row, column) for row in self.shown(axes, "rows") for column in columns]


class ComparisonState(PicturedWidget):
    """The traits of a `Comparison`, which documents them."""

    axes: Axes
    metric_of: dict[str, Metric]

    rows = Unicode("images").tag(sync=True)
    columns = Unicode("methods").tag(sync=True)
    fixed: Any = traitlets.Dict().tag(sync=True)
    hidden: Any = traitlets.Dict().tag(sync=True)
    metrics: Any = traitlets.List(Unicode()).tag(sync=True)
    sort: Any = traitlets.Any(None, allow_none=True).tag(sync=True)
    selected: Any = traitlets.List().tag(sync=True)
    study = Unicode(None, allow_none=True).tag(sync=True)
    curve: Any = traitlets.Dict(CURVE).tag(sync=True)
    cascade: Any = traitlets.Dict(CASCADE).tag(sync=True)

    @validate("rows", "columns")
    def _check_side(self, proposal: Any) -> str:
        return _axis(proposal["value"])

    @validate("fixed")
    def _check_fixed(self, proposal: Any) -> dict[str, int]:
        given = _mapping("fixed", proposal["value"])
        return {_axis(axis): self._position(axis, at) for axis, at in given.items()}

    @validate("hidden")
    def _check_hidden(self, proposal: Any) -> dict[str, list[int]]:
        found = {}
        for axis, positions in _mapping("hidden", proposal["value"]).items():
            if isinstance(positions, str) or not isinstance(positions, Iterable):
                raise StateError(f"hidden of {axis} is {positions!r}: give a list of positions.")
            gone = sorted({self._position(_axis(axis), at) for at in positions})
            if len(gone) == self.axes.size(axis):
                raise StateError(f"All {axis} would be hidden: leave one of them.")
            if gone:
                found[str(axis)] = gone
        return found

    @validate("metrics")
    def _check_metrics(self, proposal: Any) -> list[str]:
        return list(dict.fromkeys(self._metric(name) for name in proposal["value"]))

    @validate("sort")
    def _check_sort(self, proposal: Any) -> dict[str, str] | None:
        value = proposal["value"]
        if value is None:
            return None
        given = _mapping("sort", value)
        if set(given) != {"metric", "axis"}:
            raise StateError(
                f"sort is {value!r}: give {{'metric': name, 'axis': 'rows' or 'columns'}}, or None."
            )
        if given["axis"] not in SIDES:
            raise StateError(f"sort goes along rows or columns, and not {given['axis']!r}.")
        return {"metric": self._metric(given["metric"]), "axis": str(given["axis"])}

    @validate("selected")
    def _check_selected(self, proposal: Any) -> list[dict[str, int]]:
        value = proposal["value"]
        if len(value) > 2:
            raise StateError(f"{len(value)} cells are selected: at most two can be.")
        found = []
        for cell in value:
            if isinstance(cell, Cell):
                cell = cell.to_dict()
            given = _mapping("selected", cell)
            places = {_axis(axis): self._position(axis, at) for axis, at in given.items()}
            found.append(Cell.of({**self.fixed, **places}).to_dict())
        return found

    @validate("study")
    def _check_study(self, proposal: Any) -> str | None:
        value = proposal["value"]
        if value is not None and value not in STUDIES:
            raise StateError(f"There is no study {value!r}.{near_matches(value, STUDIES)}")
        return None if value is None else str(value)

    @validate("curve")
    def _check_curve(self, proposal: Any) -> dict[str, Any]:
        value = {**CURVE, **_known("curve", proposal["value"], CURVE)}
        _one_of("kind", value["kind"], KINDS)
        _one_of("fill", value["fill"], FILLS)
        return {**value, "n_steps": _count("n_steps", value["n_steps"], MAX_STEPS)}

    @validate("cascade")
    def _check_cascade(self, proposal: Any) -> dict[str, Any]:
        value = {**CASCADE, **_known("cascade", proposal["value"], CASCADE)}
        _one_of("mode", value["mode"], MODES)
        if value["n_stages"] is not None:
            value["n_stages"] = _count("n_stages", value["n_stages"], MAX_STEPS)
        return value

    def _grid(self) -> Grid:
        return Grid(**{name: getattr(self, name) for name in GRID})

    def _metric(self, name: Any) -> str:
        if not isinstance(name, str) or name not in self.metric_of:
            raise StateError(
                f"There is no metric {name!r}.{near_matches(str(name), self.metric_of)}"
            )
        return str(name)

    def _position(self, axis: Any, value: Any) -> int:
        """Return a position on an axis; names of entries are taken too."""
        size = self.axes.size(_axis(axis))
        if isinstance(value, str):
            names = [self.axes.label(axis, at) for at in range(size)]
            if value in names:
                return names.index(value)
            raise StateError(f"There is no {value!r} among the {axis}.{near_matches(value, names)}")
        try:
            position = None if isinstance(value, bool) else operator.index(value)
        except TypeError:
            position = None
        if position is None or not 0 <= position < size:
            raise StateError(
                f"There is no entry {value!r} among the {axis}: there "
                f"{'is' if size == 1 else 'are'} {size}, counted from 0."
            )
        return position


def _axis(name: Any) -> str:
    if name not in AXES:
        raise StateError(f"There is no axis {name!r}.{near_matches(str(name), AXES)}")
    return str(name)


def _mapping(name: str, value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise StateError(f"{name} is {value!r}: give a dict.")
    return value


def _known(name: str, value: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(_mapping(name, value))
    for field in given:
        if field not in fields:
            raise StateError(f"{name} has no field {field!r}.{near_matches(str(field), fields)}")
    return given


def _one_of(name: str, value: Any, known: Iterable[str]) -> None:
    if value not in known:
        raise StateError(f"{name} cannot be {value!r}.{near_matches(str(value), known)}")


def _count(name: str, value: Any, most: int) -> int:
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or not 1 <= number <= most:
        raise StateError(f"{name} is {value!r}: give a whole number from 1 to {most}.")
    return number
