"""Tools below an Explorer: opened by a message, told by the ids of their models, closed with it."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import xai_widgets as xw
from tests.widgets.conftest import Recorded
from xai_widgets.errors import MethodError, XaiError
from xai_widgets.widgets.attention.view import AttentionView
from xai_widgets.widgets.scrubber.scrubber import PathScrubber


@pytest.fixture
def explorer(
    model: xw.ExplainableModel, pictures: np.ndarray, recorded: Recorded
) -> Iterator[xw.Explorer]:
    explorer = xw.Explorer(model, pictures, image_index=1)
    explorer.explanation
    yield explorer
    explorer.close()


def browser(explorer: xw.Explorer, kind: str, **payload: Any) -> None:
    content = {"v": 1, "id": "b1", "kind": kind, "revision": 1, "payload": payload}
    explorer._receive(explorer, content, [])


def told(recorded: Recorded) -> dict[str, Any]:
    tools: dict[str, Any] = recorded.of("opened")[-1]["payload"]["tools"]
    return tools


def test_the_button_opens_a_scrubber_of_the_same_picture_and_closes_it(
    explorer: xw.Explorer, recorded: Recorded, model: xw.ExplainableModel, pictures: np.ndarray
) -> None:
    browser(explorer, "open", tool="scrubber")
    scrubber = explorer.look_closer("scrubber")
    assert isinstance(scrubber, PathScrubber)
    assert told(recorded) == {"scrubber": {"model": scrubber.model_id, "error": None}}
    assert scrubber.image.key == model.prepare(pictures[1]).key
    browser(explorer, "open", tool="scrubber")  # a second press makes no second one
    assert told(recorded)["scrubber"]["model"] == scrubber.model_id
    browser(explorer, "hello")  # a reload finds it again
    assert told(recorded)["scrubber"]["model"] == scrubber.model_id
    browser(explorer, "open", tool="scrubber", open=False)
    assert told(recorded) == {} and scrubber.comm is None


def test_a_function_of_the_output_is_a_target_for_both(explorer: xw.Explorer) -> None:
    scrubber = explorer.look_closer("scrubber")

    def first(scores: Any) -> Any:
        return scores[:, 0]

    scrubber.target = first
    assert explorer.target == scrubber.target == {"kind": "function", "name": "first"}
    assert scrubber.explanation.score == pytest.approx(explorer.explanation.score)


def test_what_is_closed_from_python_leaves_the_page_and_goes_with_its_explorer(
    explorer: xw.Explorer, recorded: Recorded
) -> None:
    explorer.look_closer("scrubber").close()
    assert told(recorded) == {}
    again = explorer.look_closer("scrubber")
    explorer.close()
    assert again.comm is None


def test_what_the_model_cannot_do_is_told_in_a_sentence(
    explorer: xw.Explorer, recorded: Recorded
) -> None:
    with pytest.raises(MethodError, match="The attention cannot be opened for this model"):
        explorer.look_closer("attention")
    browser(explorer, "open", tool="attention")
    assert "cannot be opened" in told(recorded)["attention"]["error"]
    with pytest.raises(XaiError, match="open one of scrubber, attention"):
        explorer.look_closer("microscope")
    browser(explorer, "open", tool="attention", open=False)
    assert told(recorded) == {}


def test_attention_of_another_picture_takes_the_place_of_the_first(recorded: Recorded) -> None:
    data = xw.demo.dataset("animals", n=3, seed=3)
    model = xw.demo.model("animals", architecture="vit")
    explorer = xw.Explorer(model, data.images)
    first = explorer.look_closer("attention")
    assert isinstance(first, AttentionView)
    first.attention
    first.layer, first.query = 1, [2, 3]
    explorer.image_index = 2
    second = explorer.look_closer("attention")
    assert isinstance(second, AttentionView) and second is not first and first.comm is None
    assert second.image.key == model.prepare(data.images[2]).key
    assert (second.layer, second.query) == (1, [2, 3])
    assert told(recorded)["attention"]["model"] == second.model_id
    explorer.close()
    assert second.comm is None


def test_a_picture_that_cannot_be_opened_is_told_and_the_next_one_is_shown(
    recorded: Recorded, tmp_path: Path
) -> None:
    data = xw.demo.dataset("animals", n=2, seed=3)
    files = [tmp_path / f"{i}.png" for i in range(3)]
    for file, pixels in zip(files[::2], data.images, strict=True):
        Image.fromarray(pixels).save(file)
    files[1].write_bytes(b"no picture")
    model = xw.demo.model("animals", architecture="vit")
    explorer = xw.Explorer(model, files, method="gradient")
    explorer.explanation
    scrubber = explorer.look_closer("scrubber")
    assert isinstance(scrubber, PathScrubber)
    explorer.look_closer("attention")
    explorer.image_index = 1
    with pytest.raises(XaiError, match=r"1\.png"):
        explorer.explanation
    with pytest.raises(XaiError, match=r"1\.png"):
        scrubber.explanation
    assert "1.png" in told(recorded)["attention"]["error"]
    assert told(recorded)["scrubber"]["model"] == scrubber.model_id
    for index in (0, 1, 0):  # also when it is the picture of before
        explorer.image_index = index
    assert scrubber.explanation.image.key == model.prepare(files[0]).key
    assert explorer.explanation.image.key == model.prepare(files[0]).key
    explorer.close()


def test_closing_frees_the_scrubber(explorer: xw.Explorer, recorded: Recorded) -> None:
    scrubber = explorer.look_closer("scrubber")
    assert isinstance(scrubber, PathScrubber)
    scrubber.explanation
    seen = weakref.ref(scrubber)
    browser(explorer, "open", tool="scrubber", open=False)
    del scrubber
    recorded.messages.clear()
    for _ in range(50):
        gc.collect()
        if seen() is None:
            break
        threading.Event().wait(0.1)
    assert seen() is None
