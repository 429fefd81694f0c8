"""The kinds of objectives: targets, neurons, layers, directions, pictures beside each other."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import TargetError
from xai_widgets.features.objective import Objective, Seen
from xai_widgets.models.backend import Array, Backend
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.targets import LayerTarget, RegionTarget, Target

TINY = 1e-8


@dataclass(frozen=True)
class TargetObjective(Objective):
    """A `Target`: a class's score, the mean of a layer's channel, one neuron, a region ..."""

    target: Target

    @property
    def layers(self) -> tuple[str | None, ...]:
        """The target's layer."""
        return (self.target.layer,)

    def resolved(self, model: ExplainableModel) -> "TargetObjective":
        """Check names and ranges."""
        if isinstance(self.target, RegionTarget):
            raise TargetError("A region belongs to one picture: choose a class or a layer instead.")
        target = self.target
        if isinstance(target, LayerTarget):
            target = replace(target, layer=model.resolve_layer(target.layer, vectors=True))
        target = model.resolve_target(target, np.zeros(len(model.labels), np.float32))
        if isinstance(target, LayerTarget):
            _check_channel(model, target)
        return TargetObjective(target)

    def __call__(self, seen: Seen, backend: Backend) -> Array:
        """Return the target's score of each picture."""
        return self.target(seen[self.target.layer], backend)

    def text(self, labels: Sequence[str]) -> str:
        """Name the target."""
        return self.target.text(labels)

    def to_dict(self) -> dict[str, Any]:
        """Return the target's wire form."""
        return self.target.to_dict()


@dataclass(frozen=True)
class CentreNeuron(Objective):
    """A channel in the middle of its layer, wherever that is; resolves to a neuron."""

    layer: str
    index: int

    @property
    def layers(self) -> tuple[str | None, ...]:
        """The layer."""
        return (self.layer,)

    def resolved(self, model: ExplainableModel) -> TargetObjective:
        """Return the neuron in the middle."""
        layer = model.resolve_layer(self.layer)
        position = tuple(side // 2 for side in model.layer(layer).shape[:-1])
        return TargetObjective(LayerTarget(layer, self.index, position)).resolved(model)

    def __call__(self, seen: Seen, backend: Backend) -> Array:
        """Resolve first: the middle is not known."""
        raise TargetError("Resolve the objective for a model first.")

    def text(self, labels: Sequence[str]) -> str:
        """Name channel and layer."""
        return f"channel {self.index} of {self.layer} in the middle"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {"kind": "centre neuron", "layer": self.layer, "channel": self.index}


@dataclass(frozen=True)
class WholeLayer(Objective):
    """The mean of the squares of all a layer returns, as DeepDream has it."""

    layer: str

    @property
    def layers(self) -> tuple[str | None, ...]:
        """The layer."""
        return (self.layer,)

    def resolved(self, model: ExplainableModel) -> "WholeLayer":
        """Check the name."""
        return WholeLayer(model.resolve_layer(self.layer, vectors=True))

    def __call__(self, seen: Seen, backend: Backend) -> Array:
        """Return the mean square of each picture."""
        values = seen[self.layer]
        return backend.mean(values * values, tuple(range(1, len(values.shape))))

    def text(self, labels: Sequence[str]) -> str:
        """Name the layer."""
        return f"everything in {self.layer}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {"kind": "whole layer", "layer": self.layer}


@dataclass(frozen=True, eq=False)
class Direction(Objective):
    """How far a layer's activations point along a vector: ``mean over positions (a . v / |v|)``.

    With ``cosine`` c > 0 it is times the cosine between the two, at least 0.1, to the power c, so
    that the picture shows the direction and not merely large activations. Carter et al.,
    "Activation atlas", Distill 2019.

    Attributes
    ----------
    layer
        Feature maps, tokens or vectors.
    vector
        [C], for every position; or one value for each of the layer's values, flattened, as concept
        vectors without pooling are.
    cosine
        The power c, 0 to 4.
    name
        What to call it.
    patches
        Which tokens count; found out when resolved.
    """

    layer: str
    vector: npt.NDArray[np.float32] = field(repr=False)
    cosine: float = 0.0
    name: str = "a direction"
    patches: slice | None = None

    @property
    def layers(self) -> tuple[str | None, ...]:
        """The layer."""
        return (self.layer,)

    def resolved(self, model: ExplainableModel) -> "Direction":
        """Check name and length, and scale the vector to length one."""
        layer = model.resolve_layer(self.layer, vectors=True)
        shape = model.layer(layer).shape
        vector = np.asarray(self.vector, dtype=np.float32).ravel()
        length = float(np.linalg.norm(vector))
        if not np.isfinite(vector).all() or not length:
            raise TargetError("The vector of a direction must be finite numbers, not all zero.")
        if len(vector) not in (shape[-1], int(np.prod(shape))):
            raise TargetError(
                f"The vector has {len(vector)} values: layer {layer!r} has {shape[-1]} channels"
                f" ({' x '.join(map(str, shape))})."
            )
        if not isinstance(self.cosine, int | float) or not 0 <= self.cosine <= 4:
            raise TargetError(f"cosine is {self.cosine!r}: give a power from 0 to 4.")
        grid = model.layer(layer).grid
        pooled = len(vector) == shape[-1]
        patches = grid.patches if grid is not None and pooled and len(shape) == 2 else None
        return replace(self, layer=layer, vector=vector / length, patches=patches)

    def __call__(self, seen: Seen, backend: Backend) -> Array:
        """Return the mean projection of each picture."""
        values = seen[self.layer]
        values = values if self.patches is None else values[:, self.patches]
        n, channels = int(values.shape[0]), int(values.shape[-1])
        vector = backend.asarray(self.vector.reshape(-1, 1))
        if len(self.vector) != channels:
            values = backend.reshape(values, (n, 1, len(self.vector)))
        else:
            values = backend.reshape(values, (n, -1, channels))
        along = backend.matmul(values, vector)
        if self.cosine:
            length = (backend.sum(values * values, (2,)) + TINY) ** 0.5
            angle = backend.relu(along[..., 0] / length - 0.1) + 0.1
            return backend.mean(along[..., 0] * angle**self.cosine, (1,))
        return backend.mean(along, (1, 2))

    def text(self, labels: Sequence[str]) -> str:
        """Name direction and layer."""
        return f"{self.name} in {self.layer}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        vector = [float(f"{value:.6g}") for value in np.ravel(self.vector)]
        return {
            "kind": "direction",
            "layer": self.layer,
            "name": self.name,
            "cosine": self.cosine,
            "vector": vector,
        }


@dataclass(frozen=True)
class Beside(Objective):
    """Judges the pictures of a batch beside each other at a layer; base of two."""

    layer: str
    name: ClassVar[str]

    @property
    def layers(self) -> tuple[str | None, ...]:
        """The layer."""
        return (self.layer,)

    @property
    def together(self) -> bool:
        """True."""
        return True

    def resolved(self, model: ExplainableModel) -> Objective:
        """Check the name."""
        return replace(self, layer=model.resolve_layer(self.layer))

    @abstractmethod
    def __call__(self, seen: Seen, backend: Backend) -> Array:
        """Return one number per picture."""

    def text(self, labels: Sequence[str]) -> str:
        """Name kind and layer."""
        return f"{self.name} in {self.layer}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {"kind": self.name, "layer": self.layer}


@dataclass(frozen=True)
class Diversity(Beside):
    """Minus the mean cosine between a picture's Gram matrix at a layer and those of the others.

    The Gram matrix, of channels over positions, is what a texture looks like: pictures of one
    objective are kept from all showing the same. Olah et al. 2017. From -1 to 0 behind a ReLU.
    """

    name: ClassVar[str] = "diversity"

    def __call__(self, seen: Seen, backend: Backend) -> Array:
        """Return how different each picture is from the others, [N]."""
        values = seen[self.layer]
        n, channels = int(values.shape[0]), int(values.shape[-1])
        if n < 2:
            raise TargetError("diversity compares pictures: ask for two at least, n=2.")
        flat = backend.reshape(values, (n, -1, channels))
        grams = backend.reshape(backend.matmul(backend.transposed(flat), flat), (n, -1))
        length = (backend.sum(grams * grams, (1,)) + TINY) ** 0.5
        unit = grams / backend.reshape(length, (n, 1))
        total = backend.sum(unit, (0,))
        alike = backend.sum(unit * total, (1,)) - backend.sum(unit * unit, (1,))
        return alike * (-1.0 / (n - 1))


@dataclass(frozen=True)
class Alignment(Beside):
    """Minus the mean squared distance of a picture's activations to those of its neighbours.

    The pictures of a batch lie in a row: what shows in one then shows at the same place in the
    next, so that one can scrub through them. Mordvintsev et al., "Differentiable image
    parameterizations", Distill 2018.
    """

    name: ClassVar[str] = "alignment"

    def __call__(self, seen: Seen, backend: Backend) -> Array:
        """Return how close each picture is to its neighbours, [N]."""
        values = seen[self.layer]
        n = int(values.shape[0])
        if n < 2:
            raise TargetError("alignment compares pictures: ask for two at least.")
        axes = tuple(range(1, len(values.shape)))
        steps = backend.mean((values[1:] - values[:-1]) ** 2, axes)
        none = steps[:1] * 0
        return -(backend.concatenate([none, steps]) + backend.concatenate([steps, none])) / 2


@dataclass(frozen=True, eq=False)
class Guided(Objective):
    """How far each position goes along that of a guide's activations which it resembles most.

    ``mean over positions of max over g of (a . g)``: Google's guided DeepDream.

    Attributes
    ----------
    layer
        Feature maps or tokens.
    guide
        The guide's activations there, float32 [G, C].
    """

    layer: str
    guide: npt.NDArray[np.float32] = field(repr=False)

    @property
    def layers(self) -> tuple[str | None, ...]:
        """The layer."""
        return (self.layer,)

    def resolved(self, model: ExplainableModel) -> "Guided":
        """Check the name."""
        return replace(self, layer=model.resolve_layer(self.layer))

    def __call__(self, seen: Seen, backend: Backend) -> Array:
        """Return the mean of the best matches of each picture."""
        values = seen[self.layer]
        n, channels = int(values.shape[0]), int(values.shape[-1])
        flat = backend.reshape(values, (n, -1, channels))
        matches = backend.matmul(flat, backend.asarray(np.ascontiguousarray(self.guide.T)))
        return backend.mean(backend.max(matches, (2,)), (1,))

    def text(self, labels: Sequence[str]) -> str:
        """Name the layer."""
        return f"what the guide shows in {self.layer}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {"kind": "guided", "layer": self.layer, "positions": len(self.guide)}


def _check_channel(model: ExplainableModel, target: LayerTarget) -> None:
    """Refuse a channel or position that the layer does not have, before anything runs."""
    shape = model.layer(target.layer).shape
    target._check((1, *shape))
