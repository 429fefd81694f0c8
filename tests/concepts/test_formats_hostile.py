"""Files of strangers: what is absurd is refused in a sentence, what is markup stays text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.concepts.pictures import MASK, noise
from tests.concepts.test_formats import IMAGES, annotation, box, coco, empty, result, task
from xai_widgets.errors import StoreError, XaiError
from xai_widgets.models import images

NAN, INFINITE = float("nan"), float("inf")
MARKUP = "<img src=x onerror=alert(1)>"


def everything_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png",
        "/etc/passwd",
        "..\\..\\secret.png",
        "pictures/../../secret.png",
        "\0",
        "~/x",
    ],
)
def test_a_name_with_a_path_opens_nothing_outside(name: str, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    Image.fromarray(noise()).save(tmp_path / "pictures" / "a.png")
    Image.fromarray(noise()).save(tmp_path / "secret.png")
    record = {"id": 7, "file_name": name, "width": 48, "height": 40}
    for answer in (
        empty(tmp_path).import_coco(coco([annotation()], images=[record]), tmp_path / "pictures"),
        empty(tmp_path).import_label_studio(
            [task(result("rectanglelabels", box()), data={"image": name})], tmp_path / "pictures"
        ),
    ):
        assert answer.added == () and len(answer.skipped) == 1


def test_a_link_out_of_the_folder_of_pictures_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "pictures" / "dots"
    folder.mkdir(parents=True)
    Image.fromarray(noise()).save(tmp_path / "picture 1.png")
    Image.fromarray(noise(seed=4)).save(folder / "inside.png")
    (folder / "picture 1.png").symlink_to(tmp_path / "picture 1.png")
    (tmp_path / "pictures" / "up").symlink_to(tmp_path, target_is_directory=True)
    found = empty(tmp_path).import_coco(coco([annotation()]), tmp_path / "pictures")
    assert found.added == () and "not among the pictures" in found.skipped[0]
    folders = empty(tmp_path).import_folder(tmp_path / "pictures")
    assert len(folders.added) == 1 and len(folders.skipped) == 2
    assert all("link" in sentence for sentence in folders.skipped)


def test_markup_in_labels_is_text(tmp_path: Path) -> None:
    store = empty(tmp_path)
    category = {"id": 3, "name": MARKUP + "\x00\x1b[31m"}
    extra = {"comment": MARKUP, "author": MARKUP}
    store.import_coco(coco([annotation(attributes=extra)], categories=[category]), IMAGES)
    store.import_label_studio(
        [task(result("rectanglelabels", box(rectanglelabels=["../../" + MARKUP])))], IMAGES
    )
    assert store.names == (MARKUP + "[31m", "../../" + MARKUP)
    example = store.concept(store.names[0]).examples[0]
    assert (example.comment, example.author) == (MARKUP, MARKUP)
    folders = everything_below(store.folder / "concepts")
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-./") for name in folders)


BAD_ANNOTATIONS: list[Any] = [
    7,
    None,
    [],
    annotation(image_id=[7]),
    annotation(image_id={"a": 1}),
    annotation(image_id=8),
    annotation(category_id=None),
    annotation(category_id=[3]),
    annotation(bbox="1,2,3,4"),
    annotation(bbox=[1, 2, 3]),
    annotation(bbox=[1, 2, -3, 4]),
    annotation(bbox=[1, 2, NAN, 4]),
    annotation(bbox=[INFINITE, 2, 3, 4]),
    annotation(bbox=[1, 2, 1e300, 4]),
    annotation(bbox=[1, 2, 10**400, 4]),
    annotation(bbox=[1000, 2000, 3, 4]),
    annotation(bbox=[True, 2, 3, 4]),
    annotation(segmentation=[[1, 2, 3]]),
    annotation(segmentation=[[1, 2, 3, 4, 5]]),
    annotation(segmentation=[[1, 2, NAN, 4, 5, 6]]),
    annotation(segmentation=[["a"] * 6]),
    annotation(segmentation=[[1.0] * 100_000]),
    annotation(segmentation=[[1, 1, 9, 1, 9, 9]] * 5000),
    annotation(segmentation="rle"),
    annotation(segmentation={"size": [40, 48]}),
    annotation(segmentation={"size": [48, 40], "counts": [1920]}),
    annotation(segmentation={"size": [100_000, 10_000], "counts": [10**9]}),
    annotation(segmentation={"size": [40, 48], "counts": [10**9]}),
    annotation(segmentation={"size": [40, 48], "counts": [1920]}),
    annotation(segmentation={"size": [40, 48], "counts": "o" * 10_000}),
    annotation(segmentation={"size": [40, 48], "counts": [-1, 1921]}),
    annotation(attributes={"comment": ["a"]}),
    annotation(attributes={"comment": "x" * 100_000}),
    annotation(attributes={"author": {}}),
    annotation(attributes={"created": "yesterday"}),
]


@pytest.mark.parametrize("bad", BAD_ANNOTATIONS, ids=lambda bad: str(bad)[:60])
def test_a_bad_annotation_is_left_out_with_a_sentence_and_the_others_are_read(
    bad: Any, tmp_path: Path
) -> None:
    found = empty(tmp_path).import_coco(coco([bad, annotation(id=12)]), IMAGES)
    assert len(found.added) == 1
    (sentence,) = found.skipped
    assert "was left out: " in sentence and sentence.endswith(".") and len(sentence) < 300


BAD_RESULTS: list[Any] = [
    7,
    result("rectanglelabels", 5),  # type: ignore[arg-type]
    result("rectanglelabels", box(x="1")),
    result("rectanglelabels", box(x=NAN)),
    result("rectanglelabels", box(width=-1)),
    result("rectanglelabels", box(width=1e300)),
    result("rectanglelabels", box(x=5000)),
    result("rectanglelabels", box(rotation=NAN)),
    result("rectanglelabels", box(rectanglelabels="stripes")),
    result("rectanglelabels", box(rectanglelabels=[])),
    result("rectanglelabels", box(rectanglelabels=[7])),
    result("rectanglelabels", box(rectanglelabels=[""])),
    result("rectanglelabels", box(rectanglelabels=["x" * 300])),
    result("rectanglelabels", box(), original_width=10**9),
    result("rectanglelabels", box(), image_rotation=90),
    result("polygonlabels", {"points": [[1, 2], [3, 4]], "polygonlabels": ["a"]}),
    result("polygonlabels", {"points": [[1, 2], [3, 4], [5]], "polygonlabels": ["a"]}),
    result("polygonlabels", {"points": [[0, 0]] * 9000, "polygonlabels": ["a"]}),
    result("polygonlabels", {"points": {"x": 1}, "polygonlabels": ["a"]}),
    result("brushlabels", {"format": "png", "brushlabels": ["a"]}),
    result("brushlabels", {"format": "rle", "rle": [0, 1], "brushlabels": ["a"]}),
    result("brushlabels", {"format": "rle", "rle": [255] * 100, "brushlabels": ["a"]}),
    result(MARKUP, {}),
]


@pytest.mark.parametrize("bad", BAD_RESULTS, ids=lambda bad: str(bad)[:60])
def test_a_bad_result_is_left_out_with_a_sentence_and_the_others_are_read(
    bad: Any, tmp_path: Path
) -> None:
    found = empty(tmp_path).import_label_studio(
        [task(bad, result("rectanglelabels", box()))], IMAGES
    )
    assert len(found.added) == 1
    (sentence,) = found.skipped
    assert "was left out: " in sentence and len(sentence) < 400


@pytest.mark.parametrize(
    "bad", [7, {}, {"annotations": 5}, task(result("choices", {"choices": ["a"]}), data=5)]
)
def test_a_bad_task_is_left_out_with_a_sentence(bad: Any, tmp_path: Path) -> None:
    found = empty(tmp_path).import_label_studio([bad], IMAGES)
    assert found.added == () and len(found.skipped) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"images": [{"id": 7, "file_name": "picture 1.png", "width": 10**9, "height": 1}]},
        {"images": [{"id": 7, "file_name": ["picture 1.png"]}]},
        {"images": [{"id": 7}]},
        {"images": []},
        {"categories": [{"id": 3, "name": 5}]},
        {"categories": [{"id": 3}]},
        {"categories": []},
    ],
    ids=str,
)
def test_records_that_make_no_sense_leave_their_annotations_out(
    fields: dict[str, Any], tmp_path: Path
) -> None:
    found = empty(tmp_path).import_coco(coco([annotation()], **fields), IMAGES)
    assert found.added == () and len(found.skipped) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"images": [], "annotations": {}, "categories": []}',
        b'{"images": []}',
        b"[]",
        b"null",
        b'{"images": [NaN], "annotations": [], "categories": []}',
        b'{"annotations": [1e999]}',
    ],
    ids=lambda content: str(content)[:40],
)
def test_a_file_that_is_no_coco_gets_a_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(StoreError):
        empty(tmp_path).import_coco(path, IMAGES)


def test_a_file_nested_deeply_within_a_field_gets_a_sentence(tmp_path: Path) -> None:
    text = json.dumps(coco([annotation()], images=[{"id": 7, "width": "deep"}]))
    path = tmp_path / "file.json"
    path.write_text(text.replace('"deep"', "[" * 900 + "]" * 900))
    with pytest.raises(StoreError, match="nested too deeply"):
        empty(tmp_path).import_coco(path, IMAGES)


@pytest.mark.parametrize("call", ["import_coco", "import_label_studio"])
def test_a_file_or_folder_that_is_not_there_gets_a_sentence(call: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There is no file"):
        getattr(empty(tmp_path), call)(tmp_path / "no.json", IMAGES)
    (tmp_path / "yes.json").write_text(json.dumps(coco([]) if call == "import_coco" else []))
    with pytest.raises(XaiError, match="There is no folder"):
        getattr(empty(tmp_path), call)(tmp_path / "yes.json", tmp_path / "no")


def test_a_picture_that_would_fill_the_memory_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 40 * 48 - 1)
    (tmp_path / "pictures").mkdir()
    Image.fromarray(noise()).save(tmp_path / "pictures" / "picture 1.png")
    found = empty(tmp_path).import_coco(coco([annotation()]), tmp_path / "pictures")
    assert found.added == () and "was not decoded" in found.skipped[0]


def test_a_flood_of_mistakes_is_summed_up(tmp_path: Path) -> None:
    found = empty(tmp_path).import_coco(
        coco([annotation(id=i, bbox=None) for i in range(2000)]), IMAGES
    )
    assert len(found.skipped) == 501 and found.skipped[-1] == "1500 more were left out."


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-100, 100) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["image_id", "category_id", "bbox", "segmentation", "attributes", "id"]),
        json_values,
    )
)
def test_no_annotation_raises_anything(tmp_path_factory: Any, fields: dict[str, Any]) -> None:
    store = empty(tmp_path_factory.mktemp("fuzz"))
    found = store.import_coco(coco([annotation(**fields)]), IMAGES)
    assert len(found.added) + len(found.skipped) >= 1


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["rectanglelabels", "polygonlabels", "brushlabels", "choices"]),
    st.dictionaries(
        st.sampled_from(["x", "y", "width", "points", "rle", "rotation", "format", "choices"]),
        json_values,
    ),
)
def test_no_result_raises_anything(tmp_path_factory: Any, kind: str, value: dict[str, Any]) -> None:
    store = empty(tmp_path_factory.mktemp("fuzz"))
    found = store.import_label_studio([task(result(kind, {kind: ["a"], **value}))], IMAGES)
    assert len(found.added) + len(found.skipped) >= 1


@pytest.mark.parametrize("kind", ["coco", "label_studio"])
def test_an_example_of_a_picture_of_absurd_size_is_not_drawn(kind: str, tmp_path: Path) -> None:
    store = empty(tmp_path)
    store.add_concept("dots")
    store.add_many("dots", [(noise(), MASK), (noise(seed=1), MASK)])
    path = next(store.folder.glob("concepts/dots/*.json"))
    document = json.loads(path.read_text())
    document["target"]["source"].update({"xai:width": 10**7, "xai:height": 10**7})
    path.write_text(json.dumps(document))
    store.refresh()
    out = getattr(store, f"export_{kind}")(tmp_path / "out.json")
    assert len(out.added) == 1 and "10000000 x 10000000 pixels" in out.skipped[0]
