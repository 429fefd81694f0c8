"""The demo segmentation network in Keras: the same layers and weights as `unet`.

Each layer is named like its PyTorch twin with "_" for ".".
"""

from __future__ import annotations

from typing import Any

import keras

from .designs import UNetDesign
from .keras_layers import convolution, norm, relu


def _step(x: Any, name: str, position: int, channels: int, stride: int = 1) -> Any:
    x = norm(convolution(x, f"{name}_{position}", channels, stride), f"{name}_{position + 1}")
    return relu(x, f"{name}_{position + 2}")


def _up(x: Any, skip: Any, name: str, channels: int) -> Any:
    x = keras.layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_up")(x)
    x = keras.layers.Concatenate(name=f"{name}_join")([x, skip])
    return _step(x, f"{name}_conv", 0, channels)


def network(design: UNetDesign, name: str) -> keras.Model:
    """Return a network with zero weights; its logits are [N, H, W, n_classes]."""
    first, second, third, fourth = design.widths
    image = keras.Input((design.size, design.size, 3), name="image")
    full = _step(image, "stem", 0, first)
    half = _step(_step(full, "down1", 0, second, 2), "down1", 3, second)
    quarter = _step(_step(half, "down2", 0, third, 2), "down2", 3, third)
    eighth = _step(quarter, "down3", 0, fourth, 2)
    eighth = _step(_step(eighth, "down3", 3, fourth), "down3", 6, fourth)
    x = _up(eighth, quarter, "up2", third)
    x = _up(_up(x, half, "up1", second), full, "up0", first)
    head = keras.layers.Conv2D(design.n_classes, 1, kernel_initializer="zeros", name="head")
    return keras.Model(image, head(x), name=name.replace("-", "_"))
