"""What an explanation explains: a class, a contrast, a region, a layer, an own function."""

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import TargetError, near_matches, sentence
from xai_widgets.models.backend import Array, Backend

MaskValues = npt.NDArray[np.float32]


class Target(ABC):
    """One number per image, made from what the model, or one of its layers, returns.

    Attributes
    ----------
    kind
        Name of the wire form.
    linear
        True if the number is a weighted sum of the outputs, so that its gradient with respect to
        them does not depend on them.
    layer
        The layer whose output is reduced; None for the model's own output.
    """

    kind: ClassVar[str]
    linear: ClassVar[bool] = True
    layer: str | None = None

    @abstractmethod
    def __call__(self, outputs: Array, backend: Backend) -> Array:
        """Reduce outputs [N, K], [N, H, W, K] or [N, T, D] to one number per image, [N]."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the wire form, the same in Python, in the browser and in exported files."""

    @abstractmethod
    def text(self, labels: Sequence[str]) -> str:
        """Name the target for people, after the names of the K outputs."""


def _contrast(outputs: Array, index: int | str, versus: int | str | None) -> Array:
    chosen = outputs[..., index]
    return chosen if versus is None else chosen - outputs[..., versus]


def _contrast_text(labels: Sequence[str], index: int | str, versus: int | str | None) -> str:
    name = labels[int(index)]
    return name if versus is None else f"{name} versus {labels[int(versus)]}"


@dataclass(frozen=True)
class ClassTarget(Target):
    """The score of one class, or its score minus another's; on dense outputs its spatial mean.

    Attributes
    ----------
    index
        The class, as its position in the output or as its label.
    versus
        With a contrast: the class whose score is subtracted.
    """

    index: int | str
    versus: int | str | None = None
    kind: ClassVar[str] = "class"

    def __call__(self, outputs: Array, backend: Backend) -> Array:
        """Return the class's score, [N]."""
        chosen = _contrast(outputs, self.index, self.versus)
        axes = tuple(range(1, len(chosen.shape)))
        return backend.mean(chosen, axes) if axes else chosen

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"kind": "class", "index", "versus"}``."""
        return {"kind": self.kind, "index": self.index, "versus": self.versus}

    def text(self, labels: Sequence[str]) -> str:
        """Name the target for people: ``"zebra"`` or ``"zebra versus horse"``."""
        return _contrast_text(labels, self.index, self.versus)


@dataclass(frozen=True, eq=False)
class RegionTarget(Target):
    """A class's mean score over a region of a dense output, as in segmentation.

    Attributes
    ----------
    index, versus
        As in `ClassTarget`.
    mask
        [H, W] on the display image, true (or the weight, 0..1) inside the region; after resolving
        float32 [h, w] on the grid of the output, summing to one.
    region
        The region's wire form, where it came from a widget.
    """

    index: int | str
    mask: npt.NDArray[Any] = field(repr=False)
    versus: int | str | None = None
    region: Mapping[str, Any] | None = None
    kind: ClassVar[str] = "region"

    def __call__(self, outputs: Array, backend: Backend) -> Array:
        """Return the class's mean score over the region, [N]."""
        chosen = _contrast(outputs, self.index, self.versus)
        return backend.sum(chosen * backend.asarray(self.mask), (1, 2))

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"kind": "region", "index", "versus", "region"}``."""
        region = None if self.region is None else dict(self.region)
        return {"kind": self.kind, "index": self.index, "versus": self.versus, "region": region}

    def text(self, labels: Sequence[str]) -> str:
        """Name the target for people: ``"zebra in the region"``."""
        return f"{_contrast_text(labels, self.index, self.versus)} in the region"


@dataclass(frozen=True)
class LayerTarget(Target):
    """The mean or the maximum of a layer's channel, of all its channels, or one neuron.

    Attributes
    ----------
    layer
        A layer of the model.
    channel
        Its channel, from 0; None for all.
    position
        (row, column) of one neuron, or (token,) of a layer of tokens; None for everywhere.
    reduce
        "mean" or "max" over what is left.
    """

    layer: str
    channel: int | None = None
    position: tuple[int, ...] | None = None
    reduce: Literal["mean", "max"] = "mean"
    kind: ClassVar[str] = "layer"

    @property
    def linear(self) -> bool:  # type: ignore[override]
        """Whether the reduction is a weighted sum."""
        return self.reduce == "mean"

    def __call__(self, outputs: Array, backend: Backend) -> Array:
        """Reduce a layer's output [N, H, W, C] or [N, T, D] to [N]."""
        self._check(tuple(outputs.shape))
        if self.channel is not None:
            outputs = outputs[..., self.channel]
        if self.position is not None:
            outputs = outputs[(slice(None), *self.position)]
        axes = tuple(range(1, len(outputs.shape)))
        if not axes:
            return outputs
        return (backend.mean if self.reduce == "mean" else backend.max)(outputs, axes)

    def _check(self, shape: tuple[int, ...]) -> None:
        sides = shape[1:-1]
        numbers = (*(() if self.channel is None else (self.channel,)), *(self.position or ()))
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, int | np.integer):
                raise TargetError(
                    f"Channels and positions of a layer are counted from 0: {number!r} is no whole "
                    "number."
                )
        if self.channel is not None and not 0 <= self.channel < shape[-1]:
            raise TargetError(
                f"There is no channel {self.channel}: layer {self.layer!r} has {shape[-1]}, "
                f"0 to {shape[-1] - 1}."
            )
        position = self.position
        if position is not None and (
            len(position) != len(sides)
            or any(not 0 <= at < side for at, side in zip(position, sides, strict=True))
        ):
            raise TargetError(
                f"There is no position {list(position)} in layer {self.layer!r}: its grid is "
                f"{' x '.join(map(str, sides))}, counted from 0."
            )

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"kind": "layer", "layer", "channel", "position", "reduce"}``."""
        position = None if self.position is None else list(self.position)
        return {
            "kind": self.kind,
            "layer": self.layer,
            "channel": self.channel,
            "position": position,
            "reduce": self.reduce,
        }

    def text(self, labels: Sequence[str]) -> str:
        """Name the target for people: ``"maximum of channel 3 of layer4"``."""
        what = "all channels" if self.channel is None else f"channel {self.channel}"
        where = "" if self.position is None else f" at {list(self.position)}"
        reduced = {"mean": "mean", "max": "maximum"}[self.reduce]
        return f"{reduced} of {what} of {self.layer}{where}"


@dataclass(frozen=True)
class FunctionTarget(Target):
    """A user's own function of the model's output.

    Attributes
    ----------
    function
        Takes the outputs of N images as a tensor of the model's framework, [N, K] or dense
        [N, H, W, K], and returns [N]; differentiable operations of that framework only.
    name
        What to call it.
    """

    function: Callable[[Any], Any]
    name: str = "own function"
    kind: ClassVar[str] = "function"
    linear: ClassVar[bool] = False

    def __call__(self, outputs: Array, backend: Backend) -> Array:
        """Return the function's value, [N]."""
        with sentence(TargetError, f"The target function {self.name!r} failed"):
            value = self.function(outputs)
        if tuple(getattr(value, "shape", ())) != (outputs.shape[0],):
            raise TargetError(
                f"The target function {self.name!r} returned shape "
                f"{list(getattr(value, 'shape', []))} for {outputs.shape[0]} images: it must "
                "return one number per image, [N]."
            )
        return value

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"kind": "function", "name"}``: the function itself stays in Python."""
        return {"kind": self.kind, "name": self.name}

    def text(self, labels: Sequence[str]) -> str:
        """Return the function's name."""
        return self.name


def resolve_target(target: Any, labels: Sequence[str], predicted: int) -> Target:
    """Turn what a user wrote into a target with class positions.

    Parameters
    ----------
    target
        None for the predicted class; a position, a label, a `Target` or its wire form; or a
        function from outputs to one number per image.
    labels
        The K class labels.
    predicted
        The class with the highest score.

    Raises
    ------
    TargetError
        If a class does not exist, with near matches; if a class is contrasted with itself.
    """
    if target is None:
        return ClassTarget(predicted)
    if isinstance(target, Mapping):
        target = target_of(target)
    if isinstance(target, LayerTarget | FunctionTarget):
        return target
    if isinstance(target, RegionTarget):
        chosen = _resolve_classes(target.index, target.versus, labels)
        return RegionTarget(chosen.index, target.mask, chosen.versus, target.region)
    if isinstance(target, ClassTarget):
        return _resolve_classes(target.index, target.versus, labels)
    if callable(target):
        return FunctionTarget(target, getattr(target, "__name__", "own function"))
    return _resolve_classes(target, None, labels)


def target_of(wire: Mapping[str, Any]) -> Target:
    """Return the target of a wire form, its names as they are.

    Raises
    ------
    TargetError
        If it is none.
    """
    kind = wire.get("kind", "class")
    if kind == "layer":
        position = wire.get("position")
        return LayerTarget(
            wire["layer"],
            wire.get("channel"),
            None if position is None else tuple(position),
            wire.get("reduce", "mean"),
        )
    if kind != "class":
        raise TargetError(f"Unknown kind of target {kind!r}: expected 'class' or 'layer'.")
    if "index" not in wire:
        raise TargetError("A class target needs an 'index': the class position or label.")
    return ClassTarget(wire["index"], wire.get("versus"))


def _resolve_classes(index: Any, versus: Any, labels: Sequence[str]) -> ClassTarget:
    index = class_index(index, labels)
    versus = None if versus is None else class_index(versus, labels)
    if index == versus:
        raise TargetError(
            f"{labels[index]!r} cannot be contrasted with itself: choose another class."
        )
    return ClassTarget(index, versus)


def class_index(name: Any, labels: Sequence[str]) -> int:
    """Return the position of a class given by position or label.

    Raises
    ------
    TargetError
        If there is no such class, or several share the label.
    """
    if isinstance(name, str):
        found = [i for i, label in enumerate(labels) if label == name] or [
            i for i, label in enumerate(labels) if label.lower() == name.lower()
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise TargetError(
                f"{len(found)} classes are called {name!r}: give the position instead, one of "
                f"{found[:8]}."
            )
        raise TargetError(f"There is no class {name!r}.{near_matches(name, labels)}")
    try:
        if isinstance(name, bool):
            raise TypeError
        index = operator.index(name)
    except TypeError:
        raise TargetError(
            f"A target cannot be a {type(name).__name__}: give a class position, a label or a "
            "ClassTarget."
        ) from None
    if not 0 <= index < len(labels):
        raise TargetError(
            f"There is no class {index}: the model has {len(labels)} outputs, "
            f"0 to {len(labels) - 1}."
        )
    return index


def placed_mask(mask: npt.NDArray[Any], placement: Any, grid: tuple[int, int]) -> MaskValues:
    """Move a mask from the display image to the grid of a dense output.

    Parameters
    ----------
    mask
        [H, W] on the display image.
    placement
        Where the model's input lies on the picture.
    grid
        (h, w) of the output.

    Returns
    -------
    float32 [h, w]
        Share of each cell inside the mask, divided by their sum.

    Raises
    ------
    TargetError
        If the region lies outside of what the model sees.
    """
    weights = np.asarray(mask, dtype=np.float32)
    cells = _cells(weights, placement, grid)
    total = float(cells.sum())
    if not total > 0 or not math.isfinite(total):
        raise TargetError(
            "The region holds no pixel that the model sees: mark one inside the model's input."
        )
    return np.asarray(cells / total, dtype=np.float32)


def placed_share(mask: npt.NDArray[Any], placement: Any, grid: tuple[int, int]) -> MaskValues:
    """Return the share of each cell of a grid (h, w) that lies inside a mask [H, W], 0..1."""
    cells = _cells(np.asarray(mask, dtype=np.float32), placement, grid)
    area = placement.height * placement.width / (grid[0] * grid[1])
    return np.asarray(cells / area, dtype=np.float32)


def _cells(weights: MaskValues, placement: Any, grid: tuple[int, int]) -> MaskValues:
    """Return the sum of the pixels [H, W] in each cell, [h, w]."""
    rows = _overlaps(weights.shape[0], placement.y, placement.height, grid[0])
    columns = _overlaps(weights.shape[1], placement.x, placement.width, grid[1])
    return np.asarray(rows @ weights @ columns.T, dtype=np.float32)


def _overlaps(n_pixels: int, start: float, length: float, n_cells: int) -> MaskValues:
    """Return how much of each pixel lies in each cell, [n_cells, n_pixels]."""
    edges = start + length * np.arange(n_cells + 1) / n_cells
    pixels = np.arange(n_pixels)
    low = np.maximum(edges[:-1, None], pixels[None, :])
    high = np.minimum(edges[1:, None], pixels[None, :] + 1)
    return np.asarray(np.clip(high - low, 0, None), dtype=np.float32)
