"""What a picture can be optimised for: classes, layers, channels, neurons, directions, and sums.

Objectives are values; they add, subtract and scale: ``channel("layer3", 5) - 0.1 * layer("stem")``.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import TargetError
from xai_widgets.features.objective import Objective, OneEach, Sum
from xai_widgets.features.objective_kinds import (
    Alignment,
    CentreNeuron,
    Direction,
    Diversity,
    Guided,
    TargetObjective,
    WholeLayer,
)
from xai_widgets.models.targets import ClassTarget, FunctionTarget, LayerTarget, Target, target_of


def class_score(label: int | str, versus: int | str | None = None) -> Objective:
    """Return the score of a class, before any softmax; minus another's with ``versus``."""
    return TargetObjective(ClassTarget(label, versus))


def layer(name: str) -> Objective:
    """Return the mean square of all that a layer returns: more of whatever it sees."""
    return WholeLayer(name)


def channel(layer: str, index: int) -> Objective:
    """Return the mean of a layer's channel over all positions."""
    return TargetObjective(LayerTarget(layer, index))


def neuron(layer: str, channel: int, position: Sequence[int] | int | None = None) -> Objective:
    """Return one neuron of a layer: a channel at (row, column) or a token; None for the middle."""
    if position is None:
        return CentreNeuron(layer, channel)
    place = tuple(position) if isinstance(position, Iterable) else (position,)
    return TargetObjective(LayerTarget(layer, channel, place))


def direction(
    layer: str, vector: npt.ArrayLike, cosine: float = 0.0, name: str = "a direction"
) -> Objective:
    """Return the mean projection of a layer's activations on a vector; see `Direction`."""
    try:
        numbers = np.asarray(vector, dtype=np.float32)
    except (TypeError, ValueError):
        raise TargetError(
            f"The vector of a direction is {vector!r:.60}: give one number for each channel."
        ) from None
    return Direction(layer, numbers, cosine, name)


def as_objective(given: Any) -> Objective:
    """Return the objective that a user wrote: one of this module, a target, a class.

    Parameters
    ----------
    given
        An `Objective`, a `Target` or its wire form, a class by label or position, or a function of
        the outputs.

    Raises
    ------
    TargetError
        If it is none of these.
    """
    if isinstance(given, Objective):
        return given
    if isinstance(given, Target):
        return TargetObjective(given)
    if isinstance(given, Mapping):
        return TargetObjective(target_of(given))
    if isinstance(given, str | int | np.integer) and not isinstance(given, bool):
        return class_score(given if isinstance(given, str) else int(given))
    if callable(given):
        return TargetObjective(FunctionTarget(given, getattr(given, "__name__", "own function")))
    raise TargetError(
        f"An objective cannot be a {type(given).__name__}: give a class, a target, or one of "
        "xw.features.objectives, such as channel(layer, index)."
    )


def diversity(layer: str) -> Objective:
    """Return how different the pictures of a batch are at a layer; see `Diversity`."""
    return Diversity(layer)


def alignment(layer: str) -> Objective:
    """Return how close each picture of a batch is to its neighbours; see `Alignment`."""
    return Alignment(layer)


def concept(name: str, layer: str, vectors: Any, cosine: float = 0.0) -> Objective:
    """Return the direction of a trained concept vector.

    Parameters
    ----------
    name, layer
        The concept, and the layer that it was trained at.
    vectors
        A `ConceptStore`, whose newest vector is taken; what its ``vectors()`` holds; or a mapping
        from (concept, layer) to vectors.
    cosine
        As in `direction`.

    Raises
    ------
    TargetError
        If there is no such vector.
    """
    found = vectors.vectors() if callable(getattr(vectors, "vectors", None)) else vectors
    sets = found if isinstance(found, list | tuple) else (found,)
    known: list[tuple[str, str]] = []
    for entry in sets:
        trained = entry if isinstance(entry, Mapping) else getattr(entry, "vectors", None)
        if not isinstance(trained, Mapping):
            raise TargetError(
                f"A {type(entry).__name__} holds no concept vectors: give a ConceptStore, or a "
                "mapping from (concept, layer) to vectors."
            )
        if (name, layer) in trained:
            return direction(layer, trained[name, layer], cosine, name)
        known += trained.keys()
    listed = ", ".join(f"{a!r} at {b!r}" for a, b in sorted(set(known))[:6]) or "none at all"
    raise TargetError(
        f"There is no trained vector of {name!r} at layer {layer!r}: there is {listed}. Test the "
        "concept there first."
    )


__all__ = [
    "Alignment",
    "Direction",
    "Diversity",
    "Guided",
    "Objective",
    "OneEach",
    "Sum",
    "TargetObjective",
    "WholeLayer",
    "alignment",
    "as_objective",
    "channel",
    "class_score",
    "concept",
    "direction",
    "diversity",
    "layer",
    "neuron",
]
