"""From pictures 0..1 to a model's own input values, differentiably: found out by trying."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import XaiError
from xai_widgets.models.backend import Array, Backend
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.images import open_image

Values = npt.NDArray[np.float32]

TOLERANCE = 2.5 / 255
"""How far a colour may lie from the affine map, in shares of the range: grey levels are rounded."""

NOT_AFFINE = (
    "The preprocessing of this model is not one linear map of the colours: the picture was "
    "optimised as the model's own input and shown between the smallest and the largest value that "
    "pictures get."
)


@dataclass(frozen=True, eq=False)
class InputMap:
    """``input = picture @ matrix + offset``, for pictures with the channels that count.

    Attributes
    ----------
    matrix
        float32 [P, C] from a picture's P channels, 3 or 1, to the model's C.
    offset
        float32 [C].
    note
        A sentence, where pictures are not what the user's pictures are.
    """

    matrix: Values
    offset: Values
    note: str | None = None

    @property
    def channels(self) -> int:
        """How many channels a picture has: 3, or 1 where the model sees grey; C without a map."""
        return int(self.matrix.shape[0])

    def inputs(self, pictures: Array, backend: Backend) -> Array:
        """Return model inputs [N, H, W, C] of pictures [N, H, W, P], 0..1."""
        return backend.recoloured(
            pictures, backend.asarray(self.matrix), backend.asarray(self.offset)
        )

    def shown(self, pictures: Values) -> Values:
        """Return pictures [N, H, W, P] in red, green and blue, float32 [N, H, W, 3], 0..1."""
        levels = pictures if self.channels == 3 else pictures.mean(axis=3, keepdims=True)
        return np.ascontiguousarray(np.broadcast_to(levels, (*levels.shape[:3], 3)))

    def picture_of(self, model_input: Values) -> Values:
        """Return the picture [H, W, P], 0..1, that becomes a model input [H, W, C]."""
        levels = (model_input - self.offset) @ np.linalg.pinv(self.matrix)
        return np.asarray(np.clip(levels, 0, 1), dtype=np.float32)


def input_map(model: ExplainableModel) -> InputMap:
    """Return how a model's preprocessing maps colours, from pictures of one colour each.

    A preprocessing whose answer to a colour is no affine function of it, or not the same all over
    the picture, gives a map between the extremes of each input channel, with a note.
    """
    size = model.input_shape[:2]
    rng = np.random.default_rng(0)
    colours = np.vstack([np.zeros((1, 3)), 255 * np.eye(3), rng.integers(0, 256, (8, 3))])
    colours = np.vstack([colours, np.full((1, 3), 255), np.full((1, 3), 128)]).astype(np.uint8)
    try:
        answers = [_answer(model, colour, size) for colour in colours]
    except XaiError:
        answers = []
    if answers and all(answer is not None for answer in answers):
        found = np.stack([answer for answer in answers if answer is not None])
        offset, matrix = found[0], found[1:4] - found[0]
        predicted = colours / 255.0 @ matrix + offset
        reach = np.abs(matrix).sum(axis=0)
        if (reach > 0).all() and (np.abs(predicted - found) <= TOLERANCE * reach).all():
            return _affine(matrix, offset)
    return _between_extremes(model, rng)


def _affine(matrix: npt.NDArray[np.float64], offset: npt.NDArray[np.float64]) -> InputMap:
    """Return the map of colours, or that of grey levels where the model sees nothing else."""
    grey = np.linalg.matrix_rank(matrix, tol=0.02 * np.abs(matrix).max()) == 1
    if grey:
        matrix = matrix.sum(axis=0, keepdims=True)
    return InputMap(np.asarray(matrix, np.float32), np.asarray(offset, np.float32))


def _answer(
    model: ExplainableModel, colour: npt.NDArray[np.uint8], size: tuple[int, int]
) -> npt.NDArray[np.float64] | None:
    """Return the input values [C] of a picture of one colour; None if they are not the same."""
    pixels = np.broadcast_to(colour, (*size, 3)).copy()
    values, _ = model.preprocess(open_image(pixels))
    mean = values.mean(axis=(0, 1), dtype=np.float64)
    spread = np.abs(values - mean).max()
    if not np.isfinite(values).all() or spread > 1e-4 * max(1.0, float(np.abs(mean).max())):
        return None
    return np.asarray(mean)


def _between_extremes(model: ExplainableModel, rng: np.random.Generator) -> InputMap:
    """Return a map from 0..1 to the range that pictures of noise and of two halves get."""
    size = model.input_shape[:2]
    noise = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    halves = np.zeros((*size, 3), np.uint8)
    halves[: size[0] // 2] = 255
    inputs = np.stack([model.preprocess(open_image(pixels))[0] for pixels in (noise, halves)])
    low = inputs.min(axis=(0, 1, 2)).astype(np.float64)
    high = inputs.max(axis=(0, 1, 2)).astype(np.float64)
    high = np.where(high > low, high, low + 1)
    return InputMap(
        np.asarray(np.diag(high - low), np.float32), np.asarray(low, np.float32), NOT_AFFINE
    )
