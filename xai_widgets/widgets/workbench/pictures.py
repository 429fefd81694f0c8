"""The workbench's pictures: opened one by one, and found again by what examples know of them."""

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from PIL import Image

from xai_widgets.concepts.records import Example, ImageRef
from xai_widgets.models.images import DisplayImage, ImageSet
from xai_widgets.superpixels import LabelMap, segment

OPEN = 4
SEGMENTED = 16


class Pictures:
    """Opens pictures, remembering the last few, and says which picture an example is from.

    A picture is known by its hash once it was opened. Before, an example is taken to be from the
    picture of the same name and size, so that hundreds of pictures need not be opened to show
    a shelf.

    Parameters
    ----------
    images
        The pictures.
    """

    def __init__(self, images: ImageSet) -> None:
        self._images = images
        self._lock = threading.Lock()
        self._open: OrderedDict[int, DisplayImage] = OrderedDict()
        self._segments: OrderedDict[str, LabelMap] = OrderedDict()
        self._index_of: dict[str, int] = {}
        self._key_of: dict[int, str] = {}
        self._sizes: dict[int, tuple[int, int] | None] = {}
        self._named: dict[str, list[int]] = {}
        for index in range(len(images)):
            self._named.setdefault(images.name(index), []).append(index)

    def __call__(self, index: int) -> DisplayImage:
        """Open a picture.

        Raises
        ------
        ImageError
            If it cannot be opened.
        """
        with self._lock:
            if index in self._open:
                self._open.move_to_end(index)
                return self._open[index]
        image: DisplayImage = self._images[index]
        key = image.key
        with self._lock:
            self._key_of[index] = key
            self._index_of.setdefault(key, index)
            self._open[index] = image
            while len(self._open) > OPEN:
                self._open.popitem(last=False)
        return image

    def index_of(self, example: Example) -> int | None:
        """Return the position of the picture that an example is from; None if it is not here."""
        ref = example.image
        if ref is None:
            return None
        with self._lock:
            if ref.hash in self._index_of:
                return self._index_of[ref.hash]
            named = self._named.get(ref.name, [])
            left = [i for i in named if not ref.hash or i not in self._key_of]
        return next((index for index in left if self._may_be(index, ref)), None)

    def superpixels(self, image: DisplayImage) -> LabelMap:
        """Return the superpixels of a picture, uint16 [h, w]; the last few are remembered."""
        with self._lock:
            known = self._segments.get(image.key)
        if known is not None:
            return known
        labels = segment(image)
        with self._lock:
            self._segments[image.key] = labels
            while len(self._segments) > SEGMENTED:
                self._segments.popitem(last=False)
        return labels

    def _may_be(self, index: int, ref: ImageRef) -> bool:
        if index not in self._sizes:
            self._sizes[index] = _size(self._images._items[index])
        size = self._sizes[index]
        # A photograph may be turned when it is opened.
        return size is None or size in ((ref.width, ref.height), (ref.height, ref.width))


def _size(item: Any) -> tuple[int, int] | None:
    """Return width and height of a picture without decoding it; None if that cannot be told."""
    if isinstance(item, DisplayImage):
        return item.width, item.height
    if isinstance(item, Image.Image):
        return item.size
    if isinstance(item, str | Path):
        try:
            with Image.open(item) as picture:
                return picture.size
        except Exception:
            return None
    shape = tuple(getattr(item, "shape", ()))
    if len(shape) == 3 and shape[2] in (1, 3, 4):
        return int(shape[1]), int(shape[0])
    return None
