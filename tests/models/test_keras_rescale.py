"""DeepLIFT's rescale rule on Keras models: closed forms, and completeness through every layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.keras_nets import KINDS, SIDE, L, awake, functional, settled
from tests.models.test_keras import batch
from xai_widgets.errors import ImageError
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget, FunctionTarget, LayerTarget

ops = keras.ops


def gap(model: Any, images: Any, target: Any = None, layer: str | None = None) -> float:
    """Return the largest completeness gap of pairs, relative to the change of the score."""
    target = target or ClassTarget(1)
    found = model.gradients(images, target, rule="rescale", layer=layer)
    half = len(images) // 2
    values = images if layer is None else model.activations(images, layer).numpy()
    moved = values[:half] - values[half:]
    total = (found.values.numpy() * moved).sum(axis=tuple(range(1, moved.ndim)))
    change = found.scores.numpy()[:half] - found.scores.numpy()[half:]
    return float(np.max(np.abs(total - change) / np.abs(change)))


def pairs(n: int = 2, side: int = SIDE, high: float = 1.0, channels: int = 3) -> Any:
    generator = np.random.default_rng(5)
    images = generator.random((2 * n, side, side, channels), dtype=np.float32)
    images[n] = 0.0
    return high * images


def between(function: Callable[[Any], Any]) -> keras.Model:
    """A convolution, something on its output, and a head."""
    image = keras.Input((SIDE, SIDE, 3))
    x = L.Conv2D(6, 3, 2, padding="same", name="before")(image)
    x = function(4.0 * x)
    if len(x.shape) == 4:
        x = L.Conv2D(4, 3, name="after")(x)
        x = L.Flatten()(x)
    return settled(keras.Model(image, L.Dense(3)(x)))


def layer_norm_by_hand(x: Any) -> Any:
    mean = ops.mean(x, axis=-1, keepdims=True)
    return (x - mean) / ops.sqrt(ops.mean(ops.square(x - mean), axis=-1, keepdims=True) + 1e-3)


def squeeze_excite(x: Any) -> Any:
    gate = L.Dense(6, activation="sigmoid")(L.Dense(3, activation="silu")(ops.mean(x, (1, 2))))
    return x * ops.reshape(gate, (-1, 1, 1, 6))


def global_response(x: Any) -> Any:
    size = ops.sqrt(ops.sum(ops.square(x), axis=(1, 2), keepdims=True) + 1e-6)
    return x * (size / (ops.mean(size, axis=-1, keepdims=True) + 1e-6)) + x


def self_attention(x: Any) -> Any:
    tokens = L.Reshape((64, 6))(x)
    return L.Flatten()(L.MultiHeadAttention(2, 3)(tokens, tokens))


def dropped_attention(x: Any) -> Any:
    tokens = L.Reshape((64, 6))(x)
    return L.Flatten()(L.MultiHeadAttention(2, 3, dropout=0.1)(tokens, tokens))


ACTIVATIONS = (
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hard_silu"),
    *("sigmoid", "hard_sigmoid", "tanh", "softplus", "softsign", "exponential", "log_sigmoid"),
    *("hard_tanh", "tanh_shrink", "squareplus"),
)
STRUCTURES: dict[str, Callable[[Any], Any]] = {
    "gelu, approximate": lambda x: L.Lambda(lambda y: tf.nn.gelu(y, approximate=True))(x),
    "elu, scaled": lambda x: L.ELU(alpha=0.3)(x),
    "prelu": lambda x: L.PReLU()(x),
    "threshold": lambda x: L.ReLU(threshold=0.3)(x),
    "leaky with maximum": lambda x: L.ReLU(max_value=1.0, negative_slope=0.1)(x),
    "clip": lambda x: ops.clip(x, -0.5, 0.7),
    "max pooling": lambda x: L.MaxPooling2D()(x),
    "overlapping max pooling": lambda x: L.MaxPooling2D(3, 2, padding="same")(x),
    "global max pooling": lambda x: L.GlobalMaxPooling2D()(x),
    "average pooling": lambda x: L.AveragePooling2D(3, 1)(x),
    "batch norm": lambda x: L.BatchNormalization()(x),
    "layer norm": lambda x: L.LayerNormalization()(x),
    "group norm": lambda x: L.GroupNormalization(2)(x),
    "rms norm": lambda x: L.RMSNormalization()(x),
    "unit norm": lambda x: L.UnitNormalization()(x),
    "layer norm by hand": layer_norm_by_hand,
    "squeeze and excite": squeeze_excite,
    "global response": global_response,
    "softmax": lambda x: L.Softmax()(x),
    "log softmax": lambda x: ops.log_softmax(x),
    "attention": self_attention,
    "attention with dropout": dropped_attention,
    "maximum of two": lambda x: L.Maximum()([x, L.Conv2D(6, 1)(x)]),
    "minimum of two": lambda x: L.Minimum()([x, L.Conv2D(6, 1)(x)]),
    "product": lambda x: L.Multiply()([x, L.Conv2D(6, 1)(x)]),
    "quotient": lambda x: L.Conv2D(6, 1)(x) / (1.0 + ops.square(x)),
    "one over": lambda x: 1.0 / (1.0 + ops.square(x)),
    "cube": lambda x: x**3,
    "logarithm": lambda x: ops.log(1.0 + ops.square(x)),
    "log1p": lambda x: ops.log1p(ops.square(x)),
    "absolute": lambda x: ops.abs(x),
    "upsampling": lambda x: L.UpSampling2D(interpolation="bilinear")(x),
    "concatenate and pad": lambda x: L.ZeroPadding2D()(L.Concatenate()([x, ops.tanh(x)])),
    "separable": lambda x: L.SeparableConv2D(5, 3, activation="gelu")(x),
    "grouped": lambda x: L.Conv2D(6, 3, groups=3, activation="gelu")(x),
}


@pytest.mark.parametrize("name", [*ACTIVATIONS, *STRUCTURES])
def test_the_multipliers_complete_through(name: str) -> None:
    model = load(between(STRUCTURES.get(name) or L.Activation(name)))
    assert model.incomplete == ()
    assert gap(model, pairs()) < 1e-3


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "eager"])
def test_the_multipliers_complete_for_every_kind_of_model(kind: str) -> None:
    model = load(KINDS[kind](), input_size=SIDE)
    assert model.incomplete == ()
    assert gap(model, pairs()) < 1e-3
    assert gap(model, pairs(), layer=model.recommended_layer) < 1e-3
    assert gap(model, pairs(), FunctionTarget(lambda y: y[:, 0] * y[:, 1])) < 1e-3
    assert gap(model, pairs(), LayerTarget(str(model.recommended_layer), 1)) < 1e-3


def test_elementwise_multipliers_are_secants_and_slopes_where_there_is_no_step() -> None:
    image = keras.Input((1, 4, 1))
    x = L.Activation("gelu")(L.Flatten()(image))
    model = load(keras.Model(image, L.Dense(1, use_bias=False, kernel_initializer="ones")(x)))
    x = np.array([2.0, -1.0, 0.5, 0.3], np.float32)
    x_0 = np.array([-1.0, 3.0, 0.5, 0.3 + 1e-6], np.float32)
    images = np.stack([x, x_0]).reshape(2, 1, 4, 1)
    found = model.gradients(images, ClassTarget(0), rule="rescale").values.numpy().ravel()
    gelu = lambda v: keras.activations.gelu(tf.constant(v, tf.float64)).numpy()  # noqa: E731
    secants = (gelu(x[:2]) - gelu(x_0[:2])) / (x[:2] - x_0[:2])
    slopes = (gelu(x[2:] + 1e-4) - gelu(x[2:] - 1e-4)) / 2e-4
    np.testing.assert_allclose(found, [*secants, *slopes], rtol=1e-3)


def test_a_product_shares_by_the_mean_of_the_other_factor() -> None:
    image = keras.Input((1, 2, 1))
    x = L.Flatten()(image)
    model = load(
        keras.Model(
            image, L.Dense(1, use_bias=False, kernel_initializer="ones")(x[:, :1] * x[:, 1:])
        )
    )
    images = np.array([[3.0, 5.0], [1.0, -2.0]], np.float32).reshape(2, 1, 2, 1)
    found = model.gradients(images, ClassTarget(0), rule="rescale").values.numpy().ravel()
    np.testing.assert_allclose(found, [(5 - 2) / 2, (3 + 1) / 2], rtol=1e-6)


def test_max_pooling_shares_by_where_the_maximum_was_and_is() -> None:
    image = keras.Input((1, 3, 1))
    pooled = L.Flatten()(L.MaxPooling2D((1, 2), 1)(image))
    model = load(keras.Model(image, L.Dense(1, use_bias=False, kernel_initializer="ones")(pooled)))
    # windows (0, 1) and (1, 2); the middle was the largest of both, and the sides are now
    images = np.array([[4.0, 1.0, 6.0], [0.0, 2.0, 1.0]], np.float32).reshape(2, 1, 3, 1)
    found = model.gradients(images, ClassTarget(0), rule="rescale").values.numpy().ravel()
    np.testing.assert_allclose(found, [(4 - 2) / 4, 0.0, (6 - 2) / 5], rtol=1e-6, atol=1e-7)


def test_each_pair_is_on_its_own_and_weights_reduce_the_pairs() -> None:
    model = load(functional("gelu"))
    images = pairs(3)
    found = model.gradients(images, ClassTarget(2), rule="rescale")
    assert tuple(found.values.shape) == (3, SIDE, SIDE, 3) and tuple(found.scores.shape) == (6,)
    for i in range(3):
        alone = model.gradients(images[[i, i + 3]], ClassTarget(2), rule="rescale").values
        np.testing.assert_allclose(alone[0], found.values[i], rtol=1e-4, atol=1e-7)
    weights = np.array([1.0, -2.0, 0.5])
    reduced = model.gradients(images, ClassTarget(2), weights, rule="rescale").values
    expected = np.tensordot(weights, found.values, axes=1)
    np.testing.assert_allclose(reduced, expected, rtol=1e-3, atol=1e-6)


def test_an_odd_number_of_images_is_refused() -> None:
    with pytest.raises(ImageError, match="as many references as images"):
        load(functional()).gradients(batch(3), ClassTarget(0), rule="rescale")


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda x: ops.sort(x, axis=-1), "TopKV2"),
        (lambda x: x + ops.floor(x), "Floor"),
        (lambda x: x * ops.stop_gradient(ops.sigmoid(x)), "StopGradient"),
        (lambda x: ops.prod(x, axis=-1, keepdims=True), "Prod"),
    ],
)
def test_what_has_no_exact_rule_is_named(function: Callable[[Any], Any], kind: str) -> None:
    model = load(between(function))
    assert kind in model.incomplete
    found = model.gradients(pairs(), ClassTarget(0), rule="rescale").values
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("name", "options"),
    [("MobileNetV3Small", {}), ("EfficientNetB0", {}), ("MobileNetV2", {"alpha": 0.35})],
)
def test_deep_networks_complete_within_one_per_cent(name: str, options: dict[str, Any]) -> None:
    make = getattr(keras.applications, name)
    shape = (32, 32, 3)
    source = make(input_shape=shape, weights=None, classes=3, classifier_activation=None, **options)
    model = load(awake(settled(source), 32), preprocessing={"value_range": (0, 255)})
    assert model.incomplete == ()
    # noise against noise: far from what its BatchNorms saw, an untrained EfficientNet's scores grow
    # to 1e7, and the sum over pixels loses in float32 what the multipliers keep
    assert gap(model, 255 * batch(2, 32)) < 0.01


def test_a_small_transformer_completes_within_one_per_cent() -> None:
    from tests.models.keras_transformers import vit

    model = load(vit())
    assert model.incomplete == ()
    assert gap(model, pairs(2)) < 0.01
