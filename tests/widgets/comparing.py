"""What the tests of the comparison share: how to make one, and a browser that talks to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.widgets.conftest import Recorded
from xai_widgets.widgets.comparison.comparison import Comparison

Make = Callable[..., Comparison]

LABELS = ["zebra", "leopard", "cow", "horse"]


def browser(comparison: Comparison, kind: str, payload: dict[str, Any] | None = None) -> None:
    """Send a message as the browser would."""
    content = {"v": 1, "id": "b1", "kind": kind, "revision": comparison._revision}
    comparison._receive(comparison, {**content, "payload": payload or {}}, [])


def cells(recorded: Recorded, state: str = "done", after: int = 0) -> dict[str, dict[str, Any]]:
    """Return the newest payloads of cells in a state by key, in the order in which they came."""
    found: dict[str, dict[str, Any]] = {}
    for message in recorded.messages[after:]:
        payload = message["payload"]
        if message["kind"] == "cell" and payload["state"] == state:
            found[payload["key"]] = payload
    return found


def scores(recorded: Recorded, after: int = 0) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what was said of each cell and metric."""
    return {
        (message["payload"]["key"], name): value
        for message in recorded.messages[after:]
        if message["kind"] == "scores"
        for name, value in message["payload"]["values"].items()
    }


def study(recorded: Recorded, *states: str, after: int = 0) -> dict[str, Any]:
    """Wait until a study is in one of the states; return what it says."""

    def found() -> list[dict[str, Any]]:
        return [
            message["payload"]
            for message in recorded.messages[after:]
            if message["kind"] == "study" and message["payload"]["state"] in states
        ]

    with recorded._changed:
        assert recorded._changed.wait_for(found, 60), f"no study is {states}"
        return found()[-1]
