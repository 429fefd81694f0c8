// A fake kernel of the attention view: heads that look nearby, along rows, at the lesion, at CLS.
import type { AttentionLayer } from "../src/core/attention";
import type { AttentionMessage } from "../src/core/protocol";
import { lesion } from "./mock_kernel";
import { f32, type MockModel } from "./mock_model";

export interface AttentionOptions {
  layers?: number;
  heads?: number;
  side?: number;
  prefix?: number;
  /** Hold the job back after the picture. */
  manual?: boolean;
  /** The sentence instead of the attention. */
  error?: string;
  columns?: number;
}

/** Rows that sum to one: softmax of made-up scores. */
export function matrix(layer: AttentionLayer, depth: number, head: number): Float32Array {
  const { tokens, columns, rows, prefix } = layer;
  const data = new Float32Array(tokens * tokens);
  const place = (token: number) => [Math.floor((token - prefix) / columns), (token - prefix) % columns];
  for (let from = 0; from < tokens; from += 1) {
    let sum = 0;
    for (let to = 0; to < tokens; to += 1) {
      const [a, b] = place(from);
      const [c, d] = place(to);
      const middle = Math.hypot(c - rows / 2 + 0.5, d - columns / 2 + 0.5) / (rows / 4);
      const near = from < prefix ? middle : Math.hypot(a - c, b - d);
      let score = [-near, -Math.abs(a - c), -((middle - 1) ** 2) * 2, -middle][head % 4] * (1.4 - depth / 12);
      if (to < prefix) score = depth / 6 - 1;
      data[from * tokens + to] = Math.exp(score);
      sum += data[from * tokens + to];
    }
    for (let to = 0; to < tokens; to += 1) data[from * tokens + to] /= sum;
  }
  return data;
}

export class MockAttention {
  revision = 1;
  readonly message: AttentionMessage;

  constructor(
    readonly model: MockModel,
    readonly options: AttentionOptions = {},
  ) {
    const { layers = 6, heads = 4, side = 8, columns = side, prefix = 1 } = options;
    const layer = (index: number): AttentionLayer => ({
      name: `encoder.layer.${index}.attention`,
      heads,
      rows: side,
      columns,
      prefix,
      tokens: side * columns + prefix,
    });
    const all = Array.from({ length: layers }, (_, index) => layer(index));
    this.message = { layers: all, predicted: "malignant", merged: 1, hidden: 0 };
    model.onSend = (message) => {
      model.receive("ack", { id: message.id }, this.revision);
      if (message.kind === "hello") this.start();
      else if (message.kind === "retry") {
        this.revision += 1;
        this.start();
      } else if (message.kind === "cancel") {
        model.receive("cancelled", { message: "Cancelled." }, this.revision);
      }
    };
  }

  start(): void {
    const { model, revision } = this;
    const sentence = "Gradients reach the input and every layer.";
    const verdict = { verdict: "explainable", sentence, findings: [] };
    model.receive("setup", { title: "ViTForImageClassification", framework: "torch", verdict }, revision);
    model.receive("accepted", {}, revision);
    const placement = { x: 0, y: 0, width: 128, height: 128 };
    const array = lesion(0);
    model.receive(
      "picture",
      { index: 0, name: "lesion 0.png", width: 128, height: 128, array, placement },
      revision,
    );
    if (!this.options.manual) this.finish();
  }

  finish(): void {
    const { model, revision, message } = this;
    if (this.options.error) {
      const error = { message: this.options.error, traceback: "Traceback", stage: "explain" };
      model.receive("error", error, revision);
      return;
    }
    model.receive("attention", message, revision);
    message.layers.forEach((layer, depth) => {
      const { heads, tokens } = layer;
      for (let head = 0; head <= heads; head += 1) {
        // The last one stands for the rollout.
        const array = f32([tokens, tokens], matrix(layer, head === heads ? 0 : depth, head));
        model.receive("rows", { layer: depth, start: head * tokens, array }, revision);
      }
    });
    const times = { seconds: 0.21, cached: false };
    model.receive("result", { ...times, target: null, layer: null, facts: [], notes: [] }, revision);
  }
}
