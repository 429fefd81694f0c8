"""The attention view in a real JupyterLab: pixels follow the hand, and nothing asks the kernel."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.lab import axe
from tests.lab.page import Lab, LabPage

pytestmark = pytest.mark.lab

VIT = """
import xai_widgets as xw
data = xw.demo.dataset("animals", n=4, seed=3)
model = xw.demo.model("animals", architecture="vit")
"""
SHOW = "view = xw.AttentionView(model, data.images[1])\nview"
NONE = """
import xai_widgets as xw
data = xw.demo.dataset("animals", n=1, seed=3)
view = xw.AttentionView(xw.demo.model("animals"), data.images[0])
view
"""
SIDE = 8


class AttentionPage:
    """One attention view; ``nth`` picks among several."""

    def __init__(self, lab_page: LabPage, nth: int = 0, state: str = "idle") -> None:
        self.lab = lab_page
        self.root = lab_page.page.locator('.xaiw[data-widget="attention"]').nth(nth)
        expect(self.root).to_have_attribute("data-state", state)

    def frame(self, name: str = "Patch") -> Locator:
        return self.root.get_by_role("application", name=f"{name} view", exact=True)

    def move(self, row: int, column: int, name: str = "Patch") -> None:
        box = self.frame(name).bounding_box()
        assert box is not None
        self.root.page.mouse.move(
            box["x"] + (column + 0.5) / SIDE * box["width"],
            box["y"] + (row + 0.5) / SIDE * box["height"],
        )

    @property
    def overlay(self) -> np.ndarray:
        return self.lab.pixels(self.root.locator("canvas.xaiw-overlay"))

    @property
    def token(self) -> int:
        return int(self.root.locator("canvas.xaiw-overlay").get_attribute("data-token") or -1)

    def tile(self, head: object) -> Locator:
        return self.root.locator(f'[aria-label="Heads"] [role="option"][data-value="{head}"]')


@pytest.fixture
def opened(shared: Lab) -> tuple[LabPage, AttentionPage]:
    page = shared.open_once([VIT, SHOW])
    return page, AttentionPage(page)


def test_hovering_changes_the_pixels_without_a_message(
    opened: tuple[LabPage, AttentionPage],
) -> None:
    page, view = opened
    seen = {view.overlay.tobytes()}

    def hover() -> None:
        for row in range(SIDE):
            for column in (1, 6):
                view.move(row, column)
                assert view.token == 1 + row * SIDE + column
                seen.add(view.overlay.tobytes())

    assert page.comm_messages_during(hover) == []
    assert len(seen) == 2 * SIDE + 1
    assert page.console_errors == []


def test_the_pixels_are_matplotlibs_colours_of_the_models_attention(
    opened: tuple[LabPage, AttentionPage],
) -> None:
    page, view = opened
    view.move(2, 5)
    view.tile(1).click()
    view.move(2, 5)
    expected = page.value(
        "(lambda a: (__import__('matplotlib').colormaps['inferno'](a / a.max())[..., :3] * 255)"
        ".round().astype(int).tolist())(view.model.backend.to_numpy("
        "model.attention(model.prepare(data.images[1])).weights(len(view.attention.layers) - 1)"
        f")[1, 1 + 2 * {SIDE} + 5, 1:].reshape({SIDE}, {SIDE}))"
    )
    difference = view.overlay[:, :, :3].astype(int) - np.array(expected)
    assert np.abs(difference).max() <= 10  # half precision may be one entry of the table off
    assert np.abs(difference).mean() < 1
    assert page.value("view.head") == 1


def test_keys_walk_and_a_click_keeps_the_patch(opened: tuple[LabPage, AttentionPage]) -> None:
    page, view = opened
    keyboard = page.page.keyboard
    view.frame().focus()
    before = view.overlay

    def walk() -> None:
        for key in ("ArrowRight", "ArrowDown", "ArrowDown", "End"):
            keyboard.press(key)

    assert page.comm_messages_during(walk) == []
    assert (view.overlay != before).any()
    assert view.token == 1 + 6 * SIDE + 7
    sent = page.comm_messages_during(lambda: keyboard.press("Enter"))
    assert [message.comm_data["method"] for message in sent] == ["update"]
    assert page.value("view.query") == [6, 7]
    page.run("view.query = (0, 2)")
    page.settle()
    assert view.token == 3


def test_layers_heads_direction_and_colours_are_drawn_in_the_browser(
    opened: tuple[LabPage, AttentionPage],
) -> None:
    page, view = opened
    view.move(4, 4)
    page.page.mouse.down()
    page.page.mouse.up()
    slider = view.root.get_by_role("slider", name="Layer")

    def slide() -> None:
        box = slider.bounding_box()
        assert box is not None
        page.page.mouse.move(box["x"] + box["width"] - 7, box["y"] + box["height"] / 2)
        page.page.mouse.down()
        page.page.mouse.move(box["x"] + 7, box["y"] + box["height"] / 2, steps=4)

    before = view.overlay
    assert page.comm_messages_during(slide) == []
    assert (view.overlay != before).any()
    page.page.mouse.up()
    page.settle()
    assert page.value("view.layer") == 0
    for choose in (
        lambda: view.root.get_by_role("radio", name="Attended by").click(),
        lambda: view.root.get_by_label("Colour map").select_option("viridis"),
    ):
        before = view.overlay
        assert page.comm_messages_during(choose) == []
        assert (view.overlay != before).any()
    for head in ("max", "rollout", 0):
        before = view.overlay
        view.tile(head).click()
        assert (view.overlay != before).any()
        page.settle()  # an update waits in the browser until the last one was answered
        assert page.value("view.head") == head


def test_a_second_view_and_a_reload_are_filled_without_computing(
    opened: tuple[LabPage, AttentionPage],
) -> None:
    page, view = opened
    expected = view.overlay
    page.add_cell("view")
    second = AttentionPage(page, nth=1)
    np.testing.assert_array_equal(second.overlay, expected)
    page.reload()
    np.testing.assert_array_equal(AttentionPage(page).overlay, expected)
    assert page.value("view._revision") == 1


def test_a_model_without_attention_gets_one_sentence_in_the_view(lab: Lab) -> None:
    page = lab.open([NONE])
    view = AttentionPage(page, state="error")
    message = view.frame("Attention map").locator(".xaiw-message")
    expect(message).to_have_text(page.value("view.model.capabilities.lacks['attention']"))
    expect(view.tile("mean")).to_be_hidden()
    assert axe.violations(view.root) == []


def test_axe_finds_nothing_in_either_theme(lab: Lab) -> None:
    page = lab.open([VIT, SHOW], height=1600)
    view = AttentionPage(page)
    view.move(3, 3)
    for theme in page.in_each_theme():
        assert axe.violations(view.root) == [], theme


def test_the_saved_notebook_holds_a_picture(
    opened: tuple[LabPage, AttentionPage], lab: Lab
) -> None:
    page, _ = opened
    page.save()
    path = max(lab.server.folder.glob("*.ipynb"), key=lambda path: path.stat().st_mtime)
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    data = cells[-1]["outputs"][0]["data"]
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert picture.width > 800
