"""An example is a Web Annotation that others can read, and theirs become examples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.concepts.pictures import MASK, POLYGON, RECT, REGIONS
from xai_widgets.concepts import selectors
from xai_widgets.concepts.annotation import from_annotation, tag_of, to_annotation
from xai_widgets.concepts.json_text import parse, to_bytes
from xai_widgets.concepts.records import Example, ImageRef
from xai_widgets.errors import StoreError
from xai_widgets.regions import encode_runs

ID = "0123456789abcdef" * 2
IMAGE = ImageRef("ab" * 16, "zebra.png", 48, 40)


def example(**fields: Any) -> Example:
    given_fields = {"image": IMAGE, "created": "2026-01-31T12:00:00.000001Z", "author": "Ada"}
    return Example(ID, **{**given_fields, "crop_hash": "cd" * 16, **fields})


def round_trip(item: Example, **fields: Any) -> Example:
    document = parse(to_bytes(to_annotation(item, "stripes", rejected=False)), "it")
    return from_annotation({**document, **fields}, item.id)


@pytest.mark.parametrize("region", REGIONS, ids=["rect", "polygon", "mask", "whole"])
@pytest.mark.parametrize("image", [IMAGE, None], ids=["known", "unknown"])
def test_an_annotation_comes_back_exactly(region: Any, image: ImageRef | None) -> None:
    item = example(region=region, image=image, included=False, comment="a\n<b>b</b>")
    assert round_trip(item) == item


finite = st.floats(-1000, 1000, allow_nan=False)
lengths = st.floats(0.001, 1000)
rects = st.builds(
    lambda x, y, w, h: {"type": "rect", "x": x, "y": y, "width": w, "height": h},
    finite,
    finite,
    lengths,
    lengths,
)
polygons = st.lists(st.tuples(finite, finite).map(list), min_size=3, max_size=9).map(
    lambda points: {"type": "polygon", "points": points}
)
grids = hnp.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))
masks = grids.map(
    lambda mask: {"type": "mask", "size": list(mask.shape), "counts": encode_runs(mask)}
)
texts = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=30)


@given(st.one_of(rects, polygons, masks, st.none()), texts, texts, st.booleans())
def test_any_example_comes_back_exactly(
    region: Any, comment: str, author: str, included: bool
) -> None:
    item = example(region=region, comment=comment, author=author, included=included)
    assert round_trip(item) == item


def test_it_says_what_the_standard_asks_for() -> None:
    document = to_annotation(example(region=RECT, comment="thin"), "stripes", rejected=False)
    assert document["@context"][0] == "http://www.w3.org/ns/anno.jsonld"
    assert document["type"] == "Annotation" and document["motivation"] == "tagging"
    assert document["id"] == "urn:uuid:01234567-89ab-cdef-0123-456789abcdef"
    assert document["creator"] == {"type": "Person", "name": "Ada"}
    assert [(part["purpose"], part["value"]) for part in document["body"]] == [
        ("tagging", "stripes"),
        ("commenting", "thin"),
    ]
    assert document["target"]["selector"] == {
        "type": "FragmentSelector",
        "conformsTo": "http://www.w3.org/TR/media-frags/",
        "value": "xywh=pixel:3,4,10,13",
    }
    assert tag_of(document) == "stripes"


def test_a_fragment_stays_on_the_picture() -> None:
    region = {"type": "rect", "x": -5.0, "y": 30.0, "width": 100.0, "height": 100.0}
    assert selectors.to_selector(region, (40, 48))["value"] == "xywh=pixel:0,30,48,10"


def test_a_polygon_is_svg() -> None:
    svg = ElementTree.fromstring(selectors.to_selector(POLYGON, (40, 48))["value"])
    (polygon,) = svg
    assert polygon.tag == "{http://www.w3.org/2000/svg}polygon"
    assert polygon.get("points") == "1,1 30.5,2 20,30.25"


@given(grids)
def test_a_mask_is_svg_of_the_same_pixels(mask: np.ndarray[Any, Any]) -> None:
    region = {"type": "mask", "size": list(mask.shape), "counts": encode_runs(mask)}
    svg = ElementTree.fromstring(selectors.to_selector(region, mask.shape)["value"])
    (path,) = svg
    drawn = np.zeros_like(mask)
    pieces = re.findall(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z", path.get("d", ""))
    for x, y, width, back in pieces:
        assert width == back
        drawn[int(y), int(x) : int(x) + int(width)] = True
    np.testing.assert_array_equal(drawn, mask)


def test_a_coarse_mask_is_scaled_to_the_picture() -> None:
    assert 'transform="scale(12 13.33333333)"' in selectors.to_selector(MASK, (40, 48))["value"]


def test_a_mask_of_very_many_pieces_is_written_as_its_box() -> None:
    chequers = np.indices((250, 250)).sum(axis=0) % 2 == 1
    region = {"type": "mask", "size": [250, 250], "counts": encode_runs(chequers)}
    assert selectors.to_selector(region, (500, 250))["value"] == "xywh=pixel:0,0,250,500"


@pytest.mark.parametrize(
    ("selector", "region"),
    [
        (
            {"type": "FragmentSelector", "value": "xywh=pixel:3,4,10,13"},
            {"type": "rect", "x": 3.0, "y": 4.0, "width": 10.0, "height": 13.0},
        ),
        (
            {"type": "FragmentSelector", "value": "xywh=percent:25,50,50,25"},
            {"type": "rect", "x": 12.0, "y": 20.0, "width": 24.0, "height": 10.0},
        ),
        (
            [
                {
                    "type": "SvgSelector",
                    "value": '<svg><rect x="1" y="2" width="3" height="4"/></svg>',
                }
            ],
            {"type": "rect", "x": 1.0, "y": 2.0, "width": 3.0, "height": 4.0},
        ),
        (
            {
                "type": "SvgSelector",
                "value": "<svg><polygon points='1,1 9,1 5 7.5'></polygon></svg>",
            },
            {"type": "polygon", "points": [[1.0, 1.0], [9.0, 1.0], [5.0, 7.5]]},
        ),
    ],
)
def test_selectors_of_other_programs_are_understood(selector: Any, region: Any) -> None:
    document = to_annotation(example(), "stripes", rejected=False)
    del document["xai:region"]
    document["target"]["selector"] = selector
    assert from_annotation(document, ID).region == region


@pytest.mark.parametrize(
    "selector",
    [
        {"type": "TextQuoteSelector", "exact": "x"},
        {"type": "FragmentSelector", "value": "t=10,20"},
        {"type": "FragmentSelector", "value": "xywh=pixel:3,4,0,13"},
        {"type": "SvgSelector", "value": "<svg><path d='M0 0h5v5z'/></svg>"},
        {"type": "SvgSelector", "value": "<svg><polygon points='1,1 a'/></svg>"},
        {"type": "SvgSelector", "value": "<svg><polygon points='1,1 2,2 3'/></svg>"},
        {"type": "SvgSelector", "value": "<svg><rect width='1e400' height='2'/></svg>"},
        {"type": "SvgSelector", "value": '<!DOCTYPE a [<!ENTITY b "c">]><svg>&b;</svg>'},
        {"type": "SvgSelector", "value": 5},
        "xywh=1,2,3,4",
        [],
    ],
)
def test_selectors_that_are_not_understood_get_a_sentence(selector: Any) -> None:
    document = to_annotation(example(), "stripes", rejected=False)
    del document["xai:region"]
    document["target"]["selector"] = selector
    with pytest.raises(StoreError):
        from_annotation(document, ID)


def test_fields_of_others_are_kept() -> None:
    known = {"rights": "CC0", "creator": {"name": "old"}, "motivation": "describing"}
    document = to_annotation(example(author=""), "stripes", False, known)
    assert document["rights"] == "CC0"
    assert document["motivation"] == "tagging" and "creator" not in document


def test_lists_of_numbers_stay_on_one_line() -> None:
    text = to_bytes(to_annotation(example(region=MASK), "stripes", rejected=False)).decode()
    assert '"counts": [1, 2, 2, 1, 6]' in text
    assert all(len(line) < 200 for line in text.splitlines())


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=12,
)


@given(json_values)
def test_our_json_is_json(value: Any) -> None:
    assert parse(to_bytes(value), "it") == value


def test_the_annotation_in_the_documentation_is_what_is_written() -> None:
    text = (Path(__file__).parents[2] / "docs/concepts.md").read_text()
    (block,) = re.findall(r"```json\n(.*?)```", text, flags=re.DOTALL)
    document = parse(block.encode(), "the documentation")
    item = from_annotation(document, document["id"].removeprefix("urn:uuid:").replace("-", ""))
    assert item.region is not None and item.comment == "half hidden"
    assert to_bytes(to_annotation(item, "ruler", rejected=False)).decode() == block
