"""What was seen in one traced forward and backward pass, whatever the framework."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

ROOT = ""
"""The name of the model itself among its layers."""


@dataclass(frozen=True)
class LayerTrace:
    """One layer in the order of the forward pass.

    Attributes
    ----------
    name, kind
        Path and class name, as in `Layer`.
    shape
        Output shape without the batch axis.
    gradient_norm
        L2 norm of d score / d output; None if no gradient arrives.
    finite
        False if the output or its gradient is NaN or infinite.
    sample
        Some values of the first image's output, to compare two passes with.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    gradient_norm: float | None
    finite: bool
    sample: Floats = field(default_factory=lambda: np.zeros(0, np.float32), repr=False)


@dataclass(frozen=True)
class Event:
    """Something in the forward pass that can spoil a gradient.

    Attributes
    ----------
    cause
        A key of `xai_widgets.models.readiness.causes.CAUSES`.
    layer
        The module or layer in whose forward it happens; the model itself is "".
    detail
        What was called, as the user wrote it, such as "Tensor.detach()".
    after
        The last layer that still carried the gradient, or None.
    """

    cause: str
    layer: str
    detail: str = ""
    after: str | None = None


@dataclass(frozen=True, eq=False)
class Trace:
    """One forward pass with the gradient of the first image's score.

    Attributes
    ----------
    layers
        In forward order.
    events
        What was seen on the way, in order.
    input_gradient
        d score of the first image / d all images, [N, H, W, C]; None if there is none.
    scores
        [N, K].
    target
        The class whose score was differentiated.
    loss
        Where and why the gradient is lost, is zero, vanishes or is not finite; None if it is well.
    error
        Why the backward pass failed, or None.
    """

    layers: tuple[LayerTrace, ...] = ()
    events: tuple[Event, ...] = ()
    input_gradient: Floats | None = None
    scores: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    target: int = 0
    loss: Event | None = None
    error: str | None = None

    @property
    def score(self) -> float:
        """The score that was differentiated."""
        return float(self.scores[0, self.target]) if self.scores.size else float("nan")

    @property
    def input_gradient_norm(self) -> float | None:
        """L2 norm of the first image's gradient, or None."""
        return None if self.input_gradient is None else norm(self.input_gradient[:1])


def norm(values: npt.ArrayLike) -> float:
    """Return the L2 norm in double precision, so that small gradients do not underflow."""
    return float(np.linalg.norm(np.asarray(values, dtype=np.float64).ravel()))


def first_difference(
    one: Sequence[LayerTrace], other: Sequence[LayerTrace], tolerance: float
) -> str | None:
    """Return the first layer, in forward order, whose first image's output differs.

    Containers finish after what they contain, so that the innermost layer is found.
    """
    others = {layer.name: layer.sample for layer in other}
    for layer in one:
        sample = others.get(layer.name)
        if sample is not None and differs(layer.sample, sample, tolerance):
            return layer.name
    return None


def differs(one: Floats, other: Floats, tolerance: float) -> bool:
    """Tell whether two outputs differ by more than a share of their size."""
    if one.shape != other.shape:
        return True
    finite = np.isfinite(one) & np.isfinite(other)
    if not finite.all():
        return not np.array_equal(np.isfinite(one), np.isfinite(other))
    scale = max(float(np.abs(one).max(initial=0.0)), float(np.abs(other).max(initial=0.0)))
    return float(np.abs(one - other).max(initial=0.0)) > tolerance * scale
