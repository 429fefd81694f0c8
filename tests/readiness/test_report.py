"""A report is text, JSON and safe HTML."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import xai_widgets as xw
from tests.models.nets import Residual, seeded
from tests.readiness.faulty_torch import CASES, Ending
from xai_widgets.models.formats import FORMATS
from xai_widgets.models.readiness import Finding
from xai_widgets.models.readiness.report_html import COLOURS


@pytest.fixture(scope="module")
def report() -> xw.Report:
    return xw.check(xw.load(seeded(Residual), input_size=32, labels=["<b>", "&", "c", "d", "e"]))


def test_the_report_is_json_with_all_of_its_fields(report: xw.Report, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    text = report.to_json(path)
    known = json.loads(path.read_text(encoding="utf-8"))
    assert known == json.loads(text) == report.to_dict()
    assert set(known) == {
        "verdict", "ok", "sentence", "model", "findings", "layers", "formats", "versions", "seconds"
    }  # fmt: skip
    assert set(known["model"]) == {
        "class", "framework", "format", "input_shape", "n_outputs", "preprocessing", "trusted"
    }  # fmt: skip
    assert known["model"]["input_shape"] == [32, 32, 3]
    assert [entry["name"] for entry in known["formats"] if entry["this"]] == ["torch"]
    assert len(known["formats"]) == len(FORMATS)
    assert known["seconds"] > 0


def test_a_report_cannot_be_changed(report: xw.Report) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.verdict = "explainable"  # type: ignore[misc]


def test_html_escapes_what_comes_from_the_model(report: xw.Report) -> None:
    finding = Finding("error", "x", "<script>1</script>", "a < b & c")
    html = dataclasses.replace(report, findings=(finding,), sentence="<i>")._repr_html_()
    assert "<script>" not in html and "<i>" not in html
    assert "&lt;script&gt;1&lt;/script&gt;" in html and "a &lt; b &amp; c" in html
    assert "color:inherit" in html


def test_html_shows_where_a_gradient_is_next_to_nothing(report: xw.Report) -> None:
    assert COLOURS["error"] not in report._repr_html_()
    layers = tuple(dataclasses.replace(layer, faint=True) for layer in report.layers[:1])
    assert COLOURS["error"] in dataclasses.replace(report, layers=layers)._repr_html_()


def test_html_of_every_kind_of_report_is_well_formed(report: xw.Report) -> None:
    from xml.dom.minidom import parseString

    broken = xw.check(xw.load(seeded(CASES["NaN gradient"].make), input_size=32))
    for shown in (report, broken):
        parseString(shown._repr_html_())
        assert json.loads(shown.to_json())["verdict"] == shown.verdict


def test_the_text_says_verdict_findings_and_advice() -> None:
    text = str(xw.check(xw.load(seeded(CASES["no_grad around the stem"].make), input_size=32)))
    assert "layer-gradients-only" in text
    assert "The gradient is lost in 'stem': it runs under torch.no_grad()" in text
    assert "-> Take the no_grad block" in text


def test_a_reference_that_is_not_met_makes_a_report_not_ok_and_keeps_its_verdict() -> None:
    model = xw.load(seeded(Residual), input_size=32)
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    scores = model.predict(picture)[0]["scores"]
    same = xw.check(model, picture, reference=scores)
    other = xw.check(model, picture, reference=-scores)
    assert same.ok and same.to_dict()["ok"] is True
    assert same.sentence in other.sentence
    assert not other.ok and other.to_dict()["ok"] is False
    assert other.verdict == same.verdict == "explainable"
    assert other.sentence.endswith("It does not predict what the reference predicts.")
    assert COLOURS["error"] in other._repr_html_()
    assert COLOURS["error"] not in same._repr_html_()


def test_a_broken_model_is_not_ok() -> None:
    assert not xw.check(seeded(lambda: Ending(lambda scores: scores.argmax(1)))).ok


def test_a_format_without_gradients_is_said_once_and_without_alarm(tmp_path: Path) -> None:
    from scripts.format_zoo import onnx_file

    report = xw.check(onnx_file(tmp_path))
    assert report.verdict == "inference-only"
    assert [f for f in report.findings if f.level in ("warning", "error")] == []
    texts = [finding.text for finding in report.findings]
    assert len(texts) == len(set(texts))
    (said,) = [finding for finding in report.findings if finding.check == "gradient"]
    assert "An ONNX graph holds no gradients" in said.text
    assert said.text not in report.sentence
