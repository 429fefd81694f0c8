"""Maps change only by steps that the user names, and the result says which."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.explainers.helpers import NORMALISED, quick
from tests.models.nets import convolutional, picture
from xai_widgets.errors import DependencyError, MethodError
from xai_widgets.explanation import Explanation
from xai_widgets.models import optional
from xai_widgets.models.loading import load
from xai_widgets.postprocessing import (
    Channels,
    Clip,
    EdgePreservingSmoothing,
    GaussianSmoothing,
    Sign,
    SuperpixelAverage,
    picture_on_grid,
)

SMOOTHERS = (GaussianSmoothing(2.0), EdgePreservingSmoothing(3, 1e-3), SuperpixelAverage(20))


def explained(image: Any = None, **preprocessing: Any) -> Explanation:
    model = load(convolutional(), preprocessing={**NORMALISED, **preprocessing})
    return quick(model, "input_x_gradient", picture(40, 60) if image is None else image, target=1)


def test_nothing_changes_without_steps_but_the_channels_are_summed() -> None:
    result = explained()
    processed = result.processed()
    np.testing.assert_array_equal(processed.map, result.map)
    assert processed.provenance["postprocessing"] == [{"step": "channels", "reduce": "sum"}]


def test_the_result_lists_the_steps_in_order_and_the_original_stays() -> None:
    result = explained()
    before = result.attribution.copy()
    processed = result.processed(Channels("mean"), Sign("absolute"), Clip(90))
    assert json.loads(json.dumps(processed.to_dict()))["provenance"]["postprocessing"] == [
        {"step": "channels", "reduce": "mean"},
        {"step": "sign", "keep": "absolute"},
        {"step": "clip", "percentile": 90},
    ]
    np.testing.assert_array_equal(result.attribution, before)
    assert "postprocessing" not in result.provenance
    again = processed.processed(GaussianSmoothing(1.0))
    assert [step["step"] for step in again.provenance["postprocessing"]] == [
        "channels",
        "sign",
        "clip",
        "gaussian_smoothing",
    ]


@pytest.mark.parametrize(
    ("reduce", "formula"),
    [
        ("sum", lambda a: a.sum(axis=2)),
        ("mean", lambda a: a.mean(axis=2)),
        ("l2", lambda a: np.sqrt((a**2).sum(axis=2))),
        ("max_abs", lambda a: np.where(a.max(2) >= -a.min(2), a.max(2), a.min(2))),
    ],
)
def test_channels_reduce_by_their_formula(reduce: str, formula: Any) -> None:
    result = explained()
    processed = result.processed(Channels(reduce))
    np.testing.assert_allclose(processed.map, formula(result.attribution), rtol=1e-5, atol=1e-7)
    assert processed.signed is (reduce != "l2")


def test_positive_and_negative_parts_add_up_to_the_magnitude() -> None:
    result = explained()
    positive, negative, absolute = (
        result.processed(Sign(keep)) for keep in ("positive", "negative", "absolute")
    )
    assert positive.map.any() and negative.map.any()
    np.testing.assert_allclose(positive.map - negative.map, result.map, atol=1e-7)
    np.testing.assert_allclose(positive.map + negative.map, absolute.map, atol=1e-7)
    assert not positive.signed and positive.map.min() == 0


def test_clipping_keeps_the_sign_and_changes_only_the_strongest() -> None:
    result = explained()
    limit = np.percentile(np.abs(result.map), 95)
    clipped = result.processed(Clip(95)).map
    inside = np.abs(result.map) <= limit
    np.testing.assert_array_equal(clipped[inside], result.map[inside])
    np.testing.assert_allclose(np.abs(clipped[~inside]), limit, rtol=1e-5)
    assert (np.sign(clipped) == np.sign(result.map)).all()


@pytest.mark.parametrize("step", SMOOTHERS, ids=lambda step: step.name)
def test_smoothing_lowers_the_differences_between_neighbours(step: Any) -> None:
    result = explained()
    smooth = result.processed(step).map
    assert smooth.shape == result.map.shape and np.isfinite(smooth).all()
    assert np.abs(np.diff(smooth, axis=0)).mean() < 0.7 * np.abs(np.diff(result.map, axis=0)).mean()


def test_edge_preserving_smoothing_does_not_blur_across_an_edge_of_the_picture() -> None:
    halves = np.zeros((32, 32, 3), np.uint8)
    halves[:, 16:] = 255
    result = explained(halves)
    step = np.zeros((result.map.shape[0], result.map.shape[1]), np.float32)
    step[:, step.shape[1] // 2 :] = 1.0
    noisy = step + np.random.default_rng(0).normal(0, 0.2, step.shape).astype(np.float32)
    guided = EdgePreservingSmoothing(6, 1e-4)(noisy, result.image)
    blurred = GaussianSmoothing(3.0)(noisy, result.image)
    assert np.abs(guided - step).mean() < 0.5 * np.abs(blurred - step).mean()


def test_superpixels_keep_the_sum_and_are_flat_inside() -> None:
    result = explained()
    averaged = result.processed(SuperpixelAverage(20)).map
    assert averaged.sum() == pytest.approx(result.map.sum(), rel=1e-4)
    assert 4 <= len(np.unique(averaged)) <= 40


def test_the_guide_is_what_the_model_saw_of_the_picture() -> None:
    gradient = np.tile(np.linspace(0, 255, 60).astype(np.uint8)[None, :, None], (40, 1, 3))
    image = explained(gradient, resize="crop").image
    guide = picture_on_grid(image, (20, 20))
    left, right = int(image.placement.x), int(image.placement.x + image.placement.width) - 1
    assert int(guide[10, 0, 0]) == pytest.approx(int(gradient[0, left, 0]), abs=8)
    assert int(guide[10, -1, 0]) == pytest.approx(int(gradient[0, right, 0]), abs=8)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Sign("up"), "keep cannot be 'up'"),
        (lambda: Channels("median"), "reduce cannot be 'median'"),
        (lambda: Clip(0), "percentile is 0"),
        (lambda: Clip(101), "percentile is 101"),
        (lambda: GaussianSmoothing(-1), "sigma is -1"),
        (lambda: EdgePreservingSmoothing(0), "radius is 0"),
        (lambda: SuperpixelAverage(0), "n_segments is 0"),
    ],
)
def test_wrong_parameters_get_one_sentence(make: Any, words: str) -> None:
    with pytest.raises(MethodError, match=words):
        make()


def test_a_step_that_is_none_and_channels_in_the_middle_are_refused() -> None:
    result = explained()
    with pytest.raises(MethodError, match="no step"):
        result.processed("absolute")  # type: ignore[arg-type]
    with pytest.raises(MethodError, match="first step"):
        result.processed(Sign(), Channels())


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> Any:
        raise ImportError(name=package)

    monkeypatch.setattr(optional, "import_module", missing)
    with pytest.raises(DependencyError, match=r"xai-widgets\[smoothing\]"):
        explained().processed(EdgePreservingSmoothing())
