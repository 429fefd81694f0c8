// The picture of a view as a PNG: the pictures with their examples, and the scores as bars with their intervals.

import type { Context } from "../../components/context";
import type { Pane } from "../../components/pane";
import { magnitude } from "../../core/format";
import { sheet } from "../../core/sheet";
import type { WorkbenchStore } from "../workbench/store";
import { axisOf, pText } from "./plot";

const PANE = 380;
const GAP = 16;
const TITLE = 44;
const ROW = 22;

function drawPane(ink: CanvasRenderingContext2D, pane: Pane, context: Context, left: number): void {
  const t = context.viewport.transform({ width: PANE, height: PANE });
  const { width, height } = context.viewport.picture;
  ink.save();
  ink.beginPath();
  ink.rect(left, TITLE, PANE, PANE);
  ink.clip();
  ink.fillStyle = "#f1f2f4";
  ink.fillRect(left, TITLE, PANE, PANE);
  ink.translate(left + t.x, TITLE + t.y);
  ink.scale(t.scale, t.scale);
  ink.beginPath();
  ink.rect(0, 0, width, height);
  ink.clip();
  for (const canvas of pane.canvases) {
    if (canvas.hidden || !canvas.style.width) continue;
    const { left: x, top: y, width: w, height: tall } = canvas.style;
    ink.drawImage(canvas, parseFloat(x), parseFloat(y), parseFloat(w), parseFloat(tall));
  }
  for (const mark of pane.frame.querySelectorAll<SVGGElement>(".xaiw-example-mark")) {
    const path = mark.querySelector("path");
    const scale = /scale\(([\d.e-]+) ([\d.e-]+)\)/.exec(path?.getAttribute("transform") ?? "");
    const outline = new Path2D();
    const matrix = new DOMMatrix([Number(scale?.[1] ?? 1), 0, 0, Number(scale?.[2] ?? 1), 0, 0]);
    outline.addPath(new Path2D(path?.getAttribute("d") ?? ""), matrix);
    for (const [colour, line] of [
      ["#fff", 4],
      [mark.style.getPropertyValue("--concept"), 2],
    ] as const) {
      ink.strokeStyle = colour;
      ink.lineWidth = line / t.scale;
      ink.stroke(outline);
    }
  }
  ink.restore();
}

function drawScores(ink: CanvasRenderingContext2D, store: WorkbenchStore, width: number, top: number): void {
  const records = store.bars?.records ?? [];
  const axis = axisOf(records);
  const [from, to] = [300, width - 150];
  const at = (value: number) => (from + to) / 2 + (value / axis) * ((to - from) / 2);
  records.forEach((record, i) => {
    const y = top + i * ROW;
    ink.fillStyle = store.concepts.find(({ name }) => name === record.concept)?.colour ?? "#555";
    ink.fillRect(GAP, y + 4, 8, 8);
    ink.fillStyle = "#1d2127";
    ink.fillText(`${record.concept}, ${record.layer}, ${record.class}`, GAP + 14, y + 13, from - 40);
    if (!record.testable || record.magnitude === null) {
      ink.fillText(`not testable: ${record.note ?? ""}`, from, y + 13, to - from + 140);
      return;
    }
    ink.fillStyle = record.significant ? "#1565c0" : "#b9cfe8";
    ink.fillRect(at(0), y + 3, at(record.magnitude) - at(0), 11);
    ink.fillStyle = "#1d2127";
    ink.fillRect(at(0), y, 1, ROW - 4);
    ink.fillRect(at(record.low ?? 0), y + 8, at(record.high ?? 0) - at(record.low ?? 0), 1);
    const p = record.p_adjusted ?? record.p;
    ink.fillText(`${record.significant ? "\u2217 " : ""}p ${pText(p)}`, to + 12, y + 13, 130);
  });
  ink.fillStyle = "#5a6472";
  ink.fillText(`\u2212${magnitude(axis)}`, from, top - 6);
  ink.fillText(`+${magnitude(axis)}`, to - 40, top - 6);
}

/** PNG bytes on white, whatever the theme: it is kept in documents. */
export async function toPng(context: Context, store: WorkbenchStore, panes: Pane[]): Promise<Uint8Array> {
  const shown = store.map ? panes : panes.slice(0, 1);
  const rows = store.bars?.records.length ?? 0;
  const width = 2 * PANE + 3 * GAP;
  const height = TITLE + PANE + GAP + (rows ? rows * ROW + 40 : 0);
  const paper = sheet(width, height);
  if (!paper) return new Uint8Array(0);
  const { canvas, ink } = paper;
  const map = store.map
    ? `: ${store.concept?.name ?? ""} for ${store.map.target_text}, ${store.map.layer}`
    : "";
  ink.fillText(`${store.picture?.name ?? ""}${map}`, GAP, 27, width - 2 * GAP);
  shown.forEach((pane, index) => {
    drawPane(ink, pane, context, GAP + index * (PANE + GAP));
  });
  drawScores(ink, store, width, TITLE + PANE + GAP + 24);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  return blob ? new Uint8Array(await blob.arrayBuffer()) : new Uint8Array(0);
}
