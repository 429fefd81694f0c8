"""One job of a comparison: the cells of a grid, those in view first, each failing by itself."""

import threading
import time
from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xai_widgets.errors import XaiError
from xai_widgets.evaluation.judging import sentence_of
from xai_widgets.evaluation.normalise import Map
from xai_widgets.widgets.base import failure
from xai_widgets.widgets.comparison.axes import Cell
from xai_widgets.widgets.comparison.state import Grid
from xai_widgets.widgets.engine import Outcome, Steps

if TYPE_CHECKING:
    from xai_widgets.widgets.comparison.comparison import Comparison

Work = tuple[Cell, str | None]
"""A cell whose map is to be made, or with one of its metrics."""


class GridJob:
    """Makes the maps of a grid and measures them, one worker for each model.

    Attributes
    ----------
    models
        Positions of the models that have work.
    ended
        Set when all of them have ended, and the one final message is out.
    outcome
        "result", "error" or "cancelled", then.
    """

    def __init__(self, comparison: "Comparison", revision: int, grid: Grid) -> None:
        self._comparison, self.revision, self.grid = comparison, revision, grid
        self._lock, self._board, self._maps = (
            comparison._state_lock,
            comparison.board,
            comparison.maps,
        )
        axes = comparison.axes
        self.sources = list(dict.fromkeys(axes.source(cell) for cell in grid.cells(axes)))
        self.models = sorted({cell.models for cell in self.sources})
        self.live = set(self.models)
        self._open = set(self.models)
        self._maps_left: dict[Cell, None] = {}
        self._scores_left: dict[Work, None] = {}
        self._total = 0
        self._computed = False
        self._outcomes: list[Outcome] = []
        self._started = time.perf_counter()
        self.ended = threading.Event()
        self.outcome: str | None = None
        self.error: BaseException | None = None

    # Work ---------------------------------------------------------------------------------

    def steps(self, model: int) -> Steps:
        """Do the work on one model, yielding wherever it may be stopped."""
        self._plan(model)
        while (work := self._next(model)) is not None:
            cell, name = work
            yield
            if name is None:
                yield from self.make_map(cell)
            else:
                yield from self._measure(cell, name)
            self._progress(cell)

    def add(self, cells: list[Cell]) -> list[Cell]:
        """Take on cells whose maps are to be made again; return those of models that are through.

        The lock of the state must be held.
        """
        for cell in cells:
            if cell.models in self.live:
                self._maps_left[cell] = None
        return [cell for cell in cells if cell.models not in self.live]

    def _plan(self, model: int) -> None:
        """Find out what there is to do, and show what is there."""
        comparison = self._comparison
        fingerprint = comparison.axes.models[model].fingerprint
        mine = [cell for cell in self.sources if cell.models == model]
        missing = {name for name, needs in comparison.missing.items() if needs is not None}
        names = [name for name in self.grid.metrics if name not in missing]
        with self._lock:
            if comparison.fingerprints.get(model, fingerprint) != fingerprint:
                self._board.forget(model)
                self._maps.forget(model)
                comparison._study_is_old = True
            comparison.fingerprints[model] = fingerprint
        for cell in mine:
            refusal = comparison.axes.refusal(cell)
            if refusal is not None and cell not in self._board.cells:
                self._board.failed(cell, refusal)
            with self._lock:
                there = self._board.catch_up(cell)
                if not there:
                    self._maps_left[cell] = None
                if self._board.cells.get(cell, {}).get("state") != "failed":
                    known = self._board.scores.get(cell, {})
                    self._scores_left |= {(cell, n): None for n in names if n not in known}
        with self._lock:
            self._total = len(self._maps_left) + len(self._scores_left)

    def _next(self, model: int) -> Work | None:
        """Return what to do now: first what is in view, as of now."""
        with self._lock:
            work = self._choose(model)
            if work is None:
                self.live.discard(model)
            else:
                self._computed = True
                self._maps_left.pop(work[0], None) if work[1] is None else None
                self._scores_left.pop(work, None)
            return work

    def _choose(self, model: int) -> Work | None:
        names = self.grid.metrics
        source = self._comparison.axes.source
        in_view = dict.fromkeys(source(c) for c in self._board.wanted if c.models == model)
        for cell in in_view:
            if cell in self._maps_left:
                return cell, None
        for cell in in_view:
            for name in names:
                if (cell, name) in self._scores_left:
                    return cell, name
        maps = next((cell for cell in self._maps_left if cell.models == model), None)
        if maps is not None and not self._board.lean:
            return maps, None
        scores = next(
            (
                work
                for work in self._scores_left
                if work[0].models == model and work[0] not in self._maps_left
            ),
            None,
        )
        if scores is None and maps is not None:
            return maps, None
        return scores  # of a lean grid too: before its map is let go

    def make_map(self, cell: Cell) -> Steps:
        """Explain one cell."""
        self._board.begin(cell)
        try:
            row, found, cached = yield from self._maps.steps(cell)
            self._board.found(cell, row, found, cached)
        except Exception as error:
            self._board.failed(cell, sentence_of(error))
            with self._lock:
                for work in [work for work in self._scores_left if work[0] == cell]:
                    del self._scores_left[work]

    def _measure(self, cell: Cell, name: str) -> Steps:
        """Measure one map by one metric."""
        metric = self._maps.metrics[name]
        label = self._comparison.axes.subject(cell).label
        row = None
        try:
            row, found, _ = yield from self._maps.steps(cell)
            case = self._maps.case(cell, row, found)
            if "others" in metric.needs:
                case = replace(case, others=(yield from self._others(cell)))
            record: dict[str, Any] | None = None
            for records in row.measured(case, metric):
                record = records[0] if records else record
                yield
            assert record is not None
        except Exception as error:
            if row is None:  # its map has failed, and says why
                return
            record = row.failed(label, metric, sentence_of(error))
        self._board.scored(cell, name, record)

    def _others(self, cell: Cell) -> Generator[None, None, dict[str, Map]]:
        """Return the maps of the other methods; those that cannot be judged are left out."""
        axes = self._comparison.axes
        found = {}
        for position, subject in enumerate(axes.subjects):
            other = axes.source(replace(cell, methods=position))
            if position == cell.methods or axes.refusal(other) is not None:
                continue
            try:
                row, explained, _ = yield from self._maps.steps(other)
                found[subject.label] = self._maps.case(other, row, explained).attribution
            except XaiError:  # there is none, or it is zero
                continue
        return found

    def _progress(self, cell: Cell) -> None:
        axes = self._comparison.axes
        with self._lock:
            left = len(self._maps_left) + len(self._scores_left)
            self._total = max(self._total, left)
            if not self._is_present():
                return
            text = f"{axes.title('methods', cell.methods)}, {axes.images.name(cell.images)}"
            done = {"done": self._total - left, "total": self._total}
            self._comparison._reply(
                "progress", {**done, "stage": "explain", "text": text}, self.revision
            )

    def _is_present(self) -> bool:
        return self._comparison._job is self

    # End ----------------------------------------------------------------------------------

    def finish(self, model: int, outcome: Outcome) -> None:
        """Take the end of one model's work; the last one sends the one final message."""
        with self._lock:
            self.live.discard(model)
            self._open.discard(model)
            self._outcomes.append(outcome)
            if self._open:
                return
            failed = next((o for o in self._outcomes if o.kind == "error"), None)
            stopped = any(each.kind == "cancelled" for each in self._outcomes)
            self.outcome = "error" if failed else "cancelled" if stopped else "result"
            payload = self._final(failed)
            if self._is_present():
                self._comparison._final = (self.outcome, payload)
            self.error = failed.error if failed else None
            self._comparison._reply(self.outcome, payload, self.revision)
            self.ended.set()
            if self._is_present():
                self._comparison._grid_ended()

    def _final(self, failed: Outcome | None) -> dict[str, Any]:
        if failed is not None:
            return {**failure(failed), "stage": "explain", "withdrawn": []}
        states = [self._board.cells.get(cell, {}).get("state") for cell in self.sources]
        if self.outcome == "cancelled":
            left = len(states) - states.count("done") - states.count("failed")
            text = f" {left} of {len(states)} maps are not computed." if left else ""
            return {"message": f"Cancelled.{text}"}
        n = states.count("done")
        return {
            "seconds": round(time.perf_counter() - self._started, 3),
            "cached": not self._computed,
            "facts": [{"text": f"{n} map{'' if n == 1 else 's'}", "title": "Maps in this grid."}],
            "notes": [],
            "n_failed": states.count("failed"),
        }
