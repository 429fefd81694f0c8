"""What a workbench's views ask for beside the job: thumbnails, examples, superpixels, crops."""

from collections.abc import Callable
from typing import Any

from xai_widgets.errors import XaiError
from xai_widgets.widgets.base import failure
from xai_widgets.widgets.describe import MAX_THUMBNAILS
from xai_widgets.widgets.engine import Outcome
from xai_widgets.widgets.protocol import Message
from xai_widgets.widgets.regions import crop
from xai_widgets.widgets.workbench.edit_queue import EditQueue
from xai_widgets.widgets.workbench.pictures import Pictures
from xai_widgets.widgets.workbench.shelf import thumbnails
from xai_widgets.widgets.workbench.state import WorkbenchState

THUMBNAIL_SIDE = 96
MAX_CROP_SIDE = 2048


class WorkbenchReading(WorkbenchState):
    """Answers that need no model, on a thread of their own: they wait for no test."""

    pictures: Pictures
    _reading: EditQueue

    def tell_shelf(self, always: bool = False) -> None:
        """Send the shelf if it is another one than was sent last."""
        raise NotImplementedError

    def _on_examples(self, message: Message) -> None:
        ids = message.payload.get("ids") or []
        self._reading.put(
            lambda: self._reply("examples", thumbnails(self.store, ids), self._revision)
        )

    def _on_thumbnails(self, message: Message) -> None:
        start = max(0, int(message.payload.get("start", 0)))
        stop = min(len(self.images), int(message.payload.get("stop", 0)), start + MAX_THUMBNAILS)

        def work() -> None:
            items = []
            for index in range(start, stop):
                item = {"index": index, "name": self.images.name(index), "error": None}
                try:
                    items.append({**item, "array": self.pictures(index).resized(THUMBNAIL_SIDE)})
                except XaiError as error:
                    items.append({**item, "array": None, "error": str(error)})
            self._reply("thumbnails", {"start": start, "items": items}, self._revision)
            self.tell_shelf()

        self._reading.put(work)

    def _on_superpixels(self, message: Message) -> None:
        index = self.image_index
        reply: dict[str, Any] = {"index": index, "array": None, "n": 0, "error": None}

        def work() -> None:
            labels = self.pictures.superpixels(self.pictures(index))
            reply.update(array=labels, n=int(labels.max()) + 1)

        self._answer("superpixels", work, reply)

    def _on_crop(self, message: Message) -> None:
        reply: dict[str, Any] = {**message.payload, "array": None, "error": None}

        def work() -> None:
            box = message.payload
            image = self.pictures(int(box["index"]))
            pixels, shown = crop(image, box, min(int(box["max_px"]), MAX_CROP_SIDE))
            reply.update(shown, array=pixels)

        self._answer("crop", work, reply)

    def _answer(self, kind: str, work: Callable[[], None], reply: dict[str, Any]) -> None:
        def answered() -> None:
            try:
                work()
            except Exception as error:
                reply["error"] = failure(Outcome("error", error))["message"]
            self._reply(kind, reply, self._revision)

        self._reading.put(answered)
