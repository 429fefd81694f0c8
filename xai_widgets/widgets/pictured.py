"""`PicturedWidget`: a tool that also shows itself as a PNG, where no widget can be shown."""

from abc import abstractmethod
from base64 import b64encode
from typing import Any

from xai_widgets.errors import XaiError
from xai_widgets.widgets.base import ToolWidget
from xai_widgets.widgets.protocol import Message


class PicturedWidget(ToolWidget):
    """A tool with a static picture in its mimebundle, and snapshots on request."""

    def __init__(self, *arguments: Any, **traits: Any) -> None:
        self._snapshots: dict[str, Any] = {}  # displays that wait for the browser's own picture
        self._revision = 0
        super().__init__(*arguments, **traits)

    @abstractmethod
    def to_png(self) -> bytes:
        """Draw the present state in Python; waits for what is being computed."""

    def _first_png(self) -> bytes:
        """Draw what is saved with the notebook when the tool is displayed."""
        return self.to_png()

    def snapshot(self) -> None:
        """Display a PNG of the present state.

        It is drawn in Python at once; where the widget is open in a browser, its own picture, as
        it is there, takes its place.
        """
        from IPython.display import display

        token = f"snapshot {self.model_id} {len(self._snapshots)} {self._revision}"
        data = b64encode(self.to_png()).decode("ascii")
        handle = display(  # type: ignore[no-untyped-call]
            {"image/png": data}, raw=True, display_id=True
        )
        self._snapshots[token] = handle
        self._reply("snapshot", {"token": token}, self._revision)

    def _on_snapshot(self, message: Message) -> None:
        waiting = self._snapshots.pop(str(message.payload.get("token")), None)
        png = message.payload.get("png")
        if waiting is not None and png is not None and png.size:
            data = b64encode(png.tobytes()).decode("ascii")
            waiting.update({"image/png": data}, raw=True)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return the live view, and beside it a PNG for hosts that show no widgets."""
        rendered = super()._repr_mimebundle_(**kwargs)
        if rendered is None:
            return None
        data, metadata = rendered
        try:
            png = b64encode(self._first_png()).decode("ascii")
        except XaiError:
            return data, metadata
        return {**data, "image/png": png}, metadata
