"""The readiness panel's kernel side: one report a check, repeated, cancelled, shown static."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import nbconvert
import nbformat
import numpy as np
import pytest
import torch
from torch import nn

import xai_widgets as xw
from xai_widgets.errors import ModelError, XaiError
from xai_widgets.models.readiness import Step
from xai_widgets.widgets.protocol import FINAL_KINDS, pack
from xai_widgets.widgets.readiness.panel import ReadinessPanel

LAYER = {"name": "stem", "kind": "Conv2d", "shape": [16, 16, 8], "finite": True, "main": True}


@dataclass
class StubReport:
    """Stands for a report where the check itself is not what is tested."""

    number: int
    verdict: str = "explainable"
    norm: float = 0.5

    def to_dict(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "sentence": f"Report {self.number}.",
            "layers": [{**LAYER, "gradient_norm": self.norm, "recommended": False}],
        }

    def _repr_html_(self) -> str:
        return f"<b>Report {self.number}</b>"


@dataclass
class StubCheck:
    """Stands for `check_steps`: counts its calls, waits at a gate, fails on demand."""

    calls: list[tuple[Any, Any, Any]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    norm: float = 0.5
    finished: int = 0

    def __call__(
        self, model: Any, image: Any = None, reference: Any = None
    ) -> Generator[Step, None, StubReport]:
        self.calls.append((model, image, reference))
        number = len(self.calls)
        yield Step("First", 0, 2)
        self.entered.set()
        assert self.gate.wait(60)
        if self.error is not None:
            raise self.error
        yield Step("Second", 1, 2)
        self.finished += 1
        return StubReport(number, norm=self.norm)


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> StubCheck:
    stub = StubCheck()
    stub.gate.set()
    monkeypatch.setattr("xai_widgets.models.readiness.check_steps", stub)
    return stub


@pytest.fixture
def make(model: xw.ExplainableModel) -> Iterator[Callable[..., ReadinessPanel]]:
    made: list[ReadinessPanel] = []

    def build(*arguments: Any, **named: Any) -> ReadinessPanel:
        made.append(ReadinessPanel(*(arguments or (model,)), **named))
        return made[-1]

    yield build
    for panel in made:
        panel.close()


def browser(panel: ReadinessPanel, kind: str) -> None:
    content = {"v": 1, "id": "b1", "kind": kind, "revision": panel._revision, "payload": {}}
    panel._receive(panel, content, [])


def test_a_check_runs_at_once_and_ends_in_a_report_and_one_final(make, check, recorded) -> None:
    panel = make()
    recorded.final(1)
    kinds = [message["kind"] for message in recorded.messages]
    assert kinds == ["accepted", "progress", "progress", "progress", "report", "result"]
    told = [message["payload"] for message in recorded.of("progress")]
    assert [(each["text"], each["done"], each["total"]) for each in told] == [
        ("Checking SmallNet", 0, 0), ("First", 0, 2), ("Second", 1, 2)
    ]  # fmt: skip
    shown = recorded.of("report")[0]["payload"]
    assert shown == {"report": panel.report.to_dict(), "error": None}


def test_image_and_reference_reach_the_check(make, check, model, pictures) -> None:
    panel = make(model, pictures[0], [0.1, 0.9])
    assert panel.report.number == 1
    checked, image, reference = check.calls[0]
    assert checked is model
    np.testing.assert_array_equal(image, pictures[0])
    assert reference == [0.1, 0.9]


def test_hello_is_answered_without_checking_again(make, check, recorded) -> None:
    panel = make()
    recorded.final(1)
    before = len(recorded.messages)
    browser(panel, "hello")
    kinds = [message["kind"] for message in recorded.messages[before:]]
    assert kinds == ["ack", "setup", "accepted", "report", "result"]
    assert len(check.calls) == 1


def test_a_view_that_comes_while_a_check_runs_is_told_how_far_it_is(make, check, recorded) -> None:
    check.gate.clear()
    panel = make()
    assert check.entered.wait(30)
    before = len(recorded.messages)
    browser(panel, "hello")
    hello = recorded.messages[before:]
    assert [message["kind"] for message in hello] == ["ack", "setup", "accepted", "progress"]
    assert hello[-1]["payload"]["text"] == "First"
    check.gate.set()
    recorded.final(1)


def test_check_again_checks_again(make, check, recorded) -> None:
    panel = make()
    recorded.final(1)
    browser(panel, "retry")
    recorded.final(2)
    assert panel.report.number == 2
    assert recorded.of("report")[-1]["payload"]["report"]["sentence"] == "Report 2."


def test_the_report_waits_for_the_running_check(make, check) -> None:
    check.gate.clear()
    panel = make()
    assert check.entered.wait(30)
    threading.Timer(0.05, check.gate.set).start()
    assert panel.report.number == 1


def test_an_error_is_a_sentence_with_its_traceback(make, check, recorded) -> None:
    check.error = ModelError("The model returned a list: expected scores [N, K].")
    panel = make()
    failed = recorded.final(1)
    assert failed["kind"] == "error"
    assert failed["payload"]["message"] == "The model returned a list: expected scores [N, K]."
    assert "Traceback" in failed["payload"]["traceback"]
    with pytest.raises(XaiError, match="expected scores"):
        _ = panel.report
    check.error = None
    browser(panel, "retry")
    assert recorded.final(2)["kind"] == "result"


def test_a_cancelled_check_is_repeated_for_the_report(make, check, recorded) -> None:
    check.gate.clear()
    panel = make()
    assert check.entered.wait(30)
    browser(panel, "cancel")
    check.gate.set()
    assert recorded.final(1)["kind"] == "cancelled"
    assert check.finished == 0
    assert panel.report.number == 2


def test_each_check_ends_in_exactly_one_final(make, check, recorded) -> None:
    panel = make()
    for _ in range(5):
        browser(panel, "retry")
    recorded.final(6)
    assert panel.report is not None
    for revision in range(1, 7):
        assert len(recorded.of(*FINAL_KINDS, revision=revision)) == 1


def test_numbers_that_are_not_finite_become_null(make, check, recorded) -> None:
    check.norm = float("inf")
    make()
    recorded.final(1)
    report = recorded.of("report")[0]["payload"]["report"]
    assert report["layers"][0]["gradient_norm"] is None
    content, _ = pack("report", 1, {"report": report, "error": None})
    json.dumps(content, allow_nan=False)


def test_a_closed_panel_stops_its_check_and_is_released(check, model) -> None:
    panel = ReadinessPanel(model)
    assert panel.report is not None
    task = panel._task
    panel.close()
    assert task.wait(30)
    gone = weakref.ref(panel)
    del panel, task
    gc.collect()
    assert gone() is None


def test_a_file_that_does_not_load_is_refused(check) -> None:
    with pytest.raises(XaiError):
        ReadinessPanel("no such file.pt")


# With the real check ----------------------------------------------------------------------


class NoGrad(nn.Module):
    """Runs its body under no_grad, as a frozen backbone often does."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.body = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU())
        self.head = nn.Conv2d(16, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            x = self.body(self.stem(x))
        return self.head(x).mean((2, 3))


class Failing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no such operation")


def test_a_healthy_model_is_explainable(make, recorded) -> None:
    panel = make()
    assert recorded.final(1)["kind"] == "result"
    shown = recorded.of("report")[0]["payload"]["report"]
    assert panel.report.verdict == shown["verdict"] == "explainable"
    assert all(layer["gradient_norm"] > 0 for layer in shown["layers"])


def test_a_lost_gradient_is_told_with_layer_and_cause(make, recorded) -> None:
    torch.manual_seed(0)
    make(xw.load(NoGrad().eval(), input_size=(32, 32)))
    recorded.final(1)
    report = recorded.of("report")[0]["payload"]["report"]
    assert report["verdict"] == "layer-gradients-only"
    causes = {finding["cause"] for finding in report["findings"]}
    assert "no_grad" in causes
    dead = [layer["name"] for layer in report["layers"] if not layer["gradient_norm"]]
    assert "body" in dead
    assert "head" not in dead


def test_a_model_that_fails_is_shown_as_broken(make, recorded) -> None:
    panel = make(Failing())
    recorded.final(1)
    assert recorded.of("report")[0]["payload"]["report"]["verdict"] == "broken"
    browser(panel, "hello")
    assert recorded.of("setup")[-1]["payload"]["title"] == "Failing"


@pytest.mark.parametrize("sanitised", [False, True])
def test_a_host_without_widgets_shows_the_report(make, sanitised: bool) -> None:
    """nbconvert's sanitised output is what hosts make of it that strip styles, as GitHub does."""
    panel = make()
    data, _ = panel._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    output = nbformat.v4.new_output("display_data", data)
    cell = nbformat.v4.new_code_cell("panel", outputs=[output])
    notebook = nbformat.v4.new_notebook(cells=[cell])
    html, _ = nbconvert.HTMLExporter(sanitize_html=sanitised).from_notebook_node(notebook)
    body = html[html.index("<body") :]
    assert "explainable" in body
    for layer in ("stem", "body", "head"):
        assert layer in body


def test_a_failed_check_has_no_static_picture(make, check) -> None:
    check.error = ModelError("It failed.")
    data, _ = make()._repr_mimebundle_()
    assert "text/html" not in data


# In the Explorer --------------------------------------------------------------------------


def explorer_asks(explorer: xw.Explorer, again: bool = False) -> None:
    envelope = {"v": 1, "id": "c1", "kind": "check", "revision": explorer._revision}
    explorer._receive(explorer, {**envelope, "payload": {"again": again}}, [])


@pytest.fixture
def explorer(model, pictures, recorded) -> Iterator[xw.Explorer]:
    explorer = xw.Explorer(model, pictures, image_index=2)
    recorded.final(1)
    yield explorer
    explorer.close()


def test_the_explorer_checks_with_its_picture_when_asked(
    explorer, check, recorded, pictures
) -> None:
    assert check.calls == []
    explorer_asks(explorer)
    shown = recorded.wait("report")
    assert shown["payload"]["report"]["sentence"] == "Report 1."
    np.testing.assert_array_equal(check.calls[0][1].pixels, pictures[2])


def test_the_explorer_answers_from_memory_and_checks_again_on_demand(
    explorer, check, recorded
) -> None:
    explorer_asks(explorer)
    recorded.wait("report")
    after = len(recorded.messages)
    explorer_asks(explorer)
    recorded.wait("report", after=after)
    assert len(check.calls) == 1
    after = len(recorded.messages)
    explorer_asks(explorer, again=True)
    assert recorded.wait("report", after=after)["payload"]["report"]["sentence"] == "Report 2."


def test_a_new_view_of_the_explorer_gets_the_report_that_there_is(
    explorer, check, recorded
) -> None:
    hello = {"v": 1, "id": "h", "kind": "hello", "revision": 1, "payload": {}}
    explorer._receive(explorer, hello, [])
    assert recorded.of("report") == []
    explorer_asks(explorer)
    recorded.wait("report")
    explorer._receive(explorer, hello, [])
    assert len(recorded.of("report")) == 2


def test_a_check_that_fails_in_the_explorer_is_a_sentence(explorer, check, recorded) -> None:
    check.error = ValueError("odd")
    explorer_asks(explorer)
    payload = recorded.wait("report")["payload"]
    assert payload["report"] is None
    assert payload["error"]["message"] == "Something unexpected happened (ValueError): odd"
    check.error = None
    after = len(recorded.messages)
    explorer_asks(explorer)
    assert recorded.wait("report", after=after)["payload"]["report"] is not None


def test_the_explorer_tells_how_far_its_check_is_and_cancels_it(explorer, check, recorded) -> None:
    check.gate.clear()
    explorer_asks(explorer)
    assert check.entered.wait(30)
    hello = {"v": 1, "id": "h", "kind": "hello", "revision": 1, "payload": {}}
    explorer._receive(explorer, hello, [])
    assert [m["payload"]["text"] for m in recorded.of("checking")] == ["First", "First"]
    explorer._receive(explorer, {**hello, "kind": "cancel", "payload": {"check": True}}, [])
    check.gate.set()
    payload = recorded.wait("report")["payload"]
    assert payload == {
        "report": None,
        "error": {"message": "The check was cancelled.", "traceback": ""},
    }
    assert check.finished == 0
    assert recorded.of("cancelled") == []


def test_a_check_cancelled_in_the_explorer_leaves_the_report_of_before(
    explorer, check, recorded
) -> None:
    explorer_asks(explorer)
    recorded.wait("report")
    check.entered.clear()
    check.gate.clear()
    after = len(recorded.messages)
    explorer_asks(explorer, again=True)
    assert check.entered.wait(30)
    cancel = {"v": 1, "id": "c", "kind": "cancel", "revision": 1, "payload": {"check": True}}
    explorer._receive(explorer, cancel, [])
    check.gate.set()
    payload = recorded.wait("report", after=after)["payload"]
    assert payload["report"]["sentence"] == "Report 1."


def test_what_shows_a_report_is_sent_where_it_is_asked_for(explorer, check, recorded) -> None:
    explorer_asks(explorer)
    recorded.wait("report")
    assert recorded.of("module") == []
    envelope = {"v": 1, "id": "c2", "kind": "check", "revision": 1, "payload": {"module": True}}
    explorer._receive(explorer, envelope, [])
    payload = recorded.of("module")[0]["payload"]
    assert "reportView" in payload["script"]
    assert ".xaiw-gradients" in payload["style"]
    assert ".xaiw-gradients" not in explorer._css
