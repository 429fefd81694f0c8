// Two cells against each other: side by side, their difference, one after the other in the same place, and their rank correlation.

import { segmented, slider } from "../../components/controls";
import { gradient } from "../../core/colours";
import type { Cell, CellPicture } from "../../core/comparison";
import { h, setAttr, setText } from "../../core/dom";
import { magnitude, signed } from "../../core/format";
import { difference, largestMagnitude, onGridOf, type PlacedMap, spearman } from "../../core/ranks";
import { clear, quantise } from "../../core/renderer";
import { scaleOf } from "../../core/stats";
import { nameOf, share } from "../comparison/state";
import { canvas, empty, LinkedPanes, paintCell, pixelAt, type Scene, type StudyView } from "./study";

/** Changes a second: faster ones may harm people with photosensitive epilepsy. */
const RATES = { min: 0.5, max: 3, step: 0.25 };

interface Pair {
  cells: [Cell, Cell];
  pictures: [CellPicture, CellPicture];
  /** B on the grid of A. */
  other: Float32Array;
  correlation: number | null;
  signed: boolean;
}

export function pairStudy(scene: Scene): StudyView {
  const { store, state, announce } = scene;
  const canvases = {
    a: [canvas("under", "Picture"), canvas("heat", "Map A")],
    b: [canvas("under", "Picture"), canvas("heat", "Map B")],
    difference: [canvas("difference", "Difference of the maps")],
  };
  const views = new LinkedPanes(
    scene,
    [
      { name: "A", title: "A", canvases: canvases.a },
      { name: "B", title: "B", canvases: canvases.b },
      { name: "Difference", title: "Difference A \u2212 B", canvases: canvases.difference },
    ],
    () => read(),
  );
  const [paneA, paneB, paneD] = views.panes;
  let raw = false;
  let pair: Pair | null = null;
  let differs: Float32Array = new Float32Array();
  let timer: ReturnType<typeof setInterval> | null = null;
  let flickering = false;
  let second = false;
  let rate = 1.5;
  const drawn = [{}, {}];
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  const basis = segmented(
    "radiogroup",
    "Difference of",
    [
      { value: "own", text: "Own maximum", title: "Each map is divided by its own largest magnitude first" },
      {
        value: "raw",
        text: "Raw values",
        title: "The maps as they are: of use where their units are the same",
      },
    ],
    (value) => {
      raw = value === "raw";
      compare();
    },
  );
  const flicker = h(
    "button",
    { type: "button", class: "xaiw-button", "aria-pressed": "false", "aria-keyshortcuts": "f" },
    "Flicker",
  );
  const other = h(
    "button",
    { type: "button", class: "xaiw-link", hidden: true, "aria-keyshortcuts": "x" },
    "Show the other",
  );
  const speed = slider(
    "Rate",
    RATES,
    (v) => `${v}/s`,
    (v) => {
      rate = v;
      run();
    },
  );
  speed.set(rate);
  const words = h("p", { class: "xaiw-study-words" });
  const low = h("span", { class: "xaiw-legend-low" });
  const bar = h("div", { class: "xaiw-bar", role: "img" });
  const high = h("span", { class: "xaiw-legend-high" });
  const readout = h("span", { class: "xaiw-readout" });
  const body = h(
    "div",
    { class: "xaiw-study-body" },
    views.root,
    h("div", { class: "xaiw-legend" }, low, bar, high, readout),
    h("div", { class: "xaiw-tools" }, basis.root, flicker, other, speed.root),
    words,
  );
  const nothing = empty(
    "Select a cell, and a second one with Shift (or Shift and Enter): their maps are compared here.",
  );
  const root = h("div", { class: "xaiw-pair" }, nothing, body);

  function turn(): void {
    second = !second;
    show();
    if (!timer)
      announce(
        second ? `B: ${nameOf(store, store.chosen(1) ?? "")}` : `A: ${nameOf(store, store.chosen(0) ?? "")}`,
      );
  }
  function show(): void {
    views.root.classList.toggle("is-flicker", flickering);
    views.root.classList.toggle("is-second", flickering && second);
    setAttr(flicker, "aria-pressed", flickering);
    other.hidden = !flickering;
    speed.root.hidden = still.matches;
    setAttr(
      flicker,
      "title",
      still.matches
        ? "A and B in one place; reduced motion is asked for, so that they change by hand"
        : "A and B in turn in one place (F); X changes by hand",
    );
    for (const pane of [paneA, paneB]) pane.measure();
    views.layout();
  }
  /** The timer, where there is one to be. */
  function run(): void {
    if (timer !== null) clearInterval(timer);
    timer = flickering && !still.matches ? setInterval(turn, 1000 / rate) : null;
  }
  function setFlicker(on: boolean): void {
    flickering = on;
    second = false;
    run();
    show();
  }
  flicker.addEventListener("click", () => setFlicker(!flickering));
  other.addEventListener("click", () => {
    // By hand from here on.
    if (timer !== null) clearInterval(timer);
    timer = null;
    turn();
  });
  still.addEventListener("change", () => run(), { signal: scene.signal });
  scene.signal.addEventListener("abort", () => {
    if (timer !== null) clearInterval(timer);
  });
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || (event.target as Element).matches("select, input"))
      return;
    if (event.key === "f") setFlicker(!flickering);
    else if (event.key === "x" && flickering) other.click();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  function find(): Pair | null {
    const [a, b] = [store.chosen(0), store.chosen(1)];
    if (!a || !b) return null;
    const cells = [store.mapOf(a), store.mapOf(b)];
    const pictures = [store.pictureOf(a), store.pictureOf(b)];
    if (!cells[0]?.array || !cells[1]?.array || !pictures[0] || !pictures[1]) return null;
    const known = pair?.cells;
    if (known && known[0].array === cells[0].array && known[1].array === cells[1].array) {
      return { ...(pair as Pair), cells: [cells[0], cells[1]] };
    }
    const placed = ([0, 1] as const).map((i): PlacedMap => {
      const cell = cells[i] as Cell;
      return {
        array: cell.array as PlacedMap["array"],
        place: share(cell.placement, pictures[i] as CellPicture),
      };
    });
    const both = cells[0].signed && cells[1].signed;
    const moved = onGridOf(placed[1], placed[0]);
    const size = (values: Float32Array) => (both ? values : values.map(Math.abs));
    return {
      cells: [cells[0], cells[1]],
      pictures: [pictures[0], pictures[1]],
      other: moved,
      correlation: spearman(size(placed[0].array.data), size(moved)),
      signed: both,
    };
  }

  function compare(): void {
    basis.select(raw ? "raw" : "own");
    if (!pair) return;
    const { cells, pictures, other: values } = pair;
    const array = cells[0].array as NonNullable<Cell["array"]>;
    differs = difference(array.data, values, raw);
    const scale = scaleOf(differs);
    const { diverging } = state.display.state;
    const [target] = canvases.difference;
    const style = { colours: diverging, sign: "both", threshold: 0, opacity: null } as const;
    state.brush.draw(target, quantise({ ...array, data: differs }, scale, true), style);
    setAttr(target, "data-scale", scale);
    paneD.place(target, cells[0].placement);
    setText(low, signed(-scale));
    setText(high, signed(scale));
    bar.style.backgroundImage = gradient(diverging);
    setAttr(bar, "aria-label", `Scale of the difference, to ${magnitude(scale)} either way`);
    paneD.setAside(raw ? "raw values" : "each to its own maximum");
    const alike =
      pair.correlation === null ? "not defined, as one map is the same everywhere" : signed(pair.correlation);
    const what = pair.signed ? "signed values" : "magnitudes, as one of them has no sign";
    const pixels = array.data.length.toLocaleString("en").replaceAll(",", "\u202f");
    const images =
      pictures[0].index === pictures[1].index ? "" : " The pictures differ: places are compared, not things.";
    const same = raw
      ? `Raw values: A reaches ${magnitude(largestMagnitude(array.data))}, B ${magnitude(largestMagnitude(values))}.`
      : "Each map is divided by its own largest magnitude before the difference is taken.";
    setText(words, `Rank correlation ${alike} (Spearman, ${what}, ${pixels} pixels). ${same}${images}`);
    views.layout();
  }

  function read(): void {
    const shape = pair?.cells[0].array?.shape;
    const at = pair && shape ? pixelAt(views.cursor, pair.cells[0].placement, shape) : -1;
    const own = at >= 0 ? pair?.cells[0].array?.data[at] : undefined;
    setText(
      readout,
      own === undefined
        ? ""
        : `A ${signed(own)}   B ${signed(pair?.other[at])}   A \u2212 B ${signed(differs[at])}`,
    );
  }

  return {
    root,
    update() {
      const before = pair;
      pair = find();
      nothing.hidden = pair !== null;
      body.hidden = pair === null;
      if (!pair) {
        const waits = store.chosen(0) && store.chosen(1);
        setText(
          nothing,
          waits
            ? "The two maps are compared once both are there."
            : "Select a cell, and a second one with Shift (or Shift and Enter): their maps are compared here.",
        );
        for (const target of canvases.difference) clear(target);
        setFlicker(false);
        return;
      }
      views.show(pair.pictures[0]);
      for (const [i, pane] of [paneA, paneB].entries()) {
        const key = store.chosen(i as 0 | 1) ?? "";
        paintCell(state, pane, [canvases.a, canvases.b][i], pair.cells[i], pair.pictures[i], drawn[i]);
        pane.setAside(nameOf(store, key));
      }
      compare();
      show();
      if (!before) announce(words.textContent ?? "");
    },
    stop() {
      setFlicker(false);
    },
  };
}
