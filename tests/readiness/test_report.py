"""A report is text, JSON and safe HTML."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

import xai_widgets as xw
from tests.models.nets import Residual, seeded
from tests.readiness.faulty_torch import CASES
from xai_widgets.models.formats import FORMATS
from xai_widgets.models.readiness import Finding


@pytest.fixture(scope="module")
def report() -> xw.Report:
    return xw.check(xw.load(seeded(Residual), input_size=32, labels=["<b>", "&", "c", "d", "e"]))


def test_the_report_is_json_with_all_of_its_fields(report: xw.Report, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    text = report.to_json(path)
    known = json.loads(path.read_text(encoding="utf-8"))
    assert known == json.loads(text) == report.to_dict()
    assert set(known) == {
        "verdict", "sentence", "model", "findings", "layers", "formats", "versions", "seconds"
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
