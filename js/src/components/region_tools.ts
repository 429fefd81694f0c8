// The region tools: a toolbar that says what a press in the views does, the size of the brush, and the zoom buttons.
import type { Tool } from "../core/display";
import { h, setText } from "../core/dom";
import type { Change, Context, Part } from "./context";
import { segmented, slider } from "./controls";
import { type Drawing, TOOLS } from "./drawing";
import type { Pane } from "./pane";

export function regionTools(context: Context, drawing: Drawing): Part {
  const { display } = context;
  const tools = segmented("toolbar", "Region tools", TOOLS, (value) => {
    drawing.abandon();
    display.set({ tool: value as Tool });
    context.announce(TOOLS.find((tool) => tool.value === value)?.title ?? "");
  });
  const brush = slider(
    "Size",
    { min: 1, max: 20, step: 1 },
    (v) => `${v} %`,
    (v) => display.set({ brush: v / 200 }),
  );
  brush.root.classList.add("xaiw-brush");
  const root = h("span", { class: "xaiw-region-tools" }, tools.root, brush.root);
  return {
    root,
    update(change: Change) {
      if (change !== "display") return;
      const { tool } = display.state;
      tools.select(tool);
      brush.root.hidden = tool !== "brush";
      brush.set(Math.round(display.state.brush * 200));
    },
  };
}

/** Buttons that zoom about the middle: dragging and wheeling have another way. */
export function zoomControl(context: Context, panes: Pane[]): Part {
  const { viewport } = context;
  const press = (key: string) => viewport.key(panes[0].size, key, false);
  const level = h("button", { type: "button", title: "Fit the picture", onclick: () => press("0") });
  const show = () => {
    const text = `${viewport.zoom.toFixed(1)}\u00d7`;
    setText(level, text);
    level.setAttribute("aria-label", `Zoom ${text}: fit the picture`);
  };
  viewport.onChange(show);
  show();
  const root = h(
    "span",
    { class: "xaiw-segmented xaiw-zoom", role: "group", "aria-label": "Zoom" },
    h(
      "button",
      { type: "button", "aria-label": "Zoom out", title: "Zoom out", onclick: () => press("-") },
      "\u2212",
    ),
    level,
    h(
      "button",
      { type: "button", "aria-label": "Zoom in", title: "Zoom in", onclick: () => press("+") },
      "+",
    ),
  );
  return { root, update: () => {} };
}
