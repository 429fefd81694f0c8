"""Redrawing 6 x 6 maps of 224 pixels: from slider event to pixels that are read back."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from benchmarks.opacity import PEER
from benchmarks.paired import Line
from scripts.browser import find
from tests.lab.page import Lab
from tests.lab.server import LabServer

GRID = """
import numpy as np, torch, xai_widgets as xw
from transformers import ResNetConfig, ResNetForImageClassification
torch.manual_seed(0)
network = ResNetForImageClassification(ResNetConfig(
    num_labels=10, embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1])).eval()
pictures = np.random.default_rng(0).integers(0, 256, (6, 224, 224, 3), dtype=np.uint8)
methods = ["gradient", "input_x_gradient", ("smoothgrad", {"n_samples": 4}),
    ("smoothgrad_squared", {"n_samples": 4}), ("vargrad", {"n_samples": 4}),
    ("integrated_gradients", {"n_steps": 4})]
comparison = xw.Comparison(xw.load(network, input_size=224), pictures, methods)
comparison
"""
INTERACT = """
%matplotlib inline
import ipywidgets, matplotlib.pyplot as plt
heats = [[comparison.explanation(images=i, methods=m).heatmap for m in range(6)] for i in range(6)]
def draw(opacity=0.5):
    figure, axes = plt.subplots(6, 6, figsize=(9, 9))
    for i in range(6):
        for m in range(6):
            limit = abs(heats[i][m]).max()
            axes[i][m].imshow(pictures[i])
            axes[i][m].imshow(heats[i][m], cmap="RdBu_r", vmin=-limit, vmax=limit, alpha=opacity)
            axes[i][m].set_axis_off()
    plt.show()
ipywidgets.interact(draw, opacity=(0.0, 1.0, 0.01))
None
"""

# All cells small enough to be in view at once; each canvas keeps one pixel per map pixel.
ALL_IN_VIEW = """async (root) => {
  root.querySelector("[role=grid]").style.maxHeight = "none";
  const size = root.querySelector('input[aria-label="Size"]');
  size.value = "80";
  size.dispatchEvent(new Event("input", { bubbles: true }));
  const drawn = () => [...root.querySelectorAll("canvas.xaiw-heat")]
    .filter((canvas) => canvas.width === 224).length;
  const started = performance.now();
  while (drawn() !== 36) {
    if (performance.now() - started > 60000) throw new Error(`${drawn()} of 36 cells are drawn`);
    await new Promise((done) => requestAnimationFrame(done));
  }
}"""

# Milliseconds from a slider's event until all 36 cells are drawn, and until their pixels are read
# back, changed.
OURS = """async ([root, name, n]) => {
  const input = root.querySelector(`input[aria-label="${name}"]`);
  const canvases = [...root.querySelectorAll("canvas.xaiw-heat")];
  const inks = canvases.map((canvas) => canvas.getContext("2d"));
  const read = () => inks.map((ink) => ink.getImageData(0, 0, 224, 224).data);
  const sum = (data) => {
    let total = 0;
    for (let i = 3; i < data.length; i += 4) total = (total * 31 + data[i] + data[i - 1]) | 0;
    return total;
  };
  const [low, high] = [Number(input.min), Number(input.max)];
  const drawn = [];
  const times = [];
  let before = read().map(sum);
  for (let i = 0; i < n; i++) {
    await new Promise((done) => requestAnimationFrame(done));
    input.value = String(low + (high - low) * (0.1 + 0.8 * ((i * 0.37) % 1)));
    const started = performance.now();
    input.dispatchEvent(new Event("input", { bubbles: true }));
    drawn.push(performance.now() - started);
    const now = read();
    times.push(performance.now() - started);
    const sums = now.map(sum);
    if (i && sums.some((each, k) => each === before[k])) throw new Error("a cell did not change");
    before = sums;
  }
  return [times, drawn];
}"""


def run(rounds: int = 80) -> list[Line]:
    """Compare with interact in one JupyterLab, and with matplotlib's blitting in a process."""
    times: dict[str, list[float]] = {}
    drawn: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        server = LabServer(Path(scratch))
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=find(), args=arguments)
        try:
            lab = Lab(server, browser, "comparison")
            page = lab.open([GRID, INTERACT], width=1600, height=1600)
            page.wait_for_state("idle", timeout_s=300)
            root = page.widget.element_handle()
            page.page.evaluate(ALL_IN_VIEW, root)
            handle = page.page.locator(".widget-interact .noUi-handle").first.element_handle()
            for name in ("Opacity", "Threshold"):
                page.page.evaluate(OURS, [root, name, 10])
                times[name], drawn[name] = page.page.evaluate(OURS, [root, name, rounds])
            page.page.wait_for_selector(".widget-interact img", state="attached")
            page.page.evaluate(PEER, [handle, 2])
            times["interact"] = page.page.evaluate(PEER, [handle, max(5, rounds // 8)])
            lab.close()
        finally:
            browser.close()
            server.stop()
    times["blitting"] = _blitting(max(5, rounds // 8))
    found = []
    for name in ("Opacity", "Threshold"):
        ours = times[name]
        p95, alone = (statistics.quantiles(each, n=20)[-1] for each in (ours, drawn[name]))
        for peer in ("interact", "blitting"):
            theirs = times[peer]
            ratio = statistics.median(theirs) / statistics.median(ours)
            low, high = min(theirs) / max(ours), max(theirs) / min(ours)
            title = (
                f"6 x 6 maps of 224 px, {name.lower()}: {peer} / Comparison (medians "
                f"{statistics.median(theirs):.0f} ms and {statistics.median(ours):.1f} ms, "
                f"p95 {p95:.1f} ms, without reading back {alone:.1f} ms)"
            )
            found.append(Line(title, ratio, low, high, "p95 <= 16 ms", p95 <= 16))
    return found


def _blitting(rounds: int) -> list[float]:
    """Milliseconds to redraw only the maps of a 6 x 6 figure over a background that is kept."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rng = np.random.default_rng(0)
    figure = Figure(figsize=(9, 9))
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(6, 6)
    maps = []
    for axis in axes.ravel():
        axis.set_axis_off()
        axis.imshow(rng.integers(0, 256, (224, 224, 3), dtype=np.uint8))
        heat = rng.normal(size=(224, 224)).astype(np.float32)
        maps.append(axis.imshow(heat, cmap="RdBu_r", vmin=-3, vmax=3, alpha=0.5, animated=True))
    canvas.draw()
    background = canvas.copy_from_bbox(figure.bbox)
    times = []
    for turn in range(rounds + 1):
        began = time.perf_counter()
        canvas.restore_region(background)
        for image in maps:
            image.set_alpha(0.2 + 0.6 * ((turn * 0.37) % 1))
            image.axes.draw_artist(image)
        np.asarray(canvas.buffer_rgba()).copy()
        times.append(1000 * (time.perf_counter() - began))
    return times[1:]
