"""What every explainer is: a frozen set of parameters and a stream that can be stopped."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar, get_type_hints

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import MethodError, near_matches
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Attribution:
    """What a stream ends in.

    Attributes
    ----------
    values
        float32 [H, W, C] or [H, W] on the model's input grid, signed.
    score
        The target's score for the image.
    diagnostics
        What the method knows about its own quality.
    """

    values: Values
    score: float
    diagnostics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Progress:
    """One step of a stream: how much is done, and a first picture where there is one."""

    done: int
    total: int
    partial: Attribution | None = None


Stream = Generator[Progress, None, Attribution]
"""Yields `Progress` after each chunk, returns an `Attribution`; closing it cancels the work."""


def completeness(values: Values, score: float, score_baseline: float) -> dict[str, Any]:
    """Return how far an attribution's sum is from f(x) - f(baseline), for the diagnostics.

    Returns
    -------
    dict
        "convergence_delta" = sum of the values - (score - score_baseline),
        "convergence_delta_relative" to that difference (None where it is zero), "score_baseline".
    """
    difference = score - score_baseline
    delta = float(values.sum(dtype=np.float64)) - difference
    return {
        "convergence_delta": delta,
        "convergence_delta_relative": delta / difference if difference else None,
        "score_baseline": score_baseline,
    }


@dataclass(frozen=True)
class Cost:
    """How many images pass through the model, forwards and backwards.

    Attributes
    ----------
    forwards, backwards
        Passes of one image each.
    per
        Where their number depends on the model or the picture: what ``forwards`` are needed for
        each of, "channel of the layer"; a few more may come to that.
    """

    forwards: int
    backwards: int
    per: str = ""

    def __str__(self) -> str:
        """Say it as the method list does."""
        if self.per:
            return f"{self.forwards} forward{'s' if self.forwards > 1 else ''} per {self.per}"
        if not self.backwards:
            return f"{self.forwards} forward{'s' if self.forwards > 1 else ''}"
        if self.forwards == self.backwards:
            return f"{self.forwards} of each" if self.forwards > 1 else "1 forward, 1 backward"
        if self.forwards - self.backwards == 1 and self.backwards:
            return f"{self.backwards} of each + 1"
        return f"{self.forwards} forwards, {self.backwards} backwards"


@dataclass(frozen=True)
class Explainer(ABC):
    """Base of all methods: a frozen dataclass whose fields are the method's parameters.

    Attributes
    ----------
    name, title, family
        Name in code, name for people, and the group it belongs to.
    needs
        Capabilities of the model, by the names that `ExplainableModel.capabilities` lists.
    uses_layer
        Whether the method looks at a layer.
    uses_forward_pass
        Whether it works on the retained forward pass, which then predicts as well.
    signed
        Whether its maps can be negative.
    reference
        The paper.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    family: ClassVar[str]
    reference: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ("input_gradients",)
    uses_layer: ClassVar[bool] = False
    uses_forward_pass: ClassVar[bool] = False
    signed: ClassVar[bool] = True

    @classmethod
    def caveat(cls, model: ExplainableModel) -> str | None:
        """Say what a reader of the maps must know for this model; None where there is nothing."""
        return None

    @property
    @abstractmethod
    def cost(self) -> Cost:
        """How much work one image is."""

    @abstractmethod
    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Explain one image chunk by chunk.

        Parameters
        ----------
        model, image, target
            Loaded, prepared and resolved.
        layer
            A layer's name for methods that use one, else None.
        """


def parameter(
    default: Any,
    help: str,  # noqa: A002
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    step: float | None = None,
    choices: tuple[str, ...] | None = None,
    unit: str = "",
    label: str | None = None,
) -> Any:
    """Declare a parameter: a dataclass field with what a form and a check need to know.

    Parameters
    ----------
    default
        Its type is the parameter's type: int, float, bool or str.
    help
        One sentence for people.
    minimum, maximum, step
        Range of a number, both ends included.
    choices
        The values a str can have.
    unit
        Unit of a number, for people.
    label
        Name for people; else made from the field's name.
    """
    described = {
        "help": help,
        "minimum": minimum,
        "maximum": maximum,
        "step": step,
        "choices": choices,
        "unit": unit,
        "label": label,
    }
    return field(default=default, metadata=described)


def parameter_records(explainer: type[Explainer]) -> list[dict[str, Any]]:
    """Return what a form needs to know of each parameter, in order."""
    return [_record(entry) for entry in fields(explainer) if entry.metadata]


def _record(entry: Field[Any]) -> dict[str, Any]:
    default = None if entry.default is MISSING else entry.default
    kinds = {bool: "bool", int: "int", float: "float", str: "choice"}
    choices = entry.metadata["choices"]
    return {
        "name": entry.name,
        "label": entry.metadata["label"] or entry.name.replace("_", " ").capitalize(),
        "kind": kinds[type(default)],
        "default": default,
        "minimum": entry.metadata["minimum"],
        "maximum": entry.metadata["maximum"],
        "step": entry.metadata["step"],
        "choices": None if choices is None else list(choices),
        "unit": entry.metadata["unit"],
        "help": entry.metadata["help"],
    }


def build(explainer: type[Explainer], parameters: Mapping[str, Any]) -> Explainer:
    """Make an explainer after checking names and ranges of its parameters.

    Raises
    ------
    MethodError
        If a parameter does not exist (with near matches), has another type, or is out of range.
    """
    records = {record["name"]: record for record in parameter_records(explainer)}
    types = get_type_hints(explainer)
    checked: dict[str, Any] = {}
    for name, value in parameters.items():
        if name not in records:
            raise MethodError(
                f"{explainer.title} has no parameter {name!r}.{near_matches(name, records)}"
            )
        checked[name] = _check(explainer.title, records[name], value, types[name])
    return explainer(**checked)


def _check(title: str, record: Mapping[str, Any], value: Any, type_: Any) -> Any:
    name, kind = record["name"], record["kind"]
    if kind == "choice":
        if not isinstance(value, str):
            if type_ is not str:
                return value
            raise MethodError(f"{name} of {title} is a {type(value).__name__}: give a text.")
        if value not in record["choices"] and type_ is str:  # else the method knows more texts
            raise MethodError(
                f"{name} of {title} cannot be {value!r}.{near_matches(value, record['choices'])}"
            )
        return value
    if kind == "bool":
        return bool(value)
    try:
        number = int(value) if kind == "int" else float(value)
    except (TypeError, ValueError, OverflowError):
        raise MethodError(f"{name} of {title} is {value!r}: give a number.") from None
    if kind == "int" and number != value:
        raise MethodError(f"{name} of {title} is {value!r}: give a whole number.")
    low, high = record["minimum"], record["maximum"]
    if not (low is None or number >= low) or not (high is None or number <= high):
        limits = f"from {low} to {high}" if high is not None else f"of at least {low}"
        raise MethodError(f"{name} of {title} is {value}: give a number {limits}.")
    return number
