"""Gradient family of Keras models against Xplique, with a closed form where Xplique is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.explainers.closed_forms import CLASSES, in_framework, two_layer
from tests.explainers.closed_forms import picture as small_picture
from tests.explainers.helpers import relative
from tests.models.keras_nets import SIDE, functional
from tests.models.nets import picture
from xai_widgets.explainers.run import explain
from xai_widgets.models.loading import load

attributions = pytest.importorskip("xplique.attributions")
pytestmark = pytest.mark.peers

TARGET = 1
RULES = {"guided_backprop": "GuidedBackprop", "deconvolution": "DeconvNet"}


def one_hot(n: int = 3) -> Any:
    return np.eye(n, dtype=np.float32)[[TARGET]]


def assert_equal(found: Any, expected: Any) -> None:
    """Assert what is promised: median 1e-4, relative L1 1e-3, largest 1e-2."""
    differences = np.abs(found - expected)
    assert np.median(differences) <= 1e-4 * np.abs(expected).mean()
    assert relative(found, expected) <= 1e-3
    assert differences.max() <= 1e-2 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("method", "peer"),
    [("smoothgrad", "SmoothGrad"), ("smoothgrad_squared", "SquareGrad"), ("vargrad", "VarGrad")],
)
def test_statistics_of_gradients_agree_from_the_same_noise(
    method: str, peer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = functional("relu")
    model = load(source)
    image = model.prepare(picture(SIDE, SIDE))
    n, level = 10, 0.3
    noise = np.random.default_rng(2).standard_normal((n, *image.values.shape), dtype=np.float32)
    noisy = image.values + np.float32(level * np.ptp(image.values)) * noise
    explainer = getattr(attributions, peer)(source, nb_samples=n, reducer=None)
    base = next(part for part in type(explainer).__mro__ if part.__name__ == "GradientStatistic")
    monkeypatch.setattr(base, "_perturb_samples", staticmethod(lambda *_: noisy))
    expected = np.asarray(explainer.explain(image.values[None], one_hot()))[0]
    if method == "vargrad":  # theirs is the estimate for a sample, ours the variance of the draws
        expected = expected * (n - 1) / n
    options = {"n_samples": n, "noise_level": level, "seed": 2}
    assert_equal(explain(model, image, method, TARGET, **options).attribution, expected)


@pytest.mark.parametrize("method", RULES)
def test_rules_agree_where_relus_are_layers_or_strings(method: str) -> None:
    form = two_layer()
    for style in ("string", "module"):
        model = in_framework(form, "tensorflow", style)
        image = model.prepare(small_picture())
        peer = getattr(attributions, RULES[method])(model.source, reducer=None)
        expected = np.asarray(peer.explain(image.values[None], one_hot(CLASSES)))[0]
        assert_equal(explain(model, image, method, TARGET).attribution, expected)


@pytest.mark.parametrize("method", RULES)
def test_xplique_returns_the_plain_gradient_on_relu_ops_and_the_closed_form_is_ours(
    method: str,
) -> None:
    form = two_layer()
    model = in_framework(form, "tensorflow", "functional")
    image = model.prepare(small_picture())
    rule = {"guided_backprop": "guided"}.get(method, method)
    exact = form.gradient(image.values, TARGET, rule)
    peer = getattr(attributions, RULES[method])(model.source, reducer=None)
    theirs = np.asarray(peer.explain(image.values[None], one_hot(CLASSES)))[0]
    assert relative(theirs, form.gradient(image.values, TARGET)) < 1e-4  # no rule at all
    assert relative(theirs, exact) > 0.1
    assert_equal(explain(model, image, method, TARGET).attribution, exact)
