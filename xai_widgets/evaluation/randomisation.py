"""Networks whose weights were drawn anew, layer by layer: what sanity checks compare with."""

import re
import zlib
from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xai_widgets.models.base import ExplainableModel

Weights = npt.NDArray[np.float32]

MAX_SHARE = 1 / 3
"""A stage with more than this share of all arrays of weights is split into its parts."""


@dataclass(frozen=True)
class Stage:
    """A part of the network whose weights are drawn together.

    Attributes
    ----------
    name
        What the names of its weights begin with.
    weights
        Their names, as the model gives them.
    """

    name: str
    weights: tuple[str, ...]


def stages(model: ExplainableModel) -> list[Stage]:
    """Return the stages of a network from its head down to its input.

    Weights are grouped by what their names begin with; groups that hold more than a third of all
    are split, down to single layers. Groups of vectors only (a last normalisation, a class token)
    join the one above them.
    """
    dimensions: dict[str, int] = {}

    def look(name: str, weight: Weights) -> Weights:
        dimensions[name] = weight.ndim
        return weight

    with model.changed_weights(look):
        pass
    limit = max(1.0, MAX_SHARE * len(dimensions))
    found: list[Stage] = []
    for stage in reversed(_split(tuple(dimensions), 1, limit)):
        vectors = all(dimensions[name] < 2 for name in stage.weights)
        if found and vectors:
            found[-1] = Stage(found[-1].name, (*stage.weights, *found[-1].weights))
        else:
            found.append(stage)
    return found


def randomised(
    model: ExplainableModel, names: Collection[str] | None = None, seed: int = 0
) -> AbstractContextManager[None]:
    """Return a context in which weights are drawn anew; the user's own are back after it.

    Each array is drawn from a normal distribution of its own mean and spread, so that activations
    keep their size and a map does not change for being multiplied. What an array becomes depends
    on its name and the seed alone.

    Parameters
    ----------
    names
        Of the weights; None for all.
    seed
        Of the draw.
    """

    def change(name: str, weight: Weights) -> Weights:
        if names is not None and name not in names:
            return weight
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        drawn = rng.standard_normal(weight.shape, dtype=np.float32)
        return np.asarray(weight.mean() + weight.std() * drawn, dtype=np.float32)

    return model.changed_weights(change)


def _split(names: tuple[str, ...], depth: int, limit: float) -> list[Stage]:
    """Group neighbours whose names share their first ``depth`` parts; split what is too large."""
    groups: list[list[str]] = []
    for name in names:
        if groups and _parts(groups[-1][0])[:depth] == _parts(name)[:depth]:
            groups[-1].append(name)
        else:
            groups.append([name])
    found: list[Stage] = []
    for group in groups:
        deepest = max(len(_parts(name)) for name in group)
        if len(group) > limit and depth < deepest:
            found += _split(tuple(group), depth + 1, limit)
        else:
            found.append(Stage(".".join(_parts(group[0])[:depth]), tuple(group)))
    return found


def _parts(name: str) -> tuple[str, ...]:
    """Return the parts of the name of the layer that holds a weight.

    PyTorch nests by dots; Keras ends a layer at a slash, and applications write blocks with "_".
    """
    layer = re.split(r"[./](?=[^./]*$)", name)[0]
    return tuple(re.split(r"[./_]" if "/" in name else r"\.", layer))
