"""A retained PyTorch forward pass: other targets and layers cost a backward pass only."""

from typing import Any

import torch
from torch import nn

from xai_widgets.errors import LayerError, ModelError
from xai_widgets.models.base import ForwardPass, sentence
from xai_widgets.models.targets import ClassTarget
from xai_widgets.models.torch_layers import Architecture, first_tensor
from xai_widgets.models.torch_state import autograd, hooked, revived, times_written

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
    architecture
        Says which outputs a later in-place operation overwrites, so that they are kept as a copy,
        and which have their channels last.
    values
        The input [1, H, W, C].
    """

    def __init__(
        self,
        name: str,
        run: Any,
        modules: dict[str, nn.Module],
        architecture: Architecture,
        values: torch.Tensor,
    ) -> None:
        self._name = name
        self._channels_last = architecture.channels_last
        self._activations: dict[str, torch.Tensor] = {}
        self._versions: dict[str, int] = {}
        self._input = values.detach().requires_grad_(True)

        def keep(layer: str, output: Any) -> Any:
            given, output = output, revived(output) if revive else output
            tensor = first_tensor(output)
            if tensor is None:
                return None
            self._activations[layer] = tensor
            if layer in architecture.overwritten and tensor is output:
                return tensor.clone()
            self._versions[layer] = times_written(tensor)
            return None if output is given else output

        revive = True
        try:
            with hooked(modules, keep):
                self._scores = run(self._input)
        except ModelError:  # code that expects a tensor without a graph, as for .numpy()
            revive = False
            self._activations.clear()
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
        return self._arranged(layer, self._tensor(layer).detach())

    def gradient(self, target: ClassTarget, layer: str | None = None) -> torch.Tensor:
        """Return d target / d layer output, or d input where ``layer`` is None, [1, H, W, C]."""
        source = self._input if layer is None else self._tensor(layer)
        what = "its input" if layer is None else f"layer {layer!r}"
        with autograd():
            gradient = differentiate(self._name, target(self._scores), source, what, retain=True)
        return gradient.float() if layer is None else self._arranged(layer, gradient)

    def _arranged(self, layer: str, tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.float()
        if tensor.ndim != 4 or layer in self._channels_last:
            return tensor
        return tensor.permute(0, 2, 3, 1)

    def _tensor(self, layer: str) -> torch.Tensor:
        if layer not in self._activations:
            raise LayerError(f"Layer {layer!r} took no part in the forward pass of this image.")
        tensor = self._activations[layer]
        written = times_written(tensor)
        if written != self._versions.get(layer, written):
            raise LayerError(
                f"The output of layer {layer!r} is overwritten by a later in-place operation: "
                "choose the layer after it."
            )
        return tensor


def differentiate(
    name: str, scores: torch.Tensor, source: torch.Tensor, what: str, retain: bool = False
) -> torch.Tensor:
    """Return d sum(scores) / d source.

    Raises
    ------
    ModelError
        If there is no path between the two, or autograd fails.
    """
    gradient = None
    if scores.requires_grad and source.requires_grad:
        with sentence(ModelError, f"The gradient of {name} cannot be computed"):
            (gradient,) = torch.autograd.grad(
                scores.sum(), source, retain_graph=retain, allow_unused=True
            )
    if gradient is None:
        raise ModelError(NO_PATH.format(model=name, what=what))
    return gradient
