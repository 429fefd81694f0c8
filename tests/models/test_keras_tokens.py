"""Tokens of Keras transformers lie on a grid, and CAM methods get the right layer of them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models.keras_nets import SIDE
from tests.models.keras_transformers import WIDTH, vit
from tests.models.nets import picture
from xai_widgets.explainers.run import explain
from xai_widgets.models.architecture import Grid
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget


@pytest.fixture(scope="module")
def model() -> ExplainableModel:
    return load(vit())


@pytest.mark.parametrize("n_prefix", [0, 1, 5])
def test_tokens_count_as_feature_maps_on_their_grid(n_prefix: int) -> None:
    model = load(vit(n_prefix=n_prefix, pooled=n_prefix == 0))
    assert not {"feature_maps", "layer_gradients", "patches"} & set(model.capabilities.lacks)
    layer = model.layer("sum_0_b")
    assert layer.shape == (16 + n_prefix, WIDTH)
    assert layer.grid == Grid(4, 4, n_prefix) and layer.resolution == (4, 4) and layer.spatial
    assert model.patch_layer == "tokens"
    image = model.prepare(picture(SIDE, SIDE))
    forward = model.forward_pass(image)
    activation = forward.activation("sum_0_b")
    assert tuple(activation.shape) == (1, 16 + n_prefix, WIDTH)
    found = model.feature_map("sum_0_b", activation)
    np.testing.assert_array_equal(found, activation.numpy()[:, n_prefix:].reshape(1, 4, 4, WIDTH))


def test_the_layer_recommended_is_the_last_whose_patches_move_the_score(
    model: ExplainableModel,
) -> None:
    cls, pooled = model, load(vit(n_prefix=0, pooled=True))
    assert cls.recommended_layer == "norm_1_a"
    assert pooled.recommended_layer == "norm"
    windows = load(vit("windows", n_prefix=0, pooled=True))
    assert windows.recommended_layer == "norm"
    forward = cls.forward_pass(cls.prepare(picture(SIDE, SIDE)))
    at = {
        name: np.abs(cls.feature_map(name, forward.gradient(ClassTarget(0), name))).max()
        for name in ("norm_1_a", "norm")
    }
    assert at["norm_1_a"] > 1e-3 and at["norm"] == 0


def test_patch_embeddings_have_gradients_in_batches_too(model: ExplainableModel) -> None:
    image = model.prepare(picture(SIDE, SIDE))
    expected = model.forward_pass(image).gradient(ClassTarget(2), "tokens")
    images = np.stack([image.values, image.values[::-1]])
    found = model.gradients(images, ClassTarget(2), layer="tokens")
    assert tuple(found.values.shape) == (2, 16, WIDTH)
    np.testing.assert_allclose(found.values[:1], expected, rtol=1e-3, atol=1e-6)


def test_grad_cam_maps_the_tokens_of_a_transformer(model: ExplainableModel) -> None:
    result = explain(model, picture(SIDE, SIDE), "grad_cam")
    assert result.layer == "norm_1_a"
    assert np.isfinite(result.attribution).all()
