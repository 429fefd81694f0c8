"""keras.applications with random weights: quiet when recalibrated, dead or saturated when fresh."""

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


def test_the_softmax_of_a_network_as_it_comes_is_named() -> None:
    keras.utils.set_random_seed(0)
    source = keras.applications.ResNet50V2(weights=None, input_shape=(SIDE, SIDE, 3))
    report = xw.check(xw.load(source, preprocessing={"value_range": (-1, 1)}))
    (found,) = [f for f in report.findings if f.level in ("warning", "error")]
    assert (found.check, found.layer) == ("probabilities", "predictions")
    assert 'output="logits"' in str(found.advice)
