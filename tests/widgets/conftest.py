"""A small model, pictures, and an Explorer whose messages are recorded."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import xai_widgets as xw
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.widgets.base import ToolWidget
from xai_widgets.widgets.codec import decode
from xai_widgets.widgets.comparison.comparison import Comparison
from xai_widgets.widgets.explorer.explorer import Explorer
from xai_widgets.widgets.protocol import FINAL_KINDS
from xai_widgets.widgets.workbench.workbench import ConceptWorkbench


class SmallNet(nn.Module):
    """Two convolutions and a head; waits at a gate where a test holds it closed."""

    def __init__(self, n_classes: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.body = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(16, n_classes)
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.entered.set()
        assert self.gate.wait(60)
        return self.head(self.body(self.stem(x)).mean((2, 3)))


class Recorded:
    """The messages a widget has sent, decoded, with a way to wait for one."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self._changed = threading.Condition()

    def add(self, content: dict[str, Any], buffers: list[bytes] | None) -> None:
        if not isinstance(content, dict) or "kind" not in content:
            return
        json.dumps(content, allow_nan=False)  # what the wire would refuse
        payload = decode(content["payload"], buffers or [])
        with self._changed:
            self.messages.append({**content, "payload": payload})
            self._changed.notify_all()

    def of(self, *kinds: str, revision: int | None = None) -> list[dict[str, Any]]:
        return [
            message
            for message in list(self.messages)
            if message["kind"] in kinds and revision in (None, message["revision"])
        ]

    def wait(self, *kinds: str, revision: int | None = None, after: int = 0) -> dict[str, Any]:
        """Return the newest message of these kinds, waiting for one behind position ``after``."""

        def found() -> list[dict[str, Any]]:
            return [m for m in self.messages[after:] if m in self.of(*kinds, revision=revision)]

        with self._changed:
            assert self._changed.wait_for(found, 60), f"no {kinds} arrived"
            return found()[-1]

    def final(self, revision: int) -> dict[str, Any]:
        return self.wait(*FINAL_KINDS, revision=revision)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    record = Recorded()
    monkeypatch.setattr(
        ToolWidget, "send", lambda _self, content, buffers=None: record.add(content, buffers)
    )
    return record


@pytest.fixture
def net() -> SmallNet:
    torch.manual_seed(0)
    return SmallNet().eval()


@pytest.fixture
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 40, 48, 3), dtype=np.uint8)


@pytest.fixture
def model(net: SmallNet) -> xw.ExplainableModel:
    return xw.load(net, labels=["zebra", "leopard", "cow", "horse"], input_size=(32, 32))


@pytest.fixture
def make(
    model: xw.ExplainableModel, pictures: np.ndarray, recorded: Recorded
) -> Iterator[Callable[..., Explorer]]:
    made: list[Explorer] = []

    def build(images: Any = None, **traits: Any) -> Explorer:
        explorer = Explorer(model, pictures if images is None else images, **traits)
        made.append(explorer)
        return explorer

    yield build
    for explorer in made:
        explorer.close()


@pytest.fixture
def store(tmp_path: Path) -> ConceptStore:
    return ConceptStore(tmp_path / "concepts")


@pytest.fixture
def filled(store: ConceptStore) -> ConceptStore:
    from tests.widgets.workbench import fill

    return fill(store)


@pytest.fixture
def make_workbench(
    model: xw.ExplainableModel, pictures: np.ndarray, recorded: Recorded, store: ConceptStore
) -> Iterator[Callable[..., ConceptWorkbench]]:
    made: list[ConceptWorkbench] = []

    def build(images: Any = None, **traits: Any) -> ConceptWorkbench:
        traits = {"store": store, "target": "zebra", **traits}
        workbench = ConceptWorkbench(model, pictures if images is None else images, **traits)
        made.append(workbench)
        return workbench

    yield build
    for workbench in made:
        workbench.close()


@pytest.fixture
def make_comparison(
    model: xw.ExplainableModel, pictures: np.ndarray, recorded: Recorded
) -> Iterator[Callable[..., Comparison]]:
    made: list[Comparison] = []

    def build(
        methods: Any = ("gradient", "eigen_cam"),
        images: Any = None,
        models: Any = None,
        **given: Any,
    ) -> Comparison:
        images = pictures[:3] if images is None else images
        methods = list(methods) if isinstance(methods, tuple) else methods
        made.append(Comparison(model if models is None else models, images, methods, **given))
        return made[-1]

    yield build
    for comparison in made:
        comparison.close()
