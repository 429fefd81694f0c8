"""The tools that are open below another: they look closer at what it shows, and follow it."""

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from xai_widgets.errors import MethodError, XaiError
from xai_widgets.explainers.registry import find
from xai_widgets.models.base import ExplainableModel
from xai_widgets.widgets.pictured import PicturedWidget

if TYPE_CHECKING:
    from xai_widgets.widgets.explorer.explorer import Explorer

NEEDS = {
    "scrubber": "integrated_gradients",
    "attention": "attention_rollout",
    "features": "integrated_gradients",
}
"""Which method's needs a tool has."""
NAMES = {"features": "feature gallery"}
KEPT = ("layer", "head", "query")


class Companions:
    """Opens tools for another, one of each kind, and closes them with it.

    The browser is told which there are by the ids of their models, and draws them below.

    Parameters
    ----------
    model
        What all of them are about.
    makers
        What makes a tool, by name.
    tell
        Sends the payload of an `opened` message.
    """

    def __init__(
        self,
        model: Callable[[], ExplainableModel],
        makers: Mapping[str, Callable[[], PicturedWidget]],
        tell: Callable[[dict[str, Any]], None],
    ) -> None:
        self._model = model
        self._makers = makers
        self._tell = tell
        self._tools: dict[str, PicturedWidget] = {}
        self._errors: dict[str, str] = {}
        self._lock = threading.RLock()

    def payload(self) -> dict[str, Any]:
        """Return the payload of an `opened` message: what is open, and what could not be."""
        opened = {
            name: {"model": tool.model_id, "error": None} for name, tool in self._tools.items()
        }
        failed = {name: {"model": None, "error": text} for name, text in self._errors.items()}
        return {"tools": {**failed, **opened}}

    def open(self, name: str) -> PicturedWidget:
        """Open a tool, or return the one that is open.

        Raises
        ------
        XaiError
            If there is no such tool, or the model has not what it needs.
        """
        if name not in self._makers:
            raise XaiError(f"There is no tool {name!r}: open one of {', '.join(self._makers)}.")
        reason = self._model().capabilities.reason(find(NEEDS[name]).needs)
        if reason is not None:
            called = NAMES.get(name, name)
            raise MethodError(f"The {called} cannot be opened for this model. {reason}")
        with self._lock:
            if name not in self._tools:
                self._errors.pop(name, None)
                tool = self._tools[name] = self._makers[name]()
                tool.when_closed(lambda: self._gone(tool))
                self._tell(self.payload())
            return self._tools[name]

    def ask(self, name: str, wanted: bool) -> None:
        """Open or close a tool as the browser asks for; an error is told there."""
        try:
            if wanted:
                self.open(name)
            else:
                self.close(name)
        except XaiError as error:
            self.refuse(name, error)

    def refuse(self, name: str, error: XaiError) -> None:
        """Tell why a tool is not there."""
        self._errors[name] = str(error)
        self._tell(self.payload())

    def close(self, name: str) -> None:
        """Close a tool if it is open."""
        with self._lock:
            tool = self._tools.pop(name, None)
            failed = self._errors.pop(name, None)
            if tool is not None:
                tool.close()
            if tool is not None or failed is not None:
                self._tell(self.payload())

    def close_all(self) -> None:
        """Close everything that is open."""
        for name in tuple(self._tools):
            self.close(name)

    def _gone(self, tool: PicturedWidget) -> None:
        """Let go of a tool that was closed from elsewhere."""
        with self._lock:
            for name, known in tuple(self._tools.items()):
                if known is tool:
                    del self._tools[name]
                    self._tell(self.payload())


class ExplorerCompanions(Companions):
    """The tools below an Explorer."""

    def __init__(self, explorer: "Explorer", tell: Callable[[dict[str, Any]], None]) -> None:
        self._explorer = explorer
        makers = {
            "scrubber": self._scrubber,
            "attention": self._attention,
            "features": self._features,
        }
        super().__init__(lambda: explorer.model, makers, tell)

    def _scrubber(self) -> PicturedWidget:
        from xai_widgets.widgets.scrubber.scrubber import PathScrubber

        return PathScrubber.of(self._explorer)

    def _features(self) -> PicturedWidget:
        from xai_widgets.widgets.gallery.gallery import FeatureGallery

        return FeatureGallery.of(self._explorer)

    def _attention(self, **traits: Any) -> PicturedWidget:
        from xai_widgets.widgets.attention.view import AttentionView

        explorer = self._explorer
        return AttentionView(explorer.model, explorer.images[explorer.image_index], **traits)

    def image_changed(self) -> None:
        """Show the attention of another picture; the other tools follow by themselves."""
        with self._lock:
            view = self._tools.pop("attention", None)
            if view is None:
                return
            try:
                kept = {name: getattr(view, name) for name in KEPT}
                tool = self._tools["attention"] = self._attention(**kept)
                tool.when_closed(lambda: self._gone(tool))
            except XaiError as error:  # the Explorer tells it as well, and goes on
                self._errors["attention"] = str(error)
            view.close()
            self._tell(self.payload())
