"""Anything a user calls an image becomes a display image: uint8 [H, W, 3] with a name."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from xai_widgets.errors import ImageError

MAX_PIXELS = 64_000_000
OVERSHOOT = 0.01
"""How far a float picture may leave 0..1: resampling and rounding overshoot a little."""
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class DisplayImage:
    """A picture as people see it.

    Attributes
    ----------
    pixels
        uint8 [H, W, 3], sRGB.
    name
        File name or position, for captions and provenance.
    """

    pixels: Pixels
    name: str = "image"

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])

    @cached_property
    def key(self) -> str:
        """A hash of shape and pixels; equal pictures have equal keys."""
        digest = hashlib.blake2b(str(self.pixels.shape).encode(), digest_size=16)
        digest.update(np.ascontiguousarray(self.pixels).tobytes())
        return digest.hexdigest()

    def resized(self, longest_side: int) -> Pixels:
        """Return the pixels, shrunk so that no side exceeds ``longest_side`` pixels."""
        if max(self.height, self.width) <= longest_side:
            return self.pixels
        picture = Image.fromarray(self.pixels)
        picture.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
        return np.asarray(picture)


def open_image(source: Any, name: str | None = None) -> DisplayImage:
    """Turn a path, PIL image, array or tensor into a display image.

    Parameters
    ----------
    source
        A path; a PIL image of any mode (EXIF rotation is applied); an array or tensor
        [H, W], [H, W, C], [C, H, W] or either with a leading batch axis of 1, C one of
        1 (grey), 3 (RGB) or 4 (RGBA, laid over white); uint8, bool, or float in 0..1 or 0..255.
    name
        Used in messages and captions instead of the file name.

    Raises
    ------
    ImageError
        If the file is missing, corrupt or has more than 64 million pixels; if an array has
        another shape, is not finite, or holds values outside both ranges.
    """
    if isinstance(source, DisplayImage):
        return source
    if isinstance(source, str | Path):
        return _open_file(Path(source), name)
    if isinstance(source, Image.Image):
        label = name or Path(getattr(source, "filename", "") or "image").name
        with _readable(label):
            return DisplayImage(_decode(source, label), label)
    label = name or "image"
    return DisplayImage(_pixels_of_array(source, label), label)


def _open_file(path: Path, name: str | None) -> DisplayImage:
    label = name or path.name
    if not path.exists():
        raise ImageError(f"There is no image file {str(path)!r}: check the path.")
    if path.is_dir():
        raise ImageError(f"{str(path)!r} is a folder, not an image: give one of its files.")
    with _readable(label), Image.open(path) as picture:
        return DisplayImage(_decode(picture, label), label)


@contextmanager
def _readable(label: str) -> Iterator[None]:
    """Turn what decoders raise on a bad picture into one sentence."""
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(label) from error
    except Exception as error:  # a broken file can make a decoder raise anything
        raise ImageError(
            f"{label!r} cannot be read as an image: it is corrupt, empty or of an unknown format. "
            "Open it in an image viewer and save it again as PNG or JPEG."
        ) from error


def _too_large(label: str) -> ImageError:
    return ImageError(
        f"{label!r} has more than {MAX_PIXELS // 1_000_000} million pixels and was not decoded: "
        "resize it, or cut out the part that matters."
    )


def _decode(picture: Image.Image, label: str) -> Pixels:
    if picture.width * picture.height > MAX_PIXELS:
        raise _too_large(label)
    if picture.width == 0 or picture.height == 0:
        raise ImageError(f"{label!r} has no pixels: give an image of at least 1 x 1.")
    upright = ImageOps.exif_transpose(picture)
    if upright.mode in ("I", "I;16", "I;16B", "F"):
        return _pixels_of_array(_deep_grey(upright), label)
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        layer = upright.convert("RGBA")
        canvas = Image.new("RGBA", layer.size, "white")
        upright = Image.alpha_composite(canvas, layer)
    return np.asarray(upright.convert("RGB"))


def _deep_grey(picture: Image.Image) -> npt.NDArray[np.float32]:
    """Scale 16-bit and float grey pictures to 0..255."""
    values = np.asarray(picture, dtype=np.float32)
    if picture.mode != "F" and values.size and values.max() > 255:
        return (values / np.float32(257.0)).astype(np.float32)
    return values


def _as_numpy(source: Any, label: str) -> npt.NDArray[Any]:
    if hasattr(source, "detach"):
        source = source.detach().cpu()
        if str(source.dtype) == "torch.bfloat16":
            source = source.float()
    try:
        array = np.asarray(source)
    except (TypeError, ValueError) as error:
        raise ImageError(_not_an_image(source, label)) from error
    if array.dtype.kind not in "buif":
        raise ImageError(_not_an_image(source, label))
    return array


def _not_an_image(source: Any, label: str) -> str:
    return (
        f"{label!r} is a {type(source).__name__}, not an image: "
        "give a path, a PIL image, an array or a tensor."
    )


def _channels_last(array: npt.NDArray[Any], label: str, prefer_first: bool) -> npt.NDArray[Any]:
    shape = array.shape
    if array.ndim == 4 and shape[0] == 1:
        array = array[0]
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim == 3 and 0 not in array.shape:
        first, last = array.shape[0] in (1, 3, 4), array.shape[2] in (1, 3, 4)
        if first and (prefer_first or not last):
            return np.moveaxis(array, 0, 2)
        if last:
            return array
    raise ImageError(
        f"{label!r} has shape {list(shape)}: give [H, W], [H, W, C] or [C, H, W] "
        "with 1 (grey), 3 (RGB) or 4 (RGBA) channels."
    )


def _pixels_of_array(source: Any, label: str) -> Pixels:
    array = _as_numpy(source, label)
    array = _channels_last(array, label, prefer_first=hasattr(source, "detach"))
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise _too_large(label)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    if array.dtype != np.uint8:
        array = _to_uint8(array.astype(np.float32), label)
    if array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
    if array.shape[2] == 4:
        alpha = array[:, :, 3:].astype(np.float32) / 255.0
        array = (array[:, :, :3] * alpha + 255.0 * (1.0 - alpha)).round().astype(np.uint8)
    pixels: Pixels = np.ascontiguousarray(array)
    return pixels


def _to_uint8(values: npt.NDArray[np.float32], label: str) -> Pixels:
    if not np.isfinite(values).all():
        raise ImageError(
            f"{label!r} holds NaN or infinite values: replace them before explaining the image."
        )
    low, high = float(values.min()), float(values.max())
    if low < -OVERSHOOT or high > 255 + OVERSHOOT:
        raise ImageError(
            f"{label!r} has values from {low:.3g} to {high:.3g}: give the picture itself, 0..1 or "
            "0..255, not a normalised tensor; normalisation belongs into preprocessing."
        )
    scale = 255.0 if high <= 1.0 + OVERSHOOT else 1.0
    return np.asarray((values * scale).round().clip(0, 255), dtype=np.uint8)


class ImageSet(Sequence[DisplayImage]):
    """Many images, opened one by one when they are looked at.

    Parameters
    ----------
    source
        A path, a folder (its images in order of name), a sequence of images, or an array or
        tensor [N, H, W, C] or [N, C, H, W]; a single image becomes a set of one.

    Raises
    ------
    ImageError
        If there is no image in it.
    """

    def __init__(self, source: Any) -> None:
        self._items, self._names = _collect(source)
        if not self._items:
            raise ImageError("The list of images is empty: give at least one image.")

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        """Open the image at ``index``; a slice opens several."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        position = int(index)
        if not -len(self) <= position < len(self):
            raise IndexError(f"There is no image {position}: there are {len(self)}.")
        return open_image(self._items[position], self._names[position])

    def __iter__(self) -> Iterator[DisplayImage]:
        """Open one image after the other."""
        return (self[i] for i in range(len(self)))

    def name(self, index: int) -> str:
        """Return the name of an image without opening it."""
        return self._names[index]

    def stamp(self, index: int) -> str:
        """Return what tells an image from others without decoding it.

        A hash of the values of what is in memory; of a file its name and size, so that it may be
        moved along with its folder.
        """
        return f"{self._names[index]} {_stamp(self._items[index])}"


def _collect(source: Any) -> tuple[list[Any], list[str]]:
    if isinstance(source, ImageSet):
        return source._items, source._names
    if isinstance(source, str | Path):
        return _collect_path(Path(source))
    if isinstance(source, DisplayImage):
        return [source], [source.name]
    if isinstance(source, Image.Image):
        return [source], [Path(getattr(source, "filename", "") or "image").name]
    if isinstance(source, Sequence):
        return list(source), [_name_of(item, i) for i, item in enumerate(source)]
    ndim = getattr(source, "ndim", None)
    if ndim == 4:
        return list(source), [f"image {i}" for i in range(len(source))]
    if ndim in (2, 3):
        return [source], ["image 0"]
    raise ImageError(
        f"Images were given as {type(source).__name__}: give a path, a folder, a list of images "
        "or an array [N, H, W, C]."
    )


def _collect_path(path: Path) -> tuple[list[Any], list[str]]:
    if not path.is_dir():
        return [path], [path.name]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise ImageError(
            f"The folder {str(path)!r} holds no images: expected files ending in "
            f"{', '.join(sorted(IMAGE_SUFFIXES))}."
        )
    return list(files), [file.name for file in files]


def _stamp(item: Any) -> str:
    if isinstance(item, DisplayImage):
        return item.key
    if isinstance(item, str | Path):
        try:
            return f"{Path(item).stat().st_size} bytes"
        except OSError:
            return "missing"
    if hasattr(item, "detach"):
        item = item.detach().cpu().float()
    try:
        array = np.ascontiguousarray(item)
    except Exception:  # anything that is no image; opening it will say so
        return type(item).__name__
    digest = hashlib.blake2b(f"{array.shape} {array.dtype}".encode(), digest_size=16)
    digest.update(array.tobytes() if array.dtype.kind in "buif" else b"")
    return digest.hexdigest()


def _name_of(item: Any, index: int) -> str:
    if isinstance(item, str | Path):
        return Path(item).name
    if isinstance(item, DisplayImage):
        return item.name
    return f"image {index}"
