// The present view as a PNG: the drawing with its heat map, what the model sees, its five first answers.

import type { Pane } from "../../components/pane";
import { percent, signed } from "../../core/format";
import { sheet } from "../../core/sheet";
import { UNITS } from "../../core/sketch";
import type { SketchStore } from "./store";

const SIDE = 360;
const GAP = 16;
const TITLE = 44;
const BARS = 280;
const SHOWN = 5;

/** PNG bytes on white, whatever the theme: it is kept in documents. */
export async function toPng(store: SketchStore, pane: Pane, seen: HTMLCanvasElement): Promise<Uint8Array> {
  const [rows, columns] = store.pad.size;
  const scale = SIDE / Math.max(rows, columns);
  const paper = sheet(3 * GAP + SIDE + BARS, TITLE + SIDE + GAP);
  if (!paper) return new Uint8Array(0);
  const { canvas, ink } = paper;
  const { map } = store;
  const title = map && !store.pad.empty ? `${map.method_title} for ${map.target_text}` : "Drawing";
  ink.fillText(title, GAP, 27, SIDE);
  ink.save();
  ink.beginPath();
  ink.rect(GAP, TITLE, columns * scale, rows * scale);
  ink.clip();
  ink.translate(GAP, TITLE);
  ink.scale(SIDE / UNITS, SIDE / UNITS);
  for (const layer of pane.canvases) {
    if (layer.hidden || !layer.style.width) continue;
    const { left, top, width, height } = layer.style;
    ink.drawImage(layer, parseFloat(left), parseFloat(top), parseFloat(width), parseFloat(height));
  }
  ink.restore();
  const left = 2 * GAP + SIDE;
  ink.fillText("What the model sees", left, 27);
  ink.imageSmoothingEnabled = seen.width > 96;
  ink.drawImage(seen, left, TITLE, (columns * scale) / 3, (rows * scale) / 3);
  const { outputs } = store;
  const order = outputs ? [...outputs.keys()].sort((a, b) => outputs[b] - outputs[a]).slice(0, SHOWN) : [];
  const shares = store.prediction?.probabilities != null;
  const most = Math.max(...order.map((index) => Math.abs(outputs?.[index] ?? 0)), 1e-9);
  order.forEach((index, row) => {
    const value = outputs?.[index] ?? 0;
    const y = TITLE + SIDE / 3 + 32 + row * 26;
    ink.fillStyle = "#1d2127";
    ink.fillText(store.label(index), left, y, 110);
    ink.fillStyle = "#1976d2";
    ink.fillRect(left + 118, y - 9, 110 * (Math.abs(value) / (shares ? 1 : most)), 8);
    ink.fillStyle = "#3c434d";
    ink.fillText(shares ? percent(value) : signed(value), left + 236, y);
  });
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  return blob ? new Uint8Array(await blob.arrayBuffer()) : new Uint8Array(0);
}
