"""Sketches in files: strokes as JSON, drawings as PNG, and the stored ones by name."""

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from xai_widgets.demo.sketches import DIGITS, NAMES, SHAPES, sketch
from xai_widgets.errors import SketchError, XaiError, near_matches
from xai_widgets.explanation import write_whole
from xai_widgets.models.images import DisplayImage, Pixels, open_image
from xai_widgets.sketch import check_colour, check_sketch, contrast, placed, rasterise

FORMAT = "xai-widgets sketch"
SAVED_SIDE = 1024
MAX_FILE_BYTES = 64_000_000


@dataclass(frozen=True)
class Loaded:
    """What was read: a sketch in its wire form, and what else the file held."""

    sketch: dict[str, Any]
    ground: str | None = None
    background: DisplayImage | None = None


def stored(labels_are_digits: bool, ground: str, size: tuple[int, int]) -> list[dict[str, Any]]:
    """Return the sketches of the pad's menu: digits where the model tells digits, else shapes."""
    ink = contrast(ground)
    return [
        {"name": name, "sketch": check_sketch(placed(sketch(name), size), ink)}
        for name in (DIGITS if labels_are_digits else SHAPES)
    ]


def read(source: Any, ground: str, size: tuple[int, int]) -> Loaded:
    """Read a sketch.

    Parameters
    ----------
    source
        The name of a stored one, a file that `write` has made, or a sketch.
    ground
        The pad's: strokes without a colour contrast with it.
    size
        (height, width) of the pad's picture; stored sketches are put in its middle.

    Raises
    ------
    SketchError
        If there is no such sketch, or the file holds none.
    """
    if isinstance(source, Mapping):
        return Loaded(check_sketch(source, contrast(ground)))
    if not isinstance(source, str | Path):
        raise SketchError(
            f"A sketch was given as {type(source).__name__}: give the name of a stored one, a "
            ".json file, or a dict {'strokes': [...]}."
        )
    if source in NAMES:
        return Loaded(check_sketch(placed(sketch(str(source)), size), contrast(ground)))
    path = Path(source)
    if path.suffix.lower() != ".json":
        raise SketchError(
            f"There is no stored sketch {str(source)!r}.{near_matches(str(source), NAMES)} "
            "A file of your own ends in .json; a picture goes to `background`."
        )
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SketchError(f"{str(path)!r} has more than 64 MB: that is no sketch.")
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        if isinstance(error, SketchError):
            raise
        raise SketchError(
            f"{str(path)!r} cannot be read as a sketch ({error}): give a file that `save` has made."
        ) from error
    if not isinstance(held, dict) or held.get("format") != FORMAT:
        raise SketchError(f"{str(path)!r} holds no sketch: give a file that `save` has made.")
    own = check_colour(held.get("ground", ground))
    background = None
    if held.get("background"):
        try:
            picture = Image.open(io.BytesIO(base64.b64decode(held["background"])))
        except (TypeError, ValueError, OSError) as error:
            raise SketchError(
                f"The background inside of {str(path)!r} cannot be decoded: save it again."
            ) from error
        background = open_image(picture, path.stem)
    return Loaded(check_sketch(held, contrast(own)), own, background)


def write(
    path: str | Path,
    sketch: Mapping[str, Any],
    ground: str,
    size: tuple[int, int],
    background: DisplayImage | None,
) -> Path:
    """Write a drawing to ``.json`` (strokes, ground, background) or ``.png`` (1024 px).

    Raises
    ------
    XaiError
        If the suffix is another one, or the folder does not exist.
    """
    if not isinstance(path, str | Path):
        raise XaiError(
            f"A file was given as {type(path).__name__}: give a path that ends in .json or .png."
        )
    path = Path(path)
    if path.suffix.lower() not in (".json", ".png"):
        raise XaiError(
            f"A sketch cannot be saved as {path.suffix or path.name!r}: use .json or .png."
        )
    if not path.parent.is_dir():
        raise XaiError(f"The folder {str(path.parent)!r} does not exist: create it first.")
    if path.suffix.lower() == ".png":
        write_whole(path, png(drawing(sketch, ground, size, background)))
        return path
    held: dict[str, Any] = {"format": FORMAT, "version": 1, "ground": ground, **sketch}
    if background is not None:
        held["background"] = base64.b64encode(png(background.pixels)).decode("ascii")
    write_whole(path, json.dumps(held).encode())
    return path


def drawing(
    sketch: Mapping[str, Any],
    ground: str,
    size: tuple[int, int],
    background: DisplayImage | None,
    side: int = SAVED_SIDE,
) -> Pixels:
    """Return the whole pad as people see it, uint8, its longer side ``side`` pixels."""
    scale = side / max(size)
    large = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    base = None if background is None else covering(background, large)
    return rasterise(sketch, large, ground, background=base)


def covering(image: DisplayImage, size: tuple[int, int]) -> Pixels:
    """Return a picture resampled to (height, width), its middle cut out where the shapes differ."""
    height, width = size
    scale = min(image.height / height, image.width / width)
    left, top = (image.width - width * scale) / 2, (image.height - height * scale) / 2
    box = (left, top, left + width * scale, top + height * scale)
    picture = Image.fromarray(image.pixels)
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR, box=box))


def png(pixels: Pixels) -> bytes:
    """Encode a picture."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
