"""One worker for a model: newest wins, cancel stops between steps, every task ends once."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator

import pytest

from xai_widgets.widgets import engine as engine_module
from xai_widgets.widgets.engine import Engine, Outcome, ResultCache, Task, engine_of


class Work:
    """Steps that wait for a gate, and a record of how they ended."""

    def __init__(self, n_steps: int = 3, fails: bool = False) -> None:
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.done = 0
        self.closed = False
        self.outcomes: list[Outcome] = []
        self._n_steps, self._fails = n_steps, fails

    def steps(self) -> Iterator[None]:
        try:
            for _ in range(self._n_steps):
                self.entered.set()
                assert self.gate.wait(30)
                self.done += 1
                yield
            if self._fails:
                raise ValueError("broken")
        finally:
            self.closed = True

    def task(self, owner: object = "a", lane: str = "x") -> Task:
        return Task(owner, lane, self.steps(), self.outcomes.append)


def kinds(work: Work) -> list[str]:
    return [outcome.kind for outcome in work.outcomes]


def test_a_task_runs_to_its_end_on_another_thread() -> None:
    work = Work()
    work.gate.set()
    task = Engine().submit(work.task())
    assert task.wait(30)
    assert (kinds(work), work.done, work.closed) == (["result"], 3, True)


def test_work_in_the_background_gives_way_between_two_steps_and_goes_on_afterwards() -> None:
    engine, slow, quick = Engine(), Work(5), Work(1)
    task = Task("a", "slow", slow.steps(), slow.outcomes.append, background=True)
    engine.submit(task)
    assert slow.entered.wait(30)
    other = quick.task("a", "quick")
    other.finish = lambda outcome: quick.outcomes.append(Outcome(f"after {slow.done}"))
    engine.submit(other)
    quick.gate.set()
    slow.gate.set()
    assert other.wait(30) and task.wait(30)
    assert (kinds(quick), kinds(slow), slow.done) == (["after 1"], ["result"], 5)


def test_work_that_gave_way_can_be_cancelled() -> None:
    engine, slow, blocking = Engine(), Work(5), Work(1)
    task = Task("a", "slow", slow.steps(), slow.outcomes.append, background=True)
    engine.submit(task)
    assert slow.entered.wait(30)
    other = engine.submit(blocking.task("b"))
    slow.gate.set()
    assert blocking.entered.wait(30)
    engine.cancel("a")
    assert task.wait(30) and slow.closed
    blocking.gate.set()
    assert other.wait(30)
    assert (kinds(slow), kinds(blocking)) == (["cancelled"], ["result"])


def test_an_exception_ends_the_task_and_not_the_worker() -> None:
    engine, broken, healthy = Engine(), Work(fails=True), Work()
    broken.gate.set()
    healthy.gate.set()
    engine.submit(broken.task())
    assert engine.submit(healthy.task("b")).wait(30)
    assert kinds(broken) == ["error"]
    assert isinstance(broken.outcomes[0].error, ValueError)
    assert kinds(healthy) == ["result"]


def test_a_cancel_stops_before_the_next_step_and_closes_the_work() -> None:
    engine, work = Engine(), Work(n_steps=100)
    task = engine.submit(work.task())
    assert work.entered.wait(30)
    engine.cancel("a")
    work.gate.set()
    assert task.wait(30)
    assert (kinds(work), work.done, work.closed) == (["cancelled"], 1, True)


def test_the_newest_task_of_an_owner_and_lane_wins() -> None:
    engine, first = Engine(), Work(n_steps=100)
    engine.submit(first.task())
    assert first.entered.wait(30)
    others = [Work() for _ in range(5)]
    for other in others:
        other.gate.set()
        last = engine.submit(other.task())
    first.gate.set()
    assert last.wait(30)
    assert kinds(first) == ["cancelled"]
    assert [kinds(other) for other in others] == [["cancelled"]] * 4 + [["result"]]
    assert [other.done for other in others] == [0, 0, 0, 0, 3]


def test_other_owners_and_lanes_are_left_alone() -> None:
    engine, first = Engine(), Work()
    engine.submit(first.task("a", "x"))
    assert first.entered.wait(30)
    beside, elsewhere = Work(), Work()
    tasks = [engine.submit(beside.task("a", "y")), engine.submit(elsewhere.task("b", "x"))]
    for work in (first, beside, elsewhere):
        work.gate.set()
    assert all(task.wait(30) for task in tasks)
    assert [kinds(work) for work in (first, beside, elsewhere)] == [["result"]] * 3


def test_submitting_returns_while_the_worker_is_busy() -> None:
    engine, busy, waiting = Engine(), Work(), Work()
    engine.submit(busy.task("a"))
    assert busy.entered.wait(30)
    task = engine.submit(waiting.task("b"))
    assert not waiting.entered.is_set()
    engine.cancel("b")
    assert task.wait(30)
    assert (kinds(waiting), waiting.done) == (["cancelled"], 0)
    busy.gate.set()


def test_an_idle_worker_goes_away_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "IDLE_SECONDS", 0.0)
    engine = Engine()
    for _ in range(3):
        work = Work()
        work.gate.set()
        task = engine.submit(work.task())
        thread = engine._thread
        assert task.wait(30)
        if thread is not None:
            thread.join(30)
            assert not thread.is_alive()
        assert kinds(work) == ["result"]


def test_many_threads_may_submit_and_every_task_ends_exactly_once() -> None:
    engine = Engine()
    works = [[Work() for _ in range(40)] for _ in range(4)]
    tasks: list[Task] = []

    def submit(number: int) -> None:
        for work in works[number]:
            work.gate.set()
            tasks.append(engine.submit(work.task("a", "x")))

    threads = [threading.Thread(target=submit, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert all(task.wait(30) for task in tasks)
    assert all(len(work.outcomes) == 1 for group in works for work in group)


def test_stopping_cancels_everything_and_waits_for_the_thread() -> None:
    engine, running, waiting = Engine(), Work(), Work()
    engine.submit(running.task("a"))
    assert running.entered.wait(30)
    engine.submit(waiting.task("b"))
    thread = engine._thread
    assert thread is not None
    stopper = threading.Thread(target=engine.stop, args=(30,))
    stopper.start()
    while not waiting.outcomes:  # ended by the one who stops
        stopper.join(0.01)
    running.gate.set()
    stopper.join(30)
    assert not thread.is_alive() and running.done == 1
    assert [outcome.kind for outcome in running.outcomes + waiting.outcomes] == ["cancelled"] * 2


def test_a_program_that_ends_while_a_widget_computes_ends_in_order() -> None:
    """A thread that is killed inside of PyTorch aborts the process."""
    code = """
import numpy as np, xai_widgets as xw
model = xw.demo.model("digits")
pictures = np.zeros((1, 64, 64, 3), np.uint8)
scrubber = xw.PathScrubber(model, pictures[0], n_steps=512)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def test_the_cache_keeps_the_newest_results_that_fit() -> None:
    cache = ResultCache(limit_bytes=100)
    for key in "abc":
        cache.put(key, key.upper(), 40)
    assert [cache.get(key) for key in "abc"] == [None, "B", "C"]
    cache.get("b")
    cache.put("d", "D", 40)
    assert [cache.get(key) for key in "bcd"] == ["B", None, "D"]
    cache.put("huge", "H", 101)
    assert (cache.get("huge"), cache.get("d")) == (None, "D")


def test_a_model_has_one_engine_which_dies_with_it(model) -> None:
    assert engine_of(model) is engine_of(model)

    class Stub:
        pass

    stub = Stub()
    reference = weakref.ref(engine_of(stub))  # type: ignore[arg-type]
    del stub
    gc.collect()
    assert reference() is None
