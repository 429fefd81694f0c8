"""A Keras model traced once: forward pass, and backward passes cut out of one graph.

TensorFlow traces the model and its gradients into one graph. Functions are cut out of it as they
are needed: images to scores, images to gradients, images to the tensors that backward passes need,
and from these to the gradient at any layer, so that another class or layer repeats no forward pass.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import keras
import tensorflow as tf

from xai_widgets.errors import LayerError, ModelError, sentence
from xai_widgets.models.keras_calls import Call, Span, is_vector, watched
from xai_widgets.models.keras_cotangents import (
    constant_cotangent,
    cotangent_of,
    difference_cotangent,
    moved_by,
)
from xai_widgets.models.keras_pass import KerasLayerPass
from xai_widgets.models.keras_rules import apply_rule
from xai_widgets.models.keras_way import Way, boundary, moves_batch, moving_tensors
from xai_widgets.models.targets import Target

NO_PATH = (
    "The score of {model} does not depend on {what} through TensorFlow's operations: a "
    "stop_gradient, an integer cast or a NumPy round trip inside its call cuts the gradient, so "
    "methods that need it cannot be used."
)
MAX_FUNCTIONS = 96
"""Functions kept of one graph; the oldest is dropped, and cut out again when it is needed."""
NO_PART = "Layer {layer!r} took no part in the forward pass of this image."


class KerasGraph:
    """One traced forward pass for images of one size, with its gradients.

    Parameters
    ----------
    model, name
        The user's model, and its name for messages.
    shape
        (H, W, C) of the images.
    choose
        Finds the outputs, [N, K] or dense [N, h, w, K], in what the model returns.
    rule
        How activations go backward; see the contract.

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
        rule: str | None = None,
    ) -> None:
        self._name, self._rule = name, rule
        self.calls: dict[str, Call] = {}
        self.spans: list[Span] = []

        def forward(images: Any) -> Any:
            self.spans = []
            with watched(model, self.spans) as calls:
                outputs = choose(model(images, training=False))
            self.calls = calls
            return outputs

        self._function = tf.compat.v1.wrap_function(
            forward, [tf.TensorSpec((None, *shape), tf.float32)]
        )
        self._graph = self._function.graph
        self._images, self._outputs = self._function.inputs[0], self._function.outputs[0]
        self.traced = {
            path: call
            for path, call in self.calls.items()
            if getattr(call.tensor, "graph", None) is self._graph
            and (call.tensor.shape.rank in (3, 4) or is_vector(call.tensor))
            and call.tensor.dtype.is_floating
        }
        self.calls = {p: call for p, call in self.traced.items() if call.tensor.shape.rank > 2}
        self.way = Way(self._graph, [self._images], [self._outputs])
        apply_rule(self.way, rule)
        self._moving = moving_tensors(self._graph, self._images)
        self._cut: OrderedDict[Hashable, Any] = OrderedDict()
        self._cotangents: dict[str | None, Any] = {}
        self._gradients: dict[str | None, dict[str | None, Any]] = {}
        self._failures: dict[str | None, Exception] = {}
        self._kept: dict[tuple[str, ...] | None, list[Any]] = {}

    # What it computes -----------------------------------------------------------------------

    @property
    def n_origins(self) -> int:
        """How many places backward passes start from: each adds its gradients to the graph."""
        return len(self._gradients)

    def outputs(self, images: Any) -> Any:
        """Return the outputs, [N, K] or dense [N, h, w, K], of images [N, H, W, C]."""
        return self._function(images)

    def shapes(self, images: Any) -> dict[str, tuple[int, ...]]:
        """Return the shape of every layer's output, batch axis included."""
        known = {path: tuple(call.tensor.shape) for path, call in self.calls.items()}
        if all(None not in shape[1:] for shape in known.values()) and not moves_batch(self._graph):
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

    def activations(self, images: Any, layer: str) -> Any:
        """Return a layer's output for images [N, H, W, C], as float32."""
        fetch = self._call(layer).tensor
        found = self._cut_out(("layer", layer), lambda: ([self._images], [fetch]))(images)
        return tf.cast(found[0], tf.float32)

    def gradients(
        self, images: Any, target: Target, weights: Any = None, layer: str | None = None
    ) -> tuple[Any, Any]:
        """Return d target / d images, weighted and summed over N where there are weights.

        Parameters
        ----------
        images, target, weights
            As in the contract; with the rescale rule the images are followed by their references.
        layer
            Differentiate with respect to this layer's output.

        Returns
        -------
        tuple
            [N, H, W, C] or [H, W, C], and what the target is made from, [N, K] or [N, h, w, K].
        """
        if weights is not None and self._rule in ("guided", "deconvolution"):
            # these rules keep what is positive: weights of other signs must come after them
            values, origin = self.gradients(images, target, None, layer)
            return tf.tensordot(tf.cast(weights, tf.float32), values, axes=1), origin
        shape = tuple(self._origin(target.layer).shape[1:])
        key = (target.layer, layer, weights is not None)
        if not target.linear or None in shape:
            return self._in_two_steps(images, target, weights, layer)
        cotangent = self._start(target, tf.zeros((len(images), *shape)), weights)

        def parts() -> tuple[list[Any], list[Any]]:
            gradient = self._reduced(layer, target.layer, weights is not None)
            return (
                [self._images, self._cotangents[target.layer]],
                [gradient, self._origin(target.layer)],
            )

        values, origin = self._cut_out(("gradients", *key), parts)(images, cotangent)
        return values, tf.cast(origin, tf.float32)

    def _in_two_steps(
        self, images: Any, target: Target, weights: Any, layer: str | None
    ) -> tuple[Any, Any]:
        """Go forward, differentiate the target where the outputs are, and go backward."""
        start, reduced = target.layer, weights is not None
        gradient = self._gradient(layer, start)
        feeds = boundary([gradient], self._moving)
        forward = self._cut_out(
            ("before", start, layer), lambda: ([self._images], [self._origin(start), *feeds])
        )
        origin, *values = forward(images)
        origin = tf.cast(origin, tf.float32)
        backward = self._cut_out(
            ("after", start, layer, reduced),
            lambda: (
                [self._cotangents[start], *feeds],
                [self._reduced(layer, start, reduced)],
            ),
        )
        cotangent = self._start(target, origin, weights)
        return backward(cotangent, *values)[0], origin

    def _start(self, target: Target, origin: Any, weights: Any) -> Any:
        """Return what a backward pass starts with, d target / d origin."""
        if self._rule == "rescale":
            return difference_cotangent(target, origin, weights)
        if target.linear:
            return constant_cotangent(target, tuple(origin.shape), weights)
        return cotangent_of(target, origin, weights)

    def _reduced(self, layer: str | None, origin: str | None, reduced: bool) -> Any:
        gradient = self._gradient(layer, origin)
        with self._graph.as_default():
            gradient = tf.cast(gradient, tf.float32)
            if reduced:
                return tf.reduce_sum(gradient, axis=0)
            if self._rule == "rescale":
                return tf.split(gradient, 2)[0]
            return gradient

    def inside(self, images: Any, tensors: list[Any]) -> tuple[Any, list[Any]]:
        """Return the outputs, and the values of tensors of the graph, from one forward pass."""
        key = ("inside", *(tensor.name for tensor in tensors))
        outputs, *values = self._cut_out(key, lambda: ([self._images], [self._outputs, *tensors]))(
            images
        )
        return outputs, values

    def gradients_inside(
        self, images: Any, tensors: list[Any], cotangent: Any, origin: str | None
    ) -> list[Any]:
        """Return the gradient of an origin at tensors of the graph, zero where there is none."""

        def parts() -> tuple[list[Any], list[Any]]:
            if origin not in self._gradients:
                self._gradients[origin] = self._differentiate(origin)
            start, tensor = self._cotangents[origin], self._origin(origin)
            with self._graph.as_default():
                found = tf.gradients(
                    tensor,
                    tensors,
                    grad_ys=tf.cast(start, tensor.dtype),
                    unconnected_gradients=tf.UnconnectedGradients.ZERO,
                )
                return [self._images, start], [tf.convert_to_tensor(value) for value in found]

        key = ("gradients inside", origin, *(tensor.name for tensor in tensors))
        with sentence(ModelError, f"The gradient of {self._name} cannot be computed"):
            return list(self._cut_out(key, parts)(images, cotangent))

    def seen(self, images: Any, layers: Sequence[str | None]) -> dict[str | None, Any]:
        """Return what layers return, the outputs under None; other graphs differentiate it."""
        key = ("seen", *layers)
        function = self._cut_out(key, lambda: ([self._images], [*map(self._origin, layers)]))
        return dict(zip(layers, function(images), strict=True))

    def forward(self, images: Any, layers: Sequence[str] | None = None) -> KerasLayerPass:
        """Run a forward pass and keep what backward passes to layers need; None for all of them."""
        kept = self._needed(None if layers is None else tuple(layers))
        return self._pass(images, kept, layers or ())

    def look(self, images: Any, layers: Sequence[str]) -> KerasLayerPass:
        """Run a forward pass and keep what layers return, for their activations alone."""
        return self._pass(images, self._places(layers), layers)

    def _pass(self, images: Any, kept: list[Any], layers: Sequence[str]) -> KerasLayerPass:
        outputs, values = self.inside(images, kept)
        tensors = {tensor.name: value for tensor, value in zip(kept, values, strict=True)}
        places = [self._images.name, *(tensor.name for tensor in self._places(layers))]
        return KerasLayerPass(self, outputs, {self._images.name: images, **tensors}, places)

    def _places(self, layers: Sequence[str]) -> list[Any]:
        found = {self._call(layer).tensor.name: self._call(layer).tensor for layer in layers}
        return list(found.values())

    def shifted(self, images: Any, layer: str, shifts: Any) -> Any:
        """Return the outputs when shifts [N, ...] are added to what a layer's last call returns.

        One image runs once up to the layer, unless there are ways around it.
        """
        place = self._call(layer).tensor
        feeds = boundary([self._outputs], {place.name, self._images.name})
        around = any(feed is self._images for feed in feeds)
        if around and len(images) < len(shifts):
            images = tf.repeat(images, len(shifts), axis=0)
        own = self._cut_out(("layer", layer), lambda: ([self._images], [place]))(images)[0]
        given = {self._images.name: images, place.name: moved_by(own, shifts, layer)}
        function = self._cut_out(("shifted", layer), lambda: (feeds, [self._outputs]))
        return function(*(given[feed.name] for feed in feeds))[0]

    def activation(self, layer: str, kept: dict[str, Any]) -> Any:
        """Return a layer's output, computed from the nearest kept tensors."""
        return self._from_nearest([self._call(layer).tensor], kept)[0]

    def backward(
        self,
        layers: Sequence[str | None],
        cotangent: Any,
        kept: dict[str, Any],
        origin: str | None = None,
    ) -> list[Any]:
        """Return the gradients at layers, or at the images for None, for d target / d origin."""
        fetches = [self._gradient(layer, origin) for layer in layers]
        feeds = boundary(fetches, self._moving)
        missing = [feed for feed in feeds if feed.name not in kept]
        if missing:
            values = self._from_nearest(missing, kept)
            kept |= {feed.name: value for feed, value in zip(missing, values, strict=True)}
        start = self._cotangents[origin]
        function = self._cut_out(("gradient", *layers, origin), lambda: ([start, *feeds], fetches))
        return list(function(cotangent, *(kept[feed.name] for feed in feeds)))

    def _from_nearest(self, fetches: list[Any], kept: dict[str, Any]) -> list[Any]:
        """Return the values of tensors, computed from the kept ones that are met first."""
        if all(fetch.name in kept for fetch in fetches):
            return [kept[fetch.name] for fetch in fetches]
        feeds = boundary(fetches, kept)
        names = tuple(tuple(tensor.name for tensor in tensors) for tensors in (feeds, fetches))
        function = self._cut_out(("from nearest", *names), lambda: (feeds, fetches))
        return list(function(*(kept[feed.name] for feed in feeds)))

    # The graph ------------------------------------------------------------------------------

    def _call(self, layer: str) -> Call:
        if layer not in self.traced:
            raise LayerError(NO_PART.format(layer=layer))
        return self.traced[layer]

    def _origin(self, layer: str | None) -> Any:
        """Return what a target is made from: the outputs, or a layer's output."""
        return self._outputs if layer is None else self._call(layer).tensor

    def _cut_out(self, key: Hashable, parts: Callable[[], tuple[list[Any], list[Any]]]) -> Any:
        if key not in self._cut:
            feeds, fetches = parts()
            self._cut[key] = self._function.prune(feeds, fetches)
            if len(self._cut) > MAX_FUNCTIONS:
                self._cut.popitem(last=False)
        self._cut.move_to_end(key)
        return self._cut[key]

    def _gradient(self, layer: str | None, origin: str | None = None) -> Any:
        """Return the symbolic gradient of an origin at a layer, or at the images.

        Raises
        ------
        ModelError
            If there is no path from the origin, or an operation has no gradient.
        """
        if origin not in self._gradients:
            self._gradients[origin] = self._differentiate(origin)
        if layer is not None:
            self._call(layer)
        gradient = self._gradients[origin].get(layer)
        if gradient is None:
            what = "its input" if layer is None else f"layer {layer!r}"
            if origin in self._failures:
                with sentence(ModelError, f"The gradient of {self._name} cannot be computed"):
                    raise self._failures[origin]
            if origin is not None:
                raise ModelError(
                    f"Layer {origin!r} of {self._name} does not depend on {what}: choose an "
                    "earlier layer, or another target."
                )
            raise ModelError(NO_PATH.format(model=self._name, what=what))
        return gradient

    def _differentiate(self, origin: str | None) -> dict[str | None, Any]:
        """Add the gradients at the images and at all layers to the graph, in one backward pass."""
        sources: dict[str | None, Any] = {None: self._images}
        sources.update((path, call.tensor) for path, call in self.traced.items())
        tensor = self._origin(origin)
        with self._graph.as_default():
            start = tf.compat.v1.placeholder(tf.float32, tensor.shape)
            self._cotangents[origin] = start
            start = tf.cast(start, tensor.dtype)
            try:
                return _toward(tensor, sources, start)
            except Exception as error:
                self._failures[origin] = error
            found: dict[str | None, Any] = {}
            for path, source in reversed(sources.items()):
                try:
                    found.update(_toward(tensor, {path: source}, start))
                except Exception:
                    continue  # an operation without a gradient lies between: said when asked for
            return found

    def _needed(self, layers: tuple[str, ...] | None) -> list[Any]:
        """Return the forward tensors that the backward passes to layers use, and their outputs.

        For None: to all layers and to the images.
        """
        if layers not in self._kept:
            if layers is None:
                if None not in self._gradients:
                    self._gradients[None] = self._differentiate(None)
                fetches = [found for found in self._gradients[None].values() if found is not None]
            else:
                fetches = [*map(self._gradient, layers), *self._places(layers)]
            needed = boundary(fetches, self._moving)
            self._kept[layers] = [tensor for tensor in needed if tensor is not self._images]
        return self._kept[layers]


def _toward(origin: Any, sources: dict[str | None, Any], start: Any) -> dict[str | None, Any]:
    gradients = tf.gradients(origin, list(sources.values()), grad_ys=start)
    return {
        path: None if gradient is None else tf.convert_to_tensor(gradient)
        for path, gradient in zip(sources, gradients, strict=True)
    }
