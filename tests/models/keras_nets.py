"""Small Keras models with fixed random weights, one for each trait that real models have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

SIDE = 16
L = keras.layers


def settled(model: keras.Model, seed: int = 0) -> keras.Model:
    """Give a built model weights that depend on the seed alone, all of them alive."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        name, shape = weight.path.rsplit("/", 1)[-1], tuple(weight.shape)
        if not weight.dtype.startswith(("float", "bfloat")):
            continue
        values = generator.normal(0, 1 / np.sqrt(max(1, np.prod(shape[:-1]))), shape)
        if name in ("gamma", "moving_variance", "variance"):
            values = generator.uniform(0.6, 1.4, shape)
        weight.assign(values)
    return model


def features(x: Any, activation: Any = "relu") -> Any:
    """Apply two strided convolutions, a BatchNorm between them."""
    x = L.Conv2D(5, 3, 2, padding="same", name="conv_a")(x)
    x = L.BatchNormalization(name="norm")(x)
    x = L.Activation(activation, name="act_a")(x)
    return L.Conv2D(7, 3, 2, padding="same", activation=activation, name="conv_b")(x)


def head(x: Any, n: int = 3, activation: Any = None) -> Any:
    x = L.GlobalAveragePooling2D(name="pool")(x)
    return L.Dense(n, activation=activation, name="head")(L.Dropout(0.5, name="drop")(x))


def functional(
    activation: Any = "softplus", side: int | None = SIDE, channels: int = 3, last: Any = None
) -> keras.Model:
    image = keras.Input((side, side, channels), name="image")
    scores = head(features(image, activation), activation=last)
    return settled(keras.Model(image, scores, name="functional"))


def sequential() -> keras.Model:
    parts = [
        L.Conv2D(5, 3, 2, padding="same", activation="softplus", name="conv_a"),
        L.Conv2D(7, 3, 2, padding="same", activation="softplus", name="conv_b"),
        L.GlobalAveragePooling2D(name="pool"),
        L.Dense(3, name="head"),
    ]
    return settled(keras.Sequential([L.Input((SIDE, SIDE, 3)), *parts], name="sequential"))


def nested() -> keras.Model:
    """A functional backbone inside of a sequential model inside of a functional one."""
    inner = keras.Input((SIDE, SIDE, 3))
    backbone = keras.Model(inner, features(inner, "softplus"), name="backbone")
    middle = keras.Sequential([L.Input((SIDE, SIDE, 3)), backbone], name="middle")
    image = keras.Input((SIDE, SIDE, 3))
    return settled(keras.Model(image, head(middle(image)), name="nested"))


def shared() -> keras.Model:
    """One convolution, and one small model, that run twice each."""
    inner = keras.Input((8, 8, 4))
    body = L.Conv2D(4, 3, padding="same", activation="softplus", name="inside")(inner)
    twice = keras.Model(inner, body, name="twice")
    convolution = L.Conv2D(4, 3, padding="same", activation="tanh", name="shared")
    image = keras.Input((SIDE, SIDE, 3))
    x = L.Conv2D(4, 3, 2, padding="same", name="stem")(image)
    x = convolution(convolution(x))
    x = L.Add(name="sum")([twice(twice(x)), x])
    return settled(keras.Model(image, head(x), name="shared_layers"))


def several_outputs() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    x = features(image, "softplus")
    pooled = L.GlobalAveragePooling2D()(x)
    outputs = [L.Dense(3, name="species")(pooled), L.Dense(2, name="colour")(pooled)]
    return settled(keras.Model(image, outputs, name="several"))


class Block(L.Layer):
    """A custom layer that holds other layers."""

    def __init__(self, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.convolution = L.Conv2D(width, 3, 2, padding="same", name="convolution")
        self.norm = L.BatchNormalization(name="norm")

    def call(self, x: Any, training: bool = False) -> Any:
        return keras.ops.softplus(self.norm(self.convolution(x), training=training))


class Subclassed(keras.Model):
    """A model written as a class, with something done before and after."""

    def __init__(
        self,
        before: Callable[[Any], Any] | None = None,
        after: Callable[[Any], Any] | None = None,
        width: int = 3,
    ) -> None:
        super().__init__()
        self.first = Block(5, name="first")
        self.second = Block(7, name="second")
        self.pool = L.GlobalAveragePooling2D(name="pool")
        self.scores = L.Dense(width, name="scores")
        self.before = before or (lambda x: x)
        self.after = after or (lambda x: x)

    def call(self, x: Any) -> Any:
        x = self.second(self.first(self.before(x)))
        return self.after(self.scores(self.pool(x)))


def subclassed(
    before: Callable[[Any], Any] | None = None, after: Callable[[Any], Any] | None = None
) -> keras.Model:
    model = Subclassed(before, after)
    model(np.zeros((1, SIDE, SIDE, 3), np.float32))
    return settled(model)


class Compiled(Subclassed):
    """A subclassed model whose call is a tf.function."""

    @tf.function
    def call(self, x: Any) -> Any:
        return self.scores(self.pool(self.second(self.first(x))))


def compiled() -> keras.Model:
    model = Compiled()
    model(np.zeros((7, SIDE, SIDE, 3), np.float32))
    return settled(model)


class Eager(Subclassed):
    """A model that looks at its tensors' values, and so runs eagerly only."""

    def call(self, x: Any) -> Any:
        x = self.second(self.first(x))
        if float(x.numpy().mean()) > -1e9:
            x = x * 2.0
        return self.scores(self.pool(x))


def eager() -> keras.Model:
    model = Eager()
    model(np.zeros((1, SIDE, SIDE, 3), np.float32))
    return settled(model)


KINDS: dict[str, Callable[[], keras.Model]] = {
    "sequential": sequential,
    "functional": functional,
    "nested": nested,
    "shared": shared,
    "several outputs": several_outputs,
    "subclassed": subclassed,
    "compiled": compiled,
    "eager": eager,
}


def awake(model: keras.Model, side: int) -> keras.Model:
    """Let every BatchNorm take its statistics from noise: untrained deep networks are dead."""
    norms = [part for part in model._flatten_layers() if isinstance(part, L.BatchNormalization)]
    moments = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(np.random.default_rng(0).uniform(0, 255, (4, side, side, 3)), training=True)
    for norm, momentum in zip(norms, moments, strict=True):
        norm.momentum = momentum
    return model
