"""What a graph says of its one input: layout, size, batch and type."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import ModelError
from xai_widgets.models.choosing import Size
from xai_widgets.models.preprocessing import Preprocess, Preprocessing, Values

CHANNELS = (1, 3)


@dataclass(frozen=True)
class InputSpec:
    """The image input of an exported graph.

    Attributes
    ----------
    shape
        Four sides, None where any is allowed.
    dtype
        What its elements are.
    channels_first
        True for [N, C, H, W], False for [N, H, W, C].
    """

    shape: tuple[int | None, ...]
    dtype: npt.DTypeLike
    channels_first: bool

    @property
    def size(self) -> Size | None:
        """(height, width) in pixels, or None where the graph takes any."""
        height, width = self.shape[2:] if self.channels_first else self.shape[1:3]
        return None if height is None or width is None else (height, width)

    @property
    def channels(self) -> tuple[int, ...]:
        """The numbers of channels to try."""
        given = self.shape[1 if self.channels_first else 3]
        return (3, 1) if given is None else (given,)

    @property
    def batch_size(self) -> int | None:
        """The only number of images at once, or None where the graph takes any."""
        return self.shape[0]

    def notes(self) -> tuple[str, ...]:
        """Say what the input is where it is not float32 or not of any batch size."""
        found = []
        name = np.dtype(self.dtype).name
        if name != "float32":
            found.append(
                f"The model's input is {name}: images are computed in float32 and handed over as "
                f"{name}."
            )
        if self.batch_size is not None:
            found.append(
                f"The model takes exactly {self.batch_size} image"
                f"{'s' if self.batch_size > 1 else ''} at once: several are passed one batch after "
                "the other."
            )
        return tuple(found)

    @property
    def whole(self) -> bool:
        """True if the graph takes whole numbers."""
        return np.issubdtype(np.dtype(self.dtype), np.integer)

    def preprocess(self, given: Preprocess | None, notes: list[str]) -> Preprocess | None:
        """Return what is given, else pixels from 0 to 255 where the graph takes whole numbers."""
        if given is not None or not self.whole:
            return given
        notes.append("The model takes whole numbers: pixels are handed over from 0 to 255.")
        return Preprocessing(value_range=(0.0, 255.0))

    def arranged(self, images: Values) -> npt.NDArray[Any]:
        """Return images [N, H, W, C] in the graph's layout and type."""
        batch: npt.NDArray[Any] = images.transpose(0, 3, 1, 2) if self.channels_first else images
        if self.whole:
            batch = np.rint(batch)
        return np.ascontiguousarray(batch, dtype=self.dtype)

    def run(
        self, function: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], images: Values
    ) -> npt.NDArray[Any]:
        """Pass images [N, H, W, C] through a function in batches that the graph takes."""
        batch = self.arranged(images)
        size = self.batch_size
        if size is None:
            return function(batch)
        missing = -len(batch) % size
        if missing:
            batch = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)])
        parts = [function(batch[i : i + size]) for i in range(0, len(batch), size)]
        return np.concatenate(parts)[: len(images)]


def input_spec(name: str, shape: Sequence[Any] | None, dtype: npt.DTypeLike) -> InputSpec:
    """Recognise the layout of an input from its shape; sides that are no numbers are free.

    Raises
    ------
    ModelError
        If it is no image input.
    """
    sides = tuple(
        int(side) if isinstance(side, int | np.integer) and side > 0 else None
        for side in (shape if shape is not None else (None,) * 4)
    )
    if len(sides) != 4:
        raise ModelError(
            f"The input of {name} has the shape {_written(sides)}: expected images [N, C, H, W] or "
            "[N, H, W, C]."
        )
    first, last = sides[1] in CHANNELS, sides[3] in CHANNELS
    if not first and not last and (sides[1] is not None or sides[3] is not None):
        free_first, free_last = sides[1] is None, sides[3] is None
        if not free_first and not free_last:
            raise ModelError(
                f"The input of {name} has the shape {_written(sides)}: expected 1 or 3 channels at "
                "its second or last place."
            )
        return InputSpec(sides, dtype, channels_first=free_first)
    return InputSpec(sides, dtype, channels_first=first or not last)


def _written(sides: Sequence[int | None]) -> str:
    return "[" + ", ".join("?" if side is None else str(side) for side in sides) + "]"
