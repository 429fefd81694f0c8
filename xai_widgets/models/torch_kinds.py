"""What tells PyTorch modules apart: format, device, precision, inputs and outputs."""

import copy
import hashlib
from typing import Any

import torch
from torch import nn

from xai_widgets.errors import ModelError, sentence

CONVERTERS = ("onnx2torch", "onnx2pytorch", "onnx_pytorch")


def torch_format(module: nn.Module) -> str:
    """Return what a module came as: "torch", "torchscript", "torch-export" or "converted"."""
    if isinstance(module, torch.jit.ScriptModule | torch.jit.ScriptFunction):
        return "torchscript"
    if isinstance(module, torch.export.UnflattenedModule):
        return "torch-export"
    homes = {type(part).__module__.partition(".")[0] for part in module.modules()}
    return "converted" if homes & set(CONVERTERS) else "torch"


def on_device(module: nn.Module, device: str | None) -> tuple[nn.Module, torch.device]:
    """Return the module, or a copy of it on another device, and where it is.

    Raises
    ------
    ModelError
        If the device does not exist here, or the module cannot be moved.
    """
    tensors = (*module.parameters(), *module.buffers())
    own = next((tensor.device for tensor in tensors), torch.device("cpu"))
    if device is None:
        return module, own
    with sentence(ModelError, f"The device {device!r} cannot be used (devices here: {_devices()})"):
        wanted = torch.device(device)
        torch.empty(0, device=wanted)
        if wanted.type == own.type and wanted.index in (None, own.index):
            return module, own
        return copy.deepcopy(module).to(wanted), wanted


def _devices() -> str:
    found = ["cpu"]
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return ", ".join(found)


def precision_note(dtype: torch.dtype) -> tuple[str, ...]:
    """Say what a module computes in where that is not float32."""
    if dtype == torch.float32:
        return ()
    name = str(dtype).removeprefix("torch.")
    return (
        f"The model's weights are {name}: it computes in {name}, and its scores and gradients are "
        "handed on as float32.",
    )


def possible_channels(module: nn.Module) -> tuple[int, ...]:
    """Return the numbers of channels to try, from the first convolution where there is one."""
    convolution = next((part for part in module.modules() if isinstance(part, nn.Conv2d)), None)
    if convolution is None:
        return (3, 1)
    return (1,) if convolution.in_channels == 1 else (3,)


def is_compiled(module: nn.Module) -> bool:
    """Tell whether a module is a TorchScript program, which runs outside of Python."""
    return isinstance(module, torch.jit.ScriptModule | torch.jit.ScriptFunction)


def no_layers(module: nn.Module, name: str) -> str:
    """Say why a module offers no layer whose output is a feature map."""
    if isinstance(module, torch.jit.ScriptModule):
        return (
            f"{name} is a TorchScript program, whose layers are compiled into one and cannot be "
            "reached: load the original nn.Module, or its weights with architecture=, for methods "
            "that need a layer."
        )
    return f"{name} has no layer whose output is a feature map."


def frozen_program(module: nn.Module) -> bytes:
    """Return a TorchScript program whose weights became constants, b"" for any other module.

    Weights that `torch.jit.optimize_for_inference` has laid out for oneDNN are among them. What
    PyTorch's mobile optimiser packs into objects of its own cannot be read and is left out.
    """
    if not isinstance(module, torch.jit.ScriptModule) or module.state_dict():
        return b""
    parts: list[bytes] = []
    graph = module.inlined_graph  # which must outlive its nodes
    waiting: list[Any] = [graph]
    while waiting:
        for node in waiting.pop().nodes():
            parts.append(node.kind().encode())
            waiting.extend(node.blocks())
            if node.kind() == "prim::Constant":
                parts.append(_constant(node.output().toIValue()))
            elif node.hasAttribute("value") and node.kindOf("value") == "t":
                parts.append(_constant(node.t("value")))  # prim::ConstantMKLDNNTensor
    return b"".join(parts)


def hash_of_weights(module: nn.Module) -> str:
    """Return SHA-256 over names, shapes and values of all parameters and buffers."""
    digest = hashlib.sha256(frozen_program(module))
    for name, tensor in sorted(module.state_dict().items()):
        if isinstance(tensor, torch.Tensor):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            data = tensor.detach().cpu().contiguous().reshape(-1)
            digest.update(data.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _constant(value: Any) -> bytes:
    if isinstance(value, torch.Tensor):
        dense = value.to_dense() if value.is_mkldnn else value
        return dense.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return repr(value).encode() if isinstance(value, int | float | str | list | tuple) else b""


def in_batches_of(size: int, batch: torch.Tensor) -> list[torch.Tensor]:
    """Split a batch into parts of exactly ``size``, the last one filled up with its last image."""
    missing = -len(batch) % size
    if missing:
        batch = torch.cat([batch, batch[-1:].expand(missing, *batch.shape[1:])])
    return list(torch.split(batch, size))
