"""Integrated gradients: the quadrature, its axioms, its baselines and its diagnostics."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.explainers.helpers import TORCH, chunked, linear_model, quick, relative, smooth_model
from tests.models.nets import SIDE, Wrapped, convolutional, picture
from xai_widgets.errors import MethodError
from xai_widgets.explainers.baselines import BASELINES, baseline_values
from xai_widgets.explainers.quadrature import chunks, nested_points
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import ClassTarget

IG = "integrated_gradients"


@settings(deadline=None, derandomize=True)
@given(n_steps=st.integers(1, 2048))
def test_the_nested_points_are_all_points_once_and_every_level_is_a_trapezoid(
    n_steps: int,
) -> None:
    levels = nested_points(n_steps)
    seen: list[int] = []
    for level in levels:
        seen += level
        ordered = sorted(seen)
        assert ordered[0] == 0 and ordered[-1] == n_steps
        assert len({b - a for a, b in pairwise(ordered)}) == 1
    assert sorted(seen) == list(range(n_steps + 1))


@settings(deadline=None, derandomize=True)
@given(n_steps=st.integers(1, 600), size=st.integers(1, 80))
def test_chunks_hold_every_point_once_and_no_more_than_fit(n_steps: int, size: int) -> None:
    points: list[int] = []
    completed = []
    for chunk, intervals in chunks(n_steps, size):
        assert 0 < len(chunk) <= size + 1
        points += chunk
        if intervals is not None:
            completed.append(intervals)
            stride = n_steps // intervals
            assert sorted(points) == list(range(0, n_steps + 1, stride))
            weights = [0.5 if point in (0, n_steps) else 1.0 for point in points]
            assert sum(weights) == intervals
    assert sorted(points) == list(range(n_steps + 1))
    assert completed[-1] == n_steps and completed == sorted(completed)


def by_hand(
    model: ExplainableModel, image: PreparedImage, baseline: Any, target: ClassTarget, n_steps: int
) -> Any:
    """Return a plain trapezoid over all points at once, in float64."""
    module = model.source.double()
    try:
        path = torch.from_numpy((image.values - baseline).astype(np.float64))
        alphas = torch.linspace(0, 1, n_steps + 1, dtype=torch.float64)
        points = torch.from_numpy(baseline.astype(np.float64)) + alphas[:, None, None, None] * path
        x = points.permute(0, 3, 1, 2).requires_grad_()
        (gradients,) = torch.autograd.grad(target(module(x), TORCH).sum(), x)
    finally:
        module.float()
    mean = torch.trapezoid(gradients, alphas, dim=0)
    return (mean.permute(1, 2, 0) * path).numpy()


@pytest.mark.parametrize("n_steps", [1, 2, 3, 7, 12, 16, 33])
@pytest.mark.parametrize("target", [ClassTarget(0), ClassTarget(0, versus=2)])
def test_it_equals_a_trapezoid_by_hand(n_steps: int, target: ClassTarget) -> None:
    model = smooth_model()
    image = model.prepare(picture())
    baseline = baseline_values(model, image, "black")
    found = quick(model, IG, image, target=target, n_steps=n_steps).attribution
    assert relative(found, by_hand(model, image, baseline, target, n_steps)) < 2e-5


@pytest.mark.parametrize("size", [1, 2, 5, 8, 64])
@pytest.mark.parametrize("n_steps", [8, 12, 13])
def test_the_chunk_size_changes_nothing(
    size: int, n_steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = smooth_model()
    expected = quick(model, IG, n_steps=n_steps)
    chunked(model, size, monkeypatch)
    found = quick(model, IG, n_steps=n_steps)
    assert relative(found.attribution, expected.attribution) < 1e-5
    assert found.score == pytest.approx(expected.score, abs=1e-6)


@pytest.mark.parametrize("n_steps", [1, 5, 64])
def test_a_linear_model_is_explained_exactly(n_steps: int) -> None:
    model = linear_model()
    image = model.prepare(picture())
    result = quick(model, IG, image, target=2, n_steps=n_steps)
    expected = (image.values - baseline_values(model, image, "black")) * model.source.weight(2)
    np.testing.assert_allclose(result.attribution, expected, rtol=1e-4, atol=1e-6)
    assert result.diagnostics["convergence_delta_relative"] == pytest.approx(0, abs=1e-5)


def test_the_completeness_gap_shrinks_with_the_square_of_the_steps() -> None:
    model = smooth_model()
    gaps = [
        abs(quick(model, IG, n_steps=n).diagnostics["convergence_delta_relative"])
        for n in (2, 4, 8, 16)
    ]
    for coarse, fine in pairwise(gaps):
        assert fine < coarse / 3


def test_the_diagnostics_are_what_they_say() -> None:
    model = smooth_model()
    image = model.prepare(picture())
    result = quick(model, IG, image, target=1, n_steps=3)
    baseline = baseline_values(model, image, "black")
    ends = model.backend.to_numpy(model.scores(np.stack([baseline, image.values])))[:, 1]
    told = result.diagnostics
    assert told["score_baseline"] == pytest.approx(ends[0], abs=1e-6)
    assert result.score == pytest.approx(ends[1], abs=1e-6)
    delta = result.attribution.sum(dtype=np.float64) - (ends[1] - ends[0])
    assert told["convergence_delta"] == pytest.approx(delta, abs=1e-5)
    assert told["convergence_delta_relative"] == pytest.approx(
        delta / (ends[1] - ends[0]), abs=1e-4
    )


def test_a_contrast_is_the_difference_of_two_integrals() -> None:
    model = smooth_model()
    first, second, both = (quick(model, IG, target=t) for t in (1, 2, ClassTarget(1, 2)))
    assert relative(both.attribution, first.attribution - second.attribution) < 1e-4
    for name in ("score_baseline", "convergence_delta"):
        expected = first.diagnostics[name] - second.diagnostics[name]
        assert both.diagnostics[name] == pytest.approx(expected, abs=1e-5)


def test_pixels_that_the_model_ignores_get_nothing() -> None:
    mask = torch.ones(1, 1, SIDE, SIDE)
    mask[..., :10, :] = 0
    model = load(Wrapped(before=lambda x: x * mask), input_size=SIDE)
    attribution = quick(model, IG).attribution
    assert np.count_nonzero(attribution[:10]) == 0
    assert np.count_nonzero(attribution[10:]) > 0


def test_an_image_equal_to_its_baseline_gets_a_zero_map() -> None:
    model = smooth_model()
    result = quick(model, IG, np.zeros((SIDE, SIDE, 3), np.uint8))
    assert np.count_nonzero(result.attribution) == 0
    assert result.diagnostics["convergence_delta_relative"] is None
    assert result.diagnostics["share_equal_to_baseline"] == 1.0


@pytest.mark.parametrize(
    ("baseline", "level"), [("black", 0), ("white", 255), ("grey", 128), ("black", 1)]
)
@pytest.mark.parametrize("rows", [0, 8, 16, 32])
def test_the_share_of_pixels_equal_to_the_baseline_is_exact(
    baseline: str, level: int, rows: int
) -> None:
    pixels = np.full((SIDE, SIDE, 3), 70, np.uint8)
    pixels[:rows] = level
    pixels[:rows, :, 1] = level
    result = quick(smooth_model(), IG, pixels, baseline=baseline)
    assert result.diagnostics["share_equal_to_baseline"] == rows / SIDE


def test_a_pixel_that_differs_in_one_channel_is_not_equal_to_the_baseline() -> None:
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[0, 0, 2] = 2
    result = quick(smooth_model(), IG, pixels)
    assert result.diagnostics["share_equal_to_baseline"] == 1 - 1 / SIDE**2


@pytest.mark.parametrize("baseline", BASELINES)
def test_every_baseline_gives_a_complete_map(baseline: str) -> None:
    result = quick(smooth_model(), IG, baseline=baseline, n_steps=32)
    assert np.abs(result.attribution).sum() > 0
    assert result.diagnostics["convergence_delta_relative"] == pytest.approx(0, abs=0.01)


def test_the_baselines_are_what_their_names_say() -> None:
    model = smooth_model()
    image = model.prepare(picture())
    mean, std = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.25, 0.3])

    def colour(name: str) -> Any:
        values = baseline_values(model, image, name)
        assert values.shape == image.values.shape and values.dtype == np.float32
        assert np.ptp(values, axis=(0, 1)).max() < 1e-6
        return values[0, 0] * std + mean

    np.testing.assert_allclose(colour("black"), 0, atol=1e-6)
    np.testing.assert_allclose(colour("white"), 1, atol=1e-6)
    np.testing.assert_allclose(colour("grey"), 128 / 255, atol=1e-6)
    np.testing.assert_allclose(colour("zeros"), mean, atol=1e-6)
    np.testing.assert_allclose(colour("mean"), picture().mean(axis=(0, 1)) / 255, atol=1e-4)
    blurred = baseline_values(model, image, "blur")
    assert 0 < blurred.std() < 0.7 * image.values.std()
    np.testing.assert_allclose(blurred.mean(axis=(0, 1)), image.values.mean(axis=(0, 1)), atol=0.15)


def test_a_baseline_can_be_an_array() -> None:
    model = smooth_model()
    image = model.prepare(picture())
    black = baseline_values(model, image, "black")
    by_name, by_array = quick(model, IG, image), quick(model, IG, image, baseline=black)
    assert np.array_equal(by_name.attribution, by_array.attribution)
    told = by_array.provenance["parameters"]["baseline"]
    assert told["shape"] == [SIDE, SIDE, 3] and len(told["hash"]) == 32


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"baseline": "blakc"}, "Did you mean 'black'"),
        ({"baseline": np.zeros((3, SIDE, SIDE))}, r"has shape \[3, 32, 32\]"),
        ({"baseline": None}, r"has shape \[\]"),
        ({"baseline": np.full((SIDE, SIDE, 3), np.nan)}, "NaN or infinite"),
        ({"baseline": [[1], [1, 2]]}, "no array of numbers"),
        ({"n_steps": 0}, "from 1 to 2048"),
        ({"n_steps": 2049}, "from 1 to 2048"),
        ({"n_steps": 2.5}, "whole number"),
        ({"n_steps": "many"}, "give a number"),
        ({"n_steps": float("nan")}, "give a number"),
        ({"n_step": 3}, "Did you mean 'n_steps'"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(MethodError, match=told):
        quick(smooth_model(), IG, **options)


def test_steps_may_be_a_numpy_or_whole_float_number() -> None:
    model = smooth_model()
    for n_steps in (np.int64(4), 4.0):
        assert quick(model, IG, n_steps=n_steps).provenance["parameters"]["n_steps"] == 4


def test_memory_does_not_grow_with_the_steps() -> None:
    sizes: list[int] = []
    module = Wrapped(before=lambda x: sizes.append(len(x)) or x)
    model = load(module, input_size=SIDE)
    sizes.clear()
    quick(model, IG, n_steps=512, target=0)
    assert max(sizes) <= model.chunk_size + 1
    assert sum(sizes) == 513


def test_kinks_leave_a_gap_that_is_reported() -> None:
    model = load(convolutional(nn.ReLU), input_size=SIDE)
    few, many = (quick(model, IG, n_steps=n).diagnostics for n in (1, 256))
    assert abs(few["convergence_delta"]) > abs(many["convergence_delta"])
    assert abs(many["convergence_delta_relative"]) < 0.01
