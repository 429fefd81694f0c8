"""Thumbnails of many pictures, opened in the background when a view asks for them."""

from typing import Any

from xai_widgets.errors import XaiError
from xai_widgets.models.images import ImageSet
from xai_widgets.widgets.describe import MAX_THUMBNAILS
from xai_widgets.widgets.engine import Outcome, Steps
from xai_widgets.widgets.pictured import PicturedWidget
from xai_widgets.widgets.protocol import Message

THUMBNAIL_SIDE = 96


def send_thumbnails(widget: PicturedWidget, images: ImageSet | None, message: Message) -> None:
    """Answer `thumbnails`: pictures from "start" to "stop", each with its name or its sentence."""
    n_images = 0 if images is None else len(images)
    start = max(0, int(message.payload.get("start", 0)))
    stop = min(n_images, int(message.payload.get("stop", 0)), start + MAX_THUMBNAILS)
    items: list[dict[str, Any]] = []

    def steps() -> Steps:
        if images is None:
            return
        for index in range(start, stop):
            item = {"index": index, "name": images.name(index), "array": None}
            try:
                picture = images[index].resized(THUMBNAIL_SIDE)
                items.append({**item, "array": picture, "error": None})
            except XaiError as error:
                items.append({**item, "error": str(error)})
            yield

    def finish(_outcome: Outcome) -> None:
        widget._reply("thumbnails", {"start": start, "items": items}, widget._revision)

    widget._submit(f"thumbnails {start}", steps(), finish)
