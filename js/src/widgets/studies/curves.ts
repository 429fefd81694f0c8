// The player of deletion and insertion: pixels go or come in order of importance, and what the model then says.

import { chart } from "../../components/charts";
import { segmented } from "../../components/controls";
import { player } from "../../components/player";
import type { Curve } from "../../core/comparison";
import { h, setAttr, setText, uniqueId } from "../../core/dom";
import { percent, probability, signed } from "../../core/format";
import { nameOf } from "../comparison/state";
import { canvas, empty, LinkedPanes, type Scene, type StudyView } from "./study";

const FILLS: Record<string, string> = { mean: "Mean colour", blur: "Blur", noise: "Noise", black: "Black" };

/** Words of RGBA, little-endian, of uint8 [h, w, 3] on a grid of `rows` x `columns`. */
function wordsOf({ data, shape: [h, w] }: Curve["original"], rows: number, columns: number): Uint32Array {
  const words = new Uint32Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    const y = Math.floor((row * h) / rows);
    for (let column = 0; column < columns; column += 1) {
      const at = 3 * (y * w + Math.floor((column * w) / columns));
      words[row * columns + column] = (255 << 24) | (data[at + 2] << 16) | (data[at + 1] << 8) | data[at];
    }
  }
  return words;
}

/** The picture at each step, of one order of pixels. */
class Frames {
  #image: ImageData | null = null;
  #words = new Uint32Array();

  constructor(private readonly target: HTMLCanvasElement) {}

  draw(order: Curve["step_of"], from: Uint32Array, to: Uint32Array, step: number): void {
    const [rows, columns] = order.shape;
    const { target } = this;
    if (this.#image?.width !== columns || this.#image.height !== rows) {
      this.#image = new ImageData(columns, rows);
      this.#words = new Uint32Array(this.#image.data.buffer);
      target.width = columns;
      target.height = rows;
    }
    const { data } = order;
    const words = this.#words;
    for (let i = 0; i < data.length; i += 1) words[i] = data[i] > 0 && data[i] <= step ? to[i] : from[i];
    target.getContext("2d", { willReadFrequently: true })?.putImageData(this.#image, 0, 0);
    setAttr(target, "data-step", step);
  }
}

/** Decimals, two to five, with which values differ on a chart. */
function decimals(values: number[]): number {
  const known = values.filter(Number.isFinite);
  const span = Math.max(...known) - Math.min(...known);
  return span > 0 ? Math.max(2, Math.min(5, 1 - Math.floor(Math.log10(span)))) : 2;
}

export function curvesStudy(scene: Scene): StudyView {
  const { store } = scene;
  const own = canvas("frame-own", "Picture by importance");
  const random = canvas("frame-random", "Picture in random order");
  const views = new LinkedPanes(
    scene,
    [
      { name: "Importance", title: "By importance", canvases: [own] },
      { name: "Random", title: "In random order", canvases: [random] },
    ],
    () => {},
  );
  const [paneOwn, paneRandom] = views.panes;
  const frames = [new Frames(own), new Frames(random)];
  let step = 0;
  let shown: Curve | null = null;
  let ends: [Uint32Array, Uint32Array] = [new Uint32Array(), new Uint32Array()];
  const last = () => (shown ? shown.values.data.length - 1 : 1);
  /** Decimals that tell the ends of both curves apart. */
  let digits = 2;
  const unit = (value: number) => {
    if (!shown?.is_probability) return signed(value);
    return digits > 2 ? value.toFixed(digits) : probability(value);
  };
  const go = (position: number) => {
    step = position;
    draw();
  };
  const plot = chart("What the model says", {
    unit: (value) => (shown?.is_probability === false ? signed(value) : value.toFixed(digits)),
    onPick: (fraction) => {
      line.stop();
      const at = shown?.fractions.data ?? new Float32Array([0]);
      let best = 0;
      at.forEach((each, k) => {
        if (Math.abs(each - fraction) < Math.abs(at[best] - fraction)) best = k;
      });
      go(best);
    },
    signal: scene.signal,
  });
  const line = player({ label: "Step of the curve", group: "Curve", at: () => step, go });
  const kind = segmented(
    "radiogroup",
    "Kind",
    [
      {
        value: "deletion",
        text: "Deletion",
        title: "Pixels go, the most important first: the score should fall at once",
      },
      {
        value: "insertion",
        text: "Insertion",
        title: "Pixels come, the most important first: the score should rise at once",
      },
    ],
    (value) => store.set({ curve: { ...store.get("curve"), kind: value as Curve["kind"] } }),
  );
  const fillId = uniqueId("fill");
  const fill = h("select", { id: fillId, title: "What pixels are removed to, or revealed from" });
  fill.addEventListener("change", () => store.set({ curve: { ...store.get("curve"), fill: fill.value } }));
  const words = h("p", { class: "xaiw-study-words" });
  const body = h(
    "div",
    { class: "xaiw-study-body" },
    h("div", { class: "xaiw-player-grid" }, views.root, plot.root),
    line.root,
    words,
  );
  const nothing = empty("");
  const controls = h(
    "div",
    { class: "xaiw-tools" },
    kind.root,
    h("span", { class: "xaiw-select" }, h("label", { for: fillId }, "Fill-in"), fill),
  );
  const root = h("div", { class: "xaiw-curves" }, controls, nothing, body);

  function draw(): void {
    if (!shown) return;
    const { step_of, random_step_of, fractions, values, random: control } = shown;
    frames[0].draw(step_of, ends[0], ends[1], step);
    if (random_step_of) frames[1].draw(random_step_of, ends[0], ends[1], step);
    plot.move(step);
    const gone = fractions.data[step];
    const verb = shown.kind === "deletion" ? "removed" : "revealed";
    const [here, there] = [unit(values.data[step]), unit(control.data[step])];
    paneOwn.setAside(here);
    paneRandom.setAside(there);
    line.update({
      last: last(),
      disabled: false,
      spoken: `step ${step} of ${last()}, ${percent(gone)} ${verb}, ${shown.target_text} ${here}, in random order ${there}`,
      title: `${percent(gone)} ${verb}`,
      about: `${shown.target_text} ${here}`,
    });
  }

  function take(curve: Curve): void {
    const another = shown?.key !== curve.key || shown.kind !== curve.kind;
    shown = curve;
    const [rows, columns] = curve.step_of.shape;
    const [original, filled] = [curve.original, curve.filled].map((each) => wordsOf(each, rows, columns));
    ends = curve.kind === "deletion" ? [original, filled] : [filled, original];
    if (another || step > last()) step = Math.round(last() * 0.2);
    const picture = store.pictureOf(curve.key);
    const cell = store.cells.get(curve.key);
    if (picture && cell) {
      views.show(picture);
      paneOwn.place(own, cell.placement);
      paneRandom.place(random, cell.placement);
    }
    paneRandom.root.hidden = !curve.random_step_of;
    digits = decimals([...curve.values.data, ...curve.random.data]);
    const areas = [curve.area, curve.random_area].map((area) =>
      curve.is_probability ? area.toFixed(digits) : signed(area),
    );
    const what = curve.is_probability ? "probability" : "score";
    plot.setAside(
      `${what} of ${curve.target_text}, over the share of pixels ${curve.kind === "deletion" ? "removed" : "revealed"}`,
    );
    plot.set(Array.from(curve.fractions.data), [
      { kind: "target", text: `by importance, area ${areas[0]}`, values: Array.from(curve.values.data) },
      { kind: "runner-up", text: `random, area ${areas[1]}`, values: Array.from(curve.random.data) },
    ]);
    const lower = curve.kind === "deletion";
    const better = lower ? curve.area < curve.random_area : curve.area > curve.random_area;
    setText(
      words,
      `${nameOf(store, curve.key)}: the mean ${what} on the way is ${areas[0]}, ${areas[1]} in random order. ${lower ? "Lower" : "Higher"} is better, and the map is ${better ? "better" : "no better"} than chance here.`,
    );
    views.layout();
    draw();
  }

  return {
    root,
    update() {
      const asked = store.get("curve");
      const { setup, curve, studyState } = store;
      kind.select(asked.kind);
      const fills = setup?.fills ?? [];
      if (fill.options.length !== fills.length) {
        fill.replaceChildren(...fills.map((name) => h("option", { value: name }, FILLS[name] ?? name)));
      }
      fill.value = asked.fill;
      const failed = studyState?.state === "failed" ? studyState.message : "";
      // While another fill-in is computed, the old curve stays where it is.
      const old = shown && shown.key === store.chosen(0) && !failed;
      nothing.hidden = Boolean(curve || old);
      body.hidden = !curve && !old;
      body.classList.toggle("is-stale", !curve && Boolean(old));
      if (curve) {
        if (curve !== shown) take(curve);
        return;
      }
      setText(nothing, failed || wait(scene, "the curve"));
    },
    stop: () => line.stop(),
  };
}

/** What is said while a study has nothing to show. */
export function wait({ store }: Scene, what: string): string {
  if (!store.chosen(0)) return `Select a cell: ${what} of its map appears here.`;
  const state = store.studyState;
  if (state?.state === "cancelled")
    return "Cancelled before it was there: choose the cell again, or another one.";
  if (state?.state === "computing") return `Computing ${what}.`;
  return `Waiting for ${what}.`;
}
