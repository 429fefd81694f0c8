"""Each class activation map equals its formula, written out in NumPy, on both frameworks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.explainers.helpers import quick, relative
from tests.explainers.twins import FRAMEWORKS, Floats, activation_and_gradient, net, twin
from tests.models.nets import SIDE, NoGrad, convolutional, picture
from xai_widgets.explainers.cam import GradCAMPlusPlus
from xai_widgets.explainers.registry import find, methods
from xai_widgets.maps import upsample
from xai_widgets.models.loading import load
from xai_widgets.models.numpy_backend import NumpyBackend

TARGET = 1


def relu(values: Any) -> Any:
    return np.maximum(values, 0)


def grad_cam(a: Any, g: Any) -> Any:
    return relu((a * g.mean(axis=(0, 1))).sum(axis=2))


def grad_cam_plus_plus(a: Any, g: Any) -> Any:
    denominator = 2 * g**2 + a.sum(axis=(0, 1)) * g**3
    alpha = np.divide(g**2, denominator, out=np.zeros_like(g), where=denominator != 0)
    return relu((a * (alpha * relu(g)).sum(axis=(0, 1))).sum(axis=2))


def hires_cam(a: Any, g: Any) -> Any:
    return (a * g).sum(axis=2)


def xgrad_cam(a: Any, g: Any) -> Any:
    sums = a.sum(axis=(0, 1))
    shares = (a * g).sum(axis=(0, 1))
    return relu((a * np.divide(shares, sums, out=np.zeros_like(sums), where=sums != 0)).sum(axis=2))


def layer_cam(a: Any, g: Any) -> Any:
    return relu((a * relu(g)).sum(axis=2))


FORMULAS: dict[str, Callable[[Any, Any], Any]] = {
    "grad_cam": grad_cam,
    "grad_cam_plus_plus": grad_cam_plus_plus,
    "hires_cam": hires_cam,
    "xgrad_cam": xgrad_cam,
    "layer_cam": layer_cam,
}


@pytest.mark.parametrize("layer", ["first", "second"])
@pytest.mark.parametrize("method", FORMULAS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_map_is_its_formula(framework: str, method: str, layer: str) -> None:
    model = twin(framework)
    image = model.prepare(picture())
    result = quick(model, method, image, target=TARGET, layer=layer)
    a, g = activation_and_gradient(net(), image.values, layer, TARGET)
    expected = upsample(FORMULAS[method](a, g).astype(np.float32), (SIDE, SIDE))
    assert relative(result.attribution, expected) < 1e-4
    assert np.abs(result.attribution).max() > 0
    assert result.signed is find(method).signed
    assert result.signed or result.attribution.min() >= 0
    assert result.diagnostics["layer_shape"] == list(a.shape)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_hires_cam_sums_to_the_score_less_the_bias_before_a_linear_head(framework: str) -> None:
    model = twin(framework)
    image = model.prepare(picture())
    a, g = activation_and_gradient(net(), image.values, "second", TARGET)
    bias = float(net().head.bias[TARGET].detach())
    result = quick(model, "hires_cam", image, target=TARGET, layer="second")
    assert hires_cam(a, g).sum() + bias == pytest.approx(result.score, abs=1e-5)
    mean = result.attribution.mean(dtype=np.float64) * a.shape[0] * a.shape[1]
    edges = np.abs(result.attribution).mean() * a.shape[0] * a.shape[1]
    assert abs(mean + bias - result.score) < 0.1 * edges, "resizing moves a little over the edges"


class Corners(nn.Module):
    """Two channels that see two corners; the score takes the first channel in the top half only."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Identity()
        weights = torch.zeros(1, 2, 8, 8)
        weights[0, 0, :4] = 1.0
        weights[0, 0, 4:] = -0.5
        weights[0, 1] = 0.25
        self.register_buffer("weights", weights)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.layer(x[:, :2] * 1.0)
        score = (features * self.weights).sum((1, 2, 3))
        return torch.stack([score, -score], dim=1)


def test_only_hires_and_layer_cam_leave_out_places_that_the_score_does_not_add_up_there() -> None:
    """The first channel lights the bottom half, where it speaks against the class.

    By hand: its gradient is 1 above and -0.5 below, so Grad-CAM's weight is their mean 0.25 and
    the bottom half looks like evidence for the class; HiResCAM has -0.5 there, LayerCAM nothing.
    """
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[4:, :, 0] = 255
    model = load(Corners().eval(), input_size=8)
    maps = {
        method: quick(model, method, pixels, target=0, layer="layer").attribution
        for method in FORMULAS
    }
    np.testing.assert_allclose(maps["grad_cam"][4:], 0.25, atol=1e-6)
    np.testing.assert_allclose(maps["hires_cam"][4:], -0.5, atol=1e-6)
    np.testing.assert_array_equal(maps["layer_cam"], 0)
    np.testing.assert_array_equal(maps["xgrad_cam"], 0)  # weight -0.5, all its activation is below
    for map_ in maps.values():
        np.testing.assert_array_equal(map_[:4], 0)


def test_a_gradient_too_small_to_be_squared_still_gives_grad_cam_plus_plus() -> None:
    """By hand: alpha is 1 / (2 + S g), so half of a tiny gradient; its square would be zero."""
    activation = np.full((1, 2, 2, 1), 3.0, np.float32)
    gradient = np.full((1, 2, 2, 1), 1e-25, np.float32)
    assert (gradient**2 == 0).all()
    found = GradCAMPlusPlus.combine(activation, gradient, NumpyBackend())
    np.testing.assert_allclose(found, 3.0 * 4 * 0.5e-25, rtol=1e-5)


def test_grad_cam_plus_plus_gives_no_weight_where_its_alpha_is_not_positive() -> None:
    """Activations below zero, as after GELU, can make 2 + S g zero, whose alpha is infinite."""
    activation = np.array([1.0, -1.0, -1.0, -1.0], np.float32).reshape(1, 2, 2, 1)  # S = -2
    gradient = np.array([1.0, 1.0, 1.5, 0.5], np.float32).reshape(1, 2, 2, 1)
    found = GradCAMPlusPlus.combine(activation, gradient, NumpyBackend())
    np.testing.assert_allclose(found.ravel(), [0.5, 0, 0, 0])  # from the last: 0.5 / (2 - 1)


@pytest.mark.parametrize("method", FORMULAS)
def test_a_zero_gradient_gives_a_map_of_zeros(method: str) -> None:
    module = net()
    with torch.no_grad():
        module.head.weight[2].zero_()
    result = quick(load(module, input_size=SIDE), method, target=2, layer="second")
    np.testing.assert_array_equal(result.attribution, 0)


@pytest.mark.parametrize("method", FORMULAS)
def test_a_contrast_is_the_map_of_the_difference(method: str) -> None:
    from xai_widgets.models.targets import ClassTarget

    model = twin("torch")
    image = model.prepare(picture())
    a, g = activation_and_gradient(net(), image.values, "second", 0)
    _, other = activation_and_gradient(net(), image.values, "second", 2)
    result = quick(model, method, image, target=ClassTarget(0, versus=2), layer="second")
    expected = upsample(FORMULAS[method](a, g - other).astype(np.float32), (SIDE, SIDE))
    np.testing.assert_allclose(result.attribution, expected, rtol=1e-3, atol=1e-6)


def test_methods_without_gradients_apply_where_autograd_is_cut() -> None:
    records = {record["method"]: record for record in methods(load(NoGrad(), input_size=SIDE))}
    for name in ("eigen_cam", "score_cam", "occlusion", "rise", "shapley_sampling"):
        assert records[name]["applicable"], records[name]["reason"]
        result = quick(
            load(NoGrad(), input_size=SIDE), name, **({"n_masks": 8} if name == "rise" else {})
        )
        assert np.isfinite(result.attribution).all()
    for name in FORMULAS:
        assert not records[name]["applicable"] and "layer" in records[name]["reason"]


def eigen(a: Floats) -> Any:
    _, _, right = np.linalg.svd(a.reshape(-1, a.shape[2]), full_matrices=False)
    projected = a @ right[0]
    return projected * np.sign(projected.ravel()[np.abs(projected).argmax()])


@pytest.mark.parametrize("layer", ["first", "second"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_eigen_cam_is_the_first_right_singular_vector_uncentred(framework: str, layer: str) -> None:
    model = twin(framework)
    image = model.prepare(picture())
    a, _ = activation_and_gradient(net(), image.values, layer, 0)
    expected = upsample(eigen(a).astype(np.float32), (SIDE, SIDE))
    result = quick(model, "eigen_cam", image, target=0, layer=layer)
    assert relative(result.attribution, expected) < 1e-4
    centred = upsample(eigen(a - a.mean(axis=(0, 1))).astype(np.float32), (SIDE, SIDE))
    assert relative(result.attribution, centred) > 0.1, "centring is another method"
    assert 0 < result.diagnostics["explained_share"] <= 1


def test_eigen_cam_is_the_same_for_every_class_and_says_so() -> None:
    model = twin("torch")
    maps = [quick(model, "eigen_cam", target=k).attribution for k in range(3)]
    np.testing.assert_array_equal(maps[0], maps[1])
    np.testing.assert_array_equal(maps[0], maps[2])
    (record,) = (record for record in methods(model) if record["method"] == "eigen_cam")
    assert "Class-agnostic" in record["note"] and "sign is arbitrary" in record["note"]


def test_eigen_cam_has_its_largest_magnitude_positive_whatever_the_svd_returns() -> None:
    from xai_widgets.explainers.eigen_cam import first_component

    generator = np.random.default_rng(0)
    activation = generator.normal(size=(4, 5, 6)).astype(np.float32)
    for signed in (activation, -activation):
        coarse, _ = first_component(signed)
        assert coarse.ravel()[np.abs(coarse).argmax()] > 0
    one = np.outer([1.0, 2.0, -3.0, 0.5], [2.0, 1.0, 2.0]).reshape(2, 2, 3).astype(np.float32)
    coarse, share = first_component(one)  # of rank one: the vector is known by hand
    np.testing.assert_allclose(coarse, -3 * np.array([[1, 2], [-3, 0.5]]), rtol=1e-5)
    assert share == pytest.approx(1)


def test_layers_are_looked_at_where_the_model_is_linear_in_them() -> None:
    """One channel, one weight: the map is the channel times the weight, known by hand."""
    module = convolutional(n_classes=2)
    with torch.no_grad():
        module[6].weight.zero_()
        module[6].weight[0, 3] = 2.0
    model = load(module, input_size=SIDE)
    image = model.prepare(picture())
    forward = model.forward_pass(image)
    channel = model.backend.to_numpy(forward.activation("3"))[0, :, :, 3]
    result = quick(model, "grad_cam", image, target=0, layer="3").attribution
    np.testing.assert_allclose(result, upsample(channel * 2 / 64, (SIDE, SIDE)), atol=1e-6)
