// A fake kernel of the workbench: a shelf that obeys edits and undoes them, made-up scores, sweeps and suggestions.
import type { ConceptInfo, Edit, ExampleInfo, Shelf, WorkbenchSetup } from "../src/core/concepts";
import type { Module, Region } from "../src/core/protocol";
import { BORDER, barsOf, cells, crop, HAIR, RULER, suggestionsOf, sweepOf } from "./mock_concepts";
import { lesion, makeSetup, SIZE } from "./mock_kernel";
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

const COLOURS = ["#4477aa", "#ee6677", "#228833", "#bbbbbb"];

/** A name as the concept store keeps it. */
const cleaned = (name: string) => name.split(/\s+/).filter(Boolean).join(" ");

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
        this.#make(cleaned(edit.name), edit.colour ?? COLOURS[0]);
        return `make the concept '${edit.name}'`;
      case "change_concept":
        this.#change(edit.name, (concept) => ({
          ...concept,
          name: cleaned(edit.to ?? concept.name),
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
        model.receive("bars", barsOf(this.model, this.setup, this.concepts, true), revision);
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
    model.receive("bars", barsOf(this.model, this.setup, this.concepts, false), revision);
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
    model.receive("sweep", sweepOf(this.setup, concept, layer), revision);
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

  suggest(concept: string): void {
    const layer = "stage3.block2";
    this.model.receive(
      "suggestions",
      { concept, layer, items: suggestionsOf(), message: null },
      this.revision,
    );
  }
}
