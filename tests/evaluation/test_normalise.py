"""Maps are brought into one form: in one order, sample by sample, and on record."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xai_widgets as xw
from tests.evaluation.helpers import random_map
from tests.models.nets import picture
from xai_widgets.errors import MapError, MetricError
from xai_widgets.evaluation import Normalisation, distribution
from xai_widgets.evaluation.complexity import entropy


def pedestal_map() -> Any:
    """20 of 784 pixels, on a pedestal of 1 % of them."""
    values = np.full((28, 28), 0.01, dtype=np.float32)
    values.ravel()[:20] += 1.0
    return values


def test_subtracting_the_baseline_takes_a_pedestal_away() -> None:
    found = xw.normalise(pedestal_map())
    np.testing.assert_array_equal(found, (pedestal_map() > 1).astype(np.float32))


def test_a_pedestal_moves_the_entropy_and_its_removal_moves_it_back() -> None:
    assert entropy(pedestal_map() > 1) == pytest.approx(np.log(20))
    assert entropy(pedestal_map()) == pytest.approx(4.58, abs=0.01)
    assert entropy(xw.normalise(pedestal_map())) == pytest.approx(np.log(20))


def test_scaling_to_a_maximum_of_one_does_not_move_the_entropy() -> None:
    values = random_map()
    assert entropy(values * 7) == pytest.approx(entropy(values))


@pytest.mark.parametrize("baseline_quantile", [None, 0.0, 0.2, 0.9])
def test_values_end_between_zero_and_one(baseline_quantile: float | None) -> None:
    found = xw.normalise(random_map() - 0.5, baseline_quantile=baseline_quantile)
    assert found.dtype == np.float32
    assert found.min() >= 0 and found.max() == 1


def test_the_quantile_is_what_becomes_zero() -> None:
    assert (xw.normalise(random_map(50), baseline_quantile=0.3) == 0).mean() == pytest.approx(
        0.3, abs=0.01
    )


@pytest.mark.parametrize(
    ("sign", "expected"),
    [
        ("absolute", [0.5, 0.0, 1.0]),
        ("positive", [0.0, 0.0, 1.0]),
        ("negative", [1.0, 0.0, 0.0]),
        ("signed", [-0.5, 0.0, 1.0]),
    ],
)
def test_the_sign_convention_comes_first(sign: str, expected: list[float]) -> None:
    found = xw.normalise(np.array([[-2.0, 0.0, 4.0]]), sign=sign, baseline_quantile=0)
    np.testing.assert_allclose(found, [expected])


def test_channels_do_not_cancel_when_magnitudes_are_asked_for() -> None:
    values = np.array([[[[1.0, -1.0], [0.5, 0.0]]]])
    np.testing.assert_allclose(xw.normalise(values, baseline_quantile=None), [[[1.0, 0.25]]])
    signed = xw.normalise(values, sign="signed", baseline_quantile=None)
    np.testing.assert_allclose(signed, [[[0.0, 1.0]]])


def test_each_sample_is_normalised_by_itself() -> None:
    one, other = random_map(seed=1), 1000 * random_map(seed=2)
    together = xw.normalise(np.stack([one, other]))
    np.testing.assert_array_equal(together[0], xw.normalise(one))
    np.testing.assert_array_equal(together[1], xw.normalise(other))


def test_normalising_twice_changes_nothing_where_the_pedestal_is_gone() -> None:
    once = xw.normalise(random_map())
    np.testing.assert_allclose(xw.normalise(once), once, atol=1e-3)


def test_clipping_keeps_few_strong_pixels_from_hiding_the_rest() -> None:
    values = random_map(50)
    values[0, 0] = 1000
    assert np.median(xw.normalise(values)) < 0.001
    assert np.median(xw.normalise(values, clip=99)) > 0.3


def test_clipping_below_the_pedestal_leaves_what_stands_out() -> None:
    values = np.zeros((20, 20), dtype=np.float32)
    values[3, 4] = 2
    assert xw.normalise(values, clip=50)[3, 4] == 1


@pytest.mark.parametrize("value", [0.0, 3.0, -1.0])
def test_a_constant_map_becomes_zeros(value: float) -> None:
    assert not xw.normalise(np.full((4, 4), value)).any()


def test_the_size_can_be_made_the_same() -> None:
    found = xw.normalise(np.stack([random_map(20)]), size=(10, 5))
    assert found.shape == (1, 10, 5)


def test_padding_is_zero_and_does_not_count() -> None:
    values = random_map(8) + 1
    inside = np.zeros((8, 8), dtype=bool)
    inside[2:6] = True
    found = Normalisation()(values, inside)
    assert not found[~inside].any()
    np.testing.assert_allclose(found[inside].reshape(4, 8), Normalisation()(values[2:6]))


def test_an_explanation_keeps_on_record_what_was_done() -> None:
    model = xw.demo.model("digits")
    explanation = xw.explain(model, xw.demo.dataset("digits", n=1).images[0], "gradient")
    found = xw.normalise(explanation, clip=99)
    assert found.attribution.shape == explanation.attribution.shape[:2]
    assert not found.signed and explanation.signed
    assert found.provenance["postprocessing"] == [
        {
            "step": "normalise",
            "sign": "absolute",
            "channels": "sum",
            "size": None,
            "baseline_quantile": 0.2,
            "clip": 99,
        }
    ]
    np.testing.assert_array_equal(
        found.map, xw.normalise(explanation.attribution[None], clip=99)[0]
    )


def test_the_padding_of_an_explanation_is_left_out() -> None:
    settings = {"size": 32, "resize": "pad"}
    model = xw.load(xw.demo.model("digits").source, preprocessing=settings)
    explanation = xw.explain(model, picture(16, 32), "gradient")
    found = xw.normalise(explanation).map
    assert not found[:8].any() and not found[24:].any()
    np.testing.assert_allclose(found[8:24], Normalisation()(explanation.attribution[8:24]))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.full((3, 3), np.nan), "NaN or infinite"),
        ([[1.0, np.inf]], "1 of 2 values"),
        (np.zeros(5), r"\[H, W\]"),
        (np.zeros((0, 3, 3)), "is empty"),
        (np.zeros((32, 32, 3)), "add a leading axis"),
        ([[1.0], [1.0, 2.0]], "all maps of one shape"),
        ("map", "give numbers"),
    ],
)
def test_bad_maps_are_refused_with_a_sentence(values: Any, text: str) -> None:
    with pytest.raises(MapError, match=text):
        xw.normalise(values)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sign": "positiv"}, "Did you mean 'positive'"),
        ({"baseline_quantile": 1.0}, "from 0 to below 1"),
        ({"clip": 0}, "percentile above 0"),
        ({"channels": "median"}, "channels cannot be"),
        ({"clip": "x"}, "clip is 'x'"),
        ({"clip": np.nan}, "percentile above 0"),
        ({"baseline_quantile": "a"}, "baseline_quantile is 'a'"),
        ({"size": 8}, r"size is 8: give \(height, width\)"),
        ({"size": (0, 8)}, "two whole numbers of at least 1"),
        ({"size": (8.5, 8)}, "two whole numbers"),
        ({"size": (8, 8, 3)}, "two whole numbers"),
        ({"size": "88"}, "two whole numbers"),
    ],
)
def test_bad_parameters_are_refused_with_a_sentence(options: Any, text: str) -> None:
    with pytest.raises(MetricError, match=text):
        xw.normalise(random_map(), **options)


def test_the_distribution_shows_the_pedestal_before_and_not_after() -> None:
    found = distribution(pedestal_map())
    assert found.before.sum() == pytest.approx(1) and found.after.sum() == pytest.approx(1)
    assert found.pedestal == pytest.approx(0.01, abs=1e-3)
    assert (found.zeros_before, found.zeros_after) == (0, pytest.approx(764 / 784))
    assert found.entropy_before == pytest.approx(4.58, abs=0.01)
    assert found.entropy_after == pytest.approx(np.log(20))
    assert set(found.to_dict()) >= {"edges", "before", "after"}


def test_the_distribution_can_be_drawn() -> None:
    assert [text.get_text() for text in distribution(pedestal_map()).plot().get_legend().texts] == [
        "before",
        "after",
        "pedestal",
    ]
