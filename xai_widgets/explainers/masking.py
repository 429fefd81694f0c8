"""Pictures of which something is hidden, made on the model's device, and their scores."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from xai_widgets.models.backend import Array
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target

Values = npt.NDArray[np.float32]


class Hiding:
    """An image and what fills its hidden parts, on the device.

    Parameters
    ----------
    model, image
        Loaded and prepared.
    fill
        float32 [H, W, C] in the model's value range.
    """

    def __init__(self, model: ExplainableModel, image: PreparedImage, fill: Values) -> None:
        self._model = model
        self._fill = model.backend.asarray(fill)
        self._difference = model.backend.asarray(image.values - fill)

    def scores(self, kept: Array, target: Target) -> Array:
        """Return the target's scores [N] with only ``kept`` [N, H, W, 1], 0..1, to be seen."""
        shown = self._model.backend.masked(self._difference, kept)
        return self._model.target_scores(self._fill + shown, target)


def chunks(total: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of parts of at most ``size``."""
    for start in range(0, total, size):
        yield start, min(start + size, total)


def whole_score(model: ExplainableModel, values: Values, target: Target) -> float:
    """Return the target's score of one input [H, W, C]."""
    return float(model.backend.to_numpy(model.target_scores(values[None], target))[0])
