"""Record stretches of a PyTorch forward pass: from input or layers to what a target reduces."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from xai_widgets.errors import LayerError, ModelError, sentence
from xai_widgets.models.torch_layers import Architecture, first_tensor, with_first_tensor
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
    sources
        What gradients can be taken with respect to, as the module has it: the outputs of layers,
        or the input for None.
    outputs
        What the model returns, [N, K] or dense [N, H, W, K].
    reduced
        What the target reduces: the outputs, or a layer's output [N, H, W, C] or [N, T, D].
    """

    sources: Mapping[str | None, torch.Tensor]
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
        layers: Sequence[str | None],
        target_layer: str | None = None,
        whole: bool = False,
    ) -> Graph:
        """Record from layers, or the input for None, to the outputs or the target's layer.

        What lies before the first of the layers runs without a graph, unless ``whole``.
        """
        places = tuple(dict.fromkeys(layers))
        if None in places:
            return self._attempt(images, places, target_layer, start=False, revive=False)
        if not whole:
            try:
                return self._attempt(images, places, target_layer, start=True, revive=False)
            except _NotReachedError:
                pass  # a layer that returns more than a tensor
        try:
            return self._attempt(images, places, target_layer, start=False, revive=True)
        except LayerError:
            raise
        except ModelError:  # code that expects a tensor without a graph, as for .numpy()
            return self._attempt(images, places, target_layer, start=False, revive=False)

    def activations(
        self, images: torch.Tensor, layers: Sequence[str]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the outputs, and layers' outputs [N, H, W, C], [N, T, D] or [N, D], graphless."""
        found: dict[str, torch.Tensor] = {}

        def keep(name: str, output: Any) -> None:
            tensor = first_tensor(output)
            if tensor is not None:
                found[name] = tensor.detach().clone()  # which nothing in place overwrites

        with hooked({name: self._modules[name] for name in layers}, keep):
            outputs = self.run(images, False)
        for name in layers:
            if name not in found:
                raise LayerError(absent(name))
        return outputs, {
            name: self.arranged(name, tensor)[: len(images)] for name, tensor in found.items()
        }

    def seen(
        self, images: torch.Tensor, layers: Sequence[str | None]
    ) -> dict[str | None, torch.Tensor]:
        """Return what layers return, and the outputs under None, in the graph of the images.

        Without the outputs the pass ends behind the last of the layers.
        """
        found: dict[str | None, torch.Tensor] = {}
        names = [name for name in layers if name is not None]
        left = Counter({name: self.architecture.calls.get(name, 1) for name in names})

        def keep(name: str, output: Any) -> Any:
            left[name] -= 1
            tensor = first_tensor(output)
            if tensor is not None:
                found[name] = tensor
            if None not in layers and not any(left.values()):
                raise _SeenError
            # a copy goes on through the model, so that no in-place operation overwrites it
            return tensor.clone() if tensor is output else None

        with hooked({name: self._modules[name] for name in names}, keep), suppress(_SeenError):
            found[None] = self.run(images, torch.is_grad_enabled())
        for name in names:
            if name not in found:
                raise LayerError(absent(name))
        return {
            name: found[name] if name is None else self.arranged(name, found[name])[: len(images)]
            for name in layers
        }

    def shifted(self, images: torch.Tensor, layer: str, shifts: torch.Tensor) -> torch.Tensor:
        """Return the outputs when shifts [N, ...] are added to what a layer's last call returns."""
        n_calls = 0

        def shift(_name: str, output: Any) -> Any:
            nonlocal n_calls
            n_calls += 1
            tensor = first_tensor(output)
            if tensor is None or n_calls < self.architecture.calls[layer]:
                return None
            own = self.arranged(layer, tensor)
            try:
                moved = own + shifts.expand(-1, *own.shape[1:])
            except RuntimeError:
                raise LayerError(
                    f"Shifts of shape {list(shifts.shape)} do not fit layer {layer!r}, which "
                    f"returns {list(own.shape)}: give one value for each of its values."
                ) from None
            if own.ndim == 4 and layer not in self.architecture.channels_last:
                moved = moved.permute(0, 3, 1, 2)
            return with_first_tensor(output, moved.to(tensor.dtype))

        with hooked({layer: self._modules[layer]}, shift):
            outputs = self.run(images, False)
        if not n_calls:
            raise LayerError(absent(layer))
        return outputs

    def arranged(self, layer: str, tensor: torch.Tensor) -> torch.Tensor:
        """Return a layer's output or gradient as float32 with its channels last."""
        tensor = tensor.float()
        if tensor.ndim != 4 or layer in self.architecture.channels_last:
            return tensor
        return tensor.permute(0, 2, 3, 1)

    def _attempt(
        self,
        images: torch.Tensor,
        layers: Sequence[str | None],
        target_layer: str | None,
        start: bool,
        revive: bool,
    ) -> Graph:
        """Run once.

        With ``start``, the output of the first layer that runs is a leaf from which on autograd
        records; a clone goes on through the model, so that no in-place operation overwrites it.
        With ``revive``, what the layers return may carry a gradient anew.
        """
        found: dict[str | None, torch.Tensor] = {}
        wanted = {name for name in (*layers, target_layer) if name is not None}

        def keep(name: str, output: Any) -> Any:
            starts = start and name in layers and isinstance(output, torch.Tensor)
            if starts and not (output.requires_grad and torch.is_grad_enabled()):
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
        sources = {name: source if name is None else found[name] for name in layers}
        if start and not all(tensor.requires_grad for tensor in (reduced, *sources.values())):
            raise _NotReachedError(absent(str(layers[0])))
        return Graph(sources, outputs, reduced)


class _SeenError(BaseException):
    """Ends a pass where nothing more is wanted; no `Exception`, so that nobody catches it."""


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
    sources: Mapping[str | None, torch.Tensor],
    retain: bool = False,
    outputs: torch.Tensor | None = None,
) -> dict[str | None, torch.Tensor]:
    """Return d sum(scores) / d source for each source, from one backward pass.

    Parameters
    ----------
    name
        The model's name, for messages.
    scores
        What is differentiated.
    sources
        With respect to what: the outputs of layers by name, or the input for None.
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
    gradients: dict[str | None, torch.Tensor | None] = dict.fromkeys(sources)
    live = {layer: tensor for layer, tensor in sources.items() if tensor.requires_grad}
    if scores.requires_grad and live:
        with sentence(ModelError, f"The gradient of {name} cannot be computed"):
            found = torch.autograd.grad(
                scores.sum(), tuple(live.values()), retain_graph=retain, allow_unused=True
            )
        gradients.update(zip(live, found, strict=True))
    elif outputs is not None and outputs.requires_grad and not scores.requires_grad:
        raise ModelError(
            "The target has no gradient: its function must use differentiable operations of "
            "PyTorch alone, without detach(), argmax or NumPy."
        )
    complete: dict[str | None, torch.Tensor] = {}
    for layer, gradient in gradients.items():
        if gradient is None:
            raise ModelError(NO_PATH.format(model=name, what=place(layer)))
        complete[layer] = gradient
    return complete
