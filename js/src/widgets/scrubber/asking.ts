// What is asked of the kernel: where the path starts, how many steps it has, and how it runs.

import { segmented, slider } from "../../components/controls";
import { h, setAttr, setText } from "../../core/dom";
import type { Asked, ScrubberStore } from "./store";

const BASELINES: [string, string][] = [
  ["black", "Black"],
  ["white", "White"],
  ["grey", "Grey"],
  ["mean", "Mean colour"],
  ["colour", "A colour"],
  ["blur", "Blur"],
  ["noise", "Noise"],
  ["zeros", "Zero tensor"],
  ["images", "Other pictures"],
];
const DRAWS = [1, 4, 8, 16, 32];
const TOLERANCES = [0.1, 0.05, 0.02, 0.01, 0.005];
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
  const draws = h("select", { "aria-label": "Draws" });
  const tolerance = h(
    "select",
    { "aria-label": "Tolerance" },
    h("option", { value: "" }, "Equal steps"),
    ...TOLERANCES.map((share) => h("option", { value: share }, `${+(share * 100).toFixed(1)} %`)),
  );
  tolerance.title =
    "Adaptive: steps are halved where the error is largest, until all errors sum to this share of the score\u2019s change";
  const path = segmented(
    "radiogroup",
    "Path",
    [
      { value: "straight", text: "Straight", title: "In a straight line from the baseline to the picture" },
      {
        value: "guided",
        text: "Guided",
        title: "Moves first what the score depends on least, as guided IG does",
      },
      { value: "blur", text: "Blur", title: "Through ever sharper pictures, as blur IG does" },
    ],
    (value) => store.ask({ path: value as Asked["path"] }),
  );
  const row = (text: string, ...children: Node[]) =>
    h("div", { class: "xaiw-field" }, h("span", {}, text), h("span", { class: "xaiw-input" }, ...children));
  const colourRow = row("", colour, fromRegion);
  colourRow.classList.add("is-end");
  const sigmaRow = h("div", { class: "xaiw-sigma" }, sigma.root);
  const baselineRow = row("Baseline", kind);
  const drawsRow = row("Draws", draws);
  const toleranceRow = row("Adaptive", tolerance);
  const stepsRow = row("Steps", steps);
  const stepsText = stepsRow.firstChild as HTMLElement;
  const note = h("small");
  const root = h(
    "section",
    { class: "xaiw-section" },
    h("div", { class: "xaiw-heading" }, h("h3", {}, "Path")),
    h(
      "div",
      { class: "xaiw-fields" },
      path.root,
      baselineRow,
      colourRow,
      sigmaRow,
      drawsRow,
      stepsRow,
      toleranceRow,
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

  draws.addEventListener("change", () => store.ask({ draws: Number(draws.value) }));
  tolerance.addEventListener("change", () =>
    store.ask({ tolerance: tolerance.value === "" ? null : Number(tolerance.value) }),
  );
  const images = kind.querySelector('[value="images"]') as HTMLOptionElement;

  return {
    root,
    update() {
      const baseline = store.asked("baseline");
      const text = typeof baseline === "string" ? baseline : "own";
      const [name, amount] = text.split(" ");
      const shown = text.startsWith("#") ? "colour" : name;
      kind.value = shown;
      if (text.startsWith("#")) colour.value = text;
      images.hidden = images.disabled = (store.setup?.n_images ?? 1) < 2;
      const runs = store.asked("path");
      const based = runs !== "blur";
      baselineRow.hidden = !based;
      colourRow.hidden = !based || (shown !== "colour" && !store.get("region"));
      colour.hidden = shown !== "colour";
      fromRegion.hidden = !store.get("region");
      sigmaRow.hidden = !based || (name !== "blur" && name !== "noise");
      if (name === "blur" || name === "noise") {
        sigma.set(Math.round(100 * (amount ? Number(amount) : SIGMA[name])));
      }
      select(steps, store.asked("n_steps"), String);
      path.select(runs);
      const set = name === "images" || (typeof baseline !== "string" && baseline.several);
      const several = runs === "straight" && (name === "noise" || set);
      const n = store.asked("draws");
      drawsRow.hidden = !several;
      if (!draws.length || several) {
        draws.replaceChildren(
          ...DRAWS.map((count) =>
            h("option", { value: count }, count > 1 ? `${count} averaged` : set ? "Their mean" : "One"),
          ),
        );
      }
      select(draws, n, (count) => `${count} averaged`);
      const averaged = several && n > 1;
      const limit = store.asked("tolerance");
      const adaptive = runs === "straight" && !averaged;
      toleranceRow.hidden = !adaptive;
      if (limit === null) tolerance.value = "";
      else select(tolerance, limit, (share) => `${+(share * 100).toFixed(2)} %`);
      setText(stepsText, adaptive && limit !== null ? "At most" : "Steps");
      const drawn = store.stack?.path.draws ?? n;
      const words = {
        blur: "Starts from the picture blurred by 17 % of its side.",
        guided: "One step after the other: it comes in order, and the input is shown as it moves.",
        straight: averaged
          ? `Expected gradients: paths from ${drawn > 1 ? drawn : "several"} draws, averaged; the input shows their mean.`
          : name === "noise" && !amount
            ? "Uniform noise; a sigma adds noise to the picture instead."
            : "",
      };
      setText(note, words[runs]);
      setAttr(root, "data-baseline", text);
    },
  };
}

/** Chooses an entry of a list of numbers; one that is not there is added. */
function select(list: HTMLSelectElement, value: number, text: (value: number) => string): void {
  if (![...list.options].some((option) => option.value === String(value))) {
    list.append(h("option", { value }, text(value)));
  }
  list.value = String(value);
}
