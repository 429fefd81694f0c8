"""The same small network in PyTorch and in Keras, and its formulas by plain autograd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from tests.models.nets import SIDE, seeded
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load

FRAMEWORKS = ("torch", "tensorflow")
WIDTHS = (6, 8)
N_CLASSES = 3

Floats = npt.NDArray[np.float32]


class Net(nn.Module):
    """Two strided convolutions with activations, the mean over space, a linear head."""

    def __init__(self, activation: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.conv_a = nn.Conv2d(3, WIDTHS[0], 3, 2, 1)
        self.first = activation()
        self.conv_b = nn.Conv2d(WIDTHS[0], WIDTHS[1], 3, 2, 1)
        self.second = activation()
        self.head = nn.Linear(WIDTHS[1], N_CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.second(self.conv_b(self.first(self.conv_a(x))))
        return self.head(x.mean((2, 3)))


def net(smooth: bool = False) -> Net:
    """Return the network in PyTorch, with weights large enough for scores of some size."""
    module = seeded(Net, nn.Softplus if smooth else nn.ReLU)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(2.0)
    return module


def twin(framework: str, smooth: bool = False, side: int = SIDE) -> ExplainableModel:
    """Return the loaded network of a framework; the weights are the same in both."""
    module = net(smooth)
    return load(
        module if framework == "torch" else keras_twin(module, smooth, side), input_size=side
    )


def keras_twin(module: Net, smooth: bool, side: int) -> Any:
    import keras

    layers = keras.layers
    name = "softplus" if smooth else "relu"
    image = keras.Input((side, side, 3))
    x = layers.ZeroPadding2D(1)(image)
    x = layers.Conv2D(WIDTHS[0], 3, 2, name="conv_a")(x)
    x = layers.Activation(name, name="first")(x)
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(WIDTHS[1], 3, 2, name="conv_b")(x)
    x = layers.Activation(name, name="second")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(N_CLASSES, name="head")(x))
    for conv in ("conv_a", "conv_b"):
        source = getattr(module, conv)
        kernel = source.weight.detach().permute(2, 3, 1, 0).numpy()
        model.get_layer(conv).set_weights([kernel, source.bias.detach().numpy()])
    head = module.head
    model.get_layer("head").set_weights(
        [head.weight.detach().numpy().T, head.bias.detach().numpy()]
    )
    return model


def activation_and_gradient(
    module: nn.Module, values: Floats, layer: str, index: int
) -> tuple[Floats, Floats]:
    """Return A and d score / d A of a layer, [h, w, C] in double precision, by plain autograd."""
    kept: list[torch.Tensor] = []
    handle = module.get_submodule(layer).register_forward_hook(
        lambda _module, _inputs, output: kept.append(output)
    )
    try:
        scores = module(nchw(values))
    finally:
        handle.remove()
    (gradient,) = torch.autograd.grad(scores[0, index], kept[-1])
    found = [tensor.detach()[0].permute(1, 2, 0).numpy() for tensor in (kept[-1], gradient)]
    return found[0].astype(np.float64), found[1].astype(np.float64)


def nchw(values: Floats | Sequence[Floats]) -> torch.Tensor:
    """Return one image [H, W, C], or several, as PyTorch wants them."""
    array = np.asarray(values, dtype=np.float32)
    batch = array[None] if array.ndim == 3 else array
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(batch, 3, 1)))


def scores(module: nn.Module, values: Any, index: int) -> Floats:
    """Return a class's scores [N] of images [N, H, W, C], by a plain forward pass."""
    with torch.no_grad():
        return np.asarray(module(nchw(values))[:, index].numpy())
