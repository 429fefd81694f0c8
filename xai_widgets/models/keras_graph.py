"""A Keras model traced once: forward pass, and backward passes cut out of one graph.

TensorFlow traces the model and its gradients into one graph. Functions are cut out of it as they
are needed: images to scores, images to gradients, images to the tensors that backward passes need,
and from these to the gradient at any layer, so that another class or layer repeats no forward pass.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from xai_widgets.errors import LayerError, ModelError
from xai_widgets.models.base import ForwardPass, sentence
from xai_widgets.models.keras_calls import Call, watched
from xai_widgets.models.targets import ClassTarget

NO_PATH = (
    "The score of {model} does not depend on {what} through TensorFlow's operations: a "
    "stop_gradient, an integer cast or a NumPy round trip inside its call cuts the gradient, so "
    "methods that need it cannot be used."
)
READING = ("ReadVariableOp", "VarHandleOp", "Placeholder")
"""Stateful operations that give the same value again as long as the weights are the same."""


class KerasGraph:
    """One traced forward pass for images of one size, with its gradients.

    Parameters
    ----------
    model
        The user's model.
    shape
        (H, W, C) of the images.
    choose
        Finds the scores [N, K] in what the model returns.

    Attributes
    ----------
    calls
        The layers that can be looked at: feature maps and tokens.
    traced
        These and the layers that return one vector an image, such as heads.
    """

    def __init__(
        self,
        model: keras.Model,
        name: str,
        shape: tuple[int, int, int],
        choose: Callable[[Any], Any],
    ) -> None:
        self._name = name
        self.calls: dict[str, Call] = {}

        def forward(images: Any) -> Any:
            with watched(model) as calls:
                scores = choose(model(images, training=False))
            self.calls = calls
            return scores

        self._function = tf.compat.v1.wrap_function(
            forward, [tf.TensorSpec((None, *shape), tf.float32)]
        )
        self._graph = self._function.graph
        self._images, self._scores = self._function.inputs[0], self._function.outputs[0]
        self.traced = {
            path: call
            for path, call in self.calls.items()
            if getattr(call.tensor, "graph", None) is self._graph
            and (call.tensor.shape.rank in (3, 4) or _is_vector(call.tensor))
            and call.tensor.dtype.is_floating
        }
        self.calls = {p: call for p, call in self.traced.items() if call.tensor.shape.rank > 2}
        self._moving = self._moving_tensors()
        self._cut: dict[str, Any] = {}
        self._gradients: dict[str | None, Any] | None = None
        self._failure: Exception | None = None
        self._kept: list[Any] | None = None

    # What it computes -----------------------------------------------------------------------

    def scores(self, images: Any) -> Any:
        """Return scores [N, K] of images [N, H, W, C]."""
        return self._function(images)

    def shapes(self, images: Any) -> dict[str, tuple[int, ...]]:
        """Return the shape of every layer's output, batch axis included."""
        known = {path: tuple(call.tensor.shape) for path, call in self.calls.items()}
        if all(None not in shape[1:] for shape in known.values()) and not self._moves_batch():
            return {path: (len(images), *shape[1:]) for path, shape in known.items()}
        with self._graph.as_default():
            sizes = [tf.shape(call.tensor) for call in self.calls.values()]
        if not sizes:
            return {}
        found = self._function.prune([self._images], sizes)(images)
        return {
            path: tuple(int(side) for side in size.numpy())
            for path, size in zip(self.calls, found, strict=True)
        }

    def gradients(self, images: Any, target: ClassTarget, weights: Any) -> tuple[Any, Any]:
        """Return d target / d images, weighted and summed over N where there are weights.

        Returns
        -------
        tuple
            [N, H, W, C] or [H, W, C], and scores [N, K].
        """
        cotangent = one_hot(target, len(images), int(self._scores.shape[1]), weights)
        reduced = weights is not None

        def parts() -> tuple[list[Any], list[Any]]:
            gradient = self._gradient(None)
            with self._graph.as_default():
                gradient = tf.cast(gradient, tf.float32)
                gradient = tf.reduce_sum(gradient, axis=0) if reduced else gradient
            return [self._images, self._cotangent], [gradient, self._scores]

        function = self._cut_out(f"gradients {reduced}", parts)
        values, scores = function(images, cotangent)
        return values, scores

    def forward(self, images: Any) -> "KerasForwardPass":
        """Run the forward pass of one image and keep what backward passes need."""
        if self._kept is None:
            self._kept = self._needed()
        kept = self._kept
        function = self._cut_out("forward", lambda: ([self._images], [self._scores, *kept]))
        scores, *values = function(images)
        tensors = {tensor.name: value for tensor, value in zip(kept, values, strict=True)}
        return KerasForwardPass(self, scores, {self._images.name: images, **tensors})

    def activation(self, layer: str, kept: dict[str, Any]) -> Any:
        """Return a layer's output, computed from the nearest kept tensors."""
        fetch = self._call(layer).tensor
        if fetch.name in kept:
            return kept[fetch.name]
        feeds = self._boundary([fetch], set(kept))
        function = self._cut_out(f"activation {layer}", lambda: (feeds, [fetch]))
        return function(*(kept[feed.name] for feed in feeds))[0]

    def gradient(self, layer: str | None, cotangent: Any, kept: dict[str, Any]) -> Any:
        """Return the gradient at a layer, or at the images, for d target / d scores."""
        fetch = self._gradient(layer)
        feeds = self._boundary([fetch], self._moving)
        function = self._cut_out(f"gradient {layer}", lambda: ([self._cotangent, *feeds], [fetch]))
        return function(cotangent, *(kept[feed.name] for feed in feeds))[0]

    # The graph ------------------------------------------------------------------------------

    def _call(self, layer: str) -> Call:
        if layer not in self.traced:
            raise LayerError(f"Layer {layer!r} took no part in the forward pass of this image.")
        return self.traced[layer]

    def _cut_out(self, key: str, parts: Callable[[], tuple[list[Any], list[Any]]]) -> Any:
        if key not in self._cut:
            feeds, fetches = parts()
            self._cut[key] = self._function.prune(feeds, fetches)
        return self._cut[key]

    def _moves_batch(self) -> bool:
        """Tell whether the first axis of a layer's output may be another than the batch's."""
        return any(
            operation.type in ("Reshape", "SpaceToBatchND", "Transpose", "TensorListStack")
            and (operation.outputs[0].shape.rank or 4) in (3, 4)
            for operation in self._graph.get_operations()
        )

    def _moving_tensors(self) -> set[str]:
        """Return the forward tensors that may differ from call to call: not weights, constants."""
        moving = {self._images.name}
        for operation in self._graph.get_operations():
            stateful = operation.op_def.is_stateful and operation.type not in READING
            if stateful or any(tensor.name in moving for tensor in operation.inputs):
                moving.update(tensor.name for tensor in operation.outputs)
        return moving

    def _gradient(self, layer: str | None) -> Any:
        """Return the symbolic gradient at a layer, or at the images.

        Raises
        ------
        ModelError
            If there is no path from the score, or an operation has no gradient.
        """
        if self._gradients is None:
            self._gradients = self._differentiate()
        if layer is not None:
            self._call(layer)
        gradient = self._gradients.get(layer)
        if gradient is None:
            what = "its input" if layer is None else f"layer {layer!r}"
            if self._failure is not None:
                with sentence(ModelError, f"The gradient of {self._name} cannot be computed"):
                    raise self._failure
            raise ModelError(NO_PATH.format(model=self._name, what=what))
        return gradient

    def _differentiate(self) -> dict[str | None, Any]:
        """Add the gradients at the images and at all layers to the graph, in one backward pass."""
        sources: dict[str | None, Any] = {None: self._images}
        sources.update((path, call.tensor) for path, call in self.traced.items())
        with self._graph.as_default():
            self._cotangent = tf.compat.v1.placeholder(tf.float32, self._scores.shape)
            try:
                return self._toward(sources)
            except Exception as error:
                self._failure = error
            found: dict[str | None, Any] = {}
            for path, tensor in reversed(sources.items()):
                try:
                    found.update(self._toward({path: tensor}))
                except Exception:
                    continue  # an operation without a gradient lies between: said when asked for
            return found

    def _toward(self, sources: dict[str | None, Any]) -> dict[str | None, Any]:
        gradients = tf.gradients(self._scores, list(sources.values()), grad_ys=self._cotangent)
        return {
            path: None if gradient is None else tf.convert_to_tensor(gradient)
            for path, gradient in zip(sources, gradients, strict=True)
        }

    def _needed(self) -> list[Any]:
        """Return the forward tensors that the backward passes to the layers and images use."""
        if self._gradients is None:
            self._gradients = self._differentiate()
        fetches = [gradient for gradient in self._gradients.values() if gradient is not None]
        needed = self._boundary(fetches, self._moving)
        return [tensor for tensor in needed if tensor is not self._images]

    def _boundary(self, fetches: Iterable[Any], stops: set[str]) -> list[Any]:
        """Return the tensors in ``stops`` that are met first on the ways back from ``fetches``."""
        found: dict[str, Any] = {}
        seen: set[str] = set()
        waiting = list(fetches)
        while waiting:
            tensor = waiting.pop()
            if tensor.name in stops:
                found[tensor.name] = tensor
            elif tensor.op.name not in seen:
                seen.add(tensor.op.name)
                waiting.extend(tensor.op.inputs)
        return list(found.values())


class KerasForwardPass(ForwardPass):
    """The tensors of one image's forward pass that any backward pass starts from.

    Parameters
    ----------
    graph
        The traced model.
    scores
        [1, K].
    kept
        The kept tensors by the name of their symbol in the graph, the image among them.
    """

    def __init__(self, graph: KerasGraph, scores: Any, kept: dict[str, Any]) -> None:
        self._graph = graph
        self._scores = scores
        self._kept = kept
        self.scores: npt.NDArray[np.float32] = scores.numpy()[0]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return size_of(self._kept.values())

    def activation(self, layer: str) -> Any:
        """Return the output of a layer, float32 [1, H, W, C] ([1, T, D] for tokens)."""
        return tf.cast(self._graph.activation(layer, self._kept), tf.float32)

    def gradient(self, target: ClassTarget, layer: str | None = None) -> Any:
        """Return d target / d layer output, or d input where ``layer`` is None, [1, H, W, C]."""
        cotangent = cotangent_of(target, self._scores)
        return tf.cast(self._graph.gradient(layer, cotangent, self._kept), tf.float32)


def _is_vector(tensor: Any) -> bool:
    """Tell whether a tensor has one vector for each image: its first axis is the batch's."""
    return bool(tensor.shape.rank == 2 and tensor.shape[0] is None)


def cotangent_of(target: Callable[[Any], Any], scores: Any) -> Any:
    """Return d sum(target(scores)) / d scores, [N, K]."""
    if isinstance(target, ClassTarget):
        return one_hot(target, *scores.shape)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(scores)
        total = tf.reduce_sum(target(scores))
    return tape.gradient(total, scores, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def one_hot(target: ClassTarget, n_images: int, n_outputs: int, weights: Any = None) -> Any:
    """Return d sum(weights * target(scores)) / d scores, [N, K]: it does not depend on scores."""
    cotangent = np.zeros((n_images, n_outputs), dtype=np.float32)
    rows = 1.0 if weights is None else np.asarray(weights, dtype=np.float32)
    cotangent[:, int(target.index)] += rows
    if target.versus is not None:
        cotangent[:, int(target.versus)] -= rows
    return tf.constant(cotangent)


def size_of(tensors: Iterable[Any]) -> int:
    """Return the bytes of eager tensors."""
    return sum(int(np.prod(tensor.shape)) * tensor.dtype.size for tensor in tensors)


def chunked(images: Any, size: int) -> Sequence[Any]:
    """Cut a batch into chunks of at most ``size`` images."""
    return [images[start : start + size] for start in range(0, len(images), size)]
