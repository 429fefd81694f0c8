"""The feature gallery in a real JupyterLab: pictures stream in, are scrubbed, mixed, cancelled."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.lab import axe
from tests.lab.explorer_page import ExplorerPage
from tests.lab.page import Lab, LabPage

pytestmark = pytest.mark.lab

MODEL = """
import numpy as np, torch, xai_widgets as xw
from torch import nn
torch.manual_seed(0)
class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1), nn.Tanh())
        self.wide = nn.Sequential(nn.Conv2d(12, 40, 3, 2, 1), nn.Tanh())
        self.head = nn.Linear(40, 4)
    def forward(self, x):
        return self.head(self.wide(self.stem(x)).mean((2, 3)))
labels = ["zebra", "leopard", "cow", "horse"]
model = xw.load(Small().eval(), labels=labels, input_size=(24, 24))
images = np.random.default_rng(0).integers(0, 256, (8, 40, 48, 3), dtype=np.uint8)
"""
SHOW = """
gallery = xw.FeatureGallery(model, images, parameters={"n_steps": 16})
gallery
"""
CUT = """
class Cut(Small):
    def forward(self, x):
        return super().forward(x).detach()
gallery = xw.FeatureGallery(xw.load(Cut().eval(), labels=labels, input_size=(24, 24)))
gallery
"""
EXPLORER = """
explorer = xw.Explorer(model, images, image_index=1, method="gradient")
explorer
"""
STEPS = "Step of the optimisation"


class GalleryPage:
    """One gallery; ``nth`` picks among several views."""

    def __init__(self, lab_page: LabPage, nth: int = 0, state: str | None = "idle") -> None:
        self.lab = lab_page
        self.root = lab_page.page.locator('.xaiw[data-widget="gallery"]').nth(nth)
        if state is not None:
            expect(self.root).to_have_attribute("data-state", state)

    def tile(self, index: int) -> Locator:
        return self.root.locator(f'[aria-label="Pictures"] [role="option"][data-value="{index}"]')

    def slider(self, name: str = STEPS) -> Locator:
        return self.root.get_by_role("slider", name=name)

    @property
    def large(self) -> np.ndarray:
        return self.lab.pixels(self.root.locator("canvas.xaiw-large"))

    @property
    def frame(self) -> int:
        found = self.root.locator("canvas.xaiw-large").get_attribute("data-frame")
        return -1 if found is None else int(found)

    @property
    def frames(self) -> int:
        return int(self.slider().get_attribute("max") or 0) + 1

    def press(self, *keys: str) -> None:
        for key in keys:
            self.root.page.keyboard.press(key)


@pytest.fixture
def opened(lab: Lab) -> tuple[LabPage, GalleryPage]:
    page = lab.open([MODEL, SHOW], height=1200)
    return page, GalleryPage(page)


def test_the_enlarged_picture_is_that_of_the_kernel_and_scrubbing_asks_for_nothing(
    opened: tuple[LabPage, GalleryPage],
) -> None:
    page, view = opened
    expect(view.root.locator('.xaiw-tile[data-done="true"]')).to_have_count(24)
    expect(view.slider()).to_be_enabled()
    pixels = page.value("gallery.visualisation.images[0].tolist()")
    np.testing.assert_array_equal(view.large[..., :3], np.array(pixels))
    seen = set()

    def scrub() -> None:
        view.slider().focus()
        view.press("Home")
        for _ in range(view.frames):
            seen.add((view.frame, view.large.tobytes()))
            view.press("ArrowRight")
        box = view.slider().bounding_box()
        assert box is not None
        view.root.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        seen.add((view.frame, view.large.tobytes()))

    assert page.comm_messages_during(scrub) == []
    assert len(seen) == view.frames >= 8
    assert 0 < view.frame < view.frames - 1
    assert page.console_errors == []


def test_by_mouse_another_picture_is_enlarged_mixed_and_saved(
    opened: tuple[LabPage, GalleryPage],
) -> None:
    page, view = opened
    view.tile(3).click()
    expect(view.root.locator("figcaption").first).to_contain_text("channel 3 of wide")
    assert page.value("gallery.selected") == 3
    view.root.get_by_label("Mix with").select_option("7")
    mixed = view.slider("Share of the second picture")
    expect(mixed).to_be_enabled()
    mixed.focus()
    view.press("End")
    assert "100 % channel 7 of wide" in (mixed.get_attribute("aria-valuetext") or "")
    with page.page.expect_download() as download:
        view.root.get_by_role("button", name="Save PNG").click()
    with Image.open(download.value.path()) as picture:
        known = json.loads(picture.info["Description"])
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), view.large[..., :3])
    assert known["objectives"] == ["channel 3 of wide", "channel 7 of wide"]
    assert known["parameters"]["n_steps"] == 16
    found = view.root.locator(".xaiw-excited li")
    expect(found).to_have_count(8)
    view.root.get_by_role("radio", name="Whole picture").click()
    expect(view.root.locator(".xaiw-excited .xaiw-box")).to_have_count(8)


def test_everything_is_reached_by_the_keyboard_alone(opened: tuple[LabPage, GalleryPage]) -> None:
    page, view = opened
    view.tile(0).focus()
    view.press("ArrowDown", "ArrowRight", "Enter")
    index = page.value("gallery.selected")
    assert index > 2
    expect(view.tile(index)).to_have_attribute("aria-selected", "true")
    view.root.get_by_role("button", name="Next page").focus()
    view.press("Enter")
    expect(view.tile(30)).to_have_attribute("data-done", "true")
    view.root.get_by_role("radio", name="Channels").focus()
    view.press("ArrowRight")
    expect(view.tile(0)).to_contain_text("zebra")
    expect(view.root).to_have_attribute("data-state", "idle")
    assert page.value("[gallery.kind, gallery.page, gallery.selected]") == ["classes", 0, None]
    view.root.locator('[data-parameter="n_steps"]').focus()
    view.press("Control+a", "2", "4", "Tab")
    expect(view.root.locator(".xaiw-step-text")).to_contain_text("Step 24 of 24")
    view.root.locator('[aria-label="Images"] [role="option"]').first.focus()
    view.press("ArrowRight", "Enter")
    expect(view.root.locator(".xaiw-start")).to_contain_text("starts as image 1")
    expect(view.root).to_have_attribute("data-state", "idle")
    assert (
        page.value("gallery.visualisation.provenance['parameters']['start']['name']") == "image 1"
    )
    assert page.console_errors == []


def test_pictures_stream_in_and_cancel_keeps_them(lab: Lab) -> None:
    page = lab.open([MODEL, SHOW.replace("16", "2048")])
    view = GalleryPage(page, state="busy")
    tile = view.tile(0)
    expect(tile).to_have_attribute("data-done", "false")
    before = int(tile.get_attribute("data-step") or 0)
    page.page.wait_for_function(
        "([tile, before]) => Number(tile.dataset.step) > before",
        arg=[tile.element_handle(), before],
    )
    assert view.tile(20).get_attribute("data-step") is None
    view.root.get_by_role("button", name="Cancel").click()
    expect(view.root).to_have_attribute("data-state", "cancelled")
    expect(view.slider()).to_be_enabled()
    assert view.frames > 1
    kept = view.large
    page.reload()
    again = GalleryPage(page, state="cancelled")
    expect(again.slider()).to_be_enabled()
    np.testing.assert_array_equal(again.large, kept)
    assert page.console_errors == []


def test_a_reload_and_a_second_view_are_filled_and_a_snapshot_is_what_one_sees(
    opened: tuple[LabPage, GalleryPage],
) -> None:
    page, view = opened
    view.tile(5).click()
    expect(view.slider()).to_be_enabled()
    picture = view.large
    page.reload()
    view = GalleryPage(page)
    expect(view.slider()).to_be_enabled()
    expect(view.tile(5)).to_have_attribute("aria-selected", "true")
    np.testing.assert_array_equal(view.large, picture)
    page.add_cell("gallery")
    other = GalleryPage(page, nth=1)
    expect(other.slider()).to_be_enabled()
    other.slider().focus()
    other.press("Home")
    assert (other.frame, view.frame) == (0, view.frames - 1)
    np.testing.assert_array_equal(view.large, picture)
    assert page.value("gallery._revision") == 1
    other.slider().focus()
    other.press("End")
    page.add_cell("gallery.snapshot()")
    # Python's own picture is narrower, and gives way to the browser's.
    page.page.wait_for_function(
        "() => [...document.querySelectorAll('.jp-OutputArea-output img')]"
        ".some((image) => image.naturalWidth > 1900)"
    )
    image = page.page.locator(".jp-OutputArea-output img").last
    source = image.get_attribute("src") or ""
    with Image.open(io.BytesIO(base64.b64decode(source.split(",", 1)[1]))) as picture:
        shown = np.asarray(picture.convert("RGB"))[88 : 88 + 640, 24 : 24 + 640]
    side = view.large.shape[0]
    centres = ((np.arange(side) + 0.5) * 640 / side).astype(int)
    np.testing.assert_array_equal(shown[np.ix_(centres, centres)], view.large[..., :3])


def test_a_region_of_the_explorer_shows_the_channels_that_fire_there(lab: Lab) -> None:
    page = lab.open([MODEL, EXPLORER], height=2000)
    explorer = ExplorerPage(page)
    explorer.button("Features").click()
    view = GalleryPage(page)
    box, below = explorer.root.bounding_box(), view.root.bounding_box()
    assert box and below and below["y"] >= box["y"] + box["height"]
    expect(view.root.locator(".xaiw-tile")).to_have_count(24)
    explorer.tool("Rectangle")
    explorer.drag((0.2, 0.3), (0.5, 0.6))
    expect(view.root.locator(".xaiw-where")).to_contain_text("the region of image 1")
    expect(view.root).to_have_attribute("data-state", "idle")
    wanted: Any = page.value(
        "[each.channel for each in xw.features.firing_channels("
        "model, images[1], 'wide', explorer.region, n=24)]"
    )
    shown = view.root.locator(".xaiw-tile").evaluate_all(
        "(tiles) => tiles.map((tile) => Number(tile.dataset.value))"
    )
    assert shown == wanted
    view.root.get_by_role("button", name="All channels").click()
    expect(view.root.locator(".xaiw-tile")).to_have_count(24)
    page.page.get_by_role("button", name="Close", exact=True).click()
    expect(view.root).to_have_count(0)
    assert page.console_errors == []


def test_a_model_without_gradients_says_so_in_one_sentence(lab: Lab) -> None:
    page = lab.open([MODEL, CUT])
    view = GalleryPage(page, state="error")
    expect(view.root.locator(".xaiw-refusal")).to_contain_text("following gradients")
    expect(view.root.locator(".xaiw-side")).to_be_hidden()
    assert axe.violations(view.root) == []


def test_axe_finds_nothing_in_either_theme(opened: tuple[LabPage, GalleryPage]) -> None:
    page, view = opened
    expect(view.root.locator(".xaiw-excited li")).to_have_count(8)
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        page.use_theme(theme)
        assert axe.violations(view.root) == []
