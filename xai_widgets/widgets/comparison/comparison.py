"""The comparison: maps of methods, models, layers and targets side by side, measured and studied.

Messages: twin of js/src/core/comparison.ts.
"""

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from traitlets import observe

from xai_widgets.errors import XaiError
from xai_widgets.evaluation.checks import whole
from xai_widgets.evaluation.masks import masks_for
from xai_widgets.evaluation.normalise import Normalisation
from xai_widgets.widgets.base import StateError
from xai_widgets.widgets.bundles import bundle
from xai_widgets.widgets.comparison.axes import Cell, axes_of, first_sides
from xai_widgets.widgets.comparison.board import Board
from xai_widgets.widgets.comparison.job import GridJob
from xai_widgets.widgets.comparison.maps import Maps
from xai_widgets.widgets.comparison.results import ComparisonResults
from xai_widgets.widgets.comparison.setup import lacking, metrics_by_name, setup_payload
from xai_widgets.widgets.comparison.state import GRID
from xai_widgets.widgets.comparison.study import StudyJob
from xai_widgets.widgets.engine import Outcome, Steps, Task, engine_of
from xai_widgets.widgets.protocol import Message
from xai_widgets.widgets.thumbnails import send_thumbnails

STUDY_ORDER = ("curve", "cascade", "agreement", "study")


class Comparison(ComparisonResults):
    """Compare maps over any two of images, methods, models, layers and targets.

    Cells are computed in the background, those in view first; each fails by itself. Colours, sign,
    opacity, threshold, scale and zoom belong to the browser.

    Parameters
    ----------
    models
        A model, several, or a mapping from names to models: loaded ones, or anything `load` takes.
    images
        A path, folder, sequence of images, or array [N, H, W, C]; opened one by one.
    methods
        As in `evaluate`: names, objects of registered `Explainer` classes, pairs (name,
        parameters), or a mapping from labels to these.
    targets
        What is explained: one target, several, or a mapping from labels to targets; None among them
        is the class that each model predicts for each picture.
    layers
        For methods that look at one: a name, or several; None among them is the recommended one.
    metrics
        Names out of ``evaluation.metrics()`` or `Metric` objects, shown under each cell.
    masks
        As in `evaluate`, for metrics of localisation.
    labels
        Names of the outputs, where the models do not carry them.
    normalisation
        How maps are standardised before their shape is judged; None for the default.
    seed
        Of everything that is drawn.
    traits
        Initial values of the traits below.

    Attributes
    ----------
    rows, columns : str
        Two of "images", "methods", "models", "layers", "targets".
    fixed : dict
        Positions on the axes that are not shown, by axis; 0 where nothing is said. Names of entries
        are taken too.
    hidden : dict
        Positions of entries that are taken out, by axis.
    metrics : list of str
        What is measured and shown under each cell.
    sort : dict or None
        ``{"metric": name, "axis": "rows" | "columns"}``: that side is ordered by its mean over the
        grid, best first; None keeps the order given.
    selected : list of dict
        At most two cells, each its positions by axis. The first is the one that is studied.
    study : str or None
        "pair", "curves", "sanity" or "agreement": what is open below the grid.
    curve : dict
        ``{"kind": "deletion" | "insertion", "fill": "mean" | "blur" | "noise" | "black",
        "n_steps": 100}``.
    cascade : dict
        ``{"mode": "cascade" | "independent", "n_stages": None or a number}``.

    Raises
    ------
    XaiError
        If an axis is empty or holds what does not exist, or a trait is set to such.
    """

    bundle_name = "comparison"

    def __init__(
        self,
        models: Any,
        images: Any,
        methods: Any,
        *,
        targets: Any = None,
        layers: Any = None,
        metrics: Any = (),
        masks: Any = None,
        labels: Sequence[str] | None = None,
        normalisation: Normalisation | None = None,
        seed: int = 0,
        **traits: Any,
    ) -> None:
        self.axes = axes_of(models, images, methods, targets, layers, labels)
        self.metric_of, shown = metrics_by_name(metrics)
        self.seed = whole(0)("seed", seed)
        self.normalisation = Normalisation() if normalisation is None else normalisation
        if not isinstance(self.normalisation, Normalisation):
            raise StateError(
                f"normalisation is {normalisation!r}: give a Normalisation of "
                "xai_widgets.evaluation, or None."
            )
        self.masks = masks_for(masks, len(self.axes.images))
        self.missing = lacking(self.metric_of, self.axes, masks is not None)
        self.maps = Maps(self.axes, self.metric_of, self.masks, self.normalisation, self.seed)
        self._state_lock = threading.RLock()
        self.board = Board(self.maps, self._state_lock, self._tell)
        self.fingerprints: dict[int, str] = {}
        self._job: GridJob | None = None
        self._final: tuple[str, dict[str, Any]] | None = None
        self._asked: dict[str, Any] | None = None
        self._study_number = 0
        self._study_shown: dict[str, Any] = {}
        self._study_is_old = False  # the weights have changed since
        rows, columns = first_sides(self.axes)
        given = {"rows": rows, "columns": columns, "metrics": shown}
        if traits.get("rows") == columns and "columns" not in traits:
            given["columns"] = rows
        if traits.get("columns") == rows and "rows" not in traits:
            given["rows"] = columns
        super().__init__(self.axes.models[0], **{**given, **traits})
        if self.rows == self.columns:
            raise StateError(f"Rows and columns are both {self.rows!r}: give two different axes.")
        self._start()
        self._start_study()

    # The grid -----------------------------------------------------------------------------

    @observe(*GRID)
    def _grid_changed(self, change: Any) -> None:
        if self._job is None:
            return
        if self.rows == self.columns:  # the two change places
            other = "columns" if change["name"] == "rows" else "rows"
            setattr(self, other, change["old"])
        elif self._grid().to_dict() != self._asked:
            self._start()

    def _start(self) -> GridJob:
        """Turn the present state into a job that replaces the one before."""
        with self._state_lock:
            self._revision += 1
            grid = self._grid()
            self._asked, self._final = grid.to_dict(), None
            job = self._job = GridJob(self, self._revision, grid)
            self.board.show(grid.cells(self.axes))
            self._tell("accepted", self._asked)
            for position, model in enumerate(self.axes.models):
                lane, engine = f"grid {position}", engine_of(model)
                if position in job.models:
                    finish = partial(job.finish, position)
                    engine.submit(Task(self._owner, lane, job.steps(position), finish, True))
                else:
                    engine.cancel(self._owner, lane)
            return job

    def _tell(self, kind: str, payload: Mapping[str, Any]) -> None:
        self._reply(kind, payload, self._revision)

    def _grid_ended(self) -> None:
        if self.study == "agreement" or self._study_is_old:
            self._start_study()

    def wait(self) -> None:
        """Wait until the grid on screen is there; go on with it where it was cancelled.

        Raises
        ------
        XaiError
            If the work as a whole failed; a cell that fails says so in its record.
        """
        while True:
            job = self._job or self._start()
            job.ended.wait()
            with self._state_lock:
                if job is not self._job:
                    continue
                if job.outcome == "error":
                    assert self._final is not None
                    raise XaiError(self._final[1]["message"]) from job.error
                if job.outcome == "result":
                    return
                self._start()

    # Studies ------------------------------------------------------------------------------

    @observe("study", "selected", "curve", "cascade")
    def _study_changed(self, change: Any) -> None:
        if self._job is None:
            return
        about = {"curve": ("curves",), "cascade": ("sanity",), "selected": ("curves", "sanity")}
        if change["name"] != "study" and self.study not in about[change["name"]]:
            return
        first = [each[:1] for each in (change["old"], change["new"]) if isinstance(each, list)]
        if change["name"] == "selected" and first[0] == first[1]:
            return  # the cell that is studied stays
        self._start_study()

    def _start_study(self) -> None:
        with self._state_lock:
            self._study_number += 1
            self._study_shown = {}
            self._study_is_old = False
            for model in self.axes.models:
                engine_of(model).cancel(self._owner, "study")
            if self.study in (None, "pair"):
                return
            alone = self.study == "agreement" or not self.selected
            cell = None if alone else Cell.of(self.selected[0])
            job = StudyJob(self, self._study_number, self.study, cell)
            model = self.axes.models[0 if cell is None else cell.models]
            engine_of(model).submit(Task(self._owner, "study", job.steps(), job.finish))

    def _tell_study(self, number: int, kind: str, payload: dict[str, Any]) -> None:
        """Send and remember a message of a study, unless a newer one has taken over."""
        with self._state_lock:
            if number == self._study_number:
                if kind == "cascade_map":
                    self._study_shown.setdefault(kind, []).append(payload)
                else:
                    self._study_shown[kind] = payload
                if kind == "cascade":
                    self._study_shown.pop("cascade_map", None)
                self._tell(kind, payload)

    # Messages -----------------------------------------------------------------------------

    def _on_hello(self, message: Message) -> None:
        if message.payload.get("module"):  # what shows the studies is no part of what is saved
            code = {"script": bundle("studies.js"), "style": bundle("studies.css")}
            self._reply("module", code, self._revision)
        with self._state_lock:
            self._tell("setup", setup_payload(self))
            self._tell("accepted", self._asked or {})
            self.board.replay()
            for payload in self._study_shown.get("cascade_map", ()):
                self._tell("cascade_map", payload)
            for kind in STUDY_ORDER:
                if kind in self._study_shown:
                    self._tell(kind, self._study_shown[kind])
            if self._final is not None:
                self._tell(*self._final)

    def _on_visible(self, message: Message) -> None:
        given = [message.payload.get(name) for name in ("keys", "missing")]
        keys, let_go = (names if isinstance(names, list) else [] for names in given)
        with self._state_lock:
            lost = self.board.want(keys, let_go)
            job = self._job
            if job is None or not lost:
                return
            left = job.add(lost)
            for position, model in enumerate(self.axes.models):
                mine = [cell for cell in left if cell.models == position]
                if mine:
                    task = Task(
                        *(self._owner, f"again {position}", self._again(job, mine), _ignore, True)
                    )
                    engine_of(model).submit(task)

    def _again(self, job: GridJob, cells: Sequence[Cell]) -> Steps:
        """Make maps again that were let go."""
        for cell in cells:
            yield
            yield from job.make_map(cell)

    def _on_cancel(self, message: Message) -> None:
        study = message.payload.get("lane") == "study"
        for position, model in enumerate(self.axes.models):
            lane = "study" if study else f"grid {position}"
            engine_of(model).cancel(self._owner, lane)

    def _on_retry(self, message: Message) -> None:
        with self._state_lock:
            self.maps.forget()
            self.board.retry()
            self._start()
            if self._study_shown.get("study", {}).get("state") in ("failed", "cancelled"):
                self._start_study()

    def _on_thumbnails(self, message: Message) -> None:
        send_thumbnails(self, self.axes.images, message)

    def close(self) -> None:
        """Stop what is running on all models and remove the widget from all views."""
        if self.comm is not None:
            for model in self.axes.models:
                engine_of(model).cancel(self._owner)
        with suppress(AttributeError):  # it was never finished
            self._study_number += 1
        super().close()


def _ignore(_outcome: Outcome) -> None:
    return None
