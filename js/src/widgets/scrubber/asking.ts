// What is asked of the kernel: where the path starts, how many steps it has, and how it runs.

import { segmented, slider } from "../../components/controls";
import { h, setAttr, setText } from "../../core/dom";
import type { ScrubberStore } from "./store";

const BASELINES: [string, string][] = [
  ["black", "Black"],
  ["white", "White"],
  ["grey", "Grey"],
  ["mean", "Mean colour"],
  ["colour", "A colour"],
  ["blur", "Blur"],
  ["noise", "Noise"],
  ["zeros", "Zero tensor"],
];
const STEPS = [8, 16, 32, 64, 128, 256, 512];
const SIGMA = { blur: 0.12, noise: 0.2 } as const;

export interface Form {
  root: HTMLElement;
  update(): void;
}

export function askingForm(store: ScrubberStore, colourOfRegion: () => string | null): Form {
  const kind = h(
    "select",
    { "aria-label": "Baseline" },
    ...BASELINES.map(([value, text]) => h("option", { value }, text)),
    h("option", { value: "own", disabled: true }, "Own picture"),
  );
  const colour = h("input", { type: "color", value: "#808080", "aria-label": "Colour of the baseline" });
  const fromRegion = h(
    "button",
    {
      type: "button",
      class: "xaiw-link",
      title: "The mean colour of the marked region becomes the baseline",
    },
    "Take the region\u2019s colour",
  );
  const sigma = slider(
    "Sigma",
    { min: 1, max: 50, step: 1 },
    (v) => `${v} %`,
    () => {},
  );
  const steps = h(
    "select",
    { "aria-label": "Steps" },
    ...STEPS.map((n) => h("option", { value: n }, String(n))),
  );
  const path = segmented(
    "radiogroup",
    "Path",
    [
      { value: "straight", text: "Straight", title: "In a straight line from the baseline to the picture" },
      { value: "blur", text: "Blur", title: "Through ever sharper pictures, as blur IG does" },
    ],
    (value) => store.ask({ path: value as "straight" | "blur" }),
  );
  const row = (text: string, ...children: Node[]) =>
    h("div", { class: "xaiw-field" }, h("span", {}, text), h("span", { class: "xaiw-input" }, ...children));
  const colourRow = row("", colour, fromRegion);
  const sigmaRow = h("div", { class: "xaiw-sigma" }, sigma.root);
  const baselineRow = row("Baseline", kind);
  const note = h("small");
  const root = h(
    "section",
    { class: "xaiw-section" },
    h("div", { class: "xaiw-heading" }, h("h3", {}, "Path")),
    h(
      "div",
      { class: "xaiw-fields" },
      baselineRow,
      colourRow,
      sigmaRow,
      row("Steps", steps),
      row("Runs", path.root),
      note,
    ),
  );

  kind.addEventListener("change", () => {
    const value = kind.value;
    const own = value === "colour" ? colour.value : value;
    store.ask({ baseline: own });
  });
  // Not while it is dragged: every value is a new path.
  colour.addEventListener("change", () => store.ask({ baseline: colour.value }));
  fromRegion.addEventListener("click", () => {
    const found = colourOfRegion();
    if (found) store.ask({ baseline: found });
  });
  const sigmaInput = sigma.root.querySelector("input") as HTMLInputElement;
  sigmaInput.addEventListener("change", () => {
    store.ask({ baseline: `${kind.value} ${(sigmaInput.valueAsNumber / 100).toFixed(2)}` });
  });
  steps.addEventListener("change", () => store.ask({ n_steps: Number(steps.value) }));

  return {
    root,
    update() {
      const baseline = store.asked("baseline");
      const text = typeof baseline === "string" ? baseline : "own";
      const [name, amount] = text.split(" ");
      const shown = text.startsWith("#") ? "colour" : name;
      kind.value = shown;
      if (text.startsWith("#")) colour.value = text;
      const straight = store.asked("path") !== "blur";
      baselineRow.hidden = !straight;
      colourRow.hidden = !straight || (shown !== "colour" && !store.get("region"));
      colour.hidden = shown !== "colour";
      fromRegion.hidden = !store.get("region");
      sigmaRow.hidden = !straight || (name !== "blur" && name !== "noise");
      if (name === "blur" || name === "noise") {
        sigma.set(Math.round(100 * (amount ? Number(amount) : SIGMA[name])));
      }
      const n = store.asked("n_steps");
      if (!STEPS.includes(n) && ![...steps.options].some((option) => Number(option.value) === n)) {
        steps.append(h("option", { value: n }, String(n)));
      }
      steps.value = String(n);
      path.select(store.asked("path"));
      setText(
        note,
        straight
          ? name === "noise" && !amount
            ? "Uniform noise; a sigma adds noise to the picture instead."
            : ""
          : "Starts from the picture blurred by 17 % of its side.",
      );
      setAttr(root, "data-baseline", text);
    },
  };
}
