"""Every quadrature of integrated gradients, against the integral written down by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.explainers.closed_forms import FRAMEWORKS, in_framework, picture, two_layer
from tests.explainers.helpers import chunked, linear_model, quick, relative, smooth_model
from tests.models import nets
from xai_widgets.errors import MethodError
from xai_widgets.explainers import adaptive as adaptive_module
from xai_widgets.explainers.baselines import baseline_values
from xai_widgets.explainers.quadrature import QUADRATURES, nodes
from xai_widgets.explainers.registry import find
from xai_widgets.models.loading import load

IG = "integrated_gradients"
RULES = ("midpoint", "gauss_legendre")


@settings(deadline=None, derandomize=True, max_examples=40)
@given(n=st.integers(1, 300), rule=st.sampled_from(RULES))
def test_the_weights_of_a_rule_sum_to_one_and_its_points_lie_inside(n: int, rule: str) -> None:
    positions, weights = nodes(rule, n)
    assert len(positions) == n and np.all((positions > 0) & (positions < 1))
    assert weights.sum() == pytest.approx(1, abs=1e-10)
    assert positions @ weights == pytest.approx(0.5, abs=1e-10)


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_gauss_legendre_is_exact_for_polynomials_of_degree_2n_minus_1(n: int) -> None:
    positions, weights = nodes("gauss_legendre", n)
    degree = 2 * n - 1
    assert positions**degree @ weights == pytest.approx(1 / (degree + 1), rel=1e-9)
    assert abs(positions ** (degree + 1) @ weights - 1 / (degree + 2)) > 1e-12


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("quadrature", QUADRATURES)
def test_a_two_layer_network_has_the_integral_of_its_closed_form(
    quadrature: str, framework: str
) -> None:
    form = two_layer()
    model = in_framework(form, framework)
    image = model.prepare(picture())
    black = baseline_values(model, image, "black")
    exact = form.integrated(image.values, black, 1)
    total = form.score(image.values, 1) - form.score(black, 1)
    assert exact.sum() == pytest.approx(total, rel=1e-6)
    options = {"target": 1, "quadrature": quadrature, "tolerance": 0.0}
    errors = [
        relative(quick(model, IG, image, n_steps=n, **options).attribution, exact) for n in (8, 512)
    ]
    assert errors[1] < 2e-3 < errors[0] < 0.3


def test_adaptive_finds_the_kinks() -> None:
    """Every kink is halved into a stretch of its own: the error falls with 2 ** -(n / kinks)."""
    form = two_layer()
    model = in_framework(form, "torch")
    image = model.prepare(picture())
    exact = form.integrated(image.values, baseline_values(model, image, "black"), 1)
    errors = {
        quadrature: relative(
            quick(
                model, IG, image, target=1, n_steps=64, quadrature=quadrature, tolerance=0.0
            ).attribution,
            exact,
        )
        for quadrature in QUADRATURES
    }
    assert errors["adaptive"] < 0.1 * min(errors[name] for name in QUADRATURES[:3])


@pytest.mark.parametrize("quadrature", QUADRATURES)
@pytest.mark.parametrize("n_steps", [1, 7, 40])
def test_a_linear_model_is_explained_exactly(quadrature: str, n_steps: int) -> None:
    model = linear_model()
    image = model.prepare(nets.picture())
    result = quick(model, IG, image, target=2, n_steps=n_steps, quadrature=quadrature)
    expected = (image.values - baseline_values(model, image, "black")) * model.source.weight(2)
    np.testing.assert_allclose(result.attribution, expected, rtol=1e-4, atol=1e-6)
    assert result.diagnostics["convergence_delta_relative"] == pytest.approx(0, abs=1e-4)
    if quadrature == "adaptive":  # nothing to refine
        assert result.diagnostics["evaluations"] == min(n_steps // 4 or 1, 8) + 1


@pytest.mark.parametrize("size", [1, 3, 8, 64])
@pytest.mark.parametrize("quadrature", QUADRATURES)
def test_the_chunk_size_changes_nothing(
    quadrature: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(nets.convolutional(), input_size=nets.SIDE)
    options = {"quadrature": quadrature, "n_steps": 21, "tolerance": 0.0}
    expected = quick(model, IG, **options)
    chunked(model, size, monkeypatch)
    found = quick(model, IG, **options)
    assert relative(found.attribution, expected.attribution) < 1e-5
    for name, value in expected.diagnostics.items():
        assert found.diagnostics[name] == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("quadrature", QUADRATURES)
def test_the_cost_is_what_passes_through_the_model(quadrature: str) -> None:
    seen: list[int] = []
    model = load(nets.Wrapped(before=lambda x: seen.append(len(x)) or x), input_size=nets.SIDE)
    seen.clear()
    options = {"n_steps": 30, "quadrature": quadrature, "tolerance": 0.0}
    quick(model, IG, target=0, **options)
    assert sum(seen) == find(IG)(**options).cost.forwards
    assert max(seen) <= model.chunk_size + 1


@pytest.mark.parametrize("tolerance", [0.3, 0.1, 0.03, 0.01])
def test_adaptive_stops_at_its_tolerance_and_tells_what_it_reached(tolerance: float) -> None:
    model = load(nets.convolutional(), input_size=nets.SIDE)
    result = quick(
        model, IG, quadrature="adaptive", n_steps=2048, tolerance=tolerance, target=0
    ).diagnostics
    assert result["tolerance_achieved"] <= tolerance
    # The errors are summed by magnitude, so that the gap is at most their sum.
    assert abs(result["convergence_delta_relative"]) <= result["tolerance_achieved"] + 1e-4
    assert result["evaluations"] < 2049


def test_adaptive_never_uses_more_than_its_steps() -> None:
    model = load(nets.convolutional(), input_size=nets.SIDE)
    for n_steps in (1, 2, 5, 16, 33):
        told = quick(
            model, IG, quadrature="adaptive", n_steps=n_steps, tolerance=0.0, target=0
        ).diagnostics
        assert told["evaluations"] == n_steps + 1


def test_adaptive_keeps_few_gradients_and_loses_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its memory it settles the stretches with the smallest errors, which stay in the sum."""
    model = load(nets.convolutional(), input_size=nets.SIDE)
    options = {"quadrature": "adaptive", "n_steps": 256, "tolerance": 0.0, "target": 0}
    free = quick(model, IG, **options)
    kept: list[int] = []
    make_room = adaptive_module._Partition.make_room

    def watched(partition: Any) -> None:
        make_room(partition)
        points = {id(p): p for s in partition.open for p in (s.start, s.end)}
        alive = [point for point in points.values() if point.gradient is not None]
        kept.append(len(alive))
        assert partition.kept == len(alive) and partition.capacity == 100

    monkeypatch.setattr(adaptive_module, "KEPT_BYTES", 100 * 4 * nets.SIDE**2 * 3)
    monkeypatch.setattr(adaptive_module._Partition, "make_room", watched)
    bound = quick(model, IG, **options)
    assert max(kept) == 100
    exact = quick(model, IG, n_steps=2048, target=0).attribution
    assert relative(bound.attribution, exact) < 2 * relative(free.attribution, exact)


def test_partial_maps_of_a_rule_are_estimates_of_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from xai_widgets.explainers.run import explain_stream
    from xai_widgets.explanation import Explanation

    model = smooth_model()
    chunked(model, 4, monkeypatch)
    for quadrature in QUADRATURES[1:]:
        options = {"quadrature": quadrature, "n_steps": 32, "tolerance": 0.0}
        stream = explain_stream(model, model.prepare(nets.picture()), IG, 0, None, options)
        partials = [item for item in stream if isinstance(item, Explanation)]
        exact = quick(model, IG, target=0, n_steps=256).attribution
        assert len(partials) >= 3
        assert relative(partials[0].attribution, exact) < 0.2
        assert relative(partials[-1].attribution, exact) < 0.02


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"quadrature": "simpson"}, "cannot be 'simpson'"),
        ({"tolerance": -0.1}, "from 0.0 to 1.0"),
        ({"tolerance": "tight"}, "give a number"),
    ],
)
def test_what_does_not_exist_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(MethodError, match=told):
        quick(smooth_model(), IG, **options)


def test_an_image_equal_to_its_baseline_gets_a_zero_map_by_every_quadrature() -> None:
    model = smooth_model()
    for quadrature in QUADRATURES:
        black = np.zeros((nets.SIDE, nets.SIDE, 3), np.uint8)
        result = quick(model, IG, black, quadrature=quadrature)
        assert np.count_nonzero(result.attribution) == 0
        assert result.diagnostics["convergence_delta_relative"] is None
