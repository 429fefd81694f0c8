// The page of pictures: a grid of thumbnails that converge, and the pager.

import { Listbox, reveal } from "../../components/listbox";
import { h, setAttr, setText } from "../../core/dom";
import type { Item } from "../../core/gallery";
import { drawPicture } from "../../core/renderer";
import { outcome, rounded } from "./reading";
import type { GalleryStore, Tile } from "./store";

/** The kernel is told what is in sight when scrolling has rested for so long. */
const VISIBLE_AFTER_MS = 150;

interface Drawn {
  root: HTMLElement;
  canvas: HTMLCanvasElement;
  bar: HTMLElement;
  from: Tile | null;
}

export interface Grid {
  root: HTMLElement;
  /** Another page, or another picture is enlarged. */
  build(): void;
  /** New pictures of the same page. */
  draw(): void;
}

export function grid(store: GalleryStore, signal: AbortSignal, announce: (text: string) => void): Grid {
  const listbox: Listbox = new Listbox({
    label: "Pictures",
    onPick: (value) => {
      store.look({ selected: Number(value) });
      announce(said(store.item(Number(value)), store.tiles.get(Number(value))));
    },
    columns: () => {
      const tiles = listbox.items;
      const below = tiles.findIndex((tile) => tile.offsetTop > tiles[0].offsetTop);
      return below < 0 ? 1 : below;
    },
  });
  listbox.root.classList.add("xaiw-tiles");
  const title = h("b");
  const count = h("small");
  const step = (by: number) => () => store.ask({ page: (store.gallery?.page ?? 0) + by });
  const button = (text: string, name: string, by: number) =>
    h("button", { type: "button", "aria-label": name, title: name, onclick: step(by) }, text);
  const previous = button("\u2039", "Previous page", -1);
  const next = button("\u203a", "Next page", 1);
  const go = h("input", { type: "number", min: 0, "aria-label": "Go to number", title: "Go to number" });
  const pager = h(
    "div",
    { class: "xaiw-pager", role: "group", "aria-label": "Pages" },
    h("span", { class: "xaiw-segmented" }, previous, next),
    count,
    h("label", { class: "xaiw-select" }, h("span", {}, "Go to"), go),
  );
  const root = h(
    "section",
    { class: "xaiw-grid", "aria-label": "All pictures" },
    h("div", { class: "xaiw-grid-title" }, title),
    listbox.root,
    pager,
  );
  const tiles = new Map<number, Drawn>();
  const sight = new Set<number>();
  let told = "";
  let timer: ReturnType<typeof setTimeout> | null = null;

  go.addEventListener("change", () => {
    const { gallery } = store;
    const wanted = go.valueAsNumber;
    if (!gallery || !Number.isInteger(wanted)) return;
    const index = Math.max(0, Math.min(gallery.total - 1, wanted));
    go.value = "";
    store.ask({ page: Math.floor(index / gallery.page_size), selected: index });
  });

  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        const index = Number((entry.target as HTMLElement).dataset.value);
        if (entry.isIntersecting) sight.add(index);
        else sight.delete(index);
      }
      timer ??= setTimeout(tell, VISIBLE_AFTER_MS);
    },
    { root: listbox.root },
  );
  signal.addEventListener("abort", () => {
    seen.disconnect();
    if (timer !== null) clearTimeout(timer);
  });

  function tell(): void {
    timer = null;
    if (sight.size === 0 || sight.size === tiles.size) return; // all alike
    const missing = [...sight].filter((index) => !store.tiles.get(index)?.done).sort((a, b) => a - b);
    const text = missing.join();
    if (!missing.length || text === told) return;
    told = text;
    store.tellVisible(missing);
  }

  function tile(item: Item): HTMLElement {
    const canvas = h("canvas", { "aria-hidden": "true" });
    const bar = h("i");
    const value = item.value === null ? null : h("small", {}, `${rounded(item.value)}\u03c3`);
    const option = h(
      "div",
      { role: "option", class: "xaiw-tile", "data-value": item.index, "data-text": item.name },
      canvas,
      h("span", { class: "xaiw-tile-bar", "aria-hidden": "true" }, bar),
      h("span", { class: "xaiw-tile-name", "aria-hidden": "true" }, item.name, value && " ", value),
    );
    tiles.set(item.index, { root: option, canvas, bar, from: null });
    return option;
  }

  function draw(): void {
    for (const [index, drawn] of tiles) {
      const found = store.tiles.get(index) ?? null;
      if (found === drawn.from && drawn.root.title) continue;
      const item = store.item(index);
      drawn.from = found;
      if (found) drawPicture(drawn.canvas, found.array);
      drawn.bar.style.width =
        found && !found.done ? `${(found.step / Math.max(1, found.total)) * 100}%` : "0";
      drawn.root.classList.toggle("is-empty", !found);
      setAttr(drawn.root, "data-step", found?.step ?? null);
      setAttr(drawn.root, "data-done", found?.done ?? false);
      setAttr(drawn.root, "title", said(item, found));
      setAttr(drawn.root, "aria-label", said(item, found));
    }
  }

  let shown = "";
  function build(): void {
    const { gallery } = store;
    const items = gallery?.items ?? [];
    const key = `${gallery?.key} ${items.map((item) => `${item.index} ${item.value}`).join()}`;
    if (key !== shown) {
      shown = key;
      told = "";
      seen.disconnect();
      sight.clear();
      tiles.clear();
      listbox.setOptions(items.map(tile));
      for (const { root: option } of tiles.values()) seen.observe(option);
    }
    draw();
    const selected = store.shown;
    listbox.select(selected === null ? null : String(selected));
    const option = selected === null ? null : tiles.get(selected)?.root;
    if (option?.isConnected) reveal(option, listbox.root);
    if (!gallery) {
      setText(title, "");
      setText(count, "");
      pager.hidden = true;
      return;
    }
    const { total, page, page_size: size } = gallery;
    const of = { channels: "channels", classes: "classes", own: "objectives" }[gallery.kind];
    setText(title, gallery.kind === "channels" ? `${gallery.layer}` : of === "classes" ? "Classes" : "Given");
    setAttr(title, "title", title.textContent);
    const from = page * size;
    setText(count, `${total ? from + 1 : 0}\u2013${Math.min(total, from + size)} of ${total} ${of}`);
    const pages = Math.ceil(total / size);
    previous.disabled = page <= 0;
    next.disabled = page >= pages - 1;
    pager.hidden = total === 0;
    (previous.parentElement as HTMLElement).hidden = pages < 2;
    (go.parentElement as HTMLElement).hidden = pages < 2 || gallery.where !== null;
    go.max = String(total - 1);
  }
  return { root, build, draw };
}

/** An item in words: its name, and how far its picture is. */
function said(item: Item | null, tile: Tile | null | undefined): string {
  if (!item) return "";
  const fires = item.value === null ? "" : ` ${rounded(item.value)}\u03c3 more in the region than elsewhere`;
  return `${item.name}${fires}, ${tile ? outcome(tile) : "not computed yet"}`;
}
