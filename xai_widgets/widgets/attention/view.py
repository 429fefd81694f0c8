"""The attention view: hover over a patch of the picture and see where it attends."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import traitlets
from traitlets import Int, validate

from xai_widgets.models.loading import load
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.widgets.attention.picture import draw_attention
from xai_widgets.widgets.attention.record import AttentionRecord, recorded
from xai_widgets.widgets.base import StateError, failure
from xai_widgets.widgets.describe import picture, verdict
from xai_widgets.widgets.engine import Outcome, Steps, Task
from xai_widgets.widgets.pictured import PicturedWidget
from xai_widgets.widgets.present_job import PresentJob
from xai_widgets.widgets.protocol import Message

REDUCTIONS = ("mean", "max", "rollout")


class AttentionView(PresentJob, PicturedWidget):
    """Show where each patch of a picture attends, in every layer and head of a transformer.

    The attention is computed once and sent to the browser, which draws it: hovering, arrow keys,
    layers and heads ask nothing of the kernel. A click keeps a patch and sets `query`.

    Parameters
    ----------
    model
        A loaded model, or anything `load` takes: a vision transformer of PyTorch or Keras.
    image
        A path, PIL image, array or tensor; see `open_image`.
    labels
        Names of the outputs, where the model does not carry them.
    traits
        Initial values of the traits below.

    Attributes
    ----------
    layer : int or None
        Position of the attention layer, from 0; None for the last one.
    head : str or int
        "mean" or "max" of all heads, "rollout" (all layers up to this one), or a head from 0.
    query : list, int or None
        The patch that attends, as ``[row, column]`` from 0; or the position of a token before the
        patches, where 0 is CLS. None for CLS where there is one, else the patch in the middle.

    Raises
    ------
    ImageError, ModelError
        If the picture cannot be opened, or the model cannot be loaded. A model without attention
        is told in the view.
    """

    bundle_name = "attention"

    layer: Any = Int(None, allow_none=True).tag(sync=True)
    head = traitlets.Any("mean").tag(sync=True)
    query = traitlets.Any(None, allow_none=True).tag(sync=True)

    def __init__(
        self, model: Any, image: Any, labels: Sequence[str] | None = None, **traits: Any
    ) -> None:
        loaded = load(model, labels=labels)
        self.image: PreparedImage = loaded.prepare(image)
        self._record: AttentionRecord | None = None
        self._cached = False
        super().__init__(loaded, **traits)
        self._start()

    # State --------------------------------------------------------------------------------

    @validate("layer")
    def _check_layer(self, proposal: Any) -> int | None:
        value: int | None = proposal["value"]
        record = self._record
        most = None if record is None else len(record.layers)
        if value is not None and (value < 0 or (most is not None and value >= most)):
            known = "" if most is None else f" {self.model.name} shows {most}:"
            raise StateError(
                f"There is no attention layer {value}:{known} count them from 0, or give None "
                "for the last."
            )
        return value

    @validate("head")
    def _check_head(self, proposal: Any) -> str | int:
        value = proposal["value"]
        if isinstance(value, str) and value in REDUCTIONS:
            return value
        heads = None if self._record is None else max(each.heads for each in self._record.layers)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            if heads is None or value < heads:
                return value
            raise StateError(f"There is no head {value}: there are {heads}, counted from 0.")
        raise StateError(
            f"A head cannot be {value!r}: give a position from 0, or one of {REDUCTIONS}."
        )

    @validate("query")
    def _check_query(self, proposal: Any) -> list[int] | int | None:
        value = proposal["value"]
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        try:
            row, column = (int(part) for part in value)
        except (TypeError, ValueError):
            raise StateError(
                f"A query cannot be {value!r}: give [row, column] of a patch, the position of a "
                "token before the patches (0 is CLS), or None."
            ) from None
        grid = None if self._record is None else self._record.layers[0].grid
        if row < 0 or column < 0 or (grid and (row >= grid.rows or column >= grid.columns)):
            size = "" if grid is None else f" the grid has {grid.rows} x {grid.columns},"
            raise StateError(f"There is no patch {[row, column]}:{size} counted from 0.")
        return [row, column]

    # The job ------------------------------------------------------------------------------

    def _start(self) -> Task:
        """Compute the attention; only a repeated try starts it again."""
        with self._state_lock:
            self._revision += 1
            self._shown.clear()
            self._error = None
            self._reply("accepted", {}, self._revision)
            revision, started = self._revision, time.perf_counter()

            def finish(outcome: Outcome) -> None:
                self._finish(outcome, revision, time.perf_counter() - started)

            self._task = self._submit("attention", self._steps(revision), finish)
            return self._task

    def _steps(self, revision: int) -> Steps:
        self._tell("picture", picture(self.image), revision)
        yield
        cache, model = self._engine.cache, self.model
        key = ("attention", model.fingerprint, self.image.key)
        record: AttentionRecord | None = cache.get(key)
        self._cached = record is not None
        if record is None:
            stream = recorded(model, self.image)
            try:
                while True:
                    done, total = next(stream)
                    self._progress(done, total, revision)
                    yield
            except StopIteration as stop:
                record = stop.value
            finally:
                stream.close()
            cache.put(key, record, record.nbytes)
        with self._state_lock:
            if revision != self._revision:
                return
            self._record = record
        self._tell("attention", self._description(record), revision)
        for payload in record.chunks():
            self._reply("rows", payload, revision)
            yield

    def _finish(self, outcome: Outcome, revision: int, seconds: float) -> None:
        """Send the one final message of a job."""
        if outcome.kind == "error":
            payload = {**failure(outcome), "stage": "explain", "withdrawn": []}
        elif outcome.kind == "cancelled":
            payload = {"message": "Cancelled."}
        else:
            payload = {
                "seconds": round(seconds, 3),
                "cached": self._cached,
                "target": None,
                "layer": None,
                "facts": [],
                "notes": [],
            }
        self._end(revision, outcome, payload)

    def _progress(self, done: int, total: int, revision: int) -> None:
        progress = {"done": done, "total": total, "stage": "explain", "text": "Reading attention"}
        self._reply("progress", progress, revision)

    def _description(self, record: AttentionRecord) -> dict[str, Any]:
        model = self.model
        predicted = None
        if model.is_classifier:
            predicted = model.labels[model.predicted_class(record.outputs)]
        return {
            "layers": record.describe(),
            "predicted": predicted,
            "merged": record.merged,
            "hidden": record.hidden,
        }

    @property
    def attention(self) -> AttentionRecord:
        """The attention of all layers; waits for the running job, and tries again if cancelled.

        Raises
        ------
        XaiError
            If there is none: the sentence that the view shows.
        """
        return self._waited(lambda: self._record)

    # Messages -----------------------------------------------------------------------------

    def _on_hello(self, message: Message) -> None:
        with self._state_lock:
            about = {
                "title": self.model.name,
                "framework": self.model.framework,
                "verdict": verdict(self.model),
            }
            self._reply("setup", about, self._revision)
            self._reply("accepted", {}, self._revision)
            known: Mapping[str, dict[str, Any]] = self._shown
            for kind in ("picture", "attention"):
                if kind in known:
                    self._reply(kind, known[kind], self._revision)
            if "attention" in known and self._record is not None:
                for payload in self._record.chunks():
                    self._reply("rows", payload, self._revision)
            for kind in ("result", "error", "cancelled"):
                if kind in known:
                    self._reply(kind, known[kind], self._revision)

    def _on_cancel(self, message: Message) -> None:
        self._engine.cancel(self._owner, "attention")

    def _on_retry(self, message: Message) -> None:
        self._start()

    # Display ------------------------------------------------------------------------------

    def token(self, layer: int) -> int:
        """Return the query as its position among the tokens of a layer."""
        grid = self.attention.layers[layer].grid
        query = self.query
        if query is None:
            query = 0 if grid.prefix else [grid.rows // 2, grid.columns // 2]
        if isinstance(query, int):
            return min(query, max(0, grid.prefix - 1))
        row, column = min(query[0], grid.rows - 1), min(query[1], grid.columns - 1)
        return int(grid.prefix + row * grid.columns + column)

    def to_png(self) -> bytes:
        """Draw the present state; waits for the attention.

        Raises
        ------
        XaiError
            If there is no attention.
        """
        record = self.attention
        total = len(record.layers)
        index = total - 1 if self.layer is None else min(self.layer, total - 1)
        layer = record.layers[index]
        head = min(self.head, layer.heads - 1) if isinstance(self.head, int) else self.head
        return draw_attention(self.image, layer, index + 1, total, head, self.token(index))
