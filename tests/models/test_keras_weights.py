"""Other weights for a while: used, and the user's own back bit by bit, whatever happens."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.keras_nets import KINDS, SIDE, L, functional, settled
from tests.models.nets import picture
from tests.models.test_keras import batch
from tests.models.test_keras_untouched import unchanged, users_model
from xai_widgets.errors import ModelError
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget


def doubled(name: str, value: Any) -> Any:
    return 2.0 * value


@pytest.mark.parametrize("kind", KINDS)
def test_other_weights_are_used_inside_of_the_block_alone(kind: str) -> None:
    source = KINDS[kind]()
    model = load(source, input_size=SIDE)
    before = model.scores(batch(2)).numpy()
    gradient = model.gradients(batch(2), ClassTarget(0)).values.numpy()
    seen: list[str] = []

    def change(name: str, value: Any) -> Any:
        assert value.dtype == np.float32
        seen.append(name)
        return 2.0 * value

    with model.changed_weights(change):
        changed = model.scores(batch(2)).numpy()
        assert np.abs(model.gradients(batch(2), ClassTarget(0)).values - gradient).max() > 1e-4
    assert len(seen) == len(set(seen)) == len(source.trainable_weights)
    assert np.abs(changed - before).max() > 1e-3
    np.testing.assert_array_equal(model.scores(batch(2)), before)
    np.testing.assert_array_equal(model.gradients(batch(2), ClassTarget(0)).values, gradient)


def test_the_values_that_the_function_returns_are_the_weights() -> None:
    source = functional()
    model = load(source)
    head = source.get_layer("head")
    expected = {weight.path: 2 * weight.numpy() for weight in source.trainable_weights}
    with model.changed_weights(doubled):
        for weight in source.trainable_weights:
            np.testing.assert_array_equal(weight.numpy(), expected[weight.path])
        pooled = keras.Model(source.input, source.get_layer("pool").output)(batch(1))
        scores = pooled @ head.kernel.value + head.bias.value
        np.testing.assert_allclose(model.scores(batch(1)), scores, rtol=1e-4, atol=1e-5)


def test_fingerprint_and_retained_pass_are_those_of_the_weights_in_use() -> None:
    model = load(functional())
    image = model.prepare(picture())
    retained, fingerprint, digest = model.forward_pass(image), model.fingerprint, model.weight_hash
    seen = set()
    for factor in (1.5, 2.0):
        with model.changed_weights(lambda name, value, by=factor: by * value):
            other = model.forward_pass(image)
            assert other is not retained
            assert np.abs(other.scores - retained.scores).max() > 1e-4
            seen |= {model.fingerprint, model.weight_hash}
    assert len(seen) == 4 and not seen & {fingerprint, digest}
    assert (model.fingerprint, model.weight_hash) == (fingerprint, digest)
    assert model.forward_pass(image) is retained
    kernel = model.source.get_layer("conv_a").kernel
    kernel.assign(1.1 * kernel)
    assert model.fingerprint not in {fingerprint, *seen}
    assert model.forward_pass(image) is not retained


def test_model_and_optimizer_are_untouched_and_frozen_weights_change_too() -> None:
    source = users_model()
    model = load(source)
    names: list[str] = []
    with (
        unchanged(source),
        model.changed_weights(lambda name, value: (names.append(name), value + 1)[1]),
    ):
        model.scores(batch(2))
    assert any("conv/kernel" in name for name in names)  # its layer is frozen
    assert not any("moving" in name for name in names)
    source.fit(batch(4), np.zeros((4, 3)), verbose=0)


@pytest.mark.parametrize("inside", [True, False])
def test_an_exception_puts_the_weights_back(inside: bool) -> None:
    source = users_model()
    model = load(source)
    calls: list[str] = []

    def change(name: str, value: Any) -> Any:
        calls.append(name)
        if len(calls) == 3 and not inside:
            raise KeyError(name)
        return value * np.nan

    with (
        unchanged(source),
        pytest.raises(ZeroDivisionError if inside else KeyError),
        model.changed_weights(change),
    ):
        raise ZeroDivisionError
    assert len(calls) >= 3
    assert np.isfinite(model.scores(batch(1))).all()


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16", "float64"])
def test_weights_of_other_precisions_come_back_bit_by_bit(policy: str) -> None:
    image = keras.Input((SIDE, SIDE, 3))
    x = L.GlobalAveragePooling2D(dtype=policy)(L.Conv2D(5, 3, dtype=policy, name="conv")(image))
    source = settled(keras.Model(image, L.Dense(3, dtype="float32")(x)))
    source.compile("adam", "mse")
    model = load(source)
    before = model.scores(batch(2)).numpy()
    with unchanged(source), model.changed_weights(doubled):
        assert np.abs(model.scores(batch(2)) - before).max() > 1e-3
    np.testing.assert_array_equal(model.scores(batch(2)), before)


def test_a_model_without_weights_says_so() -> None:
    image = keras.Input((4, 4, 3))
    model = load(keras.Model(image, L.GlobalAveragePooling2D()(image)))
    assert "no weights" in model.capabilities.lacks["weights"]
    with pytest.raises(ModelError, match="no weights"), model.changed_weights(doubled):
        tf.zeros(1)
