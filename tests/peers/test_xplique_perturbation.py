"""Occlusion, RISE and Grad-CAM++ of a Keras model beside Xplique's, and who is right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.explainers.helpers import quick, relative
from tests.explainers.test_cam_family import grad_cam_plus_plus
from tests.explainers.twins import N_CLASSES, activation_and_gradient, net, twin
from tests.models.nets import SIDE, picture
from xai_widgets.explainers.cam import GradCAMPlusPlus
from xai_widgets.models.numpy_backend import NumpyBackend

attributions = pytest.importorskip("xplique.attributions")
pytestmark = pytest.mark.peers

TARGET = 1
LABEL = np.eye(N_CLASSES, dtype=np.float32)[[TARGET]]


@pytest.mark.parametrize(("window", "stride"), [(8, 8), (8, 4)])
def test_occlusion_is_xpliques_divided_by_how_often_a_pixel_is_covered(
    window: int, stride: int
) -> None:
    """Xplique adds the drops of overlapping windows up, so that the middle outweighs the edge."""
    model = twin("tensorflow")
    image = model.prepare(picture())
    peer = attributions.Occlusion(
        model.source, batch_size=16, patch_size=window, patch_stride=stride, occlusion_value=0.0
    )
    theirs = np.squeeze(np.asarray(peer.explain(image.values[None], LABEL)))
    ours = quick(
        model, "occlusion", image, target=TARGET, window_size=window, stride=stride,
        baseline="zeros",
    ).attribution  # fmt: skip
    covered = np.zeros((SIDE, SIDE))
    for y in range(0, SIDE - window + 1, stride):
        for x in range(0, SIDE - window + 1, stride):
            covered[y : y + window, x : x + window] += 1
    assert relative(ours * covered, theirs) < 1e-3
    assert (relative(ours, theirs) < 1e-3) is (window == stride)


def test_rise_and_xpliques_tend_to_the_same_map_up_to_a_constant() -> None:
    """Xplique divides by the sum of the masks in each pixel, whose expectation is N p."""
    import tensorflow as tf

    model = twin("tensorflow")
    image = model.prepare(picture())
    tf.random.set_seed(0)
    peer = attributions.Rise(model.source, batch_size=8, nb_samples=4000, grid_size=4)
    theirs = np.squeeze(np.asarray(peer.explain(image.values[None], LABEL)))
    options: dict[str, Any] = {"target": TARGET, "n_masks": 4000, "grid_size": 4}
    centred = quick(model, "rise", image, **options)
    published = quick(model, "rise", image, **options, centred=False)
    assert np.corrcoef(centred.map.ravel(), theirs.ravel())[0, 1] > 0.9
    assert published.map.mean() == pytest.approx(theirs.mean(), rel=0.05)
    assert centred.diagnostics["reliability"] > 0.9
    assert relative(published.map - published.map.mean(), centred.map - centred.map.mean()) < 1.0


def test_xpliques_grad_cam_plus_plus_takes_the_mean_where_the_paper_has_the_sum() -> None:
    """Equation 19 of arXiv:1710.11063 sums A over space; both are written out here."""
    model = twin("tensorflow")
    values = model.prepare(picture()).values
    a, g = activation_and_gradient(net(), values, "second", TARGET)
    a, g = a * 50, g * 50  # so that 2 does not hide the sum
    maps, gradients = (part[None].astype(np.float32) for part in (a, g))
    weights = attributions.GradCAMPP._compute_weights(gradients, maps)
    theirs = np.asarray(attributions.GradCAMPP._apply_weights(weights, maps))[0]
    ours = GradCAMPlusPlus.combine(maps, gradients, NumpyBackend())[0]
    alpha = np.divide(
        g**2, 2 * g**2 + a.mean(axis=(0, 1)) * g**3, out=np.zeros_like(g), where=g != 0
    )
    with_mean = np.maximum((a * (alpha * np.maximum(g, 0)).mean(axis=(0, 1))).sum(axis=2), 0)
    assert relative(ours, grad_cam_plus_plus(a, g)) < 1e-4
    assert relative(theirs, with_mean) < 1e-4
    assert relative(ours / ours.max(), theirs / theirs.max()) > 0.02
