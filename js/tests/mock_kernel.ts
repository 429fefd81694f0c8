// A fake kernel for tests and the development page: generated lesions with a ruler, and maps that find it.
import type { Asked, LayerInfo, MethodInfo, Module, ParameterInfo, Setup } from "../src/core/protocol";
import { isClass } from "../src/core/store";
import { f32, type MockModel, u8 } from "./mock_model";
import { REPORTS } from "./mock_report";

export const SIZE = 128;
/** The report's code as the test server has it, in place of the built one. */
const MODULE: Module = {
  script: `export * from "${new URL("../src/widgets/report/index.ts", import.meta.url).href}";`,
  style: ".xaiw-report { order: 1; }",
};
const N = 48;

const layer = (name: string, shape: number[], depth: number, extra: Partial<LayerInfo> = {}): LayerInfo => ({
  name,
  kind: "Conv2d",
  shape,
  depth,
  spatial: true,
  main: true,
  recommended: false,
  ...extra,
});

const steps: ParameterInfo = {
  name: "n_steps",
  label: "Steps",
  kind: "int",
  default: 64,
  minimum: 1,
  maximum: 512,
  step: 1,
  help: "Intervals of the path",
};
const baseline: ParameterInfo = {
  name: "baseline",
  label: "Baseline",
  kind: "choice",
  default: "black",
  choices: ["black", "white", "mean", "blur", "noise"],
  help: "Where the path starts",
};
const absolute: ParameterInfo = {
  name: "absolute",
  label: "Absolute",
  kind: "bool",
  default: false,
  help: "Magnitudes only",
};
const noise: ParameterInfo = {
  name: "noise_level",
  label: "Noise",
  kind: "float",
  default: 0.15,
  minimum: 0,
  maximum: 1,
  step: 0.05,
  unit: "of range",
};

const method = (name: string, title: string, cost: string, extra: Partial<MethodInfo> = {}): MethodInfo => ({
  name,
  title,
  family: "gradient",
  applicable: true,
  reason: null,
  note: null,
  cost,
  uses_layer: false,
  reference: "",
  parameters: [],
  ...extra,
});

const FAMILIES = ["gradient", "path", "cam", "shap", "noise", "perturbation", "attention"];

/** As many methods as there are, four a family; those of attention do not apply. */
export const manyMethods = (): MethodInfo[] =>
  FAMILIES.flatMap((family) =>
    Array.from({ length: 4 }, (_, i) =>
      method(
        `${family}_${i}`,
        `${family === "cam" ? "Layer" : "Own"} ${family} ${i + 1}`,
        `${i * 20 + 2} forwards, ${i * 20 + 1} backwards`,
        {
          family,
          applicable: family !== "attention",
          reason: family === "attention" ? "The model has no attention that can be seen." : null,
          note:
            family === "shap"
              ? "Not complete: softmax has no exact rule, so that the maps miss part of the score."
              : null,
          reference: "Somebody et al. 2019, arXiv:1906.10670",
          parameters: i % 2 ? [baseline, steps, noise, absolute] : [],
        },
      ),
    ),
  );

export function makeSetup(changes: Partial<Setup> = {}): Setup {
  return {
    title: "Lesions, shortcut",
    framework: "torch",
    labels: ["benign", "malignant"],
    classifier: true,
    task: "classification",
    n_images: N,
    layers: [
      layer("stem", [64, 64, 16], 0, { main: false }),
      layer("stage1.block2", [56, 56, 32], 1),
      layer("stage1.block2.conv1", [56, 56, 32], 2, { main: false }),
      layer("stage2.block2", [28, 28, 64], 3),
      layer("stage3.block2", [14, 14, 96], 4, { recommended: true }),
    ],
    methods: [
      method("grad_cam", "Grad-CAM", "1 forward, 1 backward", { uses_layer: true }),
      method("integrated_gradients", "Integrated gradients", "65 of each", { parameters: [baseline, steps] }),
      method("smoothgrad", "SmoothGrad", "25 of each", { parameters: [noise, absolute] }),
      method("gradient", "Gradient", "1 of each"),
      method("attention_rollout", "Attention rollout", "", {
        applicable: false,
        reason: "no attention layers",
      }),
    ],
    fills: ["blur", "mean", "black"],
    verdict: {
      verdict: "explainable",
      sentence: "Gradients reach the input and every layer.",
      findings: [{ level: "info", text: "Preprocessing was read from the model." }],
    },
    input_shape: [SIZE, SIZE, 3],
    preprocessing: "128 x 128, values / 255",
    max_thumbnails: 40,
    ...changes,
  };
}

/** Deterministic noise in 0..1. */
export function random(seed: number): () => number {
  let state = seed * 2654435761 + 1;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 3266489917) | 0;
    return ((state ^ (state >>> 13)) >>> 0) / 4294967296;
  };
}

const lesionRadius = (angle: number, index: number, size: number) =>
  size *
  (0.2 +
    (index % 2 ? 0.01 : 0.05) * Math.sin(5 * angle + index) +
    (index % 2 ? 0 : 0.03) * Math.sin(11 * angle));
const inRuler = (u: number, v: number, index: number) =>
  index % 2 === 0 && v > 0.88 && v < 0.97 && u > 0.1 && u < 0.9;

/** A generated lesion, uint8 [size, size, 3]. */
export function lesion(index: number, size = SIZE) {
  const next = random(index + 1);
  const data = new Uint8Array(size * size * 3);
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const dx = x - size * 0.5;
      const dy = y - size * 0.48;
      const edge = Math.hypot(dx, dy) - lesionRadius(Math.atan2(dy, dx), index, size);
      const inside = 1 / (1 + Math.exp(edge / (size / 90)));
      const grain = (next() - 0.5) * 8;
      const skin = [214 - y * (26 / size), 172 - x * (18 / size), 146 - y * (22 / size)];
      const tone = [98 + dx * (30 / size), 58, 46];
      let rgb = skin.map((s, c) => s * (1 - inside) + tone[c] * inside + grain);
      if (inRuler(x / size, y / size, index)) {
        const tick = Math.floor((x / size) * 100) % 4 === 0 && y / size < 0.93;
        rgb = tick ? [60, 58, 50] : [236, 232, 208];
      }
      data.set(
        rgb.map((value) => Math.max(0, Math.min(255, value))),
        (y * size + x) * 3,
      );
    }
  }
  return u8([size, size, 3], data);
}

/** A signed map that finds the ruler and, faintly, the border of the lesion. */
export function attribution(asked: Asked, size = SIZE) {
  const index = asked.image_index;
  const next = random(index + asked.method.length);
  const flip = isClass(asked.target) && asked.target.index === 0 ? -1 : 1;
  const sharp = asked.method !== "grad_cam";
  const values = new Float32Array(size * size);
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const dx = x - size * 0.5;
      const dy = y - size * 0.48;
      const edge = Math.hypot(dx, dy) - lesionRadius(Math.atan2(dy, dx), index, size);
      const grain = sharp ? 0.35 + next() : 1;
      let value = 0.006 * Math.exp(-((edge / (size / 40)) ** 2)) * Math.sin(3 * Math.atan2(dy, dx)) * grain;
      if (sharp ? inRuler(x / size, y / size, index) : index % 2 === 0) {
        value += sharp
          ? 0.03 * grain
          : 0.03 * Math.exp(-(((y / size - 0.92) / 0.12) ** 2) - ((x / size - 0.5) / 0.5) ** 2);
      }
      values[y * size + x] = flip * value;
    }
  }
  return f32([size, size], values);
}

/** Square superpixels, 8 a side. */
export function superpixels(index: number, size = SIZE) {
  const data = new Uint16Array(size * size);
  for (let i = 0; i < data.length; i += 1)
    data[i] = Math.floor(Math.floor(i / size) / (size / 8)) * 8 + Math.floor(((i % size) * 8) / size);
  return { index, array: { dtype: "uint16" as const, shape: [size, size], data }, n: 64 };
}

export interface KernelOptions {
  setup?: Partial<Setup>;
  /** Display size of the pictures; larger than 1024 has a preview. */
  display?: number;
  /** Name of the readiness report. */
  report?: string;
  /** What shows a report. */
  module?: Module;
  /** Hold jobs back: `finish` and `check` end them. */
  manual?: boolean;
}

/** Answers a mock model as the real kernel would, at once and in the same order of messages. */
export class MockKernel {
  revision = 0;
  readonly setup: Setup;

  constructor(
    readonly model: MockModel,
    readonly options: KernelOptions = {},
  ) {
    this.setup = makeSetup(options.setup);
    model.onSend = (message) => {
      this.model.receive("ack", { id: message.id }, this.revision);
      if (message.kind === "hello") {
        if (this.revision === 0) this.revision = 1;
        this.model.receive("setup", this.setup, this.revision);
        this.start();
        if (!this.options.manual) this.finish();
      } else if (message.kind === "thumbnails")
        this.#thumbnails(message.payload as { start: number; stop: number });
      else if (message.kind === "superpixels") {
        this.model.receive("superpixels", superpixels(this.asked.image_index), this.revision);
      } else if (message.kind === "cancel" && message.payload.check) {
        const error = { message: "The check was cancelled.", traceback: "" };
        this.model.receive("report", { report: null, error }, this.revision);
      } else if (message.kind === "cancel") {
        this.model.receive("cancelled", { message: "Cancelled." }, this.revision);
      } else if (message.kind === "retry") this.job();
      else if (message.kind === "check") {
        if (message.payload.module)
          this.model.receive("module", this.options.module ?? MODULE, this.revision);
        if (!this.options.manual) this.check();
      } else if (message.kind === "crop") {
        const area = message.payload as {
          index: number;
          x: number;
          y: number;
          width: number;
          height: number;
        };
        this.model.receive(
          "crop",
          { ...area, width: area.width - 1, array: lesion(area.index, 256) },
          this.revision,
        );
      }
    };
    model.onSave = () => this.job();
  }

  get asked(): Asked {
    return { ...(this.model.state as unknown as Asked) };
  }

  job(): void {
    this.revision += 1;
    this.start();
    if (!this.options.manual) this.finish();
  }

  start(): void {
    this.model.receive("accepted", this.asked, this.revision);
  }

  get probabilities(): number[] {
    const n = this.setup.labels.length;
    if (n === 2) return this.asked.image_index % 2 ? [0.88, 0.12] : [0.07, 0.93];
    const next = random(this.asked.image_index + 5);
    const raw = Array.from({ length: n }, () => next() ** 12);
    const total = raw.reduce((a, b) => a + b, 0);
    return raw.map((value) => value / total);
  }

  picture(): void {
    const { image_index: index } = this.asked;
    const size = this.options.display ?? SIZE;
    const preview = Math.min(1024, size);
    const name = `lesion ${index}.png`;
    const placement = { x: 0, y: 0, width: size, height: size };
    this.model.receive(
      "picture",
      { index, name, width: size, height: size, array: lesion(index, preview), placement },
      this.revision,
    );
    const p = this.probabilities;
    const scores = f32(
      [p.length],
      p.map((value) => Math.log(value + 1e-6)),
    );
    const predicted = p.indexOf(Math.max(...p));
    this.model.receive(
      "prediction",
      { index, probabilities: f32([p.length], p), scores, predicted },
      this.revision,
    );
  }

  map(partial = false): void {
    const { asked } = this;
    const p = this.probabilities;
    const own = isClass(asked.target) ? asked.target : null;
    const index = own?.index ?? p.indexOf(Math.max(...p));
    const target = { kind: "class" as const, index, versus: own?.versus ?? null };
    const size = this.options.display ?? SIZE;
    const info = this.setup.methods.find((candidate) => candidate.name === asked.method);
    this.model.receive(
      "map",
      {
        key: JSON.stringify([asked.image_index, target, asked.layer, asked.method, asked.parameters]),
        partial,
        array: attribution({ ...asked, target }),
        placement: { x: 0, y: 0, width: size, height: size },
        signed: asked.method !== "grad_cam",
        method: asked.method,
        method_title: info?.title ?? asked.method,
        layer: info?.uses_layer ? (asked.layer ?? "stage3.block2") : null,
        target,
        target_text: this.setup.labels[index],
        score: 2.5,
      },
      this.revision,
    );
  }

  finish(): void {
    this.picture();
    this.map();
    const { asked } = this;
    if (asked.region && asked.ablation) {
      const p = this.probabilities.map((_, index, all) =>
        index < 2 ? [0.78, 0.22][index] * (all[0] + all[1]) : all[index],
      );
      this.model.receive(
        "ablation",
        { fill: asked.ablation, area: 0.09, probabilities: f32([p.length], p), scores: f32([p.length], p) },
        this.revision,
      );
    } else this.model.receive("ablation", {}, this.revision);
    this.model.receive(
      "result",
      {
        seconds: 0.31,
        cached: false,
        target: asked.target,
        layer: asked.layer,
        facts: [{ text: "gap 0.4 %", title: "Convergence delta relative to f(x) - f(baseline)" }],
        notes: [],
      },
      this.revision,
    );
  }

  /** Ends the readiness check. */
  check(): void {
    this.model.receive("report", { report: REPORTS[this.options.report ?? "healthy"](), error: null });
  }

  #thumbnails({ start, stop }: { start: number; stop: number }): void {
    const items = Array.from({ length: stop - start }, (_, i) => ({
      index: start + i,
      name: `lesion ${start + i}.png`,
      array: start + i === 5 ? null : lesion(start + i, 48),
      error: start + i === 5 ? "lesion 5.png is cut off: save it again." : null,
    }));
    this.model.receive("thumbnails", { start, items }, this.revision);
  }
}
