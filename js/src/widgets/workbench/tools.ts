// The tools that mark examples, what the chosen one does in words, sizes, and the buttons that need no drawing.
import type { Change, Context, Part } from "../../components/context";
import { type Choice, segmented, slider } from "../../components/controls";
import type { Drawing } from "../../components/drawing";
import type { Tool } from "../../core/display";
import { h, setAttr, setText } from "../../core/dom";
import type { Desk } from "./desk";
import type { WorkbenchStore } from "./store";

const TOOLS: (Choice & { value: Tool; hint: string })[] = [
  {
    value: "pan",
    text: "Pan",
    hint: "Drag to move, wheel or + and \u2212 to zoom; a click picks an example.",
  },
  { value: "superpixel", text: "Superpixel", hint: "Click a part of the picture" },
  { value: "patch", text: "Patch", hint: "Click the middle of a square" },
  { value: "rectangle", text: "Rectangle", hint: "Drag, or click two corners" },
  { value: "polygon", text: "Polygon", hint: "Click points; the first one again closes it" },
  { value: "brush", text: "Brush", hint: "Paint, then press Enter or Add" },
  { value: "eraser", text: "Eraser", hint: "Erase what is painted, then press Enter or Add" },
];

export function annotateTools(
  context: Context,
  store: WorkbenchStore,
  desk: Desk,
  drawing: () => Drawing,
): Part & { hint: HTMLElement } {
  const { display } = context;
  const tools = segmented(
    "toolbar",
    "Tools",
    TOOLS.map(({ hint, ...choice }) => ({ ...choice, title: hint })),
    (value) => {
      drawing().abandon();
      display.set({ tool: value as Tool });
      context.announce(TOOLS.find((tool) => tool.value === value)?.hint ?? "");
    },
  );
  const brush = slider(
    "Size",
    { min: 1, max: 20, step: 1 },
    (v) => `${v} %`,
    (v) => display.set({ brush: v / 200 }),
  );
  const patch = slider(
    "Side",
    { min: 5, max: 100, step: 1 },
    (v) => `${v} %`,
    (v) => {
      desk.patch = v / 100;
    },
  );
  patch.root.title = "Side of the patch as a share of the picture's shorter side";
  const words = h("span", { class: "xaiw-tool-words" });
  const button = (text: string, title: string, action: () => void, className = "xaiw-button") =>
    h("button", { type: "button", class: className, title, onclick: action }, text);
  const add = button("Add", "Add what is painted to the concept (Enter)", () => desk.addPending());
  const drop = button("Drop", "Forget what is not added (Escape)", () => desk.drop(), "xaiw-link");
  const whole = button(
    "Whole image",
    "The whole image becomes an example (W)",
    () => desk.keep(null, "The whole image"),
    "xaiw-link",
  );
  const hint = h(
    "div",
    { class: "xaiw-tools xaiw-tool-line" },
    words,
    brush.root,
    patch.root,
    h("span", { class: "xaiw-space" }),
    drop,
    add,
    whole,
  );

  function update(change: Change): void {
    if (!["display", "traits", "shelf", "picture"].includes(change)) return;
    const { tool } = display.state;
    tools.select(tool);
    const brushing = tool === "brush" || tool === "eraser";
    brush.root.hidden = !brushing;
    patch.root.hidden = tool !== "patch";
    brush.set(Math.round(display.state.brush * 200));
    patch.set(Math.round(desk.patch * 100));
    const name = store.concept?.role === "concept" ? store.concept.name : null;
    const chosen = TOOLS.find(({ value }) => value === tool);
    const becomes = desk.redrawing
      ? ": the example gets this outline."
      : name
        ? `: it becomes an example of \u201c${name}\u201d.`
        : ": then name the concept.";
    setText(words, `${chosen?.hint ?? ""}${tool === "pan" ? "" : becomes}`);
    add.hidden = !brushing;
    add.disabled = !desk.pending;
    drop.hidden = !desk.pending && !desk.redrawing && !desk.waiting;
    whole.disabled = !store.picture;
    setAttr(add, "data-pending", desk.pending !== null);
  }
  return { root: tools.root, hint, update };
}
