"""Keras models whose output has a score for each pixel, or a single number."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.keras_nets import SIDE, L, features, head, settled
from tests.models.nets import picture
from tests.models.test_keras import batch
from xai_widgets.errors import LayerError, ModelError
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget, FunctionTarget, RegionTarget
from xai_widgets.models.tensorflow_backend import TensorFlowBackend


def unet(side: int | None = SIDE) -> keras.Model:
    """A small encoder and decoder with a skip connection."""
    image = keras.Input((side, side, 3))
    first = L.Conv2D(4, 3, padding="same", activation="softplus", name="first")(image)
    deep = L.Conv2D(6, 3, 2, padding="same", activation="softplus", name="deep")(first)
    up = L.Concatenate(name="up")([L.UpSampling2D(interpolation="bilinear")(deep), first])
    return settled(keras.Model(image, L.Conv2D(5, 1, name="classes")(up), name="unet"))


def regression() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    return settled(keras.Model(image, head(features(image, "softplus"), n=1), name="area"))


def by_hand(source: Any, images: Any, function: Any) -> Any:
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = function(source(x, training=False))
    return tape.gradient(total, x).numpy()


def test_outputs_are_per_pixel_and_scores_their_means(monkeypatch: pytest.MonkeyPatch) -> None:
    source = unet()
    model = load(source, labels=["background", "cat", "dog", "sky", "tree"])
    assert model.task == "segmentation"
    monkeypatch.setattr(type(model), "chunk_size", property(lambda _: 2))
    expected = source(batch(5), training=False).numpy()
    found = model.outputs(batch(5))
    assert tuple(found.shape) == (5, SIDE, SIDE, 5)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.scores(batch(5)), expected.mean((1, 2)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", [SIDE, None])
def test_gradients_of_classes_and_regions_equal_a_tape_by_hand(side: int | None) -> None:
    source = unet(side)
    model = load(source, input_size=SIDE)
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[3:9, 4:10] = 1 / 36
    region = RegionTarget(2, mask, versus=1)
    weights = np.array([1.0, -2.0, 0.5])
    expected = by_hand(
        source,
        batch(3),
        lambda y: tf.reduce_sum((y[..., 2] - y[..., 1]) * mask, (1, 2)),
    )
    found = model.gradients(batch(3), region)
    np.testing.assert_allclose(found.values, expected, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(
        model.gradients(batch(3), region, weights).values,
        np.tensordot(weights, expected, axes=1),
        rtol=1e-3,
        atol=1e-6,
    )
    outputs = source(batch(3), training=False).numpy()
    np.testing.assert_allclose(
        found.scores,
        ((outputs[..., 2] - outputs[..., 1]) * mask).sum((1, 2)),
        rtol=1e-4,
        atol=1e-5,
    )
    expected = by_hand(source, batch(2), lambda y: tf.reduce_mean(y[..., 3], (1, 2)))
    np.testing.assert_allclose(
        model.gradients(batch(2), ClassTarget(3)).values, expected, rtol=1e-3, atol=1e-7
    )


def test_a_retained_pass_knows_the_outputs_and_the_gradients_of_regions() -> None:
    source = unet()
    model = load(source)
    image = model.prepare(picture(40, 32))
    mask = np.zeros((40, 32), bool)
    mask[10:20, 5:15] = True
    forward = model.forward_pass(image)
    assert forward.outputs.shape == (SIDE, SIDE, 5) and forward.scores.shape == (5,)
    target = model.resolve_target(RegionTarget("class 2", mask), forward.outputs, image)
    placed = target.mask  # type: ignore[attr-defined]
    expected = by_hand(
        source, image.values[None], lambda y: tf.reduce_sum(y[..., 2] * placed, (1, 2))
    )
    np.testing.assert_allclose(forward.gradient(target), expected, rtol=1e-3, atol=1e-7)
    gradient = forward.gradient(target, "deep").numpy()
    assert gradient.shape == (1, 8, 8, 6) and np.abs(gradient).max() > 0
    assert model.target_score(forward, target) == pytest.approx(
        float((forward.outputs[..., 2] * placed).sum()), rel=1e-4
    )


def test_one_output_is_a_regression_and_a_function_of_the_output_has_a_gradient() -> None:
    source = regression()
    model = load(source)
    assert model.task == "regression" and not model.is_classifier
    target = FunctionTarget(lambda y: tf.square(y[:, 0]) + 1.0)
    expected = by_hand(source, batch(3), lambda y: tf.square(y[:, 0]))
    found = model.gradients(batch(3), target)
    np.testing.assert_allclose(found.values, expected, rtol=1e-3, atol=1e-7)
    outputs = source(batch(3), training=False)
    np.testing.assert_allclose(
        found.scores, target(outputs, TensorFlowBackend()), rtol=1e-4, atol=1e-6
    )


def test_the_task_that_does_not_fit_is_refused() -> None:
    assert load(regression(), task="regression").task == "regression"
    with pytest.raises(ModelError, match="its task is 'segmentation'"):
        load(unet(), task="classification")


def test_a_saved_model_with_dense_outputs_keeps_the_contract(tmp_path: Any) -> None:
    source = unet()
    source.export(tmp_path / "saved", verbose=False)
    model = load(tmp_path / "saved", trust=True)
    assert model.task == "segmentation" and model.format == "savedmodel"
    np.testing.assert_allclose(
        model.outputs(batch(3)), source(batch(3), training=False), rtol=1e-4, atol=1e-5
    )
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[3:9, 4:10] = 1 / 36
    target = RegionTarget(2, mask)
    twin = load(source)
    expected = twin.gradients(batch(2), target)
    found = model.gradients(batch(2), target)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4, atol=1e-6)
    forward = model.forward_pass(model.prepare(picture()))
    assert forward.outputs.shape == (SIDE, SIDE, 5) and forward.scores.shape == (5,)
    own = FunctionTarget(lambda y: tf.reduce_max(y[..., 1], (1, 2)))
    np.testing.assert_allclose(
        model.gradients(batch(2), own).values,
        twin.gradients(batch(2), own).values,
        rtol=1e-3,
        atol=1e-7,
    )
    for rule in ("guided", "rescale"):
        with pytest.raises(ModelError, match="inside of a SavedModel"):
            model.gradients(batch(2), target, rule=rule)
    with pytest.raises(LayerError, match="without layers"):
        model.gradients(batch(2), target, layer="first")
