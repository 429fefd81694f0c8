"""Look at the layers of a Keras model, and move what they return, in batches."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from xai_widgets.errors import ImageError
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.keras_loading import Runner
from xai_widgets.models.keras_pass import chunked
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
