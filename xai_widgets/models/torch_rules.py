"""Guided backpropagation and deconvolution: other backward passes of ReLU, however it is called."""

import math
from collections.abc import Callable
from typing import Any

import torch

from xai_widgets.models.torch_modes import SeeingMode

SMOOTH = {
    "gelu": "GELU",
    "silu": "SiLU",
    "elu": "ELU",
    "selu": "SELU",
    "celu": "CELU",
    "mish": "Mish",
    "hardswish": "Hardswish",
    "softplus": "Softplus",
    "leaky_relu": "LeakyReLU",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
}
"""Activations that are no ReLUs, by the name of the operation."""


class ReluRule(SeeingMode):
    """While it is on, every ReLU is replaced by one with the backward pass of a rule.

    ReLU6 and clamps at zero are ReLUs; GELU, SiLU and their like are none.

    Parameters
    ----------
    rule
        "guided" (Springenberg 2015) lets positive gradients through where the input is positive;
        "deconvolution" (Zeiler 2014) lets positive gradients through everywhere.

    Attributes
    ----------
    n_replaced
        How many ReLUs ran.
    """

    def __init__(self, rule: str) -> None:
        super().__init__()
        self._gated = rule == "guided"
        self.n_replaced = 0

    def call(
        self,
        name: str,
        in_place: bool,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Replace a ReLU, leave everything else."""
        ceiling = relu_ceiling(name, args, kwargs)
        if ceiling is None:
            return func(*args, **kwargs)
        self.n_replaced += 1
        values = _first(args, kwargs)
        result = _Rectified.apply(values, ceiling, self._gated)  # type: ignore[no-untyped-call]
        return values.copy_(result) if in_place else result


class _Rectified(torch.autograd.Function):
    """A ReLU whose backward pass stops negative gradients.

    It keeps a mask and not its input, which may be overwritten in place behind it.
    """

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, ceiling: float, gated: bool) -> torch.Tensor:
        ctx.gated = gated
        if gated:
            ctx.save_for_backward((values > 0) & (values < ceiling))
        return values.clamp(0, None if math.isinf(ceiling) else ceiling)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        passed = gradients[0].clamp(min=0)
        return (passed * ctx.saved_tensors[0] if ctx.gated else passed), None, None


def relu_ceiling(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float | None:
    """Return where a ReLU stops rising: infinity, 6 for ReLU6; None for any other operation."""
    values = _first(args, kwargs)
    if not isinstance(values, torch.Tensor) or not values.is_floating_point():
        return None
    if name == "relu":
        return math.inf
    if name == "relu6":
        return 6.0
    low: Any = None
    high: Any = None
    if name == "hardtanh":
        low = _argument(args, kwargs, 1, "min_val", -1.0)
        high = _argument(args, kwargs, 2, "max_val", 1.0)
    elif name in ("clamp", "clip"):
        low = _argument(args, kwargs, 1, "min", None)
        high = _argument(args, kwargs, 2, "max", None)
    elif name == "clamp_min":
        low = _argument(args, kwargs, 1, "min", None)
    elif name == "threshold":
        low = _argument(args, kwargs, 1, "threshold", None)
        low = low if _argument(args, kwargs, 2, "value", None) == 0 else None
    elif name == "maximum":
        low = _argument(args, kwargs, 1, "other", None)
        low = 0 if isinstance(low, torch.Tensor) and low.ndim == 0 and not low.any() else None
    if isinstance(low, torch.Tensor) or isinstance(high, torch.Tensor) or low != 0:
        return None
    return math.inf if high is None else float(high)


def _first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0] if args else kwargs.get("input")


def _argument(
    args: tuple[Any, ...], kwargs: dict[str, Any], position: int, name: str, default: Any
) -> Any:
    return args[position] if len(args) > position else kwargs.get(name, default)
