"""Small Keras transformers with fixed random weights: with CLS and registers, and windows."""

from __future__ import annotations

from typing import Any

import keras

from tests.models.keras_nets import SIDE, L, settled

ops = keras.ops
WIDTH, HEADS = 8, 2


class Prefix(L.Layer):
    """Puts CLS and registers in front of the patches, and adds positions."""

    def __init__(self, n_prefix: int, **options: Any) -> None:
        super().__init__(**options)
        self.n_prefix = n_prefix

    def build(self, shape: Any) -> None:
        total = shape[1] + self.n_prefix
        self.extra = self.add_weight(shape=(1, self.n_prefix, shape[2]), name="extra")
        self.positions = self.add_weight(shape=(1, total, shape[2]), name="positions")

    def call(self, tokens: Any) -> Any:
        extra = ops.repeat(self.extra, ops.shape(tokens)[0], axis=0)
        return ops.concatenate([extra, tokens], axis=1) + self.positions

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], shape[1] + self.n_prefix, shape[2])


class Explicit(L.Layer):
    """Attention written out with matrix products, as many write it; or over windows."""

    def __init__(self, window: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.qkv = L.Dense(3 * WIDTH, name="qkv")
        self.out = L.Dense(WIDTH, name="out")
        self.window = window

    def call(self, x: Any) -> Any:
        n_tokens = x.shape[1]
        size = WIDTH // HEADS
        if self.window is not None:
            x = ops.reshape(x, (-1, self.window, WIDTH))
        qkv = ops.reshape(self.qkv(x), (-1, x.shape[1], 3, HEADS, size))
        q, k, v = ops.unstack(ops.transpose(qkv, (2, 0, 3, 1, 4)), 3, axis=0)
        weights = ops.softmax(ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) * size**-0.5)
        mixed = ops.transpose(ops.matmul(weights, v), (0, 2, 1, 3))
        return self.out(ops.reshape(mixed, (-1, n_tokens, WIDTH)))

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


def attend(x: Any, kind: str, name: str) -> Any:
    if kind == "fused":
        return L.MultiHeadAttention(HEADS, WIDTH // HEADS, name=name)(x, x)
    if kind == "dropout":
        return L.MultiHeadAttention(HEADS, WIDTH // HEADS, dropout=0.1, name=name)(x, x)
    if kind == "single":
        return L.Attention(name=name)([L.Dense(WIDTH)(x), L.Dense(WIDTH)(x), L.Dense(WIDTH)(x)])
    return Explicit(4 if kind == "windows" else None, name=name)(x)


def vit(kind: str = "fused", n_prefix: int = 1, pooled: bool = False, depth: int = 2) -> Any:
    """A vision transformer: 4 x 4 patches of a 16 x 16 picture, CLS and registers in front."""
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = L.Reshape((16, WIDTH), name="tokens")(L.Conv2D(WIDTH, 4, 4, name="patches")(image))
    if n_prefix:
        x = Prefix(n_prefix, name="prefix")(x)
    for i in range(depth):
        y = L.LayerNormalization(name=f"norm_{i}_a")(x)
        x = L.Add(name=f"sum_{i}_a")([x, attend(y, kind, f"attention_{i}")])
        y = L.LayerNormalization(name=f"norm_{i}_b")(x)
        y = L.Dense(2 * WIDTH, activation="gelu", name=f"wide_{i}")(y)
        x = L.Add(name=f"sum_{i}_b")([x, L.Dense(WIDTH, name=f"narrow_{i}")(y)])
    x = L.LayerNormalization(name="norm")(x)
    x = ops.mean(x, axis=1) if pooled else x[:, 0]
    model = keras.Model(image, L.Dense(3, name="head")(x), name="vit")
    return settled(model)
