"""The demo networks in Keras: the same layers and the same weights as in PyTorch.

Each layer is named like its PyTorch twin with "_" for ".", so that weights are found by name.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from safetensors import safe_open

from . import keras_transformer, keras_unet
from .designs import DESIGNS, AnyDesign, Design, TransformerDesign, UNetDesign, weights_path
from .keras_layers import convolution, norm, relu


def _block(x: Any, name: str, channels: int, stride: int) -> Any:
    shortcut = x
    if stride != 1 or x.shape[-1] != channels:
        shortcut = convolution(x, f"{name}_shortcut_0", channels, stride, side=1)
        shortcut = norm(shortcut, f"{name}_shortcut_1")
    x = convolution(x, f"{name}_conv1", channels, stride)
    x = relu(norm(x, f"{name}_norm1"), f"{name}_relu1")
    x = norm(convolution(x, f"{name}_conv2", channels, 1), f"{name}_norm2")
    return relu(keras.layers.Add(name=f"{name}_add")([x, shortcut]), f"{name}_relu2")


def network(design: AnyDesign, name: str) -> keras.Model:
    """Return a network with zero weights.

    All of them are replaced anyway, and drawing them would move the user's random state.
    """
    if isinstance(design, TransformerDesign):
        return keras_transformer.network(design, name)
    if isinstance(design, UNetDesign):
        return keras_unet.network(design, name)
    return _residual(design, name)


def _residual(design: Design, name: str) -> keras.Model:
    image = keras.Input((design.size, design.size, 3), name="image")
    x = convolution(image, "stem_0", design.widths[0], design.stem_stride)
    x = relu(norm(x, "stem_1"), "stem_2")
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
    prefixes = {key.rpartition(".")[0] for key in stored}
    names = {prefix.replace(".", "_"): prefix for prefix in prefixes}
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(_weights_of(layer, names.get(layer.name, layer.name), stored))
    return model


def _weights_of(layer: Any, name: str, stored: dict[str, Any]) -> list[Any]:
    """Return the weights of a layer in Keras' order and layout."""

    def values(*parts: str) -> list[Any]:
        return [stored[f"{name}.{part}"].astype(np.float32) for part in parts]

    if isinstance(layer, keras.layers.BatchNormalization):
        return values("weight", "bias", "running_mean", "running_var")
    if isinstance(layer, keras.layers.LayerNormalization):
        return values("weight", "bias")
    if isinstance(layer, keras.layers.MultiHeadAttention):
        return _attention(layer.num_heads, name.replace("_", "."), stored)
    if isinstance(layer, keras_transformer.ClassToken | keras_transformer.Positions):
        return [stored[name].astype(np.float32)]
    kernel, *bias = values("weight", "bias") if layer.use_bias else values("weight")
    is_convolution = isinstance(layer, keras.layers.Conv2D)
    return [kernel.transpose(2, 3, 1, 0) if is_convolution else kernel.T, *bias]


def _attention(heads: int, name: str, stored: dict[str, Any]) -> list[Any]:
    """Return kernel and bias of query, key, value and output, each apart by head."""
    kernels, biases, out, out_bias = (
        stored[f"{name}.{part}"].astype(np.float32)
        for part in ("qkv.weight", "qkv.bias", "proj.weight", "proj.bias")
    )
    width = len(out)
    weights: list[Any] = []
    for kernel, bias in zip(np.split(kernels, 3), np.split(biases, 3), strict=True):
        weights += [kernel.T.reshape(width, heads, -1), bias.reshape(heads, -1)]
    return [*weights, out.T.reshape(heads, -1, width), out_bias]
