"""What every objective is: one number per picture, made from what layers return."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xai_widgets.errors import TargetError
from xai_widgets.models.backend import Array, Backend
from xai_widgets.models.base import ExplainableModel

Seen = Mapping[str | None, Array]
"""What layers return for N pictures, by name, and the model itself under None."""


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
            size = "" if abs(weight) == 1 else f"{abs(weight):.3g} x "
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
    if not isinstance(objective, Objective):
        raise TargetError(
            f"An objective cannot be added to a {type(objective).__name__}: write "
            "class_score(...) or channel(...) around it."
        )
    return ((1.0, objective),)
