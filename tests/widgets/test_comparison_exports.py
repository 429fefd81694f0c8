"""Exports of a comparison, read again: the numbers on screen, and what they were made from."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

import xai_widgets as xw
from tests.widgets.comparing import Make
from tests.widgets.conftest import Recorded
from xai_widgets.errors import DependencyError, MetricError, XaiError
from xai_widgets.widgets.comparison.comparison import Comparison
from xai_widgets.widgets.comparison.tex import escaped

METRICS = ["complexity", "deletion"]


@pytest.fixture
def make(make_comparison: Make) -> Make:
    return make_comparison


@pytest.fixture
def comparison(make: Make) -> Comparison:
    methods = {"gradient": "gradient", "eigen_cam": "eigen_cam", "50% & $x_1$": "smoothgrad"}
    made: Comparison = make(methods, metrics=METRICS, hidden={"images": [1]})
    made.sort = {"metric": "complexity", "axis": "columns"}
    return made


def test_records_are_in_the_order_on_screen_without_what_is_hidden(
    comparison: Comparison, model: xw.ExplainableModel
) -> None:
    records = comparison.records()
    assert len(records) == 2 * 3 * 2
    assert {record["image"] for record in records} == {"image 0", "image 2"}
    order = list(dict.fromkeys(record["method"] for record in records))
    means = {r["method"]: r["mean"] for r in records if r["metric"] == "complexity"}
    assert order == sorted(order, key=lambda method: means[method])
    assert order != ["gradient", "eigen_cam", "50% & $x_1$"]
    assert {record["weight_hash"] for record in records} == {model.weight_hash}
    assert len({record["image_hash"] for record in records}) == 2
    assert {r["layer"] for r in records if r["method"] == "eigen_cam"} == {"body"}
    assert {r["n_images"] for r in records} == {2}
    comparison.sort = {"metric": "deletion", "axis": "rows"}
    means = {}
    for record in comparison.records():
        if record["metric"] == "deletion":
            means.setdefault(record["image"], []).append(record["value"])
    values = [float(np.mean(each)) for each in means.values()]
    assert values == sorted(values)


def test_a_grid_without_metrics_still_has_its_records(make: Make) -> None:
    records = make(["gradient", "attention_rollout"]).records()
    assert [record["state"] for record in records] == ["done", "failed"] * 3
    assert all(record["metric"] is None for record in records)
    assert "cannot explain this model" in records[1]["note"]
    assert records[0]["score"] is not None
    assert len(records[0]["map_hash"]) == 32


def test_csv_says_the_same(comparison: Comparison, tmp_path: Path) -> None:
    path = comparison.save(tmp_path / "grid.csv")
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    for row, record in zip(rows, comparison.records(), strict=True):
        assert float(row["value"]) == record["value"]
        assert row["method"] == record["method"]
        assert row["weight_hash"] == record["weight_hash"]
        assert json.loads(row["parameters"]) == record["parameters"]


def test_parquet_says_the_same_with_its_provenance(comparison: Comparison, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(comparison.save(tmp_path / "grid.parquet"))
    values = [record["value"] for record in comparison.records()]
    assert table.column("value").to_pylist() == values
    told = json.loads(table.schema.metadata[b"xai_widgets"])
    assert told["grid"]["sort"] == {"metric": "complexity", "axis": "columns"}


def test_without_pyarrow_a_sentence_says_what_to_do(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DependencyError, match=r"pip install xai-widgets\[export\]"):
        comparison.save(tmp_path / "grid.parquet")
    assert not list(tmp_path.iterdir())


def test_json_says_what_everything_was_made_from(
    comparison: Comparison, model: xw.ExplainableModel, tmp_path: Path
) -> None:
    found = json.loads(comparison.save(tmp_path / "grid.json").read_text())
    told = found["provenance"]
    assert told["models"][0]["weight_hash"] == model.weight_hash
    assert told["models"][0]["preprocessing"] == model.preprocess.describe()
    assert [method["method"] for method in told["methods"]] == [
        "gradient", "eigen_cam", "smoothgrad",
    ]  # fmt: skip
    assert {"python", "torch", "xai-widgets", "numpy"} <= told["versions"].keys()
    assert (told["seed"], told["targets"]) == (0, ["predicted class"])
    assert told["images"][1] == {"name": "image 1", "hash": None}  # hidden, and never opened
    cells = {cell["key"]: cell for cell in found["cells"]}
    assert len(cells) == 6
    smooth = cells["0.2.2.0.0"]["provenance"]["parameters"]
    assert smooth["n_samples"] == 25
    assert [r["value"] for r in found["records"]] == [r["value"] for r in comparison.records()]


def test_the_table_for_latex_has_the_means_and_no_commands_of_others(
    comparison: Comparison, tmp_path: Path
) -> None:
    text = comparison.save(tmp_path / "grid.tex").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    assert lines[1:3] == [
        r"\toprule",
        r"Method & Complexity $\downarrow$ & Deletion $\downarrow$ \\",
    ]
    body = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    means: dict[str, dict[str, float]] = {}
    for record in comparison.records():
        means.setdefault(record["method"], {})[record["metric"]] = record["mean"]
    titles = {"gradient": "Gradient", "eigen_cam": "Eigen-CAM", "50% & $x_1$": "50% & $x_1$"}
    assert len(body) == 3
    for line, (method, values) in zip(body, means.items(), strict=True):
        assert f"{values['complexity']:.3f}" in line
        assert f"{values['deletion']:.3f}" in line
        assert line.startswith(f"{escaped(titles[method])} & ")
    assert any(line.startswith(r"50\% \& \$x\_1\$ & ") for line in body)
    assert sum(line.count(r"\textbf{") for line in body) == 2
    assert "weight_hash" in text


def test_latex_text_is_escaped_whole() -> None:
    assert escaped("a\\b{c}\n#1 ~^<>") == (
        r"a\textbackslash{}b\{c\} \#1 \textasciitilde{}\textasciicircum{}"
        r"\textless{}\textgreater{}"
    )


def test_a_table_without_metrics_says_what_to_set(make: Make, tmp_path: Path) -> None:
    with pytest.raises(XaiError, match="A table needs a metric"):
        make().save(tmp_path / "grid.tex")


def test_pictures_carry_their_provenance(
    comparison: Comparison, model: xw.ExplainableModel, tmp_path: Path
) -> None:
    with Image.open(comparison.save(tmp_path / "grid.png")) as picture:
        told = json.loads(picture.info["Description"])
        assert picture.width == 2100  # 7 inches at 300 dots
    assert told["models"][0]["weight_hash"] == model.weight_hash
    svg = comparison.save(tmp_path / "grid.svg").read_text()
    assert model.weight_hash in svg
    words = " ".join("".join(e.itertext()) for e in ElementTree.fromstring(svg).iter() if e.text)
    assert "Eigen-CAM" in words
    assert "50% & $x_1$" in words  # text, and no formula
    assert model.weight_hash.encode() in comparison.save(tmp_path / "grid.pdf").read_bytes()


def test_the_figure_shows_what_the_grid_shows(comparison: Comparison) -> None:
    before = plt.get_fignums()
    figure = comparison.figure(width=5)
    assert plt.get_fignums() == before
    assert figure.get_figwidth() == 5
    texts = [text.get_text() for text in figure.texts]
    records = comparison.records()
    order = list(dict.fromkeys(record["method"] for record in records))
    headings = {"gradient": "Gradient", "eigen_cam": "Eigen-CAM", "50% & $x_1$": r"50% & \$x_1\$"}
    assert texts[:3] == [headings[method] for method in order]
    assert [text for text in texts if text.startswith("image")] == ["image 0", "image 2"]
    panels = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"][:8]
    assert len(figure.axes) == 2 * 4 + 1  # pictures and maps, and one bar: all are signed
    drawn = [image for image in panels[1].get_images() if image.get_array().shape == (32, 32)]
    method = [subject.label for subject in comparison.axes.subjects].index(order[0])
    expected = comparison.explanation(images=0, methods=method).map
    np.testing.assert_array_equal(drawn[0].get_array(), expected)
    value = next(r["value"] for r in records if r["metric"] == "complexity")
    assert texts[4] == f"Complexity {value:.3g}"
    assert texts[5].startswith("Deletion ")
    for image in (0, 2):  # the best of each row and metric is bold, and nothing else
        for metric in METRICS:
            row = [r for r in records if r["image_index"] == image and r["metric"] == metric]
            best = min(row, key=lambda record: record["value"])
            bold = f"{metric.capitalize()} {best['value']:.3g}"
            assert [t.get_text() for t in figure.texts if t.get_weight() == "bold"].count(bold) >= 1
    assert sum(text.get_weight() == "bold" for text in figure.texts) == 4
    assert "columns by complexity, best first" in texts[-1]


def test_one_scale_for_all_ends_at_the_largest_of_their_scales(comparison: Comparison) -> None:
    figure = comparison.figure(opacity=None, scale="shared")
    tops = {
        image.get_clim()[1]
        for ax in figure.axes[:8]
        for image in ax.get_images()
        if image.get_array().shape == (32, 32)
    }
    limit = max(
        np.percentile(np.abs(comparison.explanation(images=i, methods=m).map), 99.5)
        for i in (0, 2)
        for m in range(3)
    )
    assert list(tops) == [pytest.approx(float(limit))]
    with pytest.raises(MetricError, match="scale cannot be 'mine'"):
        comparison.figure(scale="mine")
    for given in ({"width": "7"}, {"opacity": 2}, {"max_rows": 0}, {"max_columns": "3"}):
        with pytest.raises(MetricError, match=f"{next(iter(given))} is"):
            comparison.figure(**given)


def test_long_names_stay_in_the_figure_and_none_is_a_formula(
    make: Make, pictures: np.ndarray, tmp_path: Path
) -> None:
    names = ["=1+2.png", "WWWWWWWWWWWWWWWWWWWWWWWWW.png"]
    for name, pixels in zip(names, pictures, strict=False):
        Image.fromarray(pixels).save(tmp_path / name)
    made = make({"-gradient": "gradient"}, images=[tmp_path / name for name in names])
    figure = made.figure()
    assert all(text.get_window_extent().x0 >= 0 for text in figure.texts)
    rows = list(csv.DictReader(io.StringIO(made.save(tmp_path / "o.csv").read_text("utf-8"))))
    assert [(row["image"], row["method"]) for row in rows] == [
        ("'=1+2.png", "'-gradient"),
        (names[1], "'-gradient"),
    ]


def test_cells_that_failed_say_so_in_the_figure(
    make: Make, pictures: np.ndarray, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    figure = make(images=[pictures[0], broken], metrics=["complexity"]).figure()
    reasons = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert sum("cannot be read" in " ".join(reason.split()) for reason in reasons) == 2


@pytest.mark.parametrize(
    ("name", "told"),
    [("grid.docx", r"use one of \.png, \.svg"), ("missing/grid.csv", "does not exist: create it")],
)
def test_a_file_that_cannot_be_written_is_a_sentence(
    comparison: Comparison, tmp_path: Path, name: str, told: str
) -> None:
    with pytest.raises(XaiError, match=told):
        comparison.save(tmp_path / name)


def test_it_shows_itself_as_a_picture_of_its_beginning(
    make: Make, recorded: Recorded, pictures: np.ndarray
) -> None:
    many = np.concatenate([pictures] * 3)
    data: dict[str, Any] = make(["gradient"], many)._repr_mimebundle_()[0]
    assert "image/png" in data
    assert "application/vnd.jupyter.widget-view+json" in data
