// What the fake workbench is made of: superpixels, crops, scores, a sweep and suggestions.
import type { Bars, ConceptInfo, ScoreRecord, Suggestion, Sweep, WorkbenchSetup } from "../src/core/concepts";
import type { Region } from "../src/core/protocol";
import { lesion, random, SIZE } from "./mock_kernel";
import { f32, type MockModel } from "./mock_model";

/** Superpixels around jittered points. */
export function cells(index: number, size = SIZE) {
  const next = random(index + 77);
  const side = 9;
  const points = Array.from({ length: side * side }, (_, i) => [
    (((i % side) + 0.15 + 0.7 * next()) * size) / side,
    ((Math.floor(i / side) + 0.15 + 0.7 * next()) * size) / side,
  ]);
  const data = new Uint16Array(size * size);
  for (let at = 0; at < data.length; at += 1) {
    const x = at % size;
    const y = Math.floor(at / size);
    let best = 0;
    let least = Number.POSITIVE_INFINITY;
    points.forEach(([px, py], i) => {
      const d = (px - x) ** 2 + (py - y) ** 2;
      if (d < least) {
        least = d;
        best = i;
      }
    });
    data[at] = best;
  }
  return { index, array: { dtype: "uint16" as const, shape: [size, size], data }, n: points.length };
}

export const RULER: Region = { type: "rect", x: 13, y: 112, width: 102, height: 12 };
export const BORDER: Region = {
  type: "polygon",
  points: [
    [36, 40],
    [62, 30],
    [92, 42],
    [90, 84],
    [60, 92],
    [36, 78],
  ],
};
export const HAIR: Region = { type: "rect", x: 8, y: 10, width: 30, height: 22 };

export function crop(index: number, region: Region | null, side = 48) {
  const { data } = lesion(index);
  const box =
    region?.type === "rect"
      ? region
      : region?.type === "polygon"
        ? { x: 36, y: 30, width: 56, height: 62 }
        : { x: 0, y: 0, width: SIZE, height: SIZE };
  const pixels = new Uint8Array(side * side * 3);
  for (let at = 0; at < side * side; at += 1) {
    const x = Math.floor(box.x + ((at % side) / side) * box.width);
    const y = Math.floor(box.y + (Math.floor(at / side) / side) * box.height);
    for (let c = 0; c < 3; c += 1) pixels[3 * at + c] = data[3 * (y * SIZE + x) + c];
  }
  return { dtype: "uint8" as const, shape: [side, side, 3], data: pixels };
}

export function sweepOf(setup: WorkbenchSetup, concept: string, layer: string): Sweep {
  const n = 33;
  const k = setup.labels.length;
  const epsilons = Array.from({ length: n }, (_, i) => -2 + (4 * i) / (n - 1));
  const outputs = epsilons.flatMap((epsilon) => {
    const p = 1 / (1 + Math.exp(-3 * epsilon - 1));
    return Array.from({ length: k }, (_, i) => (i === 0 ? 1 - p : i === 1 ? p : 0));
  });
  return {
    concept,
    layer,
    epsilons: f32([n], epsilons),
    outputs: f32([n, k], outputs),
    probabilities: true,
  };
}

/** Made-up scores of the concepts on the shelf. */
export function barsOf(
  model: MockModel,
  setup: WorkbenchSetup,
  concepts: ConceptInfo[],
  partial: boolean,
): Bars {
  const asked = model.state.compare as number[];
  const classes = ["malignant", ...asked.map((index) => setup.labels[index])];
  const layers = ["stage1.block2", "stage2.block2", "stage3.block2"];
  const own = concepts.filter(({ role }) => role === "concept");
  const records = own.flatMap(({ name, examples }, c) =>
    layers.flatMap((layer, l) =>
      classes.map((of, k): ScoreRecord => {
        const n = examples.filter(({ included }) => included).length;
        const testable = n >= 5;
        const magnitude = [0.21, 0.06, -0.1][c % 3] * (0.4 + 0.3 * l) * (k ? -1 : 1) * (n / 12);
        const significant = c === 0 && l > 0;
        return {
          concept: name,
          layer,
          class: of,
          score: testable ? 0.5 + 2 * magnitude : null,
          magnitude: testable ? magnitude : null,
          low: testable ? magnitude - 0.04 : null,
          high: testable ? magnitude + 0.04 : null,
          p: partial || !testable ? null : significant ? 0.005 : 0.31,
          p_adjusted: partial || !testable ? null : significant ? 0.03 : 0.62,
          accuracy: testable ? 0.94 : null,
          accuracy_low: testable ? 0.86 : null,
          accuracy_high: testable ? 0.98 : null,
          testable,
          significant: partial || !testable ? null : significant,
          note: !testable
            ? `${n} examples are too few: a test needs 5.`
            : c === 0 && l === 2
              ? "The gradient is the same for every image."
              : null,
          n_examples: n,
          n_images: 12,
        };
      }),
    ),
  );
  const names = own.map(({ name }) => name);
  const cosines = layers.map((layer) => ({
    layer,
    names,
    array: f32(
      [names.length, names.length],
      names.flatMap((_, i) => names.map((_, j) => (i === j ? 1 : (i + j) % 2 ? 0.18 : -0.34))),
    ),
  }));
  const n = setup.n_images;
  const rankings = own.flatMap(({ name }, c) =>
    layers.map((layer) => {
      const order = Array.from({ length: n }, (_, i) => (c % 2 ? n - 1 - i : (i * 2) % n));
      const indices = { dtype: "int32" as const, shape: [n], data: Int32Array.from(order) };
      return {
        concept: name,
        layer,
        indices,
        values: f32(
          [n],
          order.map((_, i) => 0.6 - i * 0.05),
        ),
      };
    }),
  );
  return {
    partial,
    stored: false,
    target_text: "malignant",
    n_images: 12,
    alpha: 0.05,
    note: null,
    records,
    cosines,
    rankings,
  };
}

export const suggestionsOf = (): Suggestion[] =>
  Array.from({ length: 6 }, (_, i) => ({
    index: i + 1,
    name: `lesion ${i + 1}.png`,
    region: { type: "mask", size: [2, 2], counts: [0, 4 - (i % 3)] },
    similarity: 0.91 - i * 0.07,
    array: crop(i + 1, i % 2 ? HAIR : RULER),
  }));
