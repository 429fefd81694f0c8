"""What every metric is: a frozen set of parameters that turns a case into one number."""

from abc import ABC
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import MapError, MetricError
from xai_widgets.evaluation.checks import Check
from xai_widgets.evaluation.normalise import Map, Normalisation, finite, inside_picture
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target

Mask = npt.NDArray[np.bool_]
Explain = Callable[[PreparedImage], Map]
"""From an image to the attribution [H, W, C] or [H, W] of the same method for the same target."""

LACKS = {
    "model": "It asks the model: give the model along with the explanations.",
    "method": "It explains again, and finished maps cannot be: give a method's name.",
    "mask": "It compares with a mask of this picture: give masks.",
    "others": "It compares methods with each other: give two methods at least.",
    "random_label_model": (
        "It compares with a model trained on random labels: give it as random_label_model."
    ),
}
"""What a case may lack, and what to do about it."""


@dataclass(frozen=True, eq=False)
class Case:
    """One map of one image, and what there is to judge it with.

    Attributes
    ----------
    image
        The picture with the model input made from it.
    attribution
        float32 [H, W, C] or [H, W], signed, on the model's input grid.
    method
        The name of the method, or of the control, that made it.
    model, target
        What was explained; the target is resolved.
    mask
        bool [H, W] on the input grid: where the answer lies.
    explain
        Explains a changed image in the same way.
    others
        Attributions of the same image by other methods, by name.
    random_label_model
        The same architecture, trained on random labels; with what explains it.
    diagnostics
        What the method said about its own quality.
    distributes
        True if the attribution is in units of the score, and sums to a difference of scores.
    normalisation
        How the map is standardised for metrics that look at its shape.
    seed
        Of everything that is drawn.
    shared
        What metrics found out about the image that holds for every map of it.
    """

    image: PreparedImage
    attribution: Map = field(repr=False)
    method: str = ""
    model: ExplainableModel | None = None
    target: Target | None = None
    mask: Mask | None = field(default=None, repr=False)
    explain: Explain | None = None
    others: Mapping[str, Map] = field(default_factory=dict, repr=False)
    random_label_model: tuple[ExplainableModel, Explain] | None = None
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    distributes: bool = False
    normalisation: Normalisation = field(default_factory=Normalisation)
    seed: int = 0
    shared: dict[Any, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def signed(self) -> Map:
        """float32 [H, W]: the attribution summed over channels."""
        return channel_sum(self.attribution)

    @cached_property
    def judged(self) -> Map:
        """float32 [H, W] in 0..1: the standardised map.

        Raises
        ------
        MapError
            If nothing is left of it.
        """
        shape = self.normalisation.size or self.attribution.shape[:2]
        values = self.normalisation(self.attribution, inside_picture(self.image, shape))
        if not values.any():
            raise MapError(
                "The map is the same everywhere, so that nothing is left once its pedestal is "
                "subtracted: there is nothing to judge."
            )
        return np.abs(values)

    def lack(self, needs: tuple[str, ...]) -> str | None:
        """Return what to give of what is needed and missing, or None."""
        has = {
            "model": self.model is not None,
            "method": self.explain is not None,
            "mask": self.mask is not None,
            "others": bool(self.others),
            "random_label_model": self.random_label_model is not None,
        }
        return next((LACKS[need] for need in needs if not has[need]), None)


Steps = Generator[None, None, float]
"""Yields where the work can be stopped, returns the score."""


@dataclass(frozen=True)
class Metric(ABC):
    """Base of all metrics: a frozen dataclass whose fields are the metric's parameters.

    A metric implements `score`, or, where it takes long, `steps`.

    Attributes
    ----------
    name, title, family
        Name in code, name for people, and the group it belongs to.
    direction
        "higher" or "lower" is better.
    minimum, maximum
        The ends of its range; None where there is none.
    unit
        "" for a pure number, "score" for the target's score, "nat" ...
    meaning, failing
        What a score says that is better than its control's, and one that is worse.
    judges
        False where being worse than the control is no fault: the score only describes.
    reference
        The paper.
    needs
        What a case must have, keys of `LACKS`.
    controls
        The maps it is also computed for: "edges" (a Sobel map of the picture, which no model
        entered), "random" (noise), "zero" (no map), "random_weights" (the same method on the same
        network with other weights).
    checks
        What each parameter must be, by its name.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    family: ClassVar[str]
    direction: ClassVar[str]
    minimum: ClassVar[float | None] = None
    maximum: ClassVar[float | None] = None
    unit: ClassVar[str] = ""
    meaning: ClassVar[str]
    failing: ClassVar[str] = ""
    judges: ClassVar[bool] = True
    reference: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    controls: ClassVar[tuple[str, ...]] = ("edges",)
    checks: ClassVar[Mapping[str, Check]] = {}

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises
        ------
        MetricError
            If one has another type, or is out of its range.
        """
        for name, check in self.checks.items():
            value = check(f"{name} of {self.title}", getattr(self, name))
            object.__setattr__(self, name, value)

    def score(self, case: Case) -> float:
        """Return the score of a case, at once."""
        raise NotImplementedError

    def steps(self, case: Case) -> Steps:
        """Return the score of a case, in steps between which the work can be stopped."""
        yield
        return self.score(case)

    def measure(self, case: Case) -> float:
        """Return the score of a case.

        Raises
        ------
        MetricError
            If the case lacks what the metric needs.
        MapError
            If the map cannot be judged.
        """
        return float(drain(self.checked_steps(case)))

    def checked_steps(self, case: Case) -> Steps:
        """Check that nothing is missing, and return the score in steps."""
        lack = case.lack(self.needs)
        if lack is not None:
            raise MetricError(f"{self.title} cannot be computed. {lack}")
        value = yield from self.steps(case)
        if not np.isfinite(value):
            raise MapError(
                f"{self.title} of this map is {value}: it is not defined here. Leave it out."
            )
        return float(value)

    def bounds(self, case: Case) -> tuple[float | None, float | None]:
        """Return the ends of the range for a case."""
        return self.minimum, self.maximum

    def parameters(self) -> dict[str, Any]:
        """Return the parameters, JSON-ready."""
        return asdict(self)

    def better(self, value: float, other: float) -> bool:
        """Tell whether a value is better than another."""
        return value > other if self.direction == "higher" else value < other


def drain(steps: Generator[Any, None, Any]) -> Any:
    """Run a generator to its end and return what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def channel_sum(attribution: npt.ArrayLike) -> Map:
    """Return an attribution as one signed number per pixel, float32 [H, W]."""
    array = finite(attribution)
    return np.asarray(array.sum(axis=2) if array.ndim == 3 else array, dtype=np.float32)


def check_attribution(attribution: npt.ArrayLike, image: PreparedImage) -> Map:
    """Return an attribution that can be judged.

    Raises
    ------
    MapError
        If it is not finite, zero everywhere, or of another shape than the model's input.
    """
    array = finite(attribution)
    grid = image.values.shape
    if array.ndim not in (2, 3) or array.shape[:2] != grid[:2]:
        raise MapError(
            f"The map has shape {list(array.shape)}, and the model's input {list(grid)}: give one "
            "value, or one per channel, for each pixel of the input."
        )
    if array.ndim == 3 and array.shape[2] not in (1, grid[2]):
        raise MapError(
            f"The map has {array.shape[2]} channels, and the model's input {grid[2]}: give as "
            "many, or none."
        )
    if not array.any():
        raise MapError("The map is zero everywhere: there is nothing to judge.")
    return array
