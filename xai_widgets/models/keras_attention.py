"""Find attention in the traced graph of a Keras model: a softmax that is multiplied with values."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from xai_widgets.errors import ModelError
from xai_widgets.models.architecture import Layer
from xai_widgets.models.attending import MAX_RANK, attention_lack, attention_layer
from xai_widgets.models.attention import AttentionLayer, AttentionPass
from xai_widgets.models.base import Lock
from xai_widgets.models.keras_calls import Span
from xai_widgets.models.keras_cotangents import cotangent_of
from xai_widgets.models.keras_graph import KerasGraph
from xai_widgets.models.keras_way import Way
from xai_widgets.models.targets import Target

CARRYING = ("Identity", "IdentityN", "Cast", "Reshape", "Squeeze", "ExpandDims", "Mul", "SelectV2")
"""Operations between a softmax and the product with the values that keep it what it is."""
PRODUCTS = ("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum")
PARTS = ("Softmax", "Activation", "Dropout")
"""Kinds of layers that only do a part of the attention of the layer around them."""


def attention_tensors(graph: KerasGraph) -> list[tuple[str, Any]]:
    """Return name and probabilities of the attention in a graph, in the order of the trace."""
    found: list[tuple[str, Any]] = []
    for operation in graph.way.operations:
        output = operation.outputs[0]
        if operation.type != "Softmax" or not 3 <= (output.shape.rank or 0) <= MAX_RANK:
            continue
        if graph.way.is_live(output) and _meets_values(graph.way, output):
            position = graph.way.positions[operation.name]
            name = _owner(graph.spans, position) or f"attention {len(found) + 1}"
            found.append((name, output))
    return found


def _meets_values(way: Way, tensor: Any) -> bool:
    """Tell whether a softmax is a factor of a matrix product whose other factor moves too."""
    for user in tensor.consumers():
        if user.name not in way.positions:
            continue  # of a gradient
        if user.type in PRODUCTS and all(way.is_live(factor) for factor in user.inputs):
            return True
        if user.type in CARRYING and any(_meets_values(way, output) for output in user.outputs):
            return True
    return False


def _owner(spans: Sequence[Span], position: int) -> str | None:
    """Return the innermost layer in whose call an operation was made."""
    around = [
        span for span in spans if span.first <= position < span.end and span.kind not in PARTS
    ]
    return min(around, key=lambda span: span.end - span.first).path if around else None


class KerasAttentionPass(AttentionPass):
    """The attention of one forward pass of one image.

    Parameters
    ----------
    name
        The model's name.
    graph
        The traced model.
    images
        [1, H, W, C].
    layers
        The model's.
    lock
        The model's.

    Raises
    ------
    ModelError
        If there is no self-attention that can be seen.
    """

    def __init__(
        self, name: str, graph: KerasGraph, images: Any, layers: Sequence[Layer], lock: Lock
    ) -> None:
        self._graph, self._images, self._lock = graph, images, lock
        size = (int(images.shape[1]), int(images.shape[2]))
        tensors = attention_tensors(graph)
        self._outputs, found = graph.inside(images, [tensor for _, tensor in tensors])
        self.outputs = np.asarray(self._outputs.numpy()[0], np.float32)
        described = [
            (attention_layer(owner, tuple(values.shape), layers, size), tensor, values)
            for (owner, tensor), values in zip(tensors, found, strict=True)
        ]
        kept = [entry for entry in described if entry[0] is not None]
        self.layers: tuple[AttentionLayer, ...] = tuple(
            layer for layer, _, _ in kept if layer is not None
        )
        self._tensors = [tensor for _, tensor, _ in kept]
        self._values = [values for _, _, values in kept]
        self.lack = attention_lack(name, len(tensors), self.layers)
        if not self.layers:
            raise ModelError(str(self.lack))

    def weights(self, index: int) -> Any:
        """Return attention probabilities of a layer, [heads, T, T] or [windows, heads, T, T]."""
        return self._arranged(index, self._values[index])

    def gradients(self, target: Target) -> list[Any]:
        """Return d target / d attention probabilities of every layer, shaped as the weights."""
        with self._lock:
            origin = self._outputs
            if target.layer is not None:
                origin = self._graph.activations(self._images, target.layer)
            found = self._graph.gradients_inside(
                self._images, self._tensors, cotangent_of(target, origin), target.layer
            )
        return [self._arranged(i, values) for i, values in enumerate(found)]

    def _arranged(self, index: int, values: Any) -> Any:
        layer = self.layers[index]
        shape = (layer.heads, layer.tokens, layer.tokens)
        if layer.windows > 1:
            shape = (layer.windows, *shape)  # type: ignore[assignment]
        return tf.reshape(tf.cast(values, tf.float32), shape)
