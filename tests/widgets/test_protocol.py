"""Python and TypeScript declare the same messages, and envelopes are checked."""

import re
from pathlib import Path

import numpy as np
import pytest

from xai_widgets.widgets.protocol import (
    BROWSER_KINDS,
    FINAL_KINDS,
    KERNEL_KINDS,
    VERSION,
    ProtocolError,
    pack,
    unpack,
)

TWIN = Path(__file__).parents[2] / "js/src/core/protocol.ts"


@pytest.mark.parametrize(
    ("name", "kinds"),
    [("TO_KERNEL", BROWSER_KINDS), ("TO_BROWSER", KERNEL_KINDS), ("FINAL", FINAL_KINDS)],
)
def test_both_sides_declare_the_same_kinds(name: str, kinds: tuple[str, ...]) -> None:
    declared = re.search(rf"{name}\b[^=]*=\s*\[(.*?)\]", TWIN.read_text(), re.DOTALL)
    assert declared is not None
    assert sorted(re.findall(r'"(\w+)"', declared.group(1))) == sorted(kinds)


def test_an_envelope_carries_version_kind_revision_and_arrays() -> None:
    content, buffers = pack("map", 7, {"array": np.zeros((2, 3), np.float32)})
    assert (content["v"], content["kind"], content["revision"]) == (VERSION, "map", 7)
    assert content["payload"]["array"] == {"dtype": "float32", "shape": [2, 3], "buffer": 0}
    assert [len(buffer) for buffer in buffers] == [24]


def test_ids_differ() -> None:
    assert pack("ack", 0, {})[0]["id"] != pack("ack", 0, {})[0]["id"]


def test_a_kind_that_was_not_declared_cannot_be_sent() -> None:
    with pytest.raises(ProtocolError, match="does not send"):
        pack("hello", 0, {})


@pytest.mark.parametrize(
    "content", [None, "x", {}, {"v": 2, "kind": "hello"}, {"v": 1, "kind": "eval"}, {"v": 1}]
)
def test_unknown_envelopes_are_refused(content: object) -> None:
    with pytest.raises(ProtocolError):
        unpack(content, [])


def test_a_message_is_decoded() -> None:
    content = {
        "v": 1,
        "id": "b1",
        "kind": "snapshot",
        "revision": 3,
        "payload": {"token": "t", "png": {"dtype": "uint8", "shape": [2], "buffer": 0}},
    }
    message = unpack(content, [memoryview(b"\x01\x02")])
    assert (message.id, message.kind, message.revision) == ("b1", "snapshot", 3)
    assert message.payload["png"].tolist() == [1, 2]
