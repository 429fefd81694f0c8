"""The same numbers as Captum's where Captum is right, and a proof where it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.explainers.helpers import linear_model, quick, relative, smooth_model
from tests.models.nets import SIDE, Residual, convolutional, picture, seeded
from xai_widgets.explainers.baselines import baseline_values
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load
from xai_widgets.models.primitives import PreparedImage

pytestmark = pytest.mark.peers
captum = pytest.importorskip("captum.attr")


def nchw(values: Any) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, 2, 0)))[None]


def hwc(tensor: torch.Tensor) -> Any:
    return tensor.detach()[0].permute(1, 2, 0).numpy()


def prepared(model: ExplainableModel) -> tuple[PreparedImage, torch.Tensor]:
    image = model.prepare(picture())
    return image, nchw(image.values).requires_grad_()


MODELS = {
    "softplus": smooth_model,
    "relu": lambda: load(convolutional(), input_size=SIDE),
    "residual": lambda: load(seeded(lambda: Residual(inplace=False)), input_size=64),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_gradient_equals_signed_saliency(name: str) -> None:
    model = MODELS[name]()
    image, x = prepared(model)
    expected = hwc(captum.Saliency(model.source).attribute(x, target=1, abs=False))
    assert relative(quick(model, "gradient", image, target=1).attribution, expected) < 1e-4


@pytest.mark.parametrize("name", MODELS)
def test_input_x_gradient_is_equal(name: str) -> None:
    model = MODELS[name]()
    image, x = prepared(model)
    expected = hwc(captum.InputXGradient(model.source).attribute(x, target=2))
    assert relative(quick(model, "input_x_gradient", image, target=2).attribution, expected) < 1e-4


@pytest.mark.parametrize("activation", [nn.Softplus, nn.GELU])
@pytest.mark.parametrize("baseline", ["black", "zeros", "blur"])
def test_integrated_gradients_agree_on_smooth_networks(activation: Any, baseline: str) -> None:
    model = load(convolutional(activation), input_size=SIDE)
    image, x = prepared(model)
    start = baseline_values(model, image, baseline)
    expected = hwc(
        captum.IntegratedGradients(model.source).attribute(
            x, nchw(start), target=1, n_steps=128, method="gausslegendre"
        )
    )
    options = {"target": 1, "baseline": baseline, "n_steps": 512}
    found = quick(model, "integrated_gradients", image, **options).attribution
    nonzero = np.abs(expected) > np.abs(expected).max() * 1e-3
    differences = np.abs(found - expected)
    assert np.median(differences[nonzero] / np.abs(expected[nonzero])) <= 1e-4
    assert relative(found, expected) <= 1e-3
    assert differences.max() <= 1e-2 * np.abs(expected).max()


@pytest.mark.parametrize("n_steps", [5, 10, 50])
def test_captums_trapezoid_misses_a_linear_model_that_ours_explains_exactly(n_steps: int) -> None:
    model = linear_model()
    image, x = prepared(model)
    black = baseline_values(model, image, "black")
    exact = (image.values - black) * model.source.weight(0)
    theirs = hwc(
        captum.IntegratedGradients(model.source).attribute(
            x, nchw(black), target=0, n_steps=n_steps, method="riemann_trapezoid"
        )
    )
    ours = quick(model, "integrated_gradients", image, target=0, n_steps=n_steps).attribution
    assert relative(ours, exact) < 1e-5
    assert relative(theirs, exact * (n_steps - 1) / n_steps) < 1e-4
    assert relative(theirs, exact) == pytest.approx(1 / n_steps, rel=1e-2)


@pytest.mark.parametrize("layer", ["layer3", "layer2", "layer1.1.conv2"])
@pytest.mark.parametrize("inplace", [False, True])
def test_grad_cam_equals_layer_grad_cam(layer: str, inplace: bool) -> None:
    twin = seeded(lambda: Residual(inplace=False))
    model = load(seeded(lambda: Residual(inplace=inplace)), input_size=64)
    image, x = prepared(model)
    explainer = captum.LayerGradCam(twin, twin.get_submodule(layer))
    coarse = explainer.attribute(x, target=1, relu_attributions=True)
    forward = model.forward_pass(image)
    assert tuple(forward.activation(layer).shape[1:3]) == coarse.shape[2:]
    expected = captum.LayerAttribution.interpolate(coarse, (64, 64), "bilinear")
    found = quick(model, "grad_cam", image, target=1, layer=layer).attribution
    assert relative(found, expected[0, 0].detach().numpy()) < 1e-4


def test_smoothgrad_agrees_with_the_noise_tunnel_in_the_mean() -> None:
    """Captum draws from the global generator, so that only many samples can be compared."""
    model = load(convolutional(), input_size=SIDE)
    image, x = prepared(model)
    level = 0.3
    tunnel = captum.NoiseTunnel(captum.Saliency(model.source))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = tunnel.attribute(
            x,
            nt_type="smoothgrad",
            nt_samples=300,
            nt_samples_batch_size=50,
            stdevs=float(level * np.ptp(image.values)),
            target=1,
            abs=False,
        )
    options = {"target": 1, "n_samples": 300, "noise_level": level}
    found = quick(model, "smoothgrad", image, **options).attribution
    plain = quick(model, "gradient", image, target=1).attribution
    distance = relative(found, hwc(expected))
    assert distance < 0.15
    assert distance < 0.25 * relative(plain, hwc(expected))
