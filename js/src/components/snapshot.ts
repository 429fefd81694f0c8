// The picture of a view as a PNG: its three panes as they are zoomed, the legend with numbers, and what is shown.

import { colourTable } from "../core/colours";
import { signed } from "../core/format";
import { sheet } from "../core/sheet";
import { type Context, coloursShown } from "./context";
import { legendRange } from "./legend";
import type { Pane } from "./pane";
import type { RegionState } from "./region_state";

const PANE = 320;
const GAP = 16;
const TITLE = 44;
const FOOT = 56;

/** What the snapshot shows in words: picture, target, method, layer. */
export function caption(context: Context): string {
  const { store } = context;
  const { map, picture } = store;
  if (!map) return picture?.name ?? store.setup?.title ?? "";
  const layer = map.layer ? `, ${map.layer}` : "";
  return `${picture?.name ?? ""}: ${map.target_text}, ${map.method_title}${layer}`;
}

function drawPane(
  ink: CanvasRenderingContext2D,
  pane: Pane,
  region: RegionState,
  context: Context,
  left: number,
  top: number,
): void {
  const { viewport } = context;
  const t = viewport.transform({ width: PANE, height: PANE });
  ink.save();
  ink.beginPath();
  ink.rect(left, top, PANE, PANE);
  ink.clip();
  ink.fillStyle = "#f1f2f4";
  ink.fillRect(left, top, PANE, PANE);
  ink.translate(left + t.x, top + t.y);
  ink.scale(t.scale, t.scale);
  ink.beginPath();
  ink.rect(0, 0, viewport.picture.width, viewport.picture.height);
  ink.clip();
  for (const canvas of pane.canvases) {
    if (canvas.hidden || !canvas.style.width) continue;
    ink.imageSmoothingEnabled = canvas.style.imageRendering !== "pixelated";
    const { left: x, top: y, width, height } = canvas.style;
    ink.drawImage(canvas, parseFloat(x), parseFloat(y), parseFloat(width), parseFloat(height));
  }
  drawRegion(ink, region, t.scale);
  ink.restore();
}

/** The region's outline, pale below dashed as on the screen. */
function drawRegion(ink: CanvasRenderingContext2D, { shape }: RegionState, scale: number): void {
  if (!shape) return;
  const path = new Path2D();
  path.addPath(new Path2D(shape.path), new DOMMatrix([shape.sx, 0, 0, shape.sy, 0, 0]));
  for (const [colour, width, dash] of [
    ["#fff", 2.5, []],
    ["#1565c0", 1.4, [4, 3]],
  ] as const) {
    ink.strokeStyle = colour;
    ink.lineWidth = width / scale;
    ink.setLineDash(dash.map((length) => length / scale));
    ink.stroke(path);
  }
}

function drawLegend(ink: CanvasRenderingContext2D, context: Context, width: number, top: number): void {
  if (!context.store.map) return;
  const { low, high, from, to } = legendRange(context);
  const table = colourTable(coloursShown(context));
  const left = GAP + 72;
  const span = width - 2 * left;
  for (let x = 0; x < span; x += 1) {
    const entry = Math.round(from + ((to - from) * x) / span) * 3;
    ink.fillStyle = `rgb(${table[entry]},${table[entry + 1]},${table[entry + 2]})`;
    ink.fillRect(left + x, top, 1, 10);
  }
  ink.fillStyle = "#3c434d";
  ink.textAlign = "right";
  ink.fillText(low === 0 ? "0" : signed(low), left - 8, top + 10);
  ink.textAlign = "left";
  ink.fillText(high === 0 ? "0" : signed(high), left + span + 8, top + 10);
}

/** PNG bytes of the panes side by side on white, whatever the theme: it is kept in documents. */
export async function toPng(context: Context, panes: Pane[], region: RegionState): Promise<Uint8Array> {
  const width = panes.length * PANE + (panes.length + 1) * GAP;
  const height = TITLE + PANE + FOOT;
  const paper = sheet(width, height);
  if (!paper) return new Uint8Array(0);
  const { canvas, ink } = paper;
  ink.fillText(caption(context), GAP, 27, width - 2 * GAP);
  panes.forEach((pane, index) => {
    drawPane(ink, pane, region, context, GAP + index * (PANE + GAP), TITLE);
  });
  drawLegend(ink, context, width, TITLE + PANE + 20);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  return blob ? new Uint8Array(await blob.arrayBuffer()) : new Uint8Array(0);
}
