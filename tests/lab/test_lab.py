"""The harness itself: cells run, widgets answer, messages are counted, themes change."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.lab import axe
from tests.lab.page import Lab

pytestmark = pytest.mark.lab

SLIDER = "import ipywidgets\nslider = ipywidgets.IntSlider(3)\nslider"
COUNTER = '''
import anywidget, traitlets

class Counter(anywidget.AnyWidget):
    _esm = """
    export default {
      render({ model, el }) {
        const button = document.createElement("button");
        const draw = () => { button.textContent = `count ${model.get("count")}`; };
        button.className = "counter";
        button.onclick = () => {
          model.set("count", model.get("count") + 1);
          model.save_changes();
        };
        button.onpointerenter = () => { button.style.color = "red"; };
        model.on("change:count", draw);
        draw();
        const canvas = document.createElement("canvas");
        canvas.width = 2; canvas.height = 1;
        const context = canvas.getContext("2d");
        context.fillStyle = "rgb(10, 20, 30)";
        context.fillRect(0, 0, 1, 1);
        el.append(button, canvas);
      }
    };
    """
    count = traitlets.Int(0).tag(sync=True)

counter = Counter()
counter
'''


def test_a_classic_widget_shows_and_follows_the_kernel(lab: Lab) -> None:
    page = lab.open([SLIDER])
    readout = page.page.locator(".widget-readout")
    expect(readout).to_have_text("3")
    assert page.value("slider.value") == 3
    page.run("slider.value = 7")
    expect(readout).to_have_text("7")
    assert page.console_errors == []


def test_an_anywidget_is_clicked_and_its_messages_are_counted(lab: Lab) -> None:
    page = lab.open([COUNTER])
    button = page.page.locator("button.counter")
    assert page.comm_messages_during(button.hover) == []
    sent = page.comm_messages_during(button.click)
    assert [message.comm_data["method"] for message in sent] == ["update"]
    assert sent[0].comm_data["state"] == {"count": 1}
    assert page.value("counter.count") == 1
    assert page.pixels(page.page.locator("canvas").last)[0].tolist() == [[10, 20, 30, 255], [0] * 4]


def test_a_widget_comes_back_after_a_reload(lab: Lab) -> None:
    page = lab.open([COUNTER])
    page.page.locator("button.counter").click()
    page.reload()
    expect(page.page.locator("button.counter")).to_have_text("count 1")


def test_errors_in_the_console_are_noticed(lab: Lab) -> None:
    page = lab.open(["1"])
    page.page.evaluate("() => console.error('planted')")
    page.settle()
    assert [error.split(" ")[0] for error in page.console_errors] == ["planted"]


def test_axe_finds_a_button_without_a_name_and_nothing_else(lab: Lab) -> None:
    page = lab.open([COUNTER])
    button = page.page.locator("button.counter")
    assert axe.violations(button.locator("..")) == []
    button.evaluate("(button) => { button.textContent = ''; }")
    (found,) = axe.violations(button.locator(".."))
    assert found.startswith("button-name")


def test_a_canvas_of_two_device_pixels_per_pixel(lab: Lab) -> None:
    page = lab.open(["1"], device_pixel_ratio=2)
    assert page.page.evaluate("() => devicePixelRatio") == 2


def test_the_theme_becomes_dark(lab: Lab) -> None:
    page = lab.open([SLIDER])
    page.use_theme("JupyterLab Dark")
    expect(page.page.locator("body")).to_have_attribute("data-jp-theme-light", "false")


def test_a_failing_cell_fails_the_test_with_its_traceback(lab: Lab) -> None:
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        lab.open(["1 / 0"])


def test_kernels_of_earlier_tests_are_gone(lab: Lab) -> None:
    assert lab.server.request("kernels") == []
