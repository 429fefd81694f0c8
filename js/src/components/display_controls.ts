// Display controls: sign, opacity, threshold, colour map, scale. They only change this view; nothing is sent.
import { colourTitle, DIVERGING_NAMES, SEQUENTIAL_NAMES } from "../core/colours";
import type { Display } from "../core/display";
import { h } from "../core/dom";
import type { Sign } from "../core/renderer";
import { type Change, type Context, coloursShown, type Part } from "./context";
import { type Slider, segmented, slider } from "./controls";

export function signControl(context: Context): Part {
  const control = segmented(
    "radiogroup",
    "Sign",
    [
      { value: "both", text: "Both", title: "Evidence for and against the target" },
      { value: "positive", text: "Positive", title: "Only evidence for the target" },
      { value: "negative", text: "Negative", title: "Only evidence against the target" },
    ],
    (value) => context.display.set({ sign: value as Sign }),
  );
  return {
    root: control.root,
    update(change: Change) {
      if (change !== "display" && change !== "map") return;
      const unsigned = context.store.map?.signed === false;
      control.setDisabled(unsigned, unsigned ? "This method gives magnitudes only" : undefined);
      control.select(unsigned ? "positive" : context.display.state.sign);
    },
  };
}

/** Of the overlay. */
export const opacitySlider = (display: Display): Slider =>
  slider(
    "Opacity",
    { min: 0, max: 1, step: 0.01 },
    (v) => v.toFixed(2),
    (v) => display.set({ opacity: v }),
  );

/** Below which nothing is drawn; `title` says of what it is a percentile. */
export function thresholdSlider(display: Display, title: string): Slider {
  const control = slider(
    "Threshold",
    { min: 0, max: 99, step: 1 },
    (v) => `p ${v}`,
    (v) => display.set({ threshold: v }),
  );
  control.root.title = title;
  return control;
}

export function displayControls(context: Context): Part {
  const { display } = context;
  const opacity = opacitySlider(display);
  const threshold = thresholdSlider(display, "Percentile of the magnitude below which nothing is drawn");
  const colours = h("select", { "aria-label": "Colour map", title: "Colour map" });
  colours.addEventListener("change", () => {
    const signed = context.store.map?.signed !== false;
    display.set(signed ? { diverging: colours.value } : { sequential: colours.value });
  });
  const scale = segmented(
    "radiogroup",
    "Scale",
    [
      { value: "own", text: "Own scale", title: "Each map uses all colours" },
      {
        value: "shared",
        text: "Shared",
        title: "Maps of this method and layer share the largest scale seen so far",
      },
    ],
    (value) => display.set({ scale: value as "own" | "shared" }),
  );
  const root = h(
    "div",
    { class: "xaiw-tools" },
    opacity.root,
    threshold.root,
    h("span", { class: "xaiw-select" }, colours),
    scale.root,
  );
  let names: readonly string[] = [];

  function update(change: Change): void {
    if (change !== "display" && change !== "map") return;
    const wanted = context.store.map?.signed === false ? SEQUENTIAL_NAMES : DIVERGING_NAMES;
    if (wanted !== names) {
      names = wanted;
      colours.replaceChildren(...names.map((name) => h("option", { value: name }, colourTitle(name))));
    }
    colours.value = coloursShown(context);
    opacity.set(display.state.opacity);
    threshold.set(display.state.threshold);
    scale.select(display.state.scale);
  }
  return { root, update };
}
