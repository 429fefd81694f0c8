"""Read a PyTorch module's architecture off one forward pass."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from xai_widgets.models.base import Layer
from xai_widgets.models.torch_state import hooked


@dataclass(frozen=True)
class Architecture:
    """The layers of a module and which of them a later in-place operation overwrites."""

    layers: tuple[Layer, ...]
    overwritten: frozenset[str]


@dataclass(frozen=True, eq=False)
class _Output:
    """What a module returned, the tensor's version then, and whether it returned it bare."""

    tensor: torch.Tensor
    version: int
    bare: bool


def first_tensor(output: Any) -> torch.Tensor | None:
    """Return the tensor a module's output stands for: itself, or the first of a tuple or dict."""
    if isinstance(output, torch.Tensor):
        return output
    values = output.values() if hasattr(output, "values") else output
    if isinstance(values, list | tuple) or hasattr(output, "values"):
        return next((value for value in values if isinstance(value, torch.Tensor)), None)
    return None


def read_architecture(module: nn.Module, run: Callable[[], Any]) -> Architecture:
    """List the layers in the order in which ``run`` finishes them.

    Parameters
    ----------
    module
        The model.
    run
        Runs one forward pass of one image.

    Returns
    -------
    Architecture
        Feature maps [1, C, H, W] and tokens [1, T, D]; the last call where a module runs twice.
    """
    outputs: dict[str, _Output] = {}

    def record(name: str, output: Any) -> None:
        tensor = first_tensor(output)
        if tensor is not None and tensor.ndim in (3, 4) and tensor.is_floating_point():
            outputs.pop(name, None)
            outputs[name] = _Output(tensor, tensor._version, tensor is output)

    parts = {name: part for name, part in module.named_modules() if name}
    with hooked(parts, record):
        run()
    overwritten = frozenset(
        name for name, output in outputs.items() if output.tensor._version != output.version
    )
    layers = [
        Layer(name, type(parts[name]).__name__, _shape(output.tensor))
        for name, output in outputs.items()
    ]
    return Architecture(_marked(layers, outputs), overwritten)


def _shape(tensor: torch.Tensor) -> tuple[int, ...]:
    shape = tuple(tensor.shape[1:])
    return (shape[1], shape[2], shape[0]) if len(shape) == 3 else shape


def _marked(layers: list[Layer], outputs: dict[str, _Output]) -> tuple[Layer, ...]:
    """Mark the last layer at each resolution, and the coarsest of these as recommended.

    A block and the last layer inside it return the same tensor: the shorter name stands for both.
    Where tokens have the last word, as in a vision transformer, no feature map is recommended.
    """
    maps = [layer for layer in layers if layer.spatial and outputs[layer.name].bare]
    names: dict[tuple[int, tuple[int, ...]], str] = {}
    stages: dict[tuple[int, ...], Layer] = {}
    for layer in maps:
        identity = (outputs[layer.name].tensor.data_ptr(), layer.shape)
        if len(layer.name) <= len(names.get(identity, layer.name)):
            names[identity] = layer.name
    for layer in maps:
        size = layer.shape[:2]
        if size not in stages or not _inside_downsampling(layer, maps):
            stages[size] = layer
    main = {
        size: names[(outputs[layer.name].tensor.data_ptr(), layer.shape)]
        for size, layer in stages.items()
    }
    ends_in_tokens = bool(layers) and len(layers[-1].shape) == 2
    coarsest = min(main, key=lambda size: size[0] * size[1], default=None)
    recommended = None if coarsest is None or ends_in_tokens else main[coarsest]
    return tuple(
        replace(layer, main=layer.name in main.values(), recommended=layer.name == recommended)
        for layer in layers
    )


def _inside_downsampling(layer: Layer, maps: list[Layer]) -> bool:
    """Tell whether a layer is the start of a block that ends at another resolution.

    The first convolution of a downsampling block must not pass for the end of the stage before.
    A module that goes through three resolutions or more is the network, not a block.
    """
    for block in maps:
        if layer.name.startswith(block.name + ".") and block.shape[:2] != layer.shape[:2]:
            inside = {part.shape[:2] for part in maps if part.name.startswith(block.name + ".")}
            if len(inside) <= 2:
                return True
    return False
