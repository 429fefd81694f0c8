"""Watch a PyTorch forward pass: which module runs what, on tensors that come from the input.

Nothing stays behind: the hooks are removed and the mode is left when the recording ends.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from xai_widgets.models.readiness.trace import Floats
from xai_widgets.models.torch_layers import first_tensor
from xai_widgets.models.torch_state import revived

SAMPLE = 256

CALLS = {
    "detach": "detach",
    "detach_": "detach",
    "numpy": "numpy",
    "__array__": "numpy",
    "item": "item",
    "tolist": "item",
    "__float__": "item",
    "__int__": "item",
    "__index__": "item",
    "argmax": "argmax",
    "argmin": "argmax",
    "argsort": "argmax",
    "round": "integer",
    "floor": "integer",
    "ceil": "integer",
    "trunc": "integer",
    "sign": "integer",
    "heaviside": "integer",
    "softmax": "softmax",
    "log_softmax": "softmax",
    "dropout": "random",
    "rand_like": "random",
    "randn_like": "random",
    "rand": "random",
    "randn": "random",
    "bernoulli": "random",
    "normal_": "random",
    "uniform_": "random",
}
IN_PLACE_DUNDERS = ("__setitem__", "__iadd__", "__isub__", "__imul__", "__itruediv__")


@dataclass(eq=False)
class Frame:
    """One call of a module, or of the model itself.

    Attributes
    ----------
    began, ended
        Positions in the order of all that was recorded.
    recording
        Whether autograd recorded when the module was entered.
    inference
        Whether inference mode was on then.
    inputs, outputs
        Where the tensors hang in the autograd graph.
    """

    name: str
    kind: str
    parent: "Frame | None"
    began: int
    recording: bool
    inference: bool
    ended: int = -1
    inputs: list[GradientEdge] = field(default_factory=list)
    outputs: list[GradientEdge] = field(default_factory=list)
    main: GradientEdge | None = None
    children: list["Frame"] = field(default_factory=list)
    shape: tuple[int, ...] | None = None
    finite: bool = True
    sample: Floats = field(default_factory=lambda: np.zeros(0, np.float32))


@dataclass(frozen=True, eq=False)
class Sighting:
    """A call that can spoil a gradient, seen on a tensor that comes from the input."""

    cause: str
    when: int
    frame: Frame
    detail: str
    in_graph: bool
    storage: int = 0


class Recorder(TorchFunctionMode):
    """Records one forward pass.

    Parameters
    ----------
    module
        The model.
    values
        Its input, which everything recorded depends on.
    revive
        Let a layer that lost the graph start a new one, so that later layers have gradients.
    """

    def __init__(self, module: nn.Module, values: torch.Tensor, revive: bool = True) -> None:
        super().__init__()
        self.module = module
        self._revive = revive
        self._clock = 0
        self._paused = False
        self._from_input: dict[int, torch.Tensor] = {id(values): values}
        self.root = Frame("", type(module).__name__, None, 0, True, False)
        self.top = self.root
        self.frames: list[Frame] = []
        self.sightings: list[Sighting] = []

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Watch what runs inside."""
        handles = []
        try:
            for name, part in self.module.named_modules():
                if isinstance(part, torch.jit.ScriptModule):  # takes no hooks
                    continue
                handles.append(
                    part.register_forward_pre_hook(
                        lambda part, args, kwargs, name=name: self._enter(name, part, args, kwargs),
                        with_kwargs=True,
                    )
                )
                handles.append(
                    part.register_forward_hook(
                        lambda _part, _args, output, name=name: self._leave(name, output)
                    )
                )
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def release(self) -> None:
        """Let go of the tensors."""
        self._from_input.clear()

    @contextmanager
    def _own_work(self) -> Iterator[None]:
        self._paused = True
        try:
            yield
        finally:
            self._paused = False

    @property
    def now(self) -> int:
        """The position in the order of all that was recorded."""
        return self._clock

    def _tick(self) -> int:
        self._clock += 1
        return self._clock

    # Modules ------------------------------------------------------------------------------

    def _enter(self, name: str, part: nn.Module, args: Any, kwargs: Any) -> None:
        with self._own_work():
            if name:
                parent = self.top
                self.top = Frame(
                    name,
                    type(part).__name__,
                    parent,
                    self._tick(),
                    torch.is_grad_enabled(),
                    torch.is_inference_mode_enabled(),
                )
                parent.children.append(self.top)
            else:
                self.root.began = self._tick()
            self.top.inputs = _edges((args, kwargs))

    def _leave(self, name: str, output: Any) -> Any:
        while (
            self.top.name != name and self.top.parent is not None
        ):  # a module raised and was caught
            self.top = self.top.parent
        frame = self.top
        with self._own_work():
            alive = revived(output) if name and self._revive else output
            tensor = first_tensor(alive)
            frame.outputs = _edges(alive)
            frame.main = _edge(tensor)
            for leaf in tree_leaves(alive):
                if isinstance(leaf, torch.Tensor):
                    self._from_input[id(leaf)] = leaf
            if tensor is not None and tensor.is_floating_point() and tensor.ndim:
                frame.shape = tuple(tensor.shape)
                frame.sample, frame.finite = _sample(tensor.detach()[0])
        frame.ended = self._tick()
        self.frames.append(frame)
        self.top = frame.parent or self.root
        return None if alive is output else alive

    # Functions ----------------------------------------------------------------------------

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function and note what it does to tensors that come from the input."""
        kwargs = kwargs or {}
        if self._paused:
            return func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if name == "__get__" and func != torch.Tensor.data.__get__:  # type: ignore[attr-defined]
            return self._passed_on(func, args, kwargs)
        given = [leaf for leaf in _leaves(args, kwargs) if id(leaf) in self._from_input]
        in_graph = any(tensor.requires_grad for tensor in given)
        modes = (torch.is_grad_enabled(), torch.is_inference_mode_enabled())
        if given and modes[1]:
            self._see("inference_mode", "torch.inference_mode()", in_graph)
        elif given and not modes[0]:
            self._see("no_grad", "torch.no_grad()", in_graph)
        floating = any(tensor.is_floating_point() for tensor in given)
        self._tick()
        try:
            result = func(*args, **kwargs)
        except RuntimeError:
            if given and name in CALLS:
                self._see(CALLS[name], f"{name.strip('_')}()", in_graph)
            raise
        self._judge(name, given, in_graph, floating, result, args, kwargs)
        if given:
            for leaf in _leaves((result,), {}):
                self._from_input[id(leaf)] = leaf
        return result

    def _passed_on(self, func: Any, args: Any, kwargs: Any) -> Any:
        result = func(*args, **kwargs)
        if isinstance(result, torch.Tensor) and args and id(args[0]) in self._from_input:
            self._from_input[id(result)] = result  # Tensor.T and its like
        return result

    def _judge(
        self,
        name: str,
        given: list[torch.Tensor],
        in_graph: bool,
        floating: bool,
        result: Any,
        args: Any,
        kwargs: Any,
    ) -> None:
        cause = CALLS.get(name) or CALLS.get(name.rstrip("_"))
        if cause == "random" and "dropout" in name and not _drops(args, kwargs):
            cause = None
        if cause == "random":
            self._see(cause, f"{name}()", in_graph)
        elif not given:
            return
        elif cause is not None:
            self._see(cause, f"{name.strip('_')}()", in_graph)
        elif name == "__get__":
            self._see("detach", "Tensor.data", in_graph)
        elif floating and isinstance(result, torch.Tensor) and not _is_float(result):
            kind = str(result.dtype).removeprefix("torch.")
            self._see("integer", f"{name.strip('_')}() to {kind}", in_graph)
        if name in IN_PLACE_DUNDERS or (name.endswith("_") and not name.endswith("__")):
            self._see("in_place", name, in_graph, given[0].untyped_storage().data_ptr())

    def _see(self, cause: str, detail: str, in_graph: bool, storage: int = 0) -> None:
        seen = Sighting(cause, self._tick(), self.top, detail, in_graph, storage)
        self.sightings.append(seen)


def _drops(args: Any, kwargs: Any) -> bool:
    """Tell whether ``F.dropout(input, p, training)`` drops anything."""
    share = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
    training = kwargs.get("training", args[2] if len(args) > 2 else True)
    return bool(training) and bool(share)


def key(edge: GradientEdge) -> tuple[Any, int]:
    """Return what identifies a place in the autograd graph."""
    return edge.node, edge.output_nr


def _is_float(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _leaves(args: Any, kwargs: Any) -> list[torch.Tensor]:
    """Return the tensors among arguments and in lists of arguments (as for torch.cat)."""
    found: list[torch.Tensor] = []
    for value in (*args, *kwargs.values()):
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += [item for item in value if isinstance(item, torch.Tensor)]
    return found


def _edge(tensor: torch.Tensor | None) -> GradientEdge | None:
    if tensor is None or not tensor.requires_grad:
        return None
    return get_gradient_edge(tensor)


def _edges(values: Any) -> list[GradientEdge]:
    found = (_edge(leaf) for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor))
    return [edge for edge in found if edge is not None]


def _sample(values: torch.Tensor) -> tuple[Floats, bool]:
    """Return some values spread over the tensor, and whether all of them are finite."""
    finite = bool(torch.isfinite(values.sum(dtype=torch.float32)))
    step = math.ceil((values.numel() / SAMPLE) ** (1 / max(values.ndim, 1)))
    chosen = values[tuple(slice(None, None, max(step, 1)) for _ in values.shape)]
    return chosen.float().cpu().numpy().ravel(), finite
