// The parts around the pictures: legend, heads as small maps, layers, tokens, shares.

import { segmented, slider, track } from "../../components/controls";
import { Listbox, reveal } from "../../components/listbox";
import { type Head, largest, reach, tokenName } from "../../core/attention";
import { colourTitle, gradient, SEQUENTIAL_NAMES } from "../../core/colours";
import { h, setAttr, setText } from "../../core/dom";
import { magnitude, percent } from "../../core/format";
import { drawMap, quantise } from "../../core/renderer";
import type { ViewState } from "./state";
import type { AttentionStore } from "./store";

export interface Part {
  root: HTMLElement;
  update(): void;
}

const section = (title: string, aside: Node | null, ...children: Node[]) =>
  h(
    "section",
    { class: "xaiw-section" },
    h("div", { class: "xaiw-heading" }, h("h3", {}, title), aside),
    ...children,
  );

/** The colour scale with its numbers, and the value of the patch that is read. */
export function legend(store: AttentionStore, state: ViewState): Part {
  const high = h("span", { class: "xaiw-legend-high" });
  const marker = h("i");
  const bar = h("div", { class: "xaiw-bar" }, marker);
  const position = h("span");
  const value = h("b");
  const root = h(
    "div",
    { class: "xaiw-legend" },
    h("span", { class: "xaiw-legend-low" }, "0"),
    bar,
    high,
    h("span", { class: "xaiw-readout" }, position, value),
  );
  return {
    root,
    update() {
      const map = state.map();
      const row = state.row();
      const layer = store.layerAt(state.layer);
      const top = map ? state.scaleOf(map) : 0;
      bar.style.backgroundImage = map ? gradient(state.colours) : "";
      setAttr(bar, "role", map ? "img" : null);
      setAttr(bar, "aria-label", map ? `Colour scale from 0 to ${magnitude(top)}` : null);
      setText(high, map ? magnitude(top) : "");
      // Without a patch to read, the strongest one is named.
      const strongest = map && layer ? layer.prefix + map.data.indexOf(largest(map.data)) : null;
      const token = state.read ?? strongest;
      const at = row && token !== null ? row[token] : null;
      marker.hidden = at === null || state.read === null || top === 0;
      if (at !== null && top > 0) marker.style.left = `${Math.min(1, at / top) * 100}%`;
      const name = layer && token !== null ? tokenName(token, layer) : "";
      setText(position, at === null ? "" : state.read === null ? `most: ${name}` : name);
      setText(value, at === null ? "" : magnitude(at));
    },
  };
}

/** Every head of the layer as a small map, after the mean, the largest, and the rollout. */
export function heads(store: AttentionStore, state: ViewState, pick: (head: Head) => void): Part {
  const listbox = new Listbox({
    label: "Heads",
    orientation: "horizontal",
    onPick: (value) => pick(/^\d+$/.test(value) ? Number(value) : (value as Head)),
  });
  listbox.root.classList.add("xaiw-heads");
  const note = h("small");
  const root = section("Heads", note, listbox.root);
  let tiles: { head: Head; canvas: HTMLCanvasElement }[] = [];
  const titles = {
    mean: ["Mean", "Mean: of all heads"],
    max: ["Max", "Max: the largest of all heads, patch by patch"],
    rollout: [
      "Rollout",
      "Rollout: all layers up to this one multiplied, half of each token kept (Abnar and Zuidema)",
    ],
  } as const;

  function build(count: number): void {
    const all: Head[] = ["mean", "max", "rollout", ...Array(count).keys()];
    tiles = all.map((head) => ({ head, canvas: h("canvas", { "aria-hidden": "true" }) }));
    listbox.setOptions(
      tiles.map(({ head, canvas }) => {
        const [text, title] =
          typeof head === "number" ? [String(head + 1), `Head ${head + 1}`] : titles[head];
        return h(
          "div",
          {
            role: "option",
            class: "xaiw-tile",
            "data-value": head,
            "data-text": text,
            "aria-label": title,
            title,
          },
          canvas,
          h("span", { "aria-hidden": "true" }, text),
        );
      }),
    );
  }

  return {
    root,
    update() {
      const layer = store.layerAt(state.layer);
      const count = layer?.heads ?? 0;
      if (count !== tiles.length - 3) build(count);
      const selected = typeof state.head === "number" ? Math.min(state.head, count - 1) : state.head;
      listbox.select(String(selected));
      setText(note, layer ? `${count} in layer ${state.layer + 1}` : "");
      for (const { head, canvas } of tiles) {
        const map = state.map(head);
        if (!map || !layer) continue;
        const style = { colours: state.colours, sign: "both", threshold: 0, opacity: null } as const;
        drawMap(canvas, quantise(map, state.scaleOf(map), false), style);
        canvas.style.aspectRatio = `${layer.columns} / ${layer.rows}`;
      }
    },
  };
}

/** The layers with over how many patches the attention is spread in each: exp of its entropy. */
export function layers(store: AttentionStore, state: ViewState, pick: (layer: number) => void): Part {
  const listbox = new Listbox({ label: "Layer", onPick: (value) => pick(Number(value)) });
  listbox.root.classList.add("xaiw-bars");
  const root = section("Layer", h("small", {}, "spread in patches"), listbox.root);
  root.title = "Over how many patches the attention is spread: the exponential of its entropy";
  let rows: { bar: ReturnType<typeof track>; number: HTMLElement }[] = [];
  let revealed = -1;

  function build(): void {
    rows = [];
    const options = (store.attention?.layers ?? []).map((layer, index) => {
      const bar = track();
      const number = h("span", { class: "xaiw-number" });
      rows.push({ bar, number });
      const text = `Layer ${index + 1}`;
      return h(
        "div",
        {
          role: "option",
          class: "xaiw-option",
          "data-value": index,
          "data-text": String(index + 1),
          title: layer.name,
        },
        h("span", { class: "xaiw-name" }, text),
        bar.root,
        number,
      );
    });
    listbox.setOptions(options);
  }

  return {
    root,
    update() {
      if (rows.length !== (store.attention?.layers.length ?? 0)) build();
      rows.forEach(({ bar, number }, index) => {
        const layer = store.layerAt(index);
        const row = layer && state.row(state.head, index);
        if (!layer || !row) return;
        const patches = row.subarray(layer.prefix);
        const count = spread(patches);
        bar.set(count / patches.length);
        setText(number, count < 10 ? count.toFixed(1) : count.toFixed(0));
      });
      listbox.select(String(state.layer));
      const chosen = listbox.items[state.layer];
      if (chosen?.isConnected && revealed !== state.layer) {
        revealed = state.layer;
        reveal(chosen, listbox.root);
      }
    },
  };
}

/** The exponential of the entropy: over how many values a sum is spread evenly, 1 to n. */
export function spread(values: Float32Array): number {
  const sum = values.reduce((a, b) => a + b, 0);
  if (!(sum > 0)) return 0;
  return Math.exp(
    -values.reduce((total, value) => (value > 0 ? total + (value / sum) * Math.log(value / sum) : total), 0),
  );
}

/** The query: which tokens before the patches there are, which direction, and where the attention goes in numbers. */
export function query(
  store: AttentionStore,
  state: ViewState,
  actions: { keep(token: number): void; turn(direction: "to" | "from"): void },
): Part {
  const kept = h("b", { class: "xaiw-query" });
  const tokens = h("span");
  let control: ReturnType<typeof segmented> | null = null;
  let prefix = -1;
  const direction = segmented(
    "radiogroup",
    "Direction",
    [
      { value: "to", text: "Attends to", title: "The query's row: where it looks" },
      { value: "from", text: "Attended by", title: "The query's column: which patches look at it" },
    ],
    (value) => actions.turn(value as "to" | "from"),
  );
  const names = ["On the patches", "On CLS", "On registers", "On itself"];
  const bars = names.map((text) => {
    const bar = track();
    const name = h("span", { class: "xaiw-name" }, text);
    const number = h("span", { class: "xaiw-number" });
    const root = h("div", { class: "xaiw-option xaiw-share" }, name, bar.root, number);
    return { root, bar, name, number };
  });
  const distance = h("small");
  const root = section(
    "Query",
    kept,
    tokens,
    h("div", { class: "xaiw-direction" }, direction.root),
    h("div", { class: "xaiw-bars xaiw-shares" }, ...bars.map((bar) => bar.root)),
    distance,
  );

  return {
    root,
    update() {
      const layer = store.layerAt(state.layer);
      direction.select(state.direction);
      if (!layer) return;
      if (prefix !== layer.prefix) {
        prefix = layer.prefix;
        const choices = Array.from({ length: prefix }, (_, token) => {
          const name = tokenName(token, layer);
          return {
            value: String(token),
            text: token ? `R${token}` : "CLS",
            title: `Query the token ${name}`,
          };
        });
        control = prefix
          ? segmented("group", "Tokens without a place", choices, (v) => actions.keep(Number(v)))
          : null;
        tokens.replaceChildren(...(control ? [control.root] : []));
      }
      const { token } = state;
      control?.select(token < prefix ? String(token) : null);
      setText(kept, tokenName(token, layer));
      const row = state.row();
      if (!row) return;
      const sum = (from: number, to: number) => row.subarray(from, to).reduce((a, b) => a + b, 0);
      const all = sum(0, row.length) || 1;
      const shares = [sum(prefix, row.length), sum(0, Math.min(1, prefix)), sum(1, prefix), row[token]];
      const wanted = [true, prefix > 0, prefix > 1, true];
      const from = state.direction === "from";
      bars.forEach(({ root: line, bar, name, number }, index) => {
        line.hidden = !wanted[index];
        bar.set(shares[index] / all);
        setText(name, from ? names[index].replace("On", "From") : names[index]);
        setText(number, percent(shares[index] / all));
      });
      const far = reach(row, token, layer);
      setText(distance, far === null ? "\u00a0" : `${far.toFixed(1)} patches away on average`);
    },
  };
}

/** Opacity, colours and the scale: only this view changes. */
export function display(state: ViewState, changed: () => void): Part {
  const opacity = slider(
    "Opacity",
    { min: 0, max: 1, step: 0.01 },
    (v) => v.toFixed(2),
    (v) => {
      state.opacity = v;
      changed();
    },
  );
  const colours = h(
    "select",
    { "aria-label": "Colour map", title: "Colour map" },
    ...SEQUENTIAL_NAMES.map((name) => h("option", { value: name }, colourTitle(name))),
  );
  colours.addEventListener("change", () => {
    state.colours = colours.value;
    changed();
  });
  const scale = segmented(
    "radiogroup",
    "Scale",
    [
      { value: "own", text: "Own scale", title: "Each map uses all colours" },
      {
        value: "shared",
        text: "Shared",
        title: "All maps of the layer share the largest value of its heads",
      },
    ],
    (value) => {
      state.scale = value as "own" | "shared";
      changed();
    },
  );
  return {
    root: h(
      "div",
      { class: "xaiw-tools" },
      opacity.root,
      h("span", { class: "xaiw-select" }, colours),
      scale.root,
    ),
    update() {
      opacity.set(state.opacity);
      colours.value = state.colours;
      scale.select(state.scale);
    },
  };
}
