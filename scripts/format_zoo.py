"""One small model in every format, for the table of formats and for the tests."""

from __future__ import annotations

import importlib.util
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

SIDE = 32
LABELS = ("cat", "dog", "fox")


@dataclass(frozen=True)
class Specimen:
    """A model in one format.

    Attributes
    ----------
    title
        Its name in the table.
    format
        The format it must be recognised as.
    make
        Writes it into a folder and returns what `load` takes.
    options
        Further arguments of `load`.
    """

    title: str
    format: str
    make: Callable[[Path], Any]
    options: dict[str, Any] = field(default_factory=dict)


def network(n_classes: int = 3) -> nn.Module:
    """Return a network of two strided convolutions with fixed weights, in eval mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(6, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, n_classes),
        ).eval()


def example(n_images: int = 1) -> torch.Tensor:
    """Return noise of the input's shape, [N, 3, SIDE, SIDE]."""
    return torch.rand(n_images, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def keras_network(n_classes: int = 3) -> Any:
    """Return the Keras twin of `network`: the same weights, the same scores."""
    import keras

    inputs = keras.Input((SIDE, SIDE, 3))
    x = inputs
    for i, channels in enumerate((6, 8)):
        x = keras.layers.ZeroPadding2D(1, name=f"pad{i}")(x)
        x = keras.layers.Conv2D(channels, 3, strides=2, activation="relu", name=f"conv{i}")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(n_classes, name="head")(x))
    own = network(n_classes)
    for name, index in (("conv0", 0), ("conv1", 2), ("head", 6)):
        weight, bias = own[index].weight.detach(), own[index].bias.detach()
        kernel = weight.T if weight.ndim == 2 else weight.permute(2, 3, 1, 0)
        model.get_layer(name).set_weights([kernel.numpy(), bias.numpy()])
    return model


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what exporters say about the future to themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def safetensors(folder: Path) -> Path:
    from safetensors.torch import save_file

    save_file(network().state_dict(), folder / "weights.safetensors")
    return folder / "weights.safetensors"


def state_dict(folder: Path) -> Path:
    torch.save(network().state_dict(), folder / "weights.pt")
    return folder / "weights.pt"


def torchscript(folder: Path, finish: Callable[[Any], Any] | None = None) -> Path:
    with quiet():
        module = torch.jit.script(network())
        torch.jit.save(module if finish is None else finish(module), folder / "script.pt")
    return folder / "script.pt"


def optimised() -> Any:
    """Return a program whose operations were replaced by faster ones without gradients."""
    with quiet():
        return torch.jit.optimize_for_inference(torch.jit.script(network()))


def exported(folder: Path, dynamic: bool = True) -> Path:
    with quiet():
        shapes = ({0: torch.export.Dim("batch", min=1, max=256)},) if dynamic else None
        images = example(2 if dynamic else 1)
        program = torch.export.export(network(), (images,), dynamic_shapes=shapes)
        torch.export.save(program, folder / "program.pt2")
    return folder / "program.pt2"


def keras_file(folder: Path, suffix: str = ".keras") -> Path:
    with quiet():
        keras_network().save(folder / f"model{suffix}")
    return folder / f"model{suffix}"


def saved_model(folder: Path) -> Path:
    with quiet():
        keras_network().export(folder / "saved_model", verbose=False)
    return folder / "saved_model"


def onnx_file(folder: Path, batch: bool = True) -> Path:
    """Write ONNX by hand: torch's exporters need minutes of imports, a graph does not."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    own = network()
    weights = {name: value.numpy() for name, value in own.state_dict().items()}
    convolution = {"strides": [2, 2], "pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}
    nodes = [
        helper.make_node("Conv", ["images", "0.weight", "0.bias"], ["a"], **convolution),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "2.weight", "2.bias"], ["c"], **convolution),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("GlobalAveragePool", ["d"], ["e"]),
        helper.make_node("Flatten", ["e"], ["f"]),
        helper.make_node("Gemm", ["f", "6.weight", "6.bias"], ["scores"], transB=1),
    ]
    first: Any = "batch" if batch else 1
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [first, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [first, 3])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(folder / "model.onnx"))
    return folder / "model.onnx"


def frozen_graph(folder: Path) -> Path:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    model = keras_network()
    function = tf.function(lambda images: model(images)).get_concrete_function(
        tf.TensorSpec((None, SIDE, SIDE, 3), tf.float32)
    )
    graph = convert_variables_to_constants_v2(function).graph.as_graph_def()
    (folder / "graph.pb").write_bytes(graph.SerializeToString())
    return folder / "graph.pb"


def converted(folder: Path) -> nn.Module:
    with torchvision_for_import(), quiet():
        import onnx2torch

        module: nn.Module = onnx2torch.convert(str(onnx_file(folder)))
    return module


@contextmanager
def torchvision_for_import() -> Iterator[None]:
    """Let onnx2torch be imported without torchvision, which it needs for two operators only."""
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is not None:
        yield
        return
    package, ops = types.ModuleType("torchvision"), types.ModuleType("torchvision.ops")
    package.ops = ops  # type: ignore[attr-defined]
    ops.roi_align = ops.nms = None  # type: ignore[attr-defined]
    sys.modules.update({"torchvision": package, "torchvision.ops": ops})
    try:
        yield
    finally:
        del sys.modules["torchvision"], sys.modules["torchvision.ops"]


TRUST = {"trust": True, "input_size": SIDE}
WEIGHTS = {"architecture": network, "input_size": SIDE}

ZOO: tuple[Specimen, ...] = (
    Specimen("PyTorch module", "torch", lambda _: network(), {"input_size": SIDE}),
    Specimen("weights, safetensors", "torch", safetensors, WEIGHTS),
    Specimen("weights, state_dict", "torch", state_dict, WEIGHTS),
    Specimen("TorchScript", "torchscript", torchscript, TRUST),
    Specimen(
        "TorchScript, frozen",
        "torchscript",
        lambda path: torchscript(path, torch.jit.freeze),
        TRUST,
    ),
    Specimen(
        "TorchScript, optimised for inference",
        "torchscript",
        lambda _: optimised(),
        {"input_size": SIDE},
    ),
    Specimen("torch.export, any batch", "torch-export", exported),
    Specimen("torch.export, batch of 1", "torch-export", lambda path: exported(path, False)),
    Specimen("Keras model", "keras", lambda _: keras_network()),
    Specimen("Keras file, .keras", "keras", keras_file),
    Specimen("Keras file, .h5", "keras", lambda path: keras_file(path, ".h5")),
    Specimen("SavedModel", "savedmodel", saved_model, {"trust": True}),
    Specimen("ONNX, any batch", "onnx", onnx_file),
    Specimen("ONNX, batch of 1", "onnx", lambda path: onnx_file(path, False)),
    Specimen("frozen graph", "frozen-graph", frozen_graph),
    Specimen("converted back from ONNX", "converted", converted, {"input_size": SIDE}),
)
