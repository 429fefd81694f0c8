"""The sketch pad: from stroke to probabilities beside one round trip, and ten seconds of it."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.paired import Line
from scripts.browser import find
from tests.lab.page import Lab, LabPage
from tests.lab.server import LabServer

SECONDS = 10
AT_MOST = 3.0
# An anywidget that sends the picture it got back, and nothing else: what no pad can be faster than.
ECHO = """
import anywidget
class Echo(anywidget.AnyWidget):
    _esm = '''
    export default { render({ model, el }) {
      el.dataset.echo = "ready";
      el.trip = (bytes) => new Promise((done) => {
        const started = performance.now();
        const back = (_content, buffers) => {
          model.off("msg:custom", back);
          if (buffers[0].byteLength !== bytes.byteLength) throw new Error("another picture");
          done(performance.now() - started);
        };
        model.on("msg:custom", back);
        model.send({ kind: "trip" }, undefined, [bytes.slice().buffer]);
      });
    } };
    '''
echo = Echo()
echo.on_msg(lambda widget, content, buffers: widget.send(content, [bytes(b) for b in buffers]))
echo
"""
PAD = """
import xai_widgets as xw
pad = xw.SketchPad(xw.demo.model("digits"), method={method!r})
pad
"""
# Rounds of both in turn, in milliseconds; a stroke has come through when its answer is on screen.
# Each follows one of its own kind, as in use: whether TCP holds back the second packet of an answer
# (Nagle's algorithm waits up to 40 ms for the receipt of the first) depends on what went before.
ROUNDS = """async ([root, cell, n]) => {
  const frame = root.querySelector(".xaiw-frame");
  const box = frame.getBoundingClientRect();
  const fire = (type, u, v) => frame.dispatchEvent(new PointerEvent(type, {
    pointerId: 3, bubbles: true, cancelable: true, button: 0,
    clientX: box.left + u * box.width, clientY: box.top + v * box.height }));
  const rest = async () => {
    for (let i = 0; i < 6; i += 1) await new Promise((done) => requestAnimationFrame(done));
    while (root.dataset.sent !== root.dataset.answered)
      await new Promise((done) => setTimeout(done, 5));
  };
  const stroke = (u, v) => new Promise((done) => {
    const started = performance.now();
    const sent = Number(root.dataset.sent);
    const watch = new MutationObserver(() => {
      if (Number(root.dataset.answered) <= sent) return;
      watch.disconnect();
      done(performance.now() - started);
    });
    watch.observe(root, { attributes: true, attributeFilter: ["data-answered"] });
    fire("pointermove", u, v);
  });
  const picture = new Uint8Array(32 * 32 * 3).map((_, i) => i * 7);
  const times = { pad: [], echo: [] };
  fire("pointerdown", 0.2, 0.2);
  for (let i = -2; i < n; i += 1) {
    let [through, trip] = [0, 0];
    for (let t = i; t < i + 1; t += 0.5) {
      await rest();
      through = await stroke(0.5 + 0.35 * Math.cos(t), 0.5 + 0.35 * Math.sin(1.7 * t));
    }
    for (let again = 0; again < 2; again += 1) {
      await rest();
      trip = await cell.trip(picture);
    }
    if (i >= 0) times.pad.push(through), times.echo.push(trip);
  }
  fire("pointerup", 0.2, 0.2);
  return times;
}"""
SCRIBBLE = """async ([root, seconds]) => {
  const frame = root.querySelector(".xaiw-frame");
  const box = frame.getBoundingClientRect();
  const fire = (type, t) => frame.dispatchEvent(new PointerEvent(type, {
    pointerId: 7, bubbles: true, cancelable: true, button: 0,
    clientX: box.left + box.width * (0.5 + 0.35 * Math.cos(9 * t) * Math.cos(t)),
    clientY: box.top + box.height * (0.5 + 0.35 * Math.sin(7 * t)) }));
  const began = Number(root.dataset.sent);
  const started = performance.now();
  let [points, most, longest] = [0, 0, 0];
  fire("pointerdown", 0);
  while (performance.now() - started < 1000 * seconds) {
    await new Promise((done) => requestAnimationFrame(done));
    for (let i = 0; i < 2; i += 1) {
      const before = performance.now();
      fire("pointermove", (points += 1) / 300);
      longest = Math.max(longest, performance.now() - before);
    }
    most = Math.max(most, root.dataset.sent - root.dataset.answered);
  }
  fire("pointerup", points / 300);
  const ended = performance.now();
  while (root.dataset.sent !== root.dataset.answered)
    await new Promise((done) => setTimeout(done, 2));
  const drained = performance.now() - ended;
  return { points, most, longest, drained, sent: root.dataset.sent - began };
}"""


def run(rounds: int = 30) -> list[Line]:
    """Compare with a bare echo of the same picture in one page, and count what is unanswered."""
    lines = []
    with _lab() as lab:
        for method, words in (("", "probabilities alone"), ("grad_cam", "with Grad-CAM")):
            page = lab.open([ECHO, PAD.format(method=method)], height=1300)
            root, cell = _elements(page)
            times = page.page.evaluate(ROUNDS, [root, cell, rounds])
            ratios = [a / b for a, b in zip(times["pad"], times["echo"], strict=True)]
            ours, bare = statistics.median(times["pad"]), statistics.median(times["echo"])
            ratio = ours / bare
            title = (
                f"from stroke to probabilities on digits, {words}: pad / one round trip of the "
                f"picture (medians {ours:.1f} ms and {bare:.1f} ms)"
            )
            goal = f"<= {AT_MOST:g}"
            lines.append(Line(title, ratio, min(ratios), max(ratios), goal, ratio <= AT_MOST))
        found = page.page.evaluate(SCRIBBLE, [root, SECONDS])
        title = (
            f"pictures unanswered at most in {SECONDS} s of drawing ({found['points']} points, "
            f"{found['sent']} pictures, the last answer {found['drained']:.0f} ms after the last "
            f"point, the longest point event {found['longest']:.1f} ms)"
        )
        most = float(found["most"])
        lines.append(Line(title, most, most, most, "<= 1", most <= 1))
    return lines


def _elements(page: LabPage) -> tuple[object, object]:
    page.page.locator('.xaiw[data-widget="sketch"][data-state="idle"]').wait_for()
    cell = page.page.locator("[data-echo=ready]")
    cell.wait_for(state="attached")
    return page.widget.element_handle(), cell.element_handle()


@contextmanager
def _lab() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        server = LabServer(Path(scratch))
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=find(), args=arguments)
        try:
            lab = Lab(server, browser, "sketch")
            yield lab
            lab.close()
        finally:
            browser.close()
            server.stop()
