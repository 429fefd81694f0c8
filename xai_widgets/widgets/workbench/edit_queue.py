"""`EditQueue`: work that is done in order and never dropped, on a thread of its own.

A widget's edits must all reach the disk, so none of them is cancelled by a newer one, as jobs
are. What needs no model (thumbnails, crops) waits in a queue of its own as well, instead of behind
minutes of computing.
"""

import threading
from collections import deque
from collections.abc import Callable

IDLE_SECONDS = 2.0

Work = Callable[[], None]


class EditQueue:
    """Runs what is put into it, one after the other, as long as there is work.

    Parameters
    ----------
    name
        Of the thread, for those who debug.
    """

    def __init__(self, name: str = "xai-widgets-edits") -> None:
        self._name = name
        self._condition = threading.Condition()
        self._waiting: deque[Work] = deque()
        self._busy = False
        self._thread: threading.Thread | None = None

    def put(self, work: Work) -> None:
        """Queue work, which answers for its own errors. Returns at once."""
        with self._condition:
            self._waiting.append(work)
            if self._thread is None:
                # Not a daemon: a kernel that shuts down in order finishes what was asked for.
                self._thread = threading.Thread(target=self._work, name=self._name)
                self._thread.start()
            self._condition.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is left to do; False if there is after ``timeout`` seconds."""
        if threading.current_thread() is self._thread:
            return True  # what asks is the work itself
        with self._condition:
            return self._condition.wait_for(lambda: not (self._waiting or self._busy), timeout)

    def _work(self) -> None:
        while True:
            with self._condition:
                self._busy = False
                self._condition.notify_all()
                if not self._condition.wait_for(lambda: self._waiting, IDLE_SECONDS):
                    self._thread = None
                    return
                work = self._waiting.popleft()
                self._busy = True
            try:
                work()
            except Exception as error:
                # The work reports its errors; one that slips through must not stop the queue.
                threading.excepthook(
                    threading.ExceptHookArgs(
                        (type(error), error, error.__traceback__, threading.current_thread())
                    )
                )
            finally:
                del work
