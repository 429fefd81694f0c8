"""What the channels of a layer do, place by place."""

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import LayerError
from xai_widgets.models.base import ExplainableModel

Values = npt.NDArray[np.float32]


def with_channels(model: ExplainableModel, layer: str | None) -> tuple[str, int]:
    """Return a layer and how many channels it has.

    Raises
    ------
    LayerError
        If it has none.
    """
    name = model.resolve_layer(layer, vectors=True)
    shape = model.layer(name).shape
    if not shape:
        raise LayerError(f"Layer {name!r} has no channels: choose a feature map or a vector.")
    return name, shape[-1]


def all_maps(model: ExplainableModel, layer: str, values: Values) -> Values:
    """Return a layer's activations, [N, h, w, C].

    Vectors, and tokens without a grid, have one row: [N, 1, T, C].
    """
    found = model.recorded(values, (layer,), gradients=False).activation(layer)
    if len(found.shape) == 3 and model.layer(layer).grid is not None:
        found = model.feature_map(layer, found)
    array = model.backend.to_numpy(found)
    if array.ndim == 4:
        return array
    return array.reshape(len(array), 1, -1, array.shape[-1])
