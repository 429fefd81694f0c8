"""Facts about concept examples: the right texture, fresh randomness, and an honest random pool."""

from __future__ import annotations

import numpy as np
import pytest

from xai_widgets import demo
from xai_widgets.demo import concepts
from xai_widgets.errors import XaiError


@pytest.mark.parametrize("name", [*concepts.NAMES, "random"])
def test_every_concept_draws_varied_reproducible_pictures(name: str) -> None:
    few, many = demo.concept(name, n=3, seed=5), demo.concept(name, n=5, seed=5)
    assert many.shape == (5, 128, 128, 3) and many.dtype == np.uint8
    np.testing.assert_array_equal(few, many[:3])
    assert len({image.tobytes() for image in many}) == 5
    assert not np.array_equal(few, demo.concept(name, n=3, seed=6))


def test_stripes_run_one_way_and_spots_all_ways() -> None:
    def direction(images: np.ndarray) -> float:
        """Coherence of the structure tensor: 1 for parallel lines, 0 for no direction."""
        values = []
        for image in images:
            gy, gx = np.gradient(image.mean(-1))
            a, b, c = (gx * gx).mean(), (gx * gy).mean(), (gy * gy).mean()
            values.append(np.hypot(a - c, 2 * b) / (a + c))
        return float(np.median(values))

    assert direction(demo.concept("stripes", n=12)) > 0.6
    assert direction(demo.concept("spots", n=12)) < 0.2
    assert direction(demo.concept("network", n=12)) < 0.2


@pytest.mark.parametrize("name", concepts.NAMES)
def test_random_pool_leaves_the_excluded_concept_out_and_keeps_its_family(name: str) -> None:
    pool = concepts.members(name)
    family = next(f for f in concepts.FAMILIES.values() if name in f)
    assert name not in pool
    assert set(pool) <= set(family) and len(pool) >= len(family) - 2


def test_pool_without_stripes_holds_the_other_textures_surfaces_and_backgrounds() -> None:
    pool = set(concepts.members("stripes"))
    assert {"spots", "patches", "network", "plain", "surface", "landscape", "grass"} <= pool
    assert "ruler" not in pool


def test_pool_without_plain_coats_has_no_plain_surfaces_either() -> None:
    assert not {"plain", "surface"} & set(concepts.members("plain"))


def test_several_concepts_can_be_excluded_and_none() -> None:
    assert not {"stripes", "ruler"} & set(concepts.members(["stripes", "ruler"]))
    assert set(concepts.members()) == set(concepts.NAMES)


def test_random_pool_draws_every_member_equally(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def recorder(name: str) -> concepts.Example:
        def example(rng: np.random.Generator) -> np.ndarray:
            drawn.append(name)
            return np.zeros((128, 128, 3), np.float32)

        return example

    recorded = {
        family: {name: recorder(name) for name in members}
        for family, members in concepts.FAMILIES.items()
    }
    monkeypatch.setattr(concepts, "FAMILIES", recorded)
    pool = concepts.members("stripes")
    demo.concept("random", n=3 * len(pool), exclude="stripes")
    assert "stripes" not in drawn
    assert {drawn.count(name) for name in pool} == {3}


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        ({"name": "stripe"}, ["'stripe'", "'stripes'"]),
        ({"name": "random", "exclude": "spot"}, ["'spot'", "'spots'"]),
        ({"name": "spots", "exclude": "stripes"}, ['Only the concept "random"', "spots"]),
        ({"name": "random", "exclude": list(concepts.NAMES)}, ["Nothing is left"]),
        ({"name": "random", "exclude": 5}, ["a concept's name or several", "5"]),
        ({"name": "random", "exclude": [5]}, ["concept to exclude 5"]),
        ({"name": "spots", "n": -3}, ["n must be a whole number", "-3"]),
    ],
)
def test_bad_requests_are_answered_with_a_sentence(
    arguments: dict[str, object], fragments: list[str]
) -> None:
    with pytest.raises(XaiError) as caught:
        demo.concept(**arguments)  # type: ignore[arg-type]
    for fragment in fragments:
        assert fragment in str(caught.value)
