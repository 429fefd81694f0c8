"""Concepts and their examples: looked at and edited, every change on disk before it returns."""

import getpass
import hashlib
import threading
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from xai_widgets.concepts import plans
from xai_widgets.concepts.atomic import Change
from xai_widgets.concepts.catalogue import Catalogue
from xai_widgets.concepts.crops import MAX_BYTES, clean_region, cut_out, decode, encode
from xai_widgets.concepts.folder import Folder
from xai_widgets.concepts.layout import (
    MAX_COMMENT,
    MAX_NAME,
    clean_colour,
    clean_file_name,
    clean_name,
    clean_text,
    read_bytes,
)
from xai_widgets.concepts.records import ROLES, Concept, Example, ImageRef, Removal
from xai_widgets.errors import StoreError
from xai_widgets.models.images import DisplayImage, Pixels, open_image

Made = tuple[Example, bytes]
"""An example and its crop as PNG."""


class ExampleStore:
    """The concepts of a folder and their examples; `ConceptStore` says more.

    Parameters
    ----------
    folder
        Is made if it is not there.
    author
        Written into annotations; the name of the user by default.

    Raises
    ------
    StoreError
        If the folder is something else, or cannot be read.
    """

    def __init__(self, folder: str | Path, author: str | None = None) -> None:
        if not isinstance(folder, str | Path) or not str(folder):
            raise StoreError(f"{folder!r} is no folder: give the path of one, new or not.")
        self.folder = Path(folder)
        self.author = _user() if author is None else _clean_author(author)
        self._files = Folder(self.folder)
        self._last_time = datetime.min.replace(tzinfo=UTC)
        self._clock = threading.Lock()

    @property
    def revision(self) -> int:
        """A number that rises with each change, also of other programs once they are read."""
        return self._files.revision

    def __repr__(self) -> str:
        """Say where the concepts are and how many."""
        return f"{type(self).__name__}({str(self.folder)!r}, {len(self.names)} concepts)"

    # What there is

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """The concepts in order."""
        return self._files.catalogue.concepts

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the concepts in order."""
        return tuple(self._files.catalogue.by_name)

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence for every file that is damaged or was left out."""
        return self._files.catalogue.problems

    def concept(self, name: str) -> Concept:
        """Return a concept by its name; a StoreError says if there is none."""
        plans.heading_of(self._files.catalogue, name)
        return next(concept for concept in self.concepts if concept.name == name)

    def example(self, example_id: str) -> Example:
        """Return an example by its id; a StoreError says if there is none."""
        return plans.entry_of(self._files.catalogue, example_id).example

    def concept_of(self, example_id: str) -> str:
        """Return the name of the concept that an example belongs to."""
        catalogue = self._files.catalogue
        return catalogue.by_slug[plans.entry_of(catalogue, example_id).slug].name

    def picture(self, example_id: str) -> Pixels:
        """Return an example's crop.

        Returns
        -------
        uint8 [h, w, 3]
            The bounding box of its region, at most 1024 pixels a side, filled with the mean
            colour of the region outside of it.

        Raises
        ------
        StoreError
            If there is no such example, or its file is missing or damaged.
        """
        entry = plans.entry_of(self._files.catalogue, example_id)
        if entry.rejected:
            raise StoreError("A rejected suggestion has no picture.")
        path = self.folder / entry.crop_path
        return decode(read_bytes(path, MAX_BYTES), repr(entry.crop_path), entry.example.crop_hash)

    def pictures(self, concept: str, included: bool = True) -> list[Pixels]:
        """Return the crops of a concept, in the order of its examples.

        Parameters
        ----------
        concept
            Its name.
        included
            Leave out the examples that are excluded from training.

        Raises
        ------
        StoreError
            If there is no such concept, or a crop is missing or damaged.
        """
        found = self.concept(concept)
        wanted = found.included if included else found.examples
        return [self.picture(example.id) for example in wanted]

    def data_hash(self, concepts: Iterable[str] | None = None) -> str:
        """Return a hash of what would be trained with: the included crops of these concepts.

        It depends neither on the order of concepts nor on that of examples.
        """
        names = self.names if concepts is None else sorted(set(concepts))
        digest = hashlib.blake2b(digest_size=16)
        for concept in sorted((self.concept(name) for name in names), key=lambda c: c.name):
            crops = sorted(example.crop_hash or example.id for example in concept.included)
            digest.update("\0".join([concept.name, concept.role, *crops, ""]).encode())
        return digest.hexdigest()

    def refresh(self) -> bool:
        """Read the folder again where it has changed; say whether it had."""
        return self._files.refresh()

    # Concepts

    def add_concept(
        self,
        name: str,
        role: str = "concept",
        colour: str | None = None,
        comment: str = "",
    ) -> Concept:
        """Make a concept without examples.

        Parameters
        ----------
        name
            At most 200 characters, not yet used.
        role
            "concept", or "random" for a set to compare with.
        colour
            "#rrggbb"; by default one that is not used yet.
        comment
            Text.
        """
        if role not in ROLES:
            raise StoreError(f"{role!r} is no role of a concept: use one of {ROLES}.")
        concept = Concept(clean_name(name), role, comment=_clean_comment(comment))
        colour = None if colour is None else clean_colour(colour)

        def plan(catalogue: Catalogue, change: Change) -> set[str]:
            plans.add_concept(catalogue, change, self.folder, concept, colour)
            return {f"called:{concept.name}"}

        self._files.carry_out(plan)
        return self.concept(concept.name)

    def change_concept(
        self,
        concept: str,
        *,
        name: str | None = None,
        colour: str | None = None,
        comment: str | None = None,
    ) -> Concept:
        """Give a concept another name, colour or comment; what is None stays."""
        fields = {
            "name": None if name is None else clean_name(name),
            "colour": None if colour is None else clean_colour(colour),
            "comment": None if comment is None else _clean_comment(comment),
        }
        given = {key: value for key, value in fields.items() if value is not None}
        self._files.carry_out(
            lambda catalogue, change: plans.change_concept(
                catalogue, change, self.folder, concept, given
            )
        )
        return self.concept(given.get("name", concept))

    def remove_concept(self, name: str) -> Removal:
        """Remove a concept with its examples; `restore` brings it back."""
        return self._files.take_away(
            lambda catalogue, change: plans.remove_concept(catalogue, change, self.folder, name)
        )

    # Examples

    def add(
        self,
        concept: str,
        image: Any,
        region: dict[str, Any] | None = None,
        comment: str = "",
        author: str | None = None,
        included: bool = True,
    ) -> Example:
        """Add an example.

        Parameters
        ----------
        concept
            The name of its concept.
        image
            The picture it is cut from: whatever `open_image` takes.
        region
            "rect", "polygon" or "mask" in pixels of the picture; None is the whole picture.
        comment, author
            Text.
        included
            False keeps it out of training.
        """
        return self.add_many(concept, [(image, region)], comment, author, included)[0]

    def add_many(
        self,
        concept: str,
        items: Iterable[tuple[Any, dict[str, Any] | None]],
        comment: str = "",
        author: str | None = None,
        included: bool = True,
    ) -> tuple[Example, ...]:
        """Add examples, each a picture and a region, in one step: all of them or none."""
        plans.heading_of(self._files.catalogue, concept)
        made = [self.make(image, region, comment, author, included) for image, region in items]
        return self.add_made(concept, made)

    def change(
        self, ids: str | Iterable[str], *, included: bool | None = None, comment: str | None = None
    ) -> None:
        """Include, exclude or comment examples; what is None stays."""
        fields: dict[str, Any] = {}
        if included is not None:
            fields["included"] = bool(included)
        if comment is not None:
            fields["comment"] = _clean_comment(comment)
        chosen = _ids(ids)
        if fields and chosen:
            self._files.carry_out(
                lambda catalogue, change: plans.change_examples(catalogue, change, chosen, fields)
            )

    def reshape(self, example_id: str, image: Any, region: dict[str, Any] | None) -> Example:
        """Give an example another region of its picture, and so another crop."""
        shape, crop = self.make(image, region)
        fields = {"image": shape.image, "region": shape.region, "crop_hash": shape.crop_hash}
        self._files.carry_out(
            lambda catalogue, change: plans.reshape(catalogue, change, example_id, fields, crop)
        )
        return self.example(example_id)

    def move(self, ids: str | Iterable[str], concept: str) -> None:
        """Let examples belong to another concept."""
        chosen = _ids(ids)
        self._files.carry_out(
            lambda catalogue, change: plans.move(catalogue, change, chosen, concept)
        )

    def copy(self, ids: str | Iterable[str], concept: str) -> tuple[Example, ...]:
        """Copy examples to a concept."""
        copies = {
            original: replace(self.example(original), id=uuid.uuid4().hex, created=self._now())
            for original in _ids(ids)
        }
        self._files.carry_out(
            lambda catalogue, change: plans.copy(catalogue, change, self.folder, copies, concept)
        )
        return tuple(copies.values())

    def remove(self, ids: str | Iterable[str]) -> Removal:
        """Remove examples, or rejected suggestions; `restore` brings them back."""
        chosen = _ids(ids)
        return self._files.take_away(
            lambda catalogue, change: plans.remove(catalogue, change, self.folder, chosen)
        )

    def restore(self, removal: Removal) -> None:
        """Bring back what `remove` or `remove_concept` returned, with the same ids."""
        self._files.carry_out(
            lambda catalogue, change: plans.restore(catalogue, change, self.folder, removal)
        )

    def reject(self, concept: str, image: Any, region: dict[str, Any] | None) -> Example:
        """Remember that a region is no example, so that it is not suggested again."""
        example = replace(self.make(image, region)[0], crop_hash="")
        self._files.carry_out(
            lambda catalogue, change: plans.add(
                catalogue, change, concept, [(example, None)], rejected=True
            )
        )
        return example

    # Examples made one by one and added together

    def make(
        self,
        image: Any,
        region: dict[str, Any] | None = None,
        comment: str = "",
        author: str | None = None,
        included: bool = True,
        created: str = "",
    ) -> Made:
        """Cut an example out of its picture without adding it; see `add` for the arguments.

        Returns
        -------
        example, crop
            For `add_made`: the example, and its crop as PNG.
        """
        source = open_image(image)
        checked = clean_region(region)
        crop = DisplayImage(cut_out(source, checked))
        name = clean_file_name(source.name)
        example = Example(
            id=uuid.uuid4().hex,
            image=ImageRef(source.key, name, source.width, source.height),
            region=checked,
            included=bool(included),
            comment=_clean_comment(comment),
            author=self.author if author is None else _clean_author(author),
            created=created or self._now(),
            crop_hash=crop.key,
        )
        return example, encode(crop.pixels)

    def add_made(self, concept: str, made: Sequence[Made]) -> tuple[Example, ...]:
        """Add examples that `make` has made, in one step: all of them or none."""
        if made:
            self._files.carry_out(
                lambda catalogue, change: plans.add(catalogue, change, concept, made)
            )
        return tuple(example for example, _ in made)

    def _now(self) -> str:
        """Return the time, later than any that was returned before."""
        with self._clock:
            self._last_time = max(datetime.now(UTC), self._last_time + timedelta(microseconds=1))
            return self._last_time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _ids(ids: str | Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([ids] if isinstance(ids, str) else ids))


def _clean_comment(comment: object) -> str:
    return clean_text(comment, "A comment", MAX_COMMENT)


def _clean_author(author: object) -> str:
    return clean_text(author, "An author", MAX_NAME, one_line=True)


def _user() -> str:
    try:
        return _clean_author(getpass.getuser()[:MAX_NAME])
    except (OSError, KeyError, ImportError):
        return ""
