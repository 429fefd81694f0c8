"""What is known of each cell: told to the views as it is found, and to those that come later."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from hashlib import blake2b
from typing import Any

from xai_widgets.errors import XaiError
from xai_widgets.evaluation.judging import Row
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.widgets.comparison.axes import Cell
from xai_widgets.widgets.comparison.maps import Found, Maps
from xai_widgets.widgets.describe import notes, picture

MAP_BYTES = 64 * 1024**2
"""Maps of a grid up to this size are sent as they come; of larger ones, when they are in view."""
PICTURE_BYTES = 64 * 1024**2
PREVIEW_SIDE = 512
SCORED = ("value", "control", "control_name", "note")

Tell = Callable[[str, Mapping[str, Any]], None]


class Board:
    """The cells that are there, by the cell that has their map, and what the views hold.

    Every method takes the lock, so that a view that says hello misses nothing.

    Parameters
    ----------
    maps
        What makes the maps.
    lock
        Re-entrant; that of the widget's state.
    tell
        Sends a message to all views.

    Attributes
    ----------
    cells
        What is sent of each, but its map.
    scores
        The records of its metrics, by their names.
    sources
        What its map came from, for exports.
    """

    def __init__(self, maps: Maps, lock: AbstractContextManager[Any], tell: Tell) -> None:
        self._maps, self._lock, self._tell = maps, lock, tell
        self.cells: dict[Cell, dict[str, Any]] = {}
        self.scores: dict[Cell, dict[str, dict[str, Any]]] = {}
        self.sources: dict[Cell, dict[str, Any]] = {}
        self.wanted: list[Cell] = []
        self._shown: dict[Cell, list[Cell]] = {}
        self._told: set[Cell] = set()
        self._delivered: set[Cell] = set()
        self._pictures: OrderedDict[tuple[int, int], dict[str, Any]] = OrderedDict()
        self._pictured: set[tuple[int, int]] = set()
        self.lean = False

    # The grid -----------------------------------------------------------------------------

    def show(self, cells: Sequence[Cell]) -> None:
        """Take the cells of a new grid."""
        with self._lock:
            self._shown = {}
            for cell in cells:
                self._shown.setdefault(self._maps.axes.source(cell), []).append(cell)
            models = self._maps.axes.models
            sides = (models[cell.models].input_shape for cell in cells)
            self.lean = sum(4 * side[0] * side[1] for side in sides) > MAP_BYTES

    def want(self, keys: Iterable[Any], let_go: Iterable[Any] = ()) -> list[Cell]:
        """Take the keys of the cells in view; send the maps that are there.

        Parameters
        ----------
        let_go
            Keys of cells whose maps the browser had and has no more.

        Returns
        -------
        list of Cell
            Those whose map was made and has to be made again.
        """
        with self._lock:
            shown = {cell.key: cell for cells in self._shown.values() for cell in cells}
            self.wanted = [shown[str(key)] for key in keys if str(key) in shown]
            self._delivered -= {shown[str(key)] for key in let_go if str(key) in shown}
            missing = []
            for cell in self.wanted:
                source = self._maps.axes.source(cell)
                done = self.cells.get(source, {}).get("state") == "done"
                if done and cell not in self._delivered and not self._send(cell):
                    missing.append(source)
            return list(dict.fromkeys(missing))

    def forget(self, model: int) -> None:
        """Forget all of a model: its weights are others now."""
        with self._lock:
            for cell in [cell for cell in self.cells if cell.models == model]:
                del self.cells[cell]
                self.scores.pop(cell, None)
                self.sources.pop(cell, None)
            for cells in (self._told, self._delivered):
                cells -= {cell for cell in cells if cell.models == model}

    def retry(self) -> None:
        """Forget what failed."""
        with self._lock:
            for cell in [c for c, about in self.cells.items() if about["state"] == "failed"]:
                del self.cells[cell]
                self.scores.pop(cell, None)
                self._told -= set(self._shown.get(cell, ()))

    # Findings -----------------------------------------------------------------------------

    def begin(self, source: Cell) -> None:
        """Say that a map is being made."""
        with self._lock:
            if source not in self.cells:
                for cell in self._shown.get(source, ()):
                    self._tell("cell", self._payload(cell, _EMPTY, None))

    def found(self, source: Cell, row: Row, found: Found, cached: bool) -> None:
        """Take a map, and send it to where it is shown."""
        about = {
            **_EMPTY,
            "state": "done",
            "placement": row.image.placement.to_dict(),
            "signed": found.signed,
            "target_text": found.target_text,
            "score": found.score,
            "predicted": row.predicted,
            "probability": row.confidence,
            "seconds": found.seconds,
            "cached": cached,
            "notes": [*notes(found.explanation(row.image)), *self._caveat(source)],
        }
        digest = blake2b(found.map.tobytes(), digest_size=16).hexdigest()
        origin = {
            "layer": found.layer,
            "map_hash": digest,
            "diagnostics": dict(found.diagnostics),
            "provenance": dict(found.provenance),
        }
        with self._lock:
            self._remember_picture(source, row.image)
            self.cells[source], self.sources[source] = about, origin
            for cell in self._shown.get(source, ()):
                if self.lean and cell not in self.wanted:
                    self._send_about(cell)
                else:
                    self._send(cell, found)

    def failed(self, source: Cell, message: str) -> None:
        """Take the sentence on why a cell has no map."""
        with self._lock:
            self.cells[source] = {**_EMPTY, "state": "failed", "message": message}
            for cell in self._shown.get(source, ()):
                self._send_about(cell)

    def scored(self, source: Cell, name: str, record: dict[str, Any]) -> None:
        """Take a metric's record."""
        with self._lock:
            self.scores.setdefault(source, {})[name] = record
            for cell in self._shown.get(source, ()):
                self._tell("scores", {"key": cell.key, "values": {name: _told(record)}})

    def catch_up(self, source: Cell) -> bool:
        """Send what is known of a source to cells that were not shown before.

        Returns
        -------
        bool
            False if its map is to be made: it never was, or it was let go and is to be shown.
        """
        with self._lock:
            about = self.cells.get(source)
            if about is None:
                return False
            there = True
            for cell in self._shown.get(source, ()):
                is_new = cell not in self._told
                if about["state"] == "failed" or (self.lean and cell not in self.wanted):
                    if is_new:
                        self._send_about(cell)
                elif cell not in self._delivered and not self._send(cell):
                    there = False
                    continue
                if is_new:
                    self._send_scores(cell)
            return there

    def replay(self) -> None:
        """Send everything to a view that knows nothing."""
        with self._lock:
            self._told.clear()
            self._delivered.clear()
            self._pictured.clear()
            for source, cells in self._shown.items():
                for cell in cells:
                    if source in self.cells:
                        if self.cells[source]["state"] == "failed" or not (
                            (not self.lean or cell in self.wanted) and self._send(cell)
                        ):
                            self._send_about(cell)
                        self._send_scores(cell)

    # Sending ------------------------------------------------------------------------------

    def _send(self, cell: Cell, found: Found | None = None) -> bool:
        """Send a cell with its map, and its picture first; False if either was let go."""
        source = self._maps.axes.source(cell)
        found = found or self._maps.known(source)
        place = (cell.models, cell.images)
        if found is None or (place not in self._pictured and place not in self._pictures):
            return False
        if place not in self._pictured:
            self._pictured.add(place)
            self._tell("picture", self._pictures[place])
        self._tell("cell", self._payload(cell, self.cells[source], found))
        self._told.add(cell)
        self._delivered.add(cell)
        return True

    def _send_about(self, cell: Cell) -> None:
        """Send a cell without its map."""
        about = self.cells[self._maps.axes.source(cell)]
        self._tell("cell", self._payload(cell, about, None))
        self._told.add(cell)

    def _send_scores(self, cell: Cell) -> None:
        scores = self.scores.get(self._maps.axes.source(cell))
        if scores:
            values = {name: _told(record) for name, record in scores.items()}
            self._tell("scores", {"key": cell.key, "values": values})

    def _payload(self, cell: Cell, about: Mapping[str, Any], found: Found | None) -> dict[str, Any]:
        source = self._maps.axes.source(cell)
        sharing = None if source == cell else source.key
        array = None if found is None else found.map
        return {"key": cell.key, **about, "array": array, "sharing": sharing}

    def _remember_picture(self, cell: Cell, image: PreparedImage) -> None:
        place = (cell.models, cell.images)
        if place in self._pictures:
            self._pictures.move_to_end(place)
            return
        made = picture(image, cell.images)
        made["array"] = image.display.resized(PREVIEW_SIDE)
        self._pictures[place] = {**made, "model": cell.models}
        total = sum(each["array"].nbytes for each in self._pictures.values())
        while total > PICTURE_BYTES and len(self._pictures) > 1:
            total -= self._pictures.popitem(last=False)[1]["array"].nbytes

    def _caveat(self, cell: Cell) -> list[dict[str, str]]:
        axes = self._maps.axes
        try:
            text = axes.explainer(cell).caveat(axes.models[cell.models])
        except XaiError:
            text = None
        return [] if text is None else [{"level": "info", "text": text}]


_EMPTY: dict[str, Any] = {
    "state": "computing",
    "placement": None,
    "signed": None,
    "target_text": None,
    "score": None,
    "predicted": None,
    "probability": None,
    "seconds": None,
    "cached": None,
    "notes": [],
    "message": None,
}


def _told(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in SCORED}
