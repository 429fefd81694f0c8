"""Random regions to compare concepts with: cut from where nobody marked a concept."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.concepts.records import Concept, Example
from xai_widgets.errors import XaiError
from xai_widgets.models.images import DisplayImage
from xai_widgets.regions import Mask, decode_runs, region_mask

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

    The regions have the sizes of the concepts' examples, so that a concept does not separate from
    them by its scale. Each picture is opened again for each of its regions, none is kept.

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
    sides = [side for side in map(_sides, marked) if side is not None]
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
            region = _place(rng, image, here, sides, index not in whole)
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
    sides: Sequence[tuple[float, float]],
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
        if sides:
            wide, high = sides[int(rng.integers(len(sides)))]
        else:
            wide, high = rng.uniform(*USUAL_SIDES, size=2).tolist()
        if min(wide, high) > 0.99 and scale == 1.0:
            if taken is None and may_be_whole:
                return None
            # A picture gives itself once; after that, parts of it.
            wide = high = float(rng.uniform(*USUAL_SIDES))
        box = _box(rng, image, min(wide * scale, 0.9), min(high * scale, 0.9))
        left, top, width, height = box
        if taken is None or not taken[top : top + height, left : left + width].any():
            return {"type": "rect", "x": left, "y": top, "width": width, "height": height}
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


def _sides(example: Example) -> tuple[float, float] | None:
    """Return width and height of an example as shares of its picture; None if not known."""
    if example.image is None:
        return None
    if example.region is None:
        return 1.0, 1.0
    region = example.region
    width, height = max(1, example.image.width), max(1, example.image.height)
    if region["type"] == "rect":
        return min(1.0, region["width"] / width), min(1.0, region["height"] / height)
    if region["type"] == "polygon":
        across, down = np.ptp(np.asarray(region["points"], dtype=float), axis=0)
        return min(1.0, float(across) / width), min(1.0, float(down) / height)
    mask = decode_runs(region["counts"], region["size"])
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    size = region["size"]
    return float(np.ptp(columns) + 1) / size[1], float(np.ptp(rows) + 1) / size[0]
