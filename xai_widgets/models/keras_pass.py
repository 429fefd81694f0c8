"""One image's forward pass through a traced Keras model, kept for any target and layer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from xai_widgets.models.keras_cotangents import cotangent_of, size_of
from xai_widgets.models.primitives import ForwardPass
from xai_widgets.models.targets import Target

if TYPE_CHECKING:
    from xai_widgets.models.keras_graph import KerasGraph


class KerasForwardPass(ForwardPass):
    """The tensors of one image's forward pass that any backward pass starts from.

    Parameters
    ----------
    graph
        The traced model.
    outputs
        [1, K] or dense [1, h, w, K].
    kept
        The kept tensors by the name of their symbol in the graph, the image among them.
    """

    def __init__(self, graph: "KerasGraph", outputs: Any, kept: dict[str, Any]) -> None:
        self._graph, self._kept = graph, kept
        self.batch_outputs = outputs
        self.scores: npt.NDArray[np.float32] = class_scores(outputs).numpy()[0]

    @property
    def outputs(self) -> npt.NDArray[np.float32]:
        """What the model returns, float32 [K] or dense [h, w, K]."""
        return np.asarray(self.batch_outputs.numpy()[0])

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return size_of(self._kept.values())

    def activation(self, layer: str) -> Any:
        """Return the output of a layer, float32 [1, H, W, C] ([1, T, D] for tokens)."""
        return tf.cast(self._graph.activation(layer, self._kept), tf.float32)

    def gradient(self, target: Target, layer: str | None = None) -> Any:
        """Return d target / d layer output, or d input where ``layer`` is None, [1, H, W, C]."""
        origin = self.batch_outputs if target.layer is None else self.activation(target.layer)
        cotangent = cotangent_of(target, origin)
        found = self._graph.gradient(layer, cotangent, self._kept, target.layer)
        return tf.cast(found, tf.float32)


def class_scores(outputs: Any) -> Any:
    """Return scores [N, K] of outputs [N, K], or of dense ones [N, h, w, K] their means."""
    return outputs if outputs.shape.rank == 2 else tf.reduce_mean(outputs, axis=(1, 2))


def chunked(images: Any, size: int) -> Sequence[Any]:
    """Cut a batch into chunks of at most ``size`` images."""
    return [images[start : start + size] for start in range(0, len(images), size)]
