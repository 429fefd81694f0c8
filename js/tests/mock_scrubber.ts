// A fake kernel of the path scrubber: a made-up model whose score saturates, with a ring of evidence.
import type { NDArray } from "../src/core/codec";
import type { PathMessage, StackMessage } from "../src/core/protocol";
import { lesion, SIZE } from "./mock_kernel";
import { f32, type MockModel, u8 } from "./mock_model";

export interface ScrubberOptions {
  steps?: number;
  side?: number;
  /** Hold the job back after the first points. */
  manual?: boolean;
  error?: string;
  hint?: boolean;
  /** Pictures of its own for every point. */
  blur?: boolean;
  guided?: boolean;
  tolerance?: number;
  draws?: number;
  /** Maps as bits of half precision. */
  halves?: boolean;
  nImages?: number;
  /** Empty maps, where only their size counts. */
  zeros?: boolean;
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
/** Score along the path, and its slope. */
export const score = (alpha: number) => 4 * sigmoid(20 * (alpha - 0.18)) - 1;
export const slope = (alpha: number) => {
  const s = sigmoid(20 * (alpha - 0.18));
  return 80 * s * (1 - s);
};

/** A ring with both signs whose sum is 1. */
export function ring(side: number): Float32Array {
  const map = new Float32Array(side * side);
  let sum = 0;
  for (let i = 0; i < map.length; i += 1) {
    const x = (i % side) / side - 0.5;
    const y = Math.floor(i / side) / side - 0.5;
    const r = Math.hypot(x, y);
    map[i] = Math.exp(-(((r - 0.25) / 0.05) ** 2)) - 0.4 * Math.exp(-(((r - 0.36) / 0.05) ** 2));
    sum += map[i];
  }
  return map.map((value) => value / sum);
}

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);
/** Bits of half precision, for numbers in its normal range; smaller ones become zero. */
export function toHalf(value: number): number {
  float[0] = value;
  const exponent = ((word[0] >> 23) & 0xff) - 112;
  if (exponent <= 0) return 0;
  return ((word[0] >> 16) & 0x8000) | (exponent << 10) | ((word[0] >> 13) & 0x3ff);
}

/** Points in an order from coarse to fine. */
export function nested(n: number): number[][] {
  const levels = [[0, n]];
  for (let stride = n; stride > 1; stride /= 2) {
    levels.push(Array.from({ length: n / stride }, (_, i) => stride / 2 + i * stride));
  }
  return levels;
}

export class MockScrubber {
  revision = 1;
  readonly path: PathMessage;
  readonly steps: number;
  readonly side: number;

  constructor(
    readonly model: MockModel,
    readonly options: ScrubberOptions = {},
  ) {
    this.steps = options.steps ?? 16;
    this.side = options.side ?? 32;
    const { side } = this;
    const picture = lesion(0).data;
    const ends = new Uint8Array(2 * side * side * 3);
    for (let i = 0; i < side * side; i += 1) {
      const at =
        Math.floor((Math.floor(i / side) * SIZE) / side) * SIZE + Math.floor(((i % side) * SIZE) / side);
      for (let c = 0; c < 3; c += 1) ends[side * side * 3 + 3 * i + c] = picture[3 * at + c];
    }
    this.path = {
      key: "1",
      n_steps: this.steps,
      placement: { x: 0, y: 0, width: SIZE, height: SIZE },
      shape: [side, side],
      ends: u8([2, side, side, 3], ends),
      series: [
        { role: "target", text: "malignant" },
        { role: "runner-up", text: "benign" },
      ],
      target: { kind: "class", index: 1, versus: null },
      target_text: "malignant",
      path: options.blur ? "blur" : options.guided ? "guided" : "straight",
      baseline: "black",
      rule: options.guided ? "backward" : "trapezoid",
      tolerance: options.tolerance ?? null,
      draws: options.draws ?? 1,
    };
    model.onSend = (message) => {
      model.receive("ack", { id: message.id }, this.revision);
      if (message.kind === "hello") this.start();
      else if (message.kind === "cancel") {
        model.receive("cancelled", { message: "Cancelled: this is what there was." }, this.revision);
      }
    };
    model.onSave = () => {
      this.revision += 1;
      this.start();
    };
  }

  start(): void {
    const { model, revision } = this;
    const verdict = { verdict: "explainable", sentence: "Gradients reach the input.", findings: [] };
    const setup = {
      title: "LesionNet",
      framework: "torch",
      verdict,
      labels: ["benign", "malignant"],
      classifier: true,
      task: "classification",
      n_images: this.options.nImages ?? 1,
      layers: [],
      methods: [],
      fills: [],
      input_shape: [this.side, this.side, 3],
      preprocessing: "",
      max_thumbnails: 40,
    };
    model.receive("setup", setup as never, revision);
    model.receive("accepted", { ...model.state } as never, revision);
    model.receive(
      "picture",
      {
        index: 0,
        name: "lesion 0.png",
        width: SIZE,
        height: SIZE,
        array: lesion(0),
        placement: this.path.placement,
      },
      revision,
    );
    model.receive(
      "prediction",
      { index: 0, probabilities: f32([2], [0.03, 0.97]), scores: f32([2], [-2, 3]), predicted: 1 },
      revision,
    );
    if (this.options.error) {
      model.receive("error", { message: this.options.error, traceback: "", stage: "explain" }, revision);
      return;
    }
    model.receive("path", this.path, revision);
    const levels = this.levels();
    if (this.options.manual) {
      this.send([...levels[0], ...levels[1], ...levels[2]]);
      const text = "Following the path";
      model.receive("progress", { done: 5, total: this.steps + 1, stage: "explain", text }, revision);
    } else {
      for (const level of levels) this.send(level);
      this.finish();
    }
  }

  /** The points of each message. */
  levels(): number[][] {
    if (this.options.guided) return [[...Array(this.steps + 1).keys()]];
    if (this.options.tolerance === undefined) return nested(this.steps);
    const { steps: n } = this;
    const coarse = Array.from({ length: 9 }, (_, i) => (i * n) / 8);
    return [coarse, [n / 16, (3 * n) / 16], [(3 * n) / 32, (5 * n) / 32, (7 * n) / 32]];
  }

  /** The rest of a path that was held back. */
  rest(): void {
    for (const level of nested(this.steps).slice(3)) this.send(level);
    this.finish();
  }

  message(positions: number[]): StackMessage {
    const { side, steps } = this;
    const alphas = positions.map((at) => at / steps);
    const unit = ring(side);
    if (this.options.zeros) return this.empty(positions);
    const maps = alphas.flatMap((alpha) => [...unit.map((value) => value * slope(alpha) * 0.5)]);
    const pictures: NDArray<Uint8Array> = u8(
      [positions.length, side, side, 3],
      positions.flatMap((at) => Array(side * side * 3).fill(at)),
    );
    return {
      positions: f32([positions.length], positions),
      array: this.options.halves
        ? { dtype: "uint16", shape: [positions.length, side, side], data: Uint16Array.from(maps, toHalf) }
        : f32([positions.length, side, side], maps),
      scales: f32(
        [positions.length],
        positions.map(() => 2),
      ),
      scores: f32(
        [positions.length, 2],
        alphas.flatMap((alpha) => [score(alpha), -score(alpha) / 2]),
      ),
      pictures: this.options.blur || this.options.guided ? pictures : null,
    };
  }

  private empty(positions: number[]): StackMessage {
    const { length } = positions;
    const shape = [length, this.side, this.side];
    return {
      positions: f32([length], positions),
      array: { dtype: "uint16", shape, data: new Uint16Array(length * this.side ** 2) },
      scales: f32([length], new Float32Array(length).fill(1)),
      scores: f32([length, 2], new Float32Array(2 * length)),
      pictures: null,
    };
  }

  send(positions: number[]): void {
    this.model.receive("stack", this.message(positions), this.revision);
  }

  finish(): void {
    const result = {
      seconds: 0.48,
      cached: false,
      target: this.path.target,
      layer: null,
      facts: [{ text: "score 3", title: "" }],
      notes: [],
      convergence: this.options.blur
        ? {
            levels: [
              [9, -0.2],
              [17, 0.01],
            ] as [number, number][],
            moved: 0.03,
          }
        : null,
      hint: this.options.hint ? { share: 0.41, best: "blur", best_share: 0.02 } : null,
    };
    this.model.receive("result", result, this.revision);
  }
}
