"""What is asked wrongly is refused in a sentence, before anything is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xai_widgets as xw
from xai_widgets.errors import MetricError, TargetError, XaiError
from xai_widgets.evaluation import cascade, curve, evaluate_stream, sanity_verdict, summarise

N = 2


@pytest.fixture(scope="module")
def data() -> xw.demo.Dataset:
    return xw.demo.dataset("digits", n=N)


@pytest.fixture(scope="module")
def model() -> xw.ExplainableModel:
    return xw.demo.model("digits")


@pytest.fixture
def refused(
    model: xw.ExplainableModel, data: xw.demo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Return what asks, and gives the sentence of the refusal; nothing may have been computed."""

    def forbidden(*_: Any, **__: Any) -> Any:
        raise AssertionError("The model was asked.")

    for name in ("outputs", "probabilities", "target_scores"):
        monkeypatch.setattr(model, name, forbidden)

    def ask(error: type[XaiError] = XaiError, **question: Any) -> str:
        asked = {"images": data.images, "methods": "gradient", "metrics": "complexity"}
        with pytest.raises(error) as caught:
            next(evaluate_stream(model, **{**asked, **question}))
        return str(caught.value)

    return ask


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (["seven", "8"], "no class 'seven' among the labels"),
        ([-1, 3], "no class -1 among the labels: give positions from 0 to 9"),
        ([3, 99], "no class 99 among the labels"),
        ([3, 1.5], "no class 1.5"),
        ([True, 3], "no class True"),
        ([1, 2, 3], "labels has 3 entries, and there are 2 pictures"),
    ],
    ids=["unknown", "negative", "beyond", "fraction", "truth", "too_many"],
)
def test_labels_that_the_model_does_not_have_are_refused(
    labels: Any, text: str, refused: Any
) -> None:
    assert text in refused(labels=labels)


@pytest.mark.parametrize("target", ["nope", 99, xw.LayerTarget("nowhere")])
def test_a_target_that_the_model_does_not_have_is_refused(target: Any, refused: Any) -> None:
    assert "no " in refused(XaiError, target=target)


def test_a_class_that_does_not_exist_is_a_target_error(refused: Any) -> None:
    assert "There is no class 'nope'" in refused(TargetError, target="nope")


def test_labels_may_be_positions_names_or_unknown(
    model: xw.ExplainableModel, data: xw.demo.Dataset
) -> None:
    first = model.labels[int(data.labels[0])]
    for labels in ([data.labels[0], None], [first, None], [first.upper(), None]):
        found = xw.evaluate(model, data.images, "gradient", "complexity", labels=labels)
        assert [record["label"] for record in found] == [first, None]
        assert [record["correct"] for record in found] == [first == found[0]["predicted"], None]


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ({"seed": -1}, "seed is -1: give a whole number of at least 0"),
        ({"seed": "a"}, "seed is 'a'"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"normalisation": "abs"}, "normalisation is 'abs': give a Normalisation"),
        ({"normalisation": {"sign": "absolute"}}, "give a Normalisation"),
        ({"metrics": 3}, "metrics is 3: give names"),
        ({"masks": 3}, "masks is 3: give a sequence"),
        ({"masks": np.array(3)}, "masks is array(3): give a sequence"),
        ({"labels": 3}, "labels is 3: give a sequence"),
        ({"columns": [1, 2]}, "columns is a list: give a mapping"),
        ({"columns": {"site": 3}}, "site is 3: give a sequence"),
        ({"confidence": "a"}, "confidence is 'a': give a number between 0 and 1"),
        ({"confidence": 95}, "confidence is 95: give a number between 0 and 1"),
        ({"explanations": [3]}, "explanations must be a sequence"),
        ({"explanations": []}, "at least one Explanation"),
        ({"explanations": 3}, "explanations must be a sequence"),
    ],
    ids=repr,
)
def test_a_value_of_a_wrong_type_is_refused(question: Any, text: str, refused: Any) -> None:
    assert text in refused(**question)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"confidence": "a"}, "confidence is 'a'"),
        ({"seed": -1}, "seed is -1"),
        ({"by": 3}, "by is 3: give the name"),
    ],
)
def test_a_summary_with_a_wrong_interval_is_refused(options: Any, text: str) -> None:
    with pytest.raises(MetricError, match=text):
        summarise([], **options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"seeds": 3}, "seeds is 3: give a sequence"),
        ({"seeds": ["a"]}, "seeds is 'a'"),
        ({"seeds": [-1]}, "seeds is -1"),
        ({"n_stages": "x"}, "n_stages is 'x'"),
        ({"threshold": "x"}, "threshold is 'x'"),
    ],
    ids=repr,
)
def test_a_verdict_with_a_wrong_number_is_refused(
    options: Any, text: str, model: xw.ExplainableModel, data: xw.demo.Dataset
) -> None:
    with pytest.raises(MetricError, match=text):
        sanity_verdict(model, data.images, "gradient", **options)


@pytest.mark.parametrize("options", [{"n_stages": "x"}, {"n_stages": 0}, {"seed": -1}], ids=repr)
def test_a_cascade_with_a_wrong_number_is_refused(
    options: Any, model: xw.ExplainableModel, data: xw.demo.Dataset
) -> None:
    with pytest.raises(MetricError, match="give a whole number of at least"):
        cascade(model, data.images[0], "gradient", **options)


@pytest.mark.parametrize("options", [{"n_steps": 0}, {"seed": -1}, {"seed": "a"}], ids=repr)
def test_a_curve_with_a_wrong_number_is_refused(
    options: Any, model: xw.ExplainableModel, data: xw.demo.Dataset
) -> None:
    made = xw.explain(model, data.images[0], "gradient")
    with pytest.raises(MetricError, match="give a whole number of at least"):
        curve(model, made, **options)


def test_one_finished_explanation_needs_no_list(
    model: xw.ExplainableModel, data: xw.demo.Dataset
) -> None:
    made = xw.explain(model, data.images[0], "gradient")
    (found,) = xw.evaluate(model, explanations=made, metrics="complexity")
    assert found["value"] is not None
