"""Keras models whose call cannot be traced: run eagerly, layer by layer, under a gradient tape."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from xai_widgets.errors import LayerError, ModelError, sentence
from xai_widgets.models.keras_calls import Call, untouched, watched
from xai_widgets.models.keras_cotangents import cotangent_of, moved_by, size_of
from xai_widgets.models.keras_graph import NO_PART, NO_PATH
from xai_widgets.models.keras_pass import RETAINED_BYTES
from xai_widgets.models.primitives import LayerPass
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
        self.traced: dict[str, Call] = {}

    def outputs(self, images: Any) -> Any:
        """Return the outputs, [N, K] or dense [N, h, w, K], of images [N, H, W, C]."""
        with untouched(self._model):
            return self._choose(self._model(images, training=False))

    def shapes(self, images: Any) -> dict[str, tuple[int, ...]]:
        """Return the shape of every layer's output, batch axis included."""
        with watched(self._model) as calls:
            self._choose(self._model(images, training=False))
        self.traced = {
            path: call
            for path, call in calls.items()
            if call.tensor.shape.rank in (2, 3, 4)
            and call.tensor.dtype.is_floating
            and len(call.tensor) == len(images)
        }
        self.calls = {p: call for p, call in self.traced.items() if call.tensor.shape.rank > 2}
        return {path: tuple(call.tensor.shape) for path, call in self.calls.items()}

    def activations(self, images: Any, layer: str) -> Any:
        """Return a layer's output for images [N, H, W, C], as float32."""
        return self.look(images, (layer,)).activation(layer)

    def look(self, images: Any, layers: Sequence[str]) -> "KerasEagerPass":
        """Run a forward pass and keep what layers return, for their activations alone."""
        return self.forward(images, recorded=False).only(layers)

    def seen(self, images: Any, layers: Sequence[str | None]) -> dict[str | None, Any]:
        """Return what layers return, and the outputs under None, on the tapes that record."""
        with watched(self._model) as calls:
            outputs = self._choose(self._model(images, training=False))
        for layer in layers:
            if layer is not None and layer not in calls:
                raise LayerError(NO_PART.format(layer=layer))
        return {layer: outputs if layer is None else calls[layer].tensor for layer in layers}

    def shifted(self, images: Any, layer: str, shifts: Any) -> Any:
        """Return the outputs when shifts [N, ...] are added to what a layer's last call returns."""
        n_calls: Counter[str] = Counter()
        images = tf.repeat(images, len(shifts), axis=0) if len(images) == 1 else images

        def count(name: str, output: Any) -> Any:
            n_calls[name] += 1
            return output

        def shift(name: str, output: Any) -> Any:
            left[name] -= 1
            if name != layer or left[name]:
                return output
            flat = tf.nest.flatten(output)
            at = next(i for i, value in enumerate(flat) if tf.is_tensor(value))
            flat[at] = moved_by(flat[at], shifts, layer)
            return tf.nest.pack_sequence_as(output, flat)

        with watched(self._model, change=count):
            self._choose(self._model(images, training=False))
        if layer not in n_calls:
            raise LayerError(NO_PART.format(layer=layer))
        left = Counter(n_calls)
        with watched(self._model, change=shift):
            return self._choose(self._model(images, training=False))

    def gradients(
        self, images: Any, target: Target, weights: Any = None, layer: str | None = None
    ) -> tuple[Any, Any]:
        """Return the same as `KerasGraph.gradients`."""
        forward = self.forward(images)
        values = forward.gradients(target, (layer,))[layer]
        if weights is not None:
            values = tf.tensordot(tf.cast(weights, tf.float32), values, axes=1)
        return values, forward.origin(target)

    def forward(
        self, images: Any, layers: Sequence[str] | None = None, recorded: bool = True
    ) -> "KerasEagerPass":
        """Run the forward pass, under a persistent tape if it is ``recorded``.

        Parameters
        ----------
        images
            [N, H, W, C].
        layers
            Those that somebody will look at; None for all.
        recorded
            Make gradients possible.
        """
        images = tf.identity(images)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            if recorded:
                tape.watch(images)
            with watched(self._model) as calls:
                outputs = self._choose(self._model(images, training=False))
        kept = tape if recorded else None
        passed = KerasEagerPass(self, self._name, kept, images, outputs, calls)
        too_large = layers is not None and passed.nbytes > RETAINED_BYTES
        return passed.only(layers or ()) if too_large else passed


class KerasEagerPass(LayerPass):
    """The tape of an eager forward pass.

    Parameters
    ----------
    runner, name
        Runs the model again where nothing was recorded; and the model's name, for messages.
    tape
        Persistent; it watched the images. None where nothing was recorded.
    images, outputs
        [N, H, W, C], and [N, K] or dense [N, h, w, K].
    calls
        What the layers returned.
    """

    def __init__(
        self,
        runner: KerasEager,
        name: str,
        tape: Any,
        images: Any,
        outputs: Any,
        calls: dict[str, Call],
    ) -> None:
        self._runner, self._name = runner, name
        self._tape, self._images, self._calls = tape, images, calls
        self.batch_outputs = outputs

    @property
    def outputs(self) -> Any:
        """What the model returns, [N, K] or dense [N, h, w, K]."""
        return self.batch_outputs

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return size_of([self._images, *(call.tensor for call in self._calls.values())])

    def only(self, layers: Sequence[str]) -> "KerasEagerPass":
        """Return this pass with nothing but what some layers returned."""
        kept = {layer: self._calls[layer] for layer in layers if layer in self._calls}
        return KerasEagerPass(self._runner, self._name, None, self._images, self.outputs, kept)

    def origin(self, target: Target) -> Any:
        """Return what a target is made from: the outputs, or a layer's output, as float32."""
        return self.outputs if target.layer is None else self.activation(target.layer)

    def activation(self, layer: str) -> Any:
        """Return the output of a layer, float32 [N, H, W, C], [N, T, D] or [N, D]."""
        return tf.cast(self._tensor(layer), tf.float32)

    def gradients(self, target: Target, layers: Sequence[str | None]) -> dict[str | None, Any]:
        """Return d target / d layer output by layer, that of the images under None."""
        if self._tape is None:
            return self._runner.forward(self._images).gradients(target, layers)
        sources = [self._images if layer is None else self._tensor(layer) for layer in layers]
        with sentence(ModelError, f"The gradient of {self._name} cannot be computed"):
            origin = self.outputs if target.layer is None else self._tensor(target.layer)
            start = cotangent_of(target, tf.cast(origin, tf.float32))
            gradients = self._tape.gradient(
                origin, sources, output_gradients=tf.cast(start, origin.dtype)
            )
        found: dict[str | None, Any] = {}
        for layer, gradient in zip(layers, gradients, strict=True):
            what = "its input" if layer is None else f"layer {layer!r}"
            if gradient is None and target.layer is not None:
                raise ModelError(
                    f"Layer {target.layer!r} of {self._name} does not depend on {what}: choose an "
                    "earlier layer, or another target."
                )
            if gradient is None:
                raise ModelError(NO_PATH.format(model=self._name, what=what))
            found[layer] = tf.cast(tf.convert_to_tensor(gradient), tf.float32)
        return found

    def _tensor(self, layer: str) -> Any:
        if layer not in self._calls:
            raise LayerError(NO_PART.format(layer=layer))
        return self._calls[layer].tensor
