"""Pictures of every widget in JupyterLab, light and dark, wide and narrow, in ``screenshots/``.

    make screenshots                    # of all
    make screenshots ARGS="readiness"   # of one

They are for looking at, and for the README; no test compares them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from scripts.browser import HELP, find
from tests.lab.faulty import FAULTY, LOADED
from tests.lab.page import Lab
from tests.lab.server import LabServer

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "screenshots"
IN_THE_README = ("explorer", "workbench", "comparison", "gallery", "sketch")
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
# Browser windows; the widget gets what the notebook leaves of them.
WIDTHS_PX = {"wide": 1440, "narrow": 640}
EXPLORER = """
import xai_widgets as xw
data = xw.demo.dataset("lesions", n=24, seed=1, ruler="malignant")
explorer = xw.Explorer(xw.demo.model("lesions-shortcut"), data.images)
explorer.image_index = 2
explorer.method = "integrated_gradients"
explorer.parameters = {"integrated_gradients": {"baseline": "blur"}}
explorer.region = {"type": "rect", "x": 104, "y": 8, "width": 22, "height": 114}
explorer.ablation = "blur"
explorer
"""
IMAGES = 'xw.demo.dataset("animals", n=6, seed=3).images'
READINESS = f"{FAULTY}{LOADED}panel = xw.ReadinessPanel(faulty, {IMAGES}[0])\npanel\n"
BADGE = f"{FAULTY}{LOADED}xw.Explorer(faulty, {IMAGES})\n"
HEALTHY = """
import xai_widgets as xw
panel = xw.ReadinessPanel(xw.demo.model("lesions"))
panel
"""
ATTENTION = """
import xai_widgets as xw
data = xw.demo.dataset("animals", n=4, seed=3)
model = xw.demo.model("animals", architecture="vit")
view = xw.AttentionView(model, data.images[1], query=[2, 6], layer=1)
view
"""
LESION = """
import xai_widgets as xw
data = xw.demo.dataset("lesions", n=12, seed=7, ruler="none")
model = xw.demo.model("lesions")
"""
SCRUBBER = f"""{LESION}
scrubber = xw.PathScrubber(model, data.images[2], target="malignant", baseline="white")
scrubber.region = {{"type": "rect", "x": 40, "y": 40, "width": 40, "height": 40}}
scrubber
"""
GUIDED = f"""{LESION}
xw.PathScrubber(model, data.images[2], target="malignant", baseline="white", path="guided")
"""
DRAWS = f"""{LESION}
xw.PathScrubber(
    model, data.images[2], target="malignant", baseline=data.images[4:], draws=8, n_steps=32)
"""
ADAPTIVE = f"""{LESION}
xw.PathScrubber(model, data.images[2], target="malignant", baseline="blur", tolerance=0.02)
"""
CLOSER = f"""{LESION}
explorer = xw.Explorer(model, data.images, image_index=2, target="malignant")
explorer.look_closer("scrubber")
explorer
"""
SEGMENTATION = """
import xai_widgets as xw
data = xw.demo.dataset("scenes", n=8, seed=3)
explorer = xw.Explorer(xw.demo.model("scenes"), data.images, method="grad_cam", target="animal")
explorer.region = {"type": "rect", "x": 24, "y": 40, "width": 48, "height": 48}
explorer
"""
WORKBENCH = """
import tempfile
import numpy as np, xai_widgets as xw
data = xw.demo.dataset("animals", n=120, seed=5)
zebras = np.flatnonzero(data.labels == data.class_names.index("zebra")).tolist()
rng = np.random.default_rng(0)
store = xw.ConceptStore(tempfile.mkdtemp() + "/concepts")

def mark(name, indices, wanted):
    store.add_concept(name)
    for index in indices:
        animal = data.masks["animal"][index]
        for _ in range(400):
            x, y = rng.integers(0, 104, 2).tolist()
            if wanted(animal[y : y + 24, x : x + 24].mean()):
                box = {"type": "rect", "x": x, "y": y, "width": 24, "height": 24}
                store.add(name, data.images[index], box)
                break

mark("stripes", zebras, lambda share: share > 0.7)
mark("ground", zebras, lambda share: share == 0)
workbench = xw.ConceptWorkbench(
    xw.demo.model("animals"), data.images, store=store, classes=data.labels, target="zebra",
    compare=[data.class_names.index("horse")], image_index=zebras[3], concept="stripes",
    layer="stage2", testing=True)
workbench
"""
COMPARISON = """
import xai_widgets as xw
data = xw.demo.dataset("lesions", n=4, seed=7, ruler="malignant")
methods = ["gradient", "smoothgrad", ("integrated_gradients", {"baseline": "blur"}), "grad_cam"]
models = {"honest": xw.demo.model("lesions"), "shortcut": xw.demo.model("lesions-shortcut")}
comparison = xw.Comparison(
    models, data.images, methods, masks=data.masks["lesion"], metrics=["deletion", "mass_accuracy"],
    fixed={"models": 1}, hidden={"images": [3]})
comparison.selected = [dict(models=1, images=0, methods=2, layers=0, targets=0)]
comparison
"""
SHOW_STUDY = """
comparison.study = "{study}"
other = dict(models=1, images=0, methods=3, layers=0, targets=0)
comparison.selected = [*comparison.selected, other]
comparison
"""
STUDIES = {
    f"comparison-{study}": COMPARISON.removesuffix("comparison\n") + SHOW_STUDY.format(study=study)
    for study in ("pair", "curves", "sanity", "agreement")
}
GALLERY = """
import xai_widgets as xw
data = xw.demo.dataset("animals", n=60, seed=3)
gallery = xw.FeatureGallery(
    xw.demo.model("animals"), data.images, layer="stage2", selected=5, parameters={"n_steps": 64})
gallery
"""
GALLERY_CLASSES = """
import xai_widgets as xw
data = xw.demo.dataset("animals", n=60, seed=3)
gallery = xw.FeatureGallery(
    xw.demo.model("animals"), data.images, objective="zebra", parameters={"n_steps": 64})
gallery
"""
SKETCH = """
import xai_widgets as xw
pad = xw.SketchPad(xw.demo.model("digits"), sketch="seven", method="integrated_gradients")
pad
"""
PAINTED = """
import numpy as np, xai_widgets as xw
data = xw.demo.dataset("animals", n=40, seed=5)
stripes = [
    {**stroke, "width": 0.05, "colour": "#202020"}
    for stroke in xw.demo.sketch("stripes")["strokes"]
]
pad = xw.SketchPad(
    xw.demo.model("animals"), background=data.images[8], sketch={"strokes": stripes})
pad
"""
WIDGETS = {
    "explorer": EXPLORER,
    "workbench": WORKBENCH,
    "comparison": COMPARISON,
    **STUDIES,
    "attention": ATTENTION,
    "scrubber": SCRUBBER,
    "scrubber-guided": GUIDED,
    "scrubber-draws": DRAWS,
    "scrubber-adaptive": ADAPTIVE,
    "explorer-closer": CLOSER,
    "gallery": GALLERY,
    "gallery-classes": GALLERY_CLASSES,
    "segmentation": SEGMENTATION,
    "sketch": SKETCH,
    "sketch-painted": PAINTED,
    "readiness": READINESS,
    "readiness-healthy": HEALTHY,
    "readiness-badge": BADGE,
}


def main() -> int:
    path = find()
    if path is None:
        print(HELP, file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        server = LabServer(Path(scratch))
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            for name in sys.argv[1:] or WIDGETS:
                code = WIDGETS[name]
                lab = Lab(server, browser, name)
                for size, width in WIDTHS_PX.items():
                    page = lab.open([code], width=width, height=2400, device_pixel_ratio=2)
                    page.wait_for_state("idle", timeout_s=300)
                    if "scrubber" in name:  # in the middle of the path, where there is most to see
                        slider = page.widget.get_by_role("slider", name="Step of the path")
                        slider.focus()
                        for key in ("End", "PageDown", "PageDown", "PageDown"):
                            page.page.keyboard.press(key)
                    if code is BADGE:
                        page.widget.locator(".xaiw-badge").click()
                        page.widget.locator(".xaiw-gradient").first.wait_for()
                    for theme, title in THEMES.items():
                        page.use_theme(title)
                        page.settle()
                        target = FOLDER / f"{name}-{size}-{theme}.png"
                        shown = page.widget
                        if code is CLOSER:  # what is open stands below
                            shown = page.page.locator(".jp-OutputArea-output").last
                        shown.screenshot(path=target)
                        print(target)
                lab.close()
            for name in IN_THE_README:
                if not sys.argv[1:] or name in sys.argv[1:]:
                    with Image.open(FOLDER / f"{name}-wide-light.png") as picture:
                        picture.reduce(2).save(ROOT / "docs" / f"{name}.png", optimize=True)
        finally:
            browser.close()
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
