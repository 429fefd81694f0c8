"""Run lengths are those that pycocotools and Label Studio's own converter write."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xai_widgets.concepts.formats import rle
from xai_widgets.errors import StoreError

Mask = npt.NDArray[np.bool_]


def drawn(*rows: str) -> Mask:
    return np.array([[character == "#" for character in row] for row in rows])


def ellipse() -> Mask:
    y, x = np.mgrid[:40, :60]
    return np.asarray((x - 30) ** 2 / 400 + (y - 20) ** 2 / 150 < 1)


# pycocotools 2.0: mask.encode(np.asfortranarray(mask))["counts"].decode()
PACKED = [
    (drawn("...####", "##..##.", "..##.#.", "#.#..#.", ".#.#.##"), "1110100001OO0002230K"),
    (
        drawn("...#", "....", "....", ".#.#", "....", "....", "....", ".#..", "..#."),
        "<13061IO3",
    ),
    (
        ellipse(),
        "Y>7o04M2N2N2O0O2O0O2O000O2O0000000O2O000000000001N100000001N10001N101N101N2N2N3LQ<",
    ),
    (np.zeros((3, 3), dtype=bool), "9"),
    (np.ones((3, 3), dtype=bool), "09"),
]

# label-studio-converter 0.0.59: brush.encode_rle(np.repeat(mask.ravel() * 255, 4))
BRUSH = [0, 0, 0, 96, 57, 27, 254, 31, 0, 183, 255, 108, 2, 223, 254, 27, 0, 0]
# ... and of noise in all four channels, which it writes value by value.
NOISE = [
    *(0, 0, 0, 48, 57, 27, 248, 25, 64, 53, 128, 180, 5, 8, 18, 0, 119, 129, 58, 7, 96, 18, 128),
    *(41, 128, 164, 7, 232, 18, 192, 24, 1, 168, 6, 144, 0, 64, 20, 1, 98, 3, 56, 10, 224, 9, 0),
    *(96, 6, 216, 26, 160, 106, 1, 36, 1, 24, 10, 64, 67, 1, 252, 2, 16, 17, 128, 62, 129, 0, 4),
    *(104, 22, 128, 13, 129, 246, 6, 232, 24, 128, 35, 128, 224, 3, 144, 9, 224, 7, 1, 124, 0, 0),
]


@pytest.mark.parametrize(("mask", "packed"), PACKED)
def test_what_pycocotools_packs_is_read(mask: Mask, packed: str) -> None:
    np.testing.assert_array_equal(rle.from_coco(packed, mask.shape), mask)


def test_what_label_studio_writes_is_read() -> None:
    expected = drawn("......", "..###.", "..###.", "......")
    np.testing.assert_array_equal(rle.from_label_studio(BRUSH, (4, 6)), expected)
    noise = drawn("####", ".#..", "##..")
    np.testing.assert_array_equal(rle.from_label_studio(NOISE, (3, 4)), noise)


grids = hnp.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@given(grids)
def test_any_mask_survives_both(mask: Mask) -> None:
    size = mask.shape
    np.testing.assert_array_equal(rle.from_coco(rle.to_coco(mask), size), mask)
    np.testing.assert_array_equal(rle.from_label_studio(rle.to_label_studio(mask), size), mask)


def test_a_large_mask_survives_both() -> None:
    mask = np.zeros((700, 900), dtype=bool)
    mask[100:650, 3:890] = True
    np.testing.assert_array_equal(rle.from_coco(rle.to_coco(mask), (700, 900)), mask)
    np.testing.assert_array_equal(
        rle.from_label_studio(rle.to_label_studio(mask), (700, 900)), mask
    )


def test_cocos_run_lengths_go_down_the_columns() -> None:
    assert rle.to_coco(drawn("#..", "#..")) == [0, 2, 4]


@pytest.mark.parametrize(
    "counts",
    [
        "",
        "9 ",
        "ÿÿÿ",
        "o" * 50,
        "PPPPPPPPPPPPPPPP",
        [9.0],
        [True, 8],
        [-1, 10],
        [8],
        [10**30],
        None,
        {},
        [[9]],
    ],
)
def test_damaged_run_lengths_of_coco_get_a_sentence(counts: Any) -> None:
    with pytest.raises(StoreError):
        rle.from_coco(counts, (3, 3))


@pytest.mark.parametrize(
    "data",
    [
        [],
        BRUSH[:9],
        BRUSH[:5],
        [255, *BRUSH[1:]],
        [*BRUSH[:4], 255, *BRUSH[5:]],
        [256, *BRUSH[1:]],
        [0.5, *BRUSH[1:]],
        "rle",
        None,
        [255] * 40,
    ],
)
def test_a_damaged_brush_gets_a_sentence(data: Any) -> None:
    with pytest.raises(StoreError):
        rle.from_label_studio(data, (4, 6))


@given(st.lists(st.integers(0, 255), max_size=60))
def test_no_brush_does_anything_but_a_mask_or_a_sentence(data: list[int]) -> None:
    try:
        mask = rle.from_label_studio([*BRUSH[:4], *data], (4, 6))
    except StoreError:
        return
    assert mask.shape == (4, 6)


@given(st.text(st.characters(min_codepoint=48, max_codepoint=111), max_size=30))
def test_no_packed_text_does_anything_but_a_mask_or_a_sentence(text: str) -> None:
    try:
        mask = rle.from_coco(text, (4, 6))
    except StoreError:
        return
    assert mask.shape == (4, 6)


def test_a_mask_of_a_thousand_million_pixels_is_never_made() -> None:
    with pytest.raises(StoreError, match="too much"):
        rle.from_coco([10**9], (100_000, 10_000))
    with pytest.raises(StoreError, match="too much"):
        rle.from_label_studio(BRUSH, (100_000, 10_000))
