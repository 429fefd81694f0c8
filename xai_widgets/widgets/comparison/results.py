"""What a comparison gives: explanations, records, figures and files of the grid on screen."""

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from xai_widgets.errors import XaiError
from xai_widgets.explanation import Explanation
from xai_widgets.widgets.base import StateError, failure
from xai_widgets.widgets.comparison.axes import AXES, Cell
from xai_widgets.widgets.comparison.board import Board
from xai_widgets.widgets.comparison.job import GridJob
from xai_widgets.widgets.comparison.maps import Found, Maps
from xai_widgets.widgets.comparison.state import ComparisonState
from xai_widgets.widgets.engine import Outcome, Steps, Task, engine_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from xai_widgets.widgets.comparison.comparison import Comparison

PATIENCE_SECONDS = 5.0


class ComparisonResults(ComparisonState):
    """The part of `Comparison` that users call."""

    maps: Maps
    board: Board
    _job: GridJob | None

    @abstractmethod
    def wait(self) -> None:
        """Wait until the grid on screen is there."""

    @property
    def _whole(self) -> "Comparison":
        return cast("Comparison", self)

    def explanation(self, **positions: Any) -> Explanation:
        """Return the explanation of a cell; waits where it has to be computed.

        Parameters
        ----------
        positions
            By axis, as in ``explanation(images=3, methods="grad_cam")``; what is not named is as in
            `fixed`.

        Raises
        ------
        XaiError
            If there is no such cell, or it cannot be explained: its sentence.
        """
        for axis in positions:
            if axis not in AXES:
                raise StateError(f"There is no axis {axis!r}: use {', '.join(AXES)}.")
        given = {axis: self._position(axis, at) for axis, at in positions.items()}
        cell = Cell.of({**self.fixed, **given})
        return self.found(cell).explanation(self.maps.place(cell))

    def found(self, cell: Cell) -> Found:
        """Return the map of a cell; waits where it has to be computed.

        Raises
        ------
        XaiError
            If there is none: the sentence of the cell.
        """
        known = self.maps.known(cell)
        if known is not None:
            return known
        refusal = self.axes.refusal(cell)
        if refusal is not None:
            raise XaiError(refusal)
        found: list[Found] = []

        def steps() -> Steps:
            _, explained, _ = yield from self.maps.steps(cell)
            found.append(explained)

        outcomes: list[Outcome] = []
        task = Task(object(), "explain", steps(), outcomes.append)
        engine_of(self.axes.models[cell.models]).submit(task).wait()
        if not found:
            raise XaiError(failure(outcomes[0])["message"]) from outcomes[0].error
        return found[0]

    def records(self) -> list[dict[str, Any]]:
        """Return the grid on screen as records, in its order; waits for what is being computed.

        Returns
        -------
        list of dict
            One a cell and metric: a `Record` of `evaluate`, with "model", "layer", "score", "state"
            and hashes of weights and picture beside it. "mean", "low" and "high" are over the
            pictures that are shown. Without metrics, one a cell, "metric" None.
        """
        from xai_widgets.widgets.comparison.table import records

        self.wait()
        return records(self._whole)

    def figure(
        self,
        width: float = 7.0,
        *,
        opacity: float | None = 0.75,
        scale: str = "own",
        max_rows: int | None = None,
        max_columns: int | None = None,
    ) -> "Figure":
        """Draw the grid on screen in a publication layout; waits for what is being computed.

        Parameters
        ----------
        width
            In inches.
        opacity
            Of the strongest attribution over the picture, 0..1; None draws maps alone.
        scale
            "own": each map up to the 99.5th percentile of its own magnitudes, as on screen;
            "shared": all up to the largest of these.
        max_rows, max_columns
            The largest grid to draw; the figure says what is left out.

        Returns
        -------
        matplotlib.figure.Figure
            One that pyplot does not know.
        """
        from xai_widgets.widgets.comparison.figure import Style, draw_comparison

        self.wait()
        style = Style(width, opacity, scale, max_rows, max_columns)
        return draw_comparison(self._whole, style)

    def save(self, path: str | Path) -> Path:
        """Write the grid on screen to a file; the suffix decides what of it.

        Parameters
        ----------
        path
            ``.png``, ``.svg``, ``.pdf``: the figure. ``.csv``, ``.parquet``: the records, with
            hashes of weights and pictures; in CSV, names that a spreadsheet would take for a
            formula begin with an apostrophe. ``.tex``: a table of means. ``.json``: all numbers
            with their provenance. Every one says what it was made from.

        Raises
        ------
        XaiError
            If the suffix is another one, the folder does not exist, or a package is missing.
        """
        from xai_widgets.widgets.comparison.export import save

        return save(self._whole, path)

    # Display ------------------------------------------------------------------------------

    def to_png(self) -> bytes:
        """Draw the beginning of the grid on screen; waits for what is being computed."""
        self.wait()
        return self._drawn()

    def _first_png(self) -> bytes:
        """Draw what there is: a grid of hundreds of cells must not keep the cell waiting."""
        if self._job is not None:
            self._job.ended.wait(PATIENCE_SECONDS)
        return self._drawn()

    def _drawn(self) -> bytes:
        from xai_widgets.widgets.comparison.export import to_png

        return to_png(self._whole)
