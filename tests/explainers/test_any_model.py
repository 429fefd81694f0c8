"""Perturbation methods explain models that only predict: ONNX files and anything on NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.format_zoo import onnx_file
from tests.explainers.helpers import quick, relative
from tests.models.nets import picture
from xai_widgets.errors import MethodError
from xai_widgets.explainers.registry import methods
from xai_widgets.models.inference_model import InferenceModel
from xai_widgets.models.loading import load

PERTURBATIONS = ("occlusion", "rise", "shapley_sampling")
OPTIONS: dict[str, dict[str, Any]] = {
    "rise": {"n_masks": 600, "grid_size": 4},
    "shapley_sampling": {"n_samples": 2, "n_superpixels": 16, "baseline": "black"},
    "occlusion": {"baseline": "black"},
}


class Corner(InferenceModel):
    """Scores the red of the upper left corner, in plain NumPy."""

    name, framework, format = "Corner", "numpy", "onnx"
    versions: dict[str, str] = {}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(self, "Corner has no gradients.", digest="corner", input_size=(16, 16))

    def infer(self, images: Any) -> Any:
        red = images[:, :8, :8, 0].mean(axis=(1, 2))
        return np.stack([red, -red], axis=1)


@pytest.mark.parametrize("method", PERTURBATIONS)
def test_what_a_model_without_a_framework_looks_at_is_found(method: str) -> None:
    pixels = np.full((16, 16, 3), 200, np.uint8)
    result = quick(Corner(), method, pixels, target=0, **OPTIONS[method])
    inside = result.map[:8, :8].mean() - result.map.min()
    outside = result.map[8:, 8:].mean() - result.map.min()
    assert inside > 4 * outside
    if method != "rise":
        assert result.map[10:, 10:] == pytest.approx(0, abs=1e-5)


def test_the_list_of_methods_offers_exactly_these_for_an_onnx_file(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    records = methods(onnx_file(tmp_path))
    assert {record["method"] for record in records if record["applicable"]} == set(PERTURBATIONS)
    for record in records:
        assert record["applicable"] or "ONNX" in record["reason"]
    with pytest.raises(MethodError, match=r"Score-CAM cannot explain this model.*ONNX"):
        quick(onnx_file(tmp_path), "score_cam")


@pytest.mark.parametrize("method", PERTURBATIONS)
def test_an_onnx_file_has_the_map_of_the_network_it_was_made_from(
    method: str, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    from scripts.format_zoo import SIDE, network

    options = {**OPTIONS[method], "target": 1}
    image = picture(SIDE, SIDE)
    found = quick(onnx_file(tmp_path), method, image, **options)
    expected = quick(load(network(), input_size=SIDE), method, image, **options)
    assert relative(found.attribution, expected.attribution) < 1e-2
