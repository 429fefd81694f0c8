"""Whatever a user calls an image becomes uint8 [H, W, 3], or one sentence."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.models.nets import picture
from xai_widgets.errors import ImageError
from xai_widgets.models import images
from xai_widgets.models.images import DisplayImage, ImageSet, open_image

RGB = picture(6, 9)
GREY = RGB[:, :, 0]


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "source",
    [
        RGB,
        np.asfortranarray(RGB),
        RGB.astype(np.int64),
        RGB.astype(np.float64),
        RGB.astype(np.float32) / 255,
        (RGB / 255).astype(np.float16),
        RGB[None],
        np.moveaxis(RGB, 2, 0),
        torch.from_numpy(RGB).permute(2, 0, 1),
        torch.from_numpy(RGB).permute(2, 0, 1)[None].float() / 255,
        torch.from_numpy(RGB / 255).permute(2, 0, 1).requires_grad_(),
        Image.fromarray(RGB),
        RGB.tolist(),
        DisplayImage(RGB),
    ],
    ids=lambda source: type(source).__name__,
)
def test_every_form_of_a_picture_gives_the_same_pixels(source: object) -> None:
    pixels = open_image(source).pixels
    assert pixels.dtype == np.uint8 and pixels.shape == RGB.shape
    tolerance = 1 if getattr(source, "dtype", None) == np.float16 else 0
    assert np.abs(pixels.astype(int) - RGB).max() <= tolerance


@pytest.mark.parametrize("source", [torch.from_numpy(RGB / 255).permute(2, 0, 1).bfloat16()])
def test_half_precision_tensors_are_read(source: torch.Tensor) -> None:
    assert np.abs(open_image(source).pixels.astype(int) - RGB).max() <= 1


@pytest.mark.parametrize("source", [GREY, GREY[:, :, None], GREY[None], Image.fromarray(GREY)])
def test_grey_pictures_become_three_equal_channels(source: object) -> None:
    pixels = open_image(source).pixels
    assert np.array_equal(pixels, np.repeat(GREY[:, :, None], 3, axis=2))


def test_bool_masks_become_black_and_white() -> None:
    mask = GREY > 128
    assert np.array_equal(open_image(mask).pixels[:, :, 0], mask * 255)


@pytest.mark.parametrize("as_pil", [True, False])
def test_transparent_pictures_are_laid_over_white(as_pil: bool) -> None:
    rgba = np.dstack([RGB, np.full(GREY.shape, 64, np.uint8)])
    rgba[0, 0, 3], rgba[0, 1, 3] = 0, 255
    pixels = open_image(Image.fromarray(rgba) if as_pil else rgba).pixels
    alpha = rgba[:, :, 3:] / 255
    assert np.abs(pixels - (RGB * alpha + 255 * (1 - alpha))).max() <= 1
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert np.array_equal(pixels[0, 1], RGB[0, 1])


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    stored = np.asarray(Image.fromarray(RGB).rotate(90, expand=True))
    exif = Image.Exif()
    exif[0x0112] = 6  # "rotate 90 degrees clockwise to see it"
    Image.fromarray(stored).save(tmp_path / "phone.png", exif=exif)
    assert np.array_equal(open_image(tmp_path / "phone.png").pixels, RGB)


@pytest.mark.parametrize(
    ("mode", "tolerance"), [("P", 40), ("CMYK", 1), ("YCbCr", 2), ("L", 255), ("1", 255)]
)
def test_every_pil_mode_opens(mode: str, tolerance: int) -> None:
    converted = Image.fromarray(RGB).convert(mode)
    pixels = open_image(converted).pixels
    assert pixels.shape == RGB.shape and pixels.dtype == np.uint8
    assert np.abs(pixels.astype(float) - RGB).mean() <= tolerance


def test_a_palette_with_a_transparent_colour_is_laid_over_white() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    palette.info["transparency"] = 0
    assert open_image(palette).pixels.tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_sixteen_bit_png_keeps_its_contrast(tmp_path: Path) -> None:
    deep = np.linspace(0, 65535, 54, dtype=np.uint16).reshape(6, 9)
    Image.fromarray(deep).save(tmp_path / "scan.png")
    pixels = open_image(tmp_path / "scan.png").pixels[:, :, 0]
    assert np.abs(pixels - deep / 257).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".gif", ".tif", ".webp"])
def test_files_are_opened_by_path_and_named_after_the_file(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(RGB).save(tmp_path / f"cat{suffix}")
    for source in (tmp_path / f"cat{suffix}", str(tmp_path / f"cat{suffix}")):
        display = open_image(source)
        assert display.name == f"cat{suffix}"
        assert (display.height, display.width) == (6, 9)


def test_float_pictures_may_overshoot_a_little() -> None:
    wavy = np.linspace(-0.004, 1.004, 48).reshape(4, 4, 3)
    pixels = open_image(wavy).pixels
    assert pixels.min() == 0 and pixels.max() == 255


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (np.full((4, 4, 3), np.nan), "NaN or infinite"),
        (np.full((4, 4, 3), np.inf), "NaN or infinite"),
        (torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0)), "normalised"),
        (np.full((4, 4, 3), 256.0), "0..255"),
        (np.zeros((6, 6, 2)), r"\[6, 6, 2\]"),
        (np.zeros((6, 6, 5)), r"\[6, 6, 5\]"),
        (torch.zeros(2, 6, 6), r"\[2, 6, 6\]"),
        (np.zeros((2, 4, 4, 3)), r"\[2, 4, 4, 3\]"),
        (np.zeros((0, 4, 3)), r"\[0, 4, 3\]"),
        (np.zeros(4), r"\[4\]"),
        (np.array(["a"]), "not an image"),
        (None, "not an image"),
        (object(), "not an image"),
        ([[1], [2, 3]], "not an image"),
        (Image.new("RGB", (0, 4)), "no pixels"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_sentence(source: object, told: str) -> None:
    with pytest.raises(ImageError, match=told) as error:
        open_image(source, "cat")
    assert "'cat'" in str(error.value)
    assert str(error.value).endswith(".")


BROKEN = {
    "empty.png": b"",
    "text.png": b"this is not a picture\n" * 20,
    "cut.png": encoded(Image.fromarray(picture(64, 64)), "PNG")[:900],
    "cut.jpg": encoded(Image.fromarray(picture(64, 64)), "JPEG")[:300],
    "cut.gif": encoded(Image.fromarray(picture(64, 64)), "GIF")[:900],
    "cut.tif": encoded(Image.fromarray(picture(64, 64)), "TIFF")[:900],
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused_with_their_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(BROKEN[name])
    with pytest.raises(ImageError, match=f"'{name}' cannot be read as an image"):
        open_image(tmp_path / name)


def test_a_truncated_picture_that_pil_already_opened_is_refused_too() -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        open_image(Image.open(io.BytesIO(BROKEN["cut.png"])))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"]),
    flips=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_no_damage_to_a_file_raises_anything_but_an_image_error(
    tmp_path: Path, kind: str, flips: list[tuple[int, int]]
) -> None:
    data = bytearray(encoded(Image.fromarray(RGB), kind))
    for position, value in flips:
        data[position % len(data)] = value
    (tmp_path / "damaged").write_bytes(data)
    with contextlib.suppress(ImageError):
        assert open_image(tmp_path / "damaged").pixels.dtype == np.uint8


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes whose header claims a size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("side", [8001, 50_000])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int
) -> None:
    def decode(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(Image.Image, "convert", decode)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    (tmp_path / "bomb.png").write_bytes(bomb(side, side))
    with pytest.raises(ImageError, match=r"'bomb\.png' has more than 64 million pixels"):
        open_image(tmp_path / "bomb.png")


def test_huge_arrays_are_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 50)
    with pytest.raises(ImageError, match="million pixels"):
        open_image(RGB)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="There is no image file") as error:
        open_image(tmp_path / "nowhere.png")
    assert str(tmp_path / "nowhere.png") in str(error.value)
    with pytest.raises(ImageError, match="is a folder"):
        open_image(tmp_path)


def test_equal_pictures_have_equal_keys() -> None:
    assert open_image(RGB).key == open_image(Image.fromarray(RGB)).key
    assert open_image(RGB).key != open_image(RGB[::-1]).key
    assert open_image(RGB).key != open_image(RGB.reshape(9, 6, 3)).key


def test_a_preview_is_no_larger_than_asked_and_keeps_the_aspect() -> None:
    display = open_image(picture(60, 90))
    assert display.resized(30).shape == (20, 30, 3)
    assert display.resized(200) is display.pixels


class TestImageSet:
    @pytest.mark.parametrize("source", [[], (), np.zeros((0, 4, 4, 3))])
    def test_without_images_it_is_refused(self, source: object) -> None:
        with pytest.raises(ImageError, match="empty"):
            ImageSet(source)

    def test_a_folder_without_images_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("no picture")
        with pytest.raises(ImageError, match="holds no images"):
            ImageSet(tmp_path)

    def test_a_folder_gives_its_images_in_order_of_name(self, tmp_path: Path) -> None:
        for name in ("b.png", "a.JPG", "c.webp"):
            Image.fromarray(RGB).save(tmp_path / name)
        (tmp_path / "notes.txt").write_text("no picture")
        found = ImageSet(tmp_path)
        assert [found.name(i) for i in range(len(found))] == ["a.JPG", "b.png", "c.webp"]

    def test_a_corrupt_file_hurts_only_its_own_index(self, tmp_path: Path) -> None:
        for name in ("a.png", "c.png"):
            Image.fromarray(RGB).save(tmp_path / name)
        (tmp_path / "b.png").write_bytes(b"broken")
        found = ImageSet(tmp_path)
        assert len(found) == 3
        assert np.array_equal(found[0].pixels, found[-1].pixels)
        with pytest.raises(ImageError, match=r"b\.png"):
            found[1]

    @pytest.mark.parametrize(
        ("source", "n"),
        [
            (RGB, 1),
            (Image.fromarray(RGB), 1),
            (DisplayImage(RGB), 1),
            (np.stack([RGB, RGB]), 2),
            (torch.zeros(2, 3, 5, 5), 2),
            ([RGB, Image.fromarray(RGB), torch.zeros(3, 5, 5)], 3),
            (ImageSet([RGB, RGB]), 2),
        ],
    )
    def test_it_takes_one_image_or_many(self, source: object, n: int) -> None:
        found = ImageSet(source)
        assert len(found) == n == len(list(found)) == len(found[:])

    def test_an_index_out_of_range_says_how_many_there_are(self) -> None:
        with pytest.raises(IndexError, match="no image 2: there are 2"):
            ImageSet([RGB, RGB])[2]

    def test_what_is_no_collection_is_refused(self) -> None:
        with pytest.raises(ImageError, match="given as int"):
            ImageSet(3)
