"""A concept store gives back what was put into it, in this program and in the next."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.concepts.pictures import MASK, POLYGON, RECT, REGIONS, noise
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.errors import RegionError, StoreError
from xai_widgets.models.images import DisplayImage


@pytest.fixture
def store(tmp_path: Path) -> ConceptStore:
    store = ConceptStore(tmp_path / "concepts", author="Ada")
    store.add_concept("stripes")
    store.add_concept("random", role="random")
    return store


def again(store: ConceptStore) -> ConceptStore:
    """Open the folder as another program would."""
    return ConceptStore(store.folder)


def test_a_new_folder_is_made_and_holds_no_concept(tmp_path: Path) -> None:
    store = ConceptStore(tmp_path / "a" / "b")
    assert store.concepts == () and store.folder.is_dir()
    assert json.loads((store.folder / "store.json").read_text())["concepts"] == []


@pytest.mark.parametrize("region", REGIONS, ids=["rect", "polygon", "mask", "whole"])
def test_an_example_comes_back_exactly(store: ConceptStore, region: dict[str, Any] | None) -> None:
    image = DisplayImage(noise(), "zebra.png")
    example = store.add("stripes", image, region, comment="the <b>mane</b>\n& tail")
    (found,) = again(store).concept("stripes").examples
    assert found == example
    assert found.region == region and found.author == "Ada"
    assert found.comment == "the <b>mane</b>\n& tail"
    assert found.image is not None
    assert (found.image.hash, found.image.name) == (image.key, "zebra.png")
    assert (found.image.width, found.image.height) == (48, 40)
    np.testing.assert_array_equal(again(store).picture(found.id), store.picture(example.id))


def test_a_crop_is_the_box_of_its_region_filled_with_the_mean_colour_inside(
    store: ConceptStore,
) -> None:
    pixels = noise(30, 40)
    example = store.add("stripes", pixels, MASK)
    crop = store.picture(example.id)
    # Columns are 10 pixels wide and rows 10 high: 0 1 1 0 / 0 1 0 0 / 0 0 0 0.
    assert crop.shape == (20, 20, 3)
    np.testing.assert_array_equal(crop[:10], pixels[:10, 10:30])
    np.testing.assert_array_equal(crop[10:, :10], pixels[10:20, 10:20])
    inside = np.concatenate(
        [pixels[:10, 10:30].reshape(-1, 3), pixels[10:20, 10:20].reshape(-1, 3)]
    )
    assert (crop[10:, 10:] == inside.mean(axis=0).round()).all()


def test_a_large_picture_is_kept_at_1024_pixels(store: ConceptStore) -> None:
    example = store.add("stripes", noise(700, 2048))
    assert store.picture(example.id).shape == (350, 1024, 3)


def test_excluding_leaves_an_example_out_of_the_pictures_only(store: ConceptStore) -> None:
    kept, out = store.add_many("stripes", [(noise(), RECT), (noise(), POLYGON)])
    store.change(out.id, included=False, comment="blurred")
    concept = again(store).concept("stripes")
    assert [example.id for example in concept.examples] == [kept.id, out.id]
    assert [example.id for example in concept.included] == [kept.id]
    assert concept.examples[1].comment == "blurred"
    assert len(store.pictures("stripes")) == 1
    assert len(store.pictures("stripes", included=False)) == 2


def test_examples_stay_in_the_order_of_their_making(store: ConceptStore) -> None:
    ids = [store.add("stripes", noise(seed=i)).id for i in range(5)]
    ids += [example.id for example in store.add_many("stripes", [(noise(), None)] * 20)]
    assert [example.id for example in again(store).concept("stripes").examples] == ids


def test_another_region_is_another_crop_of_the_same_example(store: ConceptStore) -> None:
    example = store.add("stripes", noise(), RECT, comment="left")
    reshaped = store.reshape(example.id, noise(), POLYGON)
    assert (reshaped.id, reshaped.comment) == (example.id, "left")
    assert again(store).example(example.id).region == POLYGON
    np.testing.assert_array_equal(
        store.picture(example.id), store.picture(store.add("random", noise(), POLYGON).id)
    )


def test_moving_and_copying_keep_the_crop(store: ConceptStore) -> None:
    first, second = store.add_many("stripes", [(noise(), RECT), (noise(seed=1), MASK)])
    crops = {example.id: store.picture(example.id) for example in (first, second)}
    (copy,) = store.copy(first.id, "random")
    store.move([second.id], "random")
    found = again(store)
    assert [e.id for e in found.concept("stripes").examples] == [first.id]
    assert {e.id for e in found.concept("random").examples} == {second.id, copy.id}
    assert copy.id != first.id and copy.region == first.region
    np.testing.assert_array_equal(found.picture(copy.id), crops[first.id])
    np.testing.assert_array_equal(found.picture(second.id), crops[second.id])
    assert found.concept_of(second.id) == "random"


def test_what_was_removed_is_restored_with_its_files(store: ConceptStore) -> None:
    examples = store.add_many("stripes", [(noise(seed=i), RECT) for i in range(3)])
    before, crop = store.concepts, store.picture(examples[1].id)
    removal = store.remove([examples[1].id, examples[2].id])
    assert len(again(store).concept("stripes").examples) == 1
    assert not list(store.folder.glob(f"concepts/*/{examples[1].id}*"))
    store.restore(removal)
    assert again(store).concepts == before
    np.testing.assert_array_equal(store.picture(examples[1].id), crop)
    with pytest.raises(StoreError, match="in the store already"):
        store.restore(removal)


def test_a_removed_concept_comes_back_in_its_place(store: ConceptStore) -> None:
    store.add("stripes", noise(), RECT)
    store.reject("stripes", noise(), POLYGON)
    before = store.concepts
    removal = store.remove_concept("stripes")
    assert again(store).names == ("random",)
    assert sorted(path.name for path in store.folder.glob("concepts/*")) == []
    store.restore(removal)
    assert again(store).concepts == before


def test_a_rejected_suggestion_is_remembered_and_can_be_taken_back(store: ConceptStore) -> None:
    rejected = store.reject("stripes", noise(), RECT)
    concept = again(store).concept("stripes")
    assert concept.examples == () and concept.rejected == (rejected,)
    store.remove(rejected.id)
    assert again(store).concept("stripes").rejected == ()


def test_a_renamed_concept_keeps_everything_and_its_folder_follows(store: ConceptStore) -> None:
    example = store.add("stripes", noise(), RECT)
    store.reject("stripes", noise(), POLYGON)
    store.change_concept("stripes", name="Zebra – Streifen", colour="#AA3377", comment="thin ones")
    concept = again(store).concept("Zebra – Streifen")
    assert (concept.colour, concept.comment) == ("#aa3377", "thin ones")
    assert concept.examples == (example,) and len(concept.rejected) == 1
    assert [path.name for path in store.folder.glob("concepts/*")] == ["zebra-streifen"]
    annotation = json.loads((next(store.folder.glob("concepts/*/*.json"))).read_text())
    assert annotation["body"][0]["value"] == "Zebra – Streifen"
    store.picture(example.id)


def test_a_name_that_differs_in_its_letters_only_keeps_its_folder(store: ConceptStore) -> None:
    example = store.add("stripes", noise(), RECT)
    store.change_concept("stripes", name="Stripes!")
    concept = again(store).concept("Stripes!")
    assert concept.examples == (example,)
    assert [path.name for path in store.folder.glob("concepts/*")] == ["stripes"]
    assert '"Stripes!"' in next(store.folder.glob("concepts/*/*.json")).read_text()


def test_a_folder_that_cannot_be_written_to_can_be_read(store: ConceptStore) -> None:
    example = store.add("stripes", noise(), RECT)
    (store.folder / ".lock").unlink()
    (store.folder / ".lock").mkdir()  # root may write everywhere, but not into this
    reader = again(store)
    assert reader.picture(example.id).shape == (13, 10, 3)
    assert reader.refresh() is False
    with pytest.raises(StoreError, match="allows no writing"):
        reader.remove(example.id)
    assert reader.example(example.id) == example


@pytest.mark.parametrize("folder", ["", None, 7])
def test_a_folder_that_is_no_path_gets_a_sentence(folder: Any) -> None:
    with pytest.raises(StoreError, match="is no folder"):
        ConceptStore(folder)


def test_names_are_text_and_folders_are_safe(store: ConceptStore) -> None:
    names = ["../../etc", "<img src=x onerror=alert(1)>", "CON", "Ünï", "ünï", "斑", "a/b\\c", ".."]
    for name in names:
        store.add_concept(name)
        store.add(name, noise())
    assert again(store).names == ("stripes", "random", *names)
    folders = [path.name for path in (store.folder / "concepts").iterdir()]
    assert len(folders) == len(set(folders)) == len(names)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in folders)
    assert "con" not in folders
    outside = {path for path in store.folder.parent.rglob("*") if path.is_file()}
    assert all(store.folder in path.parents for path in outside)


@pytest.mark.parametrize("name", ["", "   ", "\n", "x" * 201, 7, None, "stripes"])
def test_a_name_that_cannot_be_used_gets_a_sentence(store: ConceptStore, name: Any) -> None:
    with pytest.raises(StoreError):
        store.add_concept(name)
    assert store.names == ("stripes", "random")


def test_every_concept_gets_a_colour_of_its_own(store: ConceptStore) -> None:
    for number in range(8):
        store.add_concept(f"concept {number}")
    colours = [concept.colour for concept in store.concepts]
    assert len(set(colours)) == len(colours)


def test_the_revision_rises_with_each_change(store: ConceptStore) -> None:
    seen = [store.revision]
    example = store.add("stripes", noise(), RECT)
    seen.append(store.revision)
    store.change(example.id, included=False)
    seen.append(store.revision)
    store.remove(example.id)
    seen.append(store.revision)
    assert seen == sorted(set(seen))
    store.refresh()
    assert store.revision == seen[-1]


def test_a_change_writes_only_the_files_it_touches(store: ConceptStore) -> None:
    examples = store.add_many("stripes", [(noise(seed=i), RECT) for i in range(4)])
    before = {path: path.stat().st_ino for path in store.folder.rglob("*.*") if path.is_file()}
    store.change(examples[2].id, comment="look")
    after = {path: path.stat().st_ino for path in store.folder.rglob("*.*") if path.is_file()}
    changed = [path.name for path in after if before.get(path) != after[path]]
    assert before.keys() == after.keys() and changed == [f"{examples[2].id}.json"]


def test_five_hundred_examples_open_in_well_under_a_second(store: ConceptStore) -> None:
    store.add_many("stripes", [(noise(), {**RECT, "x": float(i % 30)}) for i in range(500)])
    start = time.perf_counter()
    assert len(again(store).concept("stripes").examples) == 500
    assert time.perf_counter() - start < 1.0


def test_nothing_is_left_behind_beside_the_files(store: ConceptStore) -> None:
    store.remove(store.add("stripes", noise(), RECT).id)
    store.add("stripes", noise(), RECT)
    assert not list((store.folder / ".staging").iterdir())
    assert sorted(p.name for p in store.folder.iterdir() if not p.name.startswith(".")) == [
        "concepts",
        "store.json",
    ]


def test_the_data_hash_follows_what_is_trained_with(store: ConceptStore) -> None:
    _, second = store.add_many("stripes", [(noise(), RECT), (noise(), POLYGON)])
    whole = store.data_hash()
    store.change(second.id, comment="no matter")
    assert again(store).data_hash() == whole
    store.change(second.id, included=False)
    assert store.data_hash() != whole
    store.change(second.id, included=True)
    assert store.data_hash() == whole
    assert store.data_hash(["stripes"]) != store.data_hash(["random"])


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.add("dots", noise()),
        lambda store: store.concept("strips"),
        lambda store: store.example("0" * 32),
        lambda store: store.picture("../../etc/passwd"),
        lambda store: store.change(["0" * 32], included=False),
        lambda store: store.move("0" * 32, "random"),
        lambda store: store.remove_concept("dots"),
        lambda store: store.change_concept("stripes", name="random"),
        lambda store: store.change_concept("stripes", colour="red"),
        lambda store: store.add_concept("x", role="negative"),
        lambda store: store.add("stripes", noise(), comment="x" * 10_001),
    ],
)
def test_what_is_not_there_or_makes_no_sense_gets_a_sentence(
    store: ConceptStore, call: Any
) -> None:
    before = store.concepts
    with pytest.raises(StoreError, match=r"[.:]"):
        call(store)
    assert again(store).concepts == before


@pytest.mark.parametrize(
    "region",
    [
        {"type": "superpixels", "ids": [1]},
        {"type": "rect", "x": float("nan"), "y": 0, "width": 5, "height": 5},
        {"type": "rect", "x": 1e12, "y": 0, "width": 5, "height": 5},
        {"type": "rect", "x": 500, "y": 0, "width": 5, "height": 5},
        {"type": "mask", "size": [10**5, 10**4], "counts": [10**9]},
        {"type": "mask", "size": [2, 2], "counts": [4]},
        {"type": "polygon", "points": [[0, 0]] * 6000},
        {"type": "polygon", "points": [[0, 0], ["1", None], [2, 2]]},
        {"type": "circle"},
        7,
    ],
)
def test_an_impossible_region_gets_a_sentence(store: ConceptStore, region: Any) -> None:
    with pytest.raises(RegionError):
        store.add("stripes", noise(), region)
    assert again(store).concept("stripes").examples == ()
