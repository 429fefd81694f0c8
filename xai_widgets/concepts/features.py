"""Vectors and layers: one vector per picture out of a layer's output, and back into it."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import ConceptError
from xai_widgets.models.backend import Array
from xai_widgets.models.base import ExplainableModel

Floats = npt.NDArray[np.float32]


def features(
    model: ExplainableModel,
    layer: str,
    array: Array,
    pooled: bool,
    pool: Literal["mean", "sum"] = "mean",
) -> Floats:
    """Return one vector per picture, float32 [N, D].

    Parameters
    ----------
    model
        The model.
    layer
        One of its layers.
    array
        Activations or gradients there, [N, H, W, C], [N, T, D] or [N, D].
    pooled
        Pool over positions, or patches; else everything, flattened with channels last.
    pool
        "mean" for activations; "sum" for gradients, so that their product with a vector is the
        derivative of the score when the vector is added at every position.
    """
    backend = model.backend
    if pooled and len(array.shape) > 2:
        has_places = len(array.shape) == 4 or model.layer(layer).grid is not None
        places = model.feature_map(layer, array) if has_places else array
        axes = tuple(range(1, len(places.shape) - 1))
        reduce: Callable[..., Any] = backend.mean if pool == "mean" else backend.sum
        return backend.to_numpy(reduce(places, axes))
    return backend.to_numpy(backend.reshape(array, (int(array.shape[0]), -1)))


def direction_at(
    model: ExplainableModel, layer: str, shape: tuple[int, ...], vector: npt.ArrayLike
) -> Floats:
    """Return a concept's vector as a direction in a layer's output, [1, ...] broadcasting to it.

    A pooled vector points the same way at every position, and nowhere for tokens that pooling
    leaves out (CLS, registers).

    Parameters
    ----------
    model, layer
        Where.
    shape
        Of the layer's output for one picture, (H, W, C), (T, D) or (D,).
    vector
        [C], or as long as the whole output.

    Raises
    ------
    ConceptError
        If it has another length, or holds NaN, infinite values or nothing but zeros.
    """
    values = np.asarray(vector, dtype=np.float32).ravel()
    if not np.isfinite(values).all() or not values.any():
        raise ConceptError(
            "The concept's vector is zero or not finite: train it again on examples that differ."
        )
    if values.size == int(np.prod(shape)):
        return values.reshape(1, *shape)
    if values.size != shape[-1]:
        raise ConceptError(
            f"The concept's vector has {values.size} values and does not fit layer {layer!r}, "
            f"which returns {' x '.join(map(str, shape))}: train it at this layer."
        )
    direction = np.broadcast_to(values, (1, *shape))
    grid = model.layer(layer).grid
    if len(shape) == 2 and grid is not None:
        direction = direction.copy()
        direction[:, : grid.patches.start] = 0
        direction[:, grid.patches.stop :] = 0
    return direction
