"""Look at the layers of a PyTorch module, and move what they return, in batches."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from xai_widgets.errors import ImageError, ModelError
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.layered import Step
from xai_widgets.models.primitives import JoinedPass, LayerPass
from xai_widgets.models.torch_backend import TorchBackend
from xai_widgets.models.torch_forward import TorchLayerPass, laid_out
from xai_widgets.models.torch_recording import Recorder
from xai_widgets.models.torch_state import autograd, frozen

RETAINED_BYTES = 2 * 1024**3
SHIFTED = 4
"""Chunks that go on together from where one image becomes many."""
AGREEMENT = 1e-4
"""How far outputs of the same image may differ between batches, to the largest of them."""


class TorchLayers(ExplainableModel):
    """The part of `TorchModel` that is about layers."""

    backend: TorchBackend
    _module: nn.Module
    _recorder: Recorder
    _batches: Callable[[torch.Tensor], Sequence[torch.Tensor]] | None
    _takes_one: dict[str, bool]

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

    def compiled(self, step: Callable[..., tuple[Any, ...]], layers: Sequence[str | None]) -> Step:
        """Return a step of work that goes through the model; see the contract."""
        names = [
            layer if layer is None else self.resolve_layer(layer, vectors=True) for layer in layers
        ]

        def look(images: torch.Tensor) -> Mapping[str | None, torch.Tensor]:
            batch = laid_out(self._checked(images))
            if self._batches is None:
                return self._recorder.seen(batch, names)
            rows = [self._recorder.seen(row, names) for row in torch.split(batch, 1)]
            return {name: torch.cat([row[name] for row in rows]) for name in names}

        def run(*arrays: Any) -> tuple[Any, ...]:
            with self.lock, autograd(False), frozen(self._module):
                return step(look, *map(self.backend.asarray, arrays))

        return run

    def shifted_outputs(self, images: Any, layer: str, shifts: Any) -> torch.Tensor:
        """Return the outputs when something is added to a layer's output; see the contract."""
        name = self.resolve_layer(layer, vectors=True)
        batch, moves = self._checked(images), self.backend.asarray(shifts)
        one = len(batch) == 1 < len(moves)
        batch = batch.expand(len(moves), -1, -1, -1) if one else batch
        if len(moves) != len(batch):
            raise ImageError(
                f"{len(moves)} shifts were given for {len(batch)} images: give one for each."
            )
        with self.lock, autograd(False):
            if one and self._batches is None and self._takes_one.get(name, True):
                found = self._shifted_from_one(batch, name, moves)
                if found is not None:
                    return found
            return self._shifted(batch, name, moves, self._size_seen)

    def _shifted(
        self, batch: torch.Tensor, layer: str, moves: torch.Tensor, size: int
    ) -> torch.Tensor:
        parts = zip(torch.split(batch, size), torch.split(moves, size), strict=True)
        return torch.cat([self._recorder.shifted(part, layer, own) for part, own in parts])

    def _shifted_from_one(
        self, batch: torch.Tensor, layer: str, moves: torch.Tensor
    ) -> torch.Tensor | None:
        """Return the outputs of one image many times, which runs once up to the layer.

        There, adding the shifts makes one many. Code that knows the size of the batch from before
        the layer may fail on that, or mix the images up: None where, at the first time, the first
        outputs differ from those of the first shift by itself.
        """

        def first_alone(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            return (inputs[0][:1], *inputs[1:])

        known = layer in self._takes_one
        expected = None if known else self._recorder.shifted(batch[:1], layer, moves[:1])
        handle = self._module.register_forward_pre_hook(first_alone)
        try:
            found = self._shifted(batch, layer, moves, SHIFTED * self.chunk_size)
        except ModelError:
            self._takes_one[layer] = False
            return None
        finally:
            handle.remove()
        if expected is not None:
            tolerance = AGREEMENT * float(expected.abs().max())
            same = torch.allclose(found[:1], expected, rtol=0, atol=tolerance)
            self._takes_one[layer] = same
        return found if self._takes_one[layer] else None

    @abstractmethod
    def _checked(self, images: Any) -> torch.Tensor:
        """Return images as a tensor [N, H, W, C] that autograd takes."""
