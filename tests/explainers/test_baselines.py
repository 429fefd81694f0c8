"""Baselines and backgrounds of every kind become model inputs, or one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.explainers.helpers import NORMALISED, quick, relative, smooth_model
from tests.models.nets import SIDE, picture
from xai_widgets.errors import ImageError, MethodError
from xai_widgets.explainers.baselines import (
    BACKGROUNDS,
    MAX_BACKGROUND,
    N_NOISE,
    background_values,
    baseline_values,
)

MEAN, STD = np.array(NORMALISED["mean"]), np.array(NORMALISED["std"])


def display(values: Any) -> Any:
    """Take model values back to display values 0..1."""
    return values * STD + MEAN


@pytest.fixture(scope="module")
def model() -> Any:
    return smooth_model()


@pytest.fixture(scope="module")
def image(model: Any) -> Any:
    return model.prepare(picture())


@pytest.mark.parametrize("colour", ["#ff8000", "#FF8000"])
def test_a_colour_goes_through_the_preprocessing(colour: str, model: Any, image: Any) -> None:
    found = display(baseline_values(model, image, colour))
    np.testing.assert_allclose(found, np.broadcast_to([1, 128 / 255, 0], found.shape), atol=1e-6)
    assert np.isfinite(quick(model, "integrated_gradients", baseline=colour).attribution).all()


def test_noise_depends_on_its_seed_and_stays_between_black_and_white(
    model: Any, image: Any
) -> None:
    first, again, other = (baseline_values(model, image, "noise", seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    shown = display(first)
    assert shown.min() >= -1e-6 and shown.max() <= 1 + 1e-6
    assert shown.mean() == pytest.approx(0.5, abs=0.02)
    maps = [
        quick(model, "integrated_gradients", baseline="noise", seed=seed).attribution
        for seed in (1, 2)
    ]
    assert relative(maps[1], maps[0]) > 0.1


def kinds_of_picture(folder: Path) -> dict[str, Any]:
    pixels = picture(SIDE, SIDE, 9)
    Image.fromarray(pixels).save(folder / "other.png")
    return {
        "path": folder / "other.png",
        "text": str(folder / "other.png"),
        "pil": Image.fromarray(pixels),
        "array": pixels,
        "tensor": torch.from_numpy(pixels),
        "one in a list": [pixels],
        "folder": folder,
        "batch": pixels[None],
    }


def test_a_picture_of_every_kind_is_a_baseline(tmp_path: Path, model: Any, image: Any) -> None:
    expected = model.prepare(picture(SIDE, SIDE, 9)).values
    for name, given in kinds_of_picture(tmp_path).items():
        found = baseline_values(model, image, given)
        np.testing.assert_allclose(found, expected, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(
            background_values(model, image, given), expected[None], atol=1e-6, err_msg=name
        )
        result = quick(model, "integrated_gradients", image, baseline=given, n_steps=2)
        assert result.to_dict()["provenance"]["parameters"]["baseline"]


def test_a_data_set_is_its_mean_as_a_baseline_and_itself_as_a_background(
    model: Any, image: Any
) -> None:
    pictures = [picture(SIDE, SIDE, seed) for seed in range(3)] + [picture(50, 40, 4)]
    values = np.stack([model.prepare(one).values for one in pictures])
    np.testing.assert_allclose(
        baseline_values(model, image, pictures), values.mean(axis=0), atol=1e-6
    )
    np.testing.assert_array_equal(background_values(model, image, pictures), values)
    np.testing.assert_array_equal(background_values(model, image, values), values)
    np.testing.assert_array_equal(background_values(model, image, list(values)), values)


def test_a_large_data_set_is_drawn_from_by_the_seed(model: Any, image: Any) -> None:
    pixels = np.broadcast_to(
        np.arange(MAX_BACKGROUND + 20, dtype=np.uint8)[:, None, None, None],
        (MAX_BACKGROUND + 20, SIDE, SIDE, 3),
    )
    first, again, other = (background_values(model, image, pixels, seed) for seed in (0, 0, 1))
    assert len(first) == MAX_BACKGROUND and np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(np.unique(first[:, 0, 0, 0])) == MAX_BACKGROUND


def test_a_limit_is_how_many_are_drawn(model: Any, image: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, SIDE, SIDE, 3), dtype=np.uint8)
    first = background_values(model, image, pixels, 0, 4)
    assert len(first) == 4
    np.testing.assert_array_equal(first, background_values(model, image, pixels, 0, 4))
    assert len(background_values(model, image, pixels, 0, 40)) == 9
    noisy = background_values(model, image, "noise 0.1", 0, 5)
    assert len(noisy) == 5 and not np.array_equal(noisy[0], noisy[1])
    assert len(background_values(model, image, "noise 0.1")) == N_NOISE
    assert len(background_values(model, image, "black", 0, 5)) == 1


@pytest.mark.parametrize("name", [name for name in BACKGROUNDS if name != "images"])
def test_every_name_is_a_background(name: str, model: Any, image: Any) -> None:
    found = background_values(model, image, name)
    assert found.shape == (N_NOISE if name == "noise" else 1, *image.values.shape)
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ("images", MethodError, "give a list of pictures"),
        ("blakc", MethodError, "Did you mean 'black'"),
        ("#12345", MethodError, "#rrggbb"),
        ("nowhere.png", MethodError, "a file must exist"),
        (Path("nowhere.png"), ImageError, "no image file"),
        ([], MethodError, "shape"),
        (np.zeros((2, 3, SIDE, SIDE)), MethodError, r"shape \[3, 32, 32\]"),
        (np.full((SIDE, SIDE, 3), np.inf), MethodError, "NaN or infinite"),
        ([1, "a"], MethodError, "no array of numbers"),
    ],
)
def test_what_is_no_background_is_one_sentence(
    given: Any, error: Any, told: str, model: Any, image: Any
) -> None:
    with pytest.raises(error, match=told) as raised:
        quick(model, "expected_gradients", image, background=given)
    assert "\n" not in str(raised.value)


def test_a_grey_model_takes_colours_and_pictures() -> None:
    from torch import nn

    from tests.models.nets import seeded
    from xai_widgets.models.loading import load

    grey = load(
        seeded(lambda: nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.Flatten(), nn.LazyLinear(2))),
        input_size=SIDE,
    )
    shape = grey.prepare(picture()).values.shape
    assert shape == (SIDE, SIDE, 1)
    for given in ("#ff0000", "noise", picture(40, 40, 2)):
        assert baseline_values(grey, grey.prepare(picture()), given).shape == shape
