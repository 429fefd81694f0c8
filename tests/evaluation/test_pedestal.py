"""The pedestal of real maps: how much of their complexity is a pedestal, and whom it favours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xai_widgets as xw
from xai_widgets.evaluation import distribution

METHODS: dict[str, dict[str, Any]] = {
    "guided_backprop": {},
    "fusion_grad": {"n_weights": 3, "n_samples": 3},
}


@pytest.fixture(scope="module")
def found() -> dict[str, list[Any]]:
    model, images = xw.demo.model("lesions"), xw.demo.dataset("lesions", n=3).images
    return {
        method: [distribution(xw.explain(model, image, method, **parameters)) for image in images]
        for method, parameters in METHODS.items()
    }


def entropies(found: list[Any]) -> tuple[float, float]:
    return (
        float(np.mean([one.entropy_before for one in found])),
        float(np.mean([one.entropy_after for one in found])),
    )


def test_subtracting_the_pedestal_lowers_the_entropy_of_every_real_map(
    found: dict[str, list[Any]],
) -> None:
    for shapes in found.values():
        assert all(shape.entropy_after < shape.entropy_before for shape in shapes)


def test_the_pedestal_weighs_more_in_fusion_grad_than_in_guided_backprop(
    found: dict[str, list[Any]],
) -> None:
    gains = {name: np.subtract(*entropies(shapes)) for name, shapes in found.items()}
    assert gains["fusion_grad"] > 2 * gains["guided_backprop"]


def test_on_the_demo_data_it_does_not_decide_who_is_less_complex(
    found: dict[str, list[Any]],
) -> None:
    before, after = (
        {name: entropies(shapes)[i] for name, shapes in found.items()} for i in range(2)
    )
    assert before["guided_backprop"] < before["fusion_grad"]
    assert after["guided_backprop"] < after["fusion_grad"]
