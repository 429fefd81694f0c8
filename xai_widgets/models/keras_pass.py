"""A batch's forward pass through a traced Keras model, kept for any target and layer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from xai_widgets.models.keras_cotangents import cotangent_of, size_of
from xai_widgets.models.primitives import LayerPass
from xai_widgets.models.targets import Target

if TYPE_CHECKING:
    from xai_widgets.models.keras_graph import KerasGraph

RETAINED_BYTES = 2 * 1024**3


class KerasLayerPass(LayerPass):
    """The tensors of a forward pass that any backward pass starts from.

    Parameters
    ----------
    graph
        The traced model.
    outputs
        [N, K] or dense [N, h, w, K].
    kept
        The kept tensors by the name of their symbol in the graph, the images among them.
    places
        Those of them that stay when the others take more memory than ``RETAINED_BYTES``: the images
        and what layers return.
    """

    def __init__(
        self, graph: "KerasGraph", outputs: Any, kept: dict[str, Any], places: Sequence[str]
    ) -> None:
        self._graph, self._kept, self._places = graph, kept, frozenset(places)
        self._outputs = outputs
        self._trim()

    @property
    def outputs(self) -> Any:
        """What the model returns, [N, K] or dense [N, h, w, K]."""
        return self._outputs

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return size_of(self._kept.values())

    def activation(self, layer: str) -> Any:
        """Return the output of a layer, float32 [N, H, W, C], [N, T, D] or [N, D]."""
        return tf.cast(self._graph.activation(layer, self._kept), tf.float32)

    def gradients(self, target: Target, layers: Sequence[str | None]) -> dict[str | None, Any]:
        """Return d target / d layer output by layer, that of the images under None."""
        origin = self._outputs if target.layer is None else self.activation(target.layer)
        cotangent = cotangent_of(target, origin)
        found = self._graph.backward(layers, cotangent, self._kept, target.layer)
        self._trim()
        return {
            layer: tf.cast(gradient, tf.float32)
            for layer, gradient in zip(layers, found, strict=True)
        }

    def _trim(self) -> None:
        """Let go of what can be computed again where it is too much."""
        if self.nbytes > RETAINED_BYTES:
            self._kept = {name: self._kept[name] for name in self._kept if name in self._places}


def class_scores(outputs: Any) -> Any:
    """Return scores [N, K] of outputs [N, K], or of dense ones [N, h, w, K] their means."""
    return outputs if outputs.shape.rank == 2 else tf.reduce_mean(outputs, axis=(1, 2))


def chunked(images: Any, size: int) -> Sequence[Any]:
    """Cut a batch into chunks of at most ``size`` images."""
    return [images[start : start + size] for start in range(0, len(images), size)]
