"""Our metrics equal Quantus's on the same maps, and where they do not, these tests show why."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

import xai_widgets as xw
from tests.evaluation.helpers import random_map, square_mask
from tests.models.nets import picture, seeded
from xai_widgets.errors import MetricError
from xai_widgets.evaluation import metric
from xai_widgets.evaluation.base import drain
from xai_widgets.evaluation.complexity import entropy, sparseness
from xai_widgets.evaluation.curve_data import case_of
from xai_widgets.evaluation.curves import curve_steps
from xai_widgets.evaluation.faithfulness import infidelity
from xai_widgets.evaluation.localisation import (
    mass_accuracy,
    pointing_game,
    rank_accuracy,
)
from xai_widgets.evaluation.robustness import relative_change
from xai_widgets.evaluation.subjects import subjects

quantus = pytest.importorskip("quantus")
from xai_widgets.evaluation.quantus import quantus_scores  # noqa: E402

pytestmark = pytest.mark.peers

N = 3


@pytest.fixture(scope="module")
def model() -> xw.ExplainableModel:
    return xw.demo.model("digits")


@pytest.fixture(scope="module")
def explanations(model: xw.ExplainableModel) -> list[xw.Explanation]:
    images = xw.demo.dataset("digits", n=N).images
    return [xw.explain(model, image, "integrated_gradients", n_steps=8) for image in images]


@pytest.fixture(scope="module")
def masks() -> npt.NDArray[np.bool_]:
    return xw.demo.dataset("digits", n=N).masks["stroke"]


def run(name: str, maps: Any, masks: Any = None, **parameters: Any) -> npt.NDArray[np.float64]:
    """Call Quantus itself on maps [N, H, W], as it comes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind = getattr(quantus, name)(disable_warnings=True, **parameters)
        batch = np.array(maps, dtype=np.float64)[:, None]
        return np.asarray(
            kind(
                model=None,
                x_batch=np.zeros((len(batch), 3, *batch.shape[2:])),
                y_batch=np.zeros(len(batch), dtype=int),
                a_batch=batch,
                s_batch=None if masks is None else np.array(masks)[:, None],
                channel_first=True,
            ),
            dtype=np.float64,
        )


# Where they agree ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["complexity", "sparseness"])
def test_complexity_equals_quantus(name: str, explanations: list[xw.Explanation]) -> None:
    found = [r["value"] for r in xw.evaluate(explanations, metrics=[name])]
    np.testing.assert_allclose(found, quantus_scores(explanations, name), rtol=1e-3)


@pytest.mark.parametrize("name", ["pointing_game", "mass_accuracy", "rank_accuracy"])
def test_localisation_equals_quantus(
    name: str, explanations: list[xw.Explanation], masks: npt.NDArray[np.bool_]
) -> None:
    found = [r["value"] for r in xw.evaluate(explanations, metrics=[name], masks=masks)]
    expected = quantus_scores(explanations, name, masks=list(masks))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_pixel_flipping_equals_quantus() -> None:
    # Quantus flips single values, so that only of grey pictures it flips pixels.
    n_steps = 16
    source = seeded(
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.Softplus(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 3),
        )
    )
    model = xw.load(source, preprocessing={"size": 16, "channels": 1, "mean": 0.4, "std": 0.3})
    explanations = [xw.explain(model, picture(16, 16, seed), "gradient") for seed in range(N)]
    curves = quantus_scores(
        explanations,
        "pixel_flipping",
        model,
        normalisation=False,
        features_in_step=16 * 16 // n_steps,
        perturb_baseline=-0.4 / 0.3,
    )
    for explanation, expected in zip(explanations, curves, strict=True):
        case = case_of(model, explanation)
        curve = drain(curve_steps(case, "deletion", n_steps, "black", probability=False))
        np.testing.assert_allclose(curve.values[1:], expected, rtol=1e-4, atol=1e-5)
        drops = curve.values[0] - np.concatenate([curve.values[:1], expected])
        found = metric("pixel_flipping", n_steps=n_steps, share=1.0).measure(case)
        assert found == pytest.approx(drops.mean(), rel=1e-3)


def test_max_sensitivity_equals_quantus() -> None:
    source = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(144, 2))
    model = xw.load(source.eval(), preprocessing={"size": 8})
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    explanation = xw.explain(model, image, "gradient", target=0)
    noise = np.random.default_rng(5).uniform(-0.02, 0.02, (4, 8, 8, 3)).astype(np.float32)
    draws = iter(noise)

    def gradients(model: Any, inputs: Any, targets: Any, **_: Any) -> Any:
        x = torch.tensor(inputs, dtype=torch.float32, requires_grad=True)
        return torch.autograd.grad(model(x)[:, 0].sum(), x)[0].numpy()

    expected = quantus.MaxSensitivity(
        nr_samples=4,
        disable_warnings=True,
        perturb_func=lambda arr, **_: arr + next(draws).transpose(2, 0, 1).reshape(1, -1),
    )(
        model=source,
        x_batch=explanation.image.values.transpose(2, 0, 1)[None].copy(),
        y_batch=np.zeros(1, dtype=int),
        a_batch=explanation.attribution.transpose(2, 0, 1)[None].copy(),
        explain_func=gradients,
        channel_first=True,
    )
    explain = subjects("gradient")[0].explainer(model, explanation.target)
    changed = [
        explain(replace(explanation.image, values=explanation.image.values + one)) for one in noise
    ]
    found = max(relative_change(explanation.attribution, one) for one in changed)
    assert found == pytest.approx(float(expected[0]), rel=1e-4)


# Where Quantus is off -----------------------------------------------------------------------


def test_quantus_normalises_over_the_batch_so_that_one_map_changes_anothers_score() -> None:
    quiet, loud = random_map(seed=1), 1e4 * random_map(seed=2)
    sparse = {"abs": True, "normalise": True}
    alone = run("Sparseness", [1e-5 * quiet], **sparse)[0]
    beside = run("Sparseness", [1e-5 * quiet, loud], **sparse)[0]
    assert abs(beside - alone) > 0.1
    assert sparseness(1e-5 * quiet) == pytest.approx(alone, abs=1e-3)


def test_quantus_normalises_before_magnitudes_which_keeps_the_pedestal() -> None:
    values = np.full((28, 28), 0.01)
    values.ravel()[:20] += 1
    as_it_comes = run("Complexity", [values], abs=True, normalise=True)[0]
    standardised = run("Complexity", [xw.normalise(values)], abs=False, normalise=False)[0]
    assert as_it_comes == pytest.approx(4.58, abs=0.01)
    assert standardised == pytest.approx(entropy(xw.normalise(values)), abs=1e-6) == np.log(20)


def test_quantus_writes_into_the_maps_it_is_given_and_the_adapter_gives_copies(
    explanations: list[xw.Explanation],
) -> None:
    given = np.eye(8)[None, None]
    quantus.Sparseness(abs=False, normalise=False, disable_warnings=True)(
        model=None, x_batch=np.zeros((1, 3, 8, 8)), y_batch=np.zeros(1, int), a_batch=given,
        channel_first=True,
    )  # fmt: skip
    assert (given != np.eye(8)).any()
    before = [one.attribution.copy() for one in explanations]
    quantus_scores(explanations, "sparseness", normalisation=False)
    for one, values in zip(explanations, before, strict=True):
        np.testing.assert_array_equal(one.attribution, values)


def flat() -> npt.NDArray[np.float64]:
    """Return a map of one value but for a pixel: Quantus refuses to look at a wholly flat one."""
    values = np.full((20, 20), 0.5)
    values[10, 19] = 0
    return values


def test_quantus_gives_a_flat_map_full_marks_in_the_pointing_game() -> None:
    mask = square_mask()
    assert run("PointingGame", [flat()], [mask], abs=False, normalise=False)[0] == 1
    assert pointing_game(flat(), mask) == pytest.approx(mask.sum() / 399)


def test_quantus_breaks_ties_by_position_in_rank_accuracy() -> None:
    top, bottom = np.zeros((20, 20), dtype=bool), np.zeros((20, 20), dtype=bool)
    top[:5], bottom[-5:] = True, True
    maps, masks = [flat(), flat()], [top, bottom]
    found = run("RelevanceRankAccuracy", maps, masks, abs=False, normalise=False)
    assert found[0] != found[1]
    ours = [rank_accuracy(flat(), mask) for mask in masks]
    assert ours[0] == ours[1] == pytest.approx(100 / 399)


def test_quantus_lets_the_mass_of_a_signed_map_leave_its_range() -> None:
    mask = square_mask()
    values = np.where(mask, 1.0, -0.1)
    assert run("RelevanceMassAccuracy", [values], [mask], abs=False, normalise=False)[0] > 1
    assert 0 <= mass_accuracy(values, mask) <= 1


def test_quantus_never_gives_patches_back_in_infidelity() -> None:
    # Its blocks pile up: the k-th perturbation lacks the first k blocks, not the k-th.
    source = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2), nn.Softplus()).eval()
    x = np.random.default_rng(0).random((1, 3, 8, 8)).astype(np.float32)
    a = np.random.default_rng(1).random((1, 3, 8, 8)).astype(np.float32)
    found = quantus.Infidelity(
        perturb_baseline=0.0, perturb_patch_sizes=[4], n_perturb_samples=2, disable_warnings=True
    )(model=source, x_batch=x.copy(), y_batch=np.zeros(1, int), a_batch=a.copy(),
      channel_first=True)[0]  # fmt: skip

    def score(values: Any) -> float:
        with torch.no_grad():
            return float(source(torch.tensor(values))[0, 0])

    blocks = []
    for i, j in ((0, 0), (0, 4), (4, 0), (4, 4)):
        mask = np.zeros_like(x)
        mask[:, :, i : i + 4, j : j + 4] = 1
        blocks.append(mask)

    def ours(masks: list[Any]) -> float:
        said = [float((a * m * x).sum()) for m in masks]
        return infidelity(said, [score(x) - score(x * (1 - m)) for m in masks])

    piled = [np.minimum(sum(blocks[: k + 1]), 1) for k in range(4)]
    assert found == pytest.approx(ours(piled), rel=1e-3)
    assert found != pytest.approx(ours(blocks), rel=0.2)


def test_quantus_wants_completeness_to_the_last_bit(
    model: xw.ExplainableModel, explanations: list[xw.Explanation]
) -> None:
    images = [one.image for one in explanations]
    explanations = [xw.explain(model, one, "integrated_gradients", n_steps=128) for one in images]
    gap = max(r["value"] for r in xw.evaluate(model, explanations=explanations,
              metrics=["completeness_gap"]))  # fmt: skip
    assert gap < 0.05
    assert not quantus_scores(
        explanations, "Completeness", model, normalisation=False, perturb_baseline="black"
    ).any()


def test_quantus_counts_the_unrandomised_point_into_its_average(
    model: xw.ExplainableModel, explanations: list[xw.Explanation]
) -> None:
    scores = {"original": [1.0, 1.0], "head": [0.2, 0.4]}
    test = quantus.MPRT(return_average_correlation=True, disable_warnings=True)
    test.evaluation_scores = scores
    np.testing.assert_allclose(test.recompute_average_correlation_per_sample(), [0.6, 0.7])
    subject = ("integrated_gradients", {"n_steps": 4})
    cascade = xw.evaluation.cascade(model, explanations[0].image, subject, n_stages=2)
    assert len(cascade.similarity["spearman signed"]) == 2 and len(cascade.maps) == 3


# The adapter --------------------------------------------------------------------------------


def test_a_quantus_metric_that_would_normalise_again_is_refused(
    explanations: list[xw.Explanation],
) -> None:
    with pytest.raises(MetricError, match="abs=False and normalise=False"):
        quantus_scores(explanations, quantus.Complexity(disable_warnings=True))


def test_a_metric_quantus_does_not_have_is_refused(explanations: list[xw.Explanation]) -> None:
    with pytest.raises(MetricError, match="Quantus has no metric 'beauty'"):
        quantus_scores(explanations, "beauty")


def test_a_keras_model_cannot_be_handed_to_quantus(explanations: list[xw.Explanation]) -> None:
    keras = xw.demo.model("digits", framework="tensorflow")
    with pytest.raises(MetricError, match="the same on both"):
        quantus_scores(explanations, "pixel_flipping", keras)
