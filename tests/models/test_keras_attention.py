"""Attention inside of Keras models: fused, explicit, in windows; its gradients; no side effects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.models.keras_nets import KINDS, SIDE, functional
from tests.models.keras_transformers import HEADS, vit
from tests.models.nets import picture
from tests.models.test_keras_untouched import unchanged
from xai_widgets.errors import ModelError
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget, FunctionTarget, LayerTarget

GLOBAL = ("fused", "dropout", "single", "explicit")


def attention_by_hand(source: Any, image: Any, index: int) -> Any:
    """Return the probabilities of a fused attention layer from its own projections."""
    layer = source.get_layer(f"attention_{index}")
    x = source.get_layer(f"norm_{index}_a").output
    import keras

    tokens = keras.Model(source.input, x)(image, training=False)
    _, weights = layer(tokens, tokens, return_attention_scores=True)
    return weights[0].numpy()


@pytest.mark.parametrize("kind", GLOBAL)
def test_every_way_to_write_attention_is_seen(kind: str) -> None:
    model = load(vit(kind, n_prefix=2))
    assert "attention" not in model.capabilities.lacks
    image = model.prepare(picture(SIDE, SIDE))
    seen = model.attention(image)
    assert [layer.name for layer in seen.layers] == ["attention_0", "attention_1"]
    np.testing.assert_allclose(
        seen.outputs, model.scores(image.values[None])[0], rtol=1e-5, atol=1e-6
    )
    heads = 1 if kind == "single" else HEADS
    for i, layer in enumerate(seen.layers):
        assert (layer.heads, layer.tokens, layer.windows) == (heads, 18, 1)
        assert layer.grid is not None
        assert (layer.grid.rows, layer.grid.columns, layer.grid.prefix) == (4, 4, 2)
        weights = seen.weights(i).numpy()
        assert weights.shape == (heads, 18, 18) and weights.dtype == np.float32
        np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("kind", ["fused", "dropout"])
def test_the_probabilities_are_those_of_the_layer(kind: str) -> None:
    source = vit(kind)
    model = load(source)
    image = model.prepare(picture(SIDE, SIDE))
    seen = model.attention(image)
    for i in range(2):
        expected = attention_by_hand(source, image.values[None], i)
        np.testing.assert_allclose(seen.weights(i), expected, rtol=1e-4, atol=1e-6)


def test_gradients_are_those_of_the_score_with_respect_to_the_probabilities() -> None:
    source = vit("explicit", depth=1)
    model = load(source)
    image = model.prepare(picture(SIDE, SIDE))
    seen = model.attention(image)
    layer = source.get_layer("attention_0")
    import keras

    tokens = keras.Model(source.input, source.get_layer("norm_0_a").output)(image.values[None])
    before = keras.Model(source.input, source.get_layer("prefix").output)(image.values[None])
    weights = seen.weights(0)[None]
    value = tf.transpose(tf.reshape(layer.qkv(tokens), (1, 17, 3, HEADS, 4))[:, :, 2], (0, 2, 1, 3))
    with tf.GradientTape() as tape:
        tape.watch(weights)
        mixed = tf.reshape(tf.transpose(weights @ value, (0, 2, 1, 3)), (1, 17, 8))
        x = before + layer.out(mixed)
        y = source.get_layer("norm_0_b")(x)
        y = source.get_layer("narrow_0")(source.get_layer("wide_0")(y))
        scores = source.get_layer("head")(source.get_layer("norm")(x + y)[:, 0])
        total = scores[:, 1] - scores[:, 2]
    expected = tape.gradient(total, weights)[0]
    (found,) = seen.gradients(ClassTarget(1, versus=2))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)
    (squared,) = seen.gradients(FunctionTarget(lambda y: y[:, 1] ** 2))
    (plain,) = seen.gradients(ClassTarget(1))
    np.testing.assert_allclose(squared, 2 * seen.outputs[1] * plain, rtol=1e-3, atol=1e-6)
    (layers,) = seen.gradients(LayerTarget("norm", 3, (0,)))
    assert np.abs(layers).max() > 0
    (none,) = seen.gradients(LayerTarget("tokens", 0))
    assert not np.abs(none).any()


def test_attention_in_windows_is_shown_but_does_not_cover_the_picture() -> None:
    model = load(vit("windows", n_prefix=0, pooled=True))
    assert "inside of windows" in model.capabilities.lacks["attention"]
    seen = model.attention(model.prepare(picture(SIDE, SIDE)))
    assert [layer.windows for layer in seen.layers] == [4, 4]
    assert tuple(seen.weights(0).shape) == (4, HEADS, 4, 4)
    assert tuple(seen.gradients(ClassTarget(0))[1].shape) == (4, HEADS, 4, 4)


def test_a_model_without_attention_says_so() -> None:
    model = load(functional("relu"))
    assert "no attention" in model.capabilities.lacks["attention"]
    with pytest.raises(ModelError, match="no attention"):
        model.attention(model.prepare(picture()))
    eager = load(KINDS["eager"](), input_size=SIDE)
    with pytest.raises(ModelError, match="cannot be traced"):
        eager.attention(eager.prepare(picture(SIDE, SIDE)))


def test_looking_at_attention_leaves_the_model_as_it_was() -> None:
    source = vit("dropout")
    source.compile("adam", "mse")
    source.fit(np.zeros((2, SIDE, SIDE, 3)), np.zeros((2, 3)), verbose=0)
    model = load(source)
    image = model.prepare(picture(SIDE, SIDE))
    before = model.scores(image.values[None]).numpy()
    with unchanged(source):
        model.attention(image).gradients(ClassTarget(0))
    np.testing.assert_array_equal(model.scores(image.values[None]), before)
