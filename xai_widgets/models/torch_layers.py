"""Read a PyTorch module's architecture off one forward pass."""

from collections import Counter
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from xai_widgets.errors import ModelError
from xai_widgets.models.architecture import Layer
from xai_widgets.models.layers import LayerOutput, marked
from xai_widgets.models.torch_state import hooked, times_written


@dataclass(frozen=True)
class Architecture:
    """The layers of a module.

    Attributes
    ----------
    layers
        Feature maps and tokens, in the order in which they finish.
    vectors
        Layers that return one vector an image.
    calls
        How often each of them runs in a forward pass.
    channels_last
        Those whose output is [N, H, W, C], as inside ConvNeXt and Swin, and not [N, C, H, W].
    graph_bytes
        For each layer, and None for the input: the bytes of all outputs from there on, an estimate
        of what autograd keeps of one image.
    input_elements
        How many values the image had that this was read off with.
    """

    layers: tuple[Layer, ...]
    vectors: tuple[Layer, ...]
    calls: Mapping[str, int]
    channels_last: frozenset[str]
    graph_bytes: Mapping[str | None, int]
    input_elements: int


@dataclass(frozen=True, eq=False)
class _Output:
    """What a call returned, how often it was written then, bare or not, and its layout."""

    call: int
    tensor: torch.Tensor
    written: int
    bare: bool
    channels_last: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape without the batch axis, channels last."""
        shape = tuple(self.tensor.shape[1:])
        return shape if len(shape) < 3 or self.channels_last else (*shape[1:], shape[0])

    @property
    def identity(self) -> tuple[int, int, tuple[int, ...]]:
        """Equal for a block and the last layer inside it, which return the same values."""
        return (self.tensor.data_ptr(), self.written, self.shape)


def first_tensor(output: Any) -> torch.Tensor | None:
    """Return the tensor a module's output stands for: itself, or the first of a tuple or dict."""
    if isinstance(output, torch.Tensor):
        return output
    values = output.values() if hasattr(output, "values") else output
    if isinstance(values, list | tuple) or hasattr(output, "values"):
        return next((value for value in values if isinstance(value, torch.Tensor)), None)
    return None


def with_first_tensor(output: Any, tensor: torch.Tensor) -> Any:
    """Return a module's output with another tensor in the place of its first one."""
    if isinstance(output, torch.Tensor):
        return tensor
    if isinstance(output, list | tuple):
        at = next(i for i, value in enumerate(output) if isinstance(value, torch.Tensor))
        values = [*output[:at], tensor, *output[at + 1 :]]
        make: Any = getattr(type(output), "_make", type(output))
        return make(values)
    changed = copy(output)
    name = next(name for name, value in output.items() if isinstance(value, torch.Tensor))
    changed[name] = tensor
    return changed


def read_architecture(
    module: nn.Module,
    run: Callable[[torch.Tensor], torch.Tensor],
    image: torch.Tensor,
    copies: int | None = None,
) -> tuple[Architecture, torch.Tensor]:
    """List the layers in the order in which ``run`` finishes them.

    Parameters
    ----------
    module
        The model.
    run
        Runs the forward pass.
    image
        One image, as ``run`` takes it.
    copies
        How often the module gets it, where it takes batches of one size alone; None where it takes
        any, which a batch of two then tells the layers from position biases [1, heads, T, T] by.

    Returns
    -------
    architecture
        Feature maps [1, C, H, W], tokens [1, T, D] and vectors [1, D]; the last call where a module
        runs twice.
    outputs
        What ``run`` returned for the image.
    """
    outputs: dict[str, _Output] = {}
    calls: Counter[str] = Counter()
    layouts: dict[torch.Size, bool] = {}

    def record(name: str, output: Any) -> None:
        calls[name] += 1
        tensor = first_tensor(output)
        if tensor is None or tensor.ndim not in (2, 3, 4) or not tensor.is_floating_point():
            return
        if len(tensor) != (copies or 1):  # windows or heads in place of the batch
            return
        last = _is_channels_last(parts[name], tensor.shape, layouts.get(tensor.shape, False))
        layouts[tensor.shape] = last
        outputs.pop(name, None)
        outputs[name] = _Output(calls[name], tensor, times_written(tensor), tensor is output, last)

    parts = {
        name: part
        for name, part in module.named_modules()
        if name and not isinstance(part, torch.jit.ScriptModule)  # which takes no hooks
    }
    with hooked(parts, record):
        returned = run(image)
    if copies is None:
        lengths = _lengths_of_two(parts, run, image)
        for name, out in list(outputs.items()):
            if lengths.get((name, out.call), 2) != 2:
                del outputs[name]
    found = [
        LayerOutput(Layer(name, type(parts[name]).__name__, out.shape), out.identity, out.bare)
        for name, out in outputs.items()
    ]
    layers = marked(
        [entry for entry in found if len(entry.layer.shape) > 1],
        (int(image.shape[1]), int(image.shape[2])),
    )
    vectors = tuple(entry.layer for entry in found if len(entry.layer.shape) == 1)
    channels_last = frozenset(name for name, out in outputs.items() if out.channels_last)
    sizes = _graph_bytes(outputs)
    return Architecture(layers, vectors, calls, channels_last, sizes, image.numel()), returned


def _lengths_of_two(
    parts: Mapping[str, nn.Module], run: Callable[[torch.Tensor], Any], image: torch.Tensor
) -> dict[tuple[str, int], int]:
    """Return the length of what each call of a module returns for an image given twice.

    Nothing where a module takes one image at a time.
    """
    lengths: dict[tuple[str, int], int] = {}
    calls: Counter[str] = Counter()

    def record(name: str, output: Any) -> None:
        calls[name] += 1
        tensor = first_tensor(output)
        if tensor is not None and tensor.ndim:
            lengths[name, calls[name]] = len(tensor)

    try:
        with hooked(parts, record):
            run(torch.cat([image, image]))
    except ModelError:
        return {}
    return lengths


def _graph_bytes(outputs: dict[str, _Output]) -> dict[str | None, int]:
    """Add up the outputs from each layer to the end, each storage once."""
    sizes: dict[str | None, int] = {}
    seen: set[int] = set()
    total = 0
    for name, output in reversed(outputs.items()):
        storage = output.tensor.untyped_storage()
        total += 0 if storage.data_ptr() in seen else storage.nbytes()
        seen.add(storage.data_ptr())
        sizes[name] = total
    return {None: total, **sizes}


def _is_channels_last(part: nn.Module, shape: torch.Size, before: bool) -> bool:
    """Tell whether an output [1, ?, ?, ?] is [N, H, W, C].

    Linear layers and convolutions are certain, and most layer norms; any other module keeps the
    layout that an output of the same shape had ``before`` it.
    """
    if isinstance(part, nn.Linear | nn.Conv2d) or len(shape) != 4:
        return isinstance(part, nn.Linear) and len(shape) == 4
    width = part.normalized_shape[-1] if isinstance(part, nn.LayerNorm) else None
    fits = [axis for axis in (1, 3) if shape[axis] == width]
    return fits == [3] if len(fits) == 1 else before
