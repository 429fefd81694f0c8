// The examples of the selected concept as thumbnails: a click or Enter includes or excludes, Delete removes.
import { Listbox } from "../../components/listbox";
import type { ExampleInfo } from "../../core/concepts";
import { h, setAttr } from "../../core/dom";
import { drawPicture } from "../../core/renderer";
import type { Desk } from "./desk";
import type { WorkbenchStore } from "./store";

interface Block {
  root: HTMLElement;
  update(): void;
}

export const about = (example: ExampleInfo) =>
  `${example.name}${example.region ? "" : ", whole image"}, ${example.included ? "included" : "excluded"}${example.comment ? `: ${example.comment}` : ""}`;

export function exampleGrid(
  store: WorkbenchStore,
  desk: Desk,
  announce: (text: string) => void,
  signal: AbortSignal,
): Block {
  const listbox = new Listbox({ label: "Examples", onPick: (id) => toggle(id) });
  const list = listbox.root;
  list.classList.add("xaiw-examples");
  setAttr(list, "aria-multiselectable", true);
  const tiles = new Map<string, { tile: HTMLElement; drawn: unknown }>();
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (isIntersecting) show((target as HTMLElement).dataset.value as string);
      }
    },
    { root: list, rootMargin: "120px" },
  );
  signal.addEventListener("abort", () => seen.disconnect());
  const visible = new Set<string>();

  function toggle(id: string): void {
    const found = store.example(id);
    if (!found) return;
    desk.select(id);
    const included = !found.example.included;
    store.edit({ op: "change", ids: [id], included });
    announce(included ? "Included." : "Excluded.");
  }

  function show(id: string): void {
    const entry = tiles.get(id);
    if (!entry) return;
    visible.add(id);
    const picture = store.pictures.get(id);
    if (!picture) store.requestExample(id);
    else if (entry.drawn !== picture) {
      entry.drawn = picture;
      if (picture.array) {
        const canvas = h("canvas", { "aria-hidden": "true" });
        drawPicture(canvas, picture.array);
        entry.tile.replaceChildren(canvas);
      } else
        entry.tile.replaceChildren(h("span", { class: "xaiw-thumb-failed", "aria-hidden": "true" }, "!"));
      setAttr(entry.tile, "title", picture.error ?? entry.tile.title);
    }
  }

  list.addEventListener("focusin", (event) => {
    const id = (event.target as HTMLElement).dataset.value;
    if (id) desk.select(id);
  });
  // Before the list takes the keys for itself.
  list.addEventListener(
    "keydown",
    (event) => {
      const id = (event.target as HTMLElement).dataset.value;
      if (!id || (event.key !== "Delete" && event.key !== "Backspace")) return;
      event.preventDefault();
      event.stopPropagation();
      remove(store, desk, id, announce);
    },
    { capture: true },
  );

  function update(): void {
    const concept = store.concept;
    const examples = concept?.examples ?? [];
    setAttr(list, "aria-label", concept ? `Examples of ${concept.name}` : "Examples");
    const ids = new Set(examples.map(({ id }) => id));
    for (const [id, { tile }] of tiles) {
      if (ids.has(id)) continue;
      seen.unobserve(tile);
      tiles.delete(id);
      visible.delete(id);
    }
    let added = false;
    for (const { id } of examples) {
      if (tiles.has(id)) continue;
      const tile = h("div", { role: "option", class: "xaiw-thumb xaiw-example", "data-value": id });
      tiles.set(id, { tile, drawn: null });
      seen.observe(tile);
      added = true;
    }
    const options = examples.flatMap(({ id }) => tiles.get(id)?.tile ?? []);
    if (added || list.children.length !== options.length) listbox.setOptions(options);
    for (const example of examples) {
      const entry = tiles.get(example.id);
      if (!entry) continue;
      const { tile } = entry;
      setAttr(tile, "aria-selected", example.included);
      setAttr(tile, "aria-label", about(example));
      setAttr(tile, "title", `${about(example)}. Click to ${example.included ? "exclude" : "include"}.`);
      tile.classList.toggle("is-chosen", example.id === desk.example);
      if (visible.has(example.id)) show(example.id);
    }
    list.style.setProperty("--concept", concept?.colour ?? "");
  }
  return { root: list, update };
}

/** Takes an example away; what stands after it is looked at next. */
export function remove(
  store: WorkbenchStore,
  desk: Desk,
  id: string,
  announce: (text: string) => void,
): void {
  const found = store.example(id);
  if (!found) return;
  const { examples } = found.concept;
  const at = examples.indexOf(found.example);
  store.edit({ op: "remove", ids: [id] });
  desk.select((examples[at + 1] ?? examples[at - 1])?.id ?? null);
  announce("Removed; Ctrl and Z brings it back.");
}
