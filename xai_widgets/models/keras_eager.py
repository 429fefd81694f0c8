"""Keras models whose call cannot be traced: run eagerly, layer by layer, under a gradient tape."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from xai_widgets.errors import LayerError, ModelError
from xai_widgets.models.base import ForwardPass, sentence
from xai_widgets.models.keras_calls import Call, untouched, watched
from xai_widgets.models.keras_graph import NO_PATH, cotangent_of, size_of
from xai_widgets.models.targets import Target


class KerasEager:
    """The same functions as `KerasGraph`, for a model that uses Python on its tensors' values.

    Parameters
    ----------
    model, name
        The user's model, and its name for messages.
    choose
        Finds the scores [N, K] in what the model returns.
    """

    def __init__(self, model: keras.Model, name: str, choose: Callable[[Any], Any]) -> None:
        self._model, self._name, self._choose = model, name, choose
        self.calls: dict[str, Call] = {}

    def scores(self, images: Any) -> Any:
        """Return scores [N, K] of images [N, H, W, C]."""
        with untouched(self._model):
            return self._choose(self._model(images, training=False))

    def shapes(self, images: Any) -> dict[str, tuple[int, ...]]:
        """Return the shape of every layer's output, batch axis included."""
        with watched(self._model) as calls:
            self._choose(self._model(images, training=False))
        self.calls = {
            path: call
            for path, call in calls.items()
            if call.tensor.shape.rank in (3, 4) and call.tensor.dtype.is_floating
        }
        return {path: tuple(call.tensor.shape) for path, call in self.calls.items()}

    def gradients(self, images: Any, target: Target, weights: Any) -> tuple[Any, Any]:
        """Return d target / d images, weighted and summed where there are weights, and scores."""
        forward = self.forward(images)
        values = forward.gradient(target)
        if weights is not None:
            values = tf.tensordot(tf.cast(weights, tf.float32), values, axes=1)
        return values, forward.batch_scores

    def forward(self, images: Any) -> "KerasEagerPass":
        """Run the forward pass under a persistent tape."""
        images = tf.identity(images)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(images)
            with watched(self._model) as calls:
                scores = self._choose(self._model(images, training=False))
        return KerasEagerPass(self._name, tape, images, scores, calls)


class KerasEagerPass(ForwardPass):
    """The tape of an eager forward pass.

    Parameters
    ----------
    name
        The model's name, for messages.
    tape
        Persistent; it watched the images.
    images, scores
        [N, H, W, C] and [N, K].
    calls
        What the layers returned.
    """

    def __init__(
        self, name: str, tape: Any, images: Any, scores: Any, calls: dict[str, Call]
    ) -> None:
        self._name, self._tape, self._images, self._calls = name, tape, images, calls
        self.batch_scores = scores
        self.scores = scores.numpy()[0]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return size_of([self._images, *(call.tensor for call in self._calls.values())])

    def activation(self, layer: str) -> Any:
        """Return the output of a layer, float32 [1, H, W, C] ([1, T, D] for tokens)."""
        return tf.cast(self._tensor(layer), tf.float32)

    def gradient(self, target: Target, layer: str | None = None) -> Any:
        """Return d target / d layer output, or d input where ``layer`` is None, [1, H, W, C]."""
        source = self._images if layer is None else self._tensor(layer)
        what = "its input" if layer is None else f"layer {layer!r}"
        with sentence(ModelError, f"The gradient of {self._name} cannot be computed"):
            gradient = self._tape.gradient(
                self.batch_scores,
                source,
                output_gradients=cotangent_of(target, self.batch_scores),
            )
        if gradient is None:
            raise ModelError(NO_PATH.format(model=self._name, what=what))
        return tf.cast(tf.convert_to_tensor(gradient), tf.float32)

    def _tensor(self, layer: str) -> Any:
        if layer not in self._calls:
            raise LayerError(f"Layer {layer!r} took no part in the forward pass of this image.")
        return self._calls[layer].tensor
