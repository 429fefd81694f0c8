"""What passes between a model and an explainer: pictures, gradients, passes, capabilities."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from xai_widgets.models.backend import Array, Backend
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


class LayerPass(ABC):
    """One forward pass of a batch, kept from some layers on: any target, no new forward.

    Where memory does not suffice, it is run again when gradients are asked for.
    """

    @property
    @abstractmethod
    def outputs(self) -> Array:
        """What the model returns, [N, K], or dense [N, H, W, K]."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes held; an estimate where the framework does not tell."""

    def start_at(self, layers: Sequence[str | None]) -> None:  # noqa: B027
        """Prepare for gradients at layers, or at the input for None; a hint that saves work."""

    @abstractmethod
    def activation(self, layer: str) -> Array:
        """Return the output of a layer, [N, H, W, C], [N, T, D] or [N, D]."""

    @abstractmethod
    def gradients(self, target: Target, layers: Sequence[str | None]) -> dict[str | None, Array]:
        """Return d target / d layer output, the input's under None, from one backward pass."""


class ForwardPass:
    """One retained forward pass of one image: any target, any layer, without a new forward.

    Parameters
    ----------
    batch
        The pass of the image, a batch of one.
    backend
        The model's.
    """

    def __init__(self, batch: LayerPass, backend: Backend) -> None:
        self._batch, self._backend = batch, backend

    @property
    def outputs(self) -> npt.NDArray[np.float32]:
        """What the model returns for the image, float32 [K], or dense [H, W, K]."""
        return self._backend.to_numpy(self._batch.outputs[0])

    @property
    def scores(self) -> npt.NDArray[np.float32]:
        """Scores of the image, float32 [K]; spatial means of dense outputs."""
        outputs = self.outputs
        return outputs if outputs.ndim == 1 else np.asarray(outputs.mean(axis=(0, 1)))

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._batch.nbytes

    def start_at(self, layer: str | None) -> None:
        """Prepare for gradients at a layer, or at the input for None; a hint that saves work."""
        self._batch.start_at((layer,))

    def activation(self, layer: str) -> Array:
        """Return the output of a layer, float32 [1, H, W, C], or [1, T, D] for tokens."""
        return self._batch.activation(layer)

    def gradient(self, target: Target, layer: str | None = None) -> Array:
        """Return d target / d layer output, or d input where ``layer`` is None, [1, H, W, C]."""
        return self._batch.gradients(target, (layer,))[layer]


class JoinedPass(LayerPass):
    """Passes of parts of a batch, for models that take batches of one size alone.

    Parameters
    ----------
    parts
        In order.
    backend
        The model's.
    """

    def __init__(self, parts: Sequence[LayerPass], backend: Backend) -> None:
        self._parts, self._backend = tuple(parts), backend

    @property
    def outputs(self) -> Array:
        """What the model returns, [N, K], or dense [N, H, W, K]."""
        return self._backend.concatenate([part.outputs for part in self._parts])

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(part.nbytes for part in self._parts)

    def activation(self, layer: str) -> Array:
        """Return the output of a layer."""
        return self._backend.concatenate([part.activation(layer) for part in self._parts])

    def gradients(self, target: Target, layers: Sequence[str | None]) -> dict[str | None, Array]:
        """Return d target / d layer output."""
        found = [part.gradients(target, layers) for part in self._parts]
        return {
            layer: self._backend.concatenate([part[layer] for part in found]) for layer in layers
        }
