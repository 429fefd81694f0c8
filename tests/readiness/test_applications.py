"""keras.applications with random weights: quiet when recalibrated, dead or saturated when fresh."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import xai_widgets as xw

SIDE = 64
RANGES = {"ResNet50V2": (-1, 1)}


def build(name: str, activation: str | None = None) -> keras.Model:
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(SIDE, SIDE, 3), classes=10, classifier_activation=activation
    )
    generator = np.random.default_rng(0)
    for layer in model._flatten_layers():
        for weight in layer.trainable_weights if not layer._layers else ():
            if weight.name == "kernel" and len(weight.shape) > 1:
                fan = np.prod(weight.shape) / weight.shape[-1]
                spread = np.sqrt(1.0 / max(fan, 1)) if len(weight.shape) == 2 else 0.0
                if spread:
                    weight.assign(generator.normal(0, spread, weight.shape))
    return model


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


@pytest.mark.parametrize(
    ("name", "dead"),
    [
        ("ResNet50V2", False),
        ("MobileNetV3Small", True),
        ("EfficientNetB0", True),
        ("ConvNeXtTiny", False),
    ],
)
def test_recalibrated_networks_are_quiet_and_dead_ones_are_named(name: str, dead: bool) -> None:
    source = build(name)
    low, high = RANGES.get(name, (0, 255))
    recalibrate(source, low, high)
    model = xw.load(source, preprocessing={"value_range": (low, high)})
    report = xw.check(model)
    assert report.verdict == "explainable"
    assert [f for f in report.findings if f.level in ("warning", "error")] == []
    if dead:
        freshen(source)
        alarms = [f for f in xw.check(model).findings if f.level in ("warning", "error")]
        assert "vanishing" in {finding.cause for finding in alarms}
        assert all(f.layer for f in alarms if f.cause == "vanishing")
