"""Decodes what JupyterLab sends to a kernel, so that tests can count messages on the wire."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KernelMessage:
    """One message of the Jupyter protocol; ``buffer_sizes`` in bytes."""

    channel: str
    type: str
    content: dict[str, Any]
    buffer_sizes: tuple[int, ...]

    @property
    def comm_data(self) -> dict[str, Any]:
        """What a comm message carries: ``{"method": "update" | "custom" | ..., ...}``."""
        data: dict[str, Any] = self.content.get("data", {})
        return data


def decode(frame: str | bytes) -> KernelMessage | None:
    """The message in a websocket frame; None for a frame of something else (a terminal, a ping).

    Text frames are JSON. Binary frames follow ``v1.kernel.websocket.jupyter.org``: the number of
    offsets and the offsets as little-endian uint64, then channel, header, parent header, metadata,
    content and buffers.
    """
    if isinstance(frame, str):
        message = json.loads(frame)
        if not isinstance(message, dict) or "header" not in message:
            return None
        return KernelMessage(
            message.get("channel", ""), message["header"]["msg_type"], message["content"], ()
        )
    (count,) = struct.unpack_from("<Q", frame, 0)
    offsets = struct.unpack_from(f"<{count}Q", frame, 8)
    parts = [
        frame[start:end] for start, end in zip(offsets, [*offsets[1:], len(frame)], strict=True)
    ]
    channel, header, _parent, _metadata, content, *buffers = parts
    if buffers and not buffers[-1]:
        buffers.pop()  # the last offset is the end of the frame
    return KernelMessage(
        channel.decode(),
        json.loads(header)["msg_type"],
        json.loads(content),
        tuple(len(buffer) for buffer in buffers),
    )
