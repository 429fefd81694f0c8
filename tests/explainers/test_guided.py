"""Guided backprop, deconvolution and guided Grad-CAM follow their rules at every kind of ReLU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.explainers.closed_forms import in_framework, picture, two_layer
from tests.explainers.helpers import quick, relative, smooth_model
from tests.explainers.twins import FRAMEWORKS, twin
from tests.models import nets
from xai_widgets.errors import MethodError
from xai_widgets.explainers.registry import methods
from xai_widgets.explainers.run import explain

RULES = {"guided_backprop": "guided", "deconvolution": "deconvolution"}
STYLES = [
    *(("torch", style) for style in ("module", "functional", "in place", "method")),
    *(("tensorflow", style) for style in ("module", "functional", "string")),
]


@pytest.mark.parametrize("target", [0, 1, 2])
@pytest.mark.parametrize(("framework", "style"), STYLES)
@pytest.mark.parametrize("method", RULES)
def test_two_layers_equal_their_closed_form(
    method: str, framework: str, style: str, target: int
) -> None:
    form = two_layer()
    model = in_framework(form, framework, style)
    image = model.prepare(picture())
    expected = form.gradient(image.values, target, RULES[method])
    result = explain(model, image, method, target)
    assert relative(result.attribution, expected) < 1e-4
    assert relative(expected, form.gradient(image.values, target)) > 0.1, "the rule matters here"
    assert result.score == pytest.approx(form.score(image.values, target), abs=1e-4)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_guided_grad_cam_is_the_product(framework: str) -> None:
    model = twin(framework)
    image = model.prepare(nets.picture())
    options: dict[str, Any] = {"target": 1, "layer": "first"}
    cam = explain(model, image, "grad_cam", **options).attribution
    guided = explain(model, image, "guided_backprop", target=1).attribution
    result = explain(model, image, "guided_grad_cam", **options)
    assert np.abs(result.attribution).max() > 0
    np.testing.assert_allclose(result.attribution, guided * cam[:, :, None], rtol=1e-5, atol=1e-9)
    assert result.layer == "first"


@pytest.mark.parametrize("method", ["guided_backprop", "deconvolution", "guided_grad_cam"])
def test_a_network_without_relu_is_refused_with_a_sentence(method: str) -> None:
    model = smooth_model()
    (record,) = (record for record in methods(model) if record["method"] == method)
    assert not record["applicable"] and "ReLU" in record["reason"]
    with pytest.raises(MethodError, match="ReLU"):
        quick(model, method)


def test_the_rule_ends_with_the_call() -> None:
    model = in_framework(two_layer(), "torch", "functional")
    before = explain(model, picture(), "gradient", 1).attribution
    explain(model, picture(), "guided_backprop", 1)
    np.testing.assert_array_equal(explain(model, picture(), "gradient", 1).attribution, before)
