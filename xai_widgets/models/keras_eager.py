"""Keras models whose call cannot be traced: run eagerly, layer by layer, under a gradient tape."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from xai_widgets.errors import LayerError, ModelError, sentence
from xai_widgets.models.keras_calls import Call, untouched, watched
from xai_widgets.models.keras_cotangents import cotangent_of, size_of
from xai_widgets.models.keras_graph import NO_PATH
from xai_widgets.models.keras_pass import class_scores
from xai_widgets.models.primitives import ForwardPass
from xai_widgets.models.targets import Target


class KerasEager:
    """The same functions as `KerasGraph`, for a model that uses Python on its tensors' values.

    Parameters
    ----------
    model, name
        The user's model, and its name for messages.
    choose
        Finds the outputs, [N, K] or dense [N, h, w, K], in what the model returns.
    """

    def __init__(self, model: keras.Model, name: str, choose: Callable[[Any], Any]) -> None:
        self._model, self._name, self._choose = model, name, choose
        self.calls: dict[str, Call] = {}

    def outputs(self, images: Any) -> Any:
        """Return the outputs, [N, K] or dense [N, h, w, K], of images [N, H, W, C]."""
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

    def activations(self, images: Any, layer: str) -> Any:
        """Return a layer's output for images [N, H, W, C], as float32."""
        return self.forward(images, recorded=False).activation(layer)

    def gradients(
        self, images: Any, target: Target, weights: Any = None, layer: str | None = None
    ) -> tuple[Any, Any]:
        """Return the same as `KerasGraph.gradients`."""
        forward = self.forward(images)
        values = forward.gradient(target, layer)
        if weights is not None:
            values = tf.tensordot(tf.cast(weights, tf.float32), values, axes=1)
        return values, forward.origin(target)

    def forward(self, images: Any, recorded: bool = True) -> "KerasEagerPass":
        """Run the forward pass, under a persistent tape if it is ``recorded``."""
        images = tf.identity(images)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            if recorded:
                tape.watch(images)
            with watched(self._model) as calls:
                outputs = self._choose(self._model(images, training=False))
        return KerasEagerPass(self._name, tape, images, outputs, calls)


class KerasEagerPass(ForwardPass):
    """The tape of an eager forward pass.

    Parameters
    ----------
    name
        The model's name, for messages.
    tape
        Persistent; it watched the images.
    images, outputs
        [N, H, W, C], and [N, K] or dense [N, h, w, K].
    calls
        What the layers returned.
    """

    def __init__(
        self, name: str, tape: Any, images: Any, outputs: Any, calls: dict[str, Call]
    ) -> None:
        self._name, self._tape, self._images, self._calls = name, tape, images, calls
        self.batch_outputs = outputs
        self.scores = class_scores(outputs).numpy()[0]

    @property
    def outputs(self) -> npt.NDArray[np.float32]:
        """What the model returns, float32 [K] or dense [h, w, K]."""
        return np.asarray(self.batch_outputs.numpy()[0])

    def origin(self, target: Target) -> Any:
        """Return what a target is made from: the outputs, or a layer's output, as float32."""
        return self.batch_outputs if target.layer is None else self.activation(target.layer)

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
            origin = self.batch_outputs if target.layer is None else self._tensor(target.layer)
            start = cotangent_of(target, tf.cast(origin, tf.float32))
            gradient = self._tape.gradient(
                origin, source, output_gradients=tf.cast(start, origin.dtype)
            )
        if gradient is None and target.layer is not None:
            raise ModelError(
                f"Layer {target.layer!r} of {self._name} does not depend on {what}: choose an "
                "earlier layer, or another target."
            )
        if gradient is None:
            raise ModelError(NO_PATH.format(model=self._name, what=what))
        return tf.cast(tf.convert_to_tensor(gradient), tf.float32)

    def _tensor(self, layer: str) -> Any:
        if layer not in self._calls:
            raise LayerError(f"Layer {layer!r} took no part in the forward pass of this image.")
        return self._calls[layer].tensor
