"""Code inside of files does not run unless it is trusted: nothing that it would write appears."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import xai_widgets as xw
from scripts.format_zoo import (
    SIDE,
    exported,
    keras_file,
    network,
    onnx_file,
    saved_model,
    torchscript,
)
from xai_widgets.errors import ModelError, TrustError


class Bomb:
    """Creates a file where it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.target}",))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Return the file that appears if code runs."""
    return tmp_path / "it-ran"


def refused(path: Path, target: Path, match: str, **options: Any) -> None:
    with pytest.raises(TrustError, match=match) as failure:
        xw.load(path, **options)
    assert not target.exists()
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.keras", "model"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_objects_is_refused(
    tmp_path: Path, target: Path, name: str, zipped: bool
) -> None:
    content = {"weight": torch.zeros(2), "extra": Bomb(target)}
    torch.save(content, tmp_path / name, _use_new_zipfile_serialization=zipped)
    refused(tmp_path / name, target, r"pickle that holds objects.*trust=True")


def test_a_plain_pickle_is_refused(tmp_path: Path, target: Path) -> None:
    (tmp_path / "model.pt").write_bytes(pickle.dumps(Bomb(target)))
    with pytest.raises(ModelError):
        xw.load(tmp_path / "model.pt")
    assert not target.exists()


def test_the_bomb_would_have_gone_off(tmp_path: Path, target: Path) -> None:
    torch.save(Bomb(target), tmp_path / "model.pt")
    with pytest.raises(ModelError):
        xw.load(tmp_path / "model.pt", trust=True)
    assert target.exists()


def test_a_pickled_module_needs_trust_and_the_trust_is_recorded(tmp_path: Path) -> None:
    torch.save(network(), tmp_path / "model.pt")
    with pytest.raises(TrustError, match=r"torch\.nn\.modules\.container\.Sequential"):
        xw.load(tmp_path / "model.pt")
    model = xw.load(tmp_path / "model.pt", trust=True, input_size=SIDE)
    assert model.trusted
    assert model.describe()["trusted"] is True
    assert any("trust=True" in note for note in model.findings)
    relabelled = xw.load(model, labels=["a", "b", "c"])
    assert relabelled.trusted
    with pytest.raises(TrustError):  # trust given once is not given for ever
        xw.load(tmp_path / "model.pt")


def test_trust_that_was_not_needed_is_not_recorded(tmp_path: Path) -> None:
    model = xw.load(exported(tmp_path), trust=True)
    assert not model.trusted


@pytest.mark.parametrize("make", [torchscript, saved_model])
def test_programs_are_refused_with_a_safe_alternative(
    tmp_path: Path, target: Path, make: Callable[[Path], Path]
) -> None:
    refused(make(tmp_path), target, r"program.*Save|program.*weights")


def test_a_lambda_layer_is_refused(tmp_path: Path, target: Path) -> None:
    import keras

    for suffix in (".keras", ".h5"):
        path = tmp_path / f"model{suffix}"
        inputs = keras.Input((SIDE, SIDE, 3))
        touch = f"__import__('os').system('touch {target}') and x"
        function = eval(f"lambda x: {touch} or x")
        with_lambda = keras.layers.Lambda(function, output_shape=(SIDE, SIDE, 3), name="hidden")
        x = keras.layers.GlobalAveragePooling2D()(with_lambda(inputs))
        keras.Model(inputs, keras.layers.Dense(3)(x)).save(path)
        target.unlink(missing_ok=True)  # building the model ran it
        refused(path, target, r"Lambda layer 'hidden'")
        xw.load(path, trust=True)
        assert target.exists()
        target.unlink()


@pytest.mark.parametrize("member", ["../it-ran", "/tmp/../it-ran", "a/../../it-ran", "..\\it-ran"])
@pytest.mark.parametrize("kind", ["keras", "torch"])
@pytest.mark.parametrize("trust", [True, False])
def test_archives_that_reach_outside_are_refused(
    tmp_path: Path, target: Path, member: str, kind: str, trust: bool
) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    path = folder / "model.keras"
    if kind == "torch":
        torch.save(network().state_dict(), path)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "{}")
            archive.writestr("metadata.json", "{}")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, "written")
    refused(path, target, "points outside|absolute", trust=trust)


def test_links_and_members_that_appear_twice_are_refused(tmp_path: Path, target: Path) -> None:
    path = exported(tmp_path)
    link = zipfile.ZipInfo("program/extra/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, str(target))
    refused(path, target, "is a link")
    path = exported(tmp_path)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(archive.namelist()[0], b"other")
    refused(path, target, "appears twice")


@pytest.mark.parametrize("trust", [True, False])
def test_onnx_weights_outside_of_the_folder_are_refused(tmp_path: Path, trust: bool) -> None:
    import onnx

    (tmp_path / "secret.bin").write_bytes(bytes(4096))
    folder = tmp_path / "inside"
    folder.mkdir()
    path = onnx_file(folder)
    model = onnx.load(str(path))
    weights = next(entry for entry in model.graph.initializer if entry.name == "0.weight")
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    for location in ("../secret.bin", str(tmp_path / "secret.bin")):
        del weights.external_data[:]
        weights.external_data.add(key="location", value=location)
        path.write_bytes(model.SerializeToString())
        refused(path, tmp_path / "it-ran", "outside of its folder", trust=trust)
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    weights.external_data[0].value = "link.bin"
    path.write_bytes(model.SerializeToString())
    refused(path, tmp_path / "it-ran", "outside of its folder", trust=trust)


def rewritten(path: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """Rewrite the members of an archive."""
    other = path.with_name("changed.pt2")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return other


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("target", "torch.os.system", "no operator"),
        ("target", "torch.ops.aten.from_file.default", "no operator"),
        ("target", "torch.hub.load", "no operator"),
        ("expr_str", "__import__('os').system('touch it-ran')", "computes a size"),
        ("expr_str", "s0.__class__.__base__", "computes a size"),
        ("expr_str", "open('it-ran', 'w')", "computes a size"),
        ("forward_arg_names", ["x=__import__('os').system('touch it-ran')"], "arguments"),
        ("guards_code", ["__import__('os').system('touch it-ran')"], "Python code"),
    ],
)
def test_a_program_that_names_code_is_refused(
    tmp_path: Path, target: Path, field: str, value: Any, match: str
) -> None:
    def poison(content: Any) -> bool:
        if isinstance(content, dict):
            if field in content and (field != "target" or "outputs" in content):
                content[field] = value
                return True
            return any(poison(entry) for entry in content.values())
        return isinstance(content, list) and any(poison(entry) for entry in content)

    def change(name: str, data: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return data
        content = json.loads(data)
        assert poison(content)
        return json.dumps(content).encode()

    refused(rewritten(exported(tmp_path), change), target, match)


def test_a_program_with_a_pickle_inside_is_refused(tmp_path: Path, target: Path) -> None:
    torch.save((Bomb(target),), tmp_path / "bomb")
    bomb = (tmp_path / "bomb").read_bytes()
    path = exported(tmp_path)
    poisoned = rewritten(path, lambda name, data: bomb if "sample_inputs" in name else data)
    refused(poisoned, target, "pickle")

    def weights(name: str, data: bytes) -> bytes:
        if name.endswith("weights/weight_0"):
            return bomb
        return data.replace(b'"use_pickle": false', b'"use_pickle": true')

    refused(rewritten(path, weights), target, "pickle")


def test_an_untouched_program_passes(tmp_path: Path) -> None:
    for dynamic in (True, False):
        path = rewritten(exported(tmp_path, dynamic), lambda _, data: data)
        assert not xw.load(path).trusted


def test_a_graph_with_effects_is_refused(tmp_path: Path, target: Path) -> None:
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        images = tf.compat.v1.placeholder(tf.float32, (None, SIDE, SIDE, 3), name="images")
        with tf.control_dependencies([tf.io.write_file(str(target), "written")]):
            tf.reduce_mean(images, axis=(1, 2), name="scores")
    path = tmp_path / "graph.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    refused(path, target, "WriteFile")
    assert xw.load(path, trust=True).trusted
    assert target.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("builtins", "eval"), ("keras.config", "enable_unsafe_deserialization")],
)
def test_a_keras_file_that_names_code_is_refused(
    tmp_path: Path, target: Path, module: str, name: str
) -> None:
    def change(member: str, data: bytes) -> bytes:
        if member != "config.json":
            return data
        content = json.loads(data)
        call = {"module": module, "class_name": "function", "config": name}
        content["config"]["layers"][2]["config"]["activation"] = call
        return json.dumps(content).encode()

    refused(rewritten(keras_file(tmp_path), change), target, f"{module}.{name}")


def test_a_registered_layer_of_the_user_passes(tmp_path: Path) -> None:
    import keras

    class Double(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x * 2

    registered = keras.saving.register_keras_serializable("tests")(Double)
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.GlobalAveragePooling2D()(registered()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    model.compile(loss=lambda wanted, found: found - wanted)  # which nobody needs to predict
    model.save(tmp_path / "model.keras")
    assert not xw.load(tmp_path / "model.keras").trusted


def test_hdf5_that_links_to_other_files_is_refused(tmp_path: Path, target: Path) -> None:
    import h5py

    path = keras_file(tmp_path, ".h5")
    with h5py.File(path, "a") as file:
        file["elsewhere"] = h5py.ExternalLink("/etc/passwd", "/")
    refused(path, target, "another file", trust=True)


def test_objects_in_memory_need_no_trust() -> None:
    assert not xw.load(network(), input_size=SIDE).trusted
    scripted = torch.jit.trace(network(), torch.zeros(1, 3, SIDE, SIDE))
    assert not xw.load(scripted, input_size=SIDE).trusted


def test_a_state_dict_and_safetensors_are_data(tmp_path: Path) -> None:
    state = {**network().state_dict(), "more": np.float32(1)}
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(ModelError, match=r"pickle that holds objects|none of these"):
        xw.load(tmp_path / "weights.pt", architecture=network)
