"""Pictures by key, opened only when they are looked at: of concepts, random sets, and images."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from xai_widgets.concepts.random_regions import random_regions
from xai_widgets.concepts.records import Concept
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.errors import ConceptError, ImageError
from xai_widgets.models.images import DisplayImage, ImageSet

Pictures = Mapping[str, Any]
"""Pictures, or functions that return them, by `DisplayImage.key`; none twice."""


def opened(images: Any, what: str) -> dict[str, Any]:
    """Return pictures by key.

    Parameters
    ----------
    images
        Whatever `ImageSet` takes; an empty list or array gives none.
    what
        What they are, for messages.

    Raises
    ------
    ConceptError
        If one cannot be opened.
    """
    if (
        isinstance(images, Sequence | np.ndarray)
        and not isinstance(images, str)
        and not len(images)
    ):
        return {}
    try:
        found = ImageSet(images)
        return {image.key: partial(found.__getitem__, i) for i, image in enumerate(found)}
    except ImageError as error:
        raise ConceptError(f"{what} cannot be used. {error}") from error


def stored(store: ConceptStore, role: str) -> dict[str, dict[str, Any]]:
    """Return the included crops of a store's concepts of a role, by name and key."""
    return {
        concept.name: {
            example.crop_hash or example.id: partial(store.picture, example.id)
            for example in concept.included
        }
        for concept in store.concepts
        if concept.role == role
    }


def random_crops(
    images: Pictures, concepts: Sequence[Concept], n: int, seed: int
) -> dict[str, DisplayImage]:
    """Cut random crops from images, outside of what is annotated as a concept.

    Parameters
    ----------
    images
        Pictures by key.
    concepts
        Whose examples are avoided.
    n
        How many crops; fewer where there is no room.
    seed
        The same seed gives the same crops.
    """
    keys = sorted(images)

    def picture(index: int) -> DisplayImage:
        found: DisplayImage = images[keys[index]]()
        return found

    crops: dict[str, DisplayImage] = {}
    for image, region in random_regions(concepts, len(keys), picture, n, seed):
        crop = image if region is None else _cut(image, region)
        crops[crop.key] = crop
    return crops


def _cut(image: DisplayImage, region: Mapping[str, Any]) -> DisplayImage:
    left, top = int(region["x"]), int(region["y"])
    part = image.pixels[top : top + int(region["height"]), left : left + int(region["width"])]
    return DisplayImage(np.ascontiguousarray(part), f"part of {image.name}")
