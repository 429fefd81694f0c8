"""Agreement over pictures counts those that have both maps, and says where none has."""

from __future__ import annotations

import numpy as np
import pytest

from xai_widgets.evaluation.agreement import agreement_matrix, mean_agreement
from xai_widgets.evaluation.similarity import similarity

GAP = np.nan


def test_the_mean_is_over_pictures_that_have_both_maps() -> None:
    first = [[1, 0.5, GAP], [0.5, 1, GAP], [GAP, GAP, GAP]]
    second = [[1, 0.1, 0.3], [0.1, 1, 0.4], [0.3, 0.4, 1]]
    found = mean_agreement([first, second])
    np.testing.assert_allclose(found, [[1, 0.3, 0.3], [0.3, 1, 0.4], [0.3, 0.4, 1]])
    assert np.isnan(mean_agreement([first])[2]).all()


@pytest.mark.parametrize("sign", ["signed", "absolute"])
def test_ranking_each_map_once_gives_the_same_numbers(sign: str) -> None:
    maps = list(np.random.default_rng(0).normal(size=(4, 9, 9)).astype(np.float32))
    maps.append(np.zeros((9, 9), np.float32))  # ranks nothing
    found = agreement_matrix(maps, "spearman", sign)
    for i, one in enumerate(maps):
        for j, other in enumerate(maps):
            expected = 1.0 if i == j else similarity(one, other, "spearman", sign)
            assert found[i, j] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", ["spearman", "ssim"])
def test_a_map_without_a_sign_is_compared_by_magnitudes(kind: str) -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(2, 9, 9))
    found = agreement_matrix([one, other, np.abs(one)], kind, have_sign=[True, True, False])
    assert found[0, 1] == pytest.approx(similarity(one, other, kind, "signed"))
    assert found[0, 2] == pytest.approx(1.0)
    assert found[1, 2] == pytest.approx(similarity(one, other, kind, "absolute"))
