"""Methods by family, their forms, and what is explained, in a real JupyterLab."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.lab import axe
from tests.lab.explorer_page import ExplorerPage
from tests.lab.page import Lab

pytestmark = pytest.mark.lab

MODEL = """
import xai_widgets as xw
data = xw.demo.dataset("animals", n=8, seed=3)
model = xw.demo.model("animals")
"""
SHOW = "explorer = xw.Explorer(model, data.images)\nexplorer"
DENSE = """
import numpy as np, torch
import xai_widgets as xw
torch.manual_seed(0)
net = torch.nn.Sequential(
    torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.ReLU(), torch.nn.Conv2d(8, 3, 3, 2, 1)
)
model = xw.load(net.eval(), labels=["sky", "tree", "house"], input_size=(64, 64))
images = xw.demo.dataset("animals", n=2, seed=3).images
explorer = xw.Explorer(model, images, method="gradient", target="tree")
explorer
"""


def test_methods_stand_in_families_and_the_form_of_each_reaches_the_kernel(lab: Lab) -> None:
    page = lab.open([MODEL, SHOW], height=1400)
    explorer = ExplorerPage(page)
    families = page.value("list(dict.fromkeys(r['family'] for r in xw.methods(model)))")
    groups = explorer.root.locator('[aria-label="Method"] [role="group"]')
    assert groups.count() == len(families)
    names = [group.get_attribute("aria-label") for group in groups.all()]
    assert names[:4] == ["Gradient", "Path", "Class activation", "Shapley values"]
    assert explorer.root.locator('[aria-label="Method"] [role="option"]').count() == page.value(
        "len(xw.methods(model))"
    )
    expect(explorer.option("Method", "attention_rollout")).to_have_attribute(
        "aria-disabled", "true"
    )
    before = explorer.pixels("heat")
    explorer.choose("Method", "occlusion")
    assert before.tobytes() != explorer.pixels("heat").tobytes()
    window = explorer.root.get_by_label("Window", exact=True)
    revision = explorer.revision
    window.fill("48")
    window.press("Tab")
    explorer.until_done(revision)
    assert page.value("explorer.parameters") == {"occlusion": {"window_size": 48}}
    assert page.value("explorer.explanation.provenance['parameters']['window_size']") == 48
    revision = explorer.revision
    explorer.root.get_by_label("Baseline", exact=True).select_option("black")
    explorer.until_done(revision)
    assert page.value("explorer.parameters")["occlusion"]["baseline"] == "black"
    revision = explorer.revision
    explorer.button("Reset").click()
    explorer.until_done(revision)
    assert page.value("explorer.parameters") == {}
    assert axe.violations(explorer.root) == []
    assert page.console_errors == []


def test_typing_finds_a_method_and_the_other_pictures_are_its_background(lab: Lab) -> None:
    page = lab.open([MODEL, SHOW], height=1400)
    explorer = ExplorerPage(page)
    explorer.option("Method", "gradient").focus()
    page.page.keyboard.type("expected")
    revision = explorer.revision
    page.page.keyboard.press("Enter")
    explorer.until_done(revision)
    assert page.value("explorer.method") == "expected_gradients"
    revision = explorer.revision
    explorer.root.get_by_label("Background", exact=True).select_option("images")
    explorer.until_done(revision)
    assert page.value("explorer.explanation.diagnostics['n_background']") == 7


def test_a_region_of_a_segmentation_is_what_is_explained(lab: Lab) -> None:
    page = lab.open([DENSE], height=1400)
    explorer = ExplorerPage(page)
    shares = explorer.root.locator('[aria-label="Target"] .xaiw-number')
    assert all(text.endswith("%") for text in shares.all_inner_texts())
    before = explorer.pixels("heat")
    explorer.tool("Rectangle")
    revision = explorer.revision
    explorer.drag((0.2, 0.2), (0.5, 0.6))
    explorer.until_done(revision)
    assert page.value("explorer.explanation.target_text") == "tree in the region"
    assert before.tobytes() != explorer.pixels("heat").tobytes()
    expect(explorer.root).to_contain_text("for tree in the region")
    assert axe.violations(explorer.root) == []


def test_a_layer_of_the_model_is_shown_by_its_text(lab: Lab) -> None:
    page = lab.open([MODEL, SHOW])
    explorer = ExplorerPage(page)
    revision = explorer.revision
    page.run("explorer.target = xw.LayerTarget('stage3', 5, None, 'max')")
    explorer.until_done(revision)
    expect(explorer.root.locator(".xaiw-other")).to_have_text("maximum of channel 5 of stage3")
    explorer.choose("Target", 1)
    assert page.value("explorer.target") == {"kind": "class", "index": 1, "versus": None}
