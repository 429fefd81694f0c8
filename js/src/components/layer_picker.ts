// The layer, in the order of the architecture, with output shapes; the recommended one has a star.

import { h, setAttr, setText } from "../core/dom";
import type { LayerInfo } from "../core/protocol";
import type { Change, Context, Part } from "./context";
import { Listbox, reveal } from "./listbox";

/** Lists longer than this get a filter. */
const MANY = 12;

const shapeText = (layer: LayerInfo) => layer.shape.join(" \u00d7 ");

/**
 * The path that all names start with, up to a dot or a slash: "resnet." for the layers of transformers' ResNet,
 * "backbone/" for those of a model nested in a Keras model.
 */
export function commonPath(names: string[]): string {
  const parent = (name: string) => name.slice(0, Math.max(name.lastIndexOf("."), name.lastIndexOf("/")) + 1);
  const [first = "", ...rest] = names;
  let path = parent(first);
  while (path && !rest.every((name) => name.startsWith(path))) path = parent(path.slice(0, -1));
  return path;
}

export function layerPicker(context: Context): Part {
  const { store } = context;
  const listbox = new Listbox({
    label: "Layer",
    onPick: (value) => {
      store.set({ layer: value });
      context.announce(`Layer ${value}`);
    },
  });
  const note = h("small");
  const toggle = h("button", { type: "button", class: "xaiw-link", "aria-pressed": "false" });
  const filter = h("input", { type: "search", placeholder: "Filter layers", "aria-label": "Filter layers" });
  let everything = false;
  toggle.addEventListener("click", () => {
    everything = !everything;
    fill();
  });
  filter.addEventListener("input", fill);
  const root = h(
    "section",
    { class: "xaiw-section" },
    h("div", { class: "xaiw-heading" }, h("h3", {}, "Layer"), note),
    filter,
    listbox.root,
    toggle,
  );

  function option(layer: LayerInfo, prefix: string): HTMLElement {
    const star = layer.recommended
      ? h(
          "small",
          { class: "xaiw-star", role: "img", "aria-label": "recommended", title: "recommended" },
          "\u2605",
        )
      : null;
    return h(
      "div",
      {
        role: "option",
        class: "xaiw-row xaiw-layer",
        "data-value": layer.name,
        "data-text": layer.name,
        title: `${layer.name}, ${layer.kind}, ${shapeText(layer)}`,
      },
      h("span", { class: "xaiw-name" }, layer.name.slice(prefix.length), star && " ", star),
      h("small", {}, shapeText(layer)),
    );
  }

  function fill(): void {
    const layers = store.setup?.layers ?? [];
    const main = layers.filter((layer) => layer.main || layer.name === store.resolvedLayer);
    const base = everything ? layers : main;
    const query = filter.value.trim().toLowerCase();
    const shown = base.filter((layer) => layer.name.toLowerCase().includes(query));
    const prefix = commonPath(base.map((layer) => layer.name));
    listbox.setOptions(shown.map((layer) => option(layer, prefix)));
    filter.hidden = base.length <= MANY;
    toggle.hidden = main.length === layers.length;
    setAttr(toggle, "aria-pressed", everything);
    setText(toggle, everything ? "Main layers only" : `All ${layers.length} layers`);
    select();
  }

  function select(): void {
    const name = store.resolvedLayer;
    listbox.select(name);
    const chosen = listbox.items.find((item) => item.dataset.value === name);
    if (chosen?.isConnected) reveal(chosen, listbox.root);
    const unused = store.method !== null && !store.method.uses_layer;
    setText(
      note,
      store.setup && !store.setup.layers.length ? "none found" : unused ? "not used by this method" : "",
    );
    listbox.root.classList.toggle("is-unused", unused);
  }

  function update(change: Change): void {
    if (change === "setup") fill();
    else if (change === "traits") {
      const shown = listbox.items.some((item) => item.dataset.value === store.resolvedLayer);
      if (shown || !store.resolvedLayer) select();
      else fill();
    }
  }
  return { root, update };
}
