"""The sketch pad in a real JupyterLab: a drawn seven is a seven, and nothing ever queues up."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.lab import axe
from tests.lab.page import Lab, LabPage
from tests.lab.sketch_page import SEVEN, SketchPage

pytestmark = pytest.mark.lab

DIGITS = "import xai_widgets as xw\nmodel = xw.demo.model('digits')"
SHOW = "pad = xw.SketchPad(model)\npad"
BLIND = """
import numpy as np, onnx, tempfile
from onnx import TensorProto, helper
node = helper.make_node("GlobalAveragePool", ["x"], ["y"])
flat = helper.make_node("Flatten", ["y"], ["z"])
graph = helper.make_graph([node, flat], "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 24, 48])],
    [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 3])])
file = tempfile.mkdtemp() + "/colours.onnx"
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)
import xai_widgets as xw
pad = xw.SketchPad(xw.load(file, labels=["red", "green", "blue"]), ground="black")
pad
"""

# Draws a spiral for some seconds, a few points a frame, and notes how much is unanswered at most.
SCRIBBLE = """async ([root, seconds]) => {
  const frame = root.querySelector(".xaiw-frame");
  const box = frame.getBoundingClientRect();
  const fire = (type, t) => frame.dispatchEvent(new PointerEvent(type, {
    pointerId: 7, pointerType: "mouse", isPrimary: true, bubbles: true, cancelable: true, button: 0,
    buttons: type === "pointerup" ? 0 : 1,
    clientX: box.left + box.width * (0.5 + 0.35 * Math.cos(9 * t) * Math.cos(t)),
    clientY: box.top + box.height * (0.5 + 0.35 * Math.sin(7 * t)),
  }));
  const from = { sent: +root.dataset.sent, answered: +root.dataset.answered };
  const started = performance.now();
  let points = 0;
  let most = 0;
  fire("pointerdown", 0);
  while (performance.now() - started < 1000 * seconds) {
    await new Promise((done) => requestAnimationFrame(done));
    for (let i = 0; i < 3; i += 1) fire("pointermove", (points += 1) / 200);
    most = Math.max(most, root.dataset.sent - root.dataset.answered);
  }
  fire("pointerup", points / 200);
  return { points, most, sent: root.dataset.sent - from.sent };
}"""

# Two fingers by the browser's own input pipeline.
TOUCH = "Input.dispatchTouchEvent"


@pytest.fixture
def opened(lab: Lab) -> tuple[LabPage, SketchPage]:
    page = lab.open([DIGITS, SHOW], height=1300)
    return page, SketchPage(page)


def drawn_messages(page: LabPage) -> int:
    return sum(
        message.comm_data.get("content", {}).get("kind") == "drawn"
        for message in page.comm_messages()
    )


def test_a_seven_drawn_with_the_mouse_is_a_seven_and_its_explanation_follows_without_a_queue(
    opened: tuple[LabPage, SketchPage],
) -> None:
    page, pad = opened
    assert not pad.ink[..., 3].any()
    pad.draw(*SEVEN)
    pad.until_answered()
    assert pad.says == "7"
    assert page.value("pad.prediction['label']") == "7"
    assert page.value("len(pad.sketch['strokes'])") == 1
    assert pad.ink[..., 3].any()
    # What the model was given is what the browser shows, pixel by pixel.
    given = np.array(page.value("pad.picture.tolist()"))
    np.testing.assert_array_equal(pad.seen[..., :3], given)
    np.testing.assert_array_equal(
        given, np.array(page.value("pad._rasterised()[0].tolist()")), "both draw the same pixels"
    )
    # And the map is of this drawing.
    heat = pad.heat
    assert heat[..., 3].any()
    assert page.value("pad.explanation.target_text") == "7"
    pad.draw((0.36, 0.5), (0.68, 0.5))
    pad.until_answered()
    assert (pad.heat != heat).any()
    # Opacity is the browser's.
    slider = pad.root.get_by_role("slider", name="Opacity")
    before = pad.heat
    assert page.comm_messages_during(lambda: slider.press("Home")) == []
    assert (pad.heat != before).any()
    assert page.console_errors == []
    draw_on_and_on(page, pad)


def draw_on_and_on(page: LabPage, pad: SketchPage) -> None:
    """Check that pictures are answered one by one, however long one draws."""
    before, sent = len(page.received), int(pad.root.get_attribute("data-sent") or 0)
    found = page.page.evaluate(SCRIBBLE, [pad.root.element_handle(), 4])
    assert found["most"] <= 1, "a picture was sent before the last one was answered"
    assert found["sent"] > 10, "the model did not follow"
    assert found["sent"] <= found["points"] + 2
    pad.until_answered()
    page.settle()
    total = int(pad.root.get_attribute("data-sent") or 0)
    assert drawn_messages(page) == total
    kinds = [message.comm_data.get("content", {}).get("kind") for message in page.received[before:]]
    # One answer for each picture, and no more explanations than pictures.
    assert kinds.count("seen") == total - sent
    assert kinds.count("map") <= kinds.count("seen")
    expect(pad.root).to_have_attribute("data-state", "idle")
    np.testing.assert_array_equal(pad.seen[..., :3], np.array(page.value("pad.picture.tolist()")))


def test_keys_alone_draw_a_one_and_load_a_stored_four_and_a_finger_draws(
    opened: tuple[LabPage, SketchPage],
) -> None:
    page, pad = opened
    keyboard = page.page.keyboard
    pad.frame.focus()
    for _ in range(11):
        keyboard.press("ArrowUp")
    live = pad.root.locator(":scope > [aria-live]")
    expect(live).to_have_text("Pen 50 percent across, 16 percent down")
    keyboard.press("Space")
    for _ in range(22):
        keyboard.press("ArrowDown")
    expect(live).to_have_text("Line to 50 percent across, 84 percent down")
    keyboard.press("Space")
    pad.until_answered()
    assert pad.says == "1"
    expect(live).to_have_text(re.compile(r"The model says 1, \d+ %"))
    keyboard.press("Control+z")
    pad.until_answered()
    assert page.value("pad.sketch['strokes']") == []
    keyboard.press("Control+Shift+z")
    pad.until_answered()
    assert pad.says == "1"
    option = pad.root.get_by_role("option", name="four", exact=True)
    pad.root.get_by_role("option", name="zero", exact=True).focus()
    for key in ["ArrowDown"] * 4 + ["Enter"]:
        keyboard.press(key)
    pad.until_answered()
    expect(option).to_be_focused()
    assert pad.says == "4"
    assert page.value("pad.prediction['label']") == "4"
    draw_with_a_finger(page, pad)


def draw_with_a_finger(page: LabPage, pad: SketchPage) -> None:
    """Check that one finger draws, and that a second one does not."""
    pad.button("Clear").click()
    session = page.page.context.new_cdp_session(page.page)

    def touch(kind: str, *fingers: tuple[int, float, float]) -> None:
        points = [
            {"id": finger, **dict(zip("xy", pad.at(x, y), strict=True))} for finger, x, y in fingers
        ]
        session.send(TOUCH, {"type": kind, "touchPoints": points})

    start, corner, end = SEVEN
    touch("touchStart", (1, *start))
    touch("touchMove", (1, *corner))
    touch("touchStart", (1, *corner), (2, 0.1, 0.9))
    touch("touchMove", (1, 0.6, 0.5), (2, 0.2, 0.2))
    touch("touchMove", (1, *end), (2, 0.3, 0.3))
    touch("touchEnd")
    pad.until_answered()
    assert page.value("len(pad.sketch['strokes'])") == 1
    assert pad.says == "7"


def test_a_reload_and_a_second_view_show_the_same_drawing_and_a_picture_lies_below(
    opened: tuple[LabPage, SketchPage],
) -> None:
    page, pad = opened
    pad.draw(*SEVEN)
    pad.until_answered()
    ink, heat, predicted = pad.ink, pad.heat, page.value("pad.prediction['probability']")
    page.add_cell("pad")
    second = SketchPage(page, nth=1)
    np.testing.assert_array_equal(second.ink, ink)
    np.testing.assert_array_equal(second.heat, heat)
    second.draw((0.36, 0.5), (0.68, 0.5))
    second.until_answered()
    np.testing.assert_array_equal(second.ink, pad.ink)
    second.button("Undo").click()
    second.until_answered()
    page.reload()
    again = SketchPage(page)
    np.testing.assert_array_equal(again.ink, ink)
    np.testing.assert_array_equal(again.heat, heat)
    assert again.says == "7"
    assert page.value("pad.prediction['probability']") == pytest.approx(predicted, abs=1e-6)
    # Python draws, too.
    page.run("pad.load('three')")
    again.until("root.querySelector('.xaiw-says').textContent === '3'")
    assert (again.ink != ink).any()
    draw_on_a_picture(page, again)


def draw_on_a_picture(page: LabPage, pad: SketchPage) -> None:
    """Check that a picture can be loaded, drawn on, uncovered again and taken away."""
    pad.button("Clear").click()
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 80, 3), (200, 30, 90), np.uint8)).save(buffer, "PNG")
    chooser = pad.root.locator("input[type=file]")
    files = [{"name": "pink.png", "mimeType": "image/png", "buffer": buffer.getvalue()}]
    chooser.set_input_files(files)  # type: ignore[arg-type]
    expect(pad.button("No picture")).to_be_visible()
    assert page.value("pad.picture[16, 16].tolist()") == [200, 30, 90]
    assert page.value("pad.background.name") == "pink.png"
    pad.draw((0.2, 0.2), (0.8, 0.8))
    pad.until_answered()
    assert page.value("pad.picture[16, 16].tolist()") == [255, 255, 255]
    pad.root.get_by_role("radio", name="Eraser").click()
    pad.draw((0.2, 0.2), (0.8, 0.8))
    pad.until_answered()
    assert page.value("pad.picture[16, 16].tolist()") == [200, 30, 90]
    pad.button("No picture").click()
    expect(pad.button("No picture")).to_be_hidden()
    assert page.value("pad.background is None")
    broken = [{"name": "no.png", "mimeType": "image/png", "buffer": b"not a picture"}]
    chooser.set_input_files(broken)  # type: ignore[arg-type]
    expect(pad.root.locator(".xaiw-said")).to_have_text(
        "no.png cannot be read as a picture: use PNG, JPEG, WebP or GIF."
    )


def test_a_model_that_only_predicts_says_so_and_answers(lab: Lab) -> None:
    page = lab.open([BLIND], height=1200)
    pad = SketchPage(page)
    pad.root.get_by_label("Ink").fill("#00ff00")
    pad.draw((0.2, 0.5), (0.8, 0.5))
    pad.until("root.querySelector('.xaiw-says').textContent === 'green'")
    sentence = page.value("pad._setup()['verdict']['sentence']")
    expect(pad.root.locator(".xaiw-asked > .xaiw-other")).to_have_text(sentence)
    # What needs no gradient still explains; asked for nothing, the pad predicts alone.
    pad.until_answered()
    assert page.value("pad.explanation.method") == "occlusion"
    page.run("pad.method = ''")
    pad.draw((0.5, 0.2), (0.5, 0.8))
    pad.until_answered()
    assert pad.says == "green"
    assert page.value("list(pad.picture.shape)") == [24, 48, 3]
    assert not page.console_errors


def test_axe_finds_nothing_in_either_theme(lab: Lab) -> None:
    page = lab.open([DIGITS, SHOW.replace("model)", "model, sketch='seven')")], height=1600)
    pad = SketchPage(page)
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        page.use_theme(theme)
        assert axe.violations(pad.root) == []
