"""`xw.evaluate`: one record per picture, method and metric, whatever fails on the way."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

import xai_widgets as xw
from tests.explainers.test_untouched import state
from tests.models.nets import Residual, picture, seeded
from xai_widgets.errors import MapError, MethodError, MetricError, XaiError
from xai_widgets.evaluation import evaluate_stream, metric, metrics, scorecard, summarise
from xai_widgets.evaluation.records import Record
from xai_widgets.explainers import registry
from xai_widgets.explainers.base import (
    Attribution,
    Cost,
    Explainer,
    Progress,
    Stream,
    parameter,
)

N = 3
MOODS = ("raise", "nan", "zero", "shape", "constant")
METHODS = {"gradient": "gradient", "ig": ("integrated_gradients", {"n_steps": 4})}
CHEAP = ("complexity", "mass_accuracy")


@dataclass(frozen=True)
class Moody(Explainer):
    """Works on bright pictures; else fails, or gives what nobody can judge."""

    name: ClassVar[str] = "moody"
    title: ClassVar[str] = "Moody"
    family: ClassVar[str] = "test"
    reference: ClassVar[str] = "none"
    mood: str = parameter("raise", "What goes wrong.", choices=MOODS)

    @property
    def cost(self) -> Cost:
        return Cost(0, 0)

    def stream(self, model: Any, image: Any, target: Any, layer: Any) -> Stream:
        yield Progress(0, 1)
        values = np.random.default_rng(0).random(image.values.shape, dtype=np.float32)
        if not image.display.pixels.any():
            if self.mood == "raise":
                raise RuntimeError("It is too dark\nin here.")
            if self.mood == "shape":
                return Attribution(values[:5], 0.0)
            if self.mood == "constant":
                return Attribution(np.ones_like(values), 0.0)
            values = values * (np.float32("nan") if self.mood == "nan" else np.float32(0))
        return Attribution(values, 0.0)


@pytest.fixture
def moody(monkeypatch: pytest.MonkeyPatch) -> None:
    known = registry.explainers()
    monkeypatch.setattr(registry, "explainers", lambda: {**known, "moody": Moody})


@pytest.fixture(scope="module")
def data() -> xw.demo.Dataset:
    return xw.demo.dataset("digits", n=N)


@pytest.fixture(scope="module", params=["torch", "tensorflow"])
def model(request: pytest.FixtureRequest) -> xw.ExplainableModel:
    return xw.demo.model("digits", framework=request.param)


@pytest.fixture(scope="module")
def records(model: xw.ExplainableModel, data: xw.demo.Dataset) -> list[dict[str, Any]]:
    every = [
        metric("max_sensitivity", n_samples=2) if record["metric"] == "max_sensitivity"
        else record["metric"]
        for record in metrics()
        if record["metric"] not in ("data_randomisation", "completeness_gap")
    ]  # fmt: skip
    return xw.evaluate(
        model, data.images, METHODS, every, data.masks["stroke"], labels=data.labels,
        columns={"site": ["a", "a", "b"]},
    )  # fmt: skip


def test_there_is_a_record_for_every_picture_method_and_metric(
    records: list[dict[str, Any]],
) -> None:
    keys = [(r["image_index"], r["method"], r["metric"]) for r in records]
    assert len(set(keys)) == len(keys) == N * 2 * 17


def test_every_score_carries_all_that_a_reader_needs(records: list[dict[str, Any]]) -> None:
    for record in records:
        assert set(record) == set(Record.__annotations__) | {"site"}
        assert record["note"] is None and np.isfinite(record["value"])
        assert record["low"] <= record["mean"] <= record["high"]
        assert record["direction"] in ("higher", "lower") and record["n_images"] == N
        assert record["control"] == record["controls"][record["control_name"]]
        assert record["parameters"] is not None and record["seed"] == 0
        assert record["minimum"] is None or record["value"] >= record["minimum"] - 1e-9
        assert record["maximum"] is None or record["value"] <= record["maximum"] + 1e-9


def test_localisation_is_controlled_by_edges_and_random_weights(
    records: list[dict[str, Any]],
) -> None:
    for record in records:
        if record["metric"] in ("pointing_game", "mass_accuracy", "rank_accuracy"):
            assert set(record["controls"]) == {"edges", "random_weights"}


def test_the_control_is_the_one_that_is_hardest_to_beat(records: list[dict[str, Any]]) -> None:
    for record in records:
        best = max if record["direction"] == "higher" else min
        assert record["control"] == best(record["controls"].values())


def test_records_go_to_json_and_pandas_as_they_are(records: list[dict[str, Any]]) -> None:
    pandas = pytest.importorskip("pandas")
    assert json.loads(json.dumps(records)) == records
    frame = pandas.DataFrame(records)
    assert frame["value"].dtype == np.float64
    table = frame.pivot_table(index="method", columns="metric", values="value")
    assert table.shape == (2, 17) and not table.isna().to_numpy().any()


def test_both_frameworks_give_the_same_scores(data: xw.demo.Dataset) -> None:
    names = ["complexity", "deletion", "insertion", "infidelity", "rank_accuracy"]
    found = [
        [
            record["value"]
            for record in xw.evaluate(
                xw.demo.model("digits", framework=framework), data.images, METHODS, names,
                data.masks["stroke"], controls=False,
            )
        ]
        for framework in ("torch", "tensorflow")
    ]  # fmt: skip
    np.testing.assert_allclose(found[0], found[1], rtol=1e-2, atol=2e-3)


def test_the_same_seed_gives_the_same_table(data: xw.demo.Dataset) -> None:
    model = xw.demo.model("digits")
    names = ["deletion", "infidelity", "noise_stability", "weight_randomisation"]
    one, same, other = (
        xw.evaluate(model, data.images[:2], "gradient", names, seed=seed) for seed in (0, 0, 1)
    )
    assert one == same and [r["value"] for r in one] != [r["value"] for r in other]


def test_a_picture_scores_the_same_whatever_lies_beside_it(data: xw.demo.Dataset) -> None:
    model = xw.demo.model("digits")
    alone = xw.evaluate(model, data.images[:1], METHODS, ["complexity", "deletion"])
    beside = xw.evaluate(model, data.images, METHODS, ["complexity", "deletion"])
    assert [r["value"] for r in alone] == [r["value"] for r in beside[: len(alone)]]


def test_the_user_model_is_as_it_was(data: xw.demo.Dataset) -> None:
    source = seeded(Residual)
    before = state(source)
    masks = np.zeros((1, 32, 32), dtype=bool)
    masks[0, :9] = True
    xw.evaluate(source, [picture()], ["gradient", "grad_cam"], None, masks)
    assert state(source) == before


@pytest.mark.parametrize("stop_after", [0, 1, 5, 20, 40])
def test_cancelling_leaves_the_model_as_it_was(stop_after: int) -> None:
    source = seeded(Residual)
    before = state(source)
    stream = evaluate_stream(source, [picture()], ["smoothgrad", "gradient"], None)
    for _ in range(stop_after):
        next(stream)
    stream.close()
    assert state(source) == before


def test_progress_counts_cells_and_hands_their_records_over(data: xw.demo.Dataset) -> None:
    seen: list[dict[str, Any]] = []

    def all_of_it() -> Any:
        stream = evaluate_stream(xw.demo.model("digits"), data.images, METHODS, ["complexity"])
        return (yield from stream)

    stream = all_of_it()
    for step in stream:
        assert step.total == 2 * N and step.done == len(seen) + len(step.records)
        seen += step.records
    assert len(seen) == 2 * N and all(record["mean"] is not None for record in seen)


# What fails, and what goes on ---------------------------------------------------------------


@pytest.mark.usefixtures("moody")
@pytest.mark.parametrize(
    ("mood", "sentence"),
    [
        ("raise", "It stopped with RuntimeError: It is too dark in here."),
        ("nan", "Moody gave NaN or infinite values"),
        ("zero", "The map is zero everywhere: there is nothing to judge."),
        ("shape", r"The map has shape [5, 32, 3], and the model's input [32, 32, 3]"),
    ],
)
def test_a_method_that_fails_on_one_picture_says_so_and_the_rest_goes_on(
    mood: str, sentence: str, data: xw.demo.Dataset
) -> None:
    images = [data.images[0], np.zeros((32, 32, 3), np.uint8), data.images[1]]
    methods = {"moody": Moody(mood), "gradient": "gradient"}
    records = xw.evaluate(xw.demo.model("digits"), images, methods, ["complexity", "deletion"])
    assert len(records) == 12
    for record in records:
        failed = record["method"] == "moody" and record["image_index"] == 1
        assert (record["value"] is None) == failed
        assert (record["note"] or "").startswith(sentence if failed else "")
    rows = {(row["method"], row["metric"]): row for row in summarise(records)}
    assert rows["moody", "deletion"]["n_images"] == 2
    assert rows["moody", "deletion"]["n_failed"] == 1
    assert rows["gradient", "deletion"]["n_images"] == 3


@pytest.mark.usefixtures("moody")
def test_a_constant_map_has_no_shape_to_judge_but_has_an_order() -> None:
    records = xw.evaluate(
        xw.demo.model("digits"), [np.zeros((32, 32, 3), np.uint8)], [Moody("constant")],
        ["complexity", "deletion"],
    )  # fmt: skip
    assert "the same everywhere" in records[0]["note"]
    assert records[1]["value"] is not None


def test_a_picture_that_cannot_be_opened_says_so_and_the_rest_goes_on(
    tmp_path: Any, data: xw.demo.Dataset
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    images = [data.images[0], broken, data.images[1]]
    records = xw.evaluate(xw.demo.model("digits"), images, METHODS, ["complexity"])
    notes = [(r["image"], r["note"] is None) for r in records]
    assert notes == [("image 0", True)] * 2 + [("broken.png", False)] * 2 + [("image 2", True)] * 2
    assert "cannot be read as an image" in records[2]["note"]


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (np.ones((5, 5), bool), r"has shape [5, 5]: give [32, 32]"),
        (np.zeros((32, 32), bool), "holds none of the pixels"),
        (np.ones((32, 32), bool), "holds all of the pixels"),
        (np.full((32, 32), np.nan), "NaN or infinite"),
        (None, "give masks"),
    ],
)
def test_a_mask_that_does_not_fit_fails_localisation_alone(
    mask: Any, sentence: str, data: xw.demo.Dataset
) -> None:
    masks = [mask, data.masks["stroke"][1]]
    model = xw.demo.model("digits")
    records = xw.evaluate(model, data.images[:2], "gradient", CHEAP, masks)
    values = {(r["image_index"], r["metric"]): r for r in records}
    failed = values.pop((0, "mass_accuracy"))
    assert failed["value"] is None and sentence in failed["note"]
    assert all(record["value"] is not None for record in values.values())


def test_masks_may_lie_on_the_grid_of_a_larger_picture() -> None:
    model = xw.demo.model("digits")
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    mask = np.zeros((64, 64), bool)
    mask[:32] = True
    found = [
        xw.evaluate(model, [image], "gradient", "mass_accuracy", [given])[0]["value"]
        for given in (mask, mask[::2, ::2])
    ]
    assert found[0] == pytest.approx(found[1])


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda m, i: xw.evaluate(m, i, "gradeint"), MethodError, "Did you mean 'gradient'"),
        (lambda m, i: xw.evaluate(m, i, []), MethodError, "at least one"),
        (lambda m, i: xw.evaluate(m, i, ["gradient", "gradient"]), MethodError, "twice"),
        (lambda m, i: xw.evaluate(m, i, [3]), MethodError, "3 is no method"),
        (lambda m, i: xw.evaluate(m, i, 3), MethodError, "given as int"),
        (
            lambda m, i: xw.evaluate(m, i, [("gradient", {"n": 3})]),
            MethodError,
            "no parameter 'n'",
        ),
        (lambda m, i: xw.evaluate(m, i, "gradient", "beauty"), MetricError, "no metric 'beauty'"),
        (lambda m, i: xw.evaluate(m, i, "gradient", []), MetricError, "at least one"),
        (
            lambda m, i: xw.evaluate(m, i, "gradient", ["deletion", "deletion"]),
            MetricError,
            "Deletion is among the metrics twice",
        ),
        (
            lambda m, i: xw.evaluate(m, i, "gradient", masks=np.zeros((1, 32, 32))),
            MapError,
            "masks has 1 entries, and there are 3 pictures",
        ),
        (
            lambda m, i: xw.evaluate(m, i, "gradient", columns={"value": [1, 2, 3]}),
            MetricError,
            "cannot be called 'value'",
        ),
        (lambda m, i: xw.evaluate(m, i), MetricError, "Give images and methods"),
        (
            lambda m, i: xw.evaluate(m, i, "gradient", CHEAP[:1], confidence=95),
            MetricError,
            "between 0 and 1",
        ),
        (
            lambda m, i: summarise(xw.evaluate(m, i, "gradient", CHEAP[:1]), "sites"),
            MetricError,
            "no column 'sites'",
        ),
    ],
)
def test_a_wrong_question_is_refused_before_anything_runs(
    call: Any, error: type[XaiError], text: str, data: xw.demo.Dataset
) -> None:
    with pytest.raises(error, match=text):
        call(xw.demo.model("digits"), data.images)


# Finished explanations ----------------------------------------------------------------------


def test_finished_explanations_are_judged_without_a_model(data: xw.demo.Dataset) -> None:
    model = xw.demo.model("digits")
    made = [
        xw.explain(model, image, method)
        for image in data.images
        for method in ("gradient", "grad_cam")
    ]
    found = xw.evaluate(made, metrics=["complexity", "deletion"], controls=False)
    direct = xw.evaluate(
        model, data.images, ["gradient", "grad_cam"], ["complexity", "deletion"], controls=False
    )
    for one, other in zip(found, direct, strict=True):
        if one["metric"] == "deletion":
            assert one["value"] is None and "give the model" in one["note"]
        else:
            assert one["value"] == pytest.approx(other["value"])
    again = xw.evaluate(model, explanations=made, metrics=["deletion"], controls=False)
    expected = [r["value"] for r in direct if r["metric"] == "deletion"]
    assert [r["value"] for r in again] == pytest.approx(expected)


# Reading the table --------------------------------------------------------------------------


def test_slices_average_over_their_own_pictures(records: list[dict[str, Any]]) -> None:
    rows = [row for row in summarise(records, by="site") if row["metric"] == "complexity"]
    counts = {(row["method"], row["site"]): row["n_images"] for row in rows}
    assert counts == {("gradient", "a"): 2, ("gradient", "b"): 1, ("ig", "a"): 2, ("ig", "b"): 1}
    for row in rows:
        values = [
            r["value"]
            for r in records
            if (r["method"], r["metric"], r["site"]) == (row["method"], "complexity", row["site"])
        ]
        assert row["mean"] == pytest.approx(np.mean(values))
        assert (row["low"] is None) == (row["n_images"] == 1)


@pytest.mark.parametrize("column", ["label", "predicted", "correct", "confidence_band"])
def test_pictures_are_sliced_by_what_the_model_said(
    column: str, records: list[dict[str, Any]]
) -> None:
    rows = summarise(records, by=column)
    n = sum(row["n_images"] for row in rows)
    assert n == len(records) and all(row[column] is not None for row in rows)


def test_the_scorecard_says_what_passed_and_what_it_means(records: list[dict[str, Any]]) -> None:
    card = scorecard(records)
    assert len(card.lines) == 2 * 17
    assert {line.outcome for line in card.lines} <= {"passed", "failed", "unclear", "described"}
    text = str(card)
    assert text.startswith("gradient: ") and "\n\nig: " in text and " tests passed" in text
    for line in card.lines:
        if line.metric in ("complexity", "agreement", "max_sensitivity"):
            assert line.outcome == "described"


def invented(value: float, control: float, n: int = 12, name: str = "deletion") -> Any:
    rng = np.random.default_rng(0)
    base = dict.fromkeys(Record.__annotations__)
    kind = metric(name)
    return [
        {
            **base, "method": "m", "metric": name, "value": value + 0.01 * rng.standard_normal(),
            "controls": {"random": control}, "direction": kind.direction, "unit": "",
            "parameters": {}, "minimum": 0, "maximum": 1,
        }
        for _ in range(n)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "control", "name", "outcome"),
    [
        (0.2, 0.5, "deletion", "passed"),
        (0.8, 0.5, "deletion", "failed"),
        (0.5, 0.5, "deletion", "unclear"),
        (0.8, 0.5, "insertion", "passed"),
        (0.2, 0.5, "insertion", "failed"),
        (0.2, 1.0, "weight_randomisation", "passed"),
        (0.9, 1.0, "weight_randomisation", "failed"),
        (0.5, 1.0, "weight_randomisation", "unclear"),
    ],
)
def test_a_score_passes_where_its_interval_lies_on_the_good_side(
    value: float, control: float, name: str, outcome: str
) -> None:
    (line,) = scorecard(invented(value, control, name=name)).lines
    assert line.outcome == outcome
