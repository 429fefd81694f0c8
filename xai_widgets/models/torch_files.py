"""Open PyTorch's files: TorchScript, torch.export programs, pickles, weights and safetensors."""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xai_widgets.errors import ModelError, TrustError, sentence
from xai_widgets.models.carried import carried_beside
from xai_widgets.models.opened import Opened, refusal
from xai_widgets.models.optional import need
from xai_widgets.models.torch_weights import filled, find_weights

SAFE_TORCH = (
    "Save the weights alone (safetensors, or torch.save(model.state_dict(), ...)) and load them "
    "with architecture=, or export the model with torch.export.save (.pt2)."
)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep deprecation warnings, which are for the file's author, from the file's reader."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (DeprecationWarning, FutureWarning, UserWarning))
        yield


def open_torchscript(path: Path, trust: bool) -> Opened:
    """Open a TorchScript archive, which is a program.

    Raises
    ------
    TrustError
        Unless it is trusted.
    ModelError
        If it is damaged.
    """
    if not trust:
        raise TrustError(
            refusal(path.name, "is a TorchScript archive, which holds a program", SAFE_TORCH)
        )
    torch = need("torch", f"The TorchScript file {path.name}")
    with sentence(ModelError, f"{path.name} cannot be opened as TorchScript"), quiet():
        module = torch.jit.load(str(path), map_location="cpu")
    return Opened(module, "torchscript", trusted=True, carried=carried_beside(path.parent))


def open_exported(path: Path, trust: bool) -> Opened:
    """Open a torch.export program (.pt2), after looking for anything in it that could run code.

    Raises
    ------
    TrustError
        If there is something and it is not trusted.
    ModelError
        If the file is damaged.
    """
    from xai_widgets.models.torch_export_file import find_code

    torch = need("torch", f"The exported program {path.name}")
    code = find_code(path, torch)
    if code is not None and not trust:
        instead = "Export the model again from PyTorch's own operations, or save its weights alone."
        raise TrustError(refusal(path.name, f"is an exported program that {code}", instead))
    with sentence(ModelError, f"{path.name} cannot be opened as a torch.export program"), quiet():
        program = torch.export.load(str(path))
    carried = carried_beside(path.parent)
    return Opened(program, "torch-export", trusted=code is not None, carried=carried)


def open_pickle(path: Path, trust: bool, architecture: Callable[[], Any] | None) -> Opened:
    """Open what ``torch.save`` wrote: weights are read as data, objects need trust.

    Raises
    ------
    TrustError
        If it holds objects and is not trusted.
    ModelError
        If it is damaged, holds no model, or its weights do not fit the architecture.
    """
    torch = need("torch", f"The PyTorch file {path.name}")
    content, trusted = _unpickled(path, trust, torch)
    if isinstance(content, torch.nn.Module):
        return Opened(content, "torch", trusted=trusted, carried=carried_beside(path.parent))
    weights, where = find_weights(content, path.name)
    return _filled(path, weights, architecture, where, trusted)


def open_safetensors(path: Path, architecture: Callable[[], Any] | None) -> Opened:
    """Open a safetensors file, which can hold nothing but weights.

    Raises
    ------
    ModelError
        If it is damaged, or its weights do not fit the architecture.
    """
    need("torch", f"The weights file {path.name}")
    from safetensors.torch import load_file

    with sentence(ModelError, f"{path.name} cannot be read as safetensors"):
        weights = load_file(path)
    return _filled(path, weights, architecture)


def _filled(
    path: Path,
    weights: Mapping[str, Any],
    architecture: Callable[[], Any] | None,
    where: str | None = None,
    trusted: bool = False,
) -> Opened:
    if architecture is None:
        raise ModelError(
            f"{path.name} holds weights alone ({len(weights)} tensors): pass architecture=, a "
            "function that returns the module they belong to."
        )
    module, notes = filled(architecture, weights, path.name)
    if where is not None:
        notes = (f"The weights were found under {where!r} in {path.name}.", *notes)
    carried = carried_beside(path.parent)
    return Opened(module, "torch", trusted=trusted, carried=carried, notes=notes)


def _unpickled(path: Path, trust: bool, torch: Any) -> tuple[Any, bool]:
    """Return the content, and whether reading it needed trust."""
    from pickle import UnpicklingError

    try:
        with quiet():
            return torch.load(path, map_location="cpu", weights_only=True), False
    except UnpicklingError as error:
        reason = str(error)
    except Exception as error:
        raise ModelError(
            f"{path.name} cannot be read as a PyTorch file "
            f"({' '.join(str(error).split())[:200] or type(error).__name__}): it is truncated or "
            "damaged. Copy or save it again."
        ) from error
    if not trust:
        found = re.search(r"GLOBAL ([\w.]+)|global[^\w]+([\w]+\.[\w.]+)", reason)
        name = "" if found is None else f" ({next(filter(None, found.groups())).rstrip('.')})"
        what = f"is a pickle that holds objects{name}, and unpickling runs the code they name"
        raise TrustError(refusal(path.name, what, SAFE_TORCH))
    with sentence(ModelError, f"{path.name} cannot be unpickled"), quiet():
        return torch.load(path, map_location="cpu", weights_only=False), True
