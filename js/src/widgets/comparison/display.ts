// How the grid shows its maps: overlay or map, sign, opacity, threshold, colours, scale, size of the cells. Nothing is sent.
import type { Context } from "../../components/context";
import { segmented, slider } from "../../components/controls";
import { opacitySlider, signControl, thresholdSlider } from "../../components/display_controls";
import { colourTitle, DIVERGING_NAMES, SEQUENTIAL_NAMES } from "../../core/colours";
import { h } from "../../core/dom";
import type { Look, ViewState } from "./state";

/** Sides of the cells, in CSS pixels. */
const SMALLEST = 72;
const LARGEST = 360;

export interface DisplayLine {
  root: HTMLElement;
  /** With the side of the cells, in CSS pixels. */
  update(side: number): void;
}

export function displayLine(
  context: Context,
  state: ViewState,
  on: { look(): void; size(): void },
): DisplayLine {
  const { display } = context;
  const look = segmented(
    "radiogroup",
    "Look",
    [
      { value: "overlay", text: "Overlay", title: "Maps over their pictures" },
      { value: "map", text: "Map", title: "Maps alone" },
    ],
    (value) => {
      state.look = value as Look;
      on.look();
    },
  );
  // Only where no map has a sign is there none to choose.
  const any = {
    get map() {
      const { signed, plain } = state.kinds();
      return { signed: signed || !plain };
    },
  };
  const sign = signControl(Object.create(context, { store: { value: any } }));
  const opacity = opacitySlider(display);
  const threshold = thresholdSlider(
    display,
    "Percentile of each map's magnitude below which nothing is drawn",
  );
  const choice = (label: string, names: readonly string[], pick: (name: string) => void) => {
    const input = h(
      "select",
      { "aria-label": label, title: label },
      ...names.map((name) => h("option", { value: name }, colourTitle(name))),
    );
    input.addEventListener("change", () => pick(input.value));
    return input;
  };
  const diverging = choice("Colour map", DIVERGING_NAMES, (name) => display.set({ diverging: name }));
  const sequential = choice("Colour map of magnitudes", SEQUENTIAL_NAMES, (name) =>
    display.set({ sequential: name }),
  );
  const scale = segmented(
    "radiogroup",
    "Scale",
    [
      { value: "own", text: "Own scale", title: "Each map uses all colours" },
      {
        value: "shared",
        text: "Per method",
        title: "Maps of one method, model and layer share the largest scale",
      },
      { value: "all", text: "One for all", title: "All maps share one scale: methods differ in their units" },
    ],
    (value) => display.set({ scale: value as "own" | "shared" | "all" }),
  );
  const size = slider(
    "Size",
    { min: SMALLEST, max: LARGEST, step: 1 },
    (v) => `${v} px`,
    (v) => {
      state.side = v;
      on.size();
    },
  );
  const fit = h("button", { type: "button", class: "xaiw-link", title: "Let all columns fit" }, "Fit");
  fit.addEventListener("click", () => {
    state.side = null;
    on.size();
  });
  const shown = h("span", { class: "xaiw-fit" }, size.root, fit);
  const root = h(
    "div",
    { class: "xaiw-tools" },
    look.root,
    sign.root,
    opacity.root,
    threshold.root,
    h("span", { class: "xaiw-select" }, diverging, sequential),
    scale.root,
    shown,
  );
  return {
    root,
    update(side) {
      const { signed, plain } = state.kinds();
      look.select(state.look);
      sign.update("display");
      opacity.set(display.state.opacity);
      opacity.root.classList.toggle("is-unused", state.look === "map");
      threshold.set(display.state.threshold);
      diverging.hidden = plain && !signed;
      sequential.hidden = !plain;
      diverging.value = display.state.diverging;
      sequential.value = display.state.sequential;
      scale.select(display.state.scale);
      size.set(Math.max(SMALLEST, Math.min(LARGEST, side)));
    },
  };
}
