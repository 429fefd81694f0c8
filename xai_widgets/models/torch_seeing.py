"""Look at the layers of a PyTorch module, and move what they return, in batches."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from xai_widgets.errors import ImageError
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import JoinedPass, LayerPass
from xai_widgets.models.torch_backend import TorchBackend
from xai_widgets.models.torch_forward import TorchLayerPass
from xai_widgets.models.torch_recording import Recorder
from xai_widgets.models.torch_state import autograd, frozen

RETAINED_BYTES = 2 * 1024**3


class TorchLayers(ExplainableModel):
    """The part of `TorchModel` that is about layers."""

    backend: TorchBackend
    _module: nn.Module
    _recorder: Recorder
    _batches: Callable[[torch.Tensor], Sequence[torch.Tensor]] | None

    @property
    def _size_seen(self) -> int:
        """How many images pass at once where layers are looked at.

        Of a module that gets a batch in several calls a hook sees only the last of these.
        """
        return self.chunk_size if self._batches is None else 1

    def activations(self, images: Any, layer: str) -> torch.Tensor:
        """Return a layer's output, [N, H, W, C] or [N, T, D], in chunks without a graph."""
        name = self.resolve_layer(layer)
        batch = self._checked(images)
        with self.lock, autograd(False):
            chunks = [
                self._recorder.activations(part, (name,))[1][name]
                for part in torch.split(batch, self._size_seen)
            ]
        return torch.cat(chunks)

    def recorded(self, images: Any, layers: Sequence[str], gradients: bool = True) -> LayerPass:
        """Return one forward pass of a batch, kept from the earliest layer on; see the contract."""
        names = [self.resolve_layer(layer, vectors=True) for layer in layers]
        batch = self._checked(images)
        parts = [batch] if self._batches is None else list(torch.split(batch, 1))
        passes: list[TorchLayerPass] = []
        for part in parts:
            passed = TorchLayerPass(self._recorder, part, self.lock, RETAINED_BYTES, names)
            with self.lock, frozen(self._module):
                if gradients:
                    passed.start_at(names)
                else:
                    passed.look()
            passes.append(passed)
        return passes[0] if len(passes) == 1 else JoinedPass(passes, self.backend)

    def shifted_outputs(self, images: Any, layer: str, shifts: Any) -> torch.Tensor:
        """Return the outputs when something is added to a layer's output; see the contract."""
        name = self.resolve_layer(layer, vectors=True)
        batch, moves = self._checked(images), self.backend.asarray(shifts)
        if len(batch) == 1:
            batch = batch.expand(len(moves), -1, -1, -1)
        if len(moves) != len(batch):
            raise ImageError(
                f"{len(moves)} shifts were given for {len(batch)} images: give one for each."
            )
        size = self._size_seen
        with self.lock, autograd(False):
            chunks = [
                self._recorder.shifted(part, name, own)
                for part, own in zip(
                    torch.split(batch, size), torch.split(moves, size), strict=True
                )
            ]
        return torch.cat(chunks)

    @abstractmethod
    def _checked(self, images: Any) -> torch.Tensor:
        """Return images as a tensor [N, H, W, C] that autograd takes."""
