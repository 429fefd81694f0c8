"""`Pulse`: which frame of an animation the browser shows, so that no more are sent than are shown.

Twin of js/src/widgets/pulse/index.ts.
"""

import threading
from typing import Any

import anywidget

from xai_widgets.widgets.bundles import bundle
from xai_widgets.widgets.protocol import pack, unpack

FIRST_SECONDS = 3.0
"""How long the first answer is waited for: the page may be loading the code for it."""
NEXT_SECONDS = 5.0


class Pulse(anywidget.AnyWidget):
    """Counts frames that were sent and frames that are on the screen; shows nothing itself.

    Where nobody answers, as in a run without a browser, it stops waiting; a browser that answers
    later is waited for again. Answers arrive beside a running cell where the host handles messages
    of widgets beside it, as JupyterLab does; elsewhere frames are sent unchecked.

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
        self._patience = FIRST_SECONDS
        super().__init__()
        self.on_msg(self._receive)

    def beat(self) -> None:
        """Have the browser tell when what was sent until now is shown."""
        self.sent += 1
        content, buffers = pack("ping", self.sent, {})
        self.send(content, buffers)

    def wait(self, unseen: int) -> bool:
        """Wait until at most ``unseen`` frames are not shown yet.

        Returns
        -------
        bool
            False where nobody answers: from then on, there is no waiting.
        """
        with self._answers:
            there = self._answers.wait_for(
                lambda: self.sent - self.shown <= unseen, timeout=self._patience
            )
            if not there:
                self._patience = 0.0
            return there

    def _receive(self, _widget: Any, content: Any, buffers: Any) -> None:
        message = unpack(content, buffers or [])
        if message.kind == "pong":
            with self._answers:
                self.shown = max(self.shown, message.revision)
                self._patience = NEXT_SECONDS
                self._answers.notify_all()
