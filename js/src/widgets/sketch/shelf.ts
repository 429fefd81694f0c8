// Stored sketches, as small drawings of themselves: a click, or Enter, draws one.

import { Listbox } from "../../components/listbox";
import { h } from "../../core/dom";
import { drawPicture } from "../../core/renderer";
import { contrast, Rasteriser } from "../../core/sketch";
import type { SketchStore } from "./store";

const SIDE = 56;

export interface Shelf {
  root: HTMLElement;
  update(): void;
}

export function shelf(store: SketchStore, pick: (name: string) => void, signal: AbortSignal): Shelf {
  const listbox = new Listbox({
    label: "Stored sketches",
    orientation: "vertical",
    onPick(name) {
      const found = store.padSetup?.sketches.find((each) => each.name === name);
      if (!found) return;
      const { pad } = store;
      store.replace(found.sketch.strokes.map((stroke) => ({ ...stroke, colour: pad.ink })));
      pick(name);
    },
  });
  listbox.root.classList.add("xaiw-rail-list");
  const count = h("small", { class: "xaiw-rail-count" }, "Sketches");
  const root = h("div", { class: "xaiw-rail" }, listbox.root, count);
  const size = new ResizeObserver(() => {
    const row = getComputedStyle(listbox.root).flexDirection === "row";
    listbox.setOrientation(row ? "horizontal" : "vertical");
  });
  size.observe(listbox.root);
  signal.addEventListener("abort", () => size.disconnect());
  let shown = "";
  return {
    root,
    update() {
      const sketches = store.padSetup?.sketches ?? [];
      const { ground, size: padSize } = store.pad;
      const key = JSON.stringify([ground, padSize, sketches.map(({ name }) => name)]);
      if (key === shown) return;
      shown = key;
      const [height, width] = padSize;
      const scale = SIDE / Math.max(height, width);
      const small: [number, number] = [Math.round(height * scale) || 1, Math.round(width * scale) || 1];
      listbox.setOptions(
        sketches.map(({ name, sketch }) => {
          const strokes = sketch.strokes.map((stroke) => ({ ...stroke, colour: contrast(ground) }));
          const canvas = h("canvas", { "aria-hidden": "true" });
          drawPicture(canvas, new Rasteriser().rasterise(strokes, small, ground));
          return h(
            "div",
            {
              role: "option",
              class: "xaiw-thumb",
              "data-value": name,
              "data-text": name,
              "aria-label": name,
              "aria-selected": "false",
              title: `Draw: ${name}`,
            },
            canvas,
          );
        }),
      );
    },
  };
}
