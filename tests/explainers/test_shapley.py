"""Shapley values of superpixels equal those of games solved by hand, with honest errors."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.explainers.helpers import chunked, linear_model, quick, relative
from tests.explainers.twins import FRAMEWORKS, net, scores, twin
from tests.models.nets import picture
from tests.test_superpixels import quadrants
from xai_widgets.errors import MethodError
from xai_widgets.explainers.baselines import baseline_values
from xai_widgets.explainers.run import explain_stream
from xai_widgets.explainers.shapley import PermutationGame, standard_error_map
from xai_widgets.explanation import Explanation
from xai_widgets.models.loading import load
from xai_widgets.superpixels import input_superpixels


def exact(worth: Callable[[frozenset[int]], float], n: int) -> Any:
    """Return Shapley values by their definition, over all coalitions."""
    values = np.zeros(n)
    for player in range(n):
        others = [other for other in range(n) if other != player]
        for size in range(n):
            share = factorial(size) * factorial(n - size - 1) / factorial(n)
            for chosen in combinations(others, size):
                values[player] += share * (
                    worth(frozenset({*chosen, player})) - worth(frozenset(chosen))
                )
    return values


def play(worth: Callable[[frozenset[int]], float], n: int, pairs: int, seed: int = 0) -> Any:
    """Sample a game without any model."""
    game = PermutationGame(n, pairs, seed)
    members = game.coalitions(0, game.n_coalitions)
    game.record(0, np.array([worth(frozenset(np.flatnonzero(row))) for row in members]))
    return game.values()


def glove(coalition: frozenset[int]) -> float:
    """One left glove, two right ones; a pair is worth 1. By hand: 2/3, 1/6, 1/6."""
    return float(0 in coalition and bool(coalition & {1, 2}))


def airport(coalition: frozenset[int]) -> float:
    """A runway as long as the longest needs: 1, 3, 6. By hand: 1/3, 4/3, 13/3."""
    return float(max([(1, 3, 6)[player] for player in coalition], default=0))


@pytest.mark.parametrize(
    ("worth", "values"),
    [(glove, [2 / 3, 1 / 6, 1 / 6]), (airport, [1 / 3, 4 / 3, 13 / 3])],
)
def test_known_games_are_found_within_their_errors(
    worth: Callable[[frozenset[int]], float], values: list[float]
) -> None:
    np.testing.assert_allclose(exact(worth, 3), values)
    found, errors = play(worth, 3, 800)
    assert (errors > 0).any() and errors.max() < 0.05
    assert (np.abs(found - values) < 4 * errors + 1e-9).all()
    assert found.sum() == pytest.approx(worth(frozenset(range(3))))


def test_the_standard_error_is_the_spread_over_seeds() -> None:
    values, errors = zip(*(play(airport, 3, 40, seed) for seed in range(200)), strict=True)
    spread = np.std(values, axis=0, ddof=1)
    np.testing.assert_allclose(np.mean(errors, axis=0), spread, rtol=0.15)


def test_a_pair_of_opposite_orders_solves_games_of_two_by_two_at_once() -> None:
    """The gains of interactions of second order cancel in a pair, as they are odd."""

    def worth(coalition: frozenset[int]) -> float:
        return 2.0 * len(coalition) + 3.0 * float({0, 1} <= coalition) - float({1, 3} <= coalition)

    found, errors = play(worth, 5, 2)
    np.testing.assert_allclose(found, exact(worth, 5), atol=1e-12)
    np.testing.assert_allclose(errors, 0, atol=1e-12)


def test_each_order_is_followed_by_its_reverse() -> None:
    game = PermutationGame(6, 3, 0)
    for first, second in zip(game.orders[::2], game.orders[1::2], strict=True):
        np.testing.assert_array_equal(first, second[::-1])


@pytest.mark.parametrize("n_samples", [1, 3])
def test_a_linear_model_is_exact_from_the_first_pair_on(n_samples: int) -> None:
    model = linear_model()
    image = model.prepare(picture(8, 8))
    labels = input_superpixels(image, 6)
    part = ((image.values - baseline_values(model, image, "grey")) * model.source.weight(2)).sum(2)
    expected = [part[labels == k].sum() for k in range(labels.max() + 1)]
    result = quick(
        model,
        "shapley_sampling",
        image,
        target=2,
        n_superpixels=6,
        n_samples=n_samples,
        baseline="grey",
    )
    np.testing.assert_allclose(result.diagnostics["shapley_values"], expected, atol=1e-5)
    for k, value in enumerate(expected):
        np.testing.assert_allclose(
            result.attribution[labels == k], value / (labels == k).sum(), atol=1e-5
        )
    errors = result.diagnostics["standard_errors"]
    assert errors is None if n_samples == 1 else max(errors) < 1e-5


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_network_agrees_with_all_coalitions_within_its_errors(framework: str) -> None:
    model = twin(framework)
    pixels, _ = quadrants()
    image = model.prepare(pixels)
    labels = input_superpixels(image, 4)
    base = baseline_values(model, image, "blur")

    def worth(coalition: frozenset[int]) -> float:
        kept = np.isin(labels, list(coalition))[..., None]
        return float(scores(net(), base + kept * (image.values - base), 1)[0])

    expected = exact(worth, 4)
    result = quick(model, "shapley_sampling", image, target=1, n_superpixels=4, n_samples=150)
    found = np.array(result.diagnostics["shapley_values"])
    errors = np.array(result.diagnostics["standard_errors"])
    assert len(found) == 4 == result.diagnostics["superpixels"]
    assert (np.abs(found - expected) <= 4 * errors + 1e-5).all()
    assert relative(found, expected) < 0.02
    drawn = standard_error_map(result)
    for k in range(4):
        np.testing.assert_allclose(drawn[labels == k], errors[k] / (labels == k).sum(), rtol=1e-5)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_map_sums_to_the_difference_of_the_scores_whatever_the_orders(framework: str) -> None:
    model = twin(framework)
    result = quick(model, "shapley_sampling", target=0, n_samples=1)
    base = baseline_values(model, result.image, "blur")
    expected = scores(net(), [result.image.values, base], 0)
    assert result.score == pytest.approx(expected[0], abs=1e-5)
    assert result.diagnostics["score_baseline"] == pytest.approx(expected[1], abs=1e-5)
    assert result.attribution.sum() == pytest.approx(expected[0] - expected[1], abs=1e-4)
    assert abs(result.diagnostics["convergence_delta"]) < 1e-5


def test_neither_map_nor_errors_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    model = twin("torch")
    options: dict[str, Any] = {"target": 0, "n_superpixels": 12, "n_samples": 3, "seed": 5}
    whole = quick(model, "shapley_sampling", **options)
    for size in (1, 7):
        chunked(model, size, monkeypatch)
        parts = quick(model, "shapley_sampling", **options)
        np.testing.assert_allclose(parts.attribution, whole.attribution, atol=1e-6)
        np.testing.assert_allclose(
            parts.diagnostics["standard_errors"], whole.diagnostics["standard_errors"], atol=1e-5
        )
    other = quick(model, "shapley_sampling", **{**options, "seed": 6})
    assert np.abs(other.attribution - whole.attribution).max() > 0


def test_every_complete_pair_gives_a_partial_map(monkeypatch: pytest.MonkeyPatch) -> None:
    model = twin("torch")
    chunked(model, 4, monkeypatch)
    image = model.prepare(picture())
    parameters = {"n_superpixels": 9, "n_samples": 4}
    seen = list(explain_stream(model, image, "shapley_sampling", 0, None, parameters))
    partials = [item for item in seen if isinstance(item, Explanation)]
    assert 2 <= len(partials) <= 4
    for partial in partials:
        assert abs(partial.diagnostics["convergence_delta"]) < 1e-5


def test_one_superpixel_gets_everything() -> None:
    result = quick(linear_model(), "shapley_sampling", np.full((1, 1, 3), 9, np.uint8), target=0)
    assert result.diagnostics["superpixels"] == 1
    assert result.diagnostics["standard_errors"] == [0.0]


def test_the_forwards_are_what_the_game_says() -> None:
    seen: list[int] = []

    class Counted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(len(x))
            return self.net(x)

    model = load(Counted(), input_size=32)
    seen.clear()
    result = quick(model, "shapley_sampling", target=0, n_samples=3, n_superpixels=10)
    k = result.diagnostics["superpixels"]
    assert sum(seen) == 2 + 6 * (k - 1)


def test_errors_cannot_be_drawn_where_there_are_none() -> None:
    model = twin("torch")
    for result in (
        quick(model, "gradient", target=0),
        quick(model, "shapley_sampling", target=0, n_samples=1),
    ):
        with pytest.raises(MethodError, match="no standard errors to draw"):
            standard_error_map(result)
