"""The stack of a path's steps: it sums to the attribution, step by step, on both frameworks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xai_widgets as xw
from tests.explainers.helpers import relative
from xai_widgets.explainers.baselines import (
    BASELINES,
    background_values,
    baseline_values,
    share_equal,
)
from xai_widgets.explainers.blur_ig import BlurIG
from xai_widgets.explainers.expected_gradients import ExpectedGradients
from xai_widgets.explainers.guided_ig import GuidedIG
from xai_widgets.explainers.integrated_gradients import IntegratedGradients
from xai_widgets.explainers.path_stack import Nodes, PathStack
from xai_widgets.explainers.path_walk import _Walk, path_stack
from xai_widgets.explainers.shown import Shown
from xai_widgets.models.targets import ClassTarget

Case = tuple[xw.ExplainableModel, Any]


@pytest.fixture(scope="module", params=["torch", "tensorflow"])
def case(request: pytest.FixtureRequest) -> Case:
    pytest.importorskip(request.param)
    model = xw.demo.model("lesions", framework=request.param)
    return model, model.prepare(xw.demo.dataset("lesions", n=2, seed=1).images[0])


def followed(
    case: Case, n_steps: int = 16, baseline: Any = "black", target: Any = None, **others: Any
) -> tuple[PathStack, list[Nodes]]:
    model, image = case
    start = baseline_values(model, image, baseline)
    explainer = IntegratedGradients(baseline=baseline, n_steps=n_steps)
    stream = path_stack(model, image, target or ClassTarget(1), explainer, start, **others)
    return drained(stream)


def drained(stream: Any) -> tuple[PathStack, list[Nodes]]:
    seen = []
    while True:
        try:
            seen.append(next(stream))
        except StopIteration as stop:
            return stop.value, seen


@pytest.mark.parametrize("baseline", ["black", "blur", "noise 0.2", "#804020"])
def test_the_stack_is_integrated_gradients_taken_apart(case: Case, baseline: str) -> None:
    model, image = case
    stack, seen = followed(case, 16, baseline)
    asked = {"n_steps": 16, "baseline": baseline}
    expected = xw.explain(model, image, "integrated_gradients", target=1, **asked)
    assert stack.attribution is not None
    assert relative(stack.attribution.values, expected.attribution) < 1e-4
    assert stack.attribution.score == pytest.approx(expected.score, rel=1e-5)
    for name in ("convergence_delta", "score_baseline", "share_equal_to_baseline"):
        assert stack.attribution.diagnostics[name] == pytest.approx(
            expected.diagnostics[name], rel=1e-2, abs=1e-5
        )
    limit = 0.01 * np.abs(expected.map).max()
    assert np.abs(stack.contributions.sum(0) - expected.map).max() < limit
    assert np.abs(stack.accumulated[-1] - expected.map).max() < limit
    assert sorted(at for nodes in seen for at in nodes.positions) == list(range(17))


def test_blur_ig_is_taken_apart_as_well_and_shows_its_pictures(case: Case) -> None:
    model, image = case
    stack, seen = drained(path_stack(model, image, ClassTarget(1), BlurIG(n_steps=8)))
    expected = xw.explain(model, image, "blur_ig", target=1, n_steps=8)
    assert stack.attribution is not None
    assert relative(stack.attribution.values, expected.attribution) < 1e-4
    limit = 0.01 * np.abs(expected.map).max()
    assert np.abs(stack.contributions.sum(0) - expected.map).max() < limit
    last = seen[-1].pictures
    assert last is not None
    sharp = image.display.pixels[:: image.display.height // last.shape[1] or 1]
    assert last[-1].std() == pytest.approx(sharp.std(), rel=0.05)
    first = seen[0].pictures
    assert first is not None and first[0].std() < last[-1].std()


def test_guided_ig_is_taken_apart_in_order_and_shows_its_pictures(case: Case) -> None:
    model, image = case
    explainer = GuidedIG(baseline="white", n_steps=20)
    start = baseline_values(model, image, "white")
    stack, seen = drained(path_stack(model, image, ClassTarget(1), explainer, start, (0,)))
    expected = xw.explain(model, image, "guided_ig", target=1, n_steps=20, baseline="white")
    assert stack.attribution is not None
    assert relative(stack.attribution.values, expected.attribution) < 1e-4
    for name, value in expected.diagnostics.items():
        assert stack.attribution.diagnostics[name] == pytest.approx(value, rel=1e-3, abs=1e-4)
    limit = 0.01 * np.abs(expected.map).max()
    assert np.abs(stack.contributions.sum(0) - expected.map).max() < limit
    assert np.abs(stack.accumulated[-1] - expected.map).max() < limit
    assert [at for nodes in seen for at in nodes.positions] == list(range(21))
    assert stack.rule == "backward" and stack.weights[0] == 0
    assert not stack.maps[0].any() and stack.maps[-1].any()
    pictures = np.concatenate([part.pictures for part in seen if part.pictures is not None])
    assert pictures.shape == (21, *image.values.shape[:2], 3) and pictures.dtype == np.uint8
    assert (pictures[0] == 255).all()
    ends = Shown(model, image)(image.values)
    assert np.abs(pictures[-1].astype(int) - ends).max() <= 1
    # No straight line: in the middle of the path some have arrived and some have hardly left.
    middle = pictures[10].astype(float)
    straight = 255 + (ends - 255.0) / 2
    assert np.abs(middle - straight).max() > 1
    left, right = model.target_scores(start[None], ClassTarget(1)), stack.scores[0, 0]
    assert model.backend.to_numpy(left)[0] == pytest.approx(right, rel=1e-3, abs=1e-3)
    assert stack.scores[-1, 0] == pytest.approx(expected.score, rel=1e-4)


@pytest.mark.parametrize("background", ["noise 0.2", "pictures"])
def test_expected_gradients_is_taken_apart_as_the_mean_over_its_baselines(
    case: Case, background: str
) -> None:
    model, image = case
    given = xw.demo.dataset("lesions", n=6, seed=5).images if background == "pictures" else None
    drawn: Any = background if given is None else given
    asked = {"background": drawn, "n_samples": 8, "quadrature": "trapezoid", "n_baselines": 3}
    starts = background_values(model, image, drawn, 0, 3)
    assert len(starts) == 3
    stream = path_stack(model, image, ClassTarget(1), ExpectedGradients(**asked), starts, (0,))
    stack, seen = drained(stream)
    expected = xw.explain(model, image, "expected_gradients", target=1, **asked)
    assert stack.attribution is not None
    assert relative(stack.attribution.values, expected.attribution) < 1e-4
    assert stack.attribution.diagnostics.keys() == expected.diagnostics.keys()
    for name, value in expected.diagnostics.items():
        assert stack.attribution.diagnostics[name] == pytest.approx(value, rel=1e-2, abs=1e-4)
    limit = 0.01 * np.abs(expected.map).max()
    assert np.abs(stack.accumulated[-1] - expected.map).max() < limit
    single = [
        xw.explain(model, image, target=1, n_steps=8, baseline=start).attribution
        for start in starts
    ]
    assert relative(stack.attribution.values, np.mean(single, axis=0)) < 1e-4
    assert sorted(at for nodes in seen for at in nodes.positions) == list(range(9))
    scores = model.backend.to_numpy(model.scores(starts)).mean(0)
    np.testing.assert_allclose(stack.scores[0], scores[[1, 0]], rtol=1e-3, atol=1e-3)


def test_the_trapezoid_over_baselines_is_what_drawn_points_converge_to(case: Case) -> None:
    model, image = case
    pictures = xw.demo.dataset("lesions", n=4, seed=5).images
    asked = {"target": 1, "background": pictures}
    paths = xw.explain(
        model, image, "expected_gradients", quadrature="trapezoid", n_samples=64, **asked
    )
    few, many = (
        xw.explain(model, image, "expected_gradients", n_samples=n, **asked) for n in (16, 512)
    )
    assert relative(many.attribution, paths.attribution) < relative(
        few.attribution, paths.attribution
    )
    assert relative(many.attribution, paths.attribution) < 0.3


@pytest.mark.parametrize("tolerance", [0.3, 0.02])
def test_adaptive_steps_are_uneven_and_every_part_of_them_is_a_trapezoid(
    case: Case, tolerance: float
) -> None:
    model, image = case
    asked: dict[str, Any] = {"quadrature": "adaptive", "tolerance": tolerance, "n_steps": 48}
    start = baseline_values(model, image, "white")
    explainer = IntegratedGradients("white", **asked)
    stack, seen = drained(path_stack(model, image, ClassTarget(1), explainer, start, (0,)))
    assert seen[0].positions[:2] == (0, 48)  # both ends are there from the first part on
    expected = xw.explain(model, image, target=1, baseline="white", **asked)
    assert stack.attribution is not None
    assert relative(stack.attribution.values, expected.attribution) < 1e-4
    told = stack.attribution.diagnostics
    assert told["evaluations"] == expected.diagnostics["evaluations"] == len(stack.alphas)
    assert told["tolerance_achieved"] == pytest.approx(
        expected.diagnostics["tolerance_achieved"], rel=1e-2, abs=1e-4
    )
    limit = 0.01 * np.abs(expected.map).max()
    assert np.abs(stack.accumulated[-1] - expected.map).max() < limit
    assert np.abs(stack.contributions.sum(0) - expected.map).max() < limit
    assert stack.alphas[0] == 0 and stack.alphas[-1] == 1
    if tolerance < 0.1:
        assert len(set(np.round(np.diff(stack.alphas), 6))) > 1
    points = start + stack.alphas[:, None, None, None] * (image.values - start)
    scores = model.backend.to_numpy(model.scores(points.astype(np.float32)))
    np.testing.assert_allclose(stack.scores, scores[:, [1, 0]], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("n_steps", [8, 24])
def test_the_coarser_trapezoids_of_a_blur_path_are_those_of_fewer_steps(
    case: Case, n_steps: int
) -> None:
    model, image = case
    stack, _ = drained(path_stack(model, image, ClassTarget(1), BlurIG(n_steps=n_steps)))
    found = stack.convergence
    assert found is not None
    expected = []
    for fewer in (n_steps // 8, n_steps // 4, n_steps // 2, n_steps):
        result = xw.explain(model, image, "blur_ig", target=1, n_steps=fewer)
        expected.append((fewer + 1, result.diagnostics["convergence_delta"], result.map))
    for (evaluations, gap), (number, delta, _map) in zip(found.levels, expected, strict=True):
        assert evaluations == number
        assert gap == pytest.approx(delta, rel=1e-2, abs=1e-3)
    fine, coarse = expected[-1][2], expected[-2][2]
    assert found.moved == pytest.approx(np.abs(fine - coarse).sum() / np.abs(fine).sum(), rel=0.02)


def test_the_score_of_every_point_is_the_models(case: Case) -> None:
    model, image = case
    stack, _ = followed(case, 8, "white", ClassTarget(1, 0), watched=(1, 0))
    start = baseline_values(model, image, "white")
    points = start + stack.alphas[:, None, None, None] * (image.values - start)
    scores = model.backend.to_numpy(model.scores(points.astype(np.float32)))
    assert stack.scores.shape == (9, 3)
    np.testing.assert_allclose(stack.scores[:, 1:], scores[:, [1, 0]], rtol=1e-3, atol=1e-3)
    contrast = stack.scores[:, 1] - stack.scores[:, 2]
    np.testing.assert_allclose(stack.scores[:, 0], contrast, rtol=1e-4, atol=1e-4)


def test_a_stack_cut_short_is_a_coarser_trapezoid(case: Case) -> None:
    model, image = case
    start = baseline_values(model, image, "black")
    explainer = IntegratedGradients(n_steps=512)
    stream = path_stack(model, image, ClassTarget(1), explainer, start)
    stack = PathStack(512, [next(stream), next(stream)])
    stream.close()
    assert not stack.complete
    positions = stack.positions
    assert positions[0] == 0 and positions[-1] == 512
    assert stack.weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(stack.contributions.sum(0), stack.accumulated[-1], atol=1e-3)


def test_half_precision_is_kept_while_it_is_fine_enough(case: Case) -> None:
    halves, _ = followed(case)
    whole, _ = followed(case, precision="float32")
    assert {part.maps.dtype.name for part in halves.parts} == {"float16"}
    assert {part.maps.dtype.name for part in whole.parts} == {"float32"}
    size = np.abs(whole.maps).max(axis=(1, 2))
    error = np.abs(halves.maps - whole.maps).max(axis=(1, 2))
    assert (error < 0.01 * size).all() and (error < 1e-3 * size).all()
    tiny = (whole.maps[:2] * 1e-9).astype(np.float32)
    walk = _Walk(case[0], ClassTarget(1), (), "float16")
    packed, scales = walk.packed(tiny)
    back = packed.astype(np.float32) * scales[:, None, None]
    assert packed.dtype == np.float16 and np.abs(back - tiny).max() < 1e-3 * np.abs(tiny).max()
    broken, ones = walk.packed(np.full((1, 4, 4), np.nan, np.float32))
    assert broken.dtype == np.float32 and ones.tolist() == [1]


def test_a_stack_of_64_steps_at_224_pixels_is_at_most_7_megabytes() -> None:
    nodes = Nodes(
        tuple(range(65)),
        np.zeros((65, 224, 224), np.float16),
        np.ones(65, np.float32),
        np.zeros((65, 3), np.float32),
    )
    assert PathStack(64, [nodes]).nbytes <= 7e6


def test_model_inputs_are_turned_back_into_pictures(case: Case) -> None:
    model, image = case
    shown = Shown(model, image)
    for baseline, colour in (("black", 0), ("white", 255), ("#804020", [128, 64, 32])):
        pixels = shown(baseline_values(model, image, baseline))
        assert np.abs(pixels.astype(int) - np.array(colour)).max() <= 1


@pytest.mark.parametrize("baseline", ["blur 0.02", "blur 0.3", "noise 0.05", "noise 0.15"])
def test_a_baseline_with_a_sigma_is_blurred_or_noisy_by_that_much(
    case: Case, baseline: str
) -> None:
    model, image = case
    kind, sigma = baseline.split()
    shown = Shown(model, image)
    pixels = shown(baseline_values(model, image, baseline, seed=3)).astype(float)
    assert kind in BASELINES
    if kind == "blur":
        less = shown(baseline_values(model, image, "blur 0.01")).astype(float)
        assert np.abs(np.diff(pixels, axis=0)).mean() < np.abs(np.diff(less, axis=0)).mean()
    else:
        again = shown(baseline_values(model, image, baseline, seed=3))
        assert (again == pixels).all()
        difference = pixels - shown(image.values)
        inside = (pixels > 0) & (pixels < 255)
        assert difference[inside].std() == pytest.approx(255 * float(sigma), rel=0.4)
    assert share_equal(model, image, baseline_values(model, image, baseline)) < 0.5
