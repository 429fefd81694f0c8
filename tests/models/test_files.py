"""Files are known by their content, and whatever is wrong with one is one sentence."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import xai_widgets as xw
from scripts.format_zoo import (
    SIDE,
    exported,
    frozen_graph,
    keras_file,
    keras_network,
    network,
    onnx_file,
    safetensors,
    saved_model,
    state_dict,
    torchscript,
)
from xai_widgets.errors import DependencyError, ModelError
from xai_widgets.models.files import recognise

Make = Callable[[Path], Path]


def sentence(path: Path | str, match: str, **options: Any) -> None:
    with pytest.raises(ModelError, match=match) as failure:
        xw.load(path, **options)
    assert "\n" not in str(failure.value)
    assert str(failure.value)[0].isupper() or str(failure.value).startswith(Path(path).name)


KINDS: dict[str, Make] = {
    "safetensors": safetensors,
    "pickle": state_dict,
    "torchscript": torchscript,
    "torch-export": exported,
    "keras": keras_file,
    "hdf5": lambda folder: keras_file(folder, ".h5"),
    "onnx": onnx_file,
    "graph": frozen_graph,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return one file of every kind."""
    return {kind: make(tmp_path_factory.mktemp("files")) for kind, make in KINDS.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["model", "model.onnx", "model.keras", "model.h5", "model.bin"])
def test_the_name_does_not_matter(
    files: dict[str, Path], tmp_path: Path, kind: str, name: str
) -> None:
    assert recognise(Path(shutil.copy(files[kind], tmp_path / name))) == kind


def test_a_name_that_promises_something_else_is_a_finding(
    files: dict[str, Path], tmp_path: Path
) -> None:
    model = xw.load(shutil.copy(files["onnx"], tmp_path / "model.keras"))
    assert model.format == "onnx"
    assert "model.keras is called .keras, but holds an ONNX model." in model.findings


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_a_truncated_file_is_one_sentence(
    files: dict[str, Path], tmp_path: Path, kind: str, share: float
) -> None:
    content = files[kind].read_bytes()
    path = tmp_path / files[kind].name
    path.write_bytes(content[: int(len(content) * share)])
    options = {"architecture": network} if kind in ("safetensors", "pickle") else {"trust": True}
    with pytest.raises(ModelError) as failure:
        xw.load(path, **options)
    assert "\n" not in str(failure.value)
    assert path.name in str(failure.value) or "frozen graph" in str(failure.value)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty"),
        (b"hello, this is no model", "no model that is known"),
        (bytes(range(256)), "no model that is known"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"\x1f\x8b\x08\x00\x00\x00", "gzip"),
        (b"\x1c\x00\x00\x00TFL3\x00\x00", "TensorFlow Lite"),
        (b"PK\x03\x04 and then nothing", "truncated or damaged"),
    ],
)
def test_what_is_no_model_is_one_sentence(tmp_path: Path, content: bytes, match: str) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    sentence(path, match)


def test_other_archives_and_folders_are_one_sentence(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("photo.png", b"")
    sentence(tmp_path / "photos.zip", "ZIP archive without a model")
    (tmp_path / "empty").mkdir()
    sentence(tmp_path / "empty", "holds no model")
    sentence(tmp_path / "nothing.pt", "There is no file")
    path = saved_model(tmp_path)
    sentence(path / "saved_model.pb", "give its folder")
    (path / "saved_model.pb").write_bytes((path / "saved_model.pb").read_bytes()[:1000])
    sentence(path, "cannot be opened as a SavedModel", trust=True)


@pytest.mark.parametrize(
    ("kind", "package", "extra"),
    [
        ("onnx", "onnxruntime", "onnx"),
        ("keras", "tensorflow", "tensorflow"),
        ("hdf5", "h5py", "tensorflow"),
        ("graph", "tensorflow", "tensorflow"),
        ("pickle", "torch", "torch"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch, kind: str, package: str, extra: str
) -> None:
    real = importlib.import_module

    def missing(name: str, *rest: Any) -> Any:
        if name == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest)

    monkeypatch.setattr("xai_widgets.models.optional.import_module", missing)
    with pytest.raises(DependencyError, match=rf"needs {package}.*xai-widgets\[{extra}\]"):
        xw.load(files[kind])


# Idempotence --------------------------------------------------------------------------------


def test_the_same_file_is_opened_once_and_again_when_it_changes(tmp_path: Path) -> None:
    path = onnx_file(tmp_path)
    model = xw.load(path)
    assert xw.load(str(path)) is model
    assert xw.load(model.source) is model
    other = xw.load(path, labels=["a", "b", "c"])
    assert other is not model
    assert other.lock is model.lock
    assert other.source is model.source
    onnx_file(tmp_path, batch=False)
    os.utime(path, ns=(1, 1))
    assert xw.load(path) is not model


# Weights and architecture -------------------------------------------------------------------


def test_weights_ask_for_their_architecture(files: dict[str, Path]) -> None:
    sentence(files["safetensors"], r"weights alone \(6 tensors\): pass architecture=")
    sentence(files["pickle"], r"weights alone \(6 tensors\): pass architecture=")


class Deeper(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 6, 3)
        self.a, self.b, self.c, self.d = (nn.Linear(2, 2) for _ in range(4))


def test_weights_that_do_not_fit_name_the_first_few(files: dict[str, Path]) -> None:
    sentence(
        files["pickle"],
        r"do not fit Deeper: the file lacks 'body.weight', 'body.bias', 'a.weight' and 7 more; "
        r"the module has no '0.weight', '0.bias', '2.weight' and 3 more",
        architecture=Deeper,
    )
    sentence(
        files["safetensors"],
        r"shapes differ at '6.bias' \(\[3\] in the file, \[5\] in the module\)",
        architecture=lambda: network(5),
    )


@pytest.mark.parametrize(
    ("architecture", "match"),
    [
        (lambda: 3, "returned a int"),
        (lambda: 1 / 0, "failed: division by zero"),
        ("nets:small", "architecture is a str"),
        (lambda wide: wide, "missing 1 required positional argument"),
    ],
)
def test_an_architecture_that_makes_no_module_is_one_sentence(
    files: dict[str, Path], architecture: Any, match: str
) -> None:
    sentence(files["pickle"], match, architecture=architecture)


@pytest.mark.parametrize("place", ["state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_weights_are_found_in_checkpoints(tmp_path: Path, place: str, prefix: str) -> None:
    state = {f"{prefix}{name}": value for name, value in network().state_dict().items()}
    torch.save({"epoch": 3, place: state, "lr": 0.1}, tmp_path / "checkpoint.ckpt")
    model = xw.load(tmp_path / "checkpoint.ckpt", architecture=network, input_size=SIDE)
    assert model.weight_hash == xw.load(network(), input_size=SIDE).weight_hash
    assert any(repr(place) in note for note in model.findings)
    assert not prefix or any(repr(prefix) in note for note in model.findings)


def test_a_checkpoint_without_weights_is_one_sentence(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "optimizer": {"lr": 0.1}}, tmp_path / "checkpoint.pt")
    sentence(tmp_path / "checkpoint.pt", "none of these are the weights", architecture=network)
    torch.save([1, 2], tmp_path / "list.pt")
    sentence(tmp_path / "list.pt", "neither model nor weights", architecture=network)


def test_weights_of_another_precision_are_converted_and_said(tmp_path: Path) -> None:
    torch.save(network().double().state_dict(), tmp_path / "weights.pt")
    model = xw.load(tmp_path / "weights.pt", architecture=network, input_size=SIDE)
    assert model.source[0].weight.dtype == torch.float32
    assert any("float64" in note and "float32" in note for note in model.findings)


def test_a_module_given_as_architecture_is_copied(files: dict[str, Path]) -> None:
    module = network()
    with torch.no_grad():
        module[0].weight.zero_()
    model = xw.load(files["pickle"], architecture=module, input_size=SIDE)
    assert model.source is not module
    assert not module[0].weight.any()
    assert model.source[0].weight.any()


def test_keras_weights_take_an_architecture(tmp_path: Path) -> None:
    keras_network().save_weights(tmp_path / "model.weights.h5")
    sentence(tmp_path / "model.weights.h5", "holds no model.*architecture=")
    model = xw.load(tmp_path / "model.weights.h5", architecture=keras_network)
    assert model.format == "keras"
    sentence(tmp_path / "model.weights.h5", "returned a Sequential", architecture=network)


# What models carry --------------------------------------------------------------------------


def test_labels_in_onnx_metadata_are_read_and_can_be_overridden(tmp_path: Path) -> None:
    import onnx

    path = onnx_file(tmp_path)
    for written in ('["a", "b", "c"]', "{0: 'a', 1: 'b', 2: 'c'}", "a\nb\nc", "a, b, c"):
        model = onnx.load(str(path))
        del model.metadata_props[:]
        model.metadata_props.add(key="names", value=written)
        onnx.save(model, str(path))
        loaded = xw.load(path)
        assert loaded.labels == ("a", "b", "c")
        assert any("metadata" in note for note in loaded.findings)
    assert xw.load(path, labels=["x", "y", "z"]).labels == ("x", "y", "z")


def test_onnx_that_takes_whole_numbers_is_given_pixels(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(str(onnx_file(tmp_path)))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.node[0].input[0] = "pixels"
    cast = helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT)
    model.graph.node.insert(0, cast)
    onnx.save(model, str(tmp_path / "whole.onnx"))
    loaded = xw.load(tmp_path / "whole.onnx")
    assert any("whole numbers" in note for note in loaded.findings)
    picture = np.full((SIDE, SIDE, 3), 200, np.uint8)
    assert loaded.prepare(picture).values.max() == 200
    same = xw.load(onnx_file(tmp_path), preprocessing={"value_range": (0, 255)})
    np.testing.assert_allclose(
        loaded.predict(picture)[0]["scores"], same.predict(picture)[0]["scores"], rtol=1e-5
    )


class Timm(nn.Sequential):
    """A stand-in for a model of timm: carries the dictionary that timm's models carry."""

    def __init__(self) -> None:
        super().__init__(*network())
        self.pretrained_cfg = {
            "input_size": (3, SIDE, SIDE),
            "mean": (0.485, 0.456, 0.406),
            "std": (0.229, 0.224, 0.225),
            "crop_pct": 0.875,
            "interpolation": "bicubic",
            "num_classes": 3,
            "label_names": ["a", "b", "c"],
        }


def test_preprocessing_of_timm_is_read_shown_and_can_be_overridden() -> None:
    module = Timm().eval()
    model = xw.load(module)
    described = model.describe()["preprocessing"]
    assert described["size"] == [SIDE, SIDE]
    assert described["mean"] == [0.485, 0.456, 0.406]
    assert (described["resize"], described["crop_fraction"]) == ("crop", 0.875)
    assert model.labels == ("a", "b", "c")
    assert any("pretrained_cfg" in note for note in model.findings)
    assert xw.load(module, input_size=64).input_shape == (64, 64, 3)
    plain = xw.load(module, preprocessing={"size": SIDE, "mean": 0.5})
    assert plain.describe()["preprocessing"]["mean"] == [0.5]
    assert not any("pretrained_cfg" in note for note in plain.findings)


class Transforms:
    """A stand-in for torchvision's preset transforms."""

    resize_size, crop_size = [40], [SIDE]
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

    def __call__(self, image: Any) -> Any:
        small = np.asarray(image.resize((SIDE, SIDE)), np.float32) / 255
        return torch.from_numpy((small - self.mean) / self.std).permute(2, 0, 1).float()


class Weights:
    """A stand-in for an entry of torchvision's weights."""

    meta = {"categories": ["a", "b", "c"]}  # noqa: RUF012
    transforms = Transforms


def test_weights_of_torchvision_bring_transforms_and_labels() -> None:
    model = xw.load(network(), preprocessing=Weights())
    assert model.labels == ("a", "b", "c")
    assert model.input_shape == (SIDE, SIDE, 3)
    declared = model.describe()["preprocessing"]["declared"]
    assert declared["mean"] == [0.485, 0.456, 0.406]
    assert declared["crop_size"] == [SIDE]
    assert xw.load(network(), labels=["x", "y", "z"], preprocessing=Weights()).labels[0] == "x"


PROCESSOR = {
    "do_resize": True,
    "size": {"shortest_edge": 40},
    "do_center_crop": True,
    "crop_size": {"height": SIDE, "width": SIDE},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.2, 0.2],
}


def test_the_processor_beside_a_file_is_read(tmp_path: Path) -> None:
    path = exported(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {"0": "a", "1": "b", "2": "c"}}))
    model = xw.load(path)
    described = model.describe()["preprocessing"]
    assert described["mean"] == [0.5, 0.4, 0.3]
    assert (described["resize"], described["crop_fraction"]) == ("crop", SIDE / 40)
    assert described["value_range"] == [0.0, 1.0]
    assert model.labels == ("a", "b", "c")
    assert any("preprocessor_config.json" in note for note in model.findings)
    (tmp_path / "preprocessor_config.json").write_text("{broken")
    assert xw.load(onnx_file(tmp_path)).describe()["preprocessing"]["mean"] == [0.0]


def test_a_folder_of_transformers_is_opened_without_code(tmp_path: Path) -> None:
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        num_labels=3,
        id2label={0: "a", 1: "b", 2: "c"},
    )
    original = ResNetForImageClassification(config).eval()
    original.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    model = xw.load(tmp_path)
    assert (model.name, model.format) == ("ResNetForImageClassification", "torch")
    assert model.labels == ("a", "b", "c")
    assert model.describe()["preprocessing"]["mean"] == [0.5, 0.4, 0.3]
    assert model.weight_hash == xw.load(original, input_size=SIDE).weight_hash
    assert not model.trusted
