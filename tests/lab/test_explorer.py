"""The Explorer in a real JupyterLab: what a person clicks changes picture, traits and kernel."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.lab import axe
from tests.lab.explorer_page import ExplorerPage
from tests.lab.page import Lab, LabPage

pytestmark = pytest.mark.lab

MODEL = """
import xai_widgets as xw
data = xw.demo.dataset("animals", n=8, seed=3)
model = xw.demo.model("animals")
"""
SHOW = "explorer = xw.Explorer(model, data.images)\nexplorer"

SLOW = """
import threading, torch
class Slow(torch.nn.Module):
    '''Waits at a gate in every forward pass, once it is closed.'''
    def __init__(self, inner):
        super().__init__()
        self.inner, self.gate, self.entered = inner, threading.Event(), threading.Event()
        self.gate.set()
    def forward(self, x):
        self.entered.set()
        assert self.gate.wait(60)
        return self.inner(x)
slow = Slow(model.source).eval()
explorer = xw.Explorer(
    xw.load(slow, labels=model.labels, preprocessing=model.preprocess), data.images,
    parameters={"integrated_gradients": {"n_steps": 256}},
)
explorer
"""


@pytest.fixture
def opened(shared: Lab) -> tuple[LabPage, ExplorerPage]:
    page = shared.open_once([MODEL, SHOW])
    return page, ExplorerPage(page)


def test_every_choice_changes_the_picture_and_the_trait(
    opened: tuple[LabPage, ExplorerPage],
) -> None:
    page, explorer = opened
    predicted = page.value("explorer.explanation.target.index")
    other = (predicted + 1) % 5
    for listbox, trait, value, expected in [
        ("Target", "target", other, {"kind": "class", "index": other, "versus": None}),
        ("Layer", "layer", "stage2", "stage2"),
        ("Method", "method", "gradient", "gradient"),
        ("Images", "image_index", 3, 3),
    ]:
        before = explorer.pixels("heat")
        explorer.choose(listbox, value)
        assert page.value(f"explorer.{trait}") == expected
        after = explorer.pixels("heat")
        assert before.shape != after.shape or (before != after).mean() > 0.05
    np.testing.assert_array_equal(
        explorer.pixels("picture")[:, :, :3], np.array(page.value("data.images[3].tolist()"))
    )
    assert page.console_errors == []


def test_the_pixels_are_matplotlibs_colours_of_the_map(
    opened: tuple[LabPage, ExplorerPage],
) -> None:
    page, explorer = opened
    for method in ("grad_cam", "input_x_gradient"):
        if page.value("explorer.method") != method:
            explorer.choose("Method", method)
        heat = explorer.root.locator("canvas.xaiw-heat")
        scale = float(heat.get_attribute("data-scale") or "nan")
        colours = heat.get_attribute("data-colours")
        expected = page.value(
            "(lambda m, s: (__import__('matplotlib').colormaps["
            f"{colours!r}]((m + s) / (2 * s) if explorer.explanation.signed else m / s)"
            f"[..., :3] * 255).round().astype(int).tolist())(explorer.explanation.map, {scale})"
        )
        difference = explorer.pixels("heat")[:, :, :3].astype(int) - np.array(expected)
        assert np.abs(difference).max() <= 2


def test_drawing_options_send_nothing_to_the_kernel(
    opened: tuple[LabPage, ExplorerPage],
) -> None:
    page, explorer = opened
    mouse, keyboard = page.page.mouse, page.page.keyboard

    def drag_slider(name: str) -> None:
        box = explorer.root.get_by_role("slider", name=name).bounding_box()
        assert box is not None
        y = box["y"] + box["height"] / 2
        mouse.move(box["x"] + 0.5 * box["width"], y)
        mouse.down()
        for fraction in np.linspace(0.5, 0.9, 12):
            mouse.move(box["x"] + fraction * box["width"], y)
        mouse.up()

    def zoom_and_pan() -> None:
        mouse.move(*explorer.at(0.4, 0.6))
        for _ in range(6):
            mouse.wheel(0, -100)
        explorer.drag((0.5, 0.5), (0.3, 0.4))
        explorer.frame().focus()
        for key in ("+", "ArrowLeft", "-", "0"):
            keyboard.press(key)

    def choose_colours_sign_and_scale() -> None:
        explorer.root.get_by_label("Colour map").select_option(index=1)
        explorer.root.get_by_role("radio", name="Shared").click()

    for action, canvas in [
        (lambda: drag_slider("Opacity"), "overlay"),
        (lambda: drag_slider("Threshold"), "overlay"),
        (zoom_and_pan, None),
        (choose_colours_sign_and_scale, "heat"),
    ]:
        before = None if canvas is None else explorer.pixels(canvas)
        assert page.comm_messages_during(action) == []
        if canvas is not None:
            assert (before != explorer.pixels(canvas)).any()


def test_the_views_zoom_together(opened: tuple[LabPage, ExplorerPage]) -> None:
    page, explorer = opened
    stages = explorer.root.locator(".xaiw-stage")
    before = [stages.nth(i).get_attribute("style") for i in range(3)]
    page.page.mouse.move(*explorer.at(0.3, 0.3, frame="Overlay"))
    page.page.mouse.wheel(0, -300)
    page.settle()
    after = [
        re.search(r"transform:[^;]*", stages.nth(i).get_attribute("style") or "") for i in range(3)
    ]
    assert len({match.group() for match in after if match}) == 1
    assert [match.group() not in (old or "") for match, old in zip(after, before, strict=True)]


@pytest.mark.parametrize("tool", ["Superpixel", "Rectangle", "Polygon", "Brush"])
def test_a_marked_region_is_measured_and_ablated(
    opened: tuple[LabPage, ExplorerPage], tool: str
) -> None:
    page, explorer = opened
    explorer.tool(tool)
    before = explorer.revision
    mouse = page.page.mouse
    if tool == "Superpixel":
        mouse.move(*explorer.at(0.5, 0.5))
        expect(explorer.root.locator(".xaiw-draft-mark path").first).to_have_attribute(
            "d", re.compile("M")
        )
        mouse.click(*explorer.at(0.5, 0.5))
    elif tool == "Polygon":
        for point in [(0.3, 0.3), (0.8, 0.3), (0.8, 0.8)]:
            mouse.click(*explorer.at(*point))
        page.page.keyboard.press("Enter")
    else:
        explorer.drag((0.3, 0.3), (0.5, 0.7), (0.7, 0.6))
    explorer.until_done(before)
    kind = {"Superpixel": "superpixels", "Rectangle": "rect", "Polygon": "polygon", "Brush": "mask"}
    assert page.value("explorer.region['type']") == kind[tool]
    box = explorer.root.get_by_role("group", name="Region", exact=True)
    shares = re.search(r"([\d.]+) % of the attribution in ([\d.]+) %", box.inner_text())
    assert shares is not None
    area = page.value(
        "float(__import__('xai_widgets.widgets.regions', fromlist=['x']).region_mask("
        "explorer.region, explorer.images[0],"
        " lambda: explorer.superpixels(explorer.images[0])).mean())"
    )
    assert abs(float(shares.group(2)) - 100 * area) <= 0.6
    before = explorer.revision
    explorer.button("Black").click()
    explorer.until_done(before)
    assert page.value("explorer.ablation") == "black"
    expect(box).to_contain_text("→")
    before = explorer.revision
    explorer.button("Undo").click()
    explorer.until_done(before)
    assert page.value("explorer.region") is None
    explorer.button("Redo").click()
    explorer.until_done(before + 1)
    assert page.value("explorer.region['type']") == kind[tool]


def test_the_explorer_works_from_the_keyboard_alone(
    opened: tuple[LabPage, ExplorerPage],
) -> None:
    page, explorer = opened
    keyboard = page.page.keyboard
    for listbox, trait, value in [("Images", "image_index", 1), ("Method", "method", None)]:
        before = explorer.revision
        option = explorer.root.locator(
            f'[role="listbox"][aria-label="{listbox}"] [role="option"][aria-selected="true"]'
        )
        option.focus()
        keyboard.press("ArrowDown")
        keyboard.press("Enter")
        explorer.until_done(before)
        got = page.value(f"explorer.{trait}")
        assert got == value if value is not None else got != "grad_cam"
    explorer.tool("Rectangle")
    explorer.frame().focus()
    before = explorer.revision
    for key in ["Enter", *["ArrowRight"] * 6, *["ArrowDown"] * 6, "Enter"]:
        keyboard.press(key)
    explorer.until_done(before)
    assert page.value("explorer.region['type']") == "rect"
    slider = explorer.root.get_by_role("slider", name="Opacity")
    slider.focus()
    before_pixels = explorer.pixels("overlay")
    keyboard.press("Home")
    assert (explorer.pixels("overlay") != before_pixels).any()
    # The notebook keeps its cells: no shortcut of JupyterLab has run.
    assert page.page.locator(".jp-Notebook-cell").count() == 2


def test_cancel_works_while_the_model_computes(lab: Lab) -> None:
    page = lab.open([MODEL, SLOW])
    explorer = ExplorerPage(page)
    page.run("slow.entered.clear(); slow.gate.clear()")
    before = explorer.revision
    explorer.option("Method", "integrated_gradients").click()
    page.run("assert slow.entered.wait(60)")
    expect(explorer.button("Cancel")).to_be_visible()
    explorer.button("Cancel").click()
    page.settle()
    page.run("slow.gate.set()")
    explorer.until_done(before, state="cancelled")
    explorer.button("Run again").or_(explorer.button("Retry")).click()
    explorer.until_done(before + 1)
    assert page.value("explorer.explanation.method") == "integrated_gradients"


def test_ten_fast_class_changes_end_in_the_picture_of_the_last(lab: Lab) -> None:
    page = lab.open([MODEL, SLOW])
    explorer = ExplorerPage(page)
    explorer.choose("Method", "integrated_gradients")
    page.run("slow.entered.clear(); slow.gate.clear()")
    before = explorer.revision
    for i in range(10):
        explorer.option("Target", i % 5).click()
    explorer.option("Target", 2).click()
    page.run("assert slow.entered.wait(60); slow.gate.set()")
    last = page.value("explorer._revision")
    explorer.until_done(max(before, last - 1))
    assert page.value("explorer.target['index']") == 2
    ours = explorer.pixels("heat")
    explorer.choose("Target", 1)
    assert (explorer.pixels("heat") != ours).any()
    explorer.choose("Target", 2)
    np.testing.assert_array_equal(explorer.pixels("heat"), ours)


def test_a_reload_fills_the_view_without_computing(
    opened: tuple[LabPage, ExplorerPage],
) -> None:
    page, explorer = opened
    explorer.choose("Method", "input_x_gradient")
    before = explorer.pixels("heat")
    revision = page.value("explorer._revision")
    page.reload()
    again = ExplorerPage(page)
    np.testing.assert_array_equal(again.pixels("heat"), before)
    assert page.value("explorer._revision") == revision
    again.choose("Method", "gradient")
    assert page.value("explorer.method") == "gradient"


def test_two_views_show_the_same_and_follow_each_other(
    opened: tuple[LabPage, ExplorerPage],
) -> None:
    page, first = opened
    page.add_cell("explorer")
    second = ExplorerPage(page, nth=1)
    np.testing.assert_array_equal(first.pixels("heat"), second.pixels("heat"))
    before = first.revision
    second.choose("Method", "gradient")
    first.until_done(before)
    np.testing.assert_array_equal(first.pixels("heat"), second.pixels("heat"))


def test_a_moved_view_draws_itself_again(opened: tuple[LabPage, ExplorerPage]) -> None:
    page, explorer = opened
    before = explorer.pixels("heat")
    explorer.root.evaluate(
        """async (root) => {
          const parent = root.parentElement;
          const frame = () => new Promise(requestAnimationFrame);
          root.remove(); await frame(); await frame();
          parent.append(root); await frame(); await frame();
          parent.style.width = "0px"; await frame(); await frame();
          parent.style.width = ""; await frame(); await frame();
        }"""
    )
    explorer.choose("Method", "gradient")
    assert (explorer.pixels("heat") != before).any()
    assert page.console_errors == []


def test_traits_set_in_python_reach_the_browser(opened: tuple[LabPage, ExplorerPage]) -> None:
    page, explorer = opened
    before = explorer.revision
    page.run(
        "import ipywidgets\n"
        "slider = ipywidgets.IntSlider(max=7)\n"
        "ipywidgets.link((explorer, 'image_index'), (slider, 'value'))\n"
        "slider.value = 5"
    )
    explorer.until_done(before)
    expect(explorer.option("Images", 5)).to_have_attribute("aria-selected", "true")
    before = explorer.revision
    page.run("explorer.target = 'zebra'")
    explorer.until_done(before)
    index = page.value("explorer.target['index']")
    expect(explorer.option("Target", index)).to_have_attribute("aria-selected", "true")


def test_an_error_is_a_sentence_and_the_widget_stays_usable(lab: Lab) -> None:
    cell = """
from pathlib import Path
from PIL import Image
folder = Path("pictures"); folder.mkdir(exist_ok=True)
for i in (0, 2):
    Image.fromarray(data.images[i]).save(folder / f"{i}.png")
(folder / "1.png").write_bytes(b"no picture")
explorer = xw.Explorer(model, folder)
explorer
"""
    page = lab.open([MODEL, cell])
    explorer = ExplorerPage(page)
    before = explorer.revision
    explorer.option("Images", 1).click()
    explorer.until_done(before, state="error")
    expect(explorer.root).to_contain_text("'1.png' cannot be read as an image")
    expect(explorer.root.locator("details")).to_contain_text("Traceback")
    explorer.choose("Images", 2)
    assert page.value("explorer.explanation.image.display.name") == "2.png"


def test_axe_finds_nothing_in_either_theme(lab: Lab) -> None:
    # High enough for all of it: axe does not see what is scrolled out of view.
    page = lab.open([MODEL, SHOW], height=1600)
    explorer = ExplorerPage(page)
    explorer.tool("Rectangle")
    before = explorer.revision
    explorer.drag((0.2, 0.2), (0.6, 0.6))
    explorer.until_done(before)
    explorer.choose("Method", "integrated_gradients")
    colour = (
        "(root) => getComputedStyle(root).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
    )
    for theme in page.in_each_theme():
        assert axe.violations(explorer.root) == [], theme
        lightness = explorer.root.evaluate(colour)
        assert (np.mean(lightness) < 80) == (theme == "JupyterLab Dark")


def test_a_snapshot_puts_the_browsers_picture_into_the_notebook(
    opened: tuple[LabPage, ExplorerPage],
) -> None:
    page, _explorer = opened
    page.add_cell("explorer.snapshot()")
    # Python's own picture is 1100 px wide; the browser's takes its place.
    page.page.wait_for_function(
        """() => {
          const image = [...document.querySelectorAll(".jp-OutputArea-output img")].at(-1);
          return image?.complete && image.naturalWidth > 300 && image.naturalWidth !== 1100;
        }"""
    )


def test_the_saved_notebook_shows_a_picture_without_a_kernel(
    opened: tuple[LabPage, ExplorerPage], lab: Lab
) -> None:
    page, _explorer = opened
    page.save()
    notebooks = sorted(lab.server.folder.glob("*.ipynb"), key=lambda path: path.stat().st_mtime)
    import nbconvert
    import nbformat

    saved = nbformat.read(notebooks[-1], as_version=4)
    bundle = saved.cells[1].outputs[0]["data"]
    assert Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))).width > 500
    html, _ = nbconvert.HTMLExporter().from_notebook_node(saved)
    assert "data:image/png;base64" in html


@pytest.mark.parametrize("ratio", [1, 2])
def test_canvases_have_one_pixel_per_map_pixel_at_any_device_ratio(lab: Lab, ratio: int) -> None:
    page = lab.open([MODEL, SHOW], device_pixel_ratio=ratio)
    explorer = ExplorerPage(page)
    assert explorer.pixels("heat").shape == (128, 128, 4)
    assert explorer.pixels("picture").shape == (128, 128, 4)
