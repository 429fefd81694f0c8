"""The readiness panel in a real JupyterLab, and the Explorer on models of other formats."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from tests.lab import axe
from tests.lab.explorer_page import ExplorerPage
from tests.lab.faulty import FAULTY, LOADED
from tests.lab.page import Lab, LabPage

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

HEALTHY = """
import xai_widgets as xw
panel = xw.ReadinessPanel(xw.demo.model("animals"))
panel
"""
PANEL = "panel = xw.ReadinessPanel(faulty)\npanel"

GATED = """
import threading
import torch
import xai_widgets as xw
class Gated(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.Conv2d(8, 4, 1)
        self.gate, self.entered = threading.Event(), threading.Event()
        self.gate.set()
    def forward(self, x):
        self.entered.set()
        assert self.gate.wait(120)
        return self.head(torch.relu(self.stem(x))).mean((2, 3))
torch.manual_seed(0)
gated = Gated().eval()
model = xw.load(gated, input_size=32)
"""
HOLD = "gated.gate.clear()\ngated.entered.clear()"

KERAS = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import xai_widgets as xw
model = xw.demo.model("animals", framework="tensorflow")
"""
TORCHSCRIPT = """
import torch
import xai_widgets as xw
demo = xw.demo.model("animals")
torch.jit.trace(demo.source, torch.zeros(1, 3, 128, 128)).save("animals.pt")
model = xw.load("animals.pt", demo.labels, demo.preprocess, trust=True)
"""
ONNX = """
import torch
import xai_widgets as xw
demo = xw.demo.model("animals")
torch.onnx.export(demo.source, (torch.zeros(1, 3, 128, 128),), "animals.onnx", dynamo=False,
                  dynamic_axes={"input": {0: "n"}}, input_names=["input"])
model = xw.load("animals.onnx", demo.labels, demo.preprocess)
"""
EXPLORE = """
data = xw.demo.dataset("animals", n=4, seed=3)
explorer = xw.Explorer(model, data.images)
explorer
"""
BY_PERTURBING = {"occlusion", "rise", "shapley_sampling"}
BY_GRADIENT = {"gradient", "integrated_gradients", "smoothgrad", "input_x_gradient"}


class PanelPage:
    """A readiness panel in an open notebook, its first check done."""

    def __init__(self, lab_page: LabPage, state: str = "idle") -> None:
        self.lab = lab_page
        self.root = lab_page.page.locator('.xaiw[data-widget="readiness"]').first
        expect(self.root).to_have_attribute("data-state", state)

    def button(self, name: str) -> Locator:
        return self.root.get_by_role("button", name=name, exact=True)

    def layers(self, which: str = "") -> list[str | None]:
        rows = self.root.locator(f'[aria-label="Layers"] [role="option"]{which}')
        return [row.get_attribute("data-value") for row in rows.all()]


def test_a_healthy_model_shows_a_bar_at_every_layer(lab: Lab) -> None:
    page = lab.open([HEALTHY])
    panel = PanelPage(page)
    expect(panel.root.locator(".xaiw-verdict")).to_contain_text("explainable")
    main = page.value("[layer.name for layer in panel.model.layers if layer.main]")
    shown = panel.layers()
    assert set(main) <= set(shown)
    assert shown == page.value(f"[x.name for x in panel.report.layers if x.name in {shown!r}]")
    panel.button(f"All {page.value('len(panel.report.layers)')} layers").click()
    assert panel.layers() == page.value("[layer.name for layer in panel.report.layers]")
    assert panel.layers(".is-dead") == []
    expect(panel.root.locator("tr.is-this")).to_have_attribute("data-format", "torch")
    assert page.console_errors == []


def test_the_layer_at_which_the_gradient_dies_is_marked(lab: Lab) -> None:
    page = lab.open([FAULTY + LOADED + PANEL])
    panel = PanelPage(page)
    expect(panel.root.locator(".xaiw-verdict")).to_contain_text("layer gradients only")
    assert panel.layers(".is-last-dead") == ["stage1"]
    expect(panel.root.locator(".is-last-dead")).to_contain_text("no_grad")
    dead = panel.layers(".is-dead")
    assert dead == panel.layers()[: len(dead)]
    assert {"stem", "stage1.block1", "stage1"} <= set(dead)
    error = panel.root.locator(".xaiw-group-error").first
    expect(error).to_contain_text("no_grad")
    stage = panel.root.locator('[aria-label="Layers"] [data-value="stage3"]')
    stage.focus()
    page.page.keyboard.press("Home")
    page.page.keyboard.press("Enter")
    expect(panel.root.locator(".xaiw-layer-detail")).to_contain_text("no gradient arrives")


def test_check_again_sees_the_repair(lab: Lab) -> None:
    repaired = """
def forward(x):
    return faulty.head(faulty.stage3(faulty.stage2(faulty.stage1(faulty.stem(x)))).mean((2, 3)))
faulty.forward = forward
"""
    panel_of = "panel = xw.ReadinessPanel(xw.load(faulty, model.labels, model.preprocess))\npanel"
    page = lab.open([FAULTY + panel_of])
    panel = PanelPage(page)
    page.run(repaired)
    panel.button("Check again").click()
    expect(panel.root).to_have_attribute("data-revision", "2")
    assert panel.layers(".is-dead") == []


def test_export_downloads_the_report_as_json_without_asking_the_kernel(lab: Lab) -> None:
    page = lab.open([FAULTY + LOADED + PANEL])
    panel = PanelPage(page)

    def export() -> None:
        with page.page.expect_download() as download:
            panel.button("Export JSON").click()
        path = download.value.path()
        assert download.value.suggested_filename == "readiness-HeadOnly.json"
        exported = json.loads(Path(path).read_text(encoding="utf-8"))
        assert exported == page.value("panel.report.to_dict()")

    assert page.comm_messages_during(export) == []


def test_axe_finds_nothing_in_either_theme(lab: Lab) -> None:
    # High enough for all of it: axe does not see what is scrolled out of view.
    page = lab.open([FAULTY + LOADED + PANEL], height=2400)
    panel = PanelPage(page)
    panel.root.locator(".xaiw-group-ok summary").click()
    panel.root.locator('[aria-label="Layers"] [role="option"]').first.click()
    for theme in page.in_each_theme():
        assert axe.violations(panel.root) == [], theme


def test_a_reload_brings_the_panel_back_without_checking_again(lab: Lab) -> None:
    page = lab.open([HEALTHY])
    PanelPage(page)
    page.reload()
    panel = PanelPage(page)
    assert page.value("panel._revision") == 1
    assert len(panel.layers()) > 0


def test_the_explorers_badge_opens_the_report(lab: Lab) -> None:
    images = 'images = xw.demo.dataset("animals", n=4, seed=3).images\n'
    show = "explorer = xw.Explorer(faulty, images)\nexplorer"
    page = lab.open([FAULTY + LOADED + images + show], height=2400)
    explorer = ExplorerPage(page)
    badge = explorer.root.locator(".xaiw-badge")
    assert not [m for m in page.comm_messages() if "check" in str(m.comm_data)]
    badge.click()
    report = explorer.root.get_by_role("region", name="Readiness", exact=True)
    expect(report.locator(".is-last-dead")).to_have_attribute("data-value", "stage1")
    expect(badge).to_contain_text("layer gradients only")
    assert axe.violations(explorer.root) == []
    badge.click()
    expect(report).to_be_hidden()


def test_the_explorer_shows_how_far_its_check_is_and_cancels_it(lab: Lab) -> None:
    images = 'images = xw.demo.dataset("animals", n=2, seed=3).images\n'
    page = lab.open([GATED + images + "explorer = xw.Explorer(model, images)\nexplorer"])
    explorer = ExplorerPage(page)
    page.run(HOLD)
    explorer.root.locator(".xaiw-badge").click()
    report = explorer.root.get_by_role("region", name="Readiness", exact=True)
    expect(report.get_by_role("status")).to_have_text("Going forward and backward")
    expect(report.locator(".xaiw-done")).to_have_text("0 of 3")
    page.run("assert gated.entered.wait(60)")
    report.get_by_role("button", name="Cancel", exact=True).click()
    page.run("gated.gate.set()")
    expect(report.get_by_role("status")).to_have_text("The check was cancelled.")
    expect(explorer.root).to_have_attribute("data-state", "idle")
    report.get_by_role("button", name="Check again", exact=True).click()
    expect(report.locator(".xaiw-gradient").first).to_be_visible()
    expect(report.locator(".xaiw-checking")).to_be_hidden()
    assert page.console_errors == []


def test_the_panel_shows_how_far_its_check_is_and_cancels_it(lab: Lab) -> None:
    page = lab.open([GATED + "panel = xw.ReadinessPanel(model)\npanel"])
    panel = PanelPage(page)
    page.run(HOLD)
    panel.button("Check again").click()
    expect(panel.root.locator(".xaiw-status-message")).to_have_text("Going forward and backward")
    expect(panel.root.locator(".xaiw-done")).to_have_text("0 of 3")
    panel.button("Cancel").click()
    page.run("gated.gate.set()")
    expect(panel.root).to_have_attribute("data-state", "cancelled")
    panel.button("Retry").click()
    expect(panel.root).to_have_attribute("data-state", "idle")


@pytest.mark.parametrize(
    ("load", "verdict", "applicable"),
    [
        (KERAS, "explainable", BY_GRADIENT | {"grad_cam"}),
        (TORCHSCRIPT, None, BY_GRADIENT),
        (ONNX, "inference only", BY_PERTURBING),
    ],
    ids=["keras", "torchscript", "onnx"],
)
def test_the_explorer_predicts_on_every_format_and_greys_what_does_not_apply(
    lab: Lab, load: str, verdict: str | None, applicable: set[str]
) -> None:
    page = lab.open([load + EXPLORE])
    explorer = ExplorerPage(page)
    if verdict is not None:
        expect(explorer.root.locator(".xaiw-badge")).to_contain_text(verdict)
    known = page.value("[record['method'] for record in xw.methods(model)]")
    assert applicable <= set(known)
    for name in known:
        option = explorer.option("Method", name)
        if name in applicable:
            assert option.get_attribute("aria-disabled") is None
        if option.get_attribute("aria-disabled"):
            reason = page.value(
                f"[r['reason'] for r in xw.methods(model) if r['method'] == {name!r}][0]"
            )
            assert reason
            expect(option).to_contain_text(reason)
    expected = page.value(
        "model.probabilities(model.scores(model.prepare(data.images[0]).values[None]))[0].tolist()"
    )
    shown = [
        float(text)
        for text in explorer.root.locator(
            '[aria-label="Target"] [role="option"] .xaiw-number'
        ).all_inner_texts()
    ]
    np.testing.assert_allclose(sorted(shown), sorted(expected), atol=0.011)
    explorer.choose("Images", 2)
    if applicable == BY_PERTURBING:
        assert page.value("explorer.method") == "occlusion"
        for name in set(known) - applicable:
            expect(explorer.option("Method", name)).to_have_attribute("aria-disabled", "true")
    assert page.console_errors == []
