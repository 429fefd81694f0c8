"""The sketch pad's kernel side: one answer for each picture, the newest wins, files, defaults."""

from __future__ import annotations

import base64
import gc
import io
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from PIL import Image
from torch import nn

import xai_widgets as xw
from xai_widgets.errors import ImageError, SketchError, XaiError
from xai_widgets.sketch import MAX_BYTES, check_sketch, fitted, rasterise, whole
from xai_widgets.widgets.sketch.pad import SketchPad
from xai_widgets.widgets.sketch.paper import picture_size, suited

Make = Callable[..., SketchPad]
LINE = {"strokes": [{"points": [[0.2, 0.5], [0.8, 0.5]], "width": 0.1}]}
SIZE = (32, 32)


@pytest.fixture
def make(model: xw.ExplainableModel, recorded: Any) -> Iterator[Make]:
    made: list[SketchPad] = []

    def build(source: Any = None, **traits: Any) -> SketchPad:
        made.append(SketchPad(source or model, **{"method": "gradient", **traits}))
        return made[-1]

    yield build
    for pad in made:
        pad.close()


def browser(
    pad: SketchPad, kind: str, payload: dict[str, Any] | None = None, name: str = "b1"
) -> None:
    """Send a message as the browser does, arrays as buffers."""
    from xai_widgets.widgets.codec import encode

    encoded, buffers = encode(payload or {})
    content = {"v": 1, "id": name, "kind": kind, "revision": 1, "payload": encoded}
    pad._receive(pad, content, buffers)


def drawn(pad: SketchPad, number: str, pixels: Any) -> None:
    browser(pad, "drawn", {"window": [0, 0, 1, 1], "array": pixels}, number)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def answers(recorded: Any) -> list[dict[str, Any]]:
    return [message["payload"] for message in recorded.of("seen")]


def test_a_picture_is_answered_with_what_the_model_says_of_it(
    make: Make, recorded, model, net
) -> None:
    pad = make()
    assert pad.explanation
    before = len(recorded.messages)
    drawn(pad, "p-1", noise(1))
    seen = recorded.wait("seen", after=before)["payload"]
    expected = model.predict(noise(1))[0]
    assert (seen["answers"], seen["error"]) == ("p-1", None)
    np.testing.assert_allclose(seen["prediction"]["scores"], expected["scores"], atol=1e-6)
    assert model.labels[seen["prediction"]["predicted"]] == expected["label"]
    np.testing.assert_array_equal(pad.picture, noise(1))
    exact = xw.explain(model, noise(1), "gradient")
    np.testing.assert_allclose(pad.explanation.map, exact.map, atol=1e-7)
    assert recorded.wait("map", after=before)["payload"]["placement"] == {
        "x": 0, "y": 0, "width": 1000, "height": 1000,
    }  # fmt: skip
    assert not any(parameter.grad is not None for parameter in net.parameters())


def test_every_picture_gets_one_answer_and_only_the_newest_counts(
    make: Make, recorded, net
) -> None:
    pad = make()
    assert pad.explanation
    net.gate.clear()
    net.entered.clear()
    drawn(pad, "p-0", noise(0))
    assert net.entered.wait(30)
    for number in range(1, 8):  # a page would wait; several pages do not know of each other
        drawn(pad, f"p-{number}", noise(number))
    net.gate.set()
    np.testing.assert_array_equal(pad.picture, noise(7))
    assert pad.explanation
    numbers = [payload["answers"] for payload in answers(recorded) if payload["answers"]]
    assert sorted(numbers) == [f"p-{number}" for number in range(8)]
    looked = [payload["answers"] for payload in answers(recorded) if payload["prediction"]]
    assert looked[-1] == "p-7"
    assert len(looked) <= 3, "what was replaced is not computed"


def test_a_long_explanation_gives_way_to_predictions(make: Make, recorded, model) -> None:
    pad = make(method="smoothgrad", parameters={"smoothgrad": {"n_samples": 400}})
    recorded.wait("accepted")
    for number in range(6):
        before = len(recorded.messages)
        drawn(pad, f"p-{number}", noise(number))
        recorded.wait("seen", after=before)
    seen = [message["kind"] for message in recorded.messages]
    assert seen.index("result") > 5 if "result" in seen else True
    assert seen.count("seen") >= 6
    # The newest drawing is explained in the end.
    np.testing.assert_array_equal(pad.explanation.image.display.pixels, noise(5))
    finals = recorded.of("result")
    assert len(finals) < 6, "not every picture in between was explained"


def test_what_is_asked_is_explained_anew_without_predicting(make: Make, recorded) -> None:
    pad = make(sketch=LINE)
    first = pad.explanation
    count = len(answers(recorded))
    pad.target = "zebra"
    pad.method = "input_x_gradient"
    assert pad.explanation.method == "input_x_gradient"
    assert pad.explanation.target_text == "zebra"
    assert pad.explanation is not first
    assert len(answers(recorded)) == count


def test_a_sketch_set_in_python_is_drawn_there_and_one_of_the_browser_is_not(
    make: Make, recorded
) -> None:
    pad = make(ground="black")
    pad.sketch = LINE
    checked = check_sketch(LINE)
    np.testing.assert_array_equal(pad.picture, rasterise(checked, SIZE, "#000000"))
    assert pad.sketch == checked
    count = len(answers(recorded))
    stroke = {"points": [[0.1, 0.1]], "width": 0.2, "colour": "#00ff00", "erase": False}
    pad.set_state({"sketch": {"strokes": [stroke]}})
    assert pad.sketch["strokes"] == [stroke]
    assert pad.prediction
    assert len(answers(recorded)) == count, "the browser sends the picture itself"
    pad.ground = "white"
    np.testing.assert_array_equal(pad.picture, rasterise(pad.sketch, SIZE, "#ffffff"))


def test_a_page_that_was_closed_before_it_sent_its_last_picture_leaves_no_old_answer(
    make: Make, recorded
) -> None:
    pad = make(ground="black")
    drawn(pad, "p1", noise(1))
    pad.set_state({"sketch": check_sketch(LINE)})
    np.testing.assert_array_equal(pad.picture, noise(1))
    browser(pad, "hello")
    np.testing.assert_array_equal(pad.picture, rasterise(pad.sketch, SIZE, "#000000"))
    drawn(pad, "p2", noise(2))
    count = len(answers(recorded))
    browser(pad, "hello")
    np.testing.assert_array_equal(pad.picture, noise(2))
    assert len(answers(recorded)) == count + 1, "only what the new view is filled with"


def test_strokes_show_on_another_paper(make: Make, tmp_path: Path) -> None:
    pad = make(sketch=LINE, ground="white")
    pad.ground = "black"
    assert [stroke["colour"] for stroke in pad.sketch["strokes"]] == ["#ffffff"]
    assert pad.picture.max() > 200
    # A file's own strokes keep their colours on their own paper.
    other = make(sketch={"strokes": [{**LINE["strokes"][0], "colour": "#000000"}]}, ground="black")
    path = other.save(tmp_path / "hidden.json")
    fresh = make(ground="white")
    fresh.load(path)
    assert (fresh.ground, fresh.sketch) == (other.ground, other.sketch)


def test_what_the_model_sees_is_fitted_and_its_map_lies_there(make: Make, recorded) -> None:
    pad = make(ground="black", fit=0.1, sketch=LINE)
    window = fitted(pad.sketch, SIZE, 0.1)
    np.testing.assert_array_equal(pad.picture, rasterise(pad.sketch, SIZE, "#000000", window))
    assert pad.explanation
    placement = recorded.of("map")[-1]["payload"]["placement"]
    expected = [1000 * value for value in window.to_list()]
    np.testing.assert_allclose(list(placement.values()), expected)


def test_a_picture_lies_below_cut_to_the_shape_of_the_pad(make: Make, recorded) -> None:
    pad = make(fit=0.1)
    wide = np.zeros((40, 80, 3), np.uint8)
    wide[:, 20:60] = (10, 200, 30)
    pad.background = wide
    assert (pad.picture[:, 2:-2] == (10, 200, 30)).all()
    message = recorded.wait("background")["payload"]
    assert message["array"].shape == (40, 40, 3)
    assert message["small"].shape == (32, 32, 3)
    browser(pad, "background", {"name": "mine.png", "array": noise(2)})
    np.testing.assert_array_equal(pad.picture, noise(2))
    assert pad.background is not None and pad.background.name == "mine.png"
    browser(pad, "background", {"name": "", "array": None})
    assert pad.background is None
    with pytest.raises(ImageError):
        pad.background = "no such file.png"


def test_a_new_view_is_filled_without_computing(make: Make, recorded, net) -> None:
    pad = make(sketch=LINE)
    assert pad.explanation
    recorded.wait("result")
    net.entered.clear()
    before = len(recorded.messages)
    browser(pad, "hello")
    kinds = [message["kind"] for message in recorded.messages[before:]]
    assert kinds == ["ack", "setup", "background", "seen", "accepted", "map", "result"]
    assert recorded.messages[before + 3]["payload"]["answers"] is None
    assert not net.entered.is_set()


def test_the_methods_that_keep_up_come_first(make: Make, recorded) -> None:
    pad = make()
    browser(pad, "hello")
    methods = recorded.of("setup")[0]["payload"]["methods"]
    families = list(dict.fromkeys(method["family"] for method in methods))
    assert families == ["Follows the hand", "Takes longer", "Does not apply"]
    by_name = {method["name"]: method["family"] for method in methods}
    assert by_name["gradient"] == by_name["grad_cam"] == "Follows the hand"
    assert by_name["occlusion"] == by_name["integrated_gradients"] == "Takes longer"
    assert by_name["attention_rollout"] == "Does not apply"


@pytest.mark.parametrize("suffix", [".json", ".png"])
def test_a_drawing_is_saved_and_loaded(make: Make, tmp_path: Path, suffix: str) -> None:
    pad = make(sketch="seven-barred", ground="black", background=noise(4))
    path = pad.save(tmp_path / f"seven{suffix}")
    if suffix == ".png":
        assert Image.open(path).size == (1024, 1024)
        return
    other = make(ground="white")
    other.load(path)
    assert other.sketch == pad.sketch
    assert other.ground == "#000000"
    np.testing.assert_array_equal(other.picture, pad.picture)
    other.clear()
    assert other.background is None
    assert (other.picture == 0).all()


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("sevn", "Did you mean 'seven'"),
        ("missing.json", "cannot be read as a sketch"),
        (7, "given as int"),
        ({"strokes": [{}]}, "must be a dict with 'points'"),
        ("own.json", "holds no sketch"),
    ],
)
def test_what_cannot_be_loaded_gets_a_sentence(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Any, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.json").write_text('{"strokes": []}')
    pad = make(sketch=LINE)
    with pytest.raises(SketchError, match=sentence):
        pad.load(source)
    assert pad.sketch == check_sketch(LINE, "#000000")
    with pytest.raises(XaiError, match=r"use \.json or \.png"):
        pad.save("x.svg")
    with pytest.raises(XaiError, match="does not exist"):
        pad.save("nowhere/x.json")
    with pytest.raises(XaiError, match="given as NoneType"):
        pad.save(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("trait", "value", "sentence"),
    [
        ("sketch", {"strokes": [{"points": [[1, "a"]]}]}, "finite numbers"),
        ("sketch", {"strokes": [{"points": [[0.1, 0.1, -1]]}]}, "pressure"),
        ("ground", "paper", "is no colour"),
        ("ground", "none", "is no colour"),
        ("fit", 0.7, "from 0 to 0.4"),
        ("method", "attention_rollout", "cannot explain this model"),
        ("target", "giraffe", "giraffe"),
    ],
)
def test_a_wrong_value_gets_a_sentence_and_changes_nothing(
    make: Make, trait: str, value: Any, sentence: str
) -> None:
    pad = make(sketch=LINE)
    before = getattr(pad, trait)
    with pytest.raises(traitlets.TraitError, match=sentence):
        setattr(pad, trait, value)
    assert getattr(pad, trait) == before
    assert pad.explanation


def test_a_picture_of_another_size_is_refused_and_answered(make: Make, recorded) -> None:
    pad = make()
    assert pad.explanation
    before = len(recorded.messages)
    drawn(pad, "p-1", np.zeros((3, 4, 3), np.uint8))
    seen = recorded.wait("seen", after=before)["payload"]
    assert seen["answers"] == "p-1"
    assert "uint8 [32, 32, 3]" in seen["error"]
    assert recorded.wait("error", after=before)["payload"]["withdrawn"] == ["prediction", "map"]
    with pytest.raises(XaiError, match="reload the page"):
        pad.prediction
    drawn(pad, "p-2", noise(0))
    assert pad.prediction["label"]
    assert pad.explanation, "the next picture is answered as ever"


def test_a_model_that_gives_nan_says_so_and_recovers(make: Make, recorded, net, model) -> None:
    pad = make()
    assert pad.explanation
    with torch.no_grad():
        kept = net.head.bias.clone()
        net.head.bias.fill_(float("nan"))
    drawn(pad, "p-1", noise(0))
    with pytest.raises(XaiError, match="NaN"):
        pad.prediction
    with pytest.raises(XaiError, match="NaN"):
        pad.to_png()
    with torch.no_grad():
        net.head.bias.copy_(kept)
    browser(pad, "retry")
    assert pad.prediction["probability"] is not None
    assert pad.explanation


def test_without_a_method_the_pad_predicts(make: Make, recorded) -> None:
    pad = make(method="")
    assert pad.prediction["label"]
    assert pad._repr_mimebundle_()[0]["image/png"]
    assert recorded.of("accepted") == []
    with pytest.raises(XaiError, match="only predicts"):
        pad.explanation


def test_a_background_of_other_pictures_is_refused_with_a_sentence(make: Make) -> None:
    pad = make(method="gradient_shap", parameters={"gradient_shap": {"background": "images"}})
    with pytest.raises(XaiError, match="a pad has none"):
        pad.explanation


class Grey(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1) * torch.arange(1.0, 3.0)


DIGITS = [str(digit) for digit in range(10)]


class Ten(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.head = nn.Linear(channels, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize(
    ("network", "options", "ground", "fit", "words"),
    [
        (Ten(3), {"labels": DIGITS, "input_size": 32}, "#000000", 0.0, "digits"),
        (
            Ten(1),
            {"labels": DIGITS, "preprocessing": {"size": 28, "channels": 1}},
            "#000000",
            0.1429,
            "digits",
        ),
        (Grey(), {"preprocessing": {"size": 28, "channels": 1}}, "#000000", None, "grey"),
        (Ten(3), {"preprocessing": {"size": 24, "mean": 0.2}}, "#000000", None, "20% of white"),
        (Ten(3), {"preprocessing": {"size": 24, "mean": 0.5}}, "#ffffff", None, "nothing says"),
        (Ten(3), {"input_size": 24}, "#ffffff", None, "nothing says"),
    ],
)
def test_the_paper_suits_the_model_and_says_why(
    network: nn.Module, options: dict[str, Any], ground: str, fit: float | None, words: str
) -> None:
    paper = suited(xw.load(network.eval(), **options))
    assert (paper.ground, paper.fit) == (ground, fit)
    assert words in paper.reason


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_a_seven_is_a_seven_in_both_frameworks(recorded, framework: str) -> None:
    pad = SketchPad(xw.demo.model("digits", framework=framework), sketch="seven")
    assert pad.prediction["label"] == "7"
    assert pad.explanation.target_text == "7"
    pad.close()


def test_pictures_are_never_larger_than_a_message_may_be(model) -> None:
    class Large:
        input_shape = (3000, 2000, 3)

    height, width = picture_size(Large())  # type: ignore[arg-type]
    assert height * width * 3 <= MAX_BYTES
    assert height / width == pytest.approx(1.5, abs=0.01)
    assert picture_size(model) == SIZE
    assert whole((10, 20)).to_list() == [0, 0, 1, 0.5]


def test_the_mimebundle_and_a_snapshot_hold_a_picture(
    make: Make, recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    pad = make(sketch=LINE)
    data, _ = pad._repr_mimebundle_()
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).width > 800
    pad.snapshot()
    assert base64.b64decode(shown[0]["image/png"]).startswith(b"\x89PNG")


def test_a_closed_pad_is_released(model) -> None:
    pad = SketchPad(model, method="gradient")
    assert pad.explanation
    reference = weakref.ref(pad)
    pad.close()
    del pad
    gc.collect()
    assert reference() is None
