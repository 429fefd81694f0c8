"""Retained PyTorch forward passes: other targets cost a backward pass only."""

from collections.abc import Sequence

import torch

from xai_widgets.models.base import Lock
from xai_widgets.models.primitives import LayerPass
from xai_widgets.models.targets import Target
from xai_widgets.models.torch_backend import TorchBackend
from xai_widgets.models.torch_recording import Graph, Recorder, differentiate
from xai_widgets.models.torch_state import autograd


def laid_out(images: torch.Tensor) -> torch.Tensor:
    """Return images [N, H, W, C] in the order of memory in which models run fastest.

    One image with its channels first, a batch with its channels last.
    """
    if len(images) > 1:
        return images.contiguous()
    return images.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)


class TorchLayerPass(LayerPass):
    """The forward pass of a batch, recorded from the layers on that somebody asks for.

    What lies before those layers runs without a graph, which saves memory and time: gradients at
    the last layer cost little more than a prediction.

    Parameters
    ----------
    recorder
        Runs the model and keeps graphs; its architecture says how large they are.
    images
        The input [N, H, W, C].
    lock
        The model's.
    limit_bytes
        Graphs are kept as long as they are estimated to fit into this.
    layers
        Those that share one graph; any other has its own.
    whole
        Always record from the input on, which shows whether the model itself lets autograd record.
    """

    def __init__(
        self,
        recorder: Recorder,
        images: torch.Tensor,
        lock: Lock,
        limit_bytes: int,
        layers: Sequence[str] = (),
        whole: bool = False,
    ) -> None:
        self._recorder = recorder
        with autograd():
            self._images = laid_out(images.detach())
        self._lock = lock
        self._limit_bytes = limit_bytes
        self._layers = tuple(layers)
        self._whole = whole
        self._graphs: list[tuple[str | None, Graph]] = []
        self._outputs: torch.Tensor | None = None
        self._activations: dict[str, torch.Tensor] = {}

    @property
    def outputs(self) -> torch.Tensor:
        """What the model returns, [N, K], or dense [N, H, W, K]."""
        with self._lock:
            if self._outputs is None:
                self._outputs = self._recorder.run(self._images, False)
            return self._outputs

    @property
    def nbytes(self) -> int:
        """An estimate of the bytes held."""
        kept = (self._images, self._outputs, *self._activations.values())
        tensors = sum(tensor.nbytes for tensor in kept if tensor is not None)
        return tensors + round(self._graph_bytes())

    def look(self) -> None:
        """Run the pass without a graph, for outputs and activations alone."""
        with self._lock, autograd(False):
            self._outputs, self._activations = self._recorder.activations(
                self._images, self._layers
            )

    def start_at(self, layers: Sequence[str | None]) -> None:
        """Record from layers on now, so that their gradients and the outputs share one pass."""
        self._graph(tuple(layers))

    def activation(self, layer: str) -> torch.Tensor:
        """Return the output of a layer, float32 [N, H, W, C], [N, T, D] or [N, D]."""
        with self._lock:
            if layer in self._activations:
                return self._activations[layer]
            return self._activation_of(self._graph((layer,)), layer)

    def gradients(
        self, target: Target, layers: Sequence[str | None]
    ) -> dict[str | None, torch.Tensor]:
        """Return d target / d layer output by layer, that of the input under None."""
        with self._lock, autograd():
            graph = self._graph(tuple(layers), target.layer)
            scores = target(graph.reduced, TorchBackend(graph.reduced.device))
            sources = {layer: graph.sources[layer] for layer in layers}
            found = differentiate(self._recorder.name, scores, sources, True, graph.reduced)
        return {layer: self._arranged(layer, gradient) for layer, gradient in found.items()}

    def _arranged(self, layer: str | None, tensor: torch.Tensor) -> torch.Tensor:
        if layer is None:
            return tensor.float()
        return self._recorder.arranged(layer, tensor)[: len(self._images)]

    def _activation_of(self, graph: Graph, layer: str) -> torch.Tensor:
        return self._arranged(layer, graph.sources[layer].detach())

    def _graph(self, layers: tuple[str | None, ...], target_layer: str | None = None) -> Graph:
        with self._lock, autograd():
            for end, graph in self._graphs:
                if end == target_layer and graph.sources.keys() >= set(layers):
                    return graph
            together = self._layers if set(layers) <= set(self._layers) else layers
            graph = self._recorder.record(self._images, together, target_layer, self._whole)
            self._outputs = graph.outputs.detach()
            self._activations = {name: self._activation_of(graph, name) for name in self._layers}
            self._graphs.append((target_layer, graph))
            while self._graphs and self._graph_bytes() > self._limit_bytes:
                self._graphs.pop(0)
            return graph

    def _graph_bytes(self) -> float:
        architecture = self._recorder.architecture
        scale = self._images.numel() / architecture.input_elements
        return scale * sum(
            max(architecture.graph_bytes.get(layer, 0) for layer in graph.sources)
            for _, graph in self._graphs
        )
