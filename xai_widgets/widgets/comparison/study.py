"""Studies of a comparison's cells: curves and cascades to scrub, and how far columns agree."""

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_widgets.errors import XaiError
from xai_widgets.evaluation.agreement import agreement_matrix, mean_agreement
from xai_widgets.evaluation.base import Case
from xai_widgets.evaluation.cascade import Cascade, CascadePart, cascade_stream
from xai_widgets.evaluation.controls import control_case
from xai_widgets.evaluation.curves import Curve, curve_steps
from xai_widgets.evaluation.randomisation import stages
from xai_widgets.explainers.shown import Shown
from xai_widgets.maps import aligned
from xai_widgets.widgets.base import failure
from xai_widgets.widgets.comparison.axes import Cell
from xai_widgets.widgets.comparison.identity import identity
from xai_widgets.widgets.engine import Outcome, Steps, engine_of

if TYPE_CHECKING:
    from xai_widgets.widgets.comparison.comparison import Comparison

NO_CELL = "No cell is selected: select one in the grid, and it is studied here."
AGREEMENT_TEXT = "mean rank correlation (Spearman"
BY_SIGN = {
    (True,): "of signed maps)",
    (False,): "of magnitudes)",
    (False, True): "of signed maps; of magnitudes where one of two has no sign)",
}


class StudyJob:
    """Computes one study and tells the views; `cell` is None for one of the whole grid."""

    def __init__(self, comparison: "Comparison", number: int, kind: str, cell: Cell | None) -> None:
        self._comparison, self._number, self.kind, self.cell = comparison, number, kind, cell
        self._key = None if cell is None else cell.key
        self._done, self._total = 0, 0

    def steps(self) -> Steps:
        """Do the work, yielding wherever it may be stopped."""
        self._say("computing")
        yield
        if self.kind == "agreement":
            yield from self._agreement()
            return
        if self.cell is None:
            raise XaiError(NO_CELL)
        refusal = self._comparison.axes.refusal(self.cell)
        if refusal is not None:
            raise XaiError(refusal)
        row, found, _ = yield from self._comparison.maps.steps(self.cell)
        case = self._comparison.maps.case(self.cell, row, found)
        work = self._curves if self.kind == "curves" else self._sanity
        yield from work(self.cell, case)

    def finish(self, outcome: Outcome) -> None:
        """Say how it ended."""
        if outcome.kind == "result":
            self._say("done")
        elif outcome.kind == "cancelled":
            self._say("cancelled", "Cancelled.")
        else:
            self._say("failed", failure(outcome)["message"])

    # Curves -------------------------------------------------------------------------------

    def _curves(self, cell: Cell, case: Case) -> Steps:
        asked = dict(self._comparison.curve)
        assert case.model is not None
        chunks = math.ceil((asked["n_steps"] + 1) / case.model.chunk_size)
        self._total = 2 * chunks
        curve, random = yield from self._kept(cell, asked, self._both_curves(case, asked))
        n_steps = len(curve.values) - 1
        dtype = np.uint8 if n_steps + 1 < 256 else np.uint16
        shown = Shown(case.model, case.image)
        self._tell(
            "curve",
            {
                "key": cell.key,
                "kind": asked["kind"],
                "fill": asked["fill"],
                "step_of": curve.step_of.astype(dtype),
                "random_step_of": random.step_of.astype(dtype),
                "filled": shown(curve.fill),
                "original": shown(case.image.values),
                "values": curve.values.astype(np.float32),
                "random": random.values.astype(np.float32),
                "fractions": curve.fractions.astype(np.float32),
                "area": curve.area,
                "random_area": random.area,
                "is_probability": curve.is_probability,
                "target_text": case.target.text(case.model.labels) if case.target else "",
            },
        )

    def _both_curves(
        self, case: Case, asked: dict[str, Any]
    ) -> Generator[None, None, tuple[Curve, Curve]]:
        found = []
        for each in (case, control_case("random", case)):
            stream = curve_steps(each, asked["kind"], asked["n_steps"], asked["fill"])
            found.append((yield from self._counted(stream)))
        return found[0], found[1]

    def _counted(self, stream: Generator[None, None, Curve]) -> Generator[None, None, Curve]:
        try:
            while True:
                next(stream)
                self._done += 1
                self._say("computing")
                yield
        except StopIteration as stop:
            curve: Curve = stop.value
            return curve
        finally:
            stream.close()

    # Sanity -------------------------------------------------------------------------------

    def _sanity(self, cell: Cell, case: Case) -> Steps:
        asked = dict(self._comparison.cascade)
        assert case.model is not None
        reason = case.model.capabilities.reason(("weights",))
        if reason is not None:
            raise XaiError(f"Its weights cannot be randomised. {reason}")
        cascade = yield from self._kept(cell, asked, self._cascade(cell, case, asked))
        self._done = self._total = len(cascade.stages)
        self._tell(
            "cascade",
            {
                "key": cell.key,
                "mode": cascade.mode,
                "stages": list(cascade.stages),
                "done": len(cascade.stages),
                "maps": cascade.maps,
                "similarity": cascade.similarity,
            },
        )

    def _cascade(
        self, cell: Cell, case: Case, asked: dict[str, Any]
    ) -> Generator[None, None, Cascade]:
        assert case.model is not None
        parts = stages(case.model)
        self._total = len(parts[: asked["n_stages"]])
        stream = cascade_stream(case, asked["mode"], asked["n_stages"], seed=case.seed, parts=parts)
        try:
            while True:
                part: CascadePart = next(stream)
                self._done = part.index
                self._tell(
                    "cascade_map",
                    {
                        "key": cell.key,
                        "mode": asked["mode"],
                        "stages": list(part.stages),
                        "index": part.index,
                        "array": part.map,
                        "similarity": part.similarity or None,
                    },
                )
                self._say("computing")
                yield
        except StopIteration as stop:
            found: Cascade = stop.value
            return found
        finally:
            stream.close()

    # Agreement ----------------------------------------------------------------------------

    def _agreement(self) -> Steps:
        comparison = self._comparison
        axes, maps, grid = comparison.axes, comparison.maps, comparison._grid()
        if grid.columns == "images":
            raise XaiError(
                "Agreement compares maps of one picture: put methods, models, layers or targets "
                "into the columns."
            )
        columns, rows = grid.shown(axes, "columns"), grid.shown(axes, "rows")
        self._total = len(rows)
        matrices: list[Any] = []
        kinds: set[bool] = set()
        for row in rows:
            cells = [grid.cell(row, column) for column in columns]
            known = [(at, cell, maps.known(cell)) for at, cell in enumerate(cells)]
            there = [(at, cell, found) for at, cell, found in known if found is not None]
            matrix = np.full((len(columns), len(columns)), np.nan)
            if there:
                at = [position for position, _, _ in there]
                placed = [found.map for _, _, found in there]
                have_sign = [found.signed for _, _, found in there]
                kinds.update(have_sign)
                if grid.columns == "models":  # each sees the picture on a grid of its own
                    images = [maps.place(cell) for _, cell, _ in there]
                    size = (images[0].display.height, images[0].display.width)
                    placed = aligned(placed, [image.placement for image in images], size)
                matrix[np.ix_(at, at)] = agreement_matrix(placed, have_sign=have_sign)
                matrices.append(matrix)
            self._done += 1
            self._say("computing")
            yield
        if not matrices:
            raise XaiError("There are no maps to compare yet: wait for the grid, or go on with it.")
        left = len(rows) - len(matrices)
        over = f"{len(matrices)} of {len(rows)} {grid.rows}" if left else f"{len(rows)} {grid.rows}"
        self._tell(
            "agreement",
            {
                "revision": comparison._revision,
                "labels": [axes.title(grid.columns, column) for column in columns],
                "keys": columns,
                "matrix": mean_agreement(matrices).astype(np.float32),
                "kind": "spearman",
                "over": f"{AGREEMENT_TEXT} {BY_SIGN[tuple(sorted(kinds))]} over {over}",
                "n_rows": len(matrices),
            },
        )

    # All ----------------------------------------------------------------------------------

    def _kept(
        self, cell: Cell, asked: dict[str, Any], work: Generator[None, None, Any]
    ) -> Generator[None, None, Any]:
        """Return what was found before, or do the work and keep it."""
        comparison = self._comparison
        model = comparison.axes.models[cell.models]
        key = ("study", self.kind, identity(asked), comparison.maps.key(cell))
        cache = engine_of(model).cache
        found = cache.get(key)
        if found is None:
            found = yield from work
            parts = found if isinstance(found, tuple) else (found,)
            cache.put(key, found, sum(_nbytes(part) for part in parts))
        else:
            work.close()
        return found

    def _say(self, state: str, message: str | None = None) -> None:
        self._tell(
            "study",
            {
                "key": self._key,
                "kind": self.kind,
                "state": state,
                "done": self._done,
                "total": self._total,
                "message": message,
            },
        )

    def _tell(self, kind: str, payload: dict[str, Any]) -> None:
        self._comparison._tell_study(self._number, kind, payload)


def _nbytes(found: Any) -> int:
    return int(sum(value.nbytes for value in vars(found).values() if hasattr(value, "nbytes")))
