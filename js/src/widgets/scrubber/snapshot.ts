// The present frame as a PNG: three pictures with their captions, the colour scale, and the score charts.

import type { Pane } from "../../components/pane";
import { colourTable } from "../../core/colours";
import { magnitude, signed } from "../../core/format";
import { sheet } from "../../core/sheet";
import type { ViewState } from "./state";
import type { ScrubberStore } from "./store";

const PANE = 320;
const GAP = 16;
const TOP = 62;
const CHART = 150;

function drawPane(ink: CanvasRenderingContext2D, pane: Pane, store: ScrubberStore, left: number): void {
  const { width, height } = store.picture ?? { width: 1, height: 1 };
  const scale = PANE / Math.max(width, height);
  ink.save();
  ink.translate(left + (PANE - width * scale) / 2, TOP + (PANE - height * scale) / 2);
  ink.scale(scale, scale);
  for (const canvas of pane.canvases) {
    if (canvas.hidden || !canvas.style.width) continue;
    ink.filter = canvas.classList.contains("xaiw-under") ? "grayscale(1)" : "none";
    const { left: x, top: y, width: w, height: tall } = canvas.style;
    ink.drawImage(canvas, parseFloat(x), parseFloat(y), parseFloat(w), parseFloat(tall));
  }
  ink.restore();
}

/** PNG bytes on white, whatever the theme: it is kept in documents. */
export async function toPng(
  store: ScrubberStore,
  state: ViewState,
  panes: Pane[],
  colours: string,
): Promise<Uint8Array> {
  const width = 3 * PANE + 4 * GAP;
  const height = TOP + PANE + 40 + CHART + GAP;
  const paper = sheet(width, height);
  const { stack } = state;
  if (!paper || !stack) return new Uint8Array(0);
  const { canvas, ink } = paper;
  ink.font = "14px system-ui, sans-serif";
  const k = state.index;
  const node = stack.nodes[k];
  const { path } = stack;
  const drawn = path.draws > 1 ? `${path.draws} draws of ${path.baseline}` : path.baseline;
  const from = path.path === "blur" ? "a blurred picture" : drawn;
  const at = stack.uneven ? k : node.position;
  const of = stack.uneven ? stack.nodes.length - 1 : path.n_steps;
  const title = `${path.target_text}, from ${from}: step ${at} of ${of}, \u03b1 = ${node.alpha.toFixed(2)}, score ${signed(node.scores[0])}`;
  ink.fillText(title, GAP, 26, width - 2 * GAP);
  ink.font = "12px system-ui, sans-serif";
  ink.fillStyle = "#3c434d";
  ["What the model sees", "This step", `Attribution so far, sum ${signed(stack.sums[k])}`].forEach(
    (text, i) => {
      ink.fillText(text, GAP + i * (PANE + GAP), TOP - 8, PANE);
    },
  );
  panes.forEach((pane, i) => {
    drawPane(ink, pane, store, GAP + i * (PANE + GAP));
  });
  const table = colourTable(colours);
  const top = TOP + PANE + 14;
  for (let i = 0; i < PANE - 120; i += 1) {
    const entry = Math.round((255 * i) / (PANE - 120)) * 3;
    ink.fillStyle = `rgb(${table[entry]},${table[entry + 1]},${table[entry + 2]})`;
    ink.fillRect(GAP + 2 * (PANE + GAP) + 60 + i, top, 1, 9);
  }
  ink.fillStyle = "#3c434d";
  const limit = magnitude(state.scales.total);
  ink.textAlign = "right";
  ink.fillText(`\u2212${limit}`, GAP + 2 * (PANE + GAP) + 54, top + 9);
  ink.textAlign = "left";
  ink.fillText(`+${limit}`, GAP + 2 * (PANE + GAP) + PANE - 54, top + 9);
  const scores = stack.nodes.map((each) => each.scores[0] - stack.nodes[0].scores[0]);
  const low = Math.min(0, ...scores, ...stack.sums);
  const high = Math.max(0, ...scores, ...stack.sums) || 1;
  const base = height - GAP - 4;
  const x = (alpha: number) => GAP + alpha * (width - 2 * GAP);
  const y = (value: number) => base - ((value - low) / (high - low || 1)) * (CHART - 24);
  const line = (values: readonly number[], colour: string, dash: number[]) => {
    ink.strokeStyle = colour;
    ink.lineWidth = 2;
    ink.setLineDash(dash);
    ink.beginPath();
    values.forEach((value, i) => {
      ink.lineTo(x(stack.nodes[i].alpha), y(value));
    });
    ink.stroke();
  };
  ink.fillText("Change of the score (grey) and attribution so far (blue)", GAP, base - CHART + 14);
  line(scores, "#9aa5b1", []);
  line(stack.sums, "#1565c0", [6, 4]);
  ink.setLineDash([]);
  ink.strokeStyle = "#1d2127";
  ink.lineWidth = 1;
  ink.strokeRect(x(node.alpha), base - CHART + 24, 0, CHART - 24);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  return blob ? new Uint8Array(await blob.arrayBuffer()) : new Uint8Array(0);
}
