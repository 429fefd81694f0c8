"""One vector per picture out of what a layer returns: pooled over the positions, or all of it."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

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
