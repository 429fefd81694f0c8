"""The demo vision transformer in Keras: the same layers and weights as `transformer`.

Each layer is named like its PyTorch twin with "_" for ".".
"""

from __future__ import annotations

from typing import Any

import keras

from .designs import TransformerDesign
from .keras_layers import convolution, norm

EPSILON = 1e-6
"""What every LayerNorm adds to the variance; Keras would add 1e-3."""


@keras.saving.register_keras_serializable("xai_widgets")
class ClassToken(keras.layers.Layer):  # type: ignore[misc]
    """Put one learned token before the tokens [N, T, width]."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the token."""
        self.token = self.add_weight((1, 1, input_shape[-1]), "zeros", name="token")

    def call(self, tokens: Any) -> Any:
        """Return tokens [N, 1 + T, width]."""
        n = keras.ops.shape(tokens)[0]
        token = keras.ops.broadcast_to(self.token, (n, 1, tokens.shape[-1]))
        return keras.ops.concatenate([token, tokens], 1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape with one token more."""
        n, tokens, width = input_shape
        return (n, None if tokens is None else tokens + 1, width)


@keras.saving.register_keras_serializable("xai_widgets")
class Positions(keras.layers.Layer):  # type: ignore[misc]
    """Add a learned vector to each token, by its position."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the vectors."""
        self.vectors = self.add_weight((1, *input_shape[1:]), "zeros", name="vectors")

    def call(self, tokens: Any) -> Any:
        """Return tokens [N, T, width]."""
        return tokens + self.vectors


def _dense(x: Any, name: str, features: int) -> Any:
    return keras.layers.Dense(features, kernel_initializer="zeros", name=name)(x)


def _block(x: Any, name: str, design: TransformerDesign) -> Any:
    attention = keras.layers.MultiHeadAttention(
        design.heads, design.width // design.heads, kernel_initializer="zeros", name=f"{name}_attn"
    )
    inner = keras.layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm1")(x)
    x = keras.layers.Add(name=f"{name}_add1")([x, attention(inner, inner)])
    inner = keras.layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm2")(x)
    inner = _dense(inner, f"{name}_mlp_fc1", design.hidden)
    # Keras' GELU is the exact one unless told otherwise, like PyTorch's.
    inner = keras.layers.Activation("gelu", name=f"{name}_mlp_act")(inner)
    inner = _dense(inner, f"{name}_mlp_fc2", design.width)
    return keras.layers.Add(name=f"{name}_add2")([x, inner])


def network(design: TransformerDesign, name: str) -> keras.Model:
    """Return a network with zero weights."""
    image = keras.Input((design.size, design.size, 3), name="image")
    x = image
    for i, channels in enumerate(design.stem):
        place = f"patch_embed_stem_{3 * i}"
        x = norm(convolution(x, place, channels, 2), f"patch_embed_stem_{3 * i + 1}")
        x = keras.layers.Activation("gelu", name=f"patch_embed_stem_{3 * i + 2}")(x)
    side = design.patch // 2 ** len(design.stem)
    x = keras.layers.Conv2D(
        design.width, side, side, kernel_initializer="zeros", name="patch_embed_proj"
    )(x)
    x = keras.layers.Reshape((design.grid**2, design.width), name="tokens")(x)
    x = Positions(name="pos_embed")(ClassToken(name="cls_token")(x))
    for i in range(design.depth):
        x = _block(x, f"blocks_{i}", design)
    x = keras.layers.LayerNormalization(epsilon=EPSILON, name="norm")(x)
    logits = _dense(x[:, 0], "head", design.n_classes)
    return keras.Model(image, logits, name=name.replace("-", "_"))
