"""Use other weights in a PyTorch module for a while, without writing to the user's own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from xai_widgets.errors import ModelError
from xai_widgets.models.torch_state import autograd

Change = Callable[[str, npt.NDArray[np.float32]], npt.NDArray[np.float32]]


@contextmanager
def exchanged(module: nn.Module, change: Change) -> Iterator[None]:
    """Put other parameter objects in the places of the module's own, and its own back afterwards.

    The user's tensors are read and never written: they come back as the same objects, bit by bit.
    A parameter that stands in several places, as tied weights do, is changed once.

    Parameters
    ----------
    module
        The model.
    change
        Gets the name and the value of each parameter, float32, and returns the value to use.

    Raises
    ------
    ModelError
        If a value has another shape.
    """
    places = [
        (part, key, parameter, f"{path}.{key}" if path else key)
        for path, part in module.named_modules()
        for key, parameter in part._parameters.items()
        if parameter is not None
    ]
    others: dict[int, nn.Parameter] = {}
    try:
        for part, key, parameter, name in places:
            if id(parameter) not in others and parameter.is_floating_point():
                others[id(parameter)] = _changed(name, parameter, change)
            if id(parameter) in others:
                part._parameters[key] = others[id(parameter)]
        yield
    finally:
        for part, key, parameter, _ in places:
            part._parameters[key] = parameter


def _changed(name: str, parameter: nn.Parameter, change: Change) -> nn.Parameter:
    own = np.array(
        parameter.detach().to("cpu", torch.float32).numpy()
    )  # a copy, free to be written
    values = np.asarray(change(name, own), dtype=np.float32)
    if values.shape != tuple(parameter.shape):
        raise ModelError(
            f"The new weights for {name!r} have shape {list(values.shape)}: expected "
            f"{list(parameter.shape)}."
        )
    with autograd(False):
        tensor = torch.tensor(values).to(parameter.device, parameter.dtype)
        if parameter.is_contiguous(memory_format=torch.channels_last) and parameter.ndim == 4:
            tensor = tensor.contiguous(memory_format=torch.channels_last)
    return nn.Parameter(tensor, requires_grad=parameter.requires_grad)
