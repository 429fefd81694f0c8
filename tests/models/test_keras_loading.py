"""What loading a Keras model finds out, assumes and refuses; what all methods make of it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.keras_nets import (
    KINDS,
    SIDE,
    L,
    features,
    functional,
    head,
    settled,
    several_outputs,
    subclassed,
)
from tests.models.nets import picture
from tests.models.test_keras import GRADIENTS
from xai_widgets.errors import MethodError, ModelError, PreprocessingError
from xai_widgets.explainers.registry import methods
from xai_widgets.explainers.run import explain
from xai_widgets.maps import upsample
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget

QUICK: dict[str, dict[str, Any]] = {
    "smoothgrad": {"n_samples": 3},
    "integrated_gradients": {"n_steps": 4},
}


def batch(n: int) -> Any:
    return np.random.default_rng(0).random((n, SIDE, SIDE, 3), dtype=np.float32)


# What is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"input_size": 30}, {"preprocessing": {"size": (30, 30)}}])
def test_a_wrong_size_is_a_sentence_with_the_right_one(options: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"30 x 30 pixels.*it expects 16 x 16 x 3"):
        load(functional(), **options)


def test_the_wrong_number_of_channels_is_a_sentence() -> None:
    with pytest.raises(ModelError, match="images of 5 channels: expected 1"):
        load(functional(channels=5))
    with pytest.raises(ModelError, match=r"3 channels.*it expects 16 x 16 x 1"):
        load(functional(channels=1), preprocessing={"channels": 3})


def test_tokens_are_refused() -> None:
    words = keras.Input((12,), dtype="int32")
    scores = L.Dense(2)(L.GlobalAveragePooling1D()(L.Embedding(10, 4)(words)))
    with pytest.raises(ModelError, match=r"takes tokens of shape \[N, 12\]: expected images"):
        load(keras.Model(words, scores))


def test_several_inputs_are_refused() -> None:
    one, other = keras.Input((SIDE, SIDE, 3)), keras.Input((SIDE, SIDE, 3))
    with pytest.raises(ModelError, match="takes 2 inputs"):
        load(keras.Model([one, other], head(features(L.Add()([one, other])))))


def test_channels_first_is_refused() -> None:
    image = keras.Input((3, SIDE, SIDE))
    scores = L.Dense(2)(L.Flatten()(image))
    with pytest.raises(ModelError, match="channels first: build it with"):
        load(keras.Model(image, scores))


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (lambda s: tf.argmax(s, 1), r"returned shape \[N\]: expected scores \[N, K\]"),
        (lambda s: tf.argmax(s, 1)[:, None], "returned int64 values: expected scores"),
        (lambda s: s[:, None, :], r"returned shape \[N, 1, 3\]"),
        (lambda s: None, "returned a NoneType without a tensor"),
        (lambda s: {}, "returned a dict without a tensor"),
    ],
)
def test_outputs_that_are_no_scores_are_refused(after: Any, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        load(subclassed(after=after), input_size=SIDE)


def test_a_model_that_fails_is_a_sentence() -> None:
    def fail(x: Any) -> Any:
        if x.shape[1] == SIDE + 1:
            raise RuntimeError("no such size")
        return x

    with pytest.raises(ModelError, match=r"cannot process an image of 17 x 17.*no such size"):
        load(subclassed(before=fail), input_size=SIDE + 1)


@pytest.mark.parametrize("device", ["gpu:7", "abacus", ""])
def test_an_unknown_device_is_a_sentence(device: str) -> None:
    with pytest.raises(ModelError, match=f"The device '{device}' cannot be used: TensorFlow has"):
        load(functional(), device=device)


def test_the_cpu_can_be_asked_for() -> None:
    model = load(functional(), device="cpu")
    assert "CPU:0" in model.scores(batch(1)).device


# What is found and assumed ------------------------------------------------------------------


def test_everything_that_was_assumed_is_said() -> None:
    given = {"size": SIDE, "mean": 0.5, "std": 0.5}
    assert load(functional(), labels="abc", preprocessing=given).findings == ()
    told = " ".join(load(functional(side=None)).findings)
    for part in ("No preprocessing", "No input size", "No labels"):
        assert part in told


@pytest.mark.parametrize(
    ("layers", "white"),
    [
        ([L.Rescaling(1 / 255)], 255),
        ([L.Rescaling(1 / 127.5, offset=-1)], 255),
        ([L.Rescaling(2.0, offset=-1)], 1),
        ([L.RandomFlip(), L.Rescaling(1 / 255)], 255),
        ([L.Normalization(mean=[0.5] * 3, variance=[0.1] * 3)], 1),
        ([L.Normalization(mean=[123.0] * 3, variance=[3400.0] * 3)], 255),
        ([keras.Sequential([L.Rescaling(1 / 255)], name="prepare")], 255),
        ([L.Conv2D(3, 1), L.Rescaling(1 / 255)], None),
    ],
)
def test_preprocessing_inside_of_the_model_is_found(layers: list[Any], white: int | None) -> None:
    image = x = keras.Input((SIDE, SIDE, 3))
    for layer in layers:
        x = layer(x)
    source = keras.Model(image, head(features(x)))
    model = load(source)
    told = [note for note in model.findings if "scales its own input" in note]
    assert len(told) == (0 if white is None else 1)
    assert model.preprocess.value_range == (0, white or 1)
    other = load(source, preprocessing={"value_range": (0, 2)})
    assert other.preprocess.value_range == (0, 2)
    assert not any("scales its own" in note for note in other.findings)


def test_grey_models_get_grey_pictures() -> None:
    model = load(functional(channels=1))
    assert model.input_shape == (SIDE, SIDE, 1)
    assert model.prepare(picture()).values.shape == (SIDE, SIDE, 1)


@pytest.mark.parametrize("wanted", [None, "colour", 1])
def test_one_of_several_outputs_is_chosen(wanted: Any) -> None:
    source = several_outputs()
    model = load(source, output=wanted)
    chosen = 0 if wanted is None else 1
    assert len(model.labels) == (3, 2)[chosen]
    np.testing.assert_allclose(
        model.scores(batch(2)), source(batch(2))[chosen], rtol=1e-5, atol=1e-6
    )
    told = f"2 outputs (species, colour): {('species', 'colour')[chosen]!r} is explained"
    assert any(told in note for note in model.findings)


def test_an_unknown_output_is_refused() -> None:
    with pytest.raises(ModelError, match="no output 'size': choose one of 'species', 'colour'"):
        load(several_outputs(), output="size")
    with pytest.raises(ModelError, match="has one output"):
        load(functional(), output="size")


def test_logits_come_first_in_a_dict() -> None:
    source = subclassed(after=lambda s: {"hidden": s * 0, "logits": s})
    model = load(source, input_size=SIDE)
    np.testing.assert_allclose(model.scores(batch(1)), source(batch(1))["logits"], rtol=1e-5)


@pytest.mark.parametrize("last", ["softmax", "sigmoid"])
def test_probabilities_are_recognised_and_the_logits_offered(last: str) -> None:
    source = functional(last=last)
    model = load(source)
    assert model.outputs_probabilities is (last == "softmax")
    offered = any("output='logits'" in note for note in model.findings)
    assert offered is (last == "softmax")
    logits = load(source, output="logits")
    assert logits is not model and not logits.outputs_probabilities
    activation = getattr(tf.nn, last)
    np.testing.assert_allclose(
        activation(logits.scores(batch(2))), model.scores(batch(2)), rtol=1e-5
    )
    with pytest.raises(ModelError, match="does not end in a softmax"):
        load(functional(), output="logits")


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
def test_other_precisions_are_handed_on_as_float32(policy: str) -> None:
    image = keras.Input((SIDE, SIDE, 3))
    x = L.Conv2D(5, 3, 2, activation="relu", dtype=policy, name="conv")(image)
    x = L.Dense(3, dtype=policy)(L.GlobalAveragePooling2D(dtype=policy)(x))
    model = load(settled(keras.Model(image, x)))
    assert model.capabilities.reason(GRADIENTS) is None
    found = model.gradients(batch(2), ClassTarget(0), np.ones(2))
    forward = model.forward_pass(model.prepare(picture()))
    arrays = [found.values, found.scores, model.scores(batch(1)), forward.activation("conv")]
    arrays += [forward.gradient(ClassTarget(0)), forward.gradient(ClassTarget(0), "conv")]
    assert {array.dtype for array in arrays} == {tf.float32}
    assert any("float" in note and "float32" in note for note in model.findings)


def test_an_integer_input_predicts_and_says_what_it_lacks() -> None:
    image = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    model = load(settled(keras.Model(image, head(features(L.Rescaling(1 / 255)(image))))))
    reason = model.capabilities.reason(("input_gradients",))
    assert reason is not None and "does not depend on its input" in reason
    assert model.predict(picture())[0]["label"].startswith("class ")
    assert "layer_gradients" not in model.capabilities.lacks
    assert np.isfinite(explain(model, picture(), "grad_cam").attribution).all()


def test_a_stopped_gradient_is_named() -> None:
    model = load(subclassed(before=tf.stop_gradient), input_size=SIDE)
    assert set(model.capabilities.lacks) & set(GRADIENTS) == {"input_gradients"}
    with pytest.raises(ModelError, match="stop_gradient"):
        model.gradients(batch(1), ClassTarget(0))


def test_a_model_that_runs_eagerly_says_so() -> None:
    model = load(KINDS["eager"](), input_size=SIDE)
    assert any("runs eagerly" in note for note in model.findings)


def test_an_unbuilt_model_is_built_and_said_to_be_untrained() -> None:
    from tests.models.keras_nets import Subclassed

    model = load(Subclassed(), input_size=SIDE)
    assert any("drawn at random" in note for note in model.findings)


def test_a_preprocessing_callable_may_return_channels_last() -> None:
    model = load(
        functional(),
        preprocessing=lambda image: np.asarray(image.resize((SIDE, SIDE)), np.float32) - 100.0,
    )
    assert model.prepare(picture()).values.min() < -1
    with pytest.raises(PreprocessingError):
        load(functional(), preprocessing={"sise": 3})


# Weights ------------------------------------------------------------------------------------


def test_the_fingerprint_changes_with_the_weights_and_only_then() -> None:
    source = functional()
    model = load(source)
    seen = [model.fingerprint]
    model.predict(picture())
    explain(model, picture(), "integrated_gradients", n_steps=2)
    assert model.fingerprint == seen[-1]
    hashed = model.weight_hash
    source.compile("adam", "mse")
    for change in (
        lambda: source.get_layer("conv_a").kernel.assign_add(np.full((3, 3, 3, 5), 0.01)),
        lambda: source.get_layer("head").bias.assign(np.ones(3)),
        lambda: source.fit(batch(4), np.zeros((4, 3)), verbose=0),
        lambda: source.fit(batch(4), np.zeros((4, 3)), verbose=0),
        lambda: source.get_layer("norm").moving_mean.assign(np.ones(5)),
    ):
        change()
        assert model.fingerprint not in seen
        seen.append(model.fingerprint)
        assert model.fingerprint == seen[-1]
    assert model.weight_hash != hashed
    assert load(functional()).weight_hash == hashed


def test_trained_weights_are_used_at_once() -> None:
    source = functional()
    model = load(source)
    before = model.scores(batch(2)).numpy()
    added = np.array([1.0, 2.0, 3.0], np.float32)
    source.get_layer("head").bias.assign_add(added)
    np.testing.assert_allclose(model.scores(batch(2)), before + added, rtol=1e-5, atol=1e-5)
    prepared = model.prepare(picture(SIDE, SIDE))
    forward = model.forward_pass(prepared)
    np.testing.assert_allclose(forward.scores, source(prepared.values[None])[0], rtol=1e-4)


def test_an_exchanged_activation_is_noticed() -> None:
    source = functional(last="softmax")
    model = load(source)
    before = model.fingerprint
    source.get_layer("head").activation = keras.activations.linear
    np.testing.assert_allclose(model.scores(batch(2)), source(batch(2)), rtol=1e-5)
    assert float(tf.reduce_sum(model.scores(batch(1)))) != pytest.approx(1.0)
    assert model.fingerprint != before


# All methods, and imports -------------------------------------------------------------------


def test_every_method_runs_on_every_kind() -> None:
    for kind, make in KINDS.items():
        model = load(make(), input_size=SIDE)
        for record in methods(model):
            if set(record["needs"]) & {"relu", "attention", "patches"}:
                continue  # softplus nets without tokens: said in a sentence
            name = record["method"]
            if (kind, name) == ("eager", "deep_shap"):  # there is no graph to change gradients in
                assert "cannot be traced" in record["reason"]
                with pytest.raises(MethodError, match="cannot be traced"):
                    explain(model, picture(), name)
                continue
            assert record["applicable"], (kind, record)
            result = explain(model, picture(), name, **QUICK.get(name, {}))
            assert np.isfinite(result.attribution).all(), (kind, name)
            assert result.attribution.any() or "cam" in name, (kind, name)
            assert set(result.provenance["versions"]) >= {"tensorflow", "keras"}


def test_every_method_equals_its_formula() -> None:
    source = functional()
    model = load(source)
    image = model.prepare(picture(SIDE, SIDE))
    x = image.values[None]

    def gradient(values: Any) -> Any:
        inputs = tf.constant(values, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            score = source(inputs, training=False)[:, 0]
        return tape.gradient(score, inputs).numpy()

    noise = np.random.default_rng(0).standard_normal((3, SIDE, SIDE, 3), dtype=np.float32)
    alphas = np.linspace(0, 1, 5)[:, None, None, None]
    trapezoid = np.array([0.5, 1, 1, 1, 0.5])[:, None, None, None]
    top = source.get_layer("conv_b")
    maps = keras.Model(source.input, top.output)(x)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        score = source.get_layer("head")(source.get_layer("pool")(maps))[:, 0]
    weights = tape.gradient(score, maps).numpy().mean((1, 2))
    cam = np.maximum((maps.numpy() * weights[:, None, None]).sum(3), 0)[0]
    expected = {
        "gradient": gradient(x)[0],
        "input_x_gradient": gradient(x)[0] * image.values,
        "smoothgrad": gradient(x + 0.15 * np.ptp(image.values) * noise).mean(0),
        "integrated_gradients": (gradient(alphas * x) * trapezoid).sum(0) / 4 * image.values,
        "grad_cam": upsample(cam, (SIDE, SIDE)),
    }
    for name, wanted in expected.items():
        assert np.abs(wanted).max() > 0
        found = explain(model, image, name, target=0, **QUICK.get(name, {}))
        np.testing.assert_allclose(
            found.attribution, wanted, rtol=1e-3, atol=1e-5 * np.abs(wanted).max(), err_msg=name
        )


def run_python(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    loaded: list[str] = json.loads(done.stdout.splitlines()[-1])
    return loaded


def test_keras_models_import_no_torch() -> None:
    code = """
import json, sys, numpy, keras, xai_widgets as xw
model = xw.demo.model("digits", framework="tensorflow")
image = xw.demo.dataset("digits", n=1).images[0]
xw.explain(model, image, "integrated_gradients", n_steps=2)
print(json.dumps([name for name in ("torch", "tensorflow") if name in sys.modules]))
"""
    assert run_python(code) == ["tensorflow"]


def test_torch_models_import_no_tensorflow() -> None:
    code = """
import json, sys, numpy, xai_widgets as xw
model = xw.demo.model("digits")
image = xw.demo.dataset("digits", n=1).images[0]
xw.explain(model, image, "grad_cam")
print(json.dumps([name for name in ("tensorflow", "keras") if name in sys.modules]))
"""
    assert run_python(code) == []
