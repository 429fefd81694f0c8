"""DeepLIFT's rescale rule for the operations of PyTorch: differences in place of derivatives.

Each rule returns the operation's own result, with the backward pass of a surrogate: an expression
that is linear in what depends on the image, whose constant coefficients turn the difference of the
inputs between image and reference into that of the outputs. Autograd does the rest. The values of
surrogates are never used, only their gradients.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from xai_widgets.models.torch_explicit import (
    attention_arguments,
    attention_probabilities,
    attention_scores,
)

Tensor = torch.Tensor


PIECEWISE = frozenset(
    {"relu", "relu6", "hardtanh", "clamp", "clip", "clamp_min", "clamp_max", "leaky_relu", "abs"}
    | {"threshold", "prelu", "rrelu", "floor", "ceil", "round", "trunc", "sign", "hardshrink"}
    | {"softshrink"}
)
"""Activations made of straight pieces: the quotient is exact."""
RELATIVE = frozenset({"sqrt", "rsqrt", "log", "log2", "log10", "log1p", "pow", "square", "cbrt"})
"""Activations that bend on the scale of their input."""
SMOOTH = frozenset(
    {"gelu", "silu", "sigmoid", "tanh", "elu", "selu", "celu", "hardswish", "hardsigmoid"}
    | {"softplus", "mish", "log_sigmoid", "softsign", "exp", "exp2", "expm1", "erf", "erfc"}
    | {"sin", "cos", "sinh", "cosh", "atan", "asinh", "special_expit", "logit", "tan", "frac"}
    | {"sinc", "special_erf"}
)
"""Activations that bend on the scale of one."""


@dataclass(eq=False)
class Operation:
    """One operation on the image, with what it got on the reference.

    Attributes
    ----------
    name
        As `name_of` gives it.
    func
        Computes the result, never in place.
    args, kwargs
        On the image.
    reference, reference_kwargs
        The same on the reference.
    """

    name: str
    func: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    reference: tuple[Any, ...]
    reference_kwargs: dict[str, Any]

    def result(self) -> Any:
        """Return the operation's own result, without a graph."""
        with torch.no_grad():
            return self.func(*self.args, **self.kwargs)

    def moves(self, position: int) -> bool:
        """Tell whether an argument depends on the image."""
        return position < len(self.args) and depends(self.args[position])

    def given(self, position: int, name: str, default: Any = None) -> Any:
        """Return an argument given by position or name."""
        if position < len(self.args):
            return self.args[position]
        return self.kwargs.get(name, default)

    def replaced(self, changes: dict[int, Any]) -> Any:
        """Return the result with other arguments in some positions."""
        args = [changes.get(i, argument) for i, argument in enumerate(self.args)]
        return self.func(*args, **self.kwargs)


def depends(value: Any) -> bool:
    """Tell whether a value is a tensor that depends on the image."""
    return isinstance(value, Tensor) and value.requires_grad


class _Substituted(torch.autograd.Function):
    """The value of one computation, with the backward pass of another."""

    @staticmethod
    def forward(ctx: Any, compute: Callable[[], Tensor], surrogate: Tensor) -> Tensor:
        return compute()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return None, gradients[0]


def substituted(compute: Callable[[], Any], surrogate: Tensor) -> Tensor:
    """Return what ``compute`` returns, a new tensor, with the gradient of ``surrogate``."""
    result: Tensor = _Substituted.apply(compute, surrogate)  # type: ignore[no-untyped-call]
    return result


def mean(one: Tensor, other: Tensor) -> Tensor:
    """Return the mean of an argument on image and reference, as a constant."""
    return (one.detach() + other) / 2


# Activations ------------------------------------------------------------------------------


@torch.no_grad()
def quotient(
    function: Callable[[Tensor], Tensor],
    image: Tensor,
    reference: Tensor,
    absolute: float = 0.0,
    relative: float = 1e-5,
) -> Tensor:
    """Return delta out / delta in of an elementwise function.

    Where delta in is next to nothing, at most ``absolute`` or ``relative`` to the values, the
    quotient would be rounding noise, and is the slope half way between the two, whose error is of
    second order.
    """
    image = image.detach()
    change = image - reference
    steep = (function(image) - function(reference)) / change
    least = (relative * torch.minimum(image.abs(), reference.abs())).clamp(min=absolute)
    near = ~(change.abs() > least)  # NaN, as between infinities, counts as near
    if not near.any():
        return steep
    with torch.enable_grad():
        middle = ((image + reference) / 2).requires_grad_(True)
        (slope,) = torch.autograd.grad(function(middle).sum(), middle)
    return torch.where(near, slope, steep)


def elementwise(operation: Operation) -> Tensor | None:
    """An activation: its difference quotient."""
    moving = [i for i in range(len(operation.args)) if operation.moves(i)]
    if len(moving) != 1 or any(depends(value) for value in operation.kwargs.values()):
        return None
    (position,) = moving
    image, reference = operation.args[position], operation.reference[position]
    if not any(isinstance(x, Tensor) for i, x in enumerate(operation.args) if i != position):
        image, reference = image.float(), reference.float()

    def function(values: Tensor) -> Tensor:
        result: Tensor = operation.replaced({position: values})
        return result

    absolute = 1e-3 if operation.name in SMOOTH else 0.0
    relative = 1e-3 if operation.name in RELATIVE else 1e-5
    factor = quotient(function, image, reference, absolute, relative)
    return substituted(operation.result, image * factor)


# Products ---------------------------------------------------------------------------------

FACTORS = {
    **dict.fromkeys(["mul", "multiply", "matmul", "bmm", "mm", "mv", "dot", "outer"], (0, 1)),
    **dict.fromkeys(["linear", "conv1d", "conv2d", "conv3d", "convolution", "inner"], (0, 1)),
    **dict.fromkeys(["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"], (0, 1)),
    **dict.fromkeys(["addmm", "baddbmm", "addbmm", "addmv", "addcmul", "addr", "einsum"], (1, 2)),
}
"""Where the two factors stand among the arguments."""


def product(operation: Operation) -> Tensor | None:
    """Two factors: d(ab) = mean(a) d(b) + mean(b) d(a)."""
    i, j = FACTORS[operation.name]
    moving = [k for k in range(len(operation.args)) if operation.moves(k)]
    if operation.name == "einsum" and len(moving) > 1 and set(moving) != {i, j}:
        return None
    if not (operation.moves(i) and operation.moves(j)):
        return operation.func(*operation.args, **operation.kwargs)  # type: ignore[no-any-return]
    a, b = operation.args[i], operation.args[j]
    constant = {k: operation.args[k].detach() for k in moving}
    first = operation.replaced({j: mean(b, operation.reference[j])})
    second = operation.replaced({**constant, i: mean(a, operation.reference[i]), j: b})
    return substituted(operation.result, first + second)


def division(operation: Operation) -> Tensor | None:
    """A quotient a / b: the product of a and 1 / b, whose difference is known exactly."""
    a: Any = 1.0
    a_reference: Any = 1.0
    b, b_reference = operation.args[-1], operation.reference[-1]
    if operation.name != "reciprocal":
        (a, b), (a_reference, b_reference) = operation.args[:2], operation.reference[:2]
    if operation.kwargs.get("rounding_mode") is not None:
        return None
    if not depends(b):
        return operation.func(*operation.args, **operation.kwargs)  # type: ignore[no-any-return]
    inverse, inverse_reference = 1 / b.detach(), 1 / b_reference
    middle = mean(a, a_reference) if isinstance(a, Tensor) else (a + a_reference) / 2
    surrogate = -middle * inverse * inverse_reference * b
    if depends(a):
        surrogate = surrogate + a * (inverse + inverse_reference) / 2
    return substituted(operation.result, surrogate)


def gated(operation: Operation) -> Tensor | None:
    """A gated linear unit: a half times the sigmoid of the other half."""
    axis = operation.given(1, "dim", -1)
    a, b = operation.args[0].chunk(2, axis)
    a_reference, b_reference = operation.reference[0].chunk(2, axis)
    factor = quotient(torch.sigmoid, b, b_reference, absolute=1e-3)
    gate = mean(b.detach().sigmoid(), b_reference.sigmoid())
    return substituted(operation.result, a * gate + mean(a, a_reference) * factor * b)


# Softmax and attention --------------------------------------------------------------------


@torch.no_grad()
def _mean_exponential(one: Tensor, other: Tensor) -> Tensor:
    """Return (exp(a) - exp(b)) / (a - b), without overflow where both are at most zero."""
    high, low = torch.maximum(one, other), torch.minimum(one, other)
    width = high - low
    share = torch.where(width > 0, -torch.expm1(-width) / width, torch.ones_like(width))
    return torch.nan_to_num(high.exp() * share, nan=0.0)


@torch.no_grad()
def _softmax_factors(image: Tensor, reference: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Return d p / d log p, and the weights w of d log sum exp = sum w d x; all by differences."""
    image, reference = image.detach().float(), reference.float()
    one, other = (x.logsumexp(axis, keepdim=True) for x in (image, reference))
    slope = _mean_exponential(image - one, reference - other)
    top = torch.maximum(one, other)
    weights = _mean_exponential(image - top, reference - top)
    return slope, weights / _mean_exponential(one - top, other - top)


def softmax(operation: Operation) -> Tensor | None:
    """A softmax, its logarithm, or that of the sum of exponentials."""
    values, axis = operation.args[0], operation.given(1, "dim")
    axis = operation.kwargs.get("axis", axis)
    if not isinstance(axis, int):
        return None
    slope, weights = _softmax_factors(values, operation.reference[0], axis)
    return substituted(operation.result, _softmax_surrogate(values, slope, weights, axis))


def _softmax_surrogate(values: Tensor, slope: Tensor, weights: Tensor, axis: int) -> Tensor:
    return slope * (values - (weights * values).sum(axis, keepdim=True))


def log_softmax(operation: Operation) -> Tensor | None:
    """The logarithm of a softmax."""
    values, axis = operation.args[0], operation.given(1, "dim")
    if not isinstance(axis, int):
        return None
    _, weights = _softmax_factors(values, operation.reference[0], axis)
    surrogate = values - (weights * values).sum(axis, keepdim=True)
    return substituted(operation.result, surrogate)


def log_sum_exp(operation: Operation) -> Tensor | None:
    """The logarithm of a sum of exponentials over one axis."""
    values, axis = operation.args[0], operation.given(1, "dim")
    axis = axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis
    if not isinstance(axis, int):
        return None
    _, weights = _softmax_factors(values, operation.reference[0], axis)
    kept = bool(operation.given(2, "keepdim", False))
    return substituted(operation.result, (weights * values).sum(axis, keepdim=kept))


def attention(operation: Operation) -> Tensor | None:
    """Fused attention: a product, a softmax, and another product."""
    parts = attention_arguments(operation.args, operation.kwargs)
    with torch.no_grad():
        other = attention_arguments(operation.reference, operation.reference_kwargs)
        scores, scores_reference = attention_scores(parts), attention_scores(other)
        middle = mean(attention_probabilities(scores), attention_probabilities(scores_reference))
        slope, weights = _softmax_factors(scores, scores_reference, -1)
    query, key = parts.query * parts.scale, parts.key.transpose(-2, -1)
    surrogate = query @ mean(key, other.key.transpose(-2, -1))
    surrogate = surrogate + mean(query, other.query * other.scale) @ key
    if parts.bias is not None and depends(parts.bias):
        surrogate = surrogate + parts.bias
    probabilities = _softmax_surrogate(surrogate.float(), slope, weights, -1).to(query.dtype)
    surrogate = probabilities @ mean(parts.value, other.value) + middle @ parts.value
    return substituted(operation.result, surrogate)
