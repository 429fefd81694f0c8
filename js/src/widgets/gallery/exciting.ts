// The pictures of the data set that excite the enlarged unit most: what it sees of them, or all of each.

import { segmented } from "../../components/controls";
import { h, setText, svg } from "../../core/dom";
import type { Excited } from "../../core/gallery";
import { drawPicture } from "../../core/renderer";
import { rounded } from "./reading";
import type { GalleryStore } from "./store";

export function exciting(store: GalleryStore): { root: HTMLElement; update(): void } {
  const list = h("ol", { class: "xaiw-excited", tabindex: 0, "aria-label": "Pictures that excite it most" });
  const words = h("p", { class: "xaiw-none", role: "status" });
  const show = segmented(
    "radiogroup",
    "Show of each picture",
    [
      { value: "crop", text: "What it sees", title: "The part of the picture that the unit sees" },
      { value: "whole", text: "Whole picture", title: "The picture, with that part outlined" },
    ],
    (value) => {
      whole = value === "whole";
      drawn = undefined;
      update();
    },
  );
  const root = h(
    "section",
    { class: "xaiw-section xaiw-exciting", "aria-label": "In the images" },
    h("div", { class: "xaiw-heading" }, h("h3", {}, "In the images"), show.root),
    words,
    list,
  );
  let whole = false;
  let drawn: unknown;

  function entry(found: Excited): HTMLElement {
    const canvas = h("canvas", {
      role: "img",
      "aria-label": `${found.name}, activation ${rounded(found.value)}`,
    });
    drawPicture(canvas, whole ? found.array : found.crop);
    const { x, y, width, height } = found.box;
    const box =
      whole && (width < 1 || height < 1)
        ? svg(
            "svg",
            { class: "xaiw-box", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" },
            svg("rect", { x, y, width, height }),
            svg("rect", { x, y, width, height }),
          )
        : null;
    return h(
      "li",
      { title: `${found.name}, activation ${rounded(found.value)}` },
      h("span", { class: "xaiw-excited-picture" }, canvas, box),
      h("b", {}, rounded(found.value)),
      h("small", {}, found.name),
    );
  }

  function update(): void {
    const found = store.exciting;
    const { about } = store;
    root.hidden = !about?.n_images || store.shown === null;
    show.select(whole ? "whole" : "crop");
    // A class sees all of each picture: there is nothing to choose.
    if (found?.items) show.root.hidden = found.items.every(({ box }) => box.width >= 1 && box.height >= 1);
    const looking = found && !found.items && !found.error;
    setText(
      words,
      found?.error ??
        (looking || (!found && store.busy)
          ? `Looking through the images${looking ? ` (${found.done} of ${found.total})` : ""}`
          : ""),
    );
    words.hidden = !words.textContent;
    if (found?.items === drawn) return;
    drawn = found?.items;
    list.hidden = !found?.items?.length;
    list.replaceChildren(...(found?.items ?? []).map(entry));
  }
  return { root, update };
}
