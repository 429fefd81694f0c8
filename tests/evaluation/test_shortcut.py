"""Localisation tells the model that looks at the ruler from the one that looks at the lesion."""

from __future__ import annotations

from typing import Any

import pytest

import xai_widgets as xw

METHODS = {
    "grad_cam": "grad_cam",
    "deep_shap": ("deep_shap", {"background": "blur"}),
}
N = 8


@pytest.fixture(scope="module")
def scores() -> dict[tuple[str, str, str], dict[str, Any]]:
    pictures = xw.demo.dataset("lesions", n=2 * N, ruler="malignant")
    malignant = pictures.labels == 1
    images, masks = pictures.images[malignant], pictures.masks["ruler"][malignant]
    found = {}
    for name in ("lesions", "lesions-shortcut"):
        records = xw.evaluate(
            xw.demo.model(name), images, METHODS, ["mass_density", "rank_accuracy"], masks,
            target="malignant", controls=False,
        )  # fmt: skip
        for row in xw.evaluation.summarise(records):
            found[name, row["method"], row["metric"]] = row
    return found


@pytest.mark.parametrize("metric", ["mass_density", "rank_accuracy"])
@pytest.mark.parametrize("method", METHODS)
def test_the_ruler_is_where_the_shortcut_model_looks(
    method: str, metric: str, scores: dict[tuple[str, str, str], dict[str, Any]]
) -> None:
    honest, shortcut = (scores[name, method, metric] for name in ("lesions", "lesions-shortcut"))
    assert shortcut["mean"] > 1.5 * honest["mean"]
    assert shortcut["low"] > honest["high"]
