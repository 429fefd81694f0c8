"""What the tests of the concept workbench share: coloured concepts, and a browser that edits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.widgets.conftest import Recorded
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.models.images import DisplayImage
from xai_widgets.widgets.workbench.workbench import ConceptWorkbench

Make = Callable[..., ConceptWorkbench]

RECT = {"type": "rect", "x": 4, "y": 6, "width": 20, "height": 12}


def tinted(n: int, colour: tuple[int, int, int], seed: int) -> list[DisplayImage]:
    """Return noisy pictures of one colour."""
    noise = np.random.default_rng(seed).normal(0, 18, (n, 24, 24, 3))
    pixels = np.clip(np.asarray(colour) + noise, 0, 255).astype(np.uint8)
    return [DisplayImage(each, f"{colour} {i}") for i, each in enumerate(pixels)]


def fill(store: ConceptStore, n: int = 8) -> ConceptStore:
    for name, colour in (("red", (210, 40, 40)), ("blue", (40, 40, 210))):
        store.add_concept(name)
        store.add_many(name, [(image, None) for image in tinted(n, colour, len(name))])
    store.add_concept("random", role="random")
    grey = np.random.default_rng(5).integers(0, 256, (50, 3))
    pool = [tinted(1, tuple(colour), seed)[0] for seed, colour in enumerate(grey)]
    store.add_many("random", [(image, None) for image in pool])
    return store


def browser(
    workbench: ConceptWorkbench, kind: str, payload: dict[str, Any] | None = None, id_: str = "b1"
) -> None:
    content = {"v": 1, "id": id_, "kind": kind, "revision": workbench._revision}
    workbench._receive(workbench, {**content, "payload": payload or {}}, [])


def edit(workbench: ConceptWorkbench, recorded: Recorded, op: str, **fields: Any) -> dict[str, Any]:
    """Edit as the browser does, and return the answer."""
    after = len(recorded.messages)
    browser(workbench, "edit", {"op": op, **fields}, f"edit {after}")
    answer = recorded.wait("saved", after=after)["payload"]
    assert answer["id"] == f"edit {after}"
    recorded.wait("shelf", after=after)
    return dict(answer)


def told(recorded: Recorded, revision: int) -> list[str]:
    own = [m["kind"] for m in recorded.messages if m["revision"] == revision]
    return [kind for kind in own if kind not in ("ack", "progress", "shelf", "saved")]
