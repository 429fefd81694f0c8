"""From slider event to changed pixels: the Explorer against interact with matplotlib."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.paired import Line
from scripts.browser import find
from tests.lab.page import Lab
from tests.lab.server import LabServer

EXPLORER = """
import numpy as np, torch, xai_widgets as xw
from transformers import ResNetConfig, ResNetForImageClassification
torch.manual_seed(0)
network = ResNetForImageClassification(ResNetConfig(num_labels=1000)).eval()
pictures = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
explorer = xw.Explorer(xw.load(network, input_size=224), pictures, method="gradient")
explorer
"""

INTERACT = """
%matplotlib inline
import ipywidgets, matplotlib.pyplot as plt
picture, heat = explorer.images[0].pixels, explorer.explanation.heatmap
limit = abs(heat).max()
def draw(opacity=0.5):
    figure, axes = plt.subplots(1, 3, figsize=(9, 3))
    axes[0].imshow(picture)
    axes[1].imshow(heat, cmap="RdBu_r", vmin=-limit, vmax=limit)
    axes[2].imshow(picture)
    axes[2].imshow(heat, cmap="RdBu_r", vmin=-limit, vmax=limit, alpha=opacity)
    plt.show()
ipywidgets.interact(draw, opacity=(0.0, 1.0, 0.01))
None
"""

# Milliseconds from the input event until the overlay's pixels, read back, differ.
OURS = """async ([root, n]) => {
  const slider = root.querySelector('input[type=range][aria-label="Opacity"]');
  const canvas = root.querySelector("canvas.xaiw-overlay");
  const context = canvas.getContext("2d");
  const alphas = () => {
    const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
    let sum = 0;
    for (let i = 3; i < data.length; i += 4) sum += data[i];
    return sum;
  };
  const range = Number(slider.max) - Number(slider.min);
  const times = [];
  for (let i = 0; i < n; i++) {
    const before = alphas();
    slider.value = String(Number(slider.min) + range * (0.2 + 0.6 * ((i * 0.37) % 1)));
    const started = performance.now();
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    while (alphas() === before) {
      if (performance.now() - started > 5000) throw new Error("the overlay did not change");
      await new Promise((done) => requestAnimationFrame(done));
    }
    times.push(performance.now() - started);
  }
  return times;
}"""

# The same for the picture that interact replaces, from key press to a decoded new image.
PEER = """async ([handle, n]) => {
  const output = () => [...document.querySelectorAll(".widget-interact img")].at(-1);
  const times = [];
  for (let i = 0; i < n; i++) {
    const before = output()?.src;
    const started = performance.now();
    handle.dispatchEvent(new KeyboardEvent("keydown", {
      key: i % 2 ? "ArrowLeft" : "ArrowRight", keyCode: i % 2 ? 37 : 39, bubbles: true }));
    while (!output() || output().src === before) {
      if (performance.now() - started > 20000) throw new Error("the picture did not change");
      await new Promise((done) => requestAnimationFrame(done));
    }
    await output().decode();
    times.push(performance.now() - started);
  }
  return times;
}"""


def run(rounds: int = 40) -> list[Line]:
    """Compare the two sliders in one JupyterLab."""
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        server = LabServer(Path(scratch))
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=find(), args=arguments)
        try:
            lab = Lab(server, browser, "opacity")
            page = lab.open([EXPLORER, INTERACT])
            page.wait_for_state("idle")
            root = page.widget.element_handle()
            handle = page.page.locator(".widget-interact .noUi-handle").first.element_handle()
            page.page.wait_for_selector(".widget-interact img")
            page.page.evaluate(OURS, [root, 5])
            page.page.evaluate(PEER, [handle, 3])
            ours = page.page.evaluate(OURS, [root, rounds])
            peer = page.page.evaluate(PEER, [handle, rounds])
            lab.close()
        finally:
            browser.close()
            server.stop()
    median = statistics.median(peer) / statistics.median(ours)
    deciles = [statistics.quantiles(times, n=20) for times in (ours, peer)]
    title = (
        "opacity: interact with matplotlib / Explorer "
        f"(medians {statistics.median(peer):.0f} ms and {statistics.median(ours):.2f} ms, "
        f"p95 {deciles[1][-1]:.0f} ms and {deciles[0][-1]:.2f} ms)"
    )
    low, high = min(peer) / max(ours), max(peer) / min(ours)
    return [Line(title, median, low, high, ">= 30", median >= 30)]
