"""The concept workbench in a real JupyterLab: annotate, test, scrub, and find everything again."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.lab import axe
from tests.lab.page import Lab, LabPage

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

SETUP = """
import numpy as np, xai_widgets as xw
data = xw.demo.dataset("animals", n=60, seed=4)
model = xw.demo.model("animals")
zebras = np.flatnonzero(data.labels == data.class_names.index("zebra")).tolist()
folder = {folder!r}
"""
SHOW = """bench = xw.ConceptWorkbench(
    model, data.images, store=folder, classes=data.labels, target="zebra", image_index=zebras[0])
bench"""
# Two concepts, marked by a program on zebras and on what is beside any animal.
MARKED = """
store = xw.ConceptStore(folder)
rng = np.random.default_rng(0)
def mark(name, indices, wanted):
    store.add_concept(name)
    for index in indices:
        animal = data.masks["animal"][index]
        for _ in range(300):
            x, y = rng.integers(0, 104, 2).tolist()
            if wanted(animal[y:y + 24, x:x + 24].mean()):
                box = {"type": "rect", "x": x, "y": y, "width": 24, "height": 24}
                store.add(name, data.images[index], box)
                break
mark("stripes", zebras * 2, lambda share: share > 0.6)
mark("ground", range(12), lambda share: share == 0)
"""
COUNTS = "{c.name: len(c.examples) for c in bench.store.concepts}"
# Counts the forward passes of the model from here on.
COUNT = """
passes = []
hook = model.source.register_forward_hook(lambda *given: passes.append(1))
"""
RESTART = """() => {
  const { session } = window.jupyterapp.shell.currentWidget.sessionContext;
  return session.kernel.restart();
}"""


class WorkbenchPage:
    """One workbench, waited for."""

    def __init__(self, lab_page: LabPage, last: bool = False) -> None:
        self.lab = lab_page
        self.page = lab_page.page
        found = self.page.locator('.xaiw[data-widget="workbench"]')
        self.root = found.last if last else found.first
        self.settled()

    def settled(self, state: str = "idle", timeout_s: float = 120) -> None:
        """Wait until everything is saved and computed."""
        expect(self.root).to_have_attribute("data-saving", "0", timeout=timeout_s * 1000)
        expect(self.root).to_have_attribute("data-state", state, timeout=timeout_s * 1000)

    @property
    def frame(self) -> Locator:
        return self.root.get_by_role("application", name="Picture view")

    @property
    def bars(self) -> Locator:
        return self.root.locator('[aria-label="Scores"] [role=option]')

    @property
    def scores(self) -> str:
        return self.root.locator('[aria-label="Scores"]').inner_text()

    @property
    def counts(self) -> dict[str, int]:
        self.settled()
        counts: dict[str, int] = self.lab.value(COUNTS)
        return counts

    def spot(self, x: float, y: float) -> tuple[float, float]:
        """A place on the page by its place on the picture, 0..1."""
        box = self.frame.bounding_box()
        assert box is not None
        side = min(box["width"], box["height"])
        left, top = box["x"] + (box["width"] - side) / 2, box["y"] + (box["height"] - side) / 2
        return left + x * side, top + y * side

    def tool(self, name: str) -> None:
        self.root.get_by_role("button", name=name, exact=True).click()

    def new_concept(self, name: str) -> None:
        self.root.get_by_role("button", name="New", exact=True).click()
        self.page.keyboard.type(name)
        self.page.keyboard.press("Enter")
        self.selected(name)

    def selected(self, concept: str) -> None:
        """Wait until a concept is selected."""
        expect(self.root.locator("[data-concept]").first).to_have_attribute("data-concept", concept)
        self.settled()

    def test(self) -> None:
        self.root.get_by_role("button", name="Test", exact=True).click()
        expect(self.bars.first).to_be_visible(timeout=120_000)
        self.settled()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "concepts"


@pytest.fixture
def marked(lab: Lab, folder: Path) -> tuple[LabPage, WorkbenchPage]:
    page = lab.open([SETUP.format(folder=str(folder)) + MARKED, SHOW], height=1500)
    return page, WorkbenchPage(page)


def test_concepts_are_marked_with_every_tool_by_mouse(lab: Lab, folder: Path) -> None:
    page = lab.open([SETUP.format(folder=str(folder)), SHOW], height=1500)
    bench = WorkbenchPage(page)
    mouse = page.page.mouse
    bench.new_concept("coat")
    bench.tool("Superpixel")
    mouse.move(*bench.spot(0.5, 0.5))
    mouse.click(*bench.spot(0.5, 0.5))
    assert bench.counts == {"coat": 1}
    bench.tool("Patch")
    mouse.click(*bench.spot(0.3, 0.5))
    assert bench.counts == {"coat": 2}
    bench.new_concept("ground")
    bench.tool("Rectangle")
    mouse.move(*bench.spot(0.1, 0.8))
    mouse.down()
    mouse.move(*bench.spot(0.4, 0.95), steps=3)
    mouse.up()
    assert bench.counts == {"coat": 2, "ground": 1}
    for x, y in ((0.6, 0.8), (0.9, 0.95)):  # two clicks do what a drag does
        mouse.click(*bench.spot(x, y))
    bench.tool("Polygon")
    for x, y in ((0.6, 0.6), (0.9, 0.6), (0.75, 0.78), (0.6, 0.6)):
        mouse.click(*bench.spot(x, y))
    assert bench.counts == {"coat": 2, "ground": 3}
    bench.new_concept("sky")
    bench.tool("Brush")
    mouse.move(*bench.spot(0.1, 0.1))
    mouse.down()
    mouse.move(*bench.spot(0.9, 0.1), steps=4)
    mouse.up()
    bench.tool("Eraser")
    mouse.move(*bench.spot(0.5, 0.1))
    mouse.down()
    mouse.move(*bench.spot(0.6, 0.1), steps=2)
    mouse.up()
    bench.root.get_by_role("button", name="Add", exact=True).click()
    bench.root.get_by_role("button", name="Whole image").click()
    assert bench.counts == {"coat": 2, "ground": 3, "sky": 2}
    kinds = page.value(
        "[(e.region or {'type': None})['type'] for c in bench.store.concepts for e in c.examples]"
    )
    assert kinds == ["mask", "rect", "rect", "rect", "polygon", "mask", None]
    runs = page.value("bench.store.concept('sky').examples[0].region['counts']")
    assert len(runs) > 3  # the eraser parted what the brush had painted

    bench.root.get_by_role("button", name="Undo").click()
    assert bench.counts["sky"] == 1
    bench.root.get_by_role("button", name="Redo").click()
    assert bench.counts["sky"] == 2
    # What the page says is saved is on disk for another program.
    assert page.value("{c.name: len(c.examples) for c in xw.ConceptStore(folder).concepts}") == {
        "coat": 2,
        "ground": 3,
        "sky": 2,
    }
    assert page.console_errors == []


def test_everything_can_be_done_from_the_keyboard(lab: Lab, folder: Path) -> None:
    page = lab.open([SETUP.format(folder=str(folder)), SHOW], height=1500)
    bench = WorkbenchPage(page)
    keys = page.page.keyboard
    bench.frame.focus()
    for name in ("coat", "ground", "sky"):
        keys.press("n")
        keys.type(name)
        keys.press("Enter")
        bench.selected(name)
    for number, tool in ((1, "Patch"), (2, "Rectangle"), (3, "Brush")):
        bench.frame.focus()
        keys.press(str(number))
        bench.root.get_by_role("button", name=tool, exact=True).focus()
        keys.press("Enter")
        for repeat in range(5):
            bench.frame.focus()
            for _ in range(repeat + 1):  # there and back: at the edge a rectangle has no width
                keys.press("ArrowLeft" if tool == "Rectangle" else "ArrowRight")
            if tool == "Rectangle":
                keys.press("Enter")
                for _ in range(2):
                    keys.press("ArrowRight")
                    keys.press("ArrowDown")
            keys.press("Space" if tool == "Brush" else "Enter")
            if tool == "Brush":
                keys.press("Enter")
            bench.settled()
            keys.press("PageDown")
            page.page.wait_for_function(
                "(n) => document.querySelector('.xaiw').dataset.revision >= n", arg=repeat
            )
            bench.settled()
    assert bench.counts == {"coat": 5, "ground": 5, "sky": 5}
    keys.press("w")
    assert bench.counts["sky"] == 6
    keys.press("Control+z")
    assert bench.counts["sky"] == 5
    keys.press("Control+y")
    assert bench.counts["sky"] == 6
    # On the shelf: Enter excludes an example, Delete removes it.
    example = bench.root.locator('[aria-label="Examples of sky"] [role=option]').first
    example.focus()
    keys.press("Enter")
    bench.settled()
    assert page.value("bench.store.concept('sky').examples[0].included") is False
    keys.press("Delete")
    assert bench.counts["sky"] == 5
    # The test, its bars and the sweep.
    bench.root.get_by_role("button", name="Test", exact=True).focus()
    keys.press("Enter")
    expect(bench.bars.first).to_be_visible(timeout=120_000)
    bench.settled()
    bench.bars.first.focus()
    keys.press("ArrowDown")
    bench.settled()
    assert page.console_errors == []


def test_a_test_finds_stripes_and_the_sweep_asks_nothing(
    marked: tuple[LabPage, WorkbenchPage],
) -> None:
    page, bench = marked
    bench.test()
    records = page.value("bench.records")
    best = next(r for r in records if r["concept"] == "stripes" and r["layer"] == "stage3")
    assert best["significant"] and best["magnitude"] > 0.3
    bench.bars.nth([r["concept"] for r in records].index("stripes")).click()
    bench.settled()
    slider = bench.root.get_by_role("slider", name="Concept strength")
    spoken: list[str | None] = []

    def scrub() -> None:
        slider.focus()
        for key in ("Home", "ArrowRight", "End", "ArrowLeft"):
            page.page.keyboard.press(key)
            spoken.append(slider.get_attribute("aria-valuetext"))
        mark = bench.root.locator("[data-epsilon]").first
        assert float(mark.get_attribute("data-epsilon") or "nan") > 1

    assert page.comm_messages_during(scrub) == []
    assert len(set(spoken)) == 4
    assert page.console_errors == []


def test_excluding_an_example_scores_again_while_one_watches(
    marked: tuple[LabPage, WorkbenchPage],
) -> None:
    page, bench = marked
    bench.test()
    before = page.value("bench.records")
    shown = bench.scores
    bench.root.locator('[aria-label="Concepts"] [role=option]').first.click()
    bench.root.locator('[aria-label="Examples of stripes"] [role=option]').first.click()
    expect(bench.root.locator('[aria-label="Scores"]')).not_to_have_text(shown)
    bench.settled()
    after = page.value("bench.records")
    assert {r["n_examples"] for r in after if r["concept"] == "stripes"} == {
        before[0]["n_examples"] - 1
    }
    assert [r["magnitude"] for r in after] != [r["magnitude"] for r in before]


def test_suggestions_are_accepted_and_rejected_with_a_key(
    marked: tuple[LabPage, WorkbenchPage],
) -> None:
    page, bench = marked
    bench.test()
    before = bench.counts["stripes"]
    bench.root.get_by_role("button", name="Suggest more").click()
    suggestions = bench.root.locator('[role=listbox][aria-label="Suggestions"] [role=option]')
    expect(suggestions.first).to_be_visible(timeout=120_000)
    bench.settled()
    n = suggestions.count()
    suggestions.first.focus()
    page.page.keyboard.press("Enter")
    expect(suggestions).to_have_count(n - 1)
    page.page.keyboard.press("Delete")
    expect(suggestions).to_have_count(n - 2)
    assert bench.counts["stripes"] == before + 1
    assert page.value("len(bench.store.concept('stripes').rejected)") == 1


def test_after_a_reload_and_after_a_new_kernel_everything_is_there(
    marked: tuple[LabPage, WorkbenchPage], folder: Path
) -> None:
    page, bench = marked
    bench.test()
    shown, counts = bench.scores, bench.counts
    page.run(COUNT)
    page.reload()
    bench = WorkbenchPage(page)
    assert (bench.scores, bench.counts) == (shown, counts)
    assert page.value("len(passes)") == 0
    records = page.value("bench.records")

    page.page.evaluate(RESTART)
    page.wait_until_ready()
    page.run(SETUP.format(folder=str(folder)))
    page.add_cell(SHOW)
    bench = WorkbenchPage(page, last=True)
    expect(bench.bars.first).to_be_visible()
    assert bench.counts == counts
    known = ("concept", "layer", "magnitude", "p_adjusted")
    assert [[r[key] for key in known] for r in page.value("bench.records")] == [
        [r[key] for key in known] for r in records
    ]


def test_what_another_kernel_changed_is_a_sentence_and_nothing_is_lost(
    marked: tuple[LabPage, WorkbenchPage],
) -> None:
    page, bench = marked
    page.run(
        "other = xw.ConceptStore(folder)\n"
        "first = other.concept('stripes').examples[0].id\n"
        "other.change([first], comment='from the other kernel')"
    )
    bench.root.locator('[aria-label="Concepts"] [role=option]').first.click()
    bench.root.locator('[aria-label="Examples of stripes"] [role=option]').first.click()
    refresh = bench.root.get_by_role("button", name="Refresh")
    expect(refresh).to_be_visible()
    assert page.value("xw.ConceptStore(folder).concept('stripes').examples[0].comment") == (
        "from the other kernel"
    )
    refresh.click()
    expect(refresh).to_be_hidden()
    bench.settled()
    assert page.value("bench.store.concept('stripes').examples[0].comment") == (
        "from the other kernel"
    )
    bench.root.locator('[aria-label="Examples of stripes"] [role=option]').first.click()
    bench.settled()
    assert page.value("bench.store.concept('stripes').examples[0].included") is False


def test_of_five_hundred_images_only_those_in_sight_are_sent(lab: Lab, folder: Path) -> None:
    many = SETUP.replace("n=60", "n=500").format(folder=str(folder))
    page = lab.open([many, SHOW], height=1000)
    bench = WorkbenchPage(page)
    expect(bench.root.locator('[aria-label="Images"] canvas').first).to_be_visible()
    page.settle()
    sent = [
        len(message.comm_data["content"]["payload"]["items"])
        for message in page.received
        if message.comm_data.get("content", {}).get("kind") == "thumbnails"
    ]
    assert sent and max(sent) <= 40
    assert sum(sent) <= 120
    expect(bench.root.get_by_text("of 500")).to_be_visible()


def test_a_concept_with_too_few_examples_is_told_so(lab: Lab, folder: Path) -> None:
    page = lab.open([SETUP.format(folder=str(folder)), SHOW], height=1500)
    bench = WorkbenchPage(page)
    bench.new_concept("coat")
    bench.tool("Patch")
    page.page.mouse.click(*bench.spot(0.5, 0.5))
    assert bench.counts == {"coat": 1}
    expect(bench.root.get_by_text("a test needs 5").first).to_be_visible()


def test_axe_finds_nothing_in_either_theme(lab: Lab, folder: Path) -> None:
    # Axe does not see what is out of sight.
    page = lab.open([SETUP.format(folder=str(folder)) + MARKED, SHOW], height=2400)
    bench = WorkbenchPage(page)
    bench.test()
    for theme in page.in_each_theme():
        assert axe.violations(bench.root) == [], theme


def test_a_saved_notebook_shows_a_picture_of_the_workbench(
    lab: Lab, marked: tuple[LabPage, WorkbenchPage]
) -> None:
    page, _ = marked
    page.save()
    newest = max(lab.server.folder.glob("*.ipynb"), key=lambda path: path.stat().st_mtime)
    saved = nbformat.read(newest, as_version=4)
    png = base64.b64decode(saved.cells[1].outputs[0]["data"]["image/png"])
    assert Image.open(io.BytesIO(png)).width > 400
    html, _ = HTMLExporter().from_notebook_node(saved)
    assert "data:image/png;base64" in html


def test_the_button_shows_what_a_concept_looks_for_below(
    marked: tuple[LabPage, WorkbenchPage],
) -> None:
    page, bench = marked
    ask = bench.root.get_by_role("button", name="What does it look for?")
    ask.click()
    below = page.page.get_by_role("region", name="Features of what is above")
    expect(below).to_contain_text("has no vector yet: press Test")
    bench.test()
    ask.focus()
    page.page.keyboard.press("Enter")
    gallery = page.page.locator('.xaiw[data-widget="gallery"]')
    tile = gallery.locator('.xaiw-tile[aria-selected="true"]')
    expect(tile).to_contain_text("stripes")
    expect(tile).to_have_attribute("data-done", "true")
    expect(gallery.locator("figcaption").first).to_contain_text("stripes in ")
    expect(below).not_to_contain_text("has no vector yet")
    (value,) = page.value("bench.look_closer().visualisation.values.tolist()")
    (before,) = page.value("bench.look_closer().visualisation.start_values.tolist()")
    assert value > before
    page.page.get_by_role("button", name="Close", exact=True).click()
    expect(gallery).to_have_count(0)
    assert page.console_errors == []
