"""Tools below an Explorer in a real JupyterLab: opened by a button, shared, closed, freed."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.lab import axe
from tests.lab.explorer_page import ExplorerPage
from tests.lab.page import Lab, LabPage
from tests.lab.scrubber_page import ScrubberPage

pytestmark = pytest.mark.lab

MODEL = """
import numpy as np, xai_widgets as xw
data = xw.demo.dataset("lesions", n=6, seed=4)
model = xw.demo.model("lesions")
"""
EXPLORER = """
explorer = xw.Explorer(model, data.images, image_index=2, target="malignant")
explorer
"""
VIT = """
import xai_widgets as xw
data = xw.demo.dataset("animals", n=4, seed=3)
model = xw.demo.model("animals", architecture="vit")
explorer = xw.Explorer(model, data.images, method="gradient")
explorer
"""


@pytest.fixture
def opened(lab: Lab) -> tuple[LabPage, ExplorerPage]:
    page = lab.open([MODEL, EXPLORER], height=2000)
    return page, ExplorerPage(page)


def test_the_button_opens_the_scrubber_below_and_the_two_share_what_is_asked(
    opened: tuple[LabPage, ExplorerPage],
) -> None:
    page, explorer = opened
    explorer.button("Path scrubber").click()
    scrubber = ScrubberPage(page)
    expect(explorer.button("Path scrubber")).to_have_attribute("aria-expanded", "true")
    box, below = explorer.root.bounding_box(), scrubber.root.bounding_box()
    assert box and below and below["y"] >= box["y"] + box["height"]
    page.run("scrubber = explorer.look_closer('scrubber')")
    assert page.value("scrubber.image.display.name") == page.value("explorer.images[2].name")
    # what is asked in one is asked in the other, through the browser
    before = explorer.revision
    scrubber.root.get_by_label("Baseline", exact=True).select_option("white")
    explorer.until_done(before)
    assert page.value("explorer.parameters") == {"integrated_gradients": {"baseline": "white"}}
    before = explorer.revision
    explorer.choose("Images", 4)
    page.page.wait_for_function(
        """() => document.querySelector('.xaiw-scrubber')?.dataset.state === 'idle'"""
    )
    assert page.value("scrubber.image.key") == page.value("model.prepare(data.images[4]).key")
    scrubber.jump(20)
    assert scrubber.position == 20
    assert page.console_errors == []


def test_a_reload_finds_it_again_and_close_frees_widget_and_memory(
    opened: tuple[LabPage, ExplorerPage],
) -> None:
    page, explorer = opened
    explorer.button("Path scrubber").click()
    ScrubberPage(page)
    model_id = page.value("explorer.look_closer('scrubber').model_id")
    page.reload()
    explorer = ExplorerPage(page)
    scrubber = ScrubberPage(page)
    assert page.value("explorer.look_closer('scrubber').model_id") == model_id
    scrubber.jump(7)
    assert scrubber.position == 7
    page.run("import gc, weakref; seen = weakref.ref(explorer.look_closer('scrubber'))")
    page.page.get_by_role("button", name="Close", exact=True).click()
    expect(page.page.locator(".xaiw-scrubber")).to_have_count(0)
    expect(explorer.button("Path scrubber")).to_have_attribute("aria-expanded", "false")
    # The last reference may be the worker's, which keeps its task until it is idle.
    page.run(
        "import time\n"
        "end = time.monotonic() + 20\n"
        "while seen() is not None and time.monotonic() < end:\n    gc.collect()\n"
    )
    assert page.value("seen() is None")
    explorer.button("Path scrubber").click()
    ScrubberPage(page)
    assert page.value("explorer.look_closer('scrubber').model_id") != model_id


def test_closing_the_scrubber_frees_what_the_browser_held(lab: Lab) -> None:
    page = lab.open(
        [
            MODEL,
            "scrubber = xw.PathScrubber(model, data.images[2], n_steps=512)\nscrubber",
        ]
    )
    ScrubberPage(page)
    session = page.page.context.new_cdp_session(page.page)

    def used() -> int:
        session.send("HeapProfiler.collectGarbage")
        session.send("HeapProfiler.collectGarbage")
        return int(session.send("Runtime.getHeapUsage")["backingStorageSize"])

    held = used()
    expected = page.value("scrubber.stack.nbytes")
    assert expected > 10e6
    page.run("scrubber.close()")
    expect(page.page.locator(".xaiw-scrubber")).to_have_count(0)
    page.settle()
    for _ in range(20):
        if held - used() > 0.9 * expected:
            break
        page.settle()
    assert held - used() > 0.9 * expected


def test_attention_opens_below_and_follows_the_picture(lab: Lab) -> None:
    page = lab.open([VIT], height=2000)
    explorer = ExplorerPage(page)
    explorer.button("Attention").click()
    attention = page.page.locator('.xaiw[data-widget="attention"]')
    expect(attention).to_have_attribute("data-state", "idle")
    first = page.value("explorer.look_closer('attention').model_id")
    explorer.choose("Images", 2)
    expect(attention).to_have_attribute("data-state", "idle")
    assert page.value("explorer.look_closer('attention').model_id") != first
    expect(attention).to_have_count(1)
    page.page.get_by_role("button", name="Close", exact=True).click()
    expect(attention).to_have_count(0)


def test_axe_finds_nothing_in_both_together(opened: tuple[LabPage, ExplorerPage]) -> None:
    page, explorer = opened
    explorer.button("Path scrubber").click()
    ScrubberPage(page)
    for theme in page.in_each_theme():
        assert axe.violations(page.page.locator(".xaiw-companions")) == [], theme
