// A fake kernel of the workbench: a shelf that obeys edits and undoes them, made-up scores, sweeps and suggestions.
import type {
  Bars,
  ConceptInfo,
  Edit,
  ExampleInfo,
  ScoreRecord,
  Shelf,
  Suggestion,
  Sweep,
  WorkbenchSetup,
} from "../src/core/concepts";
import type { Module, Region } from "../src/core/protocol";
import { lesion, makeSetup, random, SIZE } from "./mock_kernel";
import { f32, type MockModel, type Sent } from "./mock_model";

export interface WorkbenchOptions {
  /** Examples of "ruler", "border" and "hair", 0 for an empty shelf. */
  examples?: number;
  manual?: boolean;
  error?: string;
  setup?: Partial<WorkbenchSetup>;
  compare?: number[];
  module?: Module;
  conflict?: string;
  /** Leave edits unanswered. */
  slow?: boolean;
  /** Scores without p, as while the null is running. */
  partial?: boolean;
}

export const TRAITS = {
  image_index: 0,
  concept: null as string | null,
  layer: null as string | null,
  layers: [] as string[],
  target: null,
  compare: [] as number[],
  classifier: "ridge",
  pooled: true,
  against: "random",
  testing: false,
};

/** The scores' code as the test server has it, in place of the built one. */
const MODULE: Module = {
  script: `export * from "${new URL("../src/widgets/scores/index.ts", import.meta.url).href}";`,
  style: "",
};

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

const COLOURS = ["#4477aa", "#ee6677", "#228833", "#bbbbbb"];
const RULER: Region = { type: "rect", x: 13, y: 112, width: 102, height: 12 };
const BORDER: Region = {
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
const HAIR: Region = { type: "rect", x: 8, y: 10, width: 30, height: 22 };

function crop(index: number, region: Region | null, side = 48) {
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

export class MockWorkbench {
  revision = 1;
  /** The next maps are the same everywhere. */
  flat = false;
  concepts: ConceptInfo[] = [];
  #undo: { text: string; before: string }[] = [];
  #redo: { text: string; before: string }[] = [];
  #count = 0;
  readonly setup: WorkbenchSetup;

  constructor(
    readonly model: MockModel,
    readonly options: WorkbenchOptions = {},
  ) {
    this.setup = {
      ...makeSetup({ n_images: 24 }),
      classifiers: [
        { name: "ridge", title: "Ridge (LDA)" },
        { name: "mean_difference", title: "Mean difference" },
        { name: "logistic", title: "Logistic regression" },
        { name: "svm", title: "Linear SVM" },
      ],
      folder: "/home/someone/concepts",
      ...options.setup,
    };
    const n = options.examples ?? 12;
    if (n) {
      for (const [i, name] of ["ruler", "border", "hair"].entries()) this.#make(name, COLOURS[i]);
      for (let i = 0; i < n; i += 1) this.#example("ruler", 2 * i, RULER);
      for (let i = 0; i < n; i += 1) this.#example("border", i, BORDER);
      for (let i = 0; i < 3; i += 1) this.#example("hair", 3 * i, HAIR);
      this.#make("random", COLOURS[3], "random");
      for (let i = 0; i < 100; i += 1) {
        this.#example("random", i % 24, {
          type: "rect",
          x: (i * 37) % 90,
          y: (i * 53) % 90,
          width: 30,
          height: 30,
        });
      }
    }
    model.onSend = (message) => this.#answer(message);
    model.onSave = () => {
      this.revision += 1;
      this.start();
    };
  }

  get shelf(): Shelf {
    return {
      folder: this.setup.folder,
      revision: this.#count,
      undo: this.#undo.at(-1)?.text ?? null,
      redo: this.#redo.at(-1)?.text ?? null,
      conflict: this.options.conflict ?? null,
      concepts: this.concepts.map((concept) => {
        const included = concept.examples.filter((example) => example.included).length;
        const advice =
          concept.role === "random"
            ? "Enough to compare with. Look it through: it must hold everything but the concepts."
            : included < 5
              ? `${5 - included} more to test it: a test needs 5, and 20 to 40 make it sharp.`
              : "Enough for a first test; 20 to 40 examples make it sharper.";
        return { ...concept, advice, n: concept.examples.length, n_included: included };
      }),
    };
  }

  #make(name: string, colour: string, role: ConceptInfo["role"] = "concept"): void {
    this.concepts = [
      ...this.concepts,
      {
        name,
        role,
        colour,
        comment: "",
        advice: "",
        n: 0,
        n_included: 0,
        n_rejected: 0,
        examples: [],
      },
    ];
  }

  #example(name: string, at: number, region: Region | null): void {
    this.#count += 1;
    const index = at % this.setup.n_images;
    const example: ExampleInfo = {
      id: `e${this.#count}`,
      index,
      name: `lesion ${index}.png`,
      region,
      included: true,
      comment: "",
    };
    this.#change(name, (concept) => ({ ...concept, examples: [...concept.examples, example] }));
  }

  #change(name: string, change: (concept: ConceptInfo) => ConceptInfo): void {
    this.concepts = this.concepts.map((concept) => (concept.name === name ? change(concept) : concept));
  }

  #answer(message: Sent): void {
    const { model } = this;
    model.receive("ack", { id: message.id }, this.revision);
    const { payload } = message;
    if (message.kind === "hello") {
      model.receive("setup", this.setup, this.revision);
      if (payload.module) model.receive("module", this.options.module ?? MODULE, this.revision);
      model.receive("accepted", { ...model.state } as never, this.revision);
      model.receive("shelf", this.shelf, this.revision);
      this.start(false);
    } else if (message.kind === "superpixels") {
      model.receive("superpixels", cells(Number(model.state.image_index)), this.revision);
    } else if (message.kind === "thumbnails") {
      const { start, stop } = payload as { start: number; stop: number };
      const items = Array.from({ length: stop - start }, (_, i) => ({
        index: start + i,
        name: `lesion ${start + i}.png`,
        array: lesion(start + i, 48),
        error: null,
      }));
      model.receive("thumbnails", { start, items }, this.revision);
    } else if (message.kind === "examples") {
      const found = (payload.ids as string[]).map((id) => {
        const example = this.concepts.flatMap(({ examples }) => examples).find((each) => each.id === id);
        return { id, array: example ? crop(example.index ?? 0, example.region) : null, error: null };
      });
      model.receive("examples", { items: found }, this.revision);
    } else if (message.kind === "edit") {
      if (!this.options.slow) this.save(message);
    } else if (message.kind === "suggest") {
      if (!this.options.manual) this.suggest(String(payload.concept));
    } else if (message.kind === "cancel") {
      model.receive("cancelled", { message: "Cancelled." }, this.revision);
    } else if (message.kind === "retry") model.onSave();
  }

  /** Puts an edit on disk, and says so. */
  save(message: Sent): void {
    const refused = this.edit(message.payload as unknown as Edit);
    this.model.receive("saved", { id: message.id, ok: refused === null, message: refused }, this.revision);
    this.model.receive("shelf", this.shelf, this.revision);
    if (this.model.state.testing) this.model.onSave();
  }

  edit(edit: Edit): string | null {
    if (edit.op === "refresh") {
      this.options.conflict = undefined;
      return null;
    }
    if (this.options.conflict) return this.options.conflict;
    if (edit.op === "undo" || edit.op === "redo") {
      const [from, to] = edit.op === "undo" ? [this.#undo, this.#redo] : [this.#redo, this.#undo];
      const step = from.pop();
      if (!step) return `There is nothing to ${edit.op}.`;
      to.push({ text: step.text, before: JSON.stringify(this.concepts) });
      this.concepts = JSON.parse(step.before);
      return null;
    }
    const before = JSON.stringify(this.concepts);
    const text = this.#apply(edit);
    if (text === null) return "There is no such concept.";
    this.#undo.push({ text, before });
    this.#redo = [];
    return null;
  }

  /** What was done in words; null when it cannot be done. */
  #apply(edit: Edit): string | null {
    const each = (ids: string[], change: (example: ExampleInfo) => ExampleInfo | null) => {
      this.concepts = this.concepts.map((concept) => ({
        ...concept,
        examples: concept.examples.flatMap((example) =>
          ids.includes(example.id) ? (change(example) ?? []) : example,
        ),
      }));
    };
    switch (edit.op) {
      case "create_concept":
        this.#make(edit.name, edit.colour ?? COLOURS[0]);
        return `make the concept '${edit.name}'`;
      case "change_concept":
        this.#change(edit.name, (concept) => ({
          ...concept,
          name: edit.to ?? concept.name,
          colour: edit.colour ?? concept.colour,
          comment: edit.comment ?? concept.comment,
        }));
        return `change '${edit.name}'`;
      case "delete_concept":
        this.concepts = this.concepts.filter(({ name }) => name !== edit.name);
        return `delete '${edit.name}'`;
      case "add":
        if (!this.concepts.some(({ name }) => name === edit.concept)) return null;
        this.#example(edit.concept, edit.index, edit.region?.type === "superpixels" ? HAIR : edit.region);
        return `add an example to '${edit.concept}'`;
      case "reject":
        return `reject a suggestion for '${edit.concept}'`;
      case "change":
        each(edit.ids, (example) => ({
          ...example,
          included: edit.included ?? example.included,
          comment: edit.comment ?? example.comment,
        }));
        return edit.included === undefined
          ? "comment on an example"
          : `${edit.included ? "include" : "exclude"} an example`;
      case "reshape":
        each([edit.id], (example) => ({ ...example, region: edit.region }));
        return "redraw an example";
      case "remove":
        each(edit.ids, () => null);
        return `remove ${edit.ids.length === 1 ? "an example" : `${edit.ids.length} examples`}`;
      case "move":
      case "copy": {
        const moved = this.concepts.flatMap(({ examples }) =>
          examples.filter(({ id }) => edit.ids.includes(id)),
        );
        if (edit.op === "move") each(edit.ids, () => null);
        for (const { index, region } of moved) this.#example(edit.concept, index ?? 0, region);
        return `${edit.op} to '${edit.concept}'`;
      }
      case "random":
        if (!this.concepts.some(({ role }) => role === "random")) this.#make("random", COLOURS[3], "random");
        return "replace the random set";
      default:
        return null;
    }
  }

  /** A job: what the traits ask for now. */
  start(accept = true): void {
    const { model, revision } = this;
    const index = Number(model.state.image_index);
    if (accept) model.receive("accepted", { ...model.state } as never, revision);
    const placement = { x: 0, y: 0, width: SIZE, height: SIZE };
    const name = `lesion ${index}.png`;
    model.receive(
      "picture",
      { index, name, width: SIZE, height: SIZE, array: lesion(index), placement },
      revision,
    );
    const p = index % 2 ? [0.88, 0.12] : [0.07, 0.93];
    const all = this.setup.labels.map((_, i) => p[i] ?? 0.01);
    const probabilities = f32([all.length], all);
    const predicted = index % 2 ? 0 : 1;
    model.receive("prediction", { index, probabilities, scores: probabilities, predicted }, revision);
    if (this.options.error) {
      model.receive(
        "error",
        { message: this.options.error, traceback: "Traceback ...", stage: "test" },
        revision,
      );
      return;
    }
    if (model.state.testing) {
      if (this.options.partial) {
        model.receive("bars", this.bars(true), revision);
        const text = "Scoring random concepts";
        model.receive("progress", { done: 60, total: 199, stage: "explain", text }, revision);
        return;
      }
      if (this.options.manual) {
        model.receive(
          "progress",
          { done: 6, total: 24, stage: "predict", text: "Looking at the images" },
          revision,
        );
        return;
      }
      this.test();
    }
    this.finish();
  }

  test(): void {
    const { model, revision } = this;
    model.receive("bars", this.bars(false), revision);
    const concept = String(model.state.concept ?? "ruler");
    const layer = String(model.state.layer ?? "stage3.block2");
    const side = 14;
    const map = Float32Array.from({ length: side * side }, (_, i) => {
      if (this.flat) return 0.01;
      const v = Math.floor(i / side) / side;
      const u = (i % side) / side;
      return (
        0.02 * Math.exp(-(((v - 0.9) / 0.1) ** 2)) -
        0.006 * Math.exp(-(((u - 0.5) / 0.2) ** 2) - ((v - 0.4) / 0.2) ** 2)
      );
    });
    model.receive(
      "map",
      {
        key: `${model.state.image_index} ${concept} ${layer}`,
        partial: false,
        array: f32([side, side], map),
        placement: { x: 0, y: 0, width: SIZE, height: SIZE },
        signed: true,
        method: "concept",
        method_title: "Concept",
        layer,
        target: { kind: "class", index: 1, versus: null },
        target_text: "malignant",
        score: 0.02,
      },
      revision,
    );
    model.receive("sweep", this.sweep(concept, layer), revision);
  }

  finish(): void {
    const result = {
      seconds: 0.21,
      cached: false,
      target: null,
      layer: null,
      facts: [],
      notes: [],
    };
    this.model.receive("result", result, this.revision);
  }

  sweep(concept: string, layer: string): Sweep {
    const n = 33;
    const k = this.setup.labels.length;
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

  bars(partial: boolean): Bars {
    const asked = this.model.state.compare as number[];
    const classes = ["malignant", ...asked.map((index) => this.setup.labels[index])];
    const layers = ["stage1.block2", "stage2.block2", "stage3.block2"];
    const own = this.concepts.filter(({ role }) => role === "concept");
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
    const n = this.setup.n_images;
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

  suggest(concept: string): void {
    const items: Suggestion[] = Array.from({ length: 6 }, (_, i) => ({
      index: i + 1,
      name: `lesion ${i + 1}.png`,
      region: { type: "mask", size: [2, 2], counts: [0, 4 - (i % 3)] },
      similarity: 0.91 - i * 0.07,
      array: crop(i + 1, i % 2 ? HAIR : RULER),
    }));
    this.model.receive(
      "suggestions",
      { concept, layer: "stage3.block2", items, message: null },
      this.revision,
    );
  }
}
