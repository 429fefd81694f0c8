"""The lesson canvas without a browser: it never waits for long, nor keeps ipycanvas holding."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import xai_widgets as xw
from xai_widgets.errors import DependencyError, ImageError, MapError, XaiError
from xai_widgets.widgets.lesson import pulse as pulse_module
from xai_widgets.widgets.lesson.pulse import Pulse
from xai_widgets.widgets.protocol import VERSION

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 80, 3), dtype=np.uint8)


class Sent(list[tuple[list[Any], list[Any]]]):
    """What ipycanvas has sent: commands and buffers of each message."""

    def add(self, metadata: Any, buffers: Any = None) -> None:
        commands = json.loads(bytes(buffers[0]))
        self.append((commands if isinstance(commands[0], list) else [commands], buffers[1:]))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    from ipycanvas.canvas import _CanvasManager

    record = Sent()
    monkeypatch.setattr(
        _CanvasManager, "send", lambda _self, content, buffers=None: record.add(content, buffers)
    )
    return record


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse_module, "FIRST_SECONDS", 0.05)
    monkeypatch.setattr(pulse_module, "BLOCKED_SECONDS", 0.05)


def pong(pulse: Pulse, number: int) -> None:
    content = {"v": VERSION, "id": "b1", "kind": "pong", "revision": number, "payload": {}}
    pulse._receive(pulse, content, [])


def test_it_is_a_multicanvas_in_the_shape_of_the_picture() -> None:
    from ipycanvas import MultiCanvas

    canvas = xw.lesson_canvas(PICTURE, side=320)
    assert isinstance(canvas, MultiCanvas)
    assert (canvas.width, canvas.height) == (320, 160)
    assert canvas.drawing is canvas[2]


def test_the_picture_is_sent_without_loss_and_in_image_pixels(sent: Sent) -> None:
    xw.lesson_canvas(PICTURE, side=320)
    (commands, buffers) = sent[-1]
    assert [4, 0, 0, 4, 0, 0] in [command[1] for command in commands if len(command) > 1]
    held = Image.open(io.BytesIO(bytes(buffers[0])))
    assert held.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(held)[..., :3], PICTURE)


def test_a_frame_is_one_message(sent: Sent) -> None:
    canvas = xw.lesson_canvas(PICTURE)
    before = len(sent)
    with canvas.frame():
        canvas.patch(1, 2, 3, 4)
        canvas.show(np.eye(4))
        canvas.drawing.stroke_line(0, 0, 10, 10)
    assert len(sent) == before + 1
    canvas.drawing.fill_rect(0, 0, 1, 1)  # outside of a frame it is sent at once
    assert len(sent) > before + 1


def test_an_error_inside_of_a_frame_leaves_nothing_held(sent: Sent) -> None:
    canvas = xw.lesson_canvas(PICTURE)
    with pytest.raises(MapError), canvas.frame():
        canvas.show([1, 2])
    before = len(sent)
    canvas.drawing.fill_rect(0, 0, 1, 1)
    assert len(sent) > before
    assert canvas.pulse.sent == 0


def test_numbers_of_numpy_can_be_drawn_with(sent: Sent) -> None:
    canvas = xw.lesson_canvas(PICTURE)
    with canvas.frame():
        canvas.patch(np.int64(1), np.float32(2), 3, np.uint8(4))
        canvas.drawing.fill_rect(*np.array([5, 6, 7, 8]))
    drawn = [command[1] for command in sent[-1][0] if len(command) > 1]
    assert [1, 2.0, 3, 4] in drawn and [5, 6, 7, 8] in drawn


def test_what_cannot_be_sent_harms_no_later_frame_and_no_other_canvas(sent: Sent) -> None:
    canvas, other = xw.lesson_canvas(PICTURE), xw.lesson_canvas(PICTURE)
    with pytest.raises(XaiError, match="cannot be sent"), canvas.frame():
        canvas.drawing.fill_text(object(), 1, 2)
    before = len(sent)
    for each in (other, canvas):
        with each.frame():
            each.patch(1, 2, 3, 4)
    assert len(sent) == before + 2


def test_a_huge_picture_is_sent_no_larger_than_it_can_be_seen(sent: Sent) -> None:
    canvas = xw.lesson_canvas(np.zeros((1500, 6000, 3), dtype=np.uint8))
    commands, buffers = sent[-1]
    assert Image.open(io.BytesIO(bytes(buffers[0]))).size == (2048, 512)
    assert [6000 / 2048, 1500 / 512] in [command[1] for command in commands if len(command) > 1]
    assert canvas.image.width == 6000


def test_a_host_that_shows_no_widgets_gets_picture_and_map() -> None:
    canvas = xw.lesson_canvas(PICTURE, side=80)

    def shown() -> np.ndarray:
        png = base64.b64decode(canvas._repr_mimebundle_()["image/png"])
        return np.asarray(Image.open(io.BytesIO(png)))

    np.testing.assert_array_equal(shown(), PICTURE)
    canvas.show(np.array([[0.0, 1.0]]), opacity=1)
    assert (shown()[:, 60:] != PICTURE[:, 60:]).any()
    np.testing.assert_array_equal(shown()[:, :20], PICTURE[:, :20])
    assert "application/vnd.jupyter.widget-view+json" in canvas._repr_mimebundle_()


def test_a_tensor_that_is_being_computed_with_can_be_shown(sent: Sent) -> None:
    canvas = xw.lesson_canvas(PICTURE)
    before = len(sent)
    canvas.show(torch.ones(3, 4, requires_grad=True))
    assert len(sent) == before + 1


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda canvas: canvas.show("map"), "without numbers"),
        (lambda canvas: canvas.show([[1, np.inf]]), "infinite"),
        (lambda canvas: canvas.show([[1, 2]], opacity="half"), "opacity"),
        (lambda canvas: canvas.show([[1, 2]], limit=np.nan), "limit"),
        (lambda canvas: canvas.patch("left", 1, 2, 3), "as numbers"),
        (lambda canvas: xw.lesson_canvas(PICTURE, np.ones((2, 2))), "to `show`"),
        (lambda canvas: xw.lesson_canvas(PICTURE, side="wide"), "longer side"),
    ],
)
def test_wrong_arguments_get_a_sentence(act: Any, sentence: str) -> None:
    with pytest.raises(XaiError, match=sentence):
        act(xw.lesson_canvas(PICTURE))


@pytest.mark.parametrize("awaiting", [True, False])
def test_without_a_browser_a_hundred_frames_wait_once(awaiting: bool) -> None:
    canvas = xw.lesson_canvas(PICTURE)

    async def animate() -> None:
        for step in range(100):
            async with canvas.frame():
                canvas.patch(step % 60, 5, 8, 8)

    started = time.perf_counter()
    if awaiting:
        asyncio.run(animate())
    else:
        for step in range(100):
            with canvas.frame():
                canvas.patch(step % 60, 5, 8, 8)
    assert canvas.pulse.sent == 100
    assert canvas.pulse.shown == 0
    assert time.perf_counter() - started < 10


def test_a_frame_waits_until_the_browser_shows_those_before() -> None:
    pulse = Pulse()
    pong(pulse, 0)
    pulse.beat()
    pulse.beat()
    order = []

    async def draw() -> None:
        assert await pulse.wait_async(1)
        order.append("drawn")

    async def show() -> None:
        order.append("shown")
        pong(pulse, 1)

    async def both() -> None:
        await asyncio.gather(draw(), show())

    asyncio.run(both())
    assert order == ["shown", "drawn"]


def test_a_thread_that_reads_answers_wakes_a_cell_that_does_not_await() -> None:
    pulse = Pulse()
    pong(pulse, 0)
    pulse.beat()
    pulse.beat()
    entered, done = threading.Event(), threading.Event()

    def draw() -> None:
        entered.set()
        assert pulse.wait(1)
        done.set()

    thread = threading.Thread(target=draw)
    thread.start()
    assert entered.wait(10)
    assert not done.is_set()
    pong(pulse, 1)
    assert done.wait(10)
    thread.join()


def test_a_browser_that_comes_late_is_waited_for_again() -> None:
    pulse = Pulse()
    pulse.beat()
    assert not pulse.wait(0)
    assert pulse._patience == 0
    pong(pulse, 1)
    assert pulse._patience > 0
    assert pulse.wait(0)


def test_an_explanation_is_shown_at_the_start_with_its_colours(model: Any) -> None:
    result = xw.explain(model, PICTURE, "gradient", target=0)
    canvas = xw.lesson_canvas(PICTURE, result)
    heat = canvas._heat
    assert heat is not None and heat.shape == (40, 80, 4)
    limit = np.abs(result.heatmap).max()
    most = np.unravel_index(np.abs(result.heatmap).argmax(), (40, 80))
    assert heat[most][3] == round(0.75 * 255)
    red, _, blue, _ = heat[most]
    assert (red > blue) == (result.heatmap[most] > 0)
    canvas.show(np.array([[np.nan, limit, -limit]]))
    assert canvas._heat is not None
    assert canvas._heat[0, :, 3].tolist() == [0, 191, 191]


@pytest.mark.parametrize("heatmap", [np.zeros((2, 3, 4)), np.zeros((0, 3)), 5])
def test_what_is_no_map_gets_a_sentence(heatmap: Any) -> None:
    with pytest.raises(MapError, match=r"give \[height, width\]"):
        xw.lesson_canvas(PICTURE).show(heatmap)


def test_bad_pictures_and_sizes_get_a_sentence() -> None:
    with pytest.raises(ImageError):
        xw.lesson_canvas("no such file.png")
    with pytest.raises(ImageError, match="give the pixels of the longer side"):
        xw.lesson_canvas(PICTURE, side=0)


def test_without_ipycanvas_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipycanvas", None)
    monkeypatch.delitem(sys.modules, "xai_widgets.widgets.lesson.layers", raising=False)
    with pytest.raises(DependencyError, match=r"xai-widgets\[canvas\]"):
        xw.lesson_canvas(PICTURE)
