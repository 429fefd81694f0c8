"""Healthy Keras networks are quiet: demo models, recalibrated applications; fresh ones are not."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import xai_widgets as xw

SIDE = 64
RANGES = {"ResNet50V2": (-1, 1)}
DEAD = ("MobileNetV3Small", "EfficientNetB0")


def build(name: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    return getattr(keras.applications, name)(
        weights=None, input_shape=(SIDE, SIDE, 3), classes=10, classifier_activation=None
    )


def statistics(model: keras.Model) -> list[keras.layers.Layer]:
    return [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]


def recalibrate(model: keras.Model, low: float, high: float) -> None:
    noise = np.random.default_rng(0).uniform(low, high, (4, SIDE, SIDE, 3)).astype(np.float32)
    momenta = [layer.momentum for layer in statistics(model)]
    for layer in statistics(model):
        layer.momentum = 0.0
    model(noise, training=True)
    for layer, momentum in zip(statistics(model), momenta, strict=True):
        layer.momentum = momentum


def freshen(model: keras.Model) -> None:
    for layer in statistics(model):
        layer.moving_mean.assign(np.zeros(layer.moving_mean.shape))
        layer.moving_variance.assign(np.ones(layer.moving_variance.shape))


@pytest.mark.parametrize("name", ["ResNet50V2", "MobileNetV3Small", "EfficientNetB0"])
def test_recalibrated_networks_are_quiet_and_fresh_ones_are_named(name: str) -> None:
    source = build(name)
    low, high = RANGES.get(name, (0, 255))
    recalibrate(source, low, high)
    model = xw.load(source, preprocessing={"value_range": (low, high)})
    report = xw.check(model)
    assert report.verdict == "explainable"
    assert [f for f in report.findings if f.level in ("warning", "error")] == []
    if name in DEAD:
        freshen(source)
        alarms = [f for f in xw.check(model).findings if f.level in ("warning", "error")]
        assert "vanishing" in {finding.cause for finding in alarms}
        assert all(f.layer for f in alarms if f.cause == "vanishing")


def test_a_network_without_batch_statistics_is_quiet() -> None:
    report = xw.check(xw.load(build("ConvNeXtTiny"), preprocessing={"value_range": (0, 255)}))
    assert report.verdict == "explainable"
    assert [f for f in report.findings if f.level in ("warning", "error")] == []


def as_it_comes(name: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    return getattr(keras.applications, name)(weights=None, input_shape=(SIDE, SIDE, 3))


def alarms(source: keras.Model, low: float, high: float) -> list[tuple[str, str | None]]:
    report = xw.check(xw.load(source, preprocessing={"value_range": (low, high)}))
    found = [f for f in report.findings if f.level in ("warning", "error")]
    for finding in found:
        if finding.check == "probabilities":
            assert finding.layer == "predictions"
            assert 'output="logits"' in str(finding.advice)
    return [(finding.check, finding.cause) for finding in found]


def test_the_softmax_of_a_network_as_it_comes_is_named_and_so_is_a_saturated_one() -> None:
    source = as_it_comes("ResNet50V2")
    assert alarms(source, -1, 1) == [("probabilities", "probabilities")]
    kernel, _ = source.get_layer("predictions").weights
    kernel.assign(kernel * 1e5)
    assert ("probabilities", "saturated_softmax") in alarms(source, -1, 1)


def test_a_network_that_is_dead_as_it_comes_is_named() -> None:
    report = xw.check(
        xw.load(as_it_comes("MobileNetV3Small"), preprocessing={"value_range": (0, 255)})
    )
    causes = {f.cause: f for f in report.findings if f.level in ("warning", "error")}
    assert set(causes) == {"vanishing", "probabilities"}
    names = [layer.name for layer in report.layers]
    norms = [layer.gradient_norm or 0.0 for layer in report.layers]
    dies = names.index(causes["vanishing"].layer)
    assert norms[0] < 1e-9 < 1e-5 < norms[-1]
    assert norms[0] < 1e-3 * max(norms[dies:])
    faint = [layer.faint for layer in report.layers]
    assert faint[0] and faint[dies - 1] and not faint[-1]


@pytest.mark.parametrize("name", ["lesions", "lesions-shortcut", "animals", "digits"])
def test_a_demo_model_raises_no_alarm(name: str) -> None:
    report = xw.check(xw.demo.model(name, framework="tensorflow"))
    assert report.verdict == "explainable"
    assert [f for f in report.findings if f.level in ("warning", "error")] == []
    assert report.layers[-1].gradient_norm == pytest.approx(1.0)
    assert not any(layer.faint for layer in report.layers)
