"""What passes between a model and an explainer: pictures, gradients, passes, capabilities."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from xai_widgets.models.backend import Array
from xai_widgets.models.images import DisplayImage
from xai_widgets.models.preprocessing import Placement, Values
from xai_widgets.models.targets import Target


@dataclass(frozen=True)
class Capabilities:
    """What a model can do for an explainer; each lack carries the sentence that a user reads."""

    lacks: dict[str, str] = field(default_factory=dict)

    def reason(self, needs: Sequence[str]) -> str | None:
        """Return why something needed is missing, or None if nothing is."""
        return next((self.lacks[need] for need in needs if need in self.lacks), None)


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """A picture together with the model input made from it.

    Attributes
    ----------
    display
        The picture, uint8 [H, W, 3].
    values
        The model input, float32 [h, w, C], in the model's own value range.
    placement
        Where the input grid lies on the picture, in display pixels.
    """

    display: DisplayImage
    values: Values
    placement: Placement

    @cached_property
    def key(self) -> str:
        """A hash of the model input."""
        digest = hashlib.blake2b(str(self.values.shape).encode(), digest_size=16)
        digest.update(self.values.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Gradients:
    """Gradients of a target, with the scores of the same forward pass.

    Attributes
    ----------
    values
        [N, H, W, C] (or what the layer returns), without N where per-sample weights reduced them.
    scores
        The target's score per sample, [N].
    outputs
        What the target was made from: the model's output, so that other scores cost no pass of
        their own. None where it is not at hand.
    """

    values: Array
    scores: Array
    outputs: Array | None = None


class ForwardPass(ABC):
    """One retained forward pass of one image: any target, any layer, without a new forward."""

    scores: npt.NDArray[np.float32]
    """Scores of the image, float32 [K]."""

    @property
    def outputs(self) -> npt.NDArray[np.float32]:
        """What the model returns for the image, float32 [K], or dense [H, W, K]."""
        return self.scores

    def start_at(self, layer: str | None) -> None:  # noqa: B027
        """Prepare for gradients at a layer, or at the input for None; a hint that saves work."""

    @abstractmethod
    def activation(self, layer: str) -> Array:
        """Return the output of a layer, [1, H, W, C], or [1, T, D] for tokens."""

    @abstractmethod
    def gradient(self, target: Target, layer: str | None = None) -> Array:
        """Return d target / d layer output, or d input where ``layer`` is None, [1, H, W, C]."""
