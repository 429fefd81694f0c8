"""Facts about the demo data: reproducible, balanced, and with masks that tell the truth."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from xai_widgets import demo
from xai_widgets.demo import digits
from xai_widgets.errors import XaiError

SIZES = {"lesions": 128, "animals": 128, "digits": 32, "scenes": 128}
MASKS = {
    "lesions": {"lesion", "ruler"},
    "animals": {"animal"},
    "digits": {"stroke"},
    "scenes": {"animal", "ball", "balloon", "hut", "tree"},
}


@pytest.fixture(scope="module")
def lesions() -> demo.Dataset:
    return demo.dataset("lesions", n=200, seed=11)


@pytest.fixture(scope="module")
def animals() -> demo.Dataset:
    return demo.dataset("animals", n=200, seed=11)


@pytest.mark.parametrize("name", SIZES)
def test_has_the_documented_shapes_and_types(name: str) -> None:
    data = demo.dataset(name, n=7)
    side = SIZES[name]
    assert data.images.shape == (7, side, side, 3) and data.images.dtype == np.uint8
    assert data.labels.shape == (7,) and data.labels.dtype == np.int64
    assert set(data.masks) == MASKS[name]
    for mask in data.masks.values():
        assert mask.shape == (7, side, side) and mask.dtype == np.bool_
    assert len(data) == 7


@pytest.mark.parametrize("name", SIZES)
def test_same_seed_gives_the_same_pictures_and_more_keep_the_first(name: str) -> None:
    few, many = demo.dataset(name, n=6, seed=3), demo.dataset(name, n=12, seed=3)
    np.testing.assert_array_equal(few.images, many.images[:6])
    np.testing.assert_array_equal(few.labels, many.labels[:6])
    for key in few.masks:
        np.testing.assert_array_equal(few.masks[key], many.masks[key][:6])


@pytest.mark.parametrize("name", SIZES)
def test_other_seeds_give_other_pictures(name: str) -> None:
    a, b = (demo.dataset(name, n=6, seed=seed) for seed in (0, 1))
    assert not np.array_equal(a.images, b.images)


@pytest.mark.parametrize("name", SIZES)
def test_train_and_test_share_no_picture(name: str) -> None:
    n = {"digits": 500}.get(name, 60)
    train, test = (
        {image.tobytes() for image in demo.dataset(name, n=n, split=split).images}
        for split in ("train", "test")
    )
    assert len(train) >= n - 1 and not train & test


@pytest.mark.parametrize("name", ["lesions", "animals", "digits"])
def test_labels_are_balanced(name: str) -> None:
    data = demo.dataset(name, n=60)
    counts = np.bincount(data.labels, minlength=len(data.class_names))
    assert counts.min() == counts.max()
    assert sorted(data.labels[:20]) != data.labels[:20].tolist(), "classes come in random order"


def test_every_lesion_fills_a_visible_but_small_part_away_from_the_ruler(
    lesions: demo.Dataset,
) -> None:
    area = lesions.masks["lesion"].mean((1, 2))
    assert area.min() > 0.02 and area.max() < 0.30
    assert not (lesions.masks["lesion"] & lesions.masks["ruler"]).any()


def test_lesions_are_darker_than_the_skin_around_them(lesions: demo.Dataset) -> None:
    grey = lesions.images.mean(-1)
    around = ~(lesions.masks["lesion"] | lesions.masks["ruler"])
    darker = [
        np.median(g[m]) < np.median(g[o])
        for g, m, o in zip(grey, lesions.masks["lesion"], around, strict=True)
    ]
    assert np.mean(darker) > 0.97


def test_lesion_size_and_place_do_not_give_the_class_away(lesions: demo.Dataset) -> None:
    mask = lesions.masks["lesion"]
    rows = np.arange(128)
    facts = {
        "area": mask.mean((1, 2)),
        "height": (mask.sum(2) * rows).sum(1) / mask.sum((1, 2)),
        "skin": np.median(lesions.images[:, ::8, ::8].mean(-1), axis=(1, 2)),
    }
    for fact, values in facts.items():
        benign, malignant = (values[lesions.labels == k] for k in (0, 1))
        gap = abs(benign.mean() - malignant.mean()) / values.std()
        assert gap < 0.6, f"{fact} differs between the classes by {gap:.2f} standard deviations"


def test_random_rulers_are_uncorrelated_with_the_class(lesions: demo.Dataset) -> None:
    ruler = lesions.masks["ruler"].any((1, 2))
    for label in (0, 1):
        assert ruler[lesions.labels == label].mean() == 0.5


def test_malignant_rulers_are_exactly_the_class() -> None:
    data = demo.dataset("lesions", n=60, ruler="malignant")
    np.testing.assert_array_equal(data.masks["ruler"].any((1, 2)), data.labels == 1)


def test_rulers_lie_at_an_edge_and_are_visible(lesions: demo.Dataset) -> None:
    rulers = lesions.masks["ruler"][lesions.masks["ruler"].any((1, 2))]
    assert rulers.mean((1, 2)).min() > 0.03
    assert not rulers[:, 44:84, 44:84].any()


def test_without_rulers_the_same_lesions_remain() -> None:
    with_ruler = demo.dataset("lesions", n=16, ruler="random")
    without = demo.dataset("lesions", n=16, ruler="none")
    assert not without.masks["ruler"].any()
    np.testing.assert_array_equal(with_ruler.labels, without.labels)
    bare = ~with_ruler.masks["ruler"].any((1, 2))
    np.testing.assert_array_equal(with_ruler.images[bare], without.images[bare])
    covered = with_ruler.masks["ruler"]
    np.testing.assert_array_equal(with_ruler.masks["lesion"], without.masks["lesion"] & ~covered)


def test_animals_fill_a_visible_part_in_one_piece_of_the_picture(animals: demo.Dataset) -> None:
    area = animals.masks["animal"].mean((1, 2))
    assert area.min() > 0.05 and area.max() < 0.35
    border = np.ones((128, 128), bool)
    border[2:-2, 2:-2] = False
    assert not animals.masks["animal"][:, border].any(), "no animal is cut off"


def test_shape_and_background_do_not_give_the_animal_away(animals: demo.Dataset) -> None:
    mask = animals.masks["animal"]
    behind = np.where(mask[..., None], np.nan, animals.images)
    facts = {
        "area": mask.mean((1, 2)),
        "height": mask.any(2).sum(1),
        "width": mask.any(1).sum(1),
        "brightness of the background": np.nanmean(behind, axis=(1, 2, 3)),
    }
    for fact, values in facts.items():
        groups = [values[animals.labels == k].mean() for k in range(5)]
        spread = np.std(groups) / values.std()
        # Means of 40 draws scatter by 0.16 standard deviations of their own accord.
        assert spread < 0.4, f"{fact} differs between the classes ({spread:.2f})"


def test_coat_colours_overlap_between_the_classes(animals: demo.Dataset) -> None:
    patterned = [k for k, name in enumerate(animals.class_names) if name != "horse"]
    means = np.array(
        [image[m].mean(0) for image, m in zip(animals.images, animals.masks["animal"], strict=True)]
    )
    for channel in range(3):
        values = means[:, channel]
        groups = [values[animals.labels == k].mean() for k in patterned]
        assert np.ptp(groups) < 1.5 * values.std()


def test_strokes_cover_the_bright_part_of_each_digit() -> None:
    data = demo.dataset("digits", n=100)
    for image, mask in zip(data.images, data.masks["stroke"], strict=True):
        assert 0.1 < mask.mean() < 0.6
        assert image[mask].min() > image[~mask].max()


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        ({"name": "lesion"}, ["'lesion'", "'lesions'"]),
        ({"name": "zebras"}, ["'zebras'", "'animals'"]),
        ({"name": "lesions", "split": "tset"}, ["'tset'", "'test'"]),
        ({"name": "lesions", "ruler": "maligant"}, ["'maligant'", "'malignant'"]),
        ({"name": "lesions", "rulers": "none"}, ["'rulers'", "'ruler'"]),
        ({"name": "animals", "ruler": "none"}, ["takes no option", "ruler"]),
        ({"name": "lesions", "n": 0}, ["n must be a whole number", "0"]),
        ({"name": "lesions", "n": 2.5}, ["n must be a whole number", "2.5"]),
        ({"name": "lesions", "seed": -1}, ["seed must be a whole number", "-1"]),
        ({"name": "digits", "n": 5000}, ["at most 500", "5000"]),
        ({"name": None}, ["None", "'lesions'"]),
    ],
)
def test_bad_requests_are_answered_with_a_sentence(
    arguments: dict[str, object], fragments: list[str]
) -> None:
    with pytest.raises(XaiError) as caught:
        demo.dataset(**arguments)  # type: ignore[arg-type]
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_without_scikit_learn_digits_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    digits._originals.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(XaiError, match=r'pip install "xai-widgets\[demo\]"'):
        demo.dataset("digits", n=3)


def test_pictures_need_neither_framework_nor_scikit_learn() -> None:
    code = (
        "import sys; from xai_widgets import demo;"
        "demo.dataset('lesions', n=1); demo.concept('spots', n=1);"
        "heavy = {'torch', 'tensorflow', 'sklearn'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
