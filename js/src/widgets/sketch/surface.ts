// The pad on the screen: paper, ink and heat map, one above the other. A stroke is drawn in its own pointer event.

import {
  type Change,
  type Context,
  coloursShown,
  quantiser,
  scaleShown,
  thresholdShown,
} from "../../components/context";
import { Pane } from "../../components/pane";
import { h, setAttr, uniqueId } from "../../core/dom";
import { clear, drawMap, drawPicture } from "../../core/renderer";
import { type SketchPoint, type Stroke, UNITS } from "../../core/sketch";
import { Hand } from "./hand";
import type { SketchStore } from "./store";

const HELP =
  "Draw with mouse, pen or finger. With keys, arrows move the pen, Shift for small steps, Space puts it down and lifts it, " +
  "Home goes to the middle, brackets change the size, E takes the eraser, Escape abandons a stroke, Control Z undoes.";

export interface Surface {
  root: HTMLElement;
  pane: Pane;
  hand: Hand;
  update(change: Change): void;
  remove(): void;
}

export function surface(context: Context, store: SketchStore, changed: () => void): Surface {
  const { pad } = store;
  const { viewport, display, signal } = context;
  const layer = (name: string, label: string) =>
    h("canvas", { class: name, role: "img", "aria-label": label });
  const paper = layer("xaiw-paper", "Paper");
  const ink = layer("xaiw-ink", "Drawing");
  const overlay = layer("xaiw-overlay", "Attribution over the drawing");
  const helpId = uniqueId("help");
  const pane = new Pane("Drawing", [paper, ink, overlay], viewport, helpId);
  const nib = h("i", { class: "xaiw-nib", hidden: true });
  const hint = h(
    "p",
    { class: "xaiw-hint", "aria-hidden": "true" },
    "Draw here",
    h("small", {}, "or drop or paste a picture"),
  );
  pane.frame.append(hint, nib);
  const root = h("div", { class: "xaiw-pad" }, pane.root, h("div", { id: helpId, hidden: true }, HELP));
  const quantised = quantiser();
  const hand = new Hand(store, pane, context.announce, () => {
    follow();
    changed();
  });
  /** How far the ink canvas is: finished strokes, and pieces of the one under the hand. */
  let drawn: { strokes: Stroke[]; current: Stroke | null; pieces: number } | null = null;

  const pen = () => ink.getContext("2d", { willReadFrequently: true }) as CanvasRenderingContext2D;

  function piece(line: CanvasRenderingContext2D, stroke: Stroke, a: SketchPoint, b: SketchPoint): void {
    line.globalCompositeOperation = stroke.erase ? "destination-out" : "source-over";
    line.strokeStyle = line.fillStyle = stroke.colour;
    line.lineCap = "round";
    line.lineWidth = (stroke.width * ((a[2] ?? 1) + (b[2] ?? 1)) * UNITS) / 2;
    line.beginPath();
    if (a === b) {
      // A line without length has no caps.
      line.arc(a[0] * UNITS, a[1] * UNITS, line.lineWidth / 2, 0, 2 * Math.PI);
      line.fill();
      return;
    }
    line.moveTo(a[0] * UNITS, a[1] * UNITS);
    line.lineTo(b[0] * UNITS, b[1] * UNITS);
    line.stroke();
  }

  function pieces(stroke: Stroke, from: number): number {
    const line = pen();
    const { points } = stroke;
    // Always the dot of the first press, so that what is drawn again is what was drawn bit by bit.
    if (from < 0) piece(line, stroke, points[0], points[0]);
    for (let at = Math.max(0, from); at < points.length - 1; at += 1)
      piece(line, stroke, points[at], points[at + 1]);
    return points.length - 1;
  }

  /** Draws what is new; everything again when strokes were taken back or exchanged. */
  function drawInk(): void {
    const { strokes, current } = pad;
    const grows =
      drawn &&
      (strokes === drawn.strokes ||
        // The stroke under the hand was finished: it is there already.
        (strokes.length === drawn.strokes.length + 1 &&
          strokes[strokes.length - 1] === drawn.current &&
          drawn.strokes.every((stroke, index) => stroke === strokes[index])));
    if (!grows || (drawn?.current && drawn.current !== current && strokes === drawn.strokes)) {
      clear(ink);
      for (const stroke of strokes) pieces(stroke, -1);
      drawn = { strokes, current: null, pieces: -1 };
    }
    const before = drawn?.current;
    if (before && before !== current) pieces(before, drawn?.pieces ?? -1); // its last points
    const from = before === current ? (drawn?.pieces ?? -1) : -1;
    drawn = { strokes, current, pieces: current ? pieces(current, from) : -1 };
    marks();
  }

  function drawPaper(): void {
    const { extent } = pad;
    const width = Math.round(extent.width * UNITS);
    const height = Math.round(extent.height * UNITS);
    pane.frame.style.aspectRatio = `${width} / ${height}`;
    root.style.setProperty("--aspect", String(width / height));
    viewport.setPicture({ width, height });
    if (ink.width !== width || ink.height !== height) {
      ink.width = width;
      ink.height = height;
      drawn = null;
    }
    const all = { x: 0, y: 0, width, height };
    pane.place(paper, all);
    pane.place(ink, all);
    const { background, ground } = pad;
    if (background?.array) drawPicture(paper, background.array);
    else {
      paper.width = paper.height = 1;
      const fill = paper.getContext("2d", { willReadFrequently: true });
      if (fill) fill.fillStyle = ground;
      fill?.fillRect(0, 0, 1, 1);
    }
    setAttr(paper, "aria-label", background?.array ? `Picture ${background.name}` : `Paper ${ground}`);
    pane.frame.style.setProperty("--on-paper", pad.ink);
    drawInk();
    layout();
  }

  /** The hint on an empty pad, and the part of it that the model sees. */
  function marks(): void {
    hint.hidden = !pad.empty;
    overlay.hidden = pad.empty || !store.mapOfPicture;
    const { window } = pad;
    const { extent } = pad;
    const part = window.width < extent.width - 1e-6 || window.height < extent.height - 1e-6;
    const [x, y, width, height] = [window.x, window.y, window.width, window.height].map((v) => v * UNITS);
    pane.setRegion(part ? { path: `M${x} ${y}h${width}v${height}h${-width}Z`, sx: 1, sy: 1 } : null);
    setAttr(ink, "aria-label", strokesText(pad.all.length));
  }

  function drawHeat(): void {
    const map = store.mapOfPicture;
    overlay.hidden = pad.empty || !map;
    const { opacity, sign } = display.state;
    pane.setAside(map ? `${map.method_title} for ${map.target_text}` : "");
    if (!map) {
      clear(overlay);
      return;
    }
    const style = { colours: coloursShown(context), sign, threshold: thresholdShown(context), opacity };
    if (!map.signed) style.sign = "both";
    drawMap(overlay, quantised(map.array, scaleShown(context), map.signed), style);
    pane.place(overlay, map.placement);
    setAttr(overlay, "aria-label", `${map.method_title} map for ${map.target_text}`);
    setAttr(overlay, "data-key", map.key);
    layout();
  }

  function layout(): void {
    pane.measure();
    pane.layout();
    follow();
  }

  /** The nib shows where the hand is, and how wide it draws. */
  function follow(): void {
    const { at, brush, down } = hand;
    nib.hidden = !at;
    context.setCursor(at && { x: at.x * UNITS, y: at.y * UNITS });
    if (!at) return;
    const t = viewport.transform(pane.size);
    const size = Math.max(4, brush.width * UNITS * t.scale);
    nib.style.width = nib.style.height = `${size}px`;
    nib.style.transform = `translate(${t.x + at.x * UNITS * t.scale - size / 2}px,${t.y + at.y * UNITS * t.scale - size / 2}px)`;
    nib.classList.toggle("is-erasing", brush.erase);
    nib.classList.toggle("is-down", down);
  }

  const sizes = new ResizeObserver(() => {
    if (pane.measure()) layout();
  });
  sizes.observe(pane.frame);
  signal.addEventListener("abort", () => sizes.disconnect());
  const forget = pad.subscribe((change) => {
    if (change === "paper") drawPaper();
    else drawInk();
  });
  drawPaper();

  return {
    root,
    pane,
    hand,
    update(change) {
      if (change === "map" || change === "display" || change === "picture") drawHeat();
      if (change === "status") pane.frame.classList.toggle("is-stale", store.stale);
    },
    remove: forget,
  };
}

const strokesText = (count: number) =>
  count === 0 ? "Empty pad" : `Drawing of ${count} ${count === 1 ? "stroke" : "strokes"}`;
