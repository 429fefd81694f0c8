"""The demo networks in Keras: the same layers and the same weights as in PyTorch.

Each layer is named like its PyTorch twin with "_" for ".", so that weights are found by name.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from safetensors import safe_open

from .designs import DESIGNS, Design, weights_path

EPSILON = 1e-5
"""PyTorch's default for BatchNorm; Keras adds 1e-3 to the variance."""


def _convolution(x: Any, name: str, channels: int, stride: int, side: int = 3) -> Any:
    """Convolve with PyTorch's padding: the same on all sides, where Keras' "same" is lopsided."""
    if side > 1:
        x = keras.layers.ZeroPadding2D(side // 2, name=f"{name}_pad")(x)
    convolution = keras.layers.Conv2D(
        channels, side, stride, use_bias=False, kernel_initializer="zeros", name=name
    )
    return convolution(x)


def _norm(x: Any, name: str) -> Any:
    return keras.layers.BatchNormalization(epsilon=EPSILON, name=name)(x)


def _relu(x: Any, name: str) -> Any:
    return keras.layers.ReLU(name=name)(x)


def _block(x: Any, name: str, channels: int, stride: int) -> Any:
    shortcut = x
    if stride != 1 or x.shape[-1] != channels:
        shortcut = _convolution(x, f"{name}_shortcut_0", channels, stride, side=1)
        shortcut = _norm(shortcut, f"{name}_shortcut_1")
    x = _convolution(x, f"{name}_conv1", channels, stride)
    x = _relu(_norm(x, f"{name}_norm1"), f"{name}_relu1")
    x = _norm(_convolution(x, f"{name}_conv2", channels, 1), f"{name}_norm2")
    return _relu(keras.layers.Add(name=f"{name}_add")([x, shortcut]), f"{name}_relu2")


def network(design: Design, name: str) -> keras.Model:
    """Return a network with zero weights.

    All of them are replaced anyway, and drawing them would move the user's random state.
    """
    image = keras.Input((design.size, design.size, 3), name="image")
    x = _convolution(image, "stem_0", design.widths[0], design.stem_stride)
    x = _relu(_norm(x, "stem_1"), "stem_2")
    for i, channels in enumerate(design.widths):
        for block in (1, 2):
            stride = 2 if i > 0 and block == 1 else 1
            x = _block(x, f"stage{i + 1}_block{block}", channels, stride)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    head = keras.layers.Dense(design.n_classes, kernel_initializer="zeros", name="head")
    return keras.Model(image, head(x), name=name.replace("-", "_"))


def build(name: str) -> keras.Model:
    """Return a demo network with its trained weights.

    Parameters
    ----------
    name : str
        A key of `DESIGNS`.
    """
    model = network(DESIGNS[name], name)
    with safe_open(weights_path(name), framework="np") as file:
        stored = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(_weights_of(layer, _stored_name(layer.name), stored))
    return model


def _stored_name(name: str) -> str:
    """Return the PyTorch name: "stage1_block2_conv1" is stored as "stage1.block2.conv1"."""
    return name.replace("_", ".")


def _weights_of(layer: Any, name: str, stored: dict[str, Any]) -> list[Any]:
    """Return the weights of a layer in Keras' order and layout."""
    if isinstance(layer, keras.layers.BatchNormalization):
        parts = ("weight", "bias", "running_mean", "running_var")
        return [stored[f"{name}.{part}"].astype(np.float32) for part in parts]
    kernel = stored[f"{name}.weight"].astype(np.float32)
    if isinstance(layer, keras.layers.Conv2D):
        return [kernel.transpose(2, 3, 1, 0)]
    return [kernel.T, stored[f"{name}.bias"].astype(np.float32)]
