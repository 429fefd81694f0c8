"""The rescale rule for normalisations, norms and extremes of PyTorch."""

import math
from typing import Any

import torch
from torch.nn import functional

from xai_widgets.models.torch_rescale_rules import (
    Operation,
    Tensor,
    depends,
    quotient,
    substituted,
)

# Normalisations: products of what is centred and an inverse deviation ------------------------


def _normalised(
    values: Tensor, reference: Tensor, axes: list[int], eps: float, centred: bool = True
) -> Tensor:
    """Return a surrogate of x / sqrt(mean(x^2) + eps) over axes, after centring.

    With r = 1 / sqrt(v + eps), d r = -(r r')^2 / (r + r') d v and d v = mean((x + x') d x).
    """
    x, other = values.float(), reference.float()
    if centred:
        x = x - x.mean(axes, keepdim=True)
        other = other - other.mean(axes, keepdim=True)
    with torch.no_grad():
        inverse = torch.rsqrt(x.square().mean(axes, keepdim=True) + eps)
        inverse_other = torch.rsqrt(other.square().mean(axes, keepdim=True) + eps)
        falling = -((inverse * inverse_other) ** 2) / (inverse + inverse_other)
        total = x + other
    spread = falling * (total * x).mean(axes, keepdim=True)
    surrogate: Tensor = x * (inverse + inverse_other) / 2 + total / 2 * spread
    return surrogate


def _constant(*parameters: Any) -> bool:
    return not any(depends(parameter) for parameter in parameters)


def layer_norm(operation: Operation) -> Any:
    """A layer norm, or a root mean square norm, over the last axes."""
    values, shape = operation.args[0], operation.given(1, "normalized_shape")
    weight = operation.given(2, "weight")
    axes = list(range(-len(shape), 0)) if not isinstance(shape, int) else [-1]
    if operation.name == "rms_norm":
        bias, eps = None, operation.given(3, "eps")
    else:
        bias, eps = operation.given(3, "bias"), operation.given(4, "eps", 1e-5)
    if not _constant(weight, bias):
        return None
    eps = torch.finfo(values.dtype).eps if eps is None else eps
    centred = operation.name != "rms_norm"
    surrogate = _normalised(values, operation.reference[0], axes, eps, centred)
    return substituted(operation.result, surrogate if weight is None else surrogate * weight)


def group_norm(operation: Operation) -> Any:
    """A group norm."""
    values, reference = operation.args[0], operation.reference[0]
    groups = operation.given(1, "num_groups")
    weight, bias = operation.given(2, "weight"), operation.given(3, "bias")
    if not _constant(weight, bias):
        return None
    grouped = [x.reshape(len(x), groups, -1) for x in (values, reference)]
    surrogate = _normalised(grouped[0], grouped[1], [-1], operation.given(4, "eps", 1e-5))
    return substituted(operation.result, _by_channel(surrogate.reshape(values.shape), weight))


def instance_norm(operation: Operation) -> Any:
    """An instance norm; with running statistics it is affine."""
    weight, bias = operation.given(1, "weight"), operation.given(2, "bias")
    if not operation.given(5, "use_input_stats", True):
        return operation.func(*operation.args, **operation.kwargs)
    if not _constant(weight, bias):
        return None
    values = operation.args[0]
    axes = list(range(2, values.ndim))
    surrogate = _normalised(values, operation.reference[0], axes, operation.given(7, "eps", 1e-5))
    return substituted(operation.result, _by_channel(surrogate, weight))


def batch_norm(operation: Operation) -> Any:
    """A batch norm: affine with running statistics, none that a single image has without."""
    if operation.given(5, "training", False) or operation.given(3, "running_mean") is None:
        return None
    return operation.func(*operation.args, **operation.kwargs)


def _by_channel(values: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return values
    return values * weight.reshape(-1, *[1] * (values.ndim - 2))


# Norms and deviations -----------------------------------------------------------------------


def vector_norm(operation: Operation) -> Any:
    """A Euclidean norm: d n = sum((x + x') d x) / (n + n')."""
    order = operation.given(1, "ord", 2)
    axes, kept = operation.given(2, "dim"), bool(operation.given(3, "keepdim", False))
    if order not in (1, 2) or operation.kwargs.get("dtype") is not None:
        return None
    x, other = operation.args[0].float(), operation.reference[0].float()
    axes = list(range(x.ndim)) if axes is None else axes
    if order == 1:
        factor = quotient(torch.abs, x, other)
        return substituted(operation.result, (x * factor).sum(axes, keepdim=kept))
    with torch.no_grad():
        length = sum(v.square().sum(axes, keepdim=kept).sqrt() for v in (x, other))
        factor = x + other
    surrogate = (factor * x).sum(axes, keepdim=kept) / length
    return substituted(operation.result, torch.where(length > 0, surrogate, surrogate * 0))


def deviation(operation: Operation) -> Any:
    """A variance or a standard deviation."""
    x, other = operation.args[0].float(), operation.reference[0].float()
    axes = operation.given(1, "dim")
    positional = operation.args[2] if len(operation.args) > 2 else None
    correction = operation.kwargs.get("correction", operation.kwargs.get("unbiased", positional))
    if isinstance(axes, bool):
        axes, correction = None, axes
    correction = 1.0 if correction is None else float(correction)
    axes = list(range(x.ndim)) if axes is None else [axes] if isinstance(axes, int) else list(axes)
    kept = bool(operation.given(3, "keepdim", False))
    n = math.prod(x.shape[axis] for axis in axes)
    x, other = (v - v.mean(axes, keepdim=True) for v in (x, other))
    with torch.no_grad():
        factor = (x + other) / (n - correction)
        parts = [(v.square().sum(axes, keepdim=kept) / (n - correction)).sqrt() for v in (x, other)]
    surrogate = (factor * x).sum(axes, keepdim=kept)
    if operation.name.startswith("std"):
        length = parts[0] + parts[1]
        surrogate = torch.where(length > 0, surrogate / length, surrogate * 0)
    if not operation.name.endswith("_mean"):
        return substituted(operation.result, surrogate)
    result = substituted(lambda: operation.result()[0], surrogate)
    return result, operation.args[0].mean(axes, keepdim=kept)


# Extremes -----------------------------------------------------------------------------------


def _picked(values: Tensor, reference: Tensor, places: tuple[Tensor, Tensor], axis: int) -> Tensor:
    """Return a surrogate of a maximum: the whole difference goes to one place.

    Where it rises, to the place of the maximum in the image, and where it falls, to that in the
    reference: there the values differ by at least as much, so that no multiplier exceeds one.

    Parameters
    ----------
    values, reference
        With the positions on ``axis``.
    places
        Positions of the maxima in the image and in the reference.
    axis
        Of the positions.
    """
    with torch.no_grad():
        risen = values.gather(axis, places[0]) - reference.gather(axis, places[1])
        place = torch.where(risen >= 0, places[0], places[1])
        change = values.gather(axis, place) - reference.gather(axis, place)
        factor = torch.where(change == 0, torch.ones_like(change), risen / change)
    return values.gather(axis, place) * factor


def max_pool(operation: Operation) -> Any:
    """Max pooling in one to three dimensions, overlapping or not, adaptive or not."""
    names: tuple[str, ...] = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")
    if operation.name.startswith("adaptive"):
        names = ("input", "output_size")
    given = {**dict(zip(names, operation.args, strict=False)), **operation.kwargs}
    if given.pop("return_indices", False):
        return None
    if "stride" in given:
        given["stride"] = given["stride"] or None
    values, reference = given.pop("input"), operation.reference[0]
    dimensions = int(operation.name[-2])
    if values.ndim != dimensions + 2:
        return None
    pool = getattr(functional, operation.name)
    with torch.no_grad():
        result, place = pool(values.detach(), **given, return_indices=True)
        _, other = pool(reference, **given, return_indices=True)
    flat = [x.flatten(2) for x in (values, reference, place, other)]
    surrogate = _picked(flat[0], flat[1], (flat[2], flat[3]), 2)
    return substituted(lambda: result, surrogate.reshape(result.shape))


def extreme(operation: Operation) -> Any:
    """A maximum or minimum over axes; ``max(dim)`` returns positions as well."""
    values, reference = operation.args[0], operation.reference[0]
    axes = operation.given(1, "dim")
    if depends(axes) or isinstance(axes, Tensor):
        return between(operation)
    kept = bool(operation.given(2, "keepdim", False))
    sign = -1 if operation.name in ("min", "amin") else 1
    axes = list(range(values.ndim)) if axes is None else axes
    axes = [axes] if isinstance(axes, int) else list(axes)
    axes = sorted(axis % values.ndim for axis in axes) or list(range(values.ndim))
    last = list(range(-len(axes), 0))
    flat, flat_reference = (
        (sign * x).movedim(axes, last).flatten(-len(axes)) for x in (values, reference)
    )
    places = tuple(x.detach().argmax(-1, keepdim=True) for x in (flat, flat_reference))
    surrogate = sign * _picked(flat, flat_reference, (places[0], places[1]), -1)[..., 0]
    if kept:
        for axis in axes:
            surrogate = surrogate.unsqueeze(axis)
    own = operation.result()
    if isinstance(own, Tensor):
        return substituted(lambda: own, surrogate)
    return type(own)((substituted(lambda: own[0], surrogate), own[1]))


def between(operation: Operation) -> Any:
    """The larger, or smaller, of two tensors: a + relu(b - a)."""
    a, b = operation.args[:2]
    a_reference, b_reference = operation.reference[:2]
    sign = -1 if operation.name in ("min", "minimum", "fmin") else 1
    change, change_reference = sign * (b - a), sign * (b_reference - a_reference)
    factor = quotient(torch.relu, change, change_reference)
    return substituted(operation.result, a + sign * factor * change)
