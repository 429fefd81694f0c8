"""What a concept set consists of: concepts, their examples, and where each example came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ROLES = ("concept", "random")


@dataclass(frozen=True)
class ImageRef:
    """The picture that an example was cut from; the picture itself is not kept.

    Attributes
    ----------
    hash
        `DisplayImage.key` of the picture; "" where it is not known.
    name
        File name, for people.
    width, height
        Size in pixels.
    """

    hash: str
    name: str
    width: int
    height: int


@dataclass(frozen=True)
class Example:
    """One example of a concept: a region of a picture, or a whole picture.

    Attributes
    ----------
    id
        32 hexadecimal digits.
    image
        Where it was cut from; None for a crop whose picture is not known.
    region
        Its wire form in pixels of the picture, of type "rect", "polygon" or "mask"; None is the
        whole picture.
    included
        False takes it out of training without deleting it.
    comment, author
        Text, never markup.
    created
        ISO 8601, UTC.
    crop_hash
        `DisplayImage.key` of the crop; "" where there is none, as for a rejected suggestion.
    """

    id: str
    image: ImageRef | None = None
    region: dict[str, Any] | None = None
    included: bool = True
    comment: str = ""
    author: str = ""
    created: str = ""
    crop_hash: str = ""


@dataclass(frozen=True)
class Concept:
    """A named set of examples.

    Attributes
    ----------
    name
        Any text; unique in its store.
    role
        "concept", or "random" for a set to compare with.
    colour
        "#rrggbb".
    comment
        Text, never markup.
    examples
        In the order in which they were made.
    rejected
        Suggestions that are not to be shown again.
    """

    name: str
    role: str = "concept"
    colour: str = "#4477aa"
    comment: str = ""
    examples: tuple[Example, ...] = ()
    rejected: tuple[Example, ...] = ()

    @property
    def included(self) -> tuple[Example, ...]:
        """The examples that are trained with."""
        return tuple(example for example in self.examples if example.included)


@dataclass(frozen=True)
class Removal:
    """What was removed, with everything that `ConceptStore.restore` needs to bring it back.

    Attributes
    ----------
    files
        The bytes of each file by the name of its concept and its path in the concept's folder.
    concept
        The record of the concept, where it was removed as a whole.
    position
        Its position among the concepts.
    """

    files: Mapping[tuple[str, str], bytes] = field(repr=False)
    ids: tuple[str, ...] = ()
    concept: Concept | None = None
    position: int = 0


@dataclass(frozen=True)
class Transfer:
    """What went in or out, and what did not.

    Attributes
    ----------
    added
        The examples that were imported, or written by an export.
    skipped
        A sentence for everything that was left out or changed, and why.
    """

    added: tuple[Example, ...] = ()
    skipped: tuple[str, ...] = ()
