"""Keras models with one fault each, as a layer of a functional model and in a subclass's call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

SIDE = 32
Cutter = Callable[[Any], Any]


class Step(keras.layers.Layer):
    """Applies a function."""

    def __init__(self, function: Cutter, **options: Any) -> None:
        super().__init__(**options)
        self.function = function

    def call(self, x: Any) -> Any:
        return self.function(x)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


class Sub(keras.Model):
    """Stem, fault, body, head; the fault is code of the model's own call."""

    def __init__(self, function: Cutter) -> None:
        super().__init__()
        self.stem = keras.layers.Conv2D(4, 3, 2, activation="relu", name="stem")
        self.body = keras.Sequential(
            [keras.layers.Conv2D(8, 3, 2, name="conv"), keras.layers.ReLU(name="relu")],
            name="body",
        )
        self.head = keras.layers.Dense(3, name="head")
        self.function = function

    def call(self, x: Any) -> Any:
        return self.head(tf.reduce_mean(self.body(self.function(self.stem(x))), (1, 2)))


def functional(function: Cutter) -> keras.Model:
    """Return stem, fault, body and head, the fault inside of a nested model."""
    x = keras.Input((None, None, 4))
    inner = keras.Model(x, Step(function, name="fault")(x), name="middle")
    image = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(4, 3, 2, activation="relu", name="stem")(image)
    x = keras.layers.Conv2D(8, 3, 2, activation="relu", name="body")(inner(x))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, keras.layers.Dense(3, name="head")(x))


def ending(function: Cutter) -> keras.Model:
    """Return a sound network with something after its scores."""
    image = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(4, 3, 2, activation="relu", name="stem")(image)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dense(3, name="head")(x)
    return keras.Model(image, Step(function, name="last")(x))


def seeded(make: Callable[[], keras.Model]) -> keras.Model:
    """Make a model with the same weights every time, without touching the global generators."""
    model = make()
    if not model.built:
        model(np.zeros((1, SIDE, SIDE, 3), np.float32))
    generator = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(generator.normal(0, 0.3, weight.shape))
    return model


def numpy_function(x: Any) -> Any:
    return tf.ensure_shape(tf.numpy_function(lambda a: a * 2, [x], tf.float32), x.shape)


def py_function(x: Any) -> Any:
    done = tf.py_function(lambda a: tf.constant(a.numpy() * 2), [x], tf.float32)
    return tf.ensure_shape(done, x.shape)


@tf.custom_gradient
def no_gradient(x: Any) -> Any:
    return x * 2, lambda upstream: tf.zeros_like(upstream)


FAULTS: dict[str, tuple[str, Cutter]] = {
    "stop_gradient": ("stop_gradient", tf.stop_gradient),
    "keras.ops.stop_gradient": ("stop_gradient", keras.ops.stop_gradient),
    "numpy_function": ("numpy", numpy_function),
    "py_function": ("numpy", py_function),
    "argmax": ("argmax", lambda x: tf.one_hot(tf.argmax(x, -1), 4)),
    "cast": ("integer", lambda x: tf.cast(tf.cast(x * 10, tf.int32), tf.float32)),
    "compare": ("integer", lambda x: tf.cast(x > 0.1, tf.float32)),
    "round": ("integer", tf.round),
    "NaN": ("not_finite", lambda x: x + tf.sqrt(x * 0)),
    "tiny": ("vanishing", lambda x: x * 1e-13 + 1),
    "dead": ("dead", lambda x: tf.nn.relu(x - 1e4)),
    "saturated": ("saturated", lambda x: tf.sigmoid(x * 10 + 1e3)),
}


@dataclass(frozen=True)
class Case:
    """A faulty model, and what the check has to say of it."""

    make: Callable[[], keras.Model]
    cause: str
    layer: str
    verdict: str


CASES: dict[str, Case] = {
    ".numpy() in the call": Case(
        lambda: Sub(lambda x: tf.constant(x.numpy())), "numpy", "stem", "inference-only"
    ),
    "NumPy on a tensor in the call": Case(
        lambda: Sub(lambda x: tf.constant(np.tanh(x))), "numpy", "stem", "inference-only"
    ),
    "float() in the call": Case(
        lambda: Sub(lambda x: tf.ones_like(x) * float(tf.reduce_mean(x))),
        "item",
        "stem",
        "layer-gradients-only",
    ),
    "stopped scores": Case(
        lambda: ending(tf.stop_gradient), "stop_gradient", "last", "inference-only"
    ),
}
for _name, (_cause, _function) in FAULTS.items():
    CASES[f"{_name} in a layer"] = Case(
        lambda f=_function: functional(f), _cause, "middle/fault", "layer-gradients-only"
    )
for _name in ("stop_gradient", "numpy_function", "argmax", "cast"):
    _cause, _function = FAULTS[_name]
    CASES[f"{_name} in the call"] = Case(
        lambda f=_function: Sub(f), _cause, "stem", "layer-gradients-only"
    )
