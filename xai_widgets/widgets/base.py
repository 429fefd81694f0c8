"""`ToolWidget`: the message channel that every tool's widget shares."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

import anywidget
import traitlets

from xai_widgets.errors import XaiError, near_matches
from xai_widgets.models.base import ExplainableModel
from xai_widgets.widgets.bundles import bundle
from xai_widgets.widgets.engine import Engine, Outcome, Steps, Task, engine_of
from xai_widgets.widgets.protocol import ANSWERED_KINDS, Message, pack, unpack


class StateError(XaiError, traitlets.TraitError):
    """A trait was set to something that the model or the images do not have."""


class as_state_error:
    """Turn an XaiError into a StateError, after which traitlets puts the old value back."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if isinstance(error, XaiError) and not isinstance(error, StateError):
            raise StateError(str(error)) from error


class ToolWidget(anywidget.AnyWidget):
    """An anywidget with typed messages, a worker and acknowledgements.

    A message of kind ``name`` goes to the method ``_on_name(message)``. Handlers may run on any
    thread and return at once; work goes to the model's worker through `_submit`. The worker
    sends messages and never sets traits.
    """

    bundle_name = ""
    _closers: tuple[Callable[[], None], ...] = ()

    @property
    def _esm(self) -> str:
        return bundle(f"{self.bundle_name}.js")

    @property
    def _css(self) -> str:
        return bundle(f"{self.bundle_name}.css")

    def __init__(
        self, model: ExplainableModel, engine: Engine | None = None, **traits: Any
    ) -> None:
        self.model = model
        self._engine = engine or engine_of(model)
        self._owner = object()
        self._sending = threading.Lock()
        for name in traits:
            if not self.has_trait(name):
                known = [trait for trait in self.trait_names() if not trait.startswith("_")]
                raise StateError(
                    f"{type(self).__name__} has no trait {name!r}.{near_matches(name, known)}"
                )
        super().__init__(**traits)
        self.on_msg(self._receive)

    def _submit(self, lane: str, steps: Steps, finish: Any, background: bool = False) -> Task:
        return self._engine.submit(Task(self._owner, lane, steps, finish, background))

    def _reply(
        self, kind: str, payload: Mapping[str, Any] | None = None, revision: int = 0
    ) -> None:
        """Send a message to all views."""
        content, buffers = pack(kind, revision, payload or {})
        with self._sending:
            if self.comm is not None:
                self.send(content, buffers)

    def _receive(self, _widget: Any, content: Any, buffers: Any) -> None:
        message = unpack(content, buffers or [])
        if message.kind not in ANSWERED_KINDS:
            self._reply("ack", {"id": message.id}, message.revision)
        getattr(self, f"_on_{message.kind}")(message)

    def _on_hello(self, message: Message) -> None:
        raise NotImplementedError

    def when_closed(self, callback: Callable[[], None]) -> None:
        """Have something done once, when the widget is closed."""
        self._closers = (*self._closers, callback)

    def close(self) -> None:
        """Stop what is running and remove the widget from all views."""
        closers, self._closers = self._closers, ()
        for callback in closers:
            callback()
        if self.comm is not None:  # else closed before, or never opened: nothing can be running
            self._engine.cancel(self._owner)
        super().close()


def failure(outcome: Outcome) -> dict[str, Any]:
    """Return an error's sentence and its traceback.

    Errors raised on purpose speak for themselves; others are introduced as what they are.
    """
    import traceback

    error = outcome.error
    text = " ".join(str(error).split())
    known = isinstance(error, XaiError)
    message = text if known else f"Something unexpected happened ({type(error).__name__}): {text}"
    return {"message": message, "traceback": "".join(traceback.format_exception(error))}
