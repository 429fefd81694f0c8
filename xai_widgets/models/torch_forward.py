"""A retained PyTorch forward pass: other targets and layers cost a backward pass only."""

from typing import Any

import torch
from torch import nn

from xai_widgets.errors import LayerError, ModelError
from xai_widgets.models.base import ForwardPass
from xai_widgets.models.targets import ClassTarget
from xai_widgets.models.torch_layers import first_tensor
from xai_widgets.models.torch_state import hooked

NO_PATH = (
    "The score of {model} does not depend on {what} through autograd: no_grad, detach or a NumPy "
    "round trip inside its forward pass cuts the gradient, so methods that need it cannot be used."
)


class TorchForwardPass(ForwardPass):
    """The autograd graph of one image, with the outputs of its layers.

    Parameters
    ----------
    name
        The model's name, for messages.
    run
        Runs the forward pass of [1, H, W, C] and returns float32 scores [1, K].
    modules
        The layers to keep, by name.
    overwritten
        Layers whose output a later in-place operation overwrites: they are kept as a copy.
    values
        The input [1, H, W, C].
    """

    def __init__(
        self,
        name: str,
        run: Any,
        modules: dict[str, nn.Module],
        overwritten: frozenset[str],
        values: torch.Tensor,
    ) -> None:
        self._name = name
        self._activations: dict[str, torch.Tensor] = {}
        self._versions: dict[str, int] = {}
        self._input = values.detach().requires_grad_(True)

        def keep(layer: str, output: Any) -> Any:
            tensor = first_tensor(output)
            if tensor is None:
                return None
            self._activations[layer] = tensor
            if layer in overwritten and tensor is output:
                return tensor.clone()
            self._versions[layer] = tensor._version
            return None

        with hooked(modules, keep):
            self._scores = run(self._input)
        self.scores = self._scores.detach()[0].cpu().numpy()

    @property
    def nbytes(self) -> int:
        """Bytes held by the input and the layers' outputs, each storage counted once."""
        storages = {
            tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
            for tensor in (self._input, *self._activations.values())
        }
        return sum(storages.values())

    def activation(self, layer: str) -> torch.Tensor:
        """Return the output of a layer, float32 [1, H, W, C] ([1, T, D] for tokens)."""
        return _channels_last(self._tensor(layer).detach())

    def gradient(self, target: ClassTarget, layer: str | None = None) -> torch.Tensor:
        """Return d target / d layer output, or d input where ``layer`` is None, [1, H, W, C]."""
        source = self._input if layer is None else self._tensor(layer)
        what = "its input" if layer is None else f"layer {layer!r}"
        score = target(self._scores).sum()
        if not score.requires_grad or not source.requires_grad:
            raise ModelError(NO_PATH.format(model=self._name, what=what))
        (gradient,) = torch.autograd.grad(score, source, retain_graph=True, allow_unused=True)
        if gradient is None:
            raise ModelError(NO_PATH.format(model=self._name, what=what))
        return gradient.float() if layer is None else _channels_last(gradient)

    def _tensor(self, layer: str) -> torch.Tensor:
        if layer not in self._activations:
            raise LayerError(f"Layer {layer!r} took no part in the forward pass of this image.")
        tensor = self._activations[layer]
        if tensor._version != self._versions.get(layer, tensor._version):
            raise LayerError(
                f"The output of layer {layer!r} is overwritten by an in-place operation on this "
                "image but not on others: choose the layer after it."
            )
        return tensor


def _channels_last(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.float()
    return tensor.permute(0, 2, 3, 1) if tensor.ndim == 4 else tensor
