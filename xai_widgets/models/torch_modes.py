"""See every operation of a PyTorch forward pass: modules, functions, methods, in-place or not."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from types import FunctionType
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

CHECKS = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")
COMPOSED = ("torch.nn.functional", "torch.functional", "torch._tensor")
"""Modules of PyTorch whose functions are written in Python, over others that a mode can see."""


class SeeingMode(TorchFunctionMode):
    """Hands every operation of PyTorch's core to `call`, taken apart as far as it is composed.

    A mode is off while it handles a function, so what ``F.multi_head_attention_forward`` or
    ``F.relu`` call inside would not be seen. The same code is run instead without its question for
    modes, and with this mode on.
    """

    def __init__(self) -> None:
        super().__init__()
        self._apart: list[Any] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Take a composed function apart, or handle an operation."""
        # Tensor methods that call their own core by super() arrive again under the same name.
        composed = None if func in self._apart[-1:] else taken_apart(func)
        if composed is not None:
            self._apart.append(func)
            try:
                with self:
                    return composed(*args, **(kwargs or {}))
            finally:
                self._apart.pop()
        name, in_place = name_of(func)
        return self.call(name, in_place, func, args, dict(kwargs or {}))

    def call(
        self,
        name: str,
        in_place: bool,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Run an operation.

        Parameters
        ----------
        name
            "relu" for ``torch.relu``, ``Tensor.relu_`` and the operator of exported programs.
        in_place
            It writes its result into its first argument.
        func, args, kwargs
            The operation.
        """
        return func(*args, **kwargs)


@lru_cache(maxsize=512)
def taken_apart(func: Any) -> Callable[..., Any] | None:
    """Return a function's code without its question for modes; None where it has none."""
    if not isinstance(func, FunctionType) or func.__module__ not in COMPOSED:
        return None
    if not set(CHECKS) & set(func.__code__.co_names):
        return None
    own = {**func.__globals__, **dict.fromkeys(CHECKS, _no_mode)}
    copied = FunctionType(func.__code__, own, func.__name__, func.__defaults__, func.__closure__)
    copied.__kwdefaults__ = func.__kwdefaults__
    return copied


def _no_mode(*_: Any) -> bool:
    return False


@lru_cache(maxsize=4096)
def name_of(func: Any) -> tuple[str, bool]:
    """Return the name of an operation, and whether it works in place."""
    if isinstance(func, torch._ops.OpOverload):
        name = func._schema.name.partition("::")[2]
    elif isinstance(func, torch._ops.OpOverloadPacket):
        name = func.__name__
    else:
        name = str(getattr(func, "__name__", ""))
    if name.startswith("__i") and name.endswith("__") and name[3:-2] in OPERATORS:
        return OPERATORS[name[3:-2]], True
    if name.startswith("__"):
        return OPERATORS.get(name[2:-2], name), False
    return (name[:-1], True) if name.endswith("_") else (name, False)


OPERATORS = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "div": "div",
    "truediv": "div",
    "pow": "pow",
    "matmul": "matmul",
}


@contextmanager
def run_in(module: nn.Module) -> Iterator[list[str]]:
    """Keep the names of the parts of a module that are running, the innermost one last."""
    running: list[str] = []
    handles = []
    try:
        for name, part in module.named_modules():
            if not isinstance(part, torch.jit.ScriptModule):  # which takes no hooks
                handles.append(part.register_forward_pre_hook(_entering(running, name)))
                handles.append(part.register_forward_hook(_leaving(running), always_call=True))
        yield running
    finally:
        for handle in handles:
            handle.remove()


def _entering(running: list[str], name: str) -> Callable[..., None]:
    return lambda *_: running.append(name)


def _leaving(running: list[str]) -> Callable[..., None]:
    def leave(*_: Any) -> None:
        running.pop()

    return leave
