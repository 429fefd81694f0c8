"""Every way to break a Keras gradient is named, with the layer where it breaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import xai_widgets as xw
from tests.readiness.faulty_keras import CASES, SIDE, Step, Sub, ending, functional, seeded


def findings(report: xw.Report, *levels: str) -> list[tuple[str, str | None, str | None]]:
    return [(f.check, f.cause, f.layer) for f in report.findings if f.level in levels]


@pytest.mark.parametrize("name", CASES)
def test_a_broken_gradient_is_named_with_its_layer(name: str) -> None:
    case = CASES[name]
    model = xw.load(seeded(case.make), input_size=SIDE)
    report = xw.check(model)
    assert ("gradient", case.cause, case.layer) in findings(report, "error")
    assert report.verdict == case.verdict
    applicable = {record["method"]: record["applicable"] for record in xw.methods(model)}
    assert not applicable["gradient"]
    assert applicable["grad_cam"] == (case.verdict == "layer-gradients-only")
    assert model.scores(np.zeros((1, SIDE, SIDE, 3), np.float32)).shape == (1, 3)


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        (lambda s: tf.argmax(s, -1), "argmax"),
        (lambda s: tf.cast(s * 100, tf.int32), "integer"),
    ],
)
def test_class_numbers_instead_of_scores_are_broken_and_named(
    function: Callable[[Any], Any], cause: str
) -> None:
    report = xw.check(seeded(lambda: ending(function)))
    assert report.verdict == "broken"
    assert ("output", cause, "last") in findings(report, "error")


def test_scores_that_are_nan_are_broken() -> None:
    report = xw.check(seeded(lambda: ending(lambda s: s / 0 - s / 0)))
    assert report.verdict == "broken"
    assert ("prediction", "not_finite", "last") in findings(report, "error")


@pytest.mark.parametrize("make", [lambda: functional(lambda x: x * 2), lambda: Sub(tf.identity)])
def test_a_healthy_model_raises_no_alarm(make: Callable[[], keras.Model]) -> None:
    report = xw.check(xw.load(seeded(make), input_size=SIDE))
    assert report.verdict == "explainable"
    assert findings(report, "warning", "error") == []
    assert all(layer.gradient_norm for layer in report.layers)


@pytest.mark.parametrize("make", [lambda: functional(lambda x: x * 2), lambda: Sub(tf.identity)])
def test_the_head_has_a_gradient_to_show_and_is_no_layer_to_look_at(
    make: Callable[[], keras.Model],
) -> None:
    model = xw.load(seeded(make), input_size=SIDE)
    head = xw.check(model).layers[-1]
    assert (head.name, head.kind, head.shape) == ("head", "Dense", (3,))
    assert head.gradient_norm == pytest.approx(1.0)
    assert not head.main and not head.recommended
    assert "head" not in [layer.name for layer in model.layers]


@pytest.mark.parametrize("fused", [True, False])
def test_the_logits_to_explain_are_named_where_a_layer_returns_them(fused: bool) -> None:
    def make() -> keras.Model:
        activation = "softmax" if fused else None
        layers: list[keras.layers.Layer] = [
            keras.Input((SIDE, SIDE, 3)),
            keras.layers.Conv2D(8, 3, activation="relu", name="stem"),
            keras.layers.GlobalAveragePooling2D(name="pool"),
            keras.layers.Dense(5, activation=activation, name="scores"),
        ]
        return keras.Sequential([*layers, *([] if fused else [keras.layers.Softmax(name="last")])])

    report = xw.check(xw.load(seeded(make)))
    (said,) = [finding for finding in report.findings if finding.check == "probabilities"]
    assert said.layer == ("scores" if fused else "last")
    assert ("the output of layer 'scores'" in str(said.advice)) == (not fused)


def test_batch_normalisation_in_train_mode_is_named() -> None:
    norm = keras.layers.BatchNormalization(name="norm")
    model = seeded(lambda: functional(lambda x: norm(x, training=True)))
    report = xw.check(model)
    layers = {layer for _, _, layer in findings(report, "warning")}
    assert {cause for _, cause, _ in findings(report, "warning")} <= {"train_mode", "batch"}
    assert any(layer and layer.startswith("middle/fault") for layer in layers)


def test_noise_in_eval_mode_is_named() -> None:
    generator = tf.random.Generator.from_seed(0)
    noisy = lambda x: x * generator.uniform((), 1, 2)  # noqa: E731
    report = xw.check(seeded(lambda: functional(noisy)))
    assert ("determinism", "non_determinism", "middle/fault") in findings(report, "warning")


@pytest.mark.parametrize(("scale", "cause"), [(1.0, "probabilities"), (1e4, "saturated_softmax")])
def test_probabilities_are_named_and_the_logits_offered(scale: float, cause: str) -> None:
    report = xw.check(seeded(lambda: ending(lambda s: tf.nn.softmax(s * scale))))
    found = next(f for f in report.findings if f.check == "probabilities")
    assert (found.level, found.cause, found.layer) == ("warning", cause, "last")
    assert 'output="logits"' in found.advice


def test_the_check_leaves_weights_and_members_alone() -> None:
    model = seeded(lambda: functional(tf.stop_gradient))
    before = [weight.numpy() for weight in model.weights]
    members = [sorted(vars(layer)) for layer in model._flatten_layers()]
    xw.check(model)
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(before, model.weights, strict=True))
    assert members == [sorted(vars(layer)) for layer in model._flatten_layers()]


def test_an_untraceable_step_is_named_inside_of_its_layer() -> None:
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            keras.layers.Conv2D(4, 3, name="stem"),
            Step(lambda x: tf.constant(x.numpy()) if hasattr(x, "numpy") else x, name="fault"),
            keras.layers.GlobalAveragePooling2D(name="pool"),
            keras.layers.Dense(3, name="head"),
        ]
    )
    assert xw.check(seeded(lambda: model)).verdict == "explainable"
