"""Model inputs as pictures again, to be looked at."""

from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.explainers.baselines import colour_values
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


class Shown:
    """Turns model inputs back into pictures: the preprocessing, seen as an affine map of colours.

    Four flat pictures tell how display colours become channels; where that is not the same
    everywhere or cannot be undone, the pictures come out approximate. They are only looked at.
    """

    def __init__(self, model: ExplainableModel, image: PreparedImage) -> None:
        def mean(level: Any) -> npt.NDArray[np.float64]:
            return np.asarray(colour_values(model, image, level).mean((0, 1)), dtype=np.float64)

        self._black = mean(0)
        colours = [[255 if i == j else 0 for i in range(3)] for j in range(3)]
        matrix = np.stack([mean(colour) - self._black for colour in colours])  # display -> input
        self._back = np.linalg.pinv(matrix) * 255

    def __call__(self, values: Floats) -> Pixels:
        """Return uint8 [..., H, W, 3] of model inputs [..., H, W, C]."""
        colours = (values - self._black) @ self._back
        return np.asarray(np.clip(np.round(colours), 0, 255), dtype=np.uint8)
