"""Random regions to compare concepts with: cut from where nobody marked a concept."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.concepts.framing import region_sides
from xai_widgets.concepts.records import Concept, Example
from xai_widgets.errors import XaiError
from xai_widgets.models.images import DisplayImage
from xai_widgets.regions import Mask, decode_runs, encode_runs, region_mask

TRIES = 24
SHRINK_AFTER = 6
MIN_SIDE_PX = 8
USUAL_SIDES = (0.25, 0.5)
"""Shares of the picture's sides where no concept gives an example of its size."""

Region = dict[str, Any]


def random_regions(
    concepts: Sequence[Concept],
    n_images: int,
    picture: Callable[[int], DisplayImage],
    n: int,
    seed: int,
) -> Iterator[tuple[DisplayImage, Region | None]]:
    """Yield pictures with regions (None for the whole picture) that overlap no annotation.

    The regions have the shapes of the concepts' examples, moved elsewhere, so that a concept does
    not separate from them by its scale or outline. Each picture is opened again for each of its
    regions, none is kept.

    Parameters
    ----------
    concepts
        Whose examples are avoided; those of role "random" are not.
    n_images, picture
        How many pictures there are, and what opens one; pictures that cannot be opened are
        skipped.
    n
        How many regions. There are fewer where the pictures have no room.
    seed
        The same seed gives the same regions.
    """
    rng = np.random.default_rng([seed, 0xC0CE])
    marked = [e for concept in concepts if concept.role == "concept" for e in concept.examples]
    shapes = [example for example in marked if _has_shape(example)]
    found, whole = 0, set()
    full: set[int] = set()
    while found < n and len(full) < n_images:
        before = found
        for index in rng.permutation(n_images).tolist():
            if index in full:
                continue
            try:
                image = picture(index)
            except XaiError:
                full.add(index)
                continue
            here = [example for example in marked if _is_of(example, image)]
            region = _place(rng, image, here, shapes, index not in whole)
            if region is False:
                full.add(index)
                continue
            if region is None:
                whole.add(index)
            yield image, region
            found += 1
            if found == n:
                return
        if found == before:
            return


def _place(
    rng: np.random.Generator,
    image: DisplayImage,
    here: Sequence[Example],
    shapes: Sequence[Example],
    may_be_whole: bool,
) -> Any:
    """Return a free region, None for the whole picture, or False where there is no room."""
    taken = _taken(image, here)
    if taken is not None and taken.all():
        return False
    scale = 1.0
    for attempt in range(TRIES):
        if attempt and attempt % SHRINK_AFTER == 0:
            scale /= 1.5
        shape = shapes[int(rng.integers(len(shapes)))] if shapes else None
        wide, high = _sides(shape) if shape else rng.uniform(*USUAL_SIDES, size=2).tolist()
        if min(wide, high) > 0.99 and scale == 1.0:
            if taken is None and may_be_whole:
                return None
            # A picture gives itself once; after that, parts of it.
            wide = high = float(rng.uniform(*USUAL_SIDES))
        box = _box(rng, image, min(wide * scale, 0.9), min(high * scale, 0.9))
        left, top, width, height = box
        if taken is None or not taken[top : top + height, left : left + width].any():
            if shape is not None and scale == 1.0:
                return moved(shape, image, left, top, (width, height))
            return _rect(left, top, width, height)
    return False


def _box(
    rng: np.random.Generator, image: DisplayImage, wide: float, high: float
) -> tuple[int, int, int, int]:
    width = min(image.width, max(MIN_SIDE_PX, round(wide * image.width)))
    height = min(image.height, max(MIN_SIDE_PX, round(high * image.height)))
    left = int(rng.integers(image.width - width + 1))
    top = int(rng.integers(image.height - height + 1))
    return left, top, width, height


def _is_of(example: Example, image: DisplayImage) -> bool:
    ref = example.image
    if ref is None:
        return False
    if ref.hash:
        return ref.hash == image.key
    return (ref.name, ref.width, ref.height) == (image.name, image.width, image.height)


def _taken(image: DisplayImage, here: Sequence[Example]) -> Mask | None:
    """Return what is annotated of a picture, bool [H, W]; None if nothing is."""
    if not here:
        return None
    taken = np.zeros((image.height, image.width), dtype=bool)
    for example in here:
        if example.region is None:
            taken[:] = True
        else:
            taken |= region_mask(example.region, image, _no_superpixels)
    return taken


def _no_superpixels() -> npt.NDArray[np.uint16]:
    raise XaiError("Stored regions hold no superpixels.")


def _has_shape(example: Example) -> bool:
    return example.image is not None and min(_sides(example)) > 0


def _sides(example: Example) -> tuple[float, float]:
    """Return width and height of an example as shares of its picture."""
    if example.region is None or example.image is None:
        return 1.0, 1.0
    size = max(1, example.image.width), max(1, example.image.height)
    return region_sides(example.region, *size)


def _rect(left: int, top: int, width: int, height: int) -> Region:
    return {"type": "rect", "x": left, "y": top, "width": width, "height": height}


def moved(
    example: Example, image: DisplayImage, left: int, top: int, size: tuple[int, int]
) -> Region:
    """Return an example's region, moved on another picture to a box of its size.

    Parameters
    ----------
    example
        Whose region is moved; its size is a share of its picture.
    image
        The other picture.
    left, top, size
        Position, width and height of the box, in pixels of that picture.
    """
    region = example.region
    if region is None or region["type"] == "rect" or example.image is None:
        return _rect(left, top, *size)
    if region["type"] == "polygon":
        points = np.asarray(region["points"], dtype=float)
        points -= points.min(axis=0)
        points *= np.array(size) / np.maximum(points.max(axis=0), 1e-9)
        return {"type": "polygon", "points": (points + np.array([left, top])).tolist()}
    mask = decode_runs(region["counts"], region["size"])
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    shape = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    y = min(round(top / image.height * mask.shape[0]), mask.shape[0] - shape.shape[0])
    x = min(round(left / image.width * mask.shape[1]), mask.shape[1] - shape.shape[1])
    placed = np.zeros_like(mask)
    placed[y : y + shape.shape[0], x : x + shape.shape[1]] = shape
    return {"type": "mask", "size": list(mask.shape), "counts": encode_runs(placed)}
