"""Move a picture about before the model sees it, so that it means the same wherever it lies."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import MethodError, near_matches

Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Transforms:
    """Random pad, jitter, scale and rotation, drawn anew in each step for the whole batch.

    Attributes
    ----------
    pad
        Grey around the picture, in shares of its sides, 0 to 0.5; the picture shrinks to make room.
    jitter
        How far it moves at most in each direction, in shares of its sides, 0 to 0.5.
    scale
        It is scaled by factors between 1 / (1 + scale) and 1 + scale; 0 to 1.
    rotate
        It is turned by at most so many degrees, either way, 0 to 180.
    """

    pad: float = 0.05
    jitter: float = 0.025
    scale: float = 0.05
    rotate: float = 5.0

    def __post_init__(self) -> None:
        """Check ranges, each with a sentence."""
        limits = {"pad": 0.5, "jitter": 0.5, "scale": 1.0, "rotate": 180.0}
        for name, limit in limits.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise MethodError(f"{name} of the transforms is {value!r}: give a number.")
            if not 0 <= value <= limit:
                raise MethodError(
                    f"{name} of the transforms is {value}: give a number from 0 to {limit:g}."
                )

    @property
    def still(self) -> bool:
        """True where nothing moves."""
        return not (self.pad or self.jitter or self.scale or self.rotate)

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> Values:
        """Return where pixels come from, [2, 3] for `Backend.warp`, for pictures of a size."""
        moves = rng.uniform(-1, 1, 4)
        zoom = (1 + 2 * self.pad) * (1 + self.scale) ** moves[0]
        angle = math.radians(self.rotate) * moves[1]
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        shift = self.jitter * moves[2:] * np.asarray(size)
        return np.asarray(np.column_stack([zoom * turn, shift]), dtype=np.float32)

    def to_dict(self) -> dict[str, float]:
        """Return the four numbers."""
        return asdict(self)


NAMED = {"standard": Transforms(), "none": Transforms(0, 0, 0, 0)}


def transforms_of(given: Any) -> Transforms:
    """Return transforms by name, or as they are.

    Raises
    ------
    MethodError
        If they are neither.
    """
    if isinstance(given, Transforms):
        return given
    if given not in NAMED if isinstance(given, str) else True:
        raise MethodError(
            f"There are no transforms {given!r}: give 'standard', 'none' or Transforms(...)."
            f"{near_matches(given, NAMED) if isinstance(given, str) else ''}"
        )
    return NAMED[given]
