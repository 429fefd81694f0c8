"""The pictures that an import is about, found by name among those that the user gave.

A name from a file is only ever compared with names that are here: it opens nothing by itself.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xai_widgets.errors import StoreError
from xai_widgets.models.images import IMAGE_SUFFIXES, DisplayImage, ImageSet, open_image

MAX_FILES = 1_000_000
_UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")


class Pictures:
    """Pictures by name.

    Parameters
    ----------
    source
        A folder, of which all images at any depth are taken; a dict {name: image}; or whatever
        `ImageSet` takes.

    Raises
    ------
    StoreError
        If the folder does not exist.
    ImageError
        If there is no image in it.
    """

    def __init__(self, source: Any) -> None:
        self._items: list[Any] = []
        self._names: list[str] = []
        self._open: tuple[int, DisplayImage] | None = None
        if isinstance(source, Mapping):
            self._items, self._names = list(source.values()), [str(name) for name in source]
        elif isinstance(source, str | Path) and Path(source).is_dir():
            self._collect(Path(source))
        elif isinstance(source, str | Path) and not Path(source).exists():
            raise StoreError(f"There is no folder of pictures {str(source)!r}: check the path.")
        else:
            images = source if isinstance(source, ImageSet) else ImageSet(source)
            self._names = [images.name(index) for index in range(len(images))]
            self._items = [_Position(images, index) for index in range(len(images))]
        self._by_name: dict[str, list[int]] = {}
        for index, name in enumerate(self._names):
            for key in {_normal(name), _normal(name).rsplit("/", 1)[-1]}:
                self._by_name.setdefault(key, []).append(index)

    def _collect(self, folder: Path) -> None:
        inside = folder.resolve()
        for path, folders, files in os.walk(folder, followlinks=False):
            folders.sort()
            for name in sorted(files):
                file = Path(path, name)
                if file.suffix.lower() not in IMAGE_SUFFIXES:
                    continue
                if file.is_symlink() and inside not in file.resolve().parents:
                    continue
                self._items.append(file)
                self._names.append(file.relative_to(folder).as_posix())
                if len(self._items) > MAX_FILES:
                    raise StoreError(f"{str(folder)!r} holds over {MAX_FILES} images: give fewer.")

    def find(self, name: Any, image_hash: str = "") -> DisplayImage:
        """Return the picture of this name.

        Parameters
        ----------
        name
            Of a file, with or without folders.
        image_hash
            Its `DisplayImage.key`, where known: tells apart pictures of one name.

        Raises
        ------
        StoreError
            If there is none, or several and none is known to be meant.
        ImageError
            If it cannot be opened.
        """
        if not isinstance(name, str) or not name or len(name) > 4096:
            raise StoreError("the name of its picture is no text")
        candidates = self._candidates(name)
        shown = repr(name[-80:])
        if not candidates:
            raise StoreError(f"its picture {shown} is not among the pictures that were given")
        if image_hash:
            for index in candidates:
                if self._opened(index).key == image_hash:
                    return self._opened(index)
            raise StoreError(f"the picture {shown} here is not the one that was annotated")
        if len(candidates) > 1:
            raise StoreError(f"several of the pictures that were given are called {shown}")
        return self._opened(candidates[0])

    def _candidates(self, name: str) -> list[int]:
        normal = _normal(name)
        last = normal.rsplit("/", 1)[-1]
        uploaded = _UPLOADED.fullmatch(last)
        for key in (normal, last, uploaded[1] if uploaded else last):
            if key in self._by_name:
                return self._by_name[key]
        return []

    def _opened(self, index: int) -> DisplayImage:
        """Open a picture; the last one stays open, since annotations come picture by picture."""
        if self._open is None or self._open[0] != index:
            item = self._items[index]
            source = item.images[item.index] if isinstance(item, _Position) else item
            name = self._names[index].rsplit("/", 1)[-1]
            self._open = (index, open_image(source, name))
        return self._open[1]


class _Position:
    """A picture of an `ImageSet`, not opened yet."""

    def __init__(self, images: ImageSet, index: int) -> None:
        self.images = images
        self.index = index


def _normal(name: str) -> str:
    """Return a name with forward slashes and without steps to other folders."""
    parts = name.replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", ".", ".."))
