"""One worker, one queue and one result cache for each model, shared by all its widgets."""

import atexit
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass, field
from typing import Any

from xai_widgets.models.base import ExplainableModel

IDLE_SECONDS = 2.0
STOP_SECONDS = 20.0
CACHE_BYTES = 256 * 1024**2

Steps = Generator[None, None, None]


@dataclass(frozen=True)
class Outcome:
    """How a task ended: "result", "error" (with the exception) or "cancelled"."""

    kind: str
    error: BaseException | None = None


@dataclass(eq=False)
class Task:
    """Work in steps, cancelled between two of them.

    Attributes
    ----------
    owner, lane
        Of one owner's tasks in one lane the newest wins: it cancels those before it.
    steps
        Does the work, yielding wherever it may be stopped.
    finish
        Called exactly once, on the worker's thread or on that of whoever replaced the task
        before it started.
    background
        It gives way, between two steps, to whatever else is waiting.
    """

    owner: Hashable
    lane: str
    steps: Steps
    finish: Callable[[Outcome], None]
    background: bool = False
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Stop before the next step."""
        self._cancelled.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the task has ended; False if it has not after ``timeout`` seconds."""
        return self._ended.wait(timeout)

    def run(self, others_wait: Callable[[], bool] = lambda: False) -> bool:
        """Do the steps, check for cancel between them, and finish.

        Returns
        -------
        bool
            False if it gave way: then it is to be run again.
        """
        outcome = Outcome("cancelled")
        try:
            while not self._cancelled.is_set():
                next(self.steps)
                if self.background and not self._cancelled.is_set() and others_wait():
                    return False
        except StopIteration:
            outcome = Outcome("result")
        except Exception as error:
            outcome = Outcome("error", error)
        self.end(outcome)
        return True

    def end(self, outcome: Outcome) -> None:
        """Close the work and say how it ended."""
        try:
            self.steps.close()
        finally:
            try:
                self.finish(outcome)
            finally:
                self._ended.set()


class ResultCache:
    """The newest results by key, as many as fit into a number of bytes."""

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self._limit = limit_bytes
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Any | None:
        """Return a result, or None."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def put(self, key: Hashable, value: Any, nbytes: int) -> None:
        """Keep a result, dropping the oldest ones where they do not fit."""
        with self._lock:
            self._entries.pop(key, None)
            if nbytes <= self._limit:
                self._entries[key] = (value, nbytes)
            while sum(size for _, size in self._entries.values()) > self._limit:
                self._entries.popitem(last=False)


class Engine:
    """Runs tasks one after the other on a thread that lives as long as there is work."""

    def __init__(self) -> None:
        self.cache = ResultCache()
        self._condition = threading.Condition()
        self._waiting: deque[Task] = deque()
        self._running: Task | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False

    def submit(self, task: Task) -> Task:
        """Queue a task; older ones of the same owner and lane are cancelled. Returns at once."""
        with self._condition:
            replaced = self._take_waiting(task.owner, task.lane)
            running = self._running
            if running is not None and (running.owner, running.lane) == (task.owner, task.lane):
                running.cancel()
            self._waiting.append(task)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="xai-widgets-worker", daemon=True
                )
                self._thread.start()
            self._condition.notify_all()
        for old in replaced:
            old.end(Outcome("cancelled"))
        return task

    def cancel(self, owner: Hashable, lane: str | None = None) -> None:
        """Cancel an owner's tasks, in one lane or in all."""
        with self._condition:
            replaced = self._take_waiting(owner, lane)
            running = self._running
            if running is not None and running.owner == owner and lane in (None, running.lane):
                running.cancel()
        for old in replaced:
            old.end(Outcome("cancelled"))

    def stop(self, timeout: float) -> None:
        """Cancel everything and wait for the thread to end, at most ``timeout`` seconds."""
        with self._condition:
            self._stopping = True
            dropped, thread = list(self._waiting), self._thread
            self._waiting.clear()
            if self._running is not None:
                self._running.cancel()
            self._condition.notify_all()
        for task in dropped:
            task.end(Outcome("cancelled"))
        if thread is not None:
            thread.join(timeout)

    def _take_waiting(self, owner: Hashable, lane: str | None) -> list[Task]:
        taken = [
            task for task in self._waiting if task.owner == owner and lane in (None, task.lane)
        ]
        for task in taken:
            self._waiting.remove(task)
        return taken

    def _work(self) -> None:
        while True:
            with self._condition:
                self._running = None
                self._condition.wait_for(lambda: self._waiting or self._stopping, IDLE_SECONDS)
                if not self._waiting:
                    self._thread = None
                    return
                task = self._running = self._waiting.popleft()
            if not task.run(lambda: bool(self._waiting)):
                with self._condition:
                    self._waiting.append(task)
            del task


class _Engines:
    """Engines by model, each alive as long as its model."""

    def __init__(self) -> None:
        self._engines: weakref.WeakKeyDictionary[ExplainableModel, Engine] = (
            weakref.WeakKeyDictionary()
        )
        self._lock = threading.Lock()

    def of(self, model: ExplainableModel) -> Engine:
        """Return the one engine of a model."""
        with self._lock:
            return self._engines.setdefault(model, Engine())

    def stop(self) -> None:
        """Stop every engine before the interpreter ends.

        A thread that is killed inside of a framework takes the process down with it.
        """
        for engine in list(self._engines.values()):
            engine.stop(STOP_SECONDS)


_engines = _Engines()
atexit.register(_engines.stop)


def engine_of(model: ExplainableModel) -> Engine:
    """Return the one engine of a model."""
    return _engines.of(model)
