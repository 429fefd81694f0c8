"""What is asked wrongly is refused in a sentence, before anything is computed."""

from __future__ import annotations

from typing import Any

import pytest

import xai_widgets as xw
from xai_widgets.errors import TargetError, XaiError
from xai_widgets.evaluation import evaluate_stream

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
