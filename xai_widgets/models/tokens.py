"""Which layer of tokens a method should look at: where the patches still move the score."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from xai_widgets.models.architecture import Layer

STILL = 1e-6
"""Gradients smaller than this share of the layer's largest are none."""


def recommend_tokens(
    layers: Sequence[Layer], gradient: Callable[[str], npt.NDArray[np.float32] | None]
) -> tuple[Layer, ...]:
    """Recommend the last layer of tokens at whose patches the gradient is not zero.

    After the last block of a transformer that reads its CLS token alone, the patches no longer
    matter, and the maps of CAM methods would be empty. The outputs of normalisations come first,
    because those are what the blocks work on, and not one of the queries, keys and values.

    Parameters
    ----------
    layers
        In the order in which they finish, none of them recommended.
    gradient
        Returns the gradient of a class's score at a layer, [1, T, D], or None without one.

    Returns
    -------
    tuple of Layer
        The same layers, one of them recommended, or none where no patch matters.
    """
    tokens = [layer for layer in reversed(layers) if layer.grid is not None]
    norms = [layer for layer in tokens if "norm" in layer.kind.lower()]
    for layer in norms + [layer for layer in tokens if layer not in norms]:
        found = gradient(layer.name)
        if found is not None and patches_matter(layer, found):
            return tuple(_with_main(entry, layer) for entry in layers)
    return tuple(layers)


def patches_matter(layer: Layer, gradient: npt.NDArray[np.float32]) -> bool:
    """Tell whether a gradient [1, T, D] is more than zero at the patches."""
    if layer.grid is None or not np.isfinite(gradient).all():
        return False
    largest = float(np.abs(gradient).max(initial=0.0))
    at_patches = float(np.abs(gradient[:, layer.grid.patches]).max(initial=0.0))
    return at_patches > STILL * largest


def _with_main(layer: Layer, recommended: Layer) -> Layer:
    """Let the recommended layer stand for its resolution."""
    if layer.name == recommended.name:
        return replace(layer, main=True, recommended=True)
    return replace(layer, main=layer.main and layer.resolution != recommended.resolution)
