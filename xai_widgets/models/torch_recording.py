"""Record stretches of a PyTorch forward pass: from input or layer to what a target reduces."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from xai_widgets.errors import LayerError, ModelError, sentence
from xai_widgets.models.torch_layers import Architecture, first_tensor
from xai_widgets.models.torch_state import hooked, revived

NO_PATH = (
    "The score of {model} does not depend on {what} through autograd: no_grad, detach or a NumPy "
    "round trip inside its forward pass cuts the gradient, so methods that need it cannot be used."
)


@dataclass(frozen=True, eq=False)
class Graph:
    """A recorded stretch of the forward pass.

    Attributes
    ----------
    source
        The tensor it starts at, as the module has it.
    outputs
        What the model returns, [N, K] or dense [N, H, W, K].
    reduced
        What the target reduces: the outputs, or a layer's output [N, H, W, C] or [N, T, D].
    """

    source: torch.Tensor
    outputs: torch.Tensor
    reduced: torch.Tensor


class Recorder:
    """Runs a module and keeps the graph between two of its places.

    Parameters
    ----------
    name
        The model's name, for messages.
    run
        Runs the forward pass of [N, H, W, C], with autograd recording or not, and returns float32
        outputs.
    modules
        The layers by name.
    architecture
        Says which layers have their channels last.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[torch.Tensor, bool], torch.Tensor],
        modules: Mapping[str, nn.Module],
        architecture: Architecture,
    ) -> None:
        self.name = name
        self.run = run
        self._modules = modules
        self.architecture = architecture

    @property
    def compiled(self) -> bool:
        """True where the operations of the model cannot be seen."""
        return isinstance(self._modules[""], torch.jit.ScriptModule)

    def before_each_run(self, prepare: Callable[[], None]) -> "Recorder":
        """Return a recorder that calls a function before each forward pass."""

        def run(images: torch.Tensor, gradients: bool) -> torch.Tensor:
            prepare()
            return self.run(images, gradients)

        return Recorder(self.name, run, self._modules, self.architecture)

    def record(
        self,
        images: torch.Tensor,
        layer: str | None,
        target_layer: str | None = None,
        whole: bool = False,
    ) -> Graph:
        """Record from a layer, or the input for None, to the outputs or the target's layer.

        What lies before the layer runs without a graph, unless ``whole``.
        """
        if layer is None:
            return self._attempt(images, None, target_layer, start=False, revive=False)
        if not whole:
            try:
                return self._attempt(images, layer, target_layer, start=True, revive=False)
            except _NotReachedError:
                pass  # a layer that returns more than a tensor
        try:
            return self._attempt(images, layer, target_layer, start=False, revive=True)
        except LayerError:
            raise
        except ModelError:  # code that expects a tensor without a graph, as for .numpy()
            return self._attempt(images, layer, target_layer, start=False, revive=False)

    def activation(self, images: torch.Tensor, layer: str) -> torch.Tensor:
        """Return a layer's output, [N, H, W, C] or [N, T, D], without a graph."""
        found: list[torch.Tensor] = []

        def keep(_name: str, output: Any) -> None:
            tensor = first_tensor(output)
            if tensor is not None:
                found[:] = [tensor.detach().clone()]  # which nothing in place overwrites

        with hooked({layer: self._modules[layer]}, keep):
            self.run(images, False)
        if not found:
            raise LayerError(absent(layer))
        return self.arranged(layer, found[0])[: len(images)]

    def arranged(self, layer: str, tensor: torch.Tensor) -> torch.Tensor:
        """Return a layer's output or gradient as float32 with its channels last."""
        tensor = tensor.float()
        if tensor.ndim != 4 or layer in self.architecture.channels_last:
            return tensor
        return tensor.permute(0, 2, 3, 1)

    def _attempt(
        self,
        images: torch.Tensor,
        layer: str | None,
        target_layer: str | None,
        start: bool,
        revive: bool,
    ) -> Graph:
        """Run once.

        With ``start``, the layer's output is a leaf from which on autograd records; a clone goes
        on through the model, so that no in-place operation overwrites it. With ``revive``, what
        the layers return may carry a gradient anew.
        """
        found: dict[str, torch.Tensor] = {}
        wanted = {name for name in (layer, target_layer) if name is not None}

        def keep(name: str, output: Any) -> Any:
            if start and name == layer and isinstance(output, torch.Tensor):
                found[name] = output.detach().requires_grad_(True)
                torch.set_grad_enabled(True)
                return found[name].clone()
            passed = revived(output) if revive else output
            tensor = first_tensor(passed)
            if name not in wanted or tensor is None:
                return None if passed is output else passed
            found[name] = tensor
            return tensor.clone() if tensor is passed else None

        names = {entry.name for entry in self.architecture.layers} if revive else set()
        hooks = {name: self._modules[name] for name in self._modules if name in names | wanted}
        source = images if start else images.detach().requires_grad_(True)
        with hooked(hooks, keep):
            outputs = self.run(source, not start)
        for name in wanted - set(found):
            raise _NotReachedError(absent(name)) if start else LayerError(absent(name))
        reduced = outputs
        if target_layer is not None:
            reduced = self.arranged(target_layer, found[target_layer])[: len(images)]
        if start and not reduced.requires_grad:
            raise _NotReachedError(absent(str(layer)))
        return Graph(source if layer is None else found[layer], outputs, reduced)


class _NotReachedError(LayerError):
    """Recording from the layer on did not work: the whole pass must be recorded."""


def absent(layer: str) -> str:
    """Say that a layer was not used."""
    return f"Layer {layer!r} took no part in the forward pass of this image."


def place(layer: str | None) -> str:
    """Name a layer, or the input, in a sentence."""
    return "its input" if layer is None else f"layer {layer!r}"


def differentiate(
    name: str,
    scores: torch.Tensor,
    source: torch.Tensor,
    what: str,
    retain: bool = False,
    outputs: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return d sum(scores) / d source.

    Parameters
    ----------
    name
        The model's name, for messages.
    scores
        What is differentiated.
    source
        With respect to what.
    what
        Its name in a sentence.
    retain
        Keep the graph.
    outputs
        What the scores were made from, which tells a target without a gradient from a model
        without one.

    Raises
    ------
    ModelError
        If there is no path between the two, or autograd fails.
    """
    gradient = None
    if scores.requires_grad and source.requires_grad:
        with sentence(ModelError, f"The gradient of {name} cannot be computed"):
            (gradient,) = torch.autograd.grad(
                scores.sum(), source, retain_graph=retain, allow_unused=True
            )
    elif outputs is not None and outputs.requires_grad and not scores.requires_grad:
        raise ModelError(
            "The target has no gradient: its function must use differentiable operations of "
            "PyTorch alone, without detach(), argmax or NumPy."
        )
    if gradient is None:
        raise ModelError(NO_PATH.format(model=name, what=what))
    return gradient
