"""The path scrubber in a real JupyterLab: everything follows the slider, and nothing asks."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.lab import axe
from tests.lab.page import NEXT_FRAMES, Lab, LabPage
from tests.lab.scrubber_page import ScrubberPage

pytestmark = pytest.mark.lab

LESION = """
import numpy as np, xai_widgets as xw
data = xw.demo.dataset("lesions", n=6, seed=4)
model = xw.demo.model("lesions")
"""
SHOW = 'scrubber = xw.PathScrubber(model, data.images[2], target="malignant")\nscrubber'
BLACK = """
picture = data.images[2].copy()
picture[:, :64] = 0
scrubber = xw.PathScrubber(model, picture, target="malignant")
scrubber
"""
# A model that waits where the test says so, to be looked at in the middle of a path.
SLOW = """
import threading, torch, xai_widgets as xw
class Slow(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.network = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3, 2), torch.nn.ReLU(), torch.nn.Conv2d(4, 3, 3, 2))
        self.gate, self.left = threading.Event(), 1000
    def forward(self, x):
        if len(x) > 1:
            self.left -= 1
            if self.left < 0:
                self.gate.wait(60)
        return self.network(x).mean((2, 3))
torch.manual_seed(0)
network = Slow().eval()
model = xw.load(network, input_size=48)
picture = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
scrubber = xw.PathScrubber(model, picture, n_steps=512)
scrubber
"""


@pytest.fixture
def opened(shared: Lab) -> tuple[LabPage, ScrubberPage]:
    page = shared.open_once([LESION, SHOW])
    return page, ScrubberPage(page)


def test_dragging_and_jumping_change_all_three_pictures_without_a_message(
    opened: tuple[LabPage, ScrubberPage],
) -> None:
    page, view = opened
    seen: set[tuple[bytes, ...]] = set()
    box = view.slider.bounding_box()
    assert box is not None

    def scrub() -> None:
        mouse = page.page.mouse
        mouse.move(box["x"] + box["width"] - 9, box["y"] + box["height"] / 2)
        mouse.down()
        for share in np.linspace(0.9, 0.1, 9):
            mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
            seen.add(tuple(view.pixels(name).tobytes() for name in ("seen", "step", "heat")))
        mouse.up()
        for position in (0, 64, 3, 40):
            view.jump(position)
            assert view.position == position
        view.slider.focus()
        for key, expected in (("ArrowRight", 41), ("Home", 0), ("End", 64), ("ArrowLeft", 63)):
            page.page.keyboard.press(key)
            assert view.position == expected
        frame = view.root.get_by_role("application", name="Step view").bounding_box()
        assert frame is not None
        mouse.move(frame["x"] + 100, frame["y"] + 100)

    assert page.comm_messages_during(scrub) == []
    assert len(seen) == 9
    assert page.console_errors == []
    expect(view.slider).to_have_attribute("aria-valuetext", "step 63 of 64, alpha 0.98, score 1.55")


def test_playing_runs_to_the_end_without_a_message_and_pauses(
    opened: tuple[LabPage, ScrubberPage],
) -> None:
    page, view = opened

    def play() -> None:
        view.root.get_by_label("Speed").select_option("4")
        view.root.get_by_role("button", name="Play").click()
        view.root.get_by_role("button", name="Pause").click()
        expect(view.root.get_by_role("button", name="Play")).to_be_visible()
        assert view.position < 64
        view.root.get_by_role("button", name="Play").click()
        expect(view.root.locator("canvas.xaiw-heat")).to_have_attribute("data-position", "64")

    assert page.comm_messages_during(play) == []


def test_the_pixels_are_what_numpy_and_matplotlib_make_of_the_stack(
    opened: tuple[LabPage, ScrubberPage],
) -> None:
    page, view = opened
    colours = "__import__('matplotlib').colormaps['RdBu_r']"
    for position in (5, 12, 30, 64):
        view.jump(position)
        for name, maps in (("heat", "accumulated"), ("step", "contributions")):
            scale = view.root.locator(f"canvas.xaiw-{name}").get_attribute("data-scale")
            expected = page.value(
                f"np.clip(np.floor((scrubber.stack.{maps}[{position}] / {scale} / 2 + .5) * 256)"
                ", 0, 255).astype(int).tolist()"
            )
            table = np.array(page.value(f"{colours}(np.arange(256), bytes=True).tolist()"))
            shown = view.pixels(name)[..., :3].astype(int)
            levels = np.array(expected)
            near = [
                np.abs(shown - table[np.clip(levels + d, 0, 255), :3]).max(2) for d in (-1, 0, 1)
            ]
            assert np.min(near, axis=0).max() == 0
        seen = page.value(
            f"np.round(scrubber._shown['path']['ends'].astype(float)[0] * (1 - {position} / 64)"
            f" + scrubber._shown['path']['ends'].astype(float)[1] * {position} / 64).astype(int)"
            ".tolist()"
        )
        assert np.abs(view.pixels("seen")[..., :3].astype(int) - np.array(seen)).max() <= 1


@pytest.mark.parametrize(
    "asked",
    [
        'path="guided", baseline="white", n_steps=24',
        "baseline=data.images[3:], draws=2, n_steps=16",
        'baseline="white", tolerance=0.02',
        'path="blur", n_steps=16',
    ],
)
def test_every_kind_of_path_shows_the_numbers_of_its_stack(lab: Lab, asked: str) -> None:
    page = lab.open(
        [
            LESION,
            f'scrubber = xw.PathScrubber(model, data.images[2], "malignant", {asked})\nscrubber',
        ]
    )
    view = ScrubberPage(page)
    alphas = np.array(page.value("scrubber.stack.alphas.tolist()"))
    n_steps = page.value("scrubber.n_steps")
    colours = "__import__('matplotlib').colormaps['RdBu_r']"
    table = np.array(page.value(f"{colours}(np.arange(256), bytes=True).tolist()"))
    page.run("maps, sums = scrubber.stack.contributions, scrubber.stack.accumulated")
    for index in (1, len(alphas) // 3, len(alphas) - 1):
        view.jump(alphas[index] * n_steps)
        for name, maps in (("heat", "sums"), ("step", "maps")):
            scale = view.root.locator(f"canvas.xaiw-{name}").get_attribute("data-scale")
            levels = np.array(
                page.value(
                    f"np.clip(np.floor(({maps}[{index}] / {scale} / 2 + .5) * 256), 0, 255)"
                    ".astype(int).tolist()"
                )
            )
            shown = view.pixels(name)[..., :3].astype(int)
            near = [
                np.abs(shown - table[np.clip(levels + d, 0, 255), :3]).max(2) for d in (-1, 0, 1)
            ]
            assert np.min(near, axis=0).max() == 0
        seen = page.value(
            "__import__('xai_widgets.widgets.scrubber.picture', fromlist=['x'])"
            f".interpolated(scrubber.stack, scrubber._shown['path'], {index}).tolist()"
        )
        assert np.abs(view.pixels("seen")[..., :3].astype(int) - np.array(seen)).max() <= 1
        score = page.value(f"float(scrubber.stack.scores[{index}, 0])")
        text = view.slider.get_attribute("aria-valuetext") or ""
        spoken = float(text.split("score ")[1].replace("minus ", "-"))
        assert spoken == pytest.approx(score, rel=6e-3, abs=1e-3)
    gap = view.root.locator(".xaiw-chart-box", has_text="Completeness").locator(".xaiw-aside")
    shown_gap = float(gap.inner_text().split()[-1].replace("\N{MINUS SIGN}", "-"))
    delta = page.value("float(scrubber.explanation.diagnostics['convergence_delta'])")
    change = page.value("float(scrubber.stack.scores[-1, 0] - scrubber.stack.scores[0, 0])")
    assert shown_gap == pytest.approx(delta, rel=6e-3, abs=1e-3 * abs(change))
    levels = page.page.locator(".xaiw-levels li")
    told = float(
        (levels.last.get_attribute("title") or "").split("gap ")[1].replace("\N{MINUS SIGN}", "-")
    )
    assert told == pytest.approx(delta, rel=6e-3, abs=1e-3 * abs(change))
    assert page.console_errors == []


def test_a_new_baseline_in_the_middle_of_a_path_takes_over(lab: Lab) -> None:
    page = lab.open(["import numpy as np", SLOW])
    ScrubberPage(page)
    page.run("network.left = 3; scrubber.baseline = 'white'")
    view = ScrubberPage(page, state="busy")
    expect(view.root.locator("canvas.xaiw-seen")).to_have_attribute("data-position", "512")
    page.page.wait_for_function("() => Number(document.querySelector('.xaiw progress')?.value) > 1")
    view.jump(0)
    assert (view.pixels("seen")[..., :3] == 255).all()
    page.run("network.left = 10**6; scrubber.baseline = '#00ff00'; network.gate.set()")
    view = ScrubberPage(page)
    view.jump(0)
    assert (view.pixels("seen")[0, 0, :3] == [0, 255, 0]).all()
    assert page.value("scrubber.explanation.provenance['parameters']['baseline']") == "#00ff00"


def test_cancel_keeps_what_there_is(lab: Lab) -> None:
    page = lab.open(["import numpy as np", SLOW])
    ScrubberPage(page)
    page.run("network.left = 3; scrubber.baseline = 'white'")
    view = ScrubberPage(page, state="busy")
    page.page.wait_for_function("() => Number(document.querySelector('.xaiw progress')?.value) > 1")
    view.root.get_by_role("button", name="Cancel").click()
    page.settle()
    page.run("network.left = 10**6; network.gate.set()")
    view = ScrubberPage(page, state="cancelled")
    view.jump(0)
    assert (view.pixels("seen")[..., :3] == 255).all()
    view.jump(512)
    assert view.position == 512
    view.root.get_by_role("button", name="Retry").click()
    ScrubberPage(page)


def test_a_reload_is_filled_from_memory_and_saved_with_a_picture(
    opened: tuple[LabPage, ScrubberPage], lab: Lab
) -> None:
    page, view = opened
    page_folder = lab.server.folder
    view.jump(20)
    before = view.pixels("heat")
    before_reload = page.value("scrubber._revision")
    page.reload()
    again = ScrubberPage(page)
    assert page.value("scrubber._revision") == before_reload  # nothing was computed again
    again.jump(20)
    assert np.abs(again.pixels("heat").astype(int) - before).max() <= 8
    page.save()
    name = page.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.path")
    saved = json.loads((page_folder / Path(name).name).read_text())
    shown = [o for c in saved["cells"] for o in c.get("outputs", []) if "data" in o]
    png = base64.b64decode(shown[-1]["data"]["image/png"])
    assert Image.open(io.BytesIO(png)).width > 800


def test_much_that_equals_the_baseline_is_said_with_what_hides_least(lab: Lab) -> None:
    page = lab.open([LESION, BLACK])
    view = ScrubberPage(page)
    hint = view.root.locator(".xaiw-hint")
    expect(hint).to_contain_text("% of the picture equals the baseline and gets nothing")
    hint.get_by_role("button").click()
    expect(hint).to_be_hidden()
    page.wait_for_state("idle")
    assert page.value("scrubber.baseline") != "black"


def test_a_region_has_its_own_curve_and_gives_the_baseline_its_colour(
    opened: tuple[LabPage, ScrubberPage],
) -> None:
    page, view = opened
    region = {"type": "rect", "x": 40, "y": 40, "width": 20, "height": 10}
    page.run(f"scrubber.region = {region}")
    pixel = view.root.locator(".xaiw-chart-box", has_text="Pixel")
    expect(pixel).to_contain_text("region of 200 pixels:")
    value = page.value("float(scrubber.stack.accumulated[64, 40:50, 40:60].sum())")
    shown = pixel.locator(".xaiw-aside").inner_text().split()[-1].replace("\N{MINUS SIGN}", "-")
    assert float(shown.replace("e-", "e-")) == pytest.approx(value, rel=0.02)
    view.root.get_by_role("button", name="Take the region\u2019s colour").click()
    page.page.wait_for_function(
        "() => document.querySelector('.xaiw [data-baseline^=\"#\"]') !== null"
    )
    page.wait_for_state("idle")
    colour = page.value("scrubber.baseline")
    mean = page.value("data.images[2][40:50, 40:60].mean((0, 1)).tolist()")
    assert [int(colour[i : i + 2], 16) for i in (1, 3, 5)] == pytest.approx(mean, abs=1)


def test_two_scrubbers_linked_to_one_target_follow_each_other(lab: Lab) -> None:
    both = (
        "import traitlets\n"
        "scrubber = xw.PathScrubber(model, data.images[2], n_steps=16)\n"
        "explorer = xw.Explorer(model, data.images)\n"
        "link = traitlets.link((explorer, 'target'), (scrubber, 'target'))\n"
        "scrubber"
    )
    page = lab.open([LESION, both])
    view = ScrubberPage(page)
    page.run("explorer.target = {'kind': 'class', 'index': 0, 'versus': 1}")
    expect(view.root.locator(".xaiw-chart-key").first).to_contain_text("benign versus malignant")
    assert page.value("scrubber.explanation.target_text") == "benign versus malignant"
    page.run("scrubber.target = 1")
    assert page.value("explorer.target['index']") == 1


def test_axe_finds_nothing_in_either_theme(lab: Lab) -> None:
    page = lab.open([LESION, SHOW], height=1600)  # axe does not see what is out of sight
    view = ScrubberPage(page)
    view.jump(12)
    for theme in page.in_each_theme():
        assert axe.violations(view.root) == [], theme


@pytest.mark.parametrize("asked", ["", 'path="guided", n_steps=24', "tolerance=0.05"])
def test_the_exported_page_scrubs_from_disk_without_a_network(
    lab: Lab, browser: Browser, asked: str
) -> None:
    show = f"scrubber = xw.PathScrubber(model, data.images[2], 'malignant', {asked})\nscrubber"
    page = lab.open([LESION, show])
    view = ScrubberPage(page)
    path = page.value("str(scrubber.save('path.html').resolve())")
    view.jump(12)
    context = browser.new_context(offline=True)
    alone = context.new_page()
    errors: list[str] = []
    alone.on("pageerror", lambda error: errors.append(str(error)))
    alone.goto(f"file://{path}")
    root = alone.locator('.xaiw[data-state="idle"]')
    root.get_by_role("slider", name="Step of the path").evaluate(
        "(i) => { i.value = 12; i.dispatchEvent(new Event('input', { bubbles: true })); }"
    )
    alone.evaluate(NEXT_FRAMES)
    for name in ("seen", "step", "heat"):
        shown = page.pixels(root.locator(f"canvas.xaiw-{name}"))
        assert (shown == view.pixels(name)).all()
    assert errors == []
    context.close()
