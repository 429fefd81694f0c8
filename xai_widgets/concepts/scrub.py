"""Scrub a concept: move a layer's activation along its vector, and see what the model then says."""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xai_widgets.concepts.features import direction_at
from xai_widgets.errors import ConceptError
from xai_widgets.explainers.base import Progress
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage

Floats = npt.NDArray[np.float32]

N_EPSILONS = 33
REACH = 2.0
CHUNKS = 4
"""Chunks of images between two chances to cancel: up to the layer they are one image."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """What a model returns for h + epsilon u v, h being a layer's activation for one picture.

    Attributes
    ----------
    epsilons
        float32 [E]; 1 moves the activation by as much as it is long.
    unit
        u, the length of the activation: its mean over the positions where the vector points the
        same way at each of them.
    scores
        float32 [E, K]: what the model returns, spatial means of dense outputs. At epsilon 0 its
        slope is ``unit`` times the derivative along the unit vector.
    outputs
        float32 [E, K]: probabilities where the model is a classifier, else the scores.
    probabilities
        Whether they are.
    """

    epsilons: Floats
    unit: float
    scores: Floats
    outputs: Floats
    probabilities: bool


def default_epsilons() -> Floats:
    """Return epsilons from -2 to 2, zero among them."""
    return np.linspace(-REACH, REACH, N_EPSILONS, dtype=np.float32)


def scrub(
    model: ExplainableModel,
    image: PreparedImage,
    layer: str,
    vector: npt.ArrayLike,
    epsilons: npt.ArrayLike | None = None,
) -> Sweep:
    """Return what the model says of a picture when more or less of a concept is put in.

    Parameters
    ----------
    model, image
        Loaded and prepared.
    layer
        Any layer, those that return one vector an image included.
    vector
        The concept's vector there: [C] where it was found with pooled activations, or as long as
        the layer's whole output. Its length does not matter.
    epsilons
        [E]; None for 33 from -2 to 2.

    Raises
    ------
    XaiError
        If the layer does not exist, the vector does not fit, or an epsilon is not finite.
    """
    steps = scrub_steps(model, image, layer, vector, epsilons)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            sweep: Sweep = stop.value
            return sweep


def scrub_steps(
    model: ExplainableModel,
    image: PreparedImage,
    layer: str,
    vector: npt.ArrayLike,
    epsilons: npt.ArrayLike | None = None,
) -> Generator[Progress, None, Sweep]:
    """Scrub in steps; see `scrub`. Closing the generator cancels the work."""
    moves = np.asarray(default_epsilons() if epsilons is None else epsilons, dtype=np.float32)
    if moves.ndim != 1 or not moves.size or not np.isfinite(moves).all():
        raise ConceptError("Epsilons must be finite numbers in one list: give at least one.")
    layer = model.resolve_layer(layer, vectors=True)
    batch = image.values[None]
    backend = model.backend
    activation = backend.to_numpy(model.recorded(batch, [layer], False).activation(layer))
    direction = direction_at(model, layer, activation.shape[1:], vector)
    step = direction / np.linalg.norm(np.asarray(vector, dtype=np.float32))
    unit = _length(activation, direction, np.size(vector))
    sides = (-1, *[1] * (direction.ndim - 1))
    found, done = [], 0
    for part in np.array_split(moves, -(-len(moves) // (CHUNKS * model.chunk_size))):
        shifts = part.reshape(sides) * (unit * step)
        found.append(backend.asarray(model.shifted_outputs(batch, layer, shifts)))
        done += len(part)
        yield Progress(done, len(moves))
    outputs = backend.concatenate(found)
    scores = backend.to_numpy(model.class_scores(outputs))
    chances = model.probabilities(outputs)
    shown = scores if chances is None else chances
    return Sweep(moves, unit, scores, shown, chances is not None)


def _length(activation: Floats, direction: Floats, n_values: int) -> float:
    """Return the length of an activation, or its mean over the positions that a vector moves."""
    if n_values == activation.size:
        return float(np.linalg.norm(activation))
    lengths = np.linalg.norm(activation[0], axis=-1)
    moved = np.broadcast_to(direction, activation.shape)[0].any(axis=-1)
    return float(lengths[moved].mean())
