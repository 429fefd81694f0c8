"""Retained PyTorch forward passes: other targets cost a backward pass only."""

from collections import OrderedDict

import numpy as np
import numpy.typing as npt
import torch

from xai_widgets.models.base import Lock
from xai_widgets.models.primitives import ForwardPass
from xai_widgets.models.targets import Target
from xai_widgets.models.torch_backend import TorchBackend
from xai_widgets.models.torch_recording import Graph, Recorder, differentiate, place
from xai_widgets.models.torch_state import autograd

_Ends = tuple[str | None, str | None]
"""The layer a graph starts at, None for the input, and the target's layer, None for the output."""


class TorchForwardPass(ForwardPass):
    """The forward pass of one image, recorded from the layer on that somebody asks for.

    What lies before that layer runs without a graph, which saves memory and time: Grad-CAM at the
    last layer costs little more than a prediction.

    Parameters
    ----------
    recorder
        Runs the model and keeps graphs; its architecture says how large they are.
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
        recorder: Recorder,
        values: torch.Tensor,
        lock: Lock,
        limit_bytes: int,
        whole: bool = False,
    ) -> None:
        self._recorder = recorder
        # A single image runs faster with its channels first in memory; batches do not.
        with autograd():
            self._input = values.detach().permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
        self._lock = lock
        self._limit_bytes = limit_bytes
        self._whole = whole
        self._graphs: OrderedDict[_Ends, Graph] = OrderedDict()
        self._outputs: npt.NDArray[np.float32] | None = None

    @property
    def outputs(self) -> npt.NDArray[np.float32]:
        """What the model returns, float32 [K], or dense [H, W, K]."""
        with self._lock:
            if self._outputs is None:
                self._keep_outputs(self._recorder.run(self._input, False))
            assert self._outputs is not None
            return self._outputs

    @property
    def scores(self) -> npt.NDArray[np.float32]:  # type: ignore[override]
        """Scores of the image, float32 [K]; spatial means of dense outputs."""
        outputs = self.outputs
        return outputs if outputs.ndim == 1 else np.asarray(outputs.mean(axis=(0, 1)))

    def start_at(self, layer: str | None) -> None:
        """Record from a layer on now, so that its gradients and the scores share one pass."""
        self._graph(layer)

    def activation(self, layer: str) -> torch.Tensor:
        """Return the output of a layer, float32 [1, H, W, C] ([1, T, D] for tokens)."""
        return self._recorder.arranged(layer, self._graph(layer).source.detach())[:1]

    def gradient(self, target: Target, layer: str | None = None) -> torch.Tensor:
        """Return d target / d layer output, or d input where ``layer`` is None, [1, H, W, C]."""
        with self._lock, autograd():
            graph = self._graph(layer, target.layer)
            score = target(graph.reduced, TorchBackend(graph.reduced.device))
            gradient = differentiate(
                self._recorder.name, score, graph.source, place(layer), True, graph.reduced
            )
        return gradient.float() if layer is None else self._recorder.arranged(layer, gradient)[:1]

    def _graph(self, layer: str | None, target_layer: str | None = None) -> Graph:
        ends = (layer, target_layer)
        with self._lock, autograd():
            if ends in self._graphs:
                return self._graphs[ends]
            graph = self._recorder.record(self._input, layer, target_layer, self._whole)
            self._keep_outputs(graph.outputs)
            self._graphs[ends] = graph
            while self._graphs and self._nbytes() > self._limit_bytes:
                self._graphs.popitem(last=False)
            return graph

    def _keep_outputs(self, outputs: torch.Tensor) -> None:
        self._outputs = np.ascontiguousarray(outputs.detach()[0].cpu().numpy())

    def _nbytes(self) -> float:
        architecture = self._recorder.architecture
        scale = self._input.numel() / architecture.input_elements
        return scale * sum(architecture.graph_bytes.get(layer, 0) for layer, _ in self._graphs)
