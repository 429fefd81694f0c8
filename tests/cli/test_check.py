"""``xai-widgets check``: verdicts as exit status, and a report that machines can read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from scripts.format_zoo import SIDE, exported, network, onnx_file, safetensors, torchscript
from xai_widgets.cli import main

NETWORK = "scripts.format_zoo:network"


def check(capsys: pytest.CaptureFixture[str], *words: Any) -> tuple[int, str, str]:
    status = main(["check", *[str(word) for word in words]])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def image(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


class Integers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = network()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x).argmax(dim=1, keepdim=True)


def test_an_explainable_model_is_0(
    tmp_path: Path, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = check(capsys, exported(tmp_path), "--image", image)
    assert (status, err) == (0, "")
    assert "explainable" in out


def test_a_model_without_layers_is_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = torchscript(tmp_path)
    assert check(capsys, path, "--trust", "--input-size", SIDE)[0] == 1


def test_a_model_that_only_predicts_is_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(capsys, onnx_file(tmp_path))[0] == 2


def test_a_model_that_predicts_no_scores_is_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(Integers(), tmp_path / "model.pt")
    status, out, _ = check(capsys, tmp_path / "model.pt", "--trust", "--input-size", SIDE)
    assert status == 3
    assert "broken" in out


def test_a_refused_file_is_4_and_says_how_to_insist(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = check(capsys, torchscript(tmp_path), "--json")
    assert status == 4
    assert json.loads(out)["verdict"] is None
    assert json.loads(out)["kind"] == "TrustError"
    assert "--trust" in err and err.count("\n") == 1


def test_a_missing_file_is_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(capsys, tmp_path / "nothing.pt")[0] == 4


def test_weights_take_an_architecture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = safetensors(tmp_path)
    words = (path, "--input-size", SIDE, "--architecture")
    assert check(capsys, *words, NETWORK)[0] == 0
    for wrong in (
        "nonsense",
        "scripts.format_zoo:nothing",
        "no.module:x",
        "scripts.format_zoo:SIDE",
    ):
        status, _, err = check(capsys, *words, wrong)
        assert status == 4
        assert "--architecture" in err


def test_json_is_the_report_with_the_given_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.txt").write_text("cat\ndog\nfox\n")
    words = (exported(tmp_path), "--json", "--labels", tmp_path / "labels.txt")
    report = json.loads(check(capsys, *words)[1])
    assert report["verdict"] == "explainable"
    assert report["model"]["format"] == "torch-export"
    assert [entry["name"] for entry in report["formats"] if entry["this"]] == ["torch-export"]
    assert any(name in json.dumps(report["findings"]) for name in ("'cat'", "'dog'", "'fox'"))
    (tmp_path / "labels.txt").write_text('["cat", "dog", "fox"]')
    assert check(capsys, *words)[0] == 0
    (tmp_path / "labels.txt").write_text("[1, 2]")
    assert check(capsys, *words)[0] == 4


@pytest.mark.parametrize("form", ["model", "npy", "json"])
def test_a_reference_that_differs_is_3(
    tmp_path: Path, image: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    path = exported(tmp_path)
    words = (path, "--image", image, "--input-size", SIDE, "--reference")
    if form == "model":
        assert check(capsys, *words, onnx_file(tmp_path))[0] == 0
        return
    import xai_widgets as xw

    model = xw.load(path, input_size=SIDE)
    scores = model.predict(image)[0]["scores"]
    for values, status in ((scores, 0), (scores[::-1].copy(), 3)):
        reference = tmp_path / f"scores.{form}"
        if form == "npy":
            np.save(reference, values)
        else:
            reference.write_text(json.dumps([float(value) for value in values]))
        code, out, _ = check(capsys, *words, reference, "--json")
        assert code == status
        assert json.loads(out)["ok"] == (status == 0)
        assert json.loads(out)["verdict"] == "explainable"
    reference.write_bytes(b"nothing")
    assert check(capsys, *words, reference)[0] == 4


def test_wrong_usage_is_no_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["check", "--nonsense"])
    assert stop.value.code == 64


def test_help_documents_the_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    out = capsys.readouterr().out
    assert "exit status" in out and "cannot be loaded, or refused" in out
