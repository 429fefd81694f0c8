// What stands around the cells: names and thumbnails of rows and columns, means of the metrics with buttons that sort.

import { type Axis, entryText, entryTitle, type MetricInfo, meansOf, type Sort } from "../../core/comparison";
import { h, setAttr, setText } from "../../core/dom";
import { drawPicture } from "../../core/renderer";
import { worth } from "./cell";
import type { ComparisonStore } from "./store";

/** The head of a row or a column. */
export function entryHead(
  store: ComparisonStore,
  role: "rowheader" | "columnheader",
  axis: Axis,
  at: number,
): HTMLElement {
  const entry = store.setup?.axes[axis][at];
  const canvas = axis === "images" ? h("canvas", { class: "xaiw-head-thumb", "aria-hidden": "true" }) : null;
  const name = h("span", { class: "xaiw-head-name" }, entryText(entry));
  const root = h(
    "div",
    { role, class: "xaiw-head", "data-axis": axis, "data-at": at, title: entryTitle(entry) },
    canvas,
    name,
    entry?.parameters ? h("small", {}, entry.parameters) : null,
  );
  return root;
}

/** Draws the thumbnail of a head, or asks for it. */
export function drawThumb(store: ComparisonStore, head: HTMLElement): void {
  const canvas = head.querySelector("canvas");
  if (!canvas || canvas.dataset.drawn) return;
  const at = Number(head.dataset.at);
  const thumbnail = store.thumbnail(at);
  if (!thumbnail) {
    store.requestThumbnails(at);
    return;
  }
  canvas.dataset.drawn = "true";
  if (thumbnail.array) drawPicture(canvas, thumbnail.array);
  else {
    canvas.hidden = true;
    setAttr(head, "title", thumbnail.error);
  }
}

/** A head that sorts the rows or columns by a metric, best first; pressed again, it gives them their own order back. */
export function metricHead(
  store: ComparisonStore,
  axis: Sort["axis"],
  metric: MetricInfo,
): { root: HTMLElement; update(): void } {
  const button = h("button", { type: "button", class: "xaiw-sort" }, h("span", {}, metric.title), h("i"));
  const best = metric.direction === "higher" ? "higher is better" : "lower is better";
  button.addEventListener("click", () => {
    const now = store.get("sort");
    const on = now?.metric === metric.name && now.axis === axis;
    store.set({ sort: on ? null : { metric: metric.name, axis } });
  });
  const root = h(
    "div",
    { role: axis === "rows" ? "columnheader" : "rowheader", class: "xaiw-head xaiw-metric-head" },
    button,
  );
  return {
    root,
    update() {
      const now = store.get("sort");
      const on = now?.metric === metric.name && now.axis === axis;
      setAttr(root, "aria-sort", on ? (metric.direction === "higher" ? "descending" : "ascending") : "none");
      setAttr(button, "data-on", on ? true : null);
      const what = on ? "Back to the given order" : `Sort ${axis} by their mean, best first`;
      setAttr(button, "title", `${metric.title}: ${best}. ${metric.meaning} ${what}.`);
      setAttr(
        button,
        "aria-label",
        `${metric.title}, mean of the ${axis === "rows" ? "row" : "column"}, ${best}`,
      );
    },
  };
}

/** A cell with a mean that a metric reaches over a row or a column. */
export const meanCell = (text: string) => h("div", { role: "gridcell", class: "xaiw-mean" }, text);

/** The means of all shown metrics over the entries of one side. */
export function means(store: ComparisonStore, axis: Sort["axis"]): Map<number, (number | null)[]> {
  const { grid } = store;
  const found = new Map<number, (number | null)[]>();
  if (!grid) return found;
  for (const metric of store.metrics) {
    const each = meansOf(grid, axis, (key) => store.scoreOf(key, metric.name));
    for (const [at, value] of each) found.set(at, [...(found.get(at) ?? []), value]);
  }
  return found;
}

/** Those whose value no other one betters; none where all are the same. */
export function bestOf<T>(known: { cell: T; value: number }[], { direction }: MetricInfo): T[] {
  const values = known.map(({ value }) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const best = direction === "higher" ? high : low;
  return low === high ? [] : known.filter(({ value }) => value === best).map(({ cell }) => cell);
}

/** Writes means into their cells, and which is best. */
export function writeMeans(cells: HTMLElement[], values: (number | null)[], metric: MetricInfo): void {
  const real = values.filter((value): value is number => value !== null);
  const best = metric.direction === "higher" ? Math.max(...real) : Math.min(...real);
  cells.forEach((cell, i) => {
    setText(cell, worth(values[i]));
    setAttr(cell, "data-best", real.length > 1 && values[i] === best ? true : null);
  });
}
