"""Layers of the demo networks in Keras that do exactly what their PyTorch twins do."""

from __future__ import annotations

from typing import Any

import keras

EPSILON = 1e-5
"""PyTorch's default for BatchNorm; Keras adds 1e-3 to the variance."""


def convolution(x: Any, name: str, channels: int, stride: int, side: int = 3) -> Any:
    """Convolve with PyTorch's padding: the same on all sides, where Keras' "same" is lopsided."""
    if side > 1:
        x = keras.layers.ZeroPadding2D(side // 2, name=f"{name}_pad")(x)
    layer = keras.layers.Conv2D(
        channels, side, stride, use_bias=False, kernel_initializer="zeros", name=name
    )
    return layer(x)


def norm(x: Any, name: str) -> Any:
    """Normalise over the batch."""
    return keras.layers.BatchNormalization(epsilon=EPSILON, name=name)(x)


def relu(x: Any, name: str) -> Any:
    """Cut off what is negative."""
    return keras.layers.ReLU(name=name)(x)
