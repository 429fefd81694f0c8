"""The readiness panel: may this model be explained, and if not, where is the gradient lost."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xai_widgets.errors import ModelError, XaiError
from xai_widgets.models.loading import load
from xai_widgets.widgets.base import failure
from xai_widgets.widgets.checking import checked, report_payload
from xai_widgets.widgets.describe import verdict
from xai_widgets.widgets.engine import Engine, Outcome, Steps, Task
from xai_widgets.widgets.present_job import PresentJob
from xai_widgets.widgets.protocol import FINAL_KINDS, Message

if TYPE_CHECKING:
    from xai_widgets.models.readiness.report import Report


class ReadinessPanel(PresentJob):
    """Check a model and show what was found: verdict, findings, the gradient at each layer.

    The check runs in the background from the moment the panel is made; "Check again" in the panel
    repeats it on the model as it is then.

    Parameters
    ----------
    model
        A loaded model, or anything `load` takes.
    image, reference
        As in `check`: the picture to check with, and what the model should predict for it.
    labels
        Names of the outputs, where the model does not carry them.

    Raises
    ------
    ModelError
        If a file cannot be loaded. A model in memory that cannot be loaded is shown as broken.
    """

    bundle_name = "readiness"

    def __init__(
        self,
        model: Any,
        image: Any = None,
        reference: Any = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        self.image = image
        self.reference = reference
        self._report: Report | None = None
        try:
            loaded, engine = load(model, labels=labels), None
        except ModelError:
            if isinstance(model, (str, Path)):
                raise
            loaded, engine = model, Engine()  # the check says what is wrong with it
        self._loaded = engine is None
        super().__init__(loaded, engine)
        self._start()

    # Jobs ---------------------------------------------------------------------------------

    def _start(self) -> Task:
        """Check anew; a check that is still running is cancelled."""
        with self._state_lock:
            self._revision += 1
            revision, started = self._revision, time.perf_counter()
            for kind in FINAL_KINDS:
                self._shown.pop(kind, None)
            self._error = None
            self._reply("accepted", {}, revision)
            waiting = {"done": 0, "total": 0, "stage": "check"}
            self._tell("progress", {**waiting, "text": f"Checking {self._title}"}, revision)

            def progress(payload: dict[str, Any]) -> None:
                self._tell("progress", payload, revision)

            def steps() -> Steps:
                report = yield from checked(self.model, self.image, self.reference, progress)
                with self._state_lock:
                    if revision == self._revision:
                        self._report = report
                        self._tell("report", report_payload(report, Outcome("result")), revision)

            def finish(outcome: Outcome) -> None:
                self._finish(outcome, revision, time.perf_counter() - started)

            self._task = self._submit("check", steps(), finish)
            return self._task

    def _finish(self, outcome: Outcome, revision: int, seconds: float) -> None:
        """Send the one final message of a check."""
        if outcome.kind == "error":
            payload = {**failure(outcome), "stage": "check", "withdrawn": []}
        elif outcome.kind == "cancelled":
            payload = {"message": "The check was cancelled."}
        else:
            times = {"seconds": round(seconds, 3), "cached": False}
            payload = {**times, "target": None, "layer": None, "facts": [], "notes": []}
        with self._state_lock:
            if revision == self._revision:
                self._shown.pop("progress", None)
            self._end(revision, outcome, payload)

    @property
    def report(self) -> "Report":
        """The newest report; waits for a running check, and checks anew if that was cancelled.

        Raises
        ------
        XaiError
            If the check failed: the sentence that the panel shows.
        """
        return self._waited(lambda: self._report)

    @property
    def _title(self) -> str:
        return self.model.name if self._loaded else type(self.model).__name__

    def _about(self) -> dict[str, Any]:
        """Return the payload of the `setup` message."""
        model = self.model
        if self._loaded:
            framework = model.framework
            return {"title": self._title, "framework": framework, "verdict": verdict(model)}
        return {
            "title": self._title,
            "framework": "",
            "verdict": {"verdict": "broken", "sentence": "It cannot be loaded.", "findings": []},
        }

    # Messages -----------------------------------------------------------------------------

    def _on_hello(self, message: Message) -> None:
        with self._state_lock:
            self._reply("setup", self._about(), self._revision)
            self._reply("accepted", {}, self._revision)
            for kind in ("report", "progress", *FINAL_KINDS):
                if kind in self._shown:
                    self._reply(kind, self._shown[kind], self._revision)

    def _on_cancel(self, message: Message) -> None:
        self._engine.cancel(self._owner, "check")

    def _on_retry(self, message: Message) -> None:
        self._start()

    # Display ------------------------------------------------------------------------------

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return the live view, and beside it the report as HTML for hosts that show no widgets."""
        rendered = super()._repr_mimebundle_(**kwargs)
        if rendered is None:
            return None
        data, metadata = rendered
        try:
            html = self.report._repr_html_()
        except XaiError:
            return data, metadata
        return {**data, "text/html": html}, metadata
