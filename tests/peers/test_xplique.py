"""Integrated gradients and Grad-CAM of a Keras model equal Xplique's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.models.keras_nets import SIDE, functional
from tests.models.nets import picture
from xai_widgets.explainers.run import explain
from xai_widgets.models.loading import load

attributions = pytest.importorskip("xplique.attributions")
pytestmark = pytest.mark.peers

STEPS, TARGET = 8, 0


@pytest.mark.parametrize("method", ["integrated_gradients", "grad_cam"])
def test_maps_equal_xpliques(method: str) -> None:
    source = functional()
    model = load(source)
    image = model.prepare(picture(SIDE, SIDE))
    label = np.eye(3, dtype=np.float32)[[TARGET]]
    options: dict[str, Any] = {}
    if method == "integrated_gradients":
        options = {"n_steps": STEPS, "baseline": "zeros"}
        peer = attributions.IntegratedGradients(
            source, steps=STEPS + 1, baseline_value=0.0, reducer=None
        )
    else:
        peer = attributions.GradCAM(source, conv_layer="conv_b")
    expected = np.squeeze(np.asarray(peer.explain(image.values[None], label)))
    found = explain(model, image, method, target=TARGET, **options).attribution
    if method == "grad_cam":  # each resizes in its own way: compare where it is largest
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.9
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)
