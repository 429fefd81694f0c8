"""What attention looks like to an explainer: a matrix per head and layer, and its gradient."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xai_widgets.models.architecture import Grid
from xai_widgets.models.backend import Array
from xai_widgets.models.targets import Target


@dataclass(frozen=True)
class AttentionLayer:
    """One attention operation, in the order of the forward pass.

    Attributes
    ----------
    name
        Path of the module it belongs to, as far as it is known, else "attention 3".
    heads
        How many heads it has.
    tokens
        How many tokens attend and are attended to, CLS and registers included.
    grid
        Where the tokens lie on the picture; None if that is not known.
    windows
        How many windows the picture is cut into, 1 for attention over the whole picture.
    """

    name: str
    heads: int
    tokens: int
    grid: Grid | None = None
    windows: int = 1


class AttentionPass(ABC):
    """The self-attention of one image, recorded while the model's output stayed the same.

    Attributes
    ----------
    layers
        The attention operations.
    outputs
        What the model returned, float32 [K] or dense [H, W, K].
    """

    layers: tuple[AttentionLayer, ...]
    outputs: npt.NDArray[np.float32]

    @abstractmethod
    def weights(self, index: int) -> Array:
        """Return attention probabilities of a layer by its position, [heads, T, T], rows sum to 1.

        With windows [windows, heads, T, T].
        """

    @abstractmethod
    def gradients(self, target: Target) -> Sequence[Array]:
        """Return d target / d attention probabilities of every layer, shaped as the weights."""
