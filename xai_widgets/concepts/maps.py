"""Where a concept acts in one picture: the directional derivative of a score, place by place."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.concepts.features import direction_at
from xai_widgets.errors import ModelError
from xai_widgets.maps import to_display, upsample
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ConceptMap:
    """The derivative of a target's score along a concept's vector, place by place.

    Attributes
    ----------
    grid
        float32 [h, w] at the layer's resolution, signed: gradient at each position times the
        vector. Positive where more of the concept raises the score. A transformer's CLS and
        register tokens have no place.
    derivative
        Its sum: the derivative of the score when the vector is added at every position.
    score
        The target's score for the picture.
    image, target, layer
        What it is about.
    """

    grid: Floats
    derivative: float
    score: float
    image: PreparedImage
    target: Target
    layer: str

    @cached_property
    def values(self) -> Floats:
        """float32 [H, W] on the model's input grid, bilinear, placed as class activation maps."""
        return upsample(self.grid, self.image.values.shape[:2])

    @cached_property
    def heatmap(self) -> Floats:
        """float32 [H, W] on the display image's grid, zero outside of what the model saw."""
        display = self.image.display
        return to_display(self.values, self.image.placement, (display.height, display.width))


def concept_map(
    model: ExplainableModel, image: PreparedImage, target: Any, layer: str, vector: npt.ArrayLike
) -> ConceptMap:
    """Return where a concept acts for a target in one picture.

    Another concept or target repeats no forward pass: it works on the retained one of the picture.

    Parameters
    ----------
    model
        Loaded.
    image
        Prepared.
    target
        A class position or label, or a `Target`; None for the predicted class.
    layer
        A layer with positions on the picture.
    vector
        The concept's vector at this layer: [C] where it was found with pooled activations, or as
        long as the layer's whole output.

    Raises
    ------
    XaiError
        If target or layer do not exist, the layer has no positions on the picture, the vector does
        not fit, or there is no gradient.
    """
    layer = model.resolve_layer(layer, vectors=True)
    forward, backend = model.forward_pass(image), model.backend
    forward.start_at(layer)
    chosen = model.resolve_target(target, forward.outputs, image)
    gradient = forward.gradient(chosen, layer)
    direction = direction_at(model, layer, tuple(gradient.shape[1:]), vector)
    product = backend.to_numpy(gradient) * direction
    grid = backend.to_numpy(model.feature_map(layer, product)).sum(axis=3)[0]
    if not np.isfinite(grid).all():
        raise ModelError(
            f"The gradient of {model.name} at layer {layer!r} is NaN or infinite for "
            f"{image.display.name!r}: try float32 weights or another layer."
        )
    score = model.target_score(forward, chosen)
    return ConceptMap(grid, float(grid.sum(dtype=np.float64)), score, image, chosen, layer)
