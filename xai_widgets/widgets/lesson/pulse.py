"""`Pulse`: which frame of an animation the browser shows, so that no more are sent than are shown.

Twin of js/src/widgets/pulse/index.ts.
"""

import asyncio
import threading
import time
from typing import Any

import anywidget

from xai_widgets.widgets.bundles import bundle
from xai_widgets.widgets.protocol import pack, unpack

FIRST_SECONDS = 2.0
"""How long a cell that awaits waits for the first answer: the page may be loading the code."""
BLOCKED_SECONDS = 0.25
"""How long one that does not await waits: an answer may only be read when the cell has ended."""
NEXT_SECONDS = 5.0
LOOK_SECONDS = 0.004
UNANSWERED_SECONDS = 1 / 60
"""Between frames that nobody answers."""


class Pulse(anywidget.AnyWidget):
    """Counts frames that were sent and frames that are on the screen; shows nothing itself.

    Answers are read while a cell awaits; hosts that handle messages of widgets on a thread of
    their own read them at any time. Where nobody answers, as in a run without a browser, the
    waiting ends after a moment, and frames only keep a small distance; a browser that answers
    later is waited for again.

    Attributes
    ----------
    sent, shown
        Numbers of the newest frames.
    """

    @property
    def _esm(self) -> str:
        return bundle("pulse.js")

    def __init__(self) -> None:
        self.sent = 0
        self.shown = 0
        self._answers = threading.Condition()
        self._patience: float | None = None  # None until the first wait
        self._beaten = 0.0
        super().__init__()
        self.on_msg(self._receive)

    def beat(self) -> None:
        """Have the browser tell when what was sent until now is shown."""
        self.sent += 1
        self._beaten = time.monotonic()
        content, buffers = pack("ping", self.sent, {})
        self.send(content, buffers)

    def wait(self, unseen: int) -> bool:
        """Wait until at most ``unseen`` frames are not shown yet.

        Returns
        -------
        bool
            False where nobody answers: then there is hardly any waiting from now on.
        """
        patience = self._patience_from(BLOCKED_SECONDS)
        with self._answers:
            there = self._answers.wait_for(lambda: self._unseen <= unseen, timeout=patience)
        if not there:
            self._patience = 0.0
            time.sleep(self._distance)
        return there

    async def wait_async(self, unseen: int) -> bool:
        """Do as `wait`, and let answers be read meanwhile."""
        until = time.monotonic() + self._patience_from(FIRST_SECONDS)
        await asyncio.sleep(0)
        while self._unseen > unseen:
            if time.monotonic() >= until:
                self._patience = 0.0
                await asyncio.sleep(self._distance)
                return False
            await asyncio.sleep(LOOK_SECONDS)
        return True

    @property
    def _unseen(self) -> int:
        return self.sent - self.shown

    @property
    def _distance(self) -> float:
        return max(0.0, self._beaten + UNANSWERED_SECONDS - time.monotonic())

    def _patience_from(self, first: float) -> float:
        return first if self._patience is None else self._patience

    def _receive(self, _widget: Any, content: Any, buffers: Any) -> None:
        message = unpack(content, buffers or [])
        if message.kind == "pong":
            with self._answers:
                self.shown = max(self.shown, message.revision)
                self._patience = NEXT_SECONDS
                self._answers.notify_all()
