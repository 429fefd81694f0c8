// A fake kernel of the sketch pad: answers pictures with the share of ink in them, at once or when told to.
import type { Asked } from "../src/core/protocol";
import type { PadSetup, Sketch, Stroke } from "../src/core/sketch";
import { makeSetup } from "./mock_kernel";
import { f32, type MockModel, type Sent, u8 } from "./mock_model";

export interface SketchOptions {
  size?: [number, number];
  /** Pictures wait for `answer`. */
  manual?: boolean;
  setup?: Partial<PadSetup>;
}

export const line = (...points: [number, number][]): Stroke => ({
  points,
  width: 0.1,
  colour: "#ffffff",
  erase: false,
});

export const SEVEN: Sketch = { strokes: [line([0.3, 0.15], [0.72, 0.15], [0.46, 0.88])] };
const ONE: Sketch = { strokes: [line([0.5, 0.1], [0.5, 0.9])] };

export class MockSketch {
  revision = 1;
  waiting: Sent[] = [];

  constructor(
    readonly model: MockModel,
    readonly options: SketchOptions = {},
  ) {
    const { size = [32, 32] } = options;
    model.onSend = (message) => {
      if (message.kind !== "drawn") model.receive("ack", { id: message.id }, this.revision);
      if (message.kind === "hello") this.hello(size);
      else if (message.kind === "drawn") {
        this.waiting.push(message);
        // Never within the sending: no wire is that fast.
        if (!options.manual) queueMicrotask(() => this.answer());
      } else if (message.kind === "background") {
        const { name, array } = message.payload as { name: string; array: unknown };
        const [height, width] = size;
        const small = u8([height, width, 3], new Array(height * width * 3).fill(90));
        model.receive("background", { name, array: array ? small : null, small: array ? small : null });
      }
    };
  }

  hello(size: [number, number]): void {
    const { model, revision } = this;
    const labels = ["empty", "little", "much"];
    const setup: PadSetup = {
      ...makeSetup({ title: "Digits", labels, n_images: 1, input_shape: [...size, 3] }),
      size,
      width: 0.12,
      paper: "White on black, because the labels are digits.",
      sketches: [
        { name: "one", sketch: ONE },
        { name: "seven", sketch: SEVEN },
      ],
      ...this.options.setup,
    };
    model.receive("setup", setup, revision);
    model.receive("background", { name: "", array: null, small: null }, revision);
    this.seen(null, 0);
    this.explain();
  }

  /** Answers the oldest picture. */
  answer(): void {
    const message = this.waiting.shift();
    if (!message) return;
    const pixels = new Uint8Array(message.buffers[0]);
    this.seen(message.id, pixels.reduce((sum, value) => sum + value, 0) / pixels.length / 255);
    this.revision += 1;
    this.explain();
  }

  seen(answers: string | null, ink: number): void {
    const shares = [Math.max(0, 0.9 - 9 * ink), 0.1 + (ink > 0 ? 0.4 : 0), 3 * ink];
    const sum = shares[0] + shares[1] + shares[2];
    const probabilities = f32(
      [3],
      shares.map((share) => share / sum),
    );
    const predicted = shares.indexOf(Math.max(...shares));
    const prediction = { index: 0, probabilities, scores: probabilities, predicted };
    this.model.receive("seen", { answers, prediction, error: null }, this.revision);
  }

  explain(): void {
    const { model, revision } = this;
    const asked = { ...model.state, image_index: 0, region: null } as unknown as Asked;
    model.receive("accepted", asked, revision);
    const data = Float32Array.from({ length: 64 }, (_, index) => Math.sin(index * revision));
    model.receive(
      "map",
      {
        key: `map ${revision}`,
        partial: false,
        array: f32([8, 8], data),
        placement: { x: 100, y: 100, width: 800, height: 800 },
        signed: true,
        method: "gradient",
        method_title: "Gradient",
        layer: null,
        target: { kind: "class", index: 1, versus: null },
        target_text: "little",
        score: 1,
      },
      revision,
    );
    const times = { seconds: 0.01, cached: false };
    model.receive("result", { ...times, target: null, layer: null, facts: [], notes: [] }, revision);
  }
}
