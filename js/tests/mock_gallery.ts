// A fake kernel of the feature gallery: stripes, dots and waves that come out of grey, batch by batch.
import type { Exciting, Film, GallerySetup, GalleryTraits, Item } from "../src/core/gallery";
import type { Region } from "../src/core/protocol";
import { lesion } from "./mock_kernel";
import { f32, type MockModel, u8 } from "./mock_model";

export const TRAITS: GalleryTraits = {
  kind: "channels",
  layer: null,
  page: 0,
  selected: null,
  mix_with: null,
  start: null,
  parameters: {},
  image_index: 0,
  region: null,
};

export interface GalleryOptions {
  channels?: number;
  images?: number;
  side?: number;
  own?: string[];
  /** Hold the job back after the first picture of the first batch. */
  manual?: boolean;
  /** The sentence instead of pictures; `never` for a model that only predicts. */
  error?: string;
  never?: boolean;
}

const LABELS = ["zebra", "leopard", "cow", "horse"];
const PAGE = 24;
const BATCH = 8;
const FRAMES = 9;
const STEPS = 64;

/** A made-up feature at a share of its optimisation, [side, side, 3]. */
export function feature(index: number, share: number, side: number): Uint8Array {
  const pixels = new Uint8Array(side * side * 3);
  const angle = index * 0.7;
  const wave = 2 + (index % 5);
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      const along = (x * Math.cos(angle) + y * Math.sin(angle)) / side;
      const across = (y * Math.cos(angle) - x * Math.sin(angle)) / side;
      const stripes = Math.sin(along * wave * 6.28);
      const dots = stripes * Math.sin(across * wave * 6.28);
      const value = [stripes, dots, Math.sin(Math.hypot(along, across) * wave * 6.28)][index % 3];
      const at = (y * side + x) * 3;
      for (let c = 0; c < 3; c += 1) {
        const tint = Math.cos(index * 1.3 + c * 2.1) * 30;
        pixels[at + c] = 128 + share * (value * 84 + tint);
      }
    }
  }
  return pixels;
}

export class MockGallery {
  revision = 0;
  #pending: (() => void)[] = [];

  constructor(
    readonly model: MockModel,
    readonly options: GalleryOptions = {},
  ) {
    model.onSend = (message) => {
      model.receive("ack", { id: message.id }, this.revision);
      if (message.kind === "hello") {
        if (this.revision === 0) this.start();
        else this.start(false);
      } else if (message.kind === "retry") this.start();
      else if (message.kind === "cancel") {
        this.#pending = [];
        model.receive(
          "cancelled",
          { message: "Cancelled: these are the pictures that there are." },
          this.revision,
        );
        this.film(true);
      } else if (message.kind === "thumbnails") {
        const { start, stop } = message.payload as { start: number; stop: number };
        const items = Array.from({ length: stop - start }, (_, at) => ({
          index: start + at,
          name: `lesion ${start + at}.png`,
          array: lesion(start + at, 96),
          error: null,
        }));
        model.receive("thumbnails", { start, items }, this.revision);
      }
    };
    let asked = this.#asked();
    let looked = this.#looked();
    model.onSave = () => {
      if (this.#asked() !== asked) this.start();
      else if (this.#looked() !== looked) this.look();
      asked = this.#asked();
      looked = this.#looked();
    };
  }

  get #state(): GalleryTraits {
    return this.model.state as unknown as GalleryTraits;
  }
  #asked(): string {
    const { selected: _s, mix_with: _m, ...asked } = this.#state;
    return JSON.stringify(asked);
  }
  #looked(): string {
    const { selected, mix_with } = this.#state;
    return JSON.stringify([selected, mix_with]);
  }

  get layer(): string | null {
    return this.#state.kind === "channels" ? (this.#state.layer ?? "stage3") : null;
  }
  get key(): string {
    const { kind, parameters, start } = this.#state;
    return JSON.stringify([kind, this.layer, parameters, start]);
  }
  get items(): Item[] {
    const { kind, page, region } = this.#state;
    const { channels = 64, own = [] } = this.options;
    if (kind === "channels" && region) {
      return [17, 4, 40].map((index, at) => ({ index, name: String(index), value: 3 - at }));
    }
    const names =
      kind === "classes"
        ? LABELS
        : kind === "own"
          ? own
          : Array.from({ length: channels }, (_, i) => String(i));
    return names.map((name, index) => ({ index, name, value: null })).slice(page * PAGE, (page + 1) * PAGE);
  }
  get shown(): number {
    return this.#state.selected ?? this.items[0].index;
  }

  setup(): GallerySetup {
    const sentence = "Gradients reach the input and every layer.";
    const layer = (name: string, shape: number[], recommended = false) => ({
      name,
      kind: "Conv2d",
      shape,
      depth: 0,
      spatial: true,
      main: true,
      recommended,
    });
    const number = { kind: "int" as const, minimum: 1, maximum: 2048, help: "How long it is optimised." };
    return {
      title: "SmallNet",
      framework: "torch",
      verdict: { verdict: this.options.never ? "inference-only" : "explainable", sentence, findings: [] },
      labels: LABELS,
      classifier: true,
      task: "classification",
      n_images: this.options.images ?? 6,
      layers: [
        layer("stage1", [32, 32, 16]),
        layer("stage2", [16, 16, 32]),
        layer("stage3", [8, 8, 64], true),
      ],
      methods: [],
      fills: [],
      input_shape: [128, 128, 3],
      preprocessing: "",
      max_thumbnails: 40,
      parameters: [
        { name: "n_steps", label: "Steps", default: 128, ...number },
        {
          name: "seed",
          label: "Seed",
          default: 0,
          kind: "int",
          minimum: 0,
          maximum: 1e9,
          help: "Another start.",
        },
        {
          name: "transforms",
          label: "Transforms",
          kind: "choice",
          default: "standard",
          choices: ["standard", "none"],
          help: "Moved and turned a little at each step.",
        },
      ],
    };
  }

  start(anew = true): void {
    const { model, options } = this;
    if (anew) this.revision += 1;
    this.#pending = [];
    model.receive("setup", this.setup(), this.revision);
    model.receive("accepted", {}, this.revision);
    if (options.error && options.never) {
      this.fail("load");
      return;
    }
    const { kind, page, region } = this.#state;
    const items = this.items;
    const all = { channels: options.channels ?? 64, classes: LABELS.length, own: options.own?.length ?? 0 };
    const where = region && {
      name: "lesion 0.png",
      width: 128,
      height: 128,
      array: lesion(0),
      region: region as Region,
    };
    model.receive(
      "gallery",
      {
        key: this.key,
        kind,
        layer: this.layer,
        total: region ? items.length : all[kind],
        page,
        page_size: PAGE,
        items,
        where,
        own: options.own ?? [],
      },
      this.revision,
    );
    if (options.error) {
      this.fail("explain");
      return;
    }
    const rest = items.map((item) => item.index).filter((index) => index !== this.shown);
    const order = items.length ? [this.shown, ...rest] : [];
    for (let at = 0; at < order.length; at += BATCH) {
      const batch = order.slice(at, at + BATCH);
      for (const step of [0, STEPS / 2, STEPS]) this.#pending.push(() => this.#step(batch, step));
    }
    if (options.manual) this.advance(2);
    else this.finish();
  }

  fail(stage: string): void {
    const message = this.options.error as string;
    this.model.receive("error", { message, traceback: "Traceback", stage }, this.revision);
  }

  /** So many messages of pictures more. */
  advance(count: number): void {
    for (const next of this.#pending.splice(0, count)) next();
  }

  finish(): void {
    this.advance(this.#pending.length);
    const times = { seconds: 1.2, cached: false };
    const rest = { target: null, layer: null, facts: [], notes: [] };
    this.model.receive("result", { ...times, ...rest }, this.revision);
    this.look();
  }

  #step(indices: number[], step: number): void {
    const side = this.options.side ?? 48;
    const share = step / STEPS;
    const data = indices.flatMap((index) => [...feature(index, share, side)]);
    const { shown } = this;
    this.model.receive(
      "features",
      {
        indices,
        array: u8([indices.length, side, side, 3], data),
        values: f32(
          [indices.length],
          indices.map((index) => 0.1 + share * (3 + (index % 4))),
        ),
        starts: f32(
          [indices.length],
          indices.map(() => 0.1),
        ),
        step,
        total: STEPS,
        done: step === STEPS,
        live: indices.includes(shown)
          ? { index: shown, array: u8([side * 2, side * 2, 3], feature(shown, share, side * 2)) }
          : null,
      },
      this.revision,
    );
    if (step === STEPS && indices.includes(shown)) this.film();
  }

  look(): void {
    this.film();
    if (this.#state.mix_with !== null) this.mixture();
    this.exciting();
  }

  name(index: number): string {
    const { kind } = this.#state;
    return kind === "channels"
      ? `channel ${index} of ${this.layer}`
      : kind === "classes"
        ? LABELS[index]
        : "own";
  }

  #film(over: Partial<Film>, frames: number[][], at: number[], curves: number[][]): void {
    const side = (this.options.side ?? 48) * 2;
    this.model.receive(
      "film",
      {
        key: this.key,
        role: "steps",
        index: this.shown,
        other: null,
        names: [this.name(this.shown)],
        frames: u8([frames.length, side, side, 3], frames.flat()),
        positions: f32([frames.length], over.role === "mixture" ? at : at.filter((_, i) => i % 2 === 0)),
        at: f32([at.length], at),
        curves: f32([curves.length, at.length], curves.flat()),
        partial: false,
        provenance: JSON.stringify({ objective: this.name(this.shown), seed: 0 }),
        note: "",
        error: null,
        ...over,
      },
      this.revision,
    );
  }

  film(partial = false): void {
    const side = (this.options.side ?? 48) * 2;
    const last = partial ? 0.5 : 1;
    const frames = Array.from({ length: FRAMES }, (_, i) => [
      ...feature(this.shown, (last * i) / (FRAMES - 1), side),
    ]);
    const at = Array.from({ length: 2 * FRAMES - 1 }, (_, i) => (last * STEPS * i) / (2 * FRAMES - 2));
    const value = (step: number) => 0.1 + (step / STEPS) ** 0.5 * (3 + (this.shown % 4));
    this.#film({ partial }, frames, at, [at.map(value)]);
  }

  mixture(): void {
    const side = (this.options.side ?? 48) * 2;
    const other = this.#state.mix_with as number;
    const shares = Array.from({ length: 5 }, (_, i) => i / 4);
    const frames = shares.map((share) => {
      const [a, b] = [feature(this.shown, 1 - share, side), feature(other, share, side)];
      return [...a].map((value, i) => Math.max(0, Math.min(255, value + b[i] - 128)));
    });
    this.#film({ role: "mixture", other, names: [this.name(this.shown), this.name(other)] }, frames, shares, [
      shares.map((share) => 3 - 2 * share),
      shares.map((share) => 1 + 2 * share),
    ]);
  }

  exciting(over: Partial<Exciting> = {}): void {
    const images = this.options.images ?? 6;
    if (!images) return;
    const { kind } = this.#state;
    this.model.receive(
      "exciting",
      {
        key: `${kind} ${this.layer ?? ""}`,
        index: this.shown,
        done: images,
        total: images,
        items: Array.from({ length: Math.min(9, images) }, (_, at) => ({
          image: at,
          name: `lesion ${at}.png`,
          value: 4 - at / 3,
          array: lesion(at, 96),
          crop: lesion(at + 1, 48),
          box:
            kind === "channels"
              ? { x: 0.2, y: 0.3, width: 0.4, height: 0.4 }
              : { x: 0, y: 0, width: 1, height: 1 },
        })),
        error: null,
        ...over,
      },
      this.revision,
    );
  }
}
