// The images sorted by the concept: a strip from most to least of it; a click shows the image.
import type { Change, Context, Part } from "../../components/context";
import { Listbox } from "../../components/listbox";
import { h, setAttr, setText } from "../../core/dom";
import { signed } from "../../core/format";
import { drawPicture } from "../../core/renderer";
import type { WorkbenchStore } from "../workbench/store";

/** Of very many images, so many from each end. */
const ENDS = 60;

export function rankingStrip(context: Context, store: WorkbenchStore): Part {
  const listbox = new Listbox({
    label: "Images sorted by the concept",
    orientation: "horizontal",
    onPick: (value) => store.setImage(Number(value)),
  });
  const list = listbox.root;
  list.classList.add("xaiw-ranking");
  const title = h("h3", {}, "Images sorted by concept");
  const about = h("small");
  const root = h(
    "section",
    { class: "xaiw-section xaiw-ranking-box" },
    h("div", { class: "xaiw-heading" }, title, about),
    list,
  );
  const drawn = new Set<number>();
  let tiles = new Map<number, HTMLElement>();
  let shown: unknown = null;
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (isIntersecting) draw(Number((target as HTMLElement).dataset.value));
      }
    },
    { root: list, rootMargin: "160px" },
  );
  context.signal.addEventListener("abort", () => seen.disconnect());

  function draw(index: number): void {
    const tile = tiles.get(index);
    if (!tile || drawn.has(index)) return;
    const thumbnail = store.thumbnails.get(index);
    if (!thumbnail) {
      store.requestThumbnails(index);
      return;
    }
    drawn.add(index);
    seen.unobserve(tile);
    const canvas = h("canvas", { "aria-hidden": "true" });
    if (thumbnail.array) drawPicture(canvas, thumbnail.array);
    tile.prepend(canvas);
    const value = tile.dataset.text;
    setAttr(tile, "aria-label", `${thumbnail.name}, ${value}`);
    setAttr(tile, "title", `${thumbnail.name}, ${value}`);
  }

  function fill(): void {
    const name = store.concept?.name;
    const layer = store.layerShown;
    const found = store.bars?.rankings.find((each) => each.concept === name && each.layer === layer);
    root.hidden = !found;
    if (!found) {
      shown = null;
      return;
    }
    setText(about, `${name} at ${layer}, most first`);
    if (found !== shown) {
      shown = found;
      seen.disconnect();
      drawn.clear();
      tiles = new Map();
      const n = found.indices.data.length;
      const positions = [...Array(n).keys()].filter((at) => at < ENDS || at >= n - ENDS);
      for (const at of positions) {
        const index = Number(found.indices.data[at]);
        const value = signed(Number(found.values.data[at]));
        const tile = h(
          "div",
          {
            role: "option",
            class: "xaiw-thumb xaiw-ranked",
            "data-value": index,
            "data-text": value,
            "aria-label": `Image ${index + 1}, ${value}`,
          },
          h("small", { "aria-hidden": "true" }, value),
        );
        tiles.set(index, tile);
      }
      listbox.setOptions([...tiles.values()]);
      list.scrollLeft = 0;
      for (const tile of tiles.values()) seen.observe(tile);
    }
    listbox.select(String(store.get("image_index")));
  }

  return {
    root,
    update(change: Change) {
      if (["bars", "traits", "shelf", "setup"].includes(change)) fill();
      else if (change === "thumbnails") for (const index of store.thumbnails.keys()) draw(index);
    },
  };
}
