// A fake kernel of the comparison: maps of generated lesions by made-up methods, metric values, curves, cascades, agreement.
import {
  type Axis,
  type Cell,
  type ComparisonSetup,
  gridOf,
  type MetricInfo,
  placeOf,
  sorted,
  type Traits,
} from "../src/core/comparison";
import type { Module } from "../src/core/protocol";
import { upsample } from "../src/core/renderer";
import { attribution, lesion, random } from "./mock_kernel";
import { f32, type MockModel, u8 } from "./mock_model";

export interface ComparisonOptions {
  images?: number;
  /** Pixels a side of the maps. */
  side?: number;
  models?: number;
  /** Hold the job back after the setup: `finish` and `cell` go on. */
  manual?: boolean;
  /** Cells that fail with a sentence: by the position of image and method. */
  failing?: [number, number][];
  module?: Module;
}

/** The studies' code as the test server has it, in place of the built one. */
const MODULE: Module = {
  script: `export * from "${new URL("../src/widgets/studies/index.ts", import.meta.url).href}";`,
  style: "",
};

export const TRAITS: Traits = {
  rows: "images",
  columns: "methods",
  fixed: {},
  hidden: {},
  metrics: ["deletion", "complexity"],
  sort: null,
  selected: [],
  study: null,
  curve: { kind: "deletion", fill: "mean", n_steps: 100 },
  cascade: { mode: "cascade", n_stages: null },
};

const METHODS = [
  ["gradient", "Gradient", ""],
  ["smoothgrad", "SmoothGrad", "n_samples 25"],
  ["integrated_gradients", "Integrated gradients", "baseline blur"],
  ["guided_backprop", "Guided backprop", ""],
  ["grad_cam", "Grad-CAM", ""],
  ["occlusion", "Occlusion", "window 16"],
];
const metric = (name: string, title: string, direction: "higher" | "lower", missing = ""): MetricInfo => ({
  name,
  title,
  direction,
  minimum: 0,
  maximum: name === "complexity" ? null : 1,
  unit: "",
  meaning: "What a metric means.",
  needs_missing: missing || null,
});
const STAGES = ["head", "stage4", "stage3", "stage2", "stage1", "stem"];

export class MockComparison {
  revision = 1;
  readonly setup: ComparisonSetup;
  /** Keys of the cells that were computed, in order. */
  computed: string[] = [];
  #cells = new Map<string, Cell>();
  #pictures = new Set<string>();

  constructor(
    readonly model: MockModel,
    readonly options: ComparisonOptions = {},
  ) {
    const { images = 4, models = 1 } = options;
    this.setup = {
      title: "SmallNet",
      framework: "torch",
      verdict: {
        verdict: "explainable",
        sentence: "Gradients reach the input and every layer.",
        findings: [],
      },
      axes: {
        images: Array.from({ length: images }, (_, i) => ({ name: `lesion ${i}.png` })),
        methods: METHODS.map(([name, title, parameters]) => ({
          name,
          title,
          label: title,
          parameters,
          uses_layer: name === "grad_cam",
          family: "gradient",
        })),
        models: Array.from({ length: models }, (_, i) => ({
          label: i ? `SmallNet ${i + 1}` : "SmallNet",
          framework: i ? "keras" : "torch",
          verdict: "explainable",
        })),
        layers: [{ label: "recommended" }],
        targets: [{ label: "predicted" }, { label: "benign" }],
      },
      metrics: [
        metric("deletion", "Deletion", "lower"),
        metric("complexity", "Complexity", "lower"),
        metric("pointing_game", "Pointing game", "higher", "It compares with a mask: give masks."),
        metric("insertion", "Insertion", "higher"),
      ],
      fills: ["mean", "blur", "noise", "black"],
      max_thumbnails: 40,
      n_images: images,
    };
    model.onSend = (message) => {
      model.receive("ack", { id: message.id }, this.revision);
      const { payload } = message;
      if (message.kind === "hello") {
        if (payload.module) model.receive("module", options.module ?? MODULE, this.revision);
        model.receive("setup", this.setup, this.revision);
        this.#pictures.clear();
        this.start();
        this.#study();
      } else if (message.kind === "retry") this.job();
      else if (message.kind === "cancel") {
        if (payload.lane === "grid") model.receive("cancelled", { message: "Cancelled." }, this.revision);
      } else if (message.kind === "thumbnails") {
        const items = [];
        for (let index = Number(payload.start); index < Number(payload.stop); index += 1)
          items.push({ index, name: `lesion ${index}.png`, array: lesion(index, 48), error: null });
        model.receive("thumbnails", { start: Number(payload.start), items }, this.revision);
      } else if (message.kind === "visible") {
        for (const key of payload.missing as string[]) this.cell(key);
      }
    };
    let before = JSON.stringify(this.#asked());
    model.onSave = () => {
      const now = JSON.stringify(this.#asked());
      if (now !== before) this.job();
      before = now;
      this.#study();
    };
  }

  get traits(): Traits {
    return this.model.state as unknown as Traits;
  }

  #asked() {
    const { rows, columns, fixed, hidden, metrics } = this.traits;
    return { rows, columns, fixed, hidden, metrics };
  }

  job(): void {
    this.revision += 1;
    this.start();
  }

  start(): void {
    this.model.receive("accepted", this.#asked() as never, this.revision);
    if (!this.options.manual) this.finish();
  }

  keys(): string[] {
    const grid = gridOf(this.traits, this.setup);
    return grid.down.flatMap((row) => grid.across.map((column) => grid.key(row, column)));
  }

  finish(): void {
    for (const key of this.keys()) this.cell(key);
    this.model.receive(
      "result",
      { seconds: 1.2, cached: false, target: null, layer: null, facts: [], notes: [] },
      this.revision,
    );
    this.#agreement();
  }

  value(key: string, name: string): number {
    const { images, methods } = placeOf(key);
    const next = random(images * 17 + methods * 5 + name.length);
    return Math.round(1000 * (0.1 + 0.08 * methods + 0.2 * next())) / 1000;
  }

  map(key: string) {
    const { images, methods, targets } = placeOf(key);
    const found = attribution({
      image_index: images,
      method: METHODS[methods][0],
      target: { kind: "class", index: 1 - (targets % 2), versus: null },
      layer: null,
      parameters: {},
      region: null,
      ablation: null,
    });
    const { side = 128 } = this.options;
    const scaled = { ...found, data: found.data.map((value) => value * (1 + methods)) };
    const array = side === 128 ? scaled : upsample(scaled, side, side);
    return methods === 4 ? { ...array, data: array.data.map(Math.abs) } : array;
  }

  /** Computes one cell: picture, map, numbers. */
  cell(key: string): void {
    const { model, revision } = this;
    const { images, methods, models } = placeOf(key);
    const placement = { x: 0, y: 0, width: 128, height: 128 };
    const name = `lesion ${images}.png`;
    const picture = { index: images, name, width: 128, height: 128, array: lesion(images), placement };
    const first = !this.#pictures.has(`${models}.${images}`);
    this.#pictures.add(`${models}.${images}`);
    if (first) model.receive("picture", { ...picture, model: models } as never, revision);
    const failed = this.options.failing?.some(([i, m]) => i === images && m === methods);
    if (!this.#cells.has(key)) this.computed.push(key);
    const cell: Cell = this.#cells.get(key) ?? {
      key,
      state: failed ? "failed" : "done",
      array: failed ? null : this.map(key),
      placement,
      signed: methods !== 4,
      target_text: "malignant",
      score: 3.21,
      predicted: "malignant",
      probability: 0.96,
      seconds: 0.04,
      cached: false,
      notes: [],
      message: failed ? "The gradient is not finite for this picture: use another method." : null,
      sharing: null,
    };
    this.#cells.set(key, cell);
    model.receive("cell", cell, revision);
    if (failed) return;
    const values = Object.fromEntries(
      this.traits.metrics.map((each) => [
        each,
        { value: this.value(key, each), control: 0.55, control_name: "random order", note: null },
      ]),
    );
    model.receive("scores", { key, values }, revision);
  }

  #agreement(): void {
    const grid = sorted(gridOf(this.traits, this.setup), null, [], () => null);
    const n = grid.across.length;
    const matrix = f32(
      [n, n],
      Array.from({ length: n * n }, (_, i) => (i % (n + 1) ? Math.cos(i * 1.7) * 0.9 : 1)),
    );
    for (let i = 0; i < n; i += 1)
      for (let j = 0; j < i; j += 1) matrix.data[i * n + j] = matrix.data[j * n + i];
    const entry = (axis: Axis, at: number) => {
      const { label, name } = this.setup.axes[axis][at];
      return label ?? name ?? "";
    };
    this.model.receive(
      "agreement",
      {
        labels: grid.across.map((at) => entry(grid.columns, at)),
        keys: grid.across,
        matrix,
        kind: "spearman",
        over: `mean rank correlation of signed maps (Spearman) over ${grid.down.length} ${grid.rows}`,
        n_rows: grid.down.length,
      },
      this.revision,
    );
  }

  #study(): void {
    const { study, selected } = this.traits;
    if (!selected?.length) return;
    const place = selected[0];
    const key = ["models", "images", "methods", "layers", "targets"].map((a) => place[a as Axis]).join(".");
    if (study === "curves") this.curve(key);
    if (study === "sanity") this.cascade(key);
  }

  curve(key: string): void {
    const { model, revision, traits } = this;
    const steps = traits.curve.n_steps;
    const map = this.map(key);
    const size = map.data.length;
    const order = Uint32Array.from(map.data.keys()).sort((a, b) => map.data[b] - map.data[a]);
    const step_of = new Uint8Array(size);
    order.forEach((pixel, i) => {
      step_of[pixel] = 1 + Math.floor((i * steps) / size);
    });
    const next = random(3);
    const random_step_of = Uint8Array.from({ length: size }, () => 1 + Math.floor(next() * steps));
    const fall = traits.curve.kind === "deletion" ? 1 : -1;
    const line = (speed: number) =>
      Array.from({ length: steps + 1 }, (_, k) =>
        fall > 0
          ? 0.04 + 0.92 * Math.exp((-speed * k) / steps)
          : 0.96 - 0.92 * Math.exp((-speed * k) / steps),
      );
    const picture = lesion(placeOf(key).images, map.shape[0]);
    const mean = [0, 1, 2].map(
      (c) => picture.data.filter((_, i) => i % 3 === c).reduce((a, b) => a + b, 0) / size,
    );
    const done = { key, kind: "curves" as const, done: 0, total: steps, message: null };
    model.receive("study", { ...done, state: "computing" }, revision);
    const mean_of = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    model.receive(
      "curve",
      {
        key,
        kind: traits.curve.kind,
        fill: traits.curve.fill,
        step_of: u8(map.shape, step_of),
        random_step_of: u8(map.shape, random_step_of),
        filled: u8(
          picture.shape,
          Uint8Array.from(picture.data, (_, i) => mean[i % 3]),
        ),
        original: picture,
        values: f32([steps + 1], line(12)),
        random: f32([steps + 1], line(3)),
        fractions: f32(
          [steps + 1],
          Array.from({ length: steps + 1 }, (_, k) => k / steps),
        ),
        area: mean_of(line(12)),
        random_area: mean_of(line(3)),
        is_probability: true,
        target_text: "malignant",
      },
      revision,
    );
    model.receive("study", { ...done, done: steps, state: "done" }, revision);
  }

  cascade(key: string): void {
    const { model, revision, traits } = this;
    const map = this.map(key);
    const next = random(9);
    const count = STAGES.length + 1;
    const maps = new Float32Array(count * map.data.length);
    const most = Math.max(...map.data.slice(0, 4096).map(Math.abs), 0.01);
    for (let k = 0; k < count; k += 1)
      map.data.forEach((value, i) => {
        maps[k * map.data.length + i] = value * (1 - k / count) + (k / count) * most * (next() - 0.5);
      });
    const line = (speed: number) => STAGES.map((_, k) => Math.exp(-speed * (k + 1)) - 0.02 * k);
    model.receive(
      "cascade",
      {
        key,
        mode: traits.cascade.mode,
        stages: STAGES,
        done: STAGES.length,
        maps: f32([count, ...map.shape], maps),
        similarity: {
          "spearman signed": line(0.5),
          "spearman absolute": line(0.3),
          "ssim signed": line(0.6),
          "ssim absolute": line(0.4),
        },
      },
      revision,
    );
    model.receive(
      "study",
      { key, kind: "sanity", state: "done", done: 6, total: 6, message: null },
      revision,
    );
  }
}
