// The grid as a PNG on white, whatever the theme: heads, cells as they are zoomed, metric values, and the colour scale.

import { colourTable } from "../../core/colours";
import { type Axis, entryText } from "../../core/comparison";
import { magnitude, signed } from "../../core/format";
import { sheet } from "../../core/sheet";
import { worth } from "./cell";
import { gridWords } from "./grid";
import type { ViewState } from "./state";
import type { ComparisonStore } from "./store";

const SIDE = 176;
const HEAD = 132;
const GAP = 8;
const TOP = 68;
const LINE = 16;
const FOOT = 44;
/** Browsers draw no larger canvas everywhere; rows beyond it are left out, and the picture says so. */
const MOST = 8000;

/** Text that ends in dots where there is no room. */
function fitted(ink: CanvasRenderingContext2D, text: string, width: number): string {
  if (ink.measureText(text).width <= width) return text;
  let cut = text.length;
  while (cut > 1 && ink.measureText(`${text.slice(0, cut)}\u2026`).width > width) cut -= 1;
  return `${text.slice(0, cut)}\u2026`;
}

export async function toPng(store: ComparisonStore, state: ViewState): Promise<Uint8Array> {
  const { grid, setup, metrics } = store;
  if (!grid || !setup) return new Uint8Array(0);
  const tall = SIDE + LINE * (1 + metrics.length) + GAP;
  const across = grid.across.slice(0, Math.max(1, Math.floor((MOST - HEAD) / (SIDE + GAP))));
  const down = grid.down.slice(0, Math.max(1, Math.floor((MOST - TOP - FOOT) / tall)));
  const width = HEAD + across.length * (SIDE + GAP) + GAP;
  const height = TOP + down.length * tall + FOOT;
  const ratio = Math.max(width, height) * 2 > MOST ? 1 : 2;
  const paper = sheet(width, height, ratio);
  if (!paper) return new Uint8Array(0);
  const { canvas, ink } = paper;
  const write = (text: string, x: number, y: number, room: number, colour = "#1d2127", bold = false) => {
    ink.font = `${bold ? "600 " : ""}12px system-ui, sans-serif`;
    ink.fillStyle = colour;
    ink.fillText(fitted(ink, text, room), x, y);
  };
  const left = grid.down.length - down.length + grid.across.length - across.length;
  write(
    `${gridWords(store)}${left ? ` (${left} rows or columns are left out)` : ""}`,
    GAP,
    24,
    width - 2 * GAP,
    "#1d2127",
    true,
  );
  const name = (axis: Axis, at: number) => entryText(setup.axes[axis][at]);
  across.forEach((column, i) => {
    write(name(grid.columns, column), HEAD + i * (SIDE + GAP), TOP - 10, SIDE, "#1d2127", true);
  });
  const scratch = document.createElement("canvas");
  const under = document.createElement("canvas");
  down.forEach((row, j) => {
    const y = TOP + j * tall;
    write(name(grid.rows, row), GAP, y + 16, HEAD - 2 * GAP);
    across.forEach((column, i) => {
      const key = grid.key(row, column);
      const x = HEAD + i * (SIDE + GAP);
      drawCell(key, x, y);
      const cell = store.cells.get(key);
      const text = cell?.state === "done" ? `for ${cell.target_text}` : "";
      write(text, x, y + SIDE + 13, SIDE, "#5a626d");
      metrics.forEach((metric, k) => {
        const value = worth(store.scoreOf(key, metric.name));
        write(`${metric.title}  ${value}`, x, y + SIDE + 13 + LINE * (k + 1), SIDE);
      });
    });
  });

  function drawCell(key: string, x: number, y: number): void {
    if (!ink) return;
    const cell = store.mapOf(key);
    const picture = store.pictureOf(key);
    ink.save();
    ink.beginPath();
    ink.rect(x, y, SIDE, SIDE);
    ink.clip();
    ink.fillStyle = "#f1f2f4";
    ink.fillRect(x, y, SIDE, SIDE);
    const map = cell ? state.quantised(cell) : null;
    if (cell && picture && map) {
      const t = state.viewport.transform({ width: SIDE, height: SIDE }, picture);
      ink.translate(x + t.x, y + t.y);
      ink.scale(t.scale, t.scale);
      if (state.look === "overlay") {
        state.paint(under, picture);
        ink.drawImage(under, 0, 0, picture.width, picture.height);
      }
      state.brush.draw(scratch, map, state.style(cell));
      const { placement: p } = cell;
      ink.imageSmoothingEnabled = state.viewport.zoom <= 2;
      ink.drawImage(scratch, p.x, p.y, p.width, p.height);
    } else {
      const words = cell?.message ?? "Not computed";
      write(words, x + GAP, y + SIDE / 2, SIDE - 2 * GAP, "#5a626d");
    }
    ink.restore();
  }

  legend();
  function legend(): void {
    const key = state.spoken;
    const cell = key ? store.mapOf(key) : null;
    if (!ink || !cell) return;
    const y = height - 26;
    const { scale } = state.display.state;
    const style = state.style(cell);
    const table = colourTable(style.colours);
    const [from, span] = [HEAD + 64, Math.min(280, width - HEAD - 200)];
    if (span < 40) return;
    for (let i = 0; i < span; i += 1) {
      const entry = Math.round((255 * i) / span) * 3;
      ink.fillStyle = `rgb(${table[entry]},${table[entry + 1]},${table[entry + 2]})`;
      ink.fillRect(from + i, y, 1, 10);
    }
    const most = state.scaleOf(cell);
    const own = scale === "own";
    write(
      own ? (cell.signed ? "\u2212 max" : "0") : cell.signed ? signed(-most) : "0",
      HEAD,
      y + 10,
      60,
      "#3c434d",
    );
    write(own ? "max of each map" : magnitude(most), from + span + 8, y + 10, 120, "#3c434d");
  }

  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  return blob ? new Uint8Array(await blob.arrayBuffer()) : new Uint8Array(0);
}
