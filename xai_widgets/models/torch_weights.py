"""Put weights from a file into the module they belong to, and say where they do not fit."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from xai_widgets.errors import ModelError, sentence

PLACES = (
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "weights",
    "network",
    "net",
    "params",
    "model_ema",
    "state_dict_ema",
)
"""Where training programs put the weights in their checkpoints."""
SHOWN = 3


def find_weights(content: Any, file: str) -> tuple[Mapping[str, torch.Tensor], str | None]:
    """Return the weights in a checkpoint, and the key they were found under.

    Raises
    ------
    ModelError
        If there are none.
    """
    if _are_weights(content):
        return content, None
    if isinstance(content, Mapping):
        for place in PLACES:
            if _are_weights(content.get(place)):
                return content[place], place
        keys = ", ".join(repr(str(key)) for key in list(content)[:8])
        raise ModelError(
            f"{file} holds a dictionary with {keys or 'nothing'}: none of these are the weights of "
            "a model. Save model.state_dict() alone."
        )
    raise ModelError(
        f"{file} holds a {type(content).__name__}, which is neither model nor weights."
    )


def _are_weights(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(isinstance(value, torch.Tensor) for value in content.values())
        and all(isinstance(key, str) for key in content)
    )


def filled(
    architecture: Callable[[], Any], weights: Mapping[str, torch.Tensor], file: str
) -> tuple[nn.Module, tuple[str, ...]]:
    """Make a module and put weights into it.

    Parameters
    ----------
    architecture
        Returns the module; a module instead of a function is copied.
    weights
        Tensors by name.
    file
        The file's name, for messages.

    Returns
    -------
    tuple
        The module in eval mode, and sentences on what was assumed.

    Raises
    ------
    ModelError
        If the architecture makes no module, or the two do not fit: names the first few that differ.
    """
    if isinstance(architecture, nn.Module):
        module: Any = copy.deepcopy(architecture)
    else:
        if not callable(architecture):
            raise ModelError(
                f"The architecture is a {type(architecture).__name__}: give a function without "
                "arguments that returns the module."
            )
        with sentence(ModelError, "The function given as architecture= failed"):
            module = architecture()
    if not isinstance(module, nn.Module):
        raise ModelError(
            f"The function given as architecture= returned a {type(module).__name__}: the weights "
            f"in {file} need a torch.nn.Module."
        )
    notes: list[str] = []
    own = module.state_dict()
    weights = _without_prefix(weights, own, notes)
    _compare(own, weights, type(module).__name__, file)
    kinds = {(value.dtype, own[name].dtype) for name, value in weights.items()}
    for found, wanted in sorted(kinds, key=str):
        if found != wanted and found.is_floating_point:
            notes.append(
                f"Weights in {file} are {_name(found)} and were converted to the module's "
                f"{_name(wanted)}."
            )
    with sentence(ModelError, f"The weights in {file} cannot be put into the module"):
        module.load_state_dict(dict(weights), strict=False)
    return module.eval(), tuple(notes)


def _without_prefix(
    weights: Mapping[str, torch.Tensor], own: Mapping[str, Any], notes: list[str]
) -> Mapping[str, torch.Tensor]:
    """Take away what DataParallel and torch.compile put before every name."""
    for prefix in ("module.", "_orig_mod.", "model."):
        wrapped = all(name.startswith(prefix) for name in weights)
        if wrapped and not any(name.startswith(prefix) for name in own):
            notes.append(f"The weights' names begin with {prefix!r}, which was taken away.")
            return {name.removeprefix(prefix): value for name, value in weights.items()}
    return weights


def _compare(
    own: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor], module: str, file: str
) -> None:
    missing = [
        name for name in own if name not in weights and not name.endswith("num_batches_tracked")
    ]
    unexpected = [name for name in weights if name not in own]
    shapes = [
        f"{name!r} ({list(value.shape)} in the file, {list(own[name].shape)} in the module)"
        for name, value in weights.items()
        if name in own and value.shape != own[name].shape
    ]
    parts = [
        f"{what} {_first([repr(name) for name in names])}"
        for what, names in (("the file lacks", missing), ("the module has no", unexpected))
        if names
    ]
    if shapes:
        parts.append(f"shapes differ at {_first(shapes)}")
    if parts:
        raise ModelError(
            f"The weights in {file} do not fit {module}: {'; '.join(parts)}. Give the architecture "
            "that they were trained with."
        )


def _first(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
