"""Gradient and path families against Captum, with a closed form where Captum is silently wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.explainers.closed_forms import in_framework, two_layer
from tests.explainers.closed_forms import picture as small_picture
from tests.explainers.helpers import linear_model, quick, relative, smooth_model
from tests.models.nets import SIDE, Residual, convolutional, picture, seeded
from xai_widgets.explainers.baselines import baseline_values
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load

pytestmark = pytest.mark.peers
captum = pytest.importorskip("captum.attr")

TARGET = 1


def nchw(values: Any) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, -1, -3)))


def hwc(tensor: torch.Tensor) -> Any:
    return tensor.detach()[0].permute(1, 2, 0).numpy()


def prepared(model: ExplainableModel) -> tuple[Any, torch.Tensor]:
    image = model.prepare(picture())
    return image, nchw(image.values[None]).requires_grad_()


def assert_equal(found: Any, expected: Any) -> None:
    """Assert what is promised: median 1e-4, relative L1 1e-3, largest 1e-2."""
    differences = np.abs(found - expected)
    assert np.median(differences) <= 1e-4 * np.abs(expected).mean()
    assert relative(found, expected) <= 1e-3
    assert differences.max() <= 1e-2 * np.abs(expected).max()


class Modules(nn.Module):
    """A network whose ReLUs are modules, each used once: what Captum's hooks can see."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU()
        )
        self.head = nn.Sequential(nn.Linear(8, 10), nn.ReLU(), nn.Linear(10, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).mean((2, 3)))


# Noise: Captum draws from the global generator, so it is handed our draws -----------------------


@pytest.mark.parametrize("name", ["softplus", "relu", "residual"])
@pytest.mark.parametrize("method", ["smoothgrad", "smoothgrad_squared", "vargrad"])
def test_the_noise_tunnel_gives_the_same_from_the_same_noise(
    method: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    makers: dict[str, Callable[[], ExplainableModel]] = {
        "softplus": smooth_model,
        "relu": lambda: load(convolutional(), input_size=SIDE),
        "residual": lambda: load(seeded(lambda: Residual(inplace=False)), input_size=64),
    }
    model = makers[name]()
    image, x = prepared(model)
    n, level = 12, 0.3
    noise = np.random.default_rng(6).standard_normal((n, *image.values.shape), dtype=np.float32)
    spread = np.float32(level * np.ptp(image.values))
    monkeypatch.setattr(torch, "normal", lambda *_: nchw(spread * noise))
    expected = captum.NoiseTunnel(captum.Saliency(model.source)).attribute(
        x,
        nt_type={"smoothgrad_squared": "smoothgrad_sq"}.get(method, method),
        nt_samples=n,
        stdevs=float(spread),
        target=TARGET,
        abs=False,
    )
    options = {"target": TARGET, "n_samples": n, "noise_level": level, "seed": 6}
    assert_equal(quick(model, method, image, **options).attribution, hwc(expected))


def test_captums_variance_of_a_linear_model_is_rounding_noise_and_ours_is_zero(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The gradient of a linear model is the same everywhere: its variance is exactly zero.

    Captum subtracts two large means in float32, which can come out negative.
    """
    model = linear_model()
    with torch.no_grad():
        model.source.head.weight.mul_(1000.3)
    image, x = prepared(model)
    theirs = captum.NoiseTunnel(captum.Saliency(model.source)).attribute(
        x, nt_type="vargrad", nt_samples=10, stdevs=0.3, target=TARGET, abs=False
    )
    ours = quick(model, "vargrad", image, target=TARGET, n_samples=10).attribution
    assert (hwc(theirs) < 0).any()
    assert (ours >= 0).all()
    assert np.abs(ours).max() < 1e-3 * np.abs(hwc(theirs)).max()


# Rules for ReLUs --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "peer"), [("guided_backprop", "GuidedBackprop"), ("deconvolution", "Deconvolution")]
)
@pytest.mark.parametrize("target", [0, 2])
def test_rules_agree_where_relus_are_modules(method: str, peer: str, target: int) -> None:
    model = load(seeded(Modules), input_size=SIDE)
    image, x = prepared(model)
    expected = hwc(getattr(captum, peer)(seeded(Modules)).attribute(x, target=target))
    plain = quick(model, "gradient", image, target=target).attribution
    assert relative(plain, expected) > 0.05
    assert_equal(quick(model, method, image, target=target).attribution, expected)


@pytest.mark.parametrize("style", ["functional", "method"])
@pytest.mark.parametrize(
    ("method", "peer", "rule"),
    [
        ("guided_backprop", "GuidedBackprop", "guided"),
        ("deconvolution", "Deconvolution", "deconvolution"),
    ],
)
def test_captum_returns_the_plain_gradient_on_functional_relus_and_the_closed_form_is_ours(
    method: str, peer: str, rule: str, style: str
) -> None:
    form = two_layer()
    model = in_framework(form, "torch", style)
    image = model.prepare(small_picture())
    exact = form.gradient(image.values, TARGET, rule)
    x = nchw(image.values[None]).requires_grad_()
    theirs = hwc(getattr(captum, peer)(model.source).attribute(x, target=TARGET))
    assert relative(theirs, form.gradient(image.values, TARGET)) < 1e-4  # no rule at all
    assert relative(theirs, exact) > 0.1
    assert_equal(quick(model, method, image, target=TARGET).attribution, exact)


def test_guided_grad_cam_agrees_where_relus_are_modules() -> None:
    model, twin = load(seeded(Modules), input_size=SIDE), seeded(Modules)
    image, x = prepared(model)
    expected = captum.GuidedGradCam(twin, twin.features[3]).attribute(
        x, target=TARGET, interpolate_mode="bilinear"
    )
    options = {"target": TARGET, "layer": "features.3"}
    found = quick(model, "guided_grad_cam", image, **options).attribution
    assert np.abs(found).max() > 0
    assert_equal(found, hwc(expected))


# Paths ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_steps", [2, 7, 40])
@pytest.mark.parametrize("baseline", ["black", "blur"])
@pytest.mark.parametrize(
    ("quadrature", "peer"), [("gauss_legendre", "gausslegendre"), ("midpoint", "riemann_middle")]
)
def test_rules_of_integration_agree_point_by_point(
    quadrature: str, peer: str, baseline: str, n_steps: int
) -> None:
    model = load(convolutional(), input_size=SIDE)
    image, x = prepared(model)
    start = baseline_values(model, image, baseline)
    expected = captum.IntegratedGradients(model.source).attribute(
        x, nchw(start[None]), target=TARGET, n_steps=n_steps, method=peer
    )
    options = {"baseline": baseline, "n_steps": n_steps, "quadrature": quadrature}
    found = quick(model, "integrated_gradients", image, target=TARGET, **options)
    assert_equal(found.attribution, hwc(expected))


def test_expected_gradients_agree_with_gradient_shap_without_noise() -> None:
    """Captum draws independently: only many samples can be compared; the closed form is near."""
    form = two_layer()
    model = in_framework(form, "torch")
    image = model.prepare(small_picture())
    background = [small_picture(seed) for seed in (11, 12, 13)]
    starts = np.stack([model.prepare(one).values for one in background])
    exact = np.mean([form.integrated(image.values, one, TARGET) for one in starts], axis=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        np_state = np.random.get_state()  # noqa: NPY002
        try:
            theirs = captum.GradientShap(model.source).attribute(
                nchw(image.values[None]), nchw(starts), n_samples=2000, stdevs=0.0, target=TARGET
            )
        finally:
            np.random.set_state(np_state)  # noqa: NPY002
    options = {"background": background, "n_samples": 2000}
    ours = quick(model, "expected_gradients", image, target=TARGET, **options).attribution
    assert relative(hwc(theirs), exact) < 0.1
    assert relative(ours, exact) < 0.02
