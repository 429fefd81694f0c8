"""Masks as people have them: arrays, regions drawn by hand, or a concept's marked examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from xai_widgets.errors import MapError
from xai_widgets.evaluation.base import Mask
from xai_widgets.models.images import DisplayImage
from xai_widgets.regions import check_region, region_mask
from xai_widgets.superpixels import segment


class _Store(Protocol):
    """What is needed of a `ConceptStore`."""

    def concept(self, name: str) -> Any: ...


@dataclass(frozen=True)
class Regions:
    """Regions of one picture in their wire form; its mask is their union."""

    regions: tuple[dict[str, Any], ...]

    def __call__(self, image: DisplayImage) -> Mask:
        """Return the mask, bool [H, W] of the picture.

        Raises
        ------
        RegionError
            If a region covers no pixel of the picture.
        """
        inside = np.zeros((image.height, image.width), dtype=np.bool_)
        for region in self.regions:
            inside |= region_mask(region, image, partial(segment, image))
        return inside


@dataclass(frozen=True)
class ConceptRegions:
    """What people marked as examples of a concept: a mask for each picture that has some.

    A picture is known by its content. Examples that are excluded from training do not count.
    """

    concept: str
    by_image: Mapping[str, Regions | None]

    def __call__(self, image: DisplayImage) -> Mask | None:
        """Return the mask of a picture, None where nothing is marked in it.

        Raises
        ------
        MapError
            If the picture as a whole is an example: then there is no outside.
        """
        if image.key not in self.by_image:
            return None
        regions = self.by_image[image.key]
        if regions is None:
            raise MapError(
                f"The whole of {image.name!r} is an example of {self.concept!r}: localisation "
                "needs a marked region."
            )
        return regions(image)


def masks_for(given: Any, n: int) -> list[Any]:
    """Return one entry for each of N pictures: None, an array, or what makes a mask of a picture.

    Parameters
    ----------
    given
        None; bool [N, H, W] or a sequence with one entry a picture: [H, W], a region in its wire
        form ({"type": "rect", "x", ...}), several of them, or None; or (store, name): a
        `ConceptStore` and the name of a concept, whose marked examples are the masks.
    n
        How many pictures there are.

    Raises
    ------
    MapError
        If there is not one entry for each picture.
    RegionError, StoreError
        If a region is malformed, or there is no such concept.
    """
    if given is None:
        return [None] * n
    if _is_concept(given):
        return [_concept_regions(*given)] * n
    if isinstance(given, Mapping) or (n == 1 and getattr(given, "ndim", None) == 2):
        given = [given]
    try:
        entries = list(given)
    except TypeError:  # no sequence, or an array without a dimension
        raise MapError(f"masks is {given!r}: give a sequence, one for each picture.") from None
    if len(entries) != n:
        raise MapError(
            f"masks has {len(entries)} entries, and there are {n} pictures: give one each."
        )
    return [_entry(entry) for entry in entries]


def mask_of(entry: Any, image: DisplayImage) -> Any:
    """Return the mask that an entry stands for on a picture, None where there is none."""
    return entry(image) if isinstance(entry, Regions | ConceptRegions) else entry


def describe_masks(entries: Sequence[Any]) -> str | None:
    """Say in words where masks came from, for provenance; None where there are none."""
    first = next((entry for entry in entries if entry is not None), None)
    if first is None:
        return None
    if isinstance(first, ConceptRegions):
        return f"examples of the concept {first.concept!r}"
    return "regions" if isinstance(first, Regions) else "arrays"


def _is_concept(given: Any) -> bool:
    return (
        isinstance(given, tuple)
        and len(given) == 2
        and isinstance(given[1], str)
        and callable(getattr(given[0], "concept", None))
    )


def _concept_regions(store: _Store, name: str) -> ConceptRegions:
    found: dict[str, Regions | None] = {}
    for example in store.concept(name).included:
        if example.image is None or not example.image.hash:
            continue  # a crop whose picture is not known lies nowhere
        key = example.image.hash
        before = found.get(key, Regions(()))
        if before is None or example.region is None:
            found[key] = None
        else:
            found[key] = Regions((*before.regions, example.region))
    return ConceptRegions(name, found)


def _entry(entry: Any) -> Any:
    if isinstance(entry, Mapping):
        return Regions((_checked(entry),))
    if isinstance(entry, list | tuple) and entry and all(isinstance(e, Mapping) for e in entry):
        return Regions(tuple(_checked(each) for each in entry))
    return entry


def _checked(region: Any) -> dict[str, Any]:
    checked = check_region(region)
    assert checked is not None
    return checked
