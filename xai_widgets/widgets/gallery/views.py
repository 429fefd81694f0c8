"""What a gallery's views are told: the page, its pictures, and what is asked for beside the job."""

from collections.abc import Iterator, Mapping
from typing import Any

from xai_widgets.widgets.describe import MAX_THUMBNAILS, layer_record, verdict
from xai_widgets.widgets.gallery.job import Page, Way
from xai_widgets.widgets.gallery.look import Look
from xai_widgets.widgets.gallery.record import Optimised, features_payload
from xai_widgets.widgets.gallery.state import PARAMETERS, GalleryState
from xai_widgets.widgets.pictured import PicturedWidget
from xai_widgets.widgets.present_job import PresentJob
from xai_widgets.widgets.protocol import FINAL_KINDS, Message
from xai_widgets.widgets.thumbnails import send_thumbnails


class GalleryViews(GalleryState, PresentJob, PicturedWidget):
    """A gallery as its views see it.

    Attributes
    ----------
    images_key
        Tells these images from those of other galleries of the model.
    own_changes
        How often an own objective took the place of another.
    """

    images_key: str
    own_changes: int
    _page: Page | None
    _way: Way | None
    _records: dict[int, Optimised]
    _wanted: list[int]
    _look: Look

    # What is shown ------------------------------------------------------------------------

    def turn(self, page: Page, way: Way, revision: int) -> bool:
        """Show another page; False if a newer job has taken over."""
        with self._state_lock:
            if revision != self._revision:
                return False
            if self._page is None or self._page.key != page.key:
                self._records = {}
            seen = {*page.items, self.selected, self.mix_with}  # the others are in the cache
            self._records = {i: record for i, record in self._records.items() if i in seen}
            self._page, self._way, self._wanted = page, way, []
            self._tell("gallery", page.to_dict([name for name, _ in self._own]), revision)
            return True

    def keep(
        self, records: Mapping[int, Optimised], done: bool, revision: int, tell: bool = True
    ) -> None:
        """Show where some pictures stand."""
        with self._state_lock:
            if revision != self._revision:
                return
            self._records.update(records)
            payload = features_payload(records, self.shown, done)
            if tell and payload is not None:
                self._reply("features", payload, revision)

    def wanted(self, revision: int) -> list[int]:
        """Return what is to be computed first: what is enlarged or mixed, then what is in sight."""
        with self._state_lock:
            first = [index for index in (self.shown, self.mix_with) if index is not None]
            return [*first, *self._wanted] if revision == self._revision else []

    @property
    def shown(self) -> int | None:
        """What is enlarged: the selected one, else the first of the page."""
        selected: int | None = self.selected
        if selected is not None or self._page is None:
            return selected
        first: int | None = next(iter(self._page.items), None)
        return first

    def record(self, index: int | None) -> Optimised | None:
        """Return the present picture of an item, as far as it is."""
        with self._state_lock:
            return None if index is None else self._records.get(index)

    @property
    def present(self) -> tuple[Page | None, "Way | None", int | None, int | None]:
        """The page, how it is optimised, and the positions that are enlarged and mixed with it."""
        with self._state_lock:
            return self._page, self._way, self.shown, self.mix_with

    @property
    def ended(self) -> bool:
        """True if no picture of the page is still to come."""
        with self._state_lock:
            return any(kind in self._shown for kind in FINAL_KINDS)

    def look(self, revision: int, compute: bool = True) -> None:
        """Show what belongs to the picture that is enlarged, unless a newer job has taken over."""
        with self._state_lock:
            if revision == self._revision and self.comm is not None:
                self._look.start(compute)

    # Messages -----------------------------------------------------------------------------

    def _on_hello(self, message: Message) -> None:
        with self._state_lock:
            self._reply("setup", self._about(), self._revision)
            for kind in ("accepted", "gallery"):
                if kind in self._shown:
                    self._reply(kind, self._shown[kind], self._revision)
            for payload in self._grouped():
                self._reply("features", payload, self._revision)
            self._look.tell()
            for kind in FINAL_KINDS:
                if kind in self._shown:
                    self._reply(kind, self._shown[kind], self._revision)

    def _grouped(self) -> Iterator[dict[str, Any]]:
        """Yield what there is of all pictures, those at the same step together."""
        groups: dict[Any, dict[int, Optimised]] = {}
        for index, record in self._records.items():
            step, done = record.history[-1][0], bool(record.visualisation or record.failure)
            groups.setdefault((step, record.total, done), {})[index] = record
        for (_, _, done), records in groups.items():
            payload = features_payload(records, self.shown, done)
            if payload is not None:
                yield payload

    def _about(self) -> dict[str, Any]:
        """Return the payload of the `setup` message."""
        model = self.model
        return {
            "title": model.name,
            "framework": model.framework,
            "labels": list(model.labels),
            "classifier": model.is_classifier,
            "task": model.task,
            "n_images": 0 if self.images is None else len(self.images),
            "layers": [layer_record(layer) for layer in (*model.layers, *model.vector_layers)],
            "methods": [],
            "fills": [],
            "verdict": verdict(model),
            "input_shape": list(model.input_shape),
            "preprocessing": "",
            "max_thumbnails": MAX_THUMBNAILS,
            "parameters": list(PARAMETERS),
        }

    def _on_cancel(self, message: Message) -> None:
        for lane in ("pictures", "mixture", "exciting"):
            self._engine.cancel(self._owner, lane)

    def _on_retry(self, message: Message) -> None:
        self._start()

    def _on_visible(self, message: Message) -> None:
        wanted = [int(index) for index in message.payload.get("items") or []]
        with self._state_lock:
            if message.revision == self._revision:
                self._wanted = wanted

    def _on_thumbnails(self, message: Message) -> None:
        send_thumbnails(self, self.images, message)
