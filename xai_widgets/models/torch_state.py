"""Use a PyTorch module and leave it as it was: flags, hooks, buffers, random state."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def evaluating(
    module: nn.Module,
    buffers: Sequence[torch.Tensor] = (),
    gradients: bool = True,
    draws_random: bool = False,
) -> Iterator[None]:
    """Run a module in eval mode and restore everything the run could have changed.

    Parameters
    ----------
    module
        The user's model.
    buffers
        Buffers that the forward pass writes even in eval mode: it gets copies of them, so that
        a graph may go on using what it saved.
    gradients
        Whether autograd records, whatever the caller's mode is.
    draws_random
        The forward pass is known to draw random numbers even in eval mode: put the generators
        back afterwards. Only then, because other threads share them.
    """
    parts = [
        (part, getattr(part, "training", None), dict(part._buffers))  # frozen ones have no flag
        for part in module.modules()
    ]
    copies = {id(buffer): buffer.detach().clone() for buffer in buffers}
    cuda = (part for part in module.parameters() if part.device.type == "cuda")
    devices = {part.device.index or 0 for part in cuda} if draws_random else set()
    try:
        with torch.random.fork_rng(devices=sorted(devices), enabled=draws_random):
            for part, training, own in parts:
                if training:
                    part.training = False
                for name, buffer in own.items():
                    if id(buffer) in copies:
                        part._buffers[name] = copies[id(buffer)]
            with autograd(gradients):
                yield
    finally:
        for part, training, own in parts:
            if training is not None and part.training != training:  # modules set attributes slowly
                part.training = training
            for name, buffer in own.items():
                if name not in part._buffers or part._buffers[name] is not buffer:
                    part._buffers[name] = buffer


def find_side_effects(
    module: nn.Module, run: Callable[[torch.Tensor], Any], images: torch.Tensor
) -> tuple[list[torch.Tensor], bool, bool]:
    """Find out what a forward pass changes in eval mode, and put it back.

    Parameters
    ----------
    module
        The user's model.
    run
        Runs it in eval mode, without care for side effects.
    images
        [N, H, W, C].

    Returns
    -------
    tuple
        The buffers that it writes; whether it draws random numbers; whether it writes its input.
    """
    own = images.clone()
    before = [
        (buffer, times_written(buffer), buffer.detach().clone()) for buffer in module.buffers()
    ]
    with torch.random.fork_rng(devices=[]):
        random_state = torch.get_rng_state()
        run(own)
        draws_random = not torch.equal(random_state, torch.get_rng_state())
    moving = []
    for buffer, written, value in before:
        if times_written(buffer) != written:
            with torch.no_grad():
                buffer.copy_(value)
            moving.append(buffer)
    return moving, draws_random, times_written(own) > 0


@contextmanager
def autograd(enabled: bool = True) -> Iterator[None]:
    """Let autograd record, or not, whatever mode the caller is in."""
    with torch.inference_mode(False), torch.set_grad_enabled(enabled):
        yield


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Keep autograd from recording what only the gradients of weights would need."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def times_written(tensor: torch.Tensor) -> int:
    """Return autograd's count of in-place writes; tensors of inference mode have none."""
    return 0 if tensor.is_inference() else tensor._version


@contextmanager
def hooked(modules: Mapping[str, nn.Module], hook: Callable[[str, Any], Any]) -> Iterator[None]:
    """Call ``hook(name, output)`` after each module's forward; a returned value replaces it."""
    handles = []
    try:
        for name, module in modules.items():
            handles.append(
                module.register_forward_hook(lambda _m, _i, output, name=name: hook(name, output))
            )
        yield
    finally:
        for handle in handles:
            handle.remove()


def revived(output: Any) -> Any:
    """Let the output of a layer that carries no gradient start a graph of its own.

    So the layers behind a ``no_grad`` block have gradients, frozen weights or not. Anything that
    carries a gradient, and anything under ``no_grad``, is returned as it is.
    """
    if not isinstance(output, torch.Tensor) or output.requires_grad:
        return output
    if not torch.is_grad_enabled() or torch.is_inference_mode_enabled():
        return output
    if not output.is_floating_point():
        return output
    leaf = output.clone() if output.is_inference() else output.detach()
    return leaf.requires_grad_(True).clone()  # a copy, because leaves cannot be written in place


def training_layers(module: nn.Module) -> tuple[str, ...]:
    """Return the names of the parts in train mode that compute something else there."""
    kinds = ("batchnorm", "dropout", "droppath", "stochasticdepth", "drop_path")
    return tuple(
        name
        for name, part in module.named_modules()
        if getattr(part, "training", False)
        and (
            any(kind in type(part).__name__.lower() for kind in kinds)
            or isinstance(part, nn.modules.batchnorm._BatchNorm | nn.modules.dropout._DropoutNd)
        )
    )
