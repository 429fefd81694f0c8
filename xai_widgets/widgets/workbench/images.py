"""What the model sees in the workbench's images: predictions, images of a class, activations."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from xai_widgets.concepts.evidence import Evidence, Steps
from xai_widgets.errors import XaiError
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.images import ImageSet
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.widgets.base import StateError
from xai_widgets.widgets.workbench.pictures import Pictures

LEAST_IMAGES = 8

Found = TypeVar("Found")


class ClassImages:
    """The images by their class, and by what the model predicts.

    Parameters
    ----------
    model, images, pictures
        What is looked at, and what opens it.
    classes
        The true class of each image; None to go by predictions.

    Raises
    ------
    StateError
        If there is not one class for each image.
    """

    def __init__(
        self,
        model: ExplainableModel,
        images: ImageSet,
        pictures: Pictures,
        classes: Sequence[int] | npt.NDArray[np.integer[Any]] | None,
    ) -> None:
        self._model, self._pictures, self._n = model, pictures, len(images)
        self._images = images
        self._names = [images.name(index) for index in range(self._n)]
        self._true = None if classes is None else _checked(classes, self._n, len(model.labels))
        self._broken: dict[int, str] = {}

    @cached_property
    def stamps(self) -> Sequence[str]:
        """What tells each of them from others, without decoding files; see `ImageSet.stamp`."""
        return [self._images.stamp(index) for index in range(self._n)]

    @property
    def classes(self) -> Sequence[int] | None:
        """Their true classes, where they were given."""
        return None if self._true is None else [int(value) for value in self._true]

    @property
    def readable(self) -> list[int]:
        """Positions of the images that could be opened so far."""
        return [index for index in range(self._n) if index not in self._broken]

    @property
    def notes(self) -> list[str]:
        """A sentence on what was left out, if anything was."""
        if not self._broken:
            return []
        n, first = len(self._broken), next(iter(self._broken.values()))
        return [f"{n} image{'s' if n > 1 else ''} could not be opened and {_were(n)}. {first}"]

    def entries(self, indices: Sequence[int]) -> dict[str, Any]:
        """Return images in the form that `Evidence` takes, opened when they are needed."""
        return {f"image {index}": partial(self._opened, index) for index in indices}

    def first(self) -> int:
        """Return the position of the first image that can be opened.

        Raises
        ------
        StateError
            If there is none.
        """
        for index in self.readable:
            with suppress(XaiError):
                self._opened(index)
                return index
        raise StateError(f"None of the images could be opened. {self._broken[0]}")

    def every(self, look: Callable[[dict[str, Any]], Steps[Found]]) -> Steps[Found]:
        """Look at all images that can be opened, and remember which cannot.

        Parameters
        ----------
        look
            Gets them in the form that `Evidence` takes, and may be started again without those
            that turned out to be broken.

        Raises
        ------
        StateError
            If there is none that can be opened.
        """
        self._broken.clear()
        while self.readable:
            before = len(self._broken)
            try:
                return (yield from look(self.entries(self.readable)))
            except XaiError:
                if len(self._broken) == before:
                    raise
        raise StateError(f"None of the images could be opened. {self._broken[0]}")

    def of_class(self, evidence: Evidence, index: int) -> Steps[tuple[list[int], str | None]]:
        """Return the images of a class, and a note where all of them have to do.

        Returns
        -------
        indices, note
            Those that carry the class, or that the model predicts as it; all images where there
            are fewer than eight.
        """
        readable, label = self.readable, self._model.labels[index]
        if self._true is not None:
            chosen, what = [i for i in readable if self._true[i] == index], "labelled"
        else:
            found = yield from evidence.predictions_of(self.entries(readable))
            chosen = [i for i, c in zip(readable, found.classes, strict=True) if c == index]
            what = "predicted as"
        if len(chosen) >= LEAST_IMAGES:
            return chosen, None
        n = len(chosen)
        few = (
            f"Only {n} of the images {'is' if n == 1 else 'are'}" if n else "None of the images is"
        )
        note = f"{few} {what} {label}: all {len(readable)} images are used."
        return readable, note if n < len(readable) else None

    def _opened(self, index: int) -> PreparedImage:
        try:
            return self._model.prepare(self._pictures(index), self._names[index])
        except XaiError as error:
            self._broken[index] = str(error)
            raise


def _were(n: int) -> str:
    return "was left out" if n == 1 else "were left out"


def _checked(classes: Any, n_images: int, n_classes: int) -> npt.NDArray[np.intp]:
    try:
        values = np.asarray(classes, dtype=np.intp)
    except (TypeError, ValueError) as error:
        raise StateError(
            "classes must hold a class position for each image: whole numbers from 0."
        ) from error
    if values.shape != (n_images,):
        raise StateError(
            f"classes has shape {list(values.shape)}: give one class position for each of the "
            f"{n_images} images."
        )
    if values.size and not (values.min() >= 0 and values.max() < n_classes):
        raise StateError(
            f"classes holds {int(values.min())} to {int(values.max())}: the model has {n_classes} "
            "classes, counted from 0."
        )
    return values
