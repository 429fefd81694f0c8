"""A Keras model of any kind behind the model contract: scores, gradients, retained passes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.keras_nets import KINDS, SIDE, L, awake, functional, head, settled, subclassed
from tests.models.nets import picture
from xai_widgets.errors import ImageError, LayerError
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget
from xai_widgets.models.tensorflow_backend import TensorFlowBackend

Floats = np.ndarray[Any, np.dtype[np.float32]]

GRADIENTS = ("input_gradients", "feature_maps", "layer_gradients")


def batch(n: int, side: int = SIDE) -> Floats:
    return np.random.default_rng(0).random((n, side, side, 3), dtype=np.float32)


def by_hand(model: Any, images: Any, target: ClassTarget) -> tuple[Floats, Floats]:
    """Return the gradient and the target's scores with a plain eager tape."""
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = model(x, training=False)
        scores = target(output[0] if isinstance(output, list) else output, TensorFlowBackend())
    return tape.gradient(scores, x).numpy(), scores.numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_scores_in_chunks_equal_the_model(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = KINDS[kind]()
    model = load(source)
    assert model.framework == "tensorflow" and model.format == "keras"
    assert model.input_shape == (SIDE, SIDE, 3) or kind in ("subclassed", "compiled", "eager")
    monkeypatch.setattr(type(model), "chunk_size", property(lambda _: 2))
    expected = source(batch(5), training=False)
    expected = expected[0] if isinstance(expected, list) else expected
    found = model.scores(batch(5))
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", [ClassTarget(1), ClassTarget(1, versus=2)])
def test_gradients_equal_a_tape_by_hand(kind: str, target: ClassTarget) -> None:
    source = KINDS[kind]()
    expected, scores = by_hand(source, batch(3), target)
    model = load(source, input_size=SIDE)
    found = model.gradients(batch(3), target)
    np.testing.assert_allclose(found.values, expected, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-4, atol=1e-6)
    weights = np.array([0.5, -2.0, 3.0])
    reduced = model.gradients(batch(3), target, weights)
    assert reduced.values.shape == (SIDE, SIDE, 3)
    np.testing.assert_allclose(
        reduced.values, np.tensordot(weights, expected, axes=1), rtol=1e-3, atol=1e-6
    )
    np.testing.assert_allclose(reduced.scores, scores, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_retained_pass_equals_the_batch_path_and_the_model(kind: str) -> None:
    source = KINDS[kind]()
    model = load(source, input_size=SIDE)
    assert model.capabilities.reason(GRADIENTS) is None
    image = model.prepare(picture(SIDE, SIDE))
    forward = model.forward_pass(image)
    expected, _ = by_hand(source, image.values[None], ClassTarget(2))
    np.testing.assert_allclose(forward.gradient(ClassTarget(2)), expected, rtol=1e-3, atol=1e-7)
    scores = model.scores(image.values[None])[0]
    np.testing.assert_allclose(forward.scores, scores, rtol=1e-5, atol=1e-6)
    assert forward.scores.dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
def test_every_layers_gradient_completes_the_chain(kind: str) -> None:
    """Step a little along the gradient at the recommended layer's input side: scores follow."""
    model = load(KINDS[kind](), input_size=SIDE)
    forward = model.forward_pass(model.prepare(picture(SIDE, SIDE)))
    assert len(model.layers) >= 2
    for layer in model.layers:
        activation = forward.activation(layer.name)
        gradient = forward.gradient(ClassTarget(0), layer.name)
        assert tuple(activation.shape) == tuple(gradient.shape) == (1, *layer.shape)
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


BLOCKS = [
    *("first/convolution", "first/norm", "first"),
    *("second/convolution", "second/norm", "second"),
]
EXPECTED_LAYERS = {
    "sequential": ("conv_b", ["conv_a", "conv_b"]),
    "functional": ("conv_b", ["conv_a", "norm", "act_a", "conv_b"]),
    "nested": (
        "middle",
        [
            *(f"middle/backbone/{name}" for name in ("conv_a", "norm", "act_a", "conv_b")),
            "middle/backbone",
            "middle",
        ],
    ),
    "shared": ("sum", ["stem", "shared", "twice/inside", "twice", "sum"]),
    "several outputs": ("conv_b", ["conv_a", "norm", "act_a", "conv_b"]),
    "subclassed": ("second", BLOCKS),
    "compiled": ("second", BLOCKS),
    "eager": ("second", BLOCKS),
}


@pytest.mark.parametrize("kind", EXPECTED_LAYERS)
def test_layers_are_listed_in_the_order_of_the_forward_pass(kind: str) -> None:
    model = load(KINDS[kind](), input_size=SIDE)
    recommended, names = EXPECTED_LAYERS[kind]
    assert [layer.name for layer in model.layers] == names
    assert model.recommended_layer == recommended
    kinds = {layer.name: layer.kind for layer in model.layers}
    assert kinds[names[0]] == "Conv2D"
    for layer in model.layers:
        assert len(layer.shape) == 3 and layer.shape[0] in (4, 8)


def test_an_inner_layers_activation_and_gradient_equal_the_backbone_by_hand() -> None:
    source = KINDS["nested"]()
    model = load(source)
    image = model.prepare(picture(SIDE, SIDE))
    forward = model.forward_pass(image)
    backbone = source.get_layer("middle").get_layer("backbone")
    half = keras.Model(backbone.input, backbone.get_layer("act_a").output)
    activation = half(image.values[None], training=False)
    found = forward.activation("middle/backbone/act_a")
    np.testing.assert_allclose(found, activation, rtol=1e-5, atol=1e-6)
    with tf.GradientTape() as tape:
        tape.watch(activation)
        x = backbone.get_layer("conv_b")(activation)
        scores = source.get_layer("head")(source.get_layer("pool")(x))[:, 1]
    np.testing.assert_allclose(
        forward.gradient(ClassTarget(1), "middle/backbone/act_a"),
        tape.gradient(scores, activation),
        rtol=1e-4,
        atol=1e-7,
    )


def test_a_layer_that_runs_twice_stands_for_its_last_call() -> None:
    source = KINDS["shared"]()
    model = load(source)
    image = model.prepare(picture(SIDE, SIDE))
    stem, shared = source.get_layer("stem"), source.get_layer("shared")
    last = shared(shared(stem(image.values[None])))
    found = model.forward_pass(image).activation("shared")
    np.testing.assert_allclose(found, last, rtol=1e-4, atol=1e-6)


class TestForwardPass:
    def test_it_is_retained_for_the_same_image_and_weights_only(self) -> None:
        model = load(functional())
        retained = model.forward_pass(model.prepare(picture(seed=0)))
        assert model.forward_pass(model.prepare(picture(seed=0))) is retained
        other = model.forward_pass(model.prepare(picture(seed=1)))
        assert other is not retained
        kernel = model.source.get_layer("conv_a").kernel
        kernel.assign(kernel * 1.1)
        assert model.forward_pass(model.prepare(picture(seed=1))) is not other

    def test_a_pass_over_the_memory_cap_is_not_kept(self, monkeypatch: Any) -> None:
        monkeypatch.setattr("xai_widgets.models.keras_model.RETAINED_BYTES", 100)
        model = load(functional())
        image = model.prepare(picture())
        assert model.forward_pass(image) is not model.forward_pass(image)

    def test_new_targets_and_layers_run_no_forward_pass(self) -> None:
        calls: list[int] = []

        def count(x: Any) -> Any:
            def add(values: Any) -> Any:
                calls.append(1)
                return values

            return tf.ensure_shape(tf.numpy_function(add, [x], tf.float32), x.shape)

        model = load(subclassed(after=None, before=count), input_size=SIDE)
        image = model.prepare(picture(SIDE, SIDE))
        model.forward_pass(image)
        calls.clear()
        for index in range(3):
            for layer in ("first", "second", "first/norm"):
                forward = model.forward_pass(image)
                assert np.abs(forward.gradient(ClassTarget(index), layer)).max() > 0
                forward.activation(layer)
        assert calls == []

    def test_an_unknown_layer_is_a_sentence(self) -> None:
        model = load(functional())
        forward = model.forward_pass(model.prepare(picture()))
        with pytest.raises(LayerError, match="'conv_c' took no part"):
            forward.activation("conv_c")
        with pytest.raises(LayerError, match="Did you mean 'conv_b' or 'conv_a'"):
            model.resolve_layer("conv")


def test_nothing_is_traced_again_for_other_targets_or_batch_sizes() -> None:
    traces: list[int] = []
    source = subclassed(before=lambda x: traces.append(1) or x)
    traces.clear()
    model = load(source, input_size=SIDE)
    for n in (1, 3, 4):
        model.gradients(batch(n), ClassTarget(n % 3), np.ones(n))
        model.scores(batch(n))
    image = model.prepare(picture(SIDE, SIDE))
    for index in range(3):
        model.forward_pass(image).gradient(ClassTarget(index), "first")
    assert len(traces) == 1
    model.scores(batch(1, 2 * SIDE))
    assert len(traces) == 2


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (8, 8, 3), (1, 1, 8, 8, 3)])
def test_arrays_that_are_no_batch_are_refused(shape: tuple[int, ...]) -> None:
    model = load(functional())
    with pytest.raises(ImageError, match=r"expected \[N, H, W, C\]"):
        model.scores(np.zeros(shape, np.float32))


def test_layers_of_the_same_name_are_told_apart() -> None:
    class Twins(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.one = L.Conv2D(3, 3, name="same")
            self.two = L.Conv2D(3, 3, name="same")

        def call(self, x: Any) -> Any:
            return tf.reduce_mean(self.two(self.one(x)), (1, 2))

    source = Twins()
    source(np.zeros((1, SIDE, SIDE, 3), np.float32))
    model = load(settled(source), input_size=SIDE)
    assert [(layer.name, layer.shape) for layer in model.layers] == [
        ("same", (14, 14, 3)),
        ("same#2", (12, 12, 3)),
    ]


@pytest.mark.parametrize(
    ("name", "recommended", "white"),
    [
        ("ResNet50V2", "post_relu", 1),
        ("MobileNetV3Small", "activation", 255),
        ("EfficientNetB0", "top_activation", 255),
        ("VGG16", "block5_pool", 1),
    ],
)
def test_models_of_keras_applications(name: str, recommended: str, white: int) -> None:
    make = getattr(keras.applications, name)
    source = make(weights=None, classifier_activation=None, input_shape=(64, 64, 3), classes=5)
    model = load(awake(source, 64))
    assert model.capabilities.reason(GRADIENTS) is None
    assert model.recommended_layer is not None
    assert model.recommended_layer.startswith(recommended)
    assert [entry for entry in model.layers if entry.spatial][-1].name == model.recommended_layer
    assert model.preprocess.value_range == (0, white)


def test_a_last_sum_is_recommended_although_it_is_no_layer() -> None:
    """As ConvNeXt ends: ``x + layers.Activation("linear")(branch)``, which returns the branch."""
    image = keras.Input((SIDE, SIDE, 3))
    x = L.Normalization(mean=[120.0] * 3, variance=[3000.0] * 3, name="prestem")(image)
    x = L.Conv2D(6, 4, 4, name="stem")(x)
    branch = L.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    branch = L.LayerNormalization(name="norm")(branch)
    x = x + L.Activation("linear", name="identity")(branch)
    source = settled(keras.Model(image, head(x)))
    model = load(source)
    recommended = next(layer for layer in model.layers if layer.recommended)
    assert (recommended.kind, recommended.shape) == ("Add", (4, 4, 6))
    assert not any(layer.main for layer in model.layers if layer.name in ("identity", "prestem"))
    assert model.preprocess.value_range == (0, 255)
    prepared = model.prepare(picture())
    forward = model.forward_pass(prepared)
    half = keras.Model(image, x)
    found = forward.activation(recommended.name)
    np.testing.assert_allclose(found, half(prepared.values[None]), rtol=1e-4, atol=1e-5)
