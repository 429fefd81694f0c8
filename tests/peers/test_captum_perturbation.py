"""Occlusion, Shapley sampling, GradientSHAP and DeepSHAP beside Captum's, and who is right."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.explainers.helpers import quick, relative
from tests.explainers.twins import nchw, net, scores, twin
from tests.models.nets import SIDE, picture, seeded
from tests.test_superpixels import quadrants
from xai_widgets.explainers.baselines import baseline_values
from xai_widgets.models.loading import load
from xai_widgets.superpixels import input_superpixels

pytestmark = pytest.mark.peers
captum = pytest.importorskip("captum.attr")

TARGET = 1


def hwc(tensor: torch.Tensor) -> Any:
    return tensor.detach()[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize(("window", "stride"), [(8, 8), (8, 4), (16, 2)])
def test_occlusion_is_equal_where_the_windows_fit(window: int, stride: int) -> None:
    """Captum cuts the last window off where it overhangs; ours is moved back inside."""
    model = twin("torch")
    image = model.prepare(picture())
    base = baseline_values(model, image, "grey")
    theirs = captum.Occlusion(net()).attribute(
        nchw(image.values),
        sliding_window_shapes=(3, window, window),
        strides=(3, stride, stride),
        baselines=nchw(base),
        target=TARGET,
        perturbations_per_eval=16,
    )
    expected = hwc(theirs)
    assert np.ptp(expected, axis=2).max() < 1e-6, "all channels are covered together"
    found = quick(
        model, "occlusion", image, target=TARGET, window_size=window, stride=stride
    ).attribution
    assert np.median(np.abs(found - expected[:, :, 0])) <= 1e-4 * np.abs(expected).max()
    assert relative(found, expected[:, :, 0]) < 1e-3


def test_shapley_values_are_those_of_all_orders_and_captum_tends_to_them() -> None:
    model = twin("torch")
    pixels, _ = quadrants()
    image = model.prepare(pixels)
    labels = input_superpixels(image, 4)
    base = baseline_values(model, image, "black")
    exact = np.zeros(4)
    for order in permutations(range(4)):  # by definition: 24 orders
        kept = np.zeros_like(labels, dtype=bool)
        worth = [float(scores(net(), base, TARGET)[0])]
        for player in order:
            kept |= labels == player
            seen = np.where(kept[..., None], image.values, base)
            worth.append(float(scores(net(), seen, TARGET)[0]))
            exact[player] += (worth[-1] - worth[-2]) / 24
    options = {"n_superpixels": 4, "baseline": "black"}
    result = quick(model, "shapley_sampling", image, target=TARGET, n_samples=60, **options)
    found = np.array(result.diagnostics["shapley_values"])
    errors = np.array(result.diagnostics["standard_errors"])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = captum.ShapleyValueSampling(net()).attribute(
            nchw(image.values),
            baselines=nchw(base),
            target=TARGET,
            feature_mask=torch.from_numpy(labels)[None, None].repeat(1, 3, 1, 1),
            n_samples=120,
        )
    captums = np.array([hwc(theirs)[labels == k, 0].mean() for k in range(4)])
    assert (np.abs(found - exact) <= 4 * errors + 1e-5).all()
    assert relative(captums, exact) < 0.1
    assert relative(found, exact) <= relative(captums, exact), "pairs of opposite orders help"


def test_gradient_shap_and_captums_tend_to_the_same_map() -> None:
    """Captum draws from the global generators, so that only many samples can be compared."""
    model = twin("torch", smooth=True)
    image = model.prepare(picture())
    pictures = [picture(seed=seed) for seed in (11, 12)]
    values = np.stack([model.prepare(one).values for one in pictures])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = np.random.get_state()  # noqa: NPY002
        np.random.seed(0)  # noqa: NPY002
        try:
            theirs = captum.GradientShap(net(smooth=True)).attribute(
                nchw(image.values),
                baselines=nchw(values),
                n_samples=1500,
                stdevs=0.0,
                target=TARGET,
            )
        finally:
            np.random.set_state(state)  # noqa: NPY002
    ours = quick(
        model,
        "gradient_shap",
        image,
        target=TARGET,
        background=pictures,
        n_samples=1500,
        noise_level=0.0,
    )
    assert relative(ours.attribution, hwc(theirs)) < 0.1
    maps = [
        quick(model, "integrated_gradients", image, target=TARGET, baseline=one).attribution
        for one in pictures
    ]
    exact = np.mean(maps, axis=0)
    assert relative(ours.attribution, exact) < 0.05
    assert relative(hwc(theirs), exact) < 0.1


class Modules(nn.Module):
    """What Captum's DeepLIFT can see: every ReLU a module of its own."""

    def __init__(self, functional: bool = False, pool: type[nn.Module] = nn.AvgPool2d) -> None:
        super().__init__()
        self.conv_a, self.conv_b = nn.Conv2d(3, 6, 3, 1, 1), nn.Conv2d(6, 8, 3, 1, 1)
        self.relu_a, self.relu_b = nn.ReLU(), nn.ReLU()
        self.pool_a, self.pool_b = pool(2), nn.AvgPool2d(2)
        self.head = nn.Linear(8 * 8 * 8, 3)
        self.functional = functional

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv, act, pool in (
            (self.conv_a, self.relu_a, self.pool_a),
            (self.conv_b, self.relu_b, self.pool_b),
        ):
            x = conv(x)
            x = pool(torch.relu(x) if self.functional else act(x))
        return self.head(x.flatten(1))


def deep(functional: bool = False, pool: type[nn.Module] = nn.AvgPool2d) -> nn.Module:
    return seeded(Modules, functional, pool)


@pytest.mark.parametrize("n", [1, 3])
def test_deep_shap_is_equal_on_networks_of_modules(n: int) -> None:
    model = load(deep(), input_size=SIDE)
    image = model.prepare(picture())
    pictures = [picture(seed=20 + k) for k in range(n)]
    values = np.stack([model.prepare(one).values for one in pictures])
    if n == 1:
        theirs = captum.DeepLift(deep()).attribute(
            nchw(image.values), baselines=nchw(values), target=TARGET
        )
    else:
        theirs = captum.DeepLiftShap(deep()).attribute(
            nchw(image.values), baselines=nchw(values), target=TARGET
        )
    result = quick(model, "deep_shap", image, target=TARGET, background=pictures)
    assert relative(result.attribution, hwc(theirs)) < 1e-3
    assert abs(result.diagnostics["convergence_delta_relative"]) < 1e-3


def test_only_ours_completes_through_a_max_pool() -> None:
    """Captum's own convergence delta says that its maps are off; completeness decides."""
    model = load(deep(pool=nn.MaxPool2d), input_size=SIDE)
    image = model.prepare(picture())
    base = model.prepare(picture(seed=20)).values
    _, delta = captum.DeepLift(deep(pool=nn.MaxPool2d)).attribute(
        nchw(image.values), baselines=nchw(base), target=TARGET, return_convergence_delta=True
    )
    ours = quick(model, "deep_shap", image, target=TARGET, background=picture(seed=20))
    difference = ours.score - ours.diagnostics["score_baseline"]
    assert abs(float(delta)) > 0.1 * abs(difference)
    assert abs(ours.diagnostics["convergence_delta_relative"]) < 1e-4


def test_captums_deep_lift_is_a_plain_gradient_at_functional_relus_and_ours_completes() -> None:
    model = load(deep(functional=True), input_size=SIDE)
    image = model.prepare(picture())
    base = model.prepare(picture(seed=20)).values
    theirs = hwc(
        captum.DeepLift(deep(functional=True)).attribute(
            nchw(image.values), baselines=nchw(base), target=TARGET
        )
    )
    ours = quick(model, "deep_shap", image, target=TARGET, background=picture(seed=20))
    by_modules = quick(
        load(deep(), input_size=SIDE),
        "deep_shap",
        image,
        target=TARGET,
        background=picture(seed=20),
    )
    difference = ours.score - ours.diagnostics["score_baseline"]
    assert relative(ours.attribution, by_modules.attribution) < 1e-4
    assert abs(ours.diagnostics["convergence_delta_relative"]) < 1e-3
    assert abs(theirs.sum() - difference) > 0.01 * abs(difference)


class Hand(nn.Module):
    """Two layers solved by hand: f = relu(2 relu(x) - 1) in each pixel, with functional ReLUs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = torch.relu(2 * torch.relu(x) - 1).sum((1, 2, 3))
        return torch.stack([score, -score], dim=1)


def test_the_closed_form_of_two_layers_decides() -> None:
    """From b = 0 to x = 1 each value rises by 1; the gradient at 1 is 2, twice of that."""
    model = load(Hand().eval(), input_size=4)
    white, black = np.full((4, 4, 3), 255, np.uint8), np.zeros((4, 4, 3), np.uint8)
    ours = quick(model, "deep_shap", white, target=0, background=black)
    np.testing.assert_allclose(ours.attribution, 1.0, atol=1e-5)
    theirs = captum.DeepLift(Hand()).attribute(
        torch.ones(1, 3, 4, 4), baselines=torch.zeros(1, 3, 4, 4), target=0
    )
    np.testing.assert_allclose(hwc(theirs), 2.0, atol=1e-5)
