"""Retained PyTorch forward passes: other targets cost a backward pass only."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from xai_widgets.errors import LayerError, ModelError
from xai_widgets.models.base import ForwardPass, Lock, sentence
from xai_widgets.models.targets import Target
from xai_widgets.models.torch_backend import TorchBackend
from xai_widgets.models.torch_layers import Architecture, first_tensor
from xai_widgets.models.torch_state import autograd, hooked, revived

NO_PATH = (
    "The score of {model} does not depend on {what} through autograd: no_grad, detach or a NumPy "
    "round trip inside its forward pass cuts the gradient, so methods that need it cannot be used."
)


@dataclass(frozen=True, eq=False)
class _Graph:
    """A recorded stretch of the forward pass, from a tensor to the scores [1, K]."""

    source: torch.Tensor
    scores: torch.Tensor


class TorchForwardPass(ForwardPass):
    """The forward pass of one image, recorded from the layer on that somebody asks for.

    What lies before that layer runs without a graph, which saves memory and time: Grad-CAM at the
    last layer costs little more than a prediction.

    Parameters
    ----------
    name
        The model's name, for messages.
    run
        Runs the forward pass of [1, H, W, C], with autograd recording or not, and returns float32
        scores [1, K].
    modules
        The layers by name.
    architecture
        Says which layers have their channels last, and how large their graphs are.
    values
        The input [1, H, W, C].
    lock
        The model's.
    limit_bytes
        Graphs are kept as long as they are estimated to fit into this.
    whole
        Always record from the input on, which shows whether the model itself lets autograd record.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[torch.Tensor, bool], torch.Tensor],
        modules: dict[str, nn.Module],
        architecture: Architecture,
        values: torch.Tensor,
        lock: Lock,
        limit_bytes: int,
        whole: bool = False,
    ) -> None:
        self._name = name
        self._run = run
        self._modules = modules
        self._architecture = architecture
        # A single image runs faster with its channels first in memory; batches do not.
        with autograd():
            self._input = values.detach().permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
        self._lock = lock
        self._limit_bytes = limit_bytes
        self._whole = whole
        self._graphs: OrderedDict[str | None, _Graph] = OrderedDict()
        self._scores: npt.NDArray[np.float32] | None = None

    @property
    def scores(self) -> npt.NDArray[np.float32]:  # type: ignore[override]
        """Scores of the image, float32 [K]."""
        with self._lock:
            if self._scores is None:
                self._scores = self._run(self._input, False)[0].cpu().numpy()
            return self._scores

    def start_at(self, layer: str | None) -> None:
        """Record from a layer on now, so that its gradients and the scores share one pass."""
        self._graph(layer)

    def activation(self, layer: str) -> torch.Tensor:
        """Return the output of a layer, float32 [1, H, W, C] ([1, T, D] for tokens)."""
        return self._arranged(layer, self._graph(layer).source.detach())

    def gradient(self, target: Target, layer: str | None = None) -> torch.Tensor:
        """Return d target / d layer output, or d input where ``layer`` is None, [1, H, W, C]."""
        what = "its input" if layer is None else f"layer {layer!r}"
        with self._lock, autograd():
            graph = self._graph(layer)
            score = target(graph.scores, TorchBackend(graph.scores.device))
            gradient = differentiate(self._name, score, graph.source, what, retain=True)
        return gradient.float() if layer is None else self._arranged(layer, gradient)

    def _arranged(self, layer: str, tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.float()
        if tensor.ndim != 4 or layer in self._architecture.channels_last:
            return tensor
        return tensor.permute(0, 2, 3, 1)

    # Recording ----------------------------------------------------------------------------

    def _graph(self, layer: str | None) -> _Graph:
        with self._lock, autograd():
            if layer in self._graphs:
                return self._graphs[layer]
            if layer is None:
                graph = self._from_input()
            elif self._whole:
                graph = self._through_layer(layer)
            else:
                graph = self._from_layer(layer)
            self._scores = graph.scores.detach()[0].cpu().numpy()
            self._graphs[layer] = graph
            while self._graphs and self._nbytes() > self._limit_bytes:
                self._graphs.popitem(last=False)
            return graph

    def _nbytes(self) -> float:
        scale = self._input.numel() / self._architecture.input_elements
        return scale * sum(self._architecture.graph_bytes.get(name, 0) for name in self._graphs)

    def _from_input(self) -> _Graph:
        source = self._input.detach().requires_grad_(True)
        return _Graph(source, self._run(source, True))

    def _from_layer(self, layer: str) -> _Graph:
        """Let the layer's output be a leaf from which on autograd records.

        A clone goes on through the model, so that no in-place operation overwrites it.
        """
        found: list[torch.Tensor] = []

        def start(_name: str, output: Any) -> Any:
            if not isinstance(output, torch.Tensor):
                return None
            found[:] = [output.detach().requires_grad_(True)]
            torch.set_grad_enabled(True)
            return found[0].clone()

        with hooked({layer: self._modules[layer]}, start):
            scores = self._run(self._input, False)
        if not found or not scores.requires_grad:
            return self._through_layer(layer)
        return _Graph(found[0], scores)

    def _through_layer(self, layer: str) -> _Graph:
        """Record the whole pass, for layers that return more than a tensor, and on request."""
        try:
            return self._record(layer, revive=True)
        except ModelError:  # code that expects a tensor without a graph, as for .numpy()
            return self._record(layer, revive=False)

    def _record(self, layer: str, revive: bool) -> _Graph:
        """Record the whole pass; revived, what layers return may carry a gradient anew."""
        found: list[torch.Tensor] = []

        def keep(name: str, output: Any) -> Any:
            passed = revived(output) if revive else output
            tensor = first_tensor(passed)
            if name != layer or tensor is None:
                return None if passed is output else passed
            found[:] = [tensor]
            return tensor.clone() if tensor is passed else None

        names = [entry.name for entry in self._architecture.layers] if revive else [layer]
        with hooked({name: self._modules[name] for name in names}, keep):
            graph = self._from_input()
        if not found:
            raise LayerError(f"Layer {layer!r} took no part in the forward pass of this image.")
        return _Graph(found[0], graph.scores)


def differentiate(
    name: str, scores: torch.Tensor, source: torch.Tensor, what: str, retain: bool = False
) -> torch.Tensor:
    """Return d sum(scores) / d source.

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
    if gradient is None:
        raise ModelError(NO_PATH.format(model=name, what=what))
    return gradient
