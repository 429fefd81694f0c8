"""Pictures by key, opened only when they are looked at: of concepts, random sets, and images."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from xai_widgets.concepts.crops import cut_out
from xai_widgets.concepts.framing import framed
from xai_widgets.concepts.random_regions import random_regions
from xai_widgets.concepts.records import Concept, Example
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.errors import ConceptError, ImageError
from xai_widgets.models.images import DisplayImage, ImageSet
from xai_widgets.models.images import Pixels as Crop

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
    """Return the included examples of a store's concepts of a role, by name and key.

    What was cut from a picture is shown at the scale it has there: see `framing`.
    """
    return {
        concept.name: dict(_entry(store, example) for example in concept.included)
        for concept in store.concepts
        if concept.role == role
    }


def _entry(store: ConceptStore, example: Example) -> tuple[str, Any]:
    key, source = example.crop_hash or example.id, example.image
    if source is None or example.region is None:
        return key, partial(store.picture, example.id)
    return f"{key} in {source.width} x {source.height}", partial(_in_place, store, example.id)


def _in_place(store: ConceptStore, example_id: str) -> Crop:
    source, region = store.example(example_id).image, store.example(example_id).region
    crop = store.picture(example_id)
    if source is None or region is None:  # reshaped in the meantime
        return crop
    return framed(crop, source.width, source.height, region)


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


def _cut(image: DisplayImage, region: dict[str, Any]) -> DisplayImage:
    crop = framed(cut_out(image, region), image.width, image.height, region)
    return DisplayImage(crop, f"part of {image.name}")
