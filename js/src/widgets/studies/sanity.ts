// The strip of maps as layers lose what they learned one after another, and how far each is like the first.

import { chart } from "../../components/charts";
import { segmented } from "../../components/controls";
import { Listbox } from "../../components/listbox";
import { player } from "../../components/player";
import type { Cascade } from "../../core/comparison";
import { h, setAttr, setText } from "../../core/dom";
import { signed } from "../../core/format";
import { quantise, type Style } from "../../core/renderer";
import { scaleOf } from "../../core/stats";
import { nameOf } from "../comparison/state";
import { wait } from "./curves";
import { canvas, empty, LinkedPanes, type Scene, type StudyView } from "./study";

const LINES: Record<string, { kind: string; text: string }> = {
  "spearman signed": { kind: "target", text: "rank correlation, signed" },
  "spearman absolute": { kind: "class", text: "rank correlation, magnitudes" },
  "ssim signed": { kind: "contrast", text: "SSIM, signed" },
  "ssim absolute": { kind: "runner-up", text: "SSIM, magnitudes" },
};

export function sanityStudy(scene: Scene): StudyView {
  const { store, state } = scene;
  const trained = canvas("stage-trained", "Map of the trained network");
  const lost = canvas("stage-lost", "Map of the randomised network");
  const views = new LinkedPanes(
    scene,
    [
      { name: "Trained", title: "As trained", canvases: [trained] },
      { name: "Randomised", title: "Randomised", canvases: [lost] },
    ],
    () => {},
  );
  const [paneTrained, paneLost] = views.panes;
  let stage = 0;
  let shown: Cascade | null = null;
  let maps: (Float32Array | null)[] = [];
  let shape: number[] = [0, 0];
  const last = () => Math.max(1, shown?.stages.length ?? 1);
  const go = (position: number) => {
    stage = Math.round(position);
    draw();
  };
  const strip = new Listbox({
    label: "Stages",
    orientation: "horizontal",
    onPick: (value) => {
      line.stop();
      go(Number(value));
    },
  });
  strip.root.classList.add("xaiw-stages");
  const line = player({ label: "Randomised stages", group: "Stages", at: () => stage, go });
  const plot = chart("Similarity to the trained network's map", {
    fit: true,
    unit: (value) => value.toFixed(2).replace("-", "\u2212"),
    onPick: (position) => {
      line.stop();
      go(Math.max(1, Math.round(position)));
    },
    signal: scene.signal,
  });
  const mode = segmented(
    "radiogroup",
    "Mode",
    [
      { value: "cascade", text: "Cascade", title: "Each stage and all above it, from the head down" },
      { value: "independent", text: "One at a time", title: "Each stage alone" },
    ],
    (value) => store.set({ cascade: { ...store.get("cascade"), mode: value as Cascade["mode"] } }),
  );
  const words = h("p", { class: "xaiw-study-words" });
  const body = h(
    "div",
    { class: "xaiw-study-body" },
    h("div", { class: "xaiw-player-grid" }, views.root, plot.root),
    line.root,
    strip.root,
    words,
  );
  const nothing = empty("");
  const root = h(
    "div",
    { class: "xaiw-sanity" },
    h("div", { class: "xaiw-tools" }, mode.root),
    nothing,
    body,
  );

  /** Each map by its own scale: what is compared is where it points, not how much. */
  function paint(target: HTMLCanvasElement, values: Float32Array | null | undefined): void {
    if (!values) return;
    const cell = store.cells.get(shown?.key ?? "");
    const plain = cell?.signed === false;
    const { diverging, sequential, sign } = state.display.state;
    const style: Style = {
      colours: plain ? sequential : diverging,
      sign: plain ? "both" : sign,
      threshold: 0,
      opacity: null,
    };
    const array = { dtype: "float32", shape, data: values } as const;
    state.brush.draw(target, quantise({ ...array, shape }, scaleOf(values), !plain), style);
  }

  const nameAt = (at: number) => (at === 0 ? "as trained" : (shown?.stages[at - 1] ?? ""));

  function draw(): void {
    if (!shown) return;
    paint(lost, maps[stage]);
    setAttr(lost, "data-stage", stage);
    plot.move(stage - 1);
    strip.select(String(stage));
    const alike = shown.similarity["spearman signed"]?.[stage - 1];
    const cascade = shown.mode === "cascade";
    const said =
      stage === 0
        ? "nothing is randomised"
        : `${cascade ? "randomised down to" : "randomised:"} ${nameAt(stage)}`;
    paneLost.setAside(maps[stage] ? nameAt(stage) : "not there yet");
    line.update({
      last: last(),
      disabled: false,
      spoken: `stage ${stage} of ${last()}, ${said}${alike === undefined ? "" : `, rank correlation ${signed(alike)}`}`,
      title: stage === 0 ? "As trained" : nameAt(stage),
      about: alike === undefined ? `stage ${stage} of ${last()}` : `rank correlation ${signed(alike)}`,
    });
  }

  function take(cascade: Cascade): void {
    const another = shown?.key !== cascade.key || shown.mode !== cascade.mode;
    shown = cascade;
    const parts = store.parts.get(cascade);
    const count = cascade.stages.length + 1;
    if (cascade.maps) {
      const [, h, w] = cascade.maps.shape;
      shape = [h, w];
      const { data } = cascade.maps;
      maps = Array.from({ length: count }, (_, k) => data.subarray(k * h * w, (k + 1) * h * w));
    } else {
      shape = [...(parts?.values() ?? [])][0]?.shape ?? [0, 0];
      maps = Array.from({ length: count }, (_, k) => parts?.get(k)?.data ?? null);
    }
    // The first map is the cell's own.
    maps[0] ??= store.mapOf(cascade.key)?.array?.data ?? null;
    if (another) stage = Math.min(1, count - 1);
    const picture = store.pictureOf(cascade.key);
    const cell = store.mapOf(cascade.key);
    if (picture && cell) {
      views.show(picture);
      paneTrained.place(trained, cell.placement);
      paneLost.place(lost, cell.placement);
    }
    plot.set(
      cascade.stages.map((_, k) => k + 1),
      Object.entries(cascade.similarity).map(([name, values]) => ({
        kind: LINES[name]?.kind ?? "change",
        text: LINES[name]?.text ?? name,
        // Lines are as long as there are stages; what is not there yet is left open.
        values: cascade.stages.map((_, k) => values[k] ?? Number.NaN),
      })),
    );
    strip.setOptions(
      maps.map((values, k) => {
        const tile = h("canvas", { "aria-hidden": "true" });
        paint(tile, values);
        return h(
          "div",
          {
            role: "option",
            class: "xaiw-tile",
            "data-value": k,
            "data-text": nameAt(k),
            "aria-label": k ? `Stage ${k}: ${nameAt(k)}` : "As trained",
            title: nameAt(k),
          },
          tile,
          h("span", { "aria-hidden": "true" }, k ? nameAt(k) : "trained"),
        );
      }),
    );
    const end = cascade.similarity["spearman signed"]?.at(-1);
    setText(
      words,
      `${nameOf(store, cascade.key)}: a map that hardly changes while the network forgets does not show what it learned.${end === undefined ? "" : ` At the end the signed rank correlation is ${signed(end)}.`} One picture is no verdict: the sanity metric looks at many, with several seeds.`,
    );
    paint(trained, maps[0]);
    views.layout();
    draw();
  }

  let seen = "";
  return {
    root,
    update() {
      const { cascade, studyState } = store;
      mode.select(store.get("cascade").mode);
      const failed = studyState?.state === "failed" ? studyState.message : "";
      nothing.hidden = cascade !== null;
      body.hidden = cascade === null;
      if (!cascade) {
        setText(nothing, failed || wait(scene, "the strip"));
        return;
      }
      const { diverging, sequential, sign } = state.display.state;
      const now = [diverging, sequential, sign].join();
      if (now === seen && cascade === shown) return;
      seen = now;
      take(cascade);
    },
    stop: () => line.stop(),
  };
}
