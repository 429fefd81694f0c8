"""Look at the layers of a Keras model, and move what they return, in batches."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from xai_widgets.errors import ImageError
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.keras_eager import KerasEager
from xai_widgets.models.keras_loading import Runner
from xai_widgets.models.keras_pass import chunked
from xai_widgets.models.layered import Step
from xai_widgets.models.primitives import LayerPass

Shape = tuple[int, int, int]


class KerasLayers(ExplainableModel):
    """The part of `KerasModel` that is about layers."""

    _device: str | None

    def activations(self, images: Any, layer: str) -> Any:
        """Return a layer's output for images [N, H, W, C], computed in chunks."""
        name = self.resolve_layer(layer)
        batch = self._checked(images)
        shape = self._shape(batch)
        with self.lock, tf.device(self._device):
            runner = self._runner(shape)
            with self._complaint(shape):
                parts = [runner.activations(part, name) for part in chunked(batch, self.chunk_size)]
                return tf.concat(parts, axis=0)

    def recorded(self, images: Any, layers: Sequence[str], gradients: bool = True) -> LayerPass:
        """Return one forward pass of a batch, kept from the earliest layer on; see the contract."""
        names = [self.resolve_layer(layer, vectors=True) for layer in layers]
        batch = self._checked(images)
        shape = self._shape(batch)
        with self.lock, tf.device(self._device):
            runner = self._runner(shape)
            with self._complaint(shape):
                return runner.forward(batch, names) if gradients else runner.look(batch, names)

    def compiled(self, step: Callable[..., tuple[Any, ...]], layers: Sequence[str | None]) -> Step:
        """Return a step of work that goes through the model; see the contract."""
        names = [
            layer if layer is None else self.resolve_layer(layer, vectors=True) for layer in layers
        ]

        def look(images: Any) -> Mapping[str | None, Any]:
            shape = self._shape(images)
            runner = self._runner(shape)
            with self._complaint(shape):
                found = runner.seen(images, names)
            return {name: self._with_sides(found[name], images, name) for name in names}

        def traced(*arrays: Any) -> tuple[Any, ...]:
            return step(look, *arrays)

        with self.lock, tf.device(self._device):
            eager = isinstance(self._runner(self.input_shape), KerasEager)
        function = traced if eager else tf.function(traced, autograph=False)

        def run(*arrays: Any) -> tuple[Any, ...]:
            with self.lock, tf.device(self._device):
                return tuple(function(*map(self.backend.asarray, arrays)))

        return run

    def _with_sides(self, tensor: Any, images: Any, layer: str | None) -> Any:
        """Tell a symbolic tensor the sides that a function cut out of a graph has forgotten."""
        tensor = tf.cast(tensor, tf.float32)
        tensor.set_shape((images.shape[0], *[None] * (tensor.shape.rank - 1)))
        same_size = self._shape(images) == self.input_shape
        if layer is not None and same_size and None in tuple(tensor.shape):
            tensor.set_shape((None, *self.layer(layer).shape))
        return tensor

    def shifted_outputs(self, images: Any, layer: str, shifts: Any) -> Any:
        """Return the outputs when something is added to a layer's output; see the contract."""
        name = self.resolve_layer(layer, vectors=True)
        batch, moves = self._checked(images), self.backend.asarray(shifts)
        if len(batch) not in (1, len(moves)):
            raise ImageError(
                f"{len(moves)} shifts were given for {len(batch)} images: give one for each."
            )
        shape, size = self._shape(batch), self.chunk_size
        rows = chunked(moves, size)
        parts = [batch] * len(rows) if len(batch) == 1 else chunked(batch, size)
        with self.lock, tf.device(self._device):
            runner = self._runner(shape)
            with self._complaint(shape):
                found = [
                    runner.shifted(part, name, own) for part, own in zip(parts, rows, strict=True)
                ]
                return tf.concat(found, axis=0)

    @abstractmethod
    def _checked(self, images: Any) -> Any:
        """Return images as a tensor [N, H, W, C]."""

    @abstractmethod
    def _shape(self, images: Any) -> Shape:
        """Return (H, W, C)."""

    @abstractmethod
    def _runner(self, shape: Shape, rule: str | None = None) -> Runner:
        """Return the traced model for images of a size."""

    @abstractmethod
    def _complaint(self, shape: Shape) -> Any:
        """Turn a failure of the model into a sentence."""
