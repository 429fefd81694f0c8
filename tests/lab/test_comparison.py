"""The comparison in a real JupyterLab: cells stream in, and what only looks asks nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from tests.lab import axe
from tests.lab.comparison_page import ComparisonPage
from tests.lab.page import TIMEOUT_MS, Lab, LabPage
from tests.lab.server import LabServer

pytestmark = pytest.mark.lab

LESIONS = """
import xai_widgets as xw
data = xw.demo.dataset("lesions", n=3, seed=4)
model = xw.demo.model("lesions")
methods = ["gradient", "input_x_gradient", "grad_cam"]
"""
SHOW = """
comparison = xw.Comparison(model, data.images, methods, metrics=["complexity", "sparseness"])
comparison
"""
# A model that waits for its turn, a method that does not apply, and a file that is no picture.
SLOW = """
import threading, torch
from pathlib import Path
import numpy as np, xai_widgets as xw

class Slow(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, 2), torch.nn.ReLU())
        self.turns, self.free = threading.Semaphore(0), True

    def forward(self, x):
        if not self.free:
            self.turns.acquire(timeout=60)
        return self.network(x).mean((2, 3))

torch.manual_seed(0)
network = Slow().eval()
model = xw.load(network, input_size=48)
xw.check(model)
rng = np.random.default_rng(0)
images = [rng.integers(0, 256, (48, 48, 3), dtype=np.uint8) for _ in range(3)]
Path("broken.png").write_bytes(b"no picture")
network.free = False
network.turns.release(3)
comparison = xw.Comparison(
    model, [*images, "broken.png"], ["gradient", "attention_rollout", "input_x_gradient"])
comparison
"""
FIRST = "0.0.0.0.0"


RESET = """
comparison.sort, comparison.study, comparison.selected = None, None, []
comparison.rows, comparison.columns = "images", "methods"
"""


@pytest.fixture(scope="module")
def lab_of_all(lab_server: LabServer, browser: Browser) -> Iterator[Lab]:
    """Notebooks that several tests look at: starting kernels takes most of the time."""
    lab = Lab(lab_server, browser, "comparison")
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def page(lab_of_all: Lab) -> LabPage:
    return lab_of_all.open([LESIONS, SHOW], height=1500)


@pytest.fixture
def opened(page: LabPage) -> tuple[LabPage, ComparisonPage]:
    """The one comparison in its first state, but for what the browser computed."""
    page.run(RESET)
    page.settle()
    return page, ComparisonPage(page)


def test_the_grid_is_drawn_sorted_and_swapped_in_the_browser(
    opened: tuple[LabPage, ComparisonPage],
) -> None:
    page, view = opened
    assert view.keys == [f"0.{image}.{method}.0.0" for image in range(3) for method in range(3)]
    view.until_drawn(*view.keys)

    # Pixels are matplotlib's colours of the kernel's maps.
    page.run("import matplotlib, numpy as np")
    page.run("""def colours(i, m):
        heat = comparison.explanation(images=i, methods=m).attribution
        heat = heat.sum(-1) if heat.ndim == 3 else heat
        scale = float(np.percentile(np.abs(heat), 99.5))
        rgb = matplotlib.colormaps["RdBu_r"]((heat / scale + 1) / 2)[..., :3]
        return (rgb * 255).round().astype(int).tolist()""")
    view.radio("Map").click()
    for image, method in ((0, 0), (2, 1)):
        drawn = view.heat(f"0.{image}.{method}.0.0")[:, :, :3].astype(int)
        expected = np.array(page.value(f"colours({image}, {method})"))
        assert np.abs(drawn - expected).max() <= 9  # an entry of the table, at most
        assert np.abs(drawn - expected).mean() < 1
    view.radio("Overlay").click()

    # What only looks sends nothing.
    looks = {
        "opacity": lambda: view.slide("Opacity", 0.3),
        "threshold": lambda: view.slide("Threshold", 90),
        "sign": lambda: view.radio("Negative").click(),
        "colours": lambda: view.root.get_by_label("Colour map", exact=True).select_option("PuOr_r"),
        "scale": lambda: view.radio("One for all").click(),
        "look": lambda: view.radio("Map").click(),
    }
    for name, act in looks.items():
        before = view.heat(FIRST).tobytes()
        assert page.comm_messages_during(act) == [], name
        assert view.heat(FIRST).tobytes() != before, name
    quiet = {
        "zoom": lambda: view.button("Zoom in").click(),
        "size": lambda: view.slide("Size", 120),
        "hover": lambda: view.cell("0.1.1.0.0").locator(".xaiw-cell-frame").hover(),
    }
    for name, act in quiet.items():
        assert page.comm_messages_during(act) == [], name
    expect(view.root.locator(".xaiw-cell [data-value]")).to_have_count(9)
    expect(view.root.locator(".xaiw-values")).to_contain_text("Input x gradient")

    # Sorted by the mean of a metric, best first, from numbers that are there.
    revision = page.value("comparison._revision")
    view.root.locator('[role="rowheader"] .xaiw-sort').first.click()
    page.settle()
    assert page.value("comparison.sort") == {"metric": "complexity", "axis": "columns"}
    page.run("""means = {}
for record in comparison.records():
    if record["metric"] == "complexity" and record["value"] is not None:
        means.setdefault(record["method"], []).append(record["value"])""")
    means = page.value("{name: sum(values) / len(values) for name, values in means.items()}")
    best = sorted(means.values())
    shown = view.root.locator(".xaiw-grid-top .xaiw-row-line").nth(1).locator(".xaiw-mean")
    assert [float(text) for text in shown.all_inner_texts()] == pytest.approx(best, rel=6e-3)
    view.root.locator('[role="rowheader"] .xaiw-sort').first.click()

    # Other axes: nothing is computed again.
    assert page.value("comparison._revision") == revision
    page.run("made = []; steps = comparison.maps.steps")
    page.run("comparison.maps.steps = lambda cell: (made.append(cell), steps(cell))[1]")
    view.button("Swap").click()
    heads = view.root.locator('[role="columnheader"] .xaiw-head-name')
    expect(heads.first).to_have_text("image 0")
    expect(view.root).to_have_attribute("data-state", "idle")
    assert page.value("[comparison.rows, comparison.columns]") == ["methods", "images"]
    view.until_drawn("0.2.0.0.0")
    assert page.value("len(made)") == 0
    page.run("comparison.rows, comparison.columns = 'images', 'methods'")
    expect(view.root.locator('[role="columnheader"] .xaiw-head-name').first).to_have_text(
        "Gradient"
    )

    # A second view and a reload are filled without computing.
    expected = view.heat(FIRST).shape
    page.add_cell("comparison")
    second = ComparisonPage(page, nth=1)
    second.cell(FIRST).scroll_into_view_if_needed()
    second.until_drawn(FIRST)
    page.reload()
    again = ComparisonPage(page)
    again.cell(FIRST).scroll_into_view_if_needed()
    again.until_drawn(FIRST)
    assert again.heat(FIRST).shape == expected
    assert page.value("len(made)") == 0
    assert page.console_errors == []


def test_selected_cells_are_studied(opened: tuple[LabPage, ComparisonPage]) -> None:
    page, view = opened
    place = {"models": 0, "images": 0, "methods": 0, "layers": 0, "targets": 0}
    view.until_drawn(FIRST, "0.0.1.0.0")
    view.cell(FIRST).click()
    view.cell("0.0.1.0.0").click(modifiers=["Shift"])
    page.settle()
    assert page.value("comparison.selected") == [place, {**place, "methods": 1}]

    view.button("Pair").click()
    words = view.root.locator(".xaiw-study-words:visible")
    expect(words).to_contain_text("Rank correlation")
    page.run("""from scipy.stats import spearmanr
def heat(m):
    a = comparison.explanation(images=0, methods=m).attribution
    return (a.sum(-1) if a.ndim == 3 else a).ravel()""")
    expected = page.value("float(spearmanr(heat(0), heat(1)).statistic)")
    said = words.inner_text().split("Rank correlation ")[1].split(" ")[0].replace("\u2212", "-")
    assert float(said) == pytest.approx(expected, abs=6e-3)
    flicker = page.comm_messages_during(lambda: view.button("Flicker").click())
    assert flicker == []
    view.button("Flicker").click()

    view.button("Agreement").click()
    expect(view.root.locator(".xaiw-matrix tbody td")).to_have_count(9)

    # The player: the picture of every step is made in the browser.
    page.run("comparison.curve = {**comparison.curve, 'n_steps': 20}")
    view.button("Deletion and insertion").click()
    slider = view.root.get_by_role("slider", name="Step of the curve")
    expect(slider).to_be_visible()
    expect(slider).to_have_attribute("max", "20")
    frames = set()

    def scrub() -> None:
        for step in (0, 5, 20):
            view.slide("Step of the curve", step)
            frames.add(view.frame("frame-own").tobytes())

    assert page.comm_messages_during(scrub) == []
    assert len(frames) == 3
    view.slide("Step of the curve", 0)
    start = view.frame("frame-own")[:, :, :3]
    assert np.abs(start.astype(int) - np.array(page.value("data.images[0].tolist()"))).max() <= 1
    spoken = slider.get_attribute("aria-valuetext") or ""
    assert spoken.startswith("step 0 of 20, 0 % removed")
    view.radio("Insertion").click()
    expect(view.root.locator(".xaiw-curves .xaiw-aside").last).to_contain_text("revealed")

    # The strip: one map a stage.
    view.button("Sanity").click()
    stages = view.root.locator('[aria-label="Stages"] [role="option"]')
    strip = view.root.get_by_role("slider", name="Randomised stages")
    expect(strip).to_be_visible()
    expect(view.root.locator(".xaiw-study-bar .xaiw-work")).to_be_hidden(timeout=60_000)
    assert stages.count() == int(strip.get_attribute("max") or 0) + 1
    maps = set()
    for stage in range(stages.count()):
        view.slide("Randomised stages", stage)
        maps.add(view.frame("stage-lost").tobytes())
    assert len(maps) == stages.count()
    assert page.console_errors == []


def test_everything_is_reached_by_keyboard_and_axe_finds_nothing(
    opened: tuple[LabPage, ComparisonPage], lab_of_all: Lab
) -> None:
    page, view = opened
    keyboard = page.page.keyboard
    view.until_drawn(FIRST)
    view.cell(FIRST).focus()
    for key in ("ArrowRight", "ArrowDown", "Enter", "ArrowRight", "Shift+Enter"):
        keyboard.press(key)
    page.settle()
    assert [(cell["images"], cell["methods"]) for cell in page.value("comparison.selected")] == [
        (1, 1),
        (1, 2),
    ]

    def look() -> None:
        for key in ("Shift+ArrowDown", "Shift+ArrowRight", "+", "-", "0"):
            keyboard.press(key)

    assert page.comm_messages_during(look) == []
    expect(view.root.locator(".xaiw-cell [data-value]")).to_have_count(9)
    view.button("Pair").focus()
    keyboard.press("Enter")
    expect(view.root.locator(".xaiw-study-words:visible")).to_contain_text("Rank correlation")
    keyboard.press("ArrowRight")
    keyboard.press("Space")
    expect(view.root.locator(".xaiw-matrix")).to_be_visible()
    view.slide("Size", 80)  # so that all of it is on the screen, where axe looks at colours
    view.root.evaluate("(root) => root.scrollIntoView({ block: 'center' })")
    assert axe.violations(view.root) == []
    page.use_theme("JupyterLab Dark")
    expect(view.root.locator(".xaiw-matrix")).to_be_visible()
    page.settle()
    assert axe.violations(view.root) == []
    page.save()
    notebook = lab_of_all.server.folder / "comparison-1.ipynb"
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    assert "image/png" in cells[1]["outputs"][0]["data"]


def test_cells_that_fail_leave_the_others_and_a_cancel_is_gone_on_from(lab_of_all: Lab) -> None:
    page = lab_of_all.open([SLOW], height=1200)
    view = ComparisonPage(page, state="busy")
    done = view.root.locator('.xaiw-cell[data-state="done"]')
    waiting = view.root.locator('.xaiw-cell[aria-busy="true"]')
    failed = view.root.locator('.xaiw-cell[data-state="failed"]')
    expect(waiting.first).to_be_visible()
    view.button("Cancel").click()
    page.settle()
    page.run("network.turns.release(1)")  # the step in work ends, and the cancel is seen
    expect(view.root).to_have_attribute("data-state", "cancelled", timeout=TIMEOUT_MS)
    expect(waiting).to_have_count(0)
    missing = view.root.locator('.xaiw-cell[data-state="missing"]')
    expect(missing.first).to_contain_text("Not computed")
    left, before = missing.count(), done.count()
    assert left > 0
    page.run("network.free = True; network.turns.release(99)")
    view.button("Go on").click()
    expect(view.root).to_have_attribute("data-state", "idle", timeout=TIMEOUT_MS)
    expect(done).to_have_count(6)
    expect(missing).to_have_count(0)
    assert before < 6
    # A sentence in each cell that failed, none elsewhere.
    expect(failed).to_have_count(6)
    refused = view.cell("0.0.1.0.0").locator(".xaiw-message")
    expect(refused).to_contain_text(page.value("model.capabilities.lacks['attention']"))
    expect(view.cell("0.3.0.0.0").locator(".xaiw-message")).to_contain_text("broken.png")
    expect(view.root.locator(".xaiw-facts")).to_contain_text("6 of 12 maps \u00b7 6 failed")
    assert page.console_errors == []
