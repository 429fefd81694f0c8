// The present view as a PNG: the two pictures, the colour scale, every head of the layer.

import type { Pane } from "../../components/pane";
import { tokenName } from "../../core/attention";
import { colourTable } from "../../core/colours";
import { magnitude } from "../../core/format";
import { drawMap, quantise } from "../../core/renderer";
import { sheet } from "../../core/sheet";
import type { ViewState } from "./state";
import type { AttentionStore } from "./store";

const PANE = 400;
const GAP = 16;
const TITLE = 44;
const TILE = 88;

function drawPane(ink: CanvasRenderingContext2D, pane: Pane, store: AttentionStore, left: number): void {
  const { width, height } = store.picture ?? { width: 1, height: 1 };
  const scale = PANE / Math.max(width, height);
  ink.save();
  ink.translate(left + (PANE - width * scale) / 2, TITLE + (PANE - height * scale) / 2);
  ink.scale(scale, scale);
  for (const canvas of pane.canvases) {
    if (canvas.hidden || !canvas.style.width) continue;
    ink.imageSmoothingEnabled = canvas.width > 64;
    ink.globalAlpha = Number(canvas.style.opacity || 1);
    ink.filter = canvas.classList.contains("xaiw-under") ? "grayscale(1)" : "none";
    const { left: x, top: y, width: w, height: tall } = canvas.style;
    ink.drawImage(canvas, parseFloat(x), parseFloat(y), parseFloat(w), parseFloat(tall));
  }
  ink.globalAlpha = 1;
  ink.filter = "none";
  const mark = pane.frame.querySelector(".xaiw-region-mark path")?.getAttribute("d");
  for (const [colour, line] of [
    ["#fff", 4],
    ["#1565c0", 2],
  ] as const) {
    ink.strokeStyle = colour;
    ink.lineWidth = line / scale;
    if (mark) ink.stroke(new Path2D(mark));
  }
  ink.restore();
}

/** PNG bytes on white, whatever the theme: it is kept in documents. */
export async function toPng(store: AttentionStore, state: ViewState, panes: Pane[]): Promise<Uint8Array> {
  const layer = store.layerAt(state.layer);
  const width = 2 * PANE + 3 * GAP;
  const across = Math.floor((width - GAP) / (TILE + GAP / 2));
  const rows = Math.ceil((layer?.heads ?? 0) / across);
  const height = TITLE + PANE + 60 + rows * (TILE + 24);
  const paper = sheet(width, height);
  if (!paper) return new Uint8Array(0);
  const { canvas, ink } = paper;
  const map = state.map();
  if (layer) {
    const head = typeof state.head === "number" ? `head ${state.head + 1}` : state.head;
    const verb = state.direction === "to" ? "attends to" : "is attended by";
    const text = `${store.picture?.name ?? ""}: ${tokenName(state.token, layer)} ${verb}, layer ${state.layer + 1}, ${head}`;
    ink.fillText(text, GAP, 27, width - 2 * GAP);
  }
  panes.forEach((pane, index) => {
    drawPane(ink, pane, store, GAP + index * (PANE + GAP));
  });
  if (map && layer) {
    const table = colourTable(state.colours);
    const top = TITLE + PANE + 16;
    const span = width - 2 * (GAP + 64);
    for (let x = 0; x < span; x += 1) {
      const entry = Math.round((255 * x) / span) * 3;
      ink.fillStyle = `rgb(${table[entry]},${table[entry + 1]},${table[entry + 2]})`;
      ink.fillRect(GAP + 64 + x, top, 1, 10);
    }
    ink.fillStyle = "#3c434d";
    ink.fillText("0", GAP + 48, top + 10);
    ink.fillText(magnitude(state.scaleOf(map)), GAP + 64 + span + 8, top + 10);
    const tile = document.createElement("canvas");
    for (let head = 0; head < layer.heads; head += 1) {
      const one = state.map(head);
      if (!one) continue;
      const style = { colours: state.colours, sign: "both", threshold: 0, opacity: null } as const;
      drawMap(tile, quantise(one, state.scaleOf(one), false), style);
      const x = GAP + (head % across) * (TILE + GAP / 2);
      const y = top + 40 + Math.floor(head / across) * (TILE + 24);
      ink.imageSmoothingEnabled = false;
      ink.drawImage(tile, x, y, TILE, TILE);
      ink.fillText(`Head ${head + 1}`, x, y - 4);
    }
  }
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  return blob ? new Uint8Array(await blob.arrayBuffer()) : new Uint8Array(0);
}
