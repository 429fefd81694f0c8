"""`PresentJob`: what tools with one job at a time share - telling, ending and waiting for it."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from xai_widgets.errors import XaiError
from xai_widgets.widgets.base import ToolWidget
from xai_widgets.widgets.engine import Outcome, Task

Found = TypeVar("Found")


class PresentJob(ToolWidget):
    """A tool whose state makes one job, of which only the newest counts.

    Attributes
    ----------
    _shown
        The newest message of each kind, to fill a new view with.
    _error
        What the newest job failed with.
    """

    def __init__(self, *arguments: Any, **traits: Any) -> None:
        self._state_lock = threading.RLock()
        self._shown: dict[str, dict[str, Any]] = {}
        self._error: BaseException | None = None
        self._task: Task | None = None
        self._revision = 0
        super().__init__(*arguments, **traits)

    def _start(self) -> Task:
        """Turn the present state into a job that replaces the one before."""
        raise NotImplementedError

    def _tell(self, kind: str, payload: dict[str, Any], revision: int) -> None:
        """Send and remember a message, unless a newer job has taken over."""
        with self._state_lock:
            if revision == self._revision:
                self._shown[kind] = payload
                self._reply(kind, payload, revision)

    def _end(self, revision: int, outcome: Outcome, payload: dict[str, Any]) -> None:
        """Send the one final message of a job."""
        with self._state_lock:
            if revision == self._revision:
                self._error = outcome.error
                self._shown[outcome.kind] = payload
            self._reply(outcome.kind, payload, revision)

    def _waited(self, found: Callable[[], Found | None]) -> Found:
        """Return what the present job finds; a job that was cancelled is started again.

        Parameters
        ----------
        found
            Gives it once a job has ended in "result"; None where there is nothing yet.

        Raises
        ------
        XaiError
            If the job failed: the sentence that the widget shows.
        """
        while True:
            task = self._task or self._start()
            task.wait()
            with self._state_lock:
                if task is not self._task:
                    continue
                if self._error is not None:
                    raise XaiError(self._shown["error"]["message"]) from self._error
                value = found() if "result" in self._shown else None
                if value is not None:
                    return value
                self._start()  # it was cancelled
