"""Every format loads, predicts the same, and does what docs/formats.md says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import xai_widgets as xw
from scripts.format_matrix import BEGIN, END, PAGE, Row, measure, table
from scripts.format_zoo import SIDE, ZOO, Specimen, exported, network, onnx_file, optimised
from tests.models.nets import picture
from xai_widgets.errors import ModelError
from xai_widgets.models.formats import FORMATS, format_named
from xai_widgets.models.tensor_input import input_spec

IMAGES = np.random.default_rng(1).random((3, SIDE, SIDE, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def expected() -> Any:
    with torch.no_grad():
        return network()(torch.from_numpy(IMAGES).permute(0, 3, 1, 2)).numpy()


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    """Return one row for each specimen, measured once."""
    folders = {specimen.title: tmp_path_factory.mktemp("zoo") for specimen in ZOO}
    return {specimen.title: measure(specimen, folders[specimen.title]) for specimen in ZOO}


@pytest.mark.parametrize("specimen", ZOO, ids=lambda specimen: specimen.title)
def test_every_format_predicts_what_its_original_predicts(
    specimen: Specimen, expected: Any, tmp_path: Path
) -> None:
    model = xw.load(specimen.make(tmp_path), **specimen.options)
    assert model.format == specimen.format
    assert model.describe()["format"] == specimen.format
    assert model.input_shape == (SIDE, SIDE, 3)
    np.testing.assert_allclose(model.backend.to_numpy(model.scores(IMAGES)), expected, atol=1e-5)


def test_the_page_shows_what_was_measured(measured: dict[str, Row]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    shown = text.partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == table(list(measured.values())), "run python -m scripts.format_matrix"


def test_the_format_table_promises_what_was_measured(measured: dict[str, Row]) -> None:
    assert {row.format for row in measured.values()} == {entry.name for entry in FORMATS}
    plain = [row for row in measured.values() if "optimised" not in row.title]
    for row in plain:
        promise = format_named(row.format)
        assert promise is not None
        assert promise.verdict in (row.verdict, "by check")
        assert promise.layers.startswith("no") is not row.layers
        assert (promise.input_gradients == "no") is not row.input_gradients


def test_methods_follow_from_the_format(tmp_path: Path) -> None:
    records = xw.methods(onnx_file(tmp_path))
    applicable = {record["method"] for record in records if record["applicable"]}
    assert applicable == {"occlusion", "rise", "shapley_sampling"}, "these need no gradients"
    refused = [record for record in records if not record["applicable"]]
    assert all("ONNX graph holds no gradients" in record["reason"] for record in refused)


def test_an_inference_only_model_says_why_it_is_not_explained(tmp_path: Path) -> None:
    model = xw.load(onnx_file(tmp_path), labels=["a", "b", "c"])
    assert model.predict(picture(SIDE, SIDE))[0]["label"] in ("a", "b", "c")
    with pytest.raises(ModelError, match="holds no gradients"):
        model.gradients(IMAGES, xw.ClassTarget(0))
    with pytest.raises(ModelError, match="holds no gradients"):
        model.forward_pass(model.prepare(picture()))
    for record in xw.methods(model):
        assert not record["applicable"] or record["needs"] == []


def test_an_optimised_program_is_judged_by_whether_a_gradient_arrives() -> None:
    if not torch.backends.mkldnn.is_available():
        pytest.skip("nothing is optimised away without oneDNN")
    model = xw.load(optimised(), input_size=SIDE)
    assert "does not depend on its input" in model.capabilities.lacks["input_gradients"]


def test_gradients_of_a_program_for_one_image_equal_those_of_the_module(tmp_path: Path) -> None:
    fixed, module = xw.load(exported(tmp_path, dynamic=False)), xw.load(network(), input_size=SIDE)
    for weights in (None, np.array([0.5, 0.25, 0.25], np.float32)):
        found, wanted = (
            model.backend.to_numpy(model.gradients(IMAGES, xw.ClassTarget(1), weights).values)
            for model in (fixed, module)
        )
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert any("exactly 1 image" in note for note in fixed.findings)


def test_a_program_restores_the_modules_it_was_made_of(tmp_path: Path) -> None:
    model, module = xw.load(exported(tmp_path)), xw.load(network(), input_size=SIDE)
    assert [layer.name for layer in model.layers] == [layer.name for layer in module.layers]
    assert model.recommended_layer == module.recommended_layer
    assert model.name == module.name == "Sequential"
    assert model.weight_hash == module.weight_hash


def test_a_program_in_memory_is_loaded_like_its_file(tmp_path: Path) -> None:
    program = torch.export.load(str(exported(tmp_path)))
    model = xw.load(program)
    assert model.source is program
    assert xw.load(program) is model
    assert not model.trusted


@pytest.mark.parametrize(
    ("shape", "channels_first", "size", "batch"),
    [
        (["batch", 3, 32, 48], True, (32, 48), None),
        ([1, 32, 48, 3], False, (32, 48), 1),
        ([None, None, None, 1], False, None, None),
        ([4, 1, None, None], True, None, 4),
        ([None, None, None, None], True, None, None),
        ([-1, 3, 3, 3], True, (3, 3), None),
    ],
)
def test_the_layout_is_recognised_from_the_shape(
    shape: list[Any], channels_first: bool, size: Any, batch: Any
) -> None:
    spec = input_spec("it", shape, np.float32)
    assert (spec.channels_first, spec.size, spec.batch_size) == (channels_first, size, batch)


@pytest.mark.parametrize("shape", [[None, 10], [1, 5, 32, 32], [1, 3, 32, 32, 32]])
def test_other_inputs_are_refused_in_a_sentence(shape: list[int]) -> None:
    with pytest.raises(ModelError, match="expected"):
        input_spec("it", shape, np.float32)


def test_batches_are_filled_up_and_cut() -> None:
    spec = input_spec("it", [2, 8, 8, 3], np.float16)
    sizes: list[int] = []

    def function(batch: Any) -> Any:
        assert batch.dtype == np.float16
        sizes.append(len(batch))
        return batch[:, 0, 0]

    images = np.arange(5, dtype=np.float32)[:, None, None, None] * np.ones((1, 8, 8, 3), np.float32)
    np.testing.assert_array_equal(spec.run(function, images)[:, 0], np.arange(5))
    assert sizes == [2, 2, 2]
    assert any("float16" in note for note in spec.notes())


def test_float64_is_said_and_not_upcast() -> None:
    model = xw.load(network().double(), input_size=SIDE)
    assert any("weights are float64" in note for note in model.findings)
    assert model.backend.to_numpy(model.scores(IMAGES)).dtype == np.float32
    assert model.source[0].weight.dtype == torch.float64


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "nonsense"])
def test_a_device_that_is_not_there_gets_a_sentence(device: str, tmp_path: Path) -> None:
    if device.startswith("cuda") and torch.cuda.is_available():
        pytest.skip("there is one")
    for source in (network(), exported(tmp_path), onnx_file(tmp_path)):
        with pytest.raises(ModelError, match="cannot be used"):
            xw.load(source, input_size=SIDE, device=device)
