"""Vectors come back with what they rest on, and only for the model they were made for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from tests.concepts.pictures import RECT, noise
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.concepts.vectors import Vectors, from_bytes
from xai_widgets.errors import StoreError


@pytest.fixture
def store(tmp_path: Path) -> ConceptStore:
    store = ConceptStore(tmp_path / "store")
    store.add_concept("stripes")
    store.add("stripes", noise(), RECT)
    return store


def trained(**fields: Any) -> Vectors:
    rng = np.random.default_rng(0)
    vector = rng.normal(size=7).astype(np.float32)
    record = {
        "concept": "stripes",
        "layer": "layer4.1",
        "score": np.float32(0.5),
        "accuracy": 0.875,
        "p": float("nan"),
        "testable": np.bool_(True),
        "note": "<b>none</b>",
    }
    usual: dict[str, Any] = {
        "vectors": {("stripes", "layer4.1"): vector, ("stripes", "head"): vector[:3]},
        "model_hash": "m" * 32,
        "data_hash": "d" * 32,
        "classifier": "ridge",
        "preprocessing": "resize 224, imagenet",
        "records": (record,),
        "arrays": {"derivatives stripes": np.arange(6, dtype=np.float32).reshape(2, 3)},
        "details": {"target": {"kind": "class", "index": 3}, "pooled": True},
    }
    return Vectors(**{**usual, **fields})


def test_vectors_come_back_exactly(store: ConceptStore) -> None:
    saved = trained()
    store.save_vectors(saved)
    (found,) = ConceptStore(store.folder).vectors()
    assert found.vectors.keys() == saved.vectors.keys()
    for key, vector in saved.vectors.items():
        assert found.vectors[key].dtype == np.float32
        np.testing.assert_array_equal(found.vectors[key], vector)
    np.testing.assert_array_equal(
        found.arrays["derivatives stripes"], saved.arrays["derivatives stripes"]
    )
    assert found.records[0] == {
        "concept": "stripes",
        "layer": "layer4.1",
        "score": 0.5,
        "accuracy": 0.875,
        "p": None,
        "testable": True,
        "note": "<b>none</b>",
    }
    for name in ("model_hash", "data_hash", "classifier", "preprocessing", "details", "created"):
        assert getattr(found, name) == getattr(saved, name)


def test_anyone_can_read_what_a_vector_rests_on(store: ConceptStore) -> None:
    path = store.save_vectors(trained())
    with safe_open(path, "np") as file:
        metadata = file.metadata()
        vector = file.get_tensor("vector.0")
    assert metadata["model_hash"] == "m" * 32 and metadata["training_data_hash"] == "d" * 32
    listed = json.loads(metadata["vectors"])[0]
    assert (listed["concept"], listed["layer"]) == ("stripes", "layer4.1")
    assert listed["accuracy"] == 0.875
    assert {"python", "numpy", "xai-widgets"} <= json.loads(metadata["library_versions"]).keys()
    assert vector.shape == (7,)


def test_vectors_of_another_model_or_other_data_are_told_apart(store: ConceptStore) -> None:
    store.save_vectors(trained())
    store.save_vectors(trained(model_hash="other"))
    assert len(store.vectors()) == 2
    assert [v.model_hash for v in store.vectors("other")] == ["other"]
    assert store.vectors("third") == ()
    assert store.vectors("other", data_hash="d" * 32) and not store.vectors("other", "e" * 32)


def test_a_later_test_of_the_same_takes_the_place_of_the_earlier(store: ConceptStore) -> None:
    first = store.save_vectors(trained())
    assert store.save_vectors(trained(data_hash="e" * 32)) == first
    store.save_vectors(trained(details={"pooled": False}))
    assert sorted(v.data_hash[0] for v in store.vectors()) == ["d", "e"]


def test_what_a_test_found_makes_no_other_file(store: ConceptStore) -> None:
    settings = {"pooled": True, "targets": [3], "alpha": 0.05}
    findings = {"note": "once", "n_images": 7, "images": "ab", "target_text": "zebra"}
    first = store.save_vectors(trained(details={**findings, **settings}))
    again = trained(details={**dict(reversed(settings.items())), "note": None, "n_images": 9})
    assert store.save_vectors(again) == first
    for other in ({"classifier": "svm"}, {"preprocessing": "resize 64"}):
        assert store.save_vectors(trained(details=settings, **other)) != first
    assert len(store.vectors()) == 3
    assert {"note": None, "n_images": 9}.items() <= store.vectors("m" * 32)[2].details.items()


def test_files_that_a_later_test_supersedes_are_deleted(store: ConceptStore) -> None:
    path = store.save_vectors(trained())
    path.rename(path.with_name("ridge-0123456789abcdef.safetensors"))
    other = store.save_vectors(trained(details={"pooled": False}))
    damaged = path.with_name("ridge-broken.safetensors")
    damaged.write_bytes(b"x")
    assert store.save_vectors(trained(data_hash="e" * 32)) == path
    assert set(path.parent.iterdir()) == {path, other, damaged}


def test_the_newest_come_first(store: ConceptStore) -> None:
    for day in (2, 3, 1):
        store.save_vectors(
            trained(created=f"2026-01-0{day}T00:00:00.000000Z", details={"day": day})
        )
    assert [v.details["day"] for v in store.vectors()] == [3, 2, 1]


@pytest.mark.parametrize(
    "fields",
    [
        {"vectors": {("a", "b"): np.array([np.nan, 1])}},
        {"vectors": {("a", "b"): np.zeros((2, 2))}},
        {"vectors": {("a", "b"): np.zeros(0)}},
        {"model_hash": ""},
        {"model_hash": "../../x"},
        {"details": {"x": object()}},
    ],
    ids=["not finite", "a matrix", "empty", "no hash", "a path", "no JSON"],
)
def test_what_cannot_be_kept_gets_a_sentence(fields: Any, store: ConceptStore) -> None:
    with pytest.raises(StoreError):
        store.save_vectors(trained(**fields))
    assert store.vectors() == ()


@pytest.mark.parametrize("damage", ["cut", "empty", "long", "other", "names", "nan", "newer"])
def test_a_damaged_file_is_named_and_does_not_hide_the_others(
    damage: str, store: ConceptStore
) -> None:
    whole = store.save_vectors(trained())
    path = whole.with_name("broken.safetensors")
    data = whole.read_bytes()
    if damage == "cut":
        path.write_bytes(data[:-10])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "long":
        path.write_bytes((2**60).to_bytes(8, "little") + b"{}")
    elif damage == "other":
        save_file({"weight": np.zeros(3)}, path)
    else:
        with safe_open(whole, "np") as file:
            texts = file.metadata()
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if damage == "names":
            texts["vectors"] = '[{"tensor": "vector.9", "concept": "a", "layer": "b"}]'
        elif damage == "nan":
            tensors["vector.0"] = tensors["vector.0"] * np.float32(np.nan)
        else:
            texts["version"] = "2"
        save_file(tensors, path, texts)
    opened = ConceptStore(store.folder)
    assert len(opened.vectors()) == 1
    (problem,) = opened.problems
    assert "broken.safetensors" in problem


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("records", '[[["concept", "stripes"]]]'),
        ("records", '{"ab": 1}'),
        ("records", "[[]]"),
        ("records", "{}"),
        ("records", "5"),
        ("details", '[["pooled", true]]'),
        ("details", "[]"),
        ("details", "null"),
        ("library_versions", "[]"),
    ],
)
def test_records_and_details_of_another_form_are_damage(
    key: str, text: str, store: ConceptStore
) -> None:
    path = store.save_vectors(trained())
    with safe_open(path, "np") as file:
        texts = file.metadata() | {key: text}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, path, texts)
    with pytest.raises(StoreError, match="is damaged and its vectors cannot be read"):
        from_bytes(path.read_bytes(), "It")


def test_a_link_among_the_vectors_is_not_followed(store: ConceptStore, tmp_path: Path) -> None:
    path = store.save_vectors(trained())
    path.rename(tmp_path / "outside.safetensors")
    path.symlink_to(tmp_path / "outside.safetensors")
    assert store.vectors() == () and "link" in store.problems[0]
