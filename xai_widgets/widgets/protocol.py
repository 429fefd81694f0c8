"""The messages between kernel and browser: their kinds and their envelope.

Twin of js/src/core/protocol.ts; a test compares the lists. State lives in traits, messages carry
everything else. A job (a revision of the state) ends in exactly one of `FINAL_KINDS`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from xai_widgets.errors import XaiError
from xai_widgets.widgets.codec import decode, encode

VERSION = 1

BROWSER_KINDS = (
    "hello",
    "cancel",
    "retry",
    "thumbnails",
    "superpixels",
    "crop",
    "snapshot",
    "check",
    "open",
    "edit",
    "examples",
    "suggest",
    "visible",
    "drawn",
    "background",
    "pong",
)

KERNEL_KINDS = (
    "ack",
    "setup",
    "accepted",
    "picture",
    "prediction",
    "progress",
    "map",
    "ablation",
    "attention",
    "rows",
    "path",
    "stack",
    "opened",
    "result",
    "error",
    "cancelled",
    "thumbnails",
    "superpixels",
    "crop",
    "snapshot",
    "checking",
    "report",
    "module",
    "shelf",
    "saved",
    "examples",
    "bars",
    "sweep",
    "suggestions",
    "cell",
    "scores",
    "agreement",
    "curve",
    "cascade",
    "cascade_map",
    "study",
    "gallery",
    "features",
    "film",
    "exciting",
    "seen",
    "background",
    "ping",
)

# Whose answer stands for the acknowledgement, so that a picture costs no more than one round trip.
ANSWERED_KINDS = ("drawn",)

FINAL_KINDS = ("result", "error", "cancelled")

_ids = count(1)


class ProtocolError(XaiError, ValueError):
    """A message does not follow the protocol."""


@dataclass(frozen=True)
class Message:
    """A decoded message from the browser."""

    id: str
    kind: str
    revision: int
    payload: Mapping[str, Any]


def pack(
    kind: str, revision: int, payload: Mapping[str, Any]
) -> tuple[dict[str, Any], list[bytes]]:
    """Put a payload with arrays into an envelope.

    Returns
    -------
    content, buffers
        Ready to be sent.

    Raises
    ------
    ProtocolError
        If the kernel does not send messages of this kind.
    """
    if kind not in KERNEL_KINDS:
        raise ProtocolError(f"The kernel does not send messages of kind {kind!r}.")
    encoded, buffers = encode(dict(payload))
    envelope = {"v": VERSION, "id": f"k{next(_ids)}", "kind": kind, "revision": revision}
    return {**envelope, "payload": encoded}, buffers


def unpack(content: Any, buffers: Sequence[Any]) -> Message:
    """Read an envelope from the browser.

    Raises
    ------
    ProtocolError
        If the version or the kind is unknown, or a field is missing.
    """
    if not isinstance(content, Mapping) or content.get("v") != VERSION:
        raise ProtocolError(
            "A message of another protocol version arrived: restart the kernel and reload the page."
        )
    kind = content.get("kind")
    if kind not in BROWSER_KINDS:
        raise ProtocolError(f"The browser does not send messages of kind {kind!r}.")
    payload = decode(content.get("payload") or {}, buffers)
    return Message(str(content.get("id")), str(kind), int(content.get("revision") or 0), payload)
