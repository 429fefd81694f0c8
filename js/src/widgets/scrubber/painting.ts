// Draws the frames of a sweep in one pass each, into pixels that are kept: the slider's hand waits for this.
import { LEVELS, lookup, type Style } from "../../core/renderer";

function sized(canvas: HTMLCanvasElement, width: number, height: number): void {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

const inkOf = (canvas: HTMLCanvasElement) => canvas.getContext("2d", { willReadFrequently: true });

/** Draws signed maps of one canvas; as `quantise` and `colourise` do, without what is between. */
export class MapPainter {
  #image: ImageData | null = null;
  #pixels = new Uint32Array();
  #key = "";
  #words: Uint32Array = new Uint32Array();

  constructor(private readonly canvas: HTMLCanvasElement) {}

  draw(
    values: Float32Array,
    weight: number,
    width: number,
    height: number,
    scale: number,
    style: Style,
  ): void {
    const { canvas } = this;
    sized(canvas, width, height);
    if (!this.#image || this.#image.width !== width || this.#image.height !== height) {
      this.#image = new ImageData(width, height);
      this.#pixels = new Uint32Array(this.#image.data.buffer);
    }
    const key = `${style.colours} ${style.opacity}`;
    if (key !== this.#key) {
      this.#key = key;
      this.#words = lookup(style, true);
    }
    const words = this.#words;
    const pixels = this.#pixels;
    const last = LEVELS - 1;
    const half = LEVELS / 2;
    const zero = style.opacity === null ? words[half] : 0;
    const factor = scale > 0 ? (weight * half) / scale : 0;
    const threshold = weight > 0 ? style.threshold / weight : 0;
    const noLow = style.sign === "positive";
    const noHigh = style.sign === "negative";
    for (let i = 0; i < pixels.length; i += 1) {
      const value = values[i];
      if (value === 0 || (value < 0 ? noLow || value > -threshold : noHigh || value < threshold)) {
        pixels[i] = zero;
        continue;
      }
      const level = Math.floor(half + value * factor);
      pixels[i] = words[level < 0 ? 0 : Math.min(level, last)];
    }
    inkOf(canvas)?.putImageData(this.#image, 0, 0);
  }
}

const blends = new WeakMap<HTMLCanvasElement, ImageData>();

/** Draws the picture at alpha between two, [2, H, W, 3]. */
export function paintBlend(
  canvas: HTMLCanvasElement,
  ends: Uint8Array,
  width: number,
  height: number,
  alpha: number,
): void {
  sized(canvas, width, height);
  let image = blends.get(canvas);
  if (!image || image.width !== width || image.height !== height) {
    image = new ImageData(width, height);
    image.data.fill(255);
    blends.set(canvas, image);
  }
  const pixels = image.data;
  const size = width * height * 3;
  for (let from = 0, to = 0; from < size; from += 3, to += 4) {
    for (let c = 0; c < 3; c += 1) {
      const start = ends[from + c];
      pixels[to + c] = (start + alpha * (ends[size + from + c] - start) + 0.5) | 0;
    }
  }
  inkOf(canvas)?.putImageData(image, 0, 0);
}
