"""What an import has found becomes examples; what does not is said in sentences."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xai_widgets.concepts.examples import ExampleStore, Made
from xai_widgets.concepts.json_text import read_json
from xai_widgets.concepts.layout import clean_name, clean_text
from xai_widgets.concepts.records import Example, ImageRef, Transfer
from xai_widgets.errors import StoreError, XaiError
from xai_widgets.models.images import MAX_PIXELS, DisplayImage
from xai_widgets.regions import Mask, encode_runs, region_mask

MAX_FILE = 256_000_000
MAX_ANNOTATIONS = 200_000
MAX_SENTENCES = 500
BATCH, BATCH_BYTES = 500, 32_000_000
"""Examples, and bytes of their crops, that are brought to disk in one step."""


@dataclass(frozen=True)
class Found:
    """One example in a file of another program.

    Attributes
    ----------
    where
        Which one it is, for sentences: "annotation 7".
    concept, role
        What it is an example of.
    image
        The picture.
    region
        Its wire form, unchecked.
    comment, author, created, included
        As in `Example`.
    """

    where: str
    concept: Any
    image: DisplayImage
    region: Any = None
    role: str = "concept"
    comment: Any = ""
    author: Any = None
    created: str = ""
    included: bool = True


@dataclass
class Skipped:
    """Sentences on what was left out, the same one only once."""

    counts: Counter[str] = field(default_factory=Counter)

    def say(self, sentence: str) -> None:
        """Add a sentence."""
        self.counts[sentence] += 1

    def out(self, where: str, reason: object) -> None:
        """Say why something was left out."""
        text = str(reason).rstrip(".")
        self.say(f"{where} was left out: {text}.")

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of them, as long as a person can read them."""
        said = [
            text if n == 1 else f"{text} ({n} times)"
            for text, n in list(self.counts.items())[:MAX_SENTENCES]
        ]
        left = len(self.counts) - len(said)
        return (*said, *([f"{left} more were left out."] if left else []))


def open_json(source: Any, kinds: tuple[type, ...]) -> Any:
    """Return the value of a JSON file, or the value itself.

    Raises
    ------
    StoreError
        If it is neither a file nor of the kinds expected.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.is_file():
            raise StoreError(f"There is no file {str(path)!r}: check the path.")
        source = read_json(path.resolve(), MAX_FILE)
    if not isinstance(source, kinds):
        expected = " or ".join("an object" if kind is dict else "a list" for kind in kinds)
        raise StoreError(f"The file must hold {expected}, and holds a {type(source).__name__}.")
    return source


def place(store: ExampleStore, found: Iterable[Found], skipped: Skipped) -> Transfer:
    """Add what was found to a store, in steps that are on disk one after the other.

    Parameters
    ----------
    store
        Gets the examples; concepts that it does not have are made.
    found
        One after the other, so that only one picture is open at a time.
    skipped
        What was left out before; gets what is left out here.
    """
    here = {
        (concept.name, _likeness(example.image, example.region))
        for concept in store.concepts
        for example in concept.examples
        if example.image is not None
    }
    added: list[Example] = []
    waiting: dict[str, list[Made]] = {}
    already = n_bytes = 0
    for item in found:
        try:
            name = clean_name(item.concept)
            fields = {
                "comment": item.comment,
                "author": item.author,
                "included": item.included,
                "created": item.created,
            }
            made = store.make(item.image, item.region, **fields)
            key = (name, _likeness(made[0].image, made[0].region))
            if key in here:
                already += 1
                continue
            if name not in store.names:
                store.add_concept(name, item.role if item.role == "random" else "concept")
        except XaiError as error:
            skipped.out(item.where, error)
            continue
        here.add(key)
        waiting.setdefault(name, []).append(made)
        n_bytes += len(made[1])
        if n_bytes >= BATCH_BYTES or len(waiting[name]) >= BATCH:
            for ready in [*waiting]:
                added += store.add_made(ready, waiting.pop(ready))
            n_bytes = 0
    for name, rest in waiting.items():
        added += store.add_made(name, rest)
    if already:
        skipped.say(_n(already, "example was", "examples were") + " in the store already.")
    return Transfer(tuple(added), skipped.sentences)


def _likeness(image: ImageRef | None, region: dict[str, Any] | None) -> str:
    """Return the same text for regions of a picture that are the same for people."""
    if image is None:
        return ""
    if region is not None and region["type"] == "mask":
        size = (image.height, image.width)
        if size[0] * size[1] <= MAX_PIXELS:
            mask = full_mask(region, image)
            region = {"type": "mask", "counts": encode_runs(mask)}
    text = json.dumps(_rounded(region))
    return f"{image.hash} {image.name if not image.hash else ''} {text}"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value


def full_mask(region: dict[str, Any], image: ImageRef) -> Mask:
    """Return the mask [H, W] of a region on the grid of its picture, of which only the size counts.

    Raises
    ------
    StoreError
        If the picture is said to be larger than any that can be opened.
    RegionError
        If the region covers no pixel.
    """
    if image.width * image.height > MAX_PIXELS:
        raise StoreError(f"its picture is said to have {image.width} x {image.height} pixels")
    return region_mask(region, SizeOnly(image.height, image.width, image.name), _none)


@dataclass(frozen=True)
class SizeOnly:
    """A picture of which only the size is known."""

    height: int
    width: int
    name: str


def _none() -> Any:
    raise StoreError("A store keeps no superpixels.")


def exported(
    store: ExampleStore, skipped: Skipped, what: str
) -> Iterator[tuple[str, Example, ImageRef]]:
    """Go through the examples that have a picture, saying what has none."""
    unknown = 0
    for concept in store.concepts:
        for example in concept.examples:
            if example.image is None:
                unknown += 1
            else:
                yield concept.name, example, example.image
    if unknown:
        skipped.say(
            _n(unknown, "example was", "examples were")
            + f" left out: {what} tells where in a picture an example lies, and their pictures are "
            "not known."
        )


def say_what_is_lost(store: ExampleStore, skipped: Skipped, what: str) -> None:
    """Say what no other format has a place for."""
    n_rejected = sum(len(concept.rejected) for concept in store.concepts)
    if n_rejected:
        skipped.say(
            _n(n_rejected, "rejected suggestion was", "rejected suggestions were")
            + f" left out: {what} has no place for them."
        )
    if any(concept.comment for concept in store.concepts):
        skipped.say(f"Comments on concepts were left out: {what} has no place for them.")
    if store.concepts:
        skipped.say(f"The colours of concepts were left out: {what} has no place for them.")


def _n(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def short(text: object, limit: int = 60) -> str:
    """Return what a stranger's file calls something, for a sentence."""
    return repr(clean_text(str(text)[:limit], "A text", limit, one_line=True))
