"""What goes out comes back, what cannot go out is said, and files of other tools are read."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from tests.concepts.pictures import MASK, POLYGON, RECT, noise
from xai_widgets.concepts.records import Example
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.errors import StoreError
from xai_widgets.models.images import DisplayImage, open_image
from xai_widgets.regions import encode_runs, region_mask

IMAGES = {f"picture {i}.png": noise(seed=i) for i in range(3)}


def image(index: int) -> DisplayImage:
    name = f"picture {index}.png"
    return open_image(DisplayImage(IMAGES[name], name))


@pytest.fixture
def store(tmp_path: Path) -> ConceptStore:
    store = ConceptStore(tmp_path / "store", author="Ada")
    store.add_concept("stripes", comment="of zebras")
    store.add_concept("<b>dots</b> & more")
    store.add_concept("others", role="random")
    for i, region in enumerate([RECT, POLYGON, MASK, None]):
        store.add("stripes", image(i % 3), region, comment=f"comment {i}")
    store.add("<b>dots</b> & more", image(0), RECT)
    store.add("others", image(2), POLYGON)
    return store


def empty(tmp_path: Path) -> ConceptStore:
    return ConceptStore(tmp_path / "other", author="Ada")


def covers(example: Example) -> np.ndarray[Any, Any]:
    """Return the pixels that an example covers."""
    assert example.image is not None
    size = (example.image.height, example.image.width)
    if example.region is None:
        return np.ones(size, dtype=bool)
    blank = DisplayImage(np.zeros((*size, 3), dtype=np.uint8))
    return region_mask(example.region, blank, lambda: np.zeros((1, 1), np.uint16))


def assert_same_examples(
    first: ConceptStore, second: ConceptStore, fields: tuple[str, ...]
) -> None:
    assert first.names == second.names
    for a, b in zip(first.concepts, second.concepts, strict=True):
        assert len(a.examples) == len(b.examples)
        others = {(e.image, covers(e).tobytes(), e.comment): e for e in b.examples}
        for example in a.examples:
            twin = others[example.image, covers(example).tobytes(), example.comment]
            assert all(getattr(twin, name) == getattr(example, name) for name in fields)


def test_coco_brings_everything_back_that_it_can_hold(store: ConceptStore, tmp_path: Path) -> None:
    store.change(store.concept("stripes").examples[1].id, included=False)
    out = store.export_coco(tmp_path / "coco.json")
    assert len(out.added) == 6
    other = empty(tmp_path)
    back = other.import_coco(tmp_path / "coco.json", IMAGES)
    assert back.skipped == () and len(back.added) == 6
    assert_same_examples(store, other, ("included", "comment", "author", "created", "crop_hash"))
    assert [c.role for c in other.concepts] == ["concept", "concept", "random"]
    regions = [example.region for example in other.concept("stripes").examples]
    assert regions[0] == RECT and regions[1] == POLYGON and regions[3] is None


def test_label_studio_brings_everything_back_that_it_can_hold(
    store: ConceptStore, tmp_path: Path
) -> None:
    out = store.export_label_studio(tmp_path / "tasks.json")
    assert len(out.added) == 6
    other = empty(tmp_path)
    back = other.import_label_studio(tmp_path / "tasks.json", IMAGES)
    assert back.skipped == () and len(back.added) == 6
    for concept in store.concepts:
        pairs = zip(
            sorted(concept.examples, key=lambda e: e.crop_hash),
            sorted(other.concept(concept.name).examples, key=lambda e: e.crop_hash),
            strict=True,
        )
        for ours, theirs in pairs:
            assert (ours.image, ours.comment) == (theirs.image, theirs.comment)
            np.testing.assert_array_equal(covers(ours), covers(theirs))
            assert ours.crop_hash == theirs.crop_hash


def test_folders_bring_the_crops_back(store: ConceptStore, tmp_path: Path) -> None:
    out = store.export_folder(tmp_path / "crops")
    other = empty(tmp_path)
    back = other.import_folder(tmp_path / "crops")
    assert len(out.added) == len(back.added) == 6 and back.skipped == ()
    for name, folder in [("stripes", "stripes"), ("<b>dots</b> & more", "b-dots-b-more")]:
        assert [e.crop_hash for e in other.concept(folder).examples] == [
            e.crop_hash for e in store.concept(name).examples
        ]


positions = st.integers(0, 300).map(lambda n: n / 10)
lengths = st.integers(10, 150).map(lambda n: n / 10)
regions = st.one_of(
    st.builds(
        lambda x, y, w, h: {"type": "rect", "x": x, "y": y, "width": w, "height": h},
        *(positions, positions, lengths, lengths),
    ),
    st.builds(
        lambda x, y, size, skew: {
            "type": "polygon",
            "points": [[x, y], [round(x + size, 1), y], [round(x + skew, 1), round(y + size, 1)]],
        },
        *(positions, positions, lengths.map(lambda n: n + 2), lengths),
    ),
    hnp.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 48)))
    .map(lambda mask: mask | ~mask.any())
    .map(lambda mask: {"type": "mask", "size": list(mask.shape), "counts": encode_runs(mask)}),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(regions, min_size=1, max_size=4))
def test_any_region_survives_coco_and_label_studio(shapes: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = ConceptStore(Path(folder, "a"))
        store.add_concept("any")
        for shape in shapes:
            try:
                store.add("any", image(0), shape)
            except ValueError:  # a mask whose pixels all fall between those of the picture
                continue
        store.export_coco(Path(folder, "coco.json"))
        store.export_label_studio(Path(folder, "tasks.json"))
        expected = {covers(example).tobytes() for example in store.concept("any").examples}
        coco = ConceptStore(Path(folder, "b")).import_coco(Path(folder, "coco.json"), IMAGES)
        studio = ConceptStore(Path(folder, "c")).import_label_studio(
            Path(folder, "tasks.json"), IMAGES
        )
        assert {covers(example).tobytes() for example in coco.added} == expected
        assert {covers(example).tobytes() for example in studio.added} == expected


@pytest.mark.parametrize("kind", ["coco", "label_studio"])
def test_what_is_there_already_is_not_added_again(
    kind: str, store: ConceptStore, tmp_path: Path
) -> None:
    path = tmp_path / "out.json"
    getattr(store, f"export_{kind}")(path)
    again = getattr(store, f"import_{kind}")(path, IMAGES)
    assert again.added == () and again.skipped == ("6 examples were in the store already.",)


def test_every_export_says_what_it_left_out(store: ConceptStore, tmp_path: Path) -> None:
    store.reject("stripes", image(0), POLYGON)
    store.change(store.concept("stripes").examples[0].id, included=False)
    coco = " ".join(store.export_coco(tmp_path / "a.json").skipped)
    studio = " ".join(store.export_label_studio(tmp_path / "b.json").skipped)
    folders = " ".join(store.export_folder(tmp_path / "c").skipped)
    for text in (coco, studio, folders):
        assert "1 rejected suggestion was left out" in text
        assert "colours" in text and "Comments on concepts" in text
    assert "excluded" not in coco
    assert "1 excluded examples were left out" in studio and "Authors" in studio
    assert "1 excluded examples were left out" in folders and "Regions" in folders


def test_an_example_without_a_known_picture_is_said_to_be_left_out(
    store: ConceptStore, tmp_path: Path
) -> None:
    path = next(store.folder.glob("concepts/stripes/*.json"))
    document = json.loads(path.read_text())
    document["target"] = {"source": {"id": "x.png"}}
    path.write_text(json.dumps(document))
    store.refresh()
    out = store.export_coco(tmp_path / "coco.json")
    assert len(out.added) == 5 and "1 example was left out" in out.skipped[0]


def test_coco_is_what_other_tools_expect(store: ConceptStore, tmp_path: Path) -> None:
    store.export_coco(tmp_path / "coco.json")
    content = json.loads((tmp_path / "coco.json").read_text())
    assert {c["name"] for c in content["categories"]} == set(store.names)
    assert [i["file_name"] for i in content["images"]] == list(IMAGES)
    rect, polygon, mask, whole = content["annotations"][:4]
    assert rect["bbox"] == [3.0, 4.5, 10.0, 12.25] and rect["area"] == 122.5
    assert polygon["segmentation"] == [[1.0, 1.0, 30.5, 2.0, 20.0, 30.25]]
    assert polygon["area"] == pytest.approx(abs(29.5 * 29.25 - 1.0 * 19.0) / 2)
    size = mask["segmentation"]["size"]
    assert size == [40, 48] and sum(mask["segmentation"]["counts"]) == 40 * 48
    covered = covers(store.concept("stripes").examples[2])
    assert mask["area"] == covered.sum()
    assert whole["bbox"] == [0, 0, 48, 40]


def coco(annotations: list[Any], **fields: Any) -> dict[str, Any]:
    usual = {
        "images": [{"id": 7, "file_name": "picture 1.png", "width": 48, "height": 40}],
        "categories": [{"id": 3, "name": "stripes", "supercategory": "pattern"}],
        "annotations": annotations,
    }
    return {**usual, **fields}


def annotation(**fields: Any) -> dict[str, Any]:
    return {"id": 11, "image_id": 7, "category_id": 3, "bbox": [1, 2, 10, 12], **fields}


def test_a_file_of_another_tool_is_read(tmp_path: Path) -> None:
    packed = "Z5:n00"
    mask = np.zeros((40, 48), dtype=bool)
    mask[10:20, 5:9] = True
    columns = encode_runs(np.ascontiguousarray(mask.T))
    store = empty(tmp_path)
    result = store.import_coco(
        coco(
            [
                annotation(id=1),
                annotation(id=2, segmentation=[[1, 1, 9, 1, 9, 9]]),
                annotation(id=3, segmentation={"size": [40, 48], "counts": columns}, iscrowd=1),
                annotation(
                    id=4, segmentation=[[1, 1, 9, 1, 9, 9, 1, 9], [20, 20, 30, 20, 30, 30, 20, 30]]
                ),
                annotation(id=5, segmentation={"size": [40, 48], "counts": packed + "!"}),
            ]
        ),
        IMAGES,
    )
    box, triangle, crowd, parts = result.added
    assert box.region == {"type": "rect", "x": 1.0, "y": 2.0, "width": 10.0, "height": 12.0}
    assert triangle.region is not None and len(triangle.region["points"]) == 3
    np.testing.assert_array_equal(covers(crowd), mask)
    assert covers(parts).sum() == 8 * 8 + 10 * 10
    assert "2 polygons became one mask" in result.skipped[0]
    assert "Annotation '5' was left out: its packed run lengths" in result.skipped[1]


def task(*results: Any, **fields: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "data": {"image": "/data/upload/1/0a1b2c3d-picture%201.png"},
        "annotations": [
            {
                "completed_by": {"id": 2, "email": "ada@example.org"},
                "created_at": "2025-03-01T10:00:00.123456Z",
                "result": list(results),
            }
        ],
        **fields,
    }


def result(kind: str, value: dict[str, Any], **fields: Any) -> dict[str, Any]:
    size = {"original_width": 48, "original_height": 40, "image_rotation": 0}
    return {"id": "r", "type": kind, **size, "value": value, **fields}


def box(**fields: Any) -> dict[str, Any]:
    value = {"x": 25, "y": 50, "width": 50, "height": 25, "rectanglelabels": ["stripes"]}
    return {**value, **fields}


def test_percent_become_pixels_and_uploads_are_found_by_their_names(tmp_path: Path) -> None:
    store = empty(tmp_path)
    found = store.import_label_studio(
        [task(result("rectanglelabels", box(), meta={"text": ["thin"]}))], IMAGES
    )
    (example,) = found.added
    assert example.region == {"type": "rect", "x": 12.0, "y": 20.0, "width": 24.0, "height": 10.0}
    assert (example.comment, example.author) == ("thin", "ada@example.org")
    assert example.created == "2025-03-01T10:00:00.123456Z"
    assert example.image is not None and example.image.name == "picture 1.png"


@pytest.mark.parametrize(
    "url",
    [
        "picture 1.png",
        "/data/local-files/?d=some/folder/picture%201.png",
        "https://example.org/a/picture%201.png?token=1#x",
        "s3://bucket/picture 1.png",
    ],
)
def test_a_picture_is_found_however_it_was_served(url: str, tmp_path: Path) -> None:
    found = empty(tmp_path).import_label_studio(
        [task(result("rectanglelabels", box()), data={"image": url})], IMAGES
    )
    assert len(found.added) == 1


def test_a_turned_rectangle_is_a_polygon(tmp_path: Path) -> None:
    found = empty(tmp_path).import_label_studio(
        [task(result("rectanglelabels", box(rotation=90)))], IMAGES
    )
    (example,) = found.added
    assert example.region is not None
    np.testing.assert_allclose(
        example.region["points"], [[12, 20], [12, 44], [2, 44], [2, 20]], atol=1e-9
    )


def test_several_labels_are_several_examples_and_a_choice_is_the_whole(tmp_path: Path) -> None:
    store = empty(tmp_path)
    store.import_label_studio(
        [
            task(
                result("rectanglelabels", box(rectanglelabels=["stripes", "mane"])),
                result("choices", {"choices": ["zebra"]}),
            )
        ],
        IMAGES,
    )
    assert store.names == ("stripes", "mane", "zebra")
    assert store.concept("zebra").examples[0].region is None


@pytest.mark.parametrize("kind", ["keypointlabels", "ellipselabels", "textarea", "relation"])
def test_what_is_no_region_here_is_left_out_with_a_sentence(kind: str, tmp_path: Path) -> None:
    found = empty(tmp_path).import_label_studio(
        [task(result(kind, {kind: ["a"]}), result("rectanglelabels", box()))], IMAGES
    )
    assert len(found.added) == 1 and kind in found.skipped[0]


def test_the_small_export_of_label_studio_gets_a_sentence(tmp_path: Path) -> None:
    found = empty(tmp_path).import_label_studio([{"image": "x.png", "label": []}], IMAGES)
    assert found.added == () and "JSON-MIN" in found.skipped[0]


def test_pictures_are_found_in_a_folder_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "images/train").mkdir(parents=True)
    Image.fromarray(noise()).save(tmp_path / "images/train/picture 1.png")
    found = empty(tmp_path).import_coco(coco([annotation()]), tmp_path / "images")
    assert len(found.added) == 1


def test_two_pictures_of_one_name_are_not_mixed_up(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "images" / name).mkdir(parents=True)
        Image.fromarray(noise(seed=ord(name))).save(tmp_path / "images" / name / "p.png")
    record = {"id": 7, "file_name": "p.png", "width": 48, "height": 40}
    store = empty(tmp_path)
    unsure = store.import_coco(coco([annotation()], images=[record]), tmp_path / "images")
    assert unsure.added == () and "several" in unsure.skipped[0]
    key = DisplayImage(noise(seed=ord("b"))).key
    sure = store.import_coco(
        coco([annotation()], images=[{**record, "hash": key}]), tmp_path / "images"
    )
    assert sure.added[0].image is not None and sure.added[0].image.hash == key
    path = store.import_coco(
        coco([annotation()], images=[{**record, "file_name": "a/p.png"}]), tmp_path / "images"
    )
    assert len(path.added) == 1


def test_a_folder_of_pictures_only_is_one_concept(tmp_path: Path) -> None:
    (tmp_path / "rulers").mkdir()
    for i in range(3):
        Image.fromarray(noise(seed=i)).save(tmp_path / "rulers" / f"{i}.png")
    store = empty(tmp_path)
    assert len(store.import_folder(tmp_path / "rulers").added) == 3
    assert store.names == ("rulers",)
    assert store.import_folder(tmp_path / "rulers").added == ()


def test_what_does_not_belong_into_folders_is_said(tmp_path: Path) -> None:
    root = tmp_path / "in"
    (root / "dots" / "deeper").mkdir(parents=True)
    (root / "dots" / "broken.png").write_bytes(b"no picture")
    (root / "dots" / "notes.txt").write_text("x")
    Image.fromarray(noise()).save(root / "dots" / "good.png")
    Image.fromarray(noise()).save(root / "beside.png")
    found = empty(tmp_path).import_folder(root)
    assert len(found.added) == 1
    text = " ".join(found.skipped)
    assert "broken.png" in text and "deeper" in text and "beside.png" in text


def test_an_export_never_writes_among_other_files(store: ConceptStore, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    with pytest.raises(StoreError, match="not an empty folder"):
        store.export_folder(tmp_path / "full")
