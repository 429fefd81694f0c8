// The image rail: a listbox of thumbnails, asked for in pages when they come into view.

import { h, setAttr, setText } from "../core/dom";
import { drawPicture } from "../core/renderer";
import type { Change, Context, Part } from "./context";
import { Listbox, reveal } from "./listbox";

export function imageRail(context: Context): Part {
  const { store, signal } = context;
  const listbox = new Listbox({
    label: "Images",
    orientation: "vertical",
    onPick: (value) => store.setImage(Number(value)),
  });
  const list = listbox.root;
  list.classList.add("xaiw-rail-list");
  const count = h("small", { class: "xaiw-rail-count" });
  const root = h("div", { class: "xaiw-rail" }, list, count);
  const drawn = new Set<number>();
  let options: HTMLElement[] = [];

  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting) show(Number((entry.target as HTMLElement).dataset.value));
      }
    },
    { root: list, rootMargin: "160px" },
  );
  // A horizontal strip in a narrow view, a column in a wide one: tell assistive technology which.
  const size = new ResizeObserver(() => {
    const horizontal = getComputedStyle(list).flexDirection === "row";
    listbox.setOrientation(horizontal ? "horizontal" : "vertical");
    showSelected();
  });
  size.observe(list);
  signal.addEventListener("abort", () => {
    seen.disconnect();
    size.disconnect();
  });

  function show(index: number): void {
    const option = options[index];
    const thumbnail = store.thumbnails.get(index);
    if (!option || drawn.has(index)) return;
    if (!thumbnail) {
      store.requestThumbnails(index);
      return;
    }
    drawn.add(index);
    setAttr(option, "title", thumbnail.error ?? thumbnail.name);
    setAttr(option, "aria-label", `Image ${index + 1}, ${thumbnail.error ?? thumbnail.name}`);
    if (thumbnail.array) {
      const canvas = h("canvas", { "aria-hidden": "true" });
      drawPicture(canvas, thumbnail.array);
      option.replaceChildren(canvas);
    } else option.replaceChildren(h("span", { class: "xaiw-thumb-failed", "aria-hidden": "true" }, "!"));
    seen.unobserve(option);
  }

  function build(): void {
    const n = store.setup?.n_images ?? 0;
    if (options.length === n) return;
    seen.disconnect();
    drawn.clear();
    options = Array.from({ length: n }, (_, index) =>
      h("div", {
        role: "option",
        class: "xaiw-thumb",
        "data-value": index,
        "aria-label": `Image ${index + 1}`,
      }),
    );
    listbox.setOptions(options);
    for (const option of options) seen.observe(option);
  }

  function showSelected(): void {
    const option = options[store.get("image_index")];
    if (option?.isConnected) reveal(option, list);
  }

  function update(change: Change): void {
    if (change === "setup") build();
    if (change === "thumbnails") for (const index of store.thumbnails.keys()) show(index);
    if (change === "setup" || change === "traits") {
      const index = store.get("image_index");
      listbox.select(String(index));
      setText(count, options.length ? `${index + 1} of ${options.length}` : "");
      showSelected();
    }
  }
  return { root, update };
}
