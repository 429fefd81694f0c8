"""Attribution to the patch embeddings of transformers: complete, on the grid, and refused aptly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.explainers.helpers import quick, relative
from tests.models.nets import SIDE, convolutional, picture, seeded
from tests.models.test_torch_layers import swin, vit
from xai_widgets.errors import MethodError
from xai_widgets.explainers.baselines import baseline_values
from xai_widgets.explainers.quadrature import QUADRATURES
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load

METHODS = ("gradient", "input_x_gradient", "smoothgrad", "integrated_gradients")
PATCH = 8


class Tokens(nn.Module):
    """Patches of 8 x 8 embedded, two layers on each, their mean: solved by hand below."""

    def __init__(self, stem: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 3, 3, 1, 1), nn.GELU()) if stem else nn.Identity()
        self.patches = nn.Conv2d(3, 6, PATCH, PATCH)
        self.embed = nn.Linear(6, 5)
        self.hidden = nn.Linear(5, 9)
        self.out = nn.Linear(9, 3)

    def embedded(self, x: torch.Tensor) -> torch.Tensor:
        return self.embed(self.patches(self.stem(x)).flatten(2).transpose(1, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.embedded(x)
        return self.out(torch.tanh(self.hidden(tokens)) ** 2).mean(1)


def tokens(stem: bool = False) -> ExplainableModel:
    return load(seeded(Tokens, stem), input_size=SIDE)


def by_hand(model: ExplainableModel, values: Any) -> tuple[Any, Any]:
    """Return the tokens [T, D] and the score's gradient there."""
    module = model.source
    x = torch.from_numpy(np.asarray(values, np.float32).transpose(2, 0, 1)[None].copy())
    embedded = module.embedded(x).detach().requires_grad_()
    score = module.out(torch.tanh(module.hidden(embedded)) ** 2).mean(1)[0, 1]
    (gradient,) = torch.autograd.grad(score, embedded)
    return embedded[0].detach().numpy(), gradient[0].numpy()


def per_patch(attribution: Any) -> Any:
    """Sum a map over each patch, [4, 4]."""
    n = SIDE // PATCH
    return attribution.reshape(n, PATCH, n, PATCH).sum((1, 3))


def test_the_layer_is_where_the_patches_are_embedded() -> None:
    assert tokens().patch_layer == "embed"


def test_the_gradient_is_its_length_at_every_patch() -> None:
    model = tokens()
    image = model.prepare(picture())
    _, gradient = by_hand(model, image.values)
    expected = np.linalg.norm(gradient, axis=1).reshape(4, 4)
    result = quick(model, "gradient", image, target=1, space="patches")
    assert result.attribution.shape == (SIDE, SIDE)
    np.testing.assert_allclose(
        result.attribution, np.kron(expected, np.ones((PATCH, PATCH))), rtol=1e-4
    )


def test_input_x_gradient_is_shared_out_among_the_pixels_of_its_patch() -> None:
    model = tokens()
    image = model.prepare(picture())
    embedded, gradient = by_hand(model, image.values)
    expected = (embedded * gradient).sum(1).reshape(4, 4)
    result = quick(model, "input_x_gradient", image, target=1, space="patches")
    np.testing.assert_allclose(per_patch(result.attribution), expected, rtol=1e-3, atol=1e-7)
    assert np.ptp(result.attribution[:PATCH, :PATCH]) < 1e-7


def test_smoothgrad_is_the_length_of_the_mean_gradient() -> None:
    model = tokens()
    image = model.prepare(picture())
    noise = np.random.default_rng(3).standard_normal((5, *image.values.shape), dtype=np.float32)
    spread = 0.2 * np.ptp(image.values)
    gradients = [by_hand(model, image.values + spread * one)[1] for one in noise]
    expected = np.linalg.norm(np.mean(gradients, axis=0), axis=1).reshape(4, 4)
    options = {"n_samples": 5, "noise_level": 0.2, "seed": 3, "space": "patches"}
    found = quick(model, "smoothgrad", image, target=1, **options).attribution
    assert relative(found, np.kron(expected, np.ones((PATCH, PATCH)))) < 1e-4


@pytest.mark.parametrize("quadrature", QUADRATURES)
@pytest.mark.parametrize("baseline", ["black", "blur"])
def test_integrated_gradients_are_those_of_the_tokens_and_complete(
    baseline: str, quadrature: str
) -> None:
    model = tokens()
    image = model.prepare(picture())
    start = baseline_values(model, image, baseline)
    first, _ = by_hand(model, start)
    last, _ = by_hand(model, image.values)
    alphas = (np.arange(400) + 0.5) / 400
    gradients = [by_hand(model, start + a * (image.values - start))[1] for a in alphas]
    expected = (np.mean(gradients, axis=0) * (last - first)).sum(1).reshape(4, 4)
    options = {"baseline": baseline, "quadrature": quadrature, "space": "patches", "n_steps": 128}
    result = quick(model, "integrated_gradients", image, target=1, tolerance=1e-3, **options)
    assert relative(per_patch(result.attribution), expected) < 5e-3
    assert result.diagnostics["convergence_delta_relative"] == pytest.approx(0, abs=5e-3)


@pytest.mark.parametrize("make", [vit, swin])
def test_it_is_complete_on_transformers_with_and_without_cls(make: Any) -> None:
    model = load(seeded(make), input_size=SIDE)
    assert model.patch_layer is not None
    pixels, patches = (
        quick(model, "integrated_gradients", target=1, n_steps=32, space=space, baseline="noise")
        for space in ("pixels", "patches")
    )
    # The path is the same, so that both sums are the same, whatever the number of steps.
    total = pixels.attribution.sum(dtype=np.float64)
    assert patches.attribution.sum(dtype=np.float64) == pytest.approx(total, rel=1e-3)
    change = patches.score - patches.diagnostics["score_baseline"]
    assert total == pytest.approx(change, rel=0.05)
    assert np.abs(patches.attribution).max() > 0


@pytest.mark.parametrize("size", [(32, 48), (40, 32)])
def test_grids_that_are_not_square_lie_on_the_picture(size: tuple[int, int]) -> None:
    model = load(seeded(Tokens), input_size=size)
    result = quick(model, "integrated_gradients", picture(*size), space="patches", n_steps=16)
    assert result.attribution.shape == size
    assert np.ptp(result.attribution[:PATCH, :PATCH]) < 1e-6
    assert result.diagnostics["convergence_delta_relative"] == pytest.approx(0, abs=0.02)


def test_patches_behind_a_stem_with_kinks_are_no_straight_path_and_refused() -> None:
    model = tokens(stem=True)
    with pytest.raises(MethodError, match="no affine function of the pixels"):
        quick(model, "integrated_gradients", space="patches")
    assert np.isfinite(quick(model, "input_x_gradient", space="patches").attribution).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_network_without_patches_is_refused_with_a_sentence(method: str) -> None:
    model = load(convolutional(), input_size=SIDE)
    with pytest.raises(MethodError, match="no patches to attribute to"):
        quick(model, method, space="patches")
