"""Pictures become model inputs, and every input pixel is known on the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.models.nets import picture
from xai_widgets.errors import PreprocessingError
from xai_widgets.maps import to_display
from xai_widgets.models.images import DisplayImage
from xai_widgets.models.measured import MeasuredPreprocessing
from xai_widgets.models.preprocessing import (
    Placement,
    Preprocess,
    Preprocessing,
    preprocessing_from,
)

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.mark.parametrize(
    ("settings_", "expected"),
    [
        ({}, lambda x: x / 255),
        ({"value_range": (0, 255)}, lambda x: x),
        ({"value_range": (-1, 1)}, lambda x: x / 127.5 - 1),
        ({"mean": MEAN, "std": STD}, lambda x: (x / 255 - MEAN) / STD),
        ({"mean": 0.5, "std": [0.5]}, lambda x: (x / 255 - 0.5) / 0.5),
        (
            {"value_range": (0, 255), "mean": (103.9, 116.8, 123.7)},
            lambda x: x - (103.9, 116.8, 123.7),
        ),
    ],
)
def test_values_are_scaled_then_normalised(settings_: dict[str, Any], expected: Any) -> None:
    pixels = picture(8, 12)
    values, placement = Preprocessing(**settings_)(DisplayImage(pixels))
    assert values.dtype == np.float32 and values.flags.c_contiguous
    np.testing.assert_allclose(values, expected(pixels.astype(np.float64)), rtol=1e-5, atol=1e-5)
    assert placement == Placement(0, 0, 12, 8)


def test_one_channel_is_the_luminance() -> None:
    pixels = picture(8, 12)
    values, _ = Preprocessing(channels=1)(DisplayImage(pixels))
    assert values.shape == (8, 12, 1)
    luminance = pixels @ np.array([0.299, 0.587, 0.114]) / 255
    np.testing.assert_allclose(values[:, :, 0], luminance, atol=1 / 255)


@pytest.mark.parametrize(
    ("resize", "height", "width", "fraction", "expected"),
    [
        ("stretch", 40, 80, 1.0, Placement(0, 0, 80, 40)),
        ("crop", 40, 80, 1.0, Placement(20, 0, 40, 40)),
        ("crop", 80, 40, 1.0, Placement(0, 20, 40, 40)),
        ("crop", 40, 80, 0.5, Placement(30, 10, 20, 20)),
        ("crop", 20, 20, 0.5, Placement(5, 5, 10, 10)),
        ("pad", 40, 80, 1.0, Placement(0, -20, 80, 80)),
        ("pad", 80, 40, 1.0, Placement(-20, 0, 80, 80)),
        ("pad", 20, 20, 1.0, Placement(0, 0, 20, 20)),
    ],
)
def test_the_input_grid_lies_where_the_resize_rule_puts_it(
    resize: Any, height: int, width: int, fraction: float, expected: Placement
) -> None:
    preprocess = Preprocessing(size=(20, 20), resize=resize, crop_fraction=fraction)
    values, placement = preprocess(DisplayImage(picture(height, width)))
    assert placement == expected == preprocess.place(height, width)
    assert values.shape == (20, 20, 3)


def test_padding_is_black_and_shows_the_whole_picture() -> None:
    white = np.full((10, 40, 3), 255, np.uint8)
    values, _ = Preprocessing(size=(20, 20), resize="pad")(DisplayImage(white))
    assert np.count_nonzero(values[:, :, 0] == 1) == 5 * 20
    assert np.count_nonzero(values[:, :, 0] == 0) == 15 * 20


def test_a_crop_of_a_picture_that_has_the_input_size_is_cropped_all_the_same() -> None:
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[:5] = 255
    values, placement = Preprocessing(size=(20, 20), resize="crop", crop_fraction=0.5)(
        DisplayImage(pixels)
    )
    assert placement == Placement(5, 5, 10, 10)
    assert values.max() < 0.5


def pillow_transform(image: Image.Image) -> np.ndarray[Any, Any]:
    """Resize the shorter side to 40, crop the centre 32, normalise: torchvision's usual chain."""
    scale = 40 / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)))
    left, top = (image.width - 32) // 2, (image.height - 32) // 2
    cropped = image.crop((left, top, left + 32, top + 32))
    return np.moveaxis((np.asarray(cropped, np.float32) / 255 - MEAN) / STD, 2, 0)


def letterbox(image: Image.Image) -> torch.Tensor:
    """Fit the picture into 32 x 32 and fill with grey."""
    fitted = image.copy()
    fitted.thumbnail((32, 32), Image.Resampling.BILINEAR)
    canvas = Image.new("RGB", (32, 32), (114, 114, 114))
    canvas.paste(fitted, ((32 - fitted.width) // 2, (32 - fitted.height) // 2))
    return torch.from_numpy(np.asarray(canvas).copy()).permute(2, 0, 1)[None] / 255


class Compose:
    """A chain of transforms, as torchvision spells it."""

    def __init__(self, *transforms: Any) -> None:
        self.transforms = transforms

    def __call__(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image


def square(image: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(image.resize((32, 32)), dtype=np.float32)


def truth_of(name: str, height: int, width: int) -> Placement:
    """Return the exact placement, with the rounding to whole cells that the callable does."""
    if name == "stretch":
        return Placement(0, 0, width, height)
    fitted = Image.new("RGB", (width, height))
    if name == "crop":
        scale = 40 / min(height, width)
        columns, rows = round(width * scale), round(height * scale)
        left, top = (columns - 32) // 2, (rows - 32) // 2
    else:
        fitted.thumbnail((32, 32))
        columns, rows = fitted.size
        left, top = -((32 - columns) // 2), -((32 - rows) // 2)
    cell_x, cell_y = width / columns, height / rows
    return Placement(left * cell_x, top * cell_y, 32 * cell_x, 32 * cell_y)


CALLABLES = {
    "crop": pillow_transform,
    "pad": letterbox,
    "stretch": Compose(lambda image: image, square, lambda x: x / 127.5 - 1),
}


@pytest.mark.parametrize("name", CALLABLES)
@pytest.mark.parametrize("size", [(120, 200), (200, 120), (97, 131), (333, 500), (64, 64)])
def test_the_placement_of_a_callable_is_measured_to_a_pixel(
    name: str, size: tuple[int, int]
) -> None:
    preprocess = preprocessing_from(CALLABLES[name])
    values, placement = preprocess(DisplayImage(picture(*size)))
    expected = truth_of(name, *size)
    assert values.shape == (32, 32, 3) and values.dtype == np.float32
    for side in ("x", "y", "width", "height"):
        assert getattr(placement, side) == pytest.approx(getattr(expected, side), abs=1.0)


@pytest.mark.parametrize("kind", ["ViTImageProcessorPil", "ConvNextImageProcessorPil"])
def test_transformers_image_processors_are_understood(kind: str) -> None:
    transformers = pytest.importorskip("transformers")
    if not hasattr(transformers, kind):
        pytest.skip(f"this transformers has no {kind}")
    options = {"size": {"height": 48, "width": 48}}
    if kind.startswith("ConvNext"):
        options = {"size": {"shortest_edge": 48}, "crop_pct": 48 / 64}
    processor = getattr(transformers, kind)(**options)
    values, placement = preprocessing_from(processor)(DisplayImage(picture(120, 200)))
    assert values.shape == (48, 48, 3)
    expected = Placement(0, 0, 200, 120)
    if kind.startswith("ConvNext"):
        expected = Placement(55, 15, 90, 90)
    for side in ("x", "y", "width", "height"):
        assert getattr(placement, side) == pytest.approx(getattr(expected, side), abs=1.0)


@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocessing(size=(24, 36)),
        Preprocessing(size=(30, 30), resize="crop"),
        Preprocessing(size=(30, 30), resize="crop", crop_fraction=0.875),
        Preprocessing(size=(30, 30), resize="pad"),
        MeasuredPreprocessing(pillow_transform),
        MeasuredPreprocessing(letterbox),
    ],
    ids=["stretch", "crop", "crop of a part", "pad", "callable crop", "callable pad"],
)
@pytest.mark.parametrize("size", [(90, 150), (151, 90)])
@pytest.mark.parametrize("at", [(0.5, 0.5), (0.35, 0.6), (0.6, 0.42)])
def test_a_marker_goes_to_the_input_and_comes_back_to_its_place(
    preprocess: Preprocess, size: tuple[int, int], at: tuple[float, float]
) -> None:
    height, width = size
    row, column = int(at[0] * height), int(at[1] * width)
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[row - 4 : row + 5, column - 4 : column + 5] = 255
    background = preprocess(DisplayImage(np.zeros_like(pixels)))[0]
    values, placement = preprocess(DisplayImage(pixels))
    change = (values - background).sum(axis=2)
    shown = to_display(change, placement, size)
    rows, columns = np.indices(size)
    assert (shown * rows).sum() / shown.sum() == pytest.approx(row, abs=1.5)
    assert (shown * columns).sum() / shown.sum() == pytest.approx(column, abs=1.5)
    input_row = (row + 0.5 - placement.y) / placement.height * values.shape[0]
    seen = (change.sum(axis=1) * (np.arange(values.shape[0]) + 0.5)).sum() / change.sum()
    assert seen == pytest.approx(input_row, abs=0.7)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    resize=st.sampled_from(["stretch", "crop", "pad"]),
)
def test_every_picture_size_gives_the_input_size(height: int, width: int, resize: Any) -> None:
    preprocess = Preprocessing(size=(17, 23), resize=resize)
    values, placement = preprocess(DisplayImage(np.full((height, width, 3), 255, np.uint8)))
    assert values.shape == (17, 23, 3)
    assert np.isfinite(values).all() and placement.width > 0 and placement.height > 0
    if resize != "pad":
        assert values.min() == 1.0


@pytest.mark.parametrize(
    ("given_", "told"),
    [
        ({"sise": 224}, "no field 'sise'. Did you mean 'size'"),
        ({"normalise": True}, "no field 'normalise'"),
        ({"mean": (0.5, 0.5)}, "mean has 2 values: give 1 or 3"),
        ({"mean": "grey"}, "mean is 'grey'"),
        ({"mean": (0.5, np.nan, 0.5)}, "finite"),
        ({"std": (1, 0, 1)}, "std must be positive"),
        ({"std": -1}, "std must be positive"),
        ({"channels": 4}, "channels is 4"),
        ({"resize": "squash"}, "resize is 'squash'"),
        ({"crop_fraction": 0}, "crop_fraction is 0"),
        ({"crop_fraction": "most"}, "crop_fraction is 'most'"),
        ({"value_range": (0,)}, "value_range"),
        ({"value_range": (1, 1)}, "value_range"),
        ({"size": (224, 224, 3)}, "size is"),
        ({"size": (0, 224)}, "size is"),
        ({"size": 22.5}, "size is"),
        ({"size": ("a", "b")}, "size is"),
        ({"size": True}, "size is"),
        (3, "preprocessing is a int"),
        ("imagenet", "preprocessing is a str"),
    ],
)
def test_settings_that_cannot_be_applied_are_refused_with_a_sentence(
    given_: Any, told: str
) -> None:
    with pytest.raises(PreprocessingError, match=told):
        preprocessing_from(given_)


@pytest.mark.parametrize("size", [48, [48, 48], (np.int64(48), 48)])
def test_a_dict_of_fields_is_the_same_as_preprocessing(size: Any) -> None:
    found = preprocessing_from({"size": size, "mean": list(MEAN), "value_range": [0, 1]})
    assert found == Preprocessing(size=(48, 48), mean=MEAN)
    assert hash(found) == hash(Preprocessing(size=(48, 48), mean=MEAN))


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda image: np.zeros((5, 32, 32)), r"returned shape \[5, 32, 32\]"),
        (lambda image: np.zeros((2, 3, 32, 32)), r"returned shape \[2, 3, 32, 32\]"),
        (lambda image: image.no_such_method(), "cannot take a picture: .*no_such_method"),
        (lambda image: "text", "cannot take a picture"),
        (lambda image: np.zeros((3, 32, 32)), "must keep the contrast"),
    ],
)
def test_a_callable_that_does_not_make_an_input_is_refused(function: Any, told: str) -> None:
    with pytest.raises(PreprocessingError, match=told):
        preprocessing_from(function)(DisplayImage(picture(40, 60)))


def test_callables_are_equal_only_as_the_same_object() -> None:
    assert MeasuredPreprocessing(letterbox) == MeasuredPreprocessing(letterbox)
    assert MeasuredPreprocessing(Compose(square)) != MeasuredPreprocessing(Compose(square))
    assert MeasuredPreprocessing(letterbox) != Preprocessing()


def test_both_kinds_describe_themselves_for_provenance() -> None:
    assert Preprocessing(size=(4, 5)).describe()["size"] == [4, 5]
    assert "letterbox" in MeasuredPreprocessing(letterbox).describe()["callable"]
