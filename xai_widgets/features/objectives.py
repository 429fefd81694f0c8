"""What a picture is optimised for: one number per picture, made from what layers return.

Objectives are values; they add, subtract and scale: ``channel("layer3", 5) - 0.1 * layer("stem")``.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import TargetError
from xai_widgets.models.backend import Array, Backend
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.targets import ClassTarget, LayerTarget, RegionTarget, Target, target_of

Seen = Mapping[str | None, Array]
"""What layers return for N pictures, by name, and the model itself under None."""

TINY = 1e-8


class Objective(ABC):
    """One number per picture."""

    @property
    @abstractmethod
    def layers(self) -> tuple[str | None, ...]:
        """The layers it looks at, None for the model's outputs."""

    @property
    def together(self) -> bool:
        """True if the pictures of a batch are judged beside each other."""
        return False

    @abstractmethod
    def resolved(self, model: ExplainableModel) -> "Objective":
        """Return the objective with the model's names and positions.

        Raises
        ------
        XaiError
            If the model has no such class, layer, channel or position.
        """

    @abstractmethod
    def __call__(self, seen: Seen, backend: Backend) -> Array:
        """Return one number per picture, [N]."""

    @abstractmethod
    def text(self, labels: Sequence[str]) -> str:
        """Name the objective for people, after the names of the K outputs."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""

    def __add__(self, other: "Objective") -> "Objective":
        """Return the sum of two objectives."""
        return Sum((*_terms(self), *_terms(other)))

    def __sub__(self, other: "Objective") -> "Objective":
        """Return the difference of two objectives."""
        return self + -1.0 * other

    def __mul__(self, factor: float) -> "Objective":
        """Return the objective times a number."""
        if isinstance(factor, bool) or not isinstance(factor, int | float):
            raise TargetError(
                f"An objective cannot be multiplied by a {type(factor).__name__}: give a number."
            )
        return Sum(tuple((float(factor) * weight, term) for weight, term in _terms(self)))

    __rmul__ = __mul__

    def __neg__(self) -> "Objective":
        """Return the objective of the opposite."""
        return self * -1.0


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
        target = model.resolve_target(self.target, np.zeros(len(model.labels), np.float32))
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
        shape = model.layer(model.resolve_layer(self.layer)).shape
        position = tuple(side // 2 for side in shape[:-1])
        return TargetObjective(LayerTarget(self.layer, self.index, position)).resolved(model)

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
    """

    layer: str
    vector: npt.NDArray[np.float32] = field(repr=False)
    cosine: float = 0.0
    name: str = "a direction"

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
        if not 0 <= self.cosine <= 4:
            raise TargetError(f"cosine is {self.cosine}: give a power from 0 to 4.")
        return replace(self, layer=layer, vector=vector / length)

    def __call__(self, seen: Seen, backend: Backend) -> Array:
        """Return the mean projection of each picture."""
        values = seen[self.layer]
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
class Sum(Objective):
    """Objectives with weights."""

    terms: tuple[tuple[float, Objective], ...]

    @property
    def layers(self) -> tuple[str | None, ...]:
        """All layers of the terms."""
        return tuple(dict.fromkeys(layer for _, term in self.terms for layer in term.layers))

    @property
    def together(self) -> bool:
        """True if a term judges pictures beside each other."""
        return any(term.together for _, term in self.terms)

    def resolved(self, model: ExplainableModel) -> "Sum":
        """Resolve all terms."""
        return Sum(tuple((weight, term.resolved(model)) for weight, term in self.terms))

    def __call__(self, seen: Seen, backend: Backend) -> Array:
        """Return the weighted sum."""
        (weight, first), *others = self.terms
        total = first(seen, backend) * weight
        for weight, term in others:
            total = total + term(seen, backend) * weight
        return total

    def text(self, labels: Sequence[str]) -> str:
        """Name the terms with their weights."""
        text = ""
        for weight, term in self.terms:
            sign = (" - " if text else "-") if weight < 0 else (" + " if text else "")
            size = "" if abs(weight) == 1 else f"{abs(weight):g} x "
            text += f"{sign}{size}{term.text(labels)}"
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        terms = [{"weight": weight, "objective": term.to_dict()} for weight, term in self.terms]
        return {"kind": "sum", "terms": terms}


@dataclass(frozen=True)
class OneEach(Objective):
    """A batch of objectives: the picture at each position is judged by its own."""

    parts: tuple[Objective, ...]

    @property
    def layers(self) -> tuple[str | None, ...]:
        """All layers of the parts."""
        return tuple(dict.fromkeys(layer for part in self.parts for layer in part.layers))

    def resolved(self, model: ExplainableModel) -> "OneEach":
        """Resolve all parts."""
        if any(part.together for part in self.parts):
            raise TargetError(
                "diversity and alignment compare the pictures of one objective: give that "
                "objective alone, and the number of pictures as n."
            )
        return OneEach(tuple(part.resolved(model) for part in self.parts))

    def __call__(self, seen: Seen, backend: Backend) -> Array:
        """Return what each part says of its own picture."""
        rows = {layer: backend.split(values) for layer, values in seen.items()}
        return backend.concatenate(
            [
                part({layer: values[i] for layer, values in rows.items()}, backend)
                for i, part in enumerate(self.parts)
            ]
        )

    def text(self, labels: Sequence[str]) -> str:
        """Name the parts."""
        return ", ".join(part.text(labels) for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {"kind": "one each", "parts": [part.to_dict() for part in self.parts]}


def _terms(objective: Any) -> tuple[tuple[float, Objective], ...]:
    if isinstance(objective, Sum):
        return objective.terms
    return ((1.0, as_objective(objective)),)


def _check_channel(model: ExplainableModel, target: LayerTarget) -> None:
    """Refuse a channel or position that the layer does not have, before anything runs."""
    shape = model.layer(target.layer).shape
    target._check((1, *shape))


def class_score(label: int | str, versus: int | str | None = None) -> Objective:
    """Return the score of a class, before any softmax; minus another's with ``versus``."""
    return TargetObjective(ClassTarget(label, versus))


def layer(name: str) -> Objective:
    """Return the mean square of all that a layer returns: more of whatever it sees."""
    return WholeLayer(name)


def channel(layer: str, index: int) -> Objective:
    """Return the mean of a layer's channel over all positions."""
    return TargetObjective(LayerTarget(layer, index))


def neuron(layer: str, channel: int, position: Sequence[int] | None = None) -> Objective:
    """Return one neuron of a layer: a channel at (row, column) or (token,); None for the middle."""
    if position is None:
        return CentreNeuron(layer, channel)
    return TargetObjective(LayerTarget(layer, channel, tuple(position)))


def direction(
    layer: str, vector: npt.ArrayLike, cosine: float = 0.0, name: str = "a direction"
) -> Objective:
    """Return the mean projection of a layer's activations on a vector; see `Direction`."""
    return Direction(layer, np.asarray(vector, dtype=np.float32), cosine, name)


def as_objective(given: Any) -> Objective:
    """Return the objective that a user wrote: one of this module, a target, a class.

    Parameters
    ----------
    given
        An `Objective`, a `Target` or its wire form, or a class by label or position.

    Raises
    ------
    TargetError
        If it is none of these.
    """
    if isinstance(given, Objective):
        return given
    if isinstance(given, Target):
        return TargetObjective(given)
    if isinstance(given, Mapping):
        return TargetObjective(target_of(given))
    if isinstance(given, str | int | np.integer) and not isinstance(given, bool):
        return class_score(given if isinstance(given, str) else int(given))
    raise TargetError(
        f"An objective cannot be a {type(given).__name__}: give a class, a target, or one of "
        "xw.features.objectives, such as channel(layer, index)."
    )


__all__ = [
    "Objective",
    "as_objective",
    "channel",
    "class_score",
    "direction",
    "layer",
    "neuron",
]
