"""After any call, failed and cancelled ones included, the user's Keras model is as it was."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.keras_nets import SIDE, L, features, head, settled
from tests.models.nets import picture
from xai_widgets.errors import ModelError
from xai_widgets.explainers.run import explain, explain_stream
from xai_widgets.models.loading import load

QUICK: dict[str, dict[str, Any]] = {
    "smoothgrad": {"n_samples": 3},
    "integrated_gradients": {"n_steps": 4},
}


def batch(n: int) -> Any:
    return np.random.default_rng(0).random((n, SIDE, SIDE, 3), dtype=np.float32)


def state(model: keras.Model) -> dict[str, Any]:
    """Return everything of a model and its surroundings that a library could change."""
    found: dict[str, Any] = {
        "numpy": str(np.random.get_state(legacy=False)),  # noqa: NPY002
        "python": random.getstate(),
        "policy": keras.config.dtype_policy().name,
        "eager": tf.config.functions_run_eagerly(),
        "losses": [id(loss) for part in model._flatten_layers() for loss in part._losses],
        "optimizer": [value.numpy().tobytes() for value in model.optimizer.variables],
        "metrics": [metric.name for metric in model.metrics],
    }
    for i, part in enumerate(model._flatten_layers()):
        found[f"{i} trainable"] = part.trainable
        found[f"{i} members"] = {name: id(value) for name, value in vars(part).items()}
        for weight in part.weights:
            found[f"{i} {weight.path}"] = weight.numpy().tobytes()
    return found


@contextmanager
def unchanged(model: keras.Model) -> Iterator[None]:
    before = state(model)
    tf.random.set_seed(3)
    expected = tf.random.uniform(()).numpy()
    tf.random.set_seed(3)
    yield
    assert tf.random.uniform(()).numpy() == expected
    after = state(model)
    assert {name for name in before if after[name] != before[name]} == set()
    assert before.keys() == after.keys()


def users_model() -> keras.Model:
    """Return a compiled, half frozen model with losses of its own, in the middle of training."""
    image = keras.Input((SIDE, SIDE, 3))
    x = L.GaussianNoise(0.1)(L.RandomFlip()(image))
    x = L.Conv2D(5, 3, kernel_regularizer="l2", activity_regularizer="l1", name="conv")(x)
    x = L.BatchNormalization(name="norm")(x)
    x = L.SpatialDropout2D(0.5)(L.ReLU()(x))
    source = settled(keras.Model(image, head(x)))
    source.get_layer("conv").trainable = False
    source.compile("adam", "mse", metrics=["mae"])
    source.fit(batch(4), np.zeros((4, 3)), verbose=0)
    return source


@pytest.mark.parametrize("method", ["load", *QUICK, "gradient", "input_x_gradient", "grad_cam"])
def test_every_method_leaves_the_model_as_it_was(method: str) -> None:
    source = users_model()
    model = None if method == "load" else load(source)
    with unchanged(source):
        model = model or load(source)
        model.predict(picture())
        if method != "load":
            assert np.isfinite(explain(model, picture(), method, **QUICK.get(method, {})).score)
            stream = explain_stream(model, model.prepare(picture(seed=1)), method, 0)
            next(stream, None)
            stream.close()
    source.fit(batch(4), np.zeros((4, 3)), verbose=0)


def test_a_failed_load_leaves_the_model_as_it_was() -> None:
    source = users_model()
    with unchanged(source), pytest.raises(ModelError):
        load(source, input_size=SIDE + 3)


def test_what_a_call_writes_on_the_model_is_taken_back() -> None:
    class Writer(L.Layer):
        def call(self, x: Any) -> Any:
            self.last = x
            self.add_loss(tf.reduce_mean(x))
            return x * 2.0

    image = keras.Input((SIDE, SIDE, 3))
    source = settled(keras.Model(image, head(features(Writer()(image)))))
    source(batch(1))
    last = source.layers[1].last
    losses = [float(loss) for loss in source.losses]
    model = load(source)
    explain(model, picture(), "grad_cam")
    assert source.layers[1].last is last
    assert [float(loss) for loss in source.losses] == losses
