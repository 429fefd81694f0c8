"""Find what cuts a gradient inside of TorchScript, where no hook and no mode reaches."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from xai_widgets.models.readiness.trace import Event

OPERATORS = {
    "aten::detach": ("detach", "detach()"),
    "aten::detach_": ("detach", "detach_()"),
    "aten::item": ("item", "item()"),
    "aten::Float": ("item", "float()"),
    "aten::FloatImplicit": ("item", "float()"),
    "aten::argmax": ("argmax", "argmax()"),
    "aten::argmin": ("argmax", "argmin()"),
    "aten::round": ("integer", "round()"),
    "aten::floor": ("integer", "floor()"),
}
MODES = {"no_grad": "torch.no_grad()", "inference_mode": "torch.inference_mode()"}


def compiled_cut(module: nn.Module, inside: str) -> Event | None:
    """Return the first operation that cuts in a model's TorchScript parts.

    Parameters
    ----------
    module
        The model.
    inside
        Name of the module in whose forward the gradient is lost.

    Returns
    -------
    Event or None
        "frozen_graph" where there is such a part and nothing in it is known to cut.
    """
    parts = {
        name: part
        for name, part in module.named_modules()
        if isinstance(part, torch.jit.ScriptModule)
    }
    outer = [
        name
        for name in parts
        if name.startswith(inside)
        and not any(name != other and _contains(other, name) for other in parts)
    ]
    for name in outer:
        for node in _nodes(getattr(parts[name], "inlined_graph", None)):
            known = OPERATORS.get(node.kind()) or _mode(node)
            if known is not None:
                return Event(known[0], name, known[1])
    return Event("frozen_graph", outer[0], type(parts[outer[0]]).__name__) if outer else None


def _contains(outer: str, name: str) -> bool:
    return not outer or name.startswith(outer + ".")


def _nodes(block: Any) -> Iterator[Any]:
    if block is None:
        return
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)


def _mode(node: Any) -> tuple[str, str] | None:
    if node.kind() != "prim::CreateObject":
        return None
    kind = str(node.output().type())
    return next(((name, shown) for name, shown in MODES.items() if name in kind), None)
