// The region box: what a region holds, and what the model says when the region is filled.

import { h, setAttr, setText } from "../core/dom";
import { percent, probability, signed } from "../core/format";
import type { Fill } from "../core/protocol";
import type { Change, Context, Part } from "./context";
import { segmented, track } from "./controls";
import type { Drawing } from "./drawing";
import type { RegionState } from "./region_state";

const ROWS = 3;
const FILLS: Record<Fill, { text: string; title: string }> = {
  blur: { text: "Blur", title: "Fill the region with a strong blur of the picture" },
  mean: { text: "Mean", title: "Fill the region with the picture's mean colour" },
  black: { text: "Black", title: "Fill the region with black" },
};

export function regionBox(context: Context, region: RegionState, drawing: Drawing): Part {
  const { store } = context;
  const sentence = h("span", { class: "xaiw-region-sentence" });
  const fills = segmented(
    "group",
    "Fill the region",
    (Object.keys(FILLS) as Fill[]).map((value) => ({ value, ...FILLS[value] })),
    (value) => store.set({ ablation: store.get("ablation") === value ? null : (value as Fill) }),
  );
  const link = (text: string, action: () => void) =>
    h("button", { type: "button", class: "xaiw-link", onclick: action }, text);
  const undo = link("Undo", () => store.undo());
  const redo = link("Redo", () => store.redo());
  const clear = link("Clear", () => {
    drawing.abandon();
    store.setRegion(null);
  });
  const rows = Array.from({ length: ROWS }, () => {
    const name = h("span", { class: "xaiw-name" });
    const bar = track();
    const numbers = h("span", { class: "xaiw-number" });
    return { root: h("div", { class: "xaiw-delta" }, name, bar.root, numbers), name, bar, numbers };
  });
  const root = h(
    "div",
    { class: "xaiw-region", role: "group", "aria-label": "Region" },
    sentence,
    h("span", { class: "xaiw-region-fills" }, fills.root),
    h("div", { class: "xaiw-deltas" }, ...rows.map((row) => row.root)),
    h("span", { class: "xaiw-region-links" }, undo, redo, clear),
  );

  function describe(): void {
    const { share } = region;
    const has = store.get("region") !== null;
    if (!has) {
      setText(sentence, "Mark a region with a tool to see what it holds.");
    } else if (!share) {
      setText(sentence, "Region");
    } else if (share.attribution === null) {
      sentence.replaceChildren(bold("Region"), " covers ", bold(percent(share.area)), " of the picture");
    } else {
      sentence.replaceChildren(
        bold("Region"),
        " holds ",
        bold(percent(share.attribution)),
        " of the attribution in ",
        bold(percent(share.area)),
        " of the picture",
      );
    }
    fills.setDisabled(!has, has ? undefined : "Mark a region first");
    fills.select(has ? store.get("ablation") : null);
    undo.disabled = !store.history.canUndo;
    redo.disabled = !store.history.canRedo;
    clear.disabled = !has;
  }

  /** Classes worth a row: the asked ones, then those ranked first before and after. */
  function classes(before: Float32Array, after: Float32Array | null): number[] {
    const target = store.resolvedTarget;
    const order = (values: Float32Array) => Array.from(values.keys()).sort((a, b) => values[b] - values[a]);
    const top = order(before).slice(0, ROWS);
    const wanted = [target?.index, target?.versus, ...(after ? order(after).slice(0, 1) : []), ...top];
    return [...new Set(wanted.filter((index): index is number => typeof index === "number"))].slice(0, ROWS);
  }

  function compare(): void {
    const before = store.outputs;
    const current = store.ablationShown;
    const after = current ? (current.probabilities ?? current.scores).data : null;
    const isProbability = store.prediction?.probabilities !== null;
    const text = store.dense ? percent : isProbability ? probability : signed;
    const shown = before && store.get("region") ? classes(before, after) : [];
    const largest = isProbability || !before ? 1 : before.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-12);
    rows.forEach(({ root: row, name, bar, numbers }, position) => {
      const index = shown[position];
      row.classList.toggle("is-empty", index === undefined);
      if (index === undefined || !before) return;
      const old = before[index];
      setText(name, store.label(index));
      setAttr(name, "title", store.label(index));
      if (after) {
        bar.set(Math.abs(after[index]) / largest, Math.abs(old) / largest);
        numbers.replaceChildren(`${text(old)} \u2192 `, bold(text(after[index])));
      } else {
        bar.set(0, Math.abs(old) / largest);
        numbers.replaceChildren(text(old));
      }
    });
    root.classList.toggle("is-stale", current !== null && store.ablationStale);
  }

  function update(change: Change): void {
    if (change === "cursor" || change === "draft" || change === "display" || change === "thumbnails") return;
    if (change === "setup") {
      for (const button of fills.root.children) {
        const known = store.setup?.fills.includes((button as HTMLElement).dataset.value as Fill) ?? true;
        (button as HTMLElement).hidden = !known;
      }
      rows.forEach((row, index) => {
        row.root.hidden = index >= Math.max(1, store.setup?.labels.length ?? ROWS);
      });
    }
    describe();
    compare();
  }
  return { root, update };
}

const bold = (text: string) => h("b", {}, text);
