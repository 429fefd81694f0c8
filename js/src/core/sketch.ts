// Sketches: strokes as vector data, and the picture that a model gets to see of them. Twin of xai_widgets/sketch.py:
// both give the same pixels. Positions are shares of the pad's longer side, x before y; widths too.
import type { NDArray } from "./codec";
import type { Prediction, Setup } from "./protocol";

export type SketchPoint = [number, number] | [number, number, number];

export interface Stroke {
  /** [x, y], or [x, y, pressure]: the pressure scales the width. */
  points: SketchPoint[];
  width: number;
  colour: string;
  /** Takes ink away instead; the paper shows again. */
  erase: boolean;
}

export interface Sketch {
  strokes: Stroke[];
}

/** The part of the pad that the model sees. */
export interface Window {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Height and width of the picture in pixels. */
export type PadSize = [number, number];

export interface PadSetup extends Setup {
  size: PadSize;
  /** Of the brush. */
  width: number;
  /** Why the paper is as it is. */
  paper: string;
  sketches: { name: string; sketch: Sketch }[];
}

/** A picture for the model: the browser sends the next one only when this one was answered. */
export interface DrawnMessage {
  window: number[];
  array: NDArray<Uint8Array>;
}

/** What the model says of a picture. */
export interface SeenMessage {
  /** The message that brought it, which this acknowledges; null where the kernel drew it itself. */
  answers: string | null;
  prediction: Prediction | null;
  error: string | null;
}

/** A picture below the strokes: as people see it, and at the size that the model gets. */
export interface BackgroundMessage {
  name: string;
  array: NDArray<Uint8Array> | null;
  small: NDArray<Uint8Array> | null;
}

/** Of the pad's longer side, on the screen: maps are placed in them, and ink has so many pixels. */
export const UNITS = 1000;
const WINDOW_CELLS = 64;
const MIN_WINDOW = 0.1;

export function whole([height, width]: PadSize): Window {
  const longest = Math.max(height, width);
  return { x: 0, y: 0, width: width / longest, height: height / longest };
}

export const channels = (colour: string): [number, number, number] => [
  Number.parseInt(colour.slice(1, 3), 16),
  Number.parseInt(colour.slice(3, 5), 16),
  Number.parseInt(colour.slice(5, 7), 16),
];

/** Black or white, whichever shows on a ground. */
export function contrast(ground: string): string {
  const [red, green, blue] = channels(ground);
  return 0.299 * red + 0.587 * green + 0.114 * blue > 127.5 ? "#000000" : "#ffffff";
}

/** A rectangle of pixels; `right` and `bottom` are outside of it. */
interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

const nowhere = (): Box => ({ left: Infinity, top: Infinity, right: 0, bottom: 0 });

/** How much of each pixel a stroke covers: what lies within its radius of a line; an edge pixel by its distance. */
class Coverage {
  readonly values: Float64Array;
  /** Where anything is covered. */
  readonly box = nowhere();
  /** Where the last call of `extend` may have changed something. */
  fresh = nowhere();
  #from = 0;

  constructor(
    readonly stroke: Stroke,
    readonly size: PadSize,
    readonly window: Window,
  ) {
    this.values = new Float64Array(size[0] * size[1]);
  }

  /** Takes in the points that were added since the last call. */
  extend(): this {
    const { points } = this.stroke;
    const pieces = Math.max(1, points.length - 1);
    this.fresh = nowhere();
    // A first point alone is a dot, and the piece after it starts there again.
    for (; this.#from < pieces; this.#from += 1) {
      this.#piece(points[this.#from], points[Math.min(this.#from + 1, points.length - 1)]);
    }
    if (points.length === 1) this.#from = 0;
    return this;
  }

  #piece(a: SketchPoint, b: SketchPoint): void {
    const [height, width] = this.size;
    const { values, window } = this;
    const scale = width / window.width;
    const pressure = ((a[2] ?? 1) + (b[2] ?? 1)) / 2;
    const radius = ((this.stroke.width * pressure) / 2) * scale;
    const x0 = (a[0] - window.x) * scale;
    const y0 = (a[1] - window.y) * scale;
    const x1 = (b[0] - window.x) * scale;
    const y1 = (b[1] - window.y) * scale;
    const left = Math.max(0, Math.floor(Math.min(x0, x1) - radius - 1));
    const right = Math.min(width, Math.ceil(Math.max(x0, x1) + radius + 1));
    const top = Math.max(0, Math.floor(Math.min(y0, y1) - radius - 1));
    const bottom = Math.min(height, Math.ceil(Math.max(y0, y1) + radius + 1));
    if (left >= right || top >= bottom) return;
    for (const box of [this.box, this.fresh]) {
      box.left = Math.min(box.left, left);
      box.right = Math.max(box.right, right);
      box.top = Math.min(box.top, top);
      box.bottom = Math.max(box.bottom, bottom);
    }
    const dx = x1 - x0;
    const dy = y1 - y0;
    const square = Math.max(dx * dx + dy * dy, 1e-12);
    const most = Math.min(1, 2 * radius);
    for (let row = top; row < bottom; row += 1) {
      const y = row + 0.5 - y0;
      for (let column = left; column < right; column += 1) {
        const x = column + 0.5 - x0;
        const along = Math.max(0, Math.min(1, (x * dx + y * dy) / square));
        const distance = Math.sqrt((x - along * dx) ** 2 + (y - along * dy) ** 2);
        const value = Math.max(0, Math.min(most, radius + 0.5 - distance));
        const at = row * width + column;
        if (value > values[at]) values[at] = value;
      }
    }
  }
}

const sameWindow = (a: Window, b: Window) =>
  a.x === b.x && a.y === b.y && a.width === b.width && a.height === b.height;

/** What lies below the strokes: a picture, or a colour. */
interface Below {
  ground: string;
  background: NDArray<Uint8Array> | null;
}

interface Kept {
  size: PadSize;
  window: Window;
  below: Below;
  /** Finished strokes, and their picture before it is rounded. */
  done: Stroke[];
  pixels: Float64Array;
  /** The stroke that grows on them, and the picture with it. */
  growing: Coverage | null;
  shown: Uint8Array;
}

/** Draws sketches as pixels; what is drawn is kept, so that a growing stroke costs its new pieces alone. */
export class Rasteriser {
  #kept: Kept | null = null;

  /** uint8 [h, w, 3] of a part of the pad. */
  rasterise(
    strokes: readonly Stroke[],
    size: PadSize,
    ground: string,
    window: Window = whole(size),
    background: NDArray<Uint8Array> | null = null,
  ): NDArray<Uint8Array> {
    const kept = this.#keptFor(strokes, size, window, { ground, background });
    const last = strokes[strokes.length - 1];
    const finished = strokes.slice(0, -1);
    for (const stroke of finished.slice(kept.done.length)) {
      const grown = kept.growing?.stroke === stroke ? kept.growing : new Coverage(stroke, size, window);
      if (kept.growing && kept.growing !== grown) this.#takeBack(kept);
      lay(kept, grown.extend(), grown.box, kept.pixels);
      kept.growing = null;
    }
    kept.done = finished;
    if (kept.growing && kept.growing.stroke !== last) this.#takeBack(kept);
    if (last) {
      kept.growing ??= new Coverage(last, size, window);
      kept.growing.extend();
      lay(kept, kept.growing, kept.growing.fresh, null);
    }
    return { dtype: "uint8", shape: [...size, 3], data: kept.shown.slice() };
  }

  /** What is kept, if these strokes go on from it on the same paper; else a new sheet. */
  #keptFor(strokes: readonly Stroke[], size: PadSize, window: Window, below: Below): Kept {
    const kept = this.#kept;
    if (
      kept &&
      kept.size[0] === size[0] &&
      kept.size[1] === size[1] &&
      kept.below.ground === below.ground &&
      kept.below.background === below.background &&
      sameWindow(kept.window, window) &&
      kept.done.length <= Math.max(0, strokes.length - 1) &&
      kept.done.every((stroke, index) => stroke === strokes[index])
    ) {
      return kept;
    }
    const shown = paper(size, below);
    const pixels = Float64Array.from(shown);
    this.#kept = { size: [...size], window, below, done: [], pixels, growing: null, shown };
    return this.#kept;
  }

  /** Forgets the growing stroke: the finished ones show again. */
  #takeBack(kept: Kept): void {
    if (kept.growing) round(kept, kept.growing.box);
    kept.growing = null;
  }
}

function paper(size: PadSize, { ground, background }: Below): Uint8Array {
  if (background) return background.data.slice();
  const [red, green, blue] = channels(ground);
  const data = new Uint8Array(size[0] * size[1] * 3);
  for (let at = 0; at < data.length; at += 3) {
    data[at] = red;
    data[at + 1] = green;
    data[at + 2] = blue;
  }
  return data;
}

/** Shows the finished strokes in a box. */
function round({ size, pixels, shown }: Kept, { left, top, right, bottom }: Box): void {
  for (let row = top; row < bottom; row += 1) {
    const end = 3 * (row * size[1] + right);
    for (let at = 3 * (row * size[1] + left); at < end; at += 1) shown[at] = Math.floor(pixels[at] + 0.5);
  }
}

/** Shows a stroke on the finished ones, in a box; it joins them where `into` is given. */
function lay(kept: Kept, { stroke, values }: Coverage, box: Box, into: Float64Array | null): void {
  const { pixels, shown, size, below } = kept;
  const ink = channels(stroke.colour);
  const ground = channels(below.ground);
  const picture = below.background?.data;
  for (let row = box.top; row < box.bottom; row += 1) {
    for (let column = box.left; column < box.right; column += 1) {
      const share = values[row * size[1] + column];
      if (share === 0) continue;
      for (let channel = 0; channel < 3; channel += 1) {
        const at = 3 * (row * size[1] + column) + channel;
        const colour = stroke.erase ? (picture?.[at] ?? ground[channel]) : ink[channel];
        const value = pixels[at] + (colour - pixels[at]) * share;
        if (into) into[at] = value;
        shown[at] = Math.floor(value + 0.5);
      }
    }
  }
}

/** Finds the window that just encloses what is drawn; finished strokes are looked at once. */
export class Fitter {
  #kept: { size: string; done: Stroke[]; ink: Float64Array } | null = null;
  #growing: Coverage | null = null;

  fitted(strokes: readonly Stroke[], size: PadSize, margin: number): Window {
    const pad = whole(size);
    const cells: PadSize = [
      Math.max(1, Math.floor(pad.height * WINDOW_CELLS + 0.5)),
      Math.max(1, Math.floor(pad.width * WINDOW_CELLS + 0.5)),
    ];
    const ink = this.#ink(strokes, cells);
    let [top, bottom, left, right] = [cells[0], 0, cells[1], 0];
    for (let row = 0; row < cells[0]; row += 1) {
      for (let column = 0; column < cells[1]; column += 1) {
        if (ink[row * cells[1] + column] <= 0.25) continue;
        top = Math.min(top, row);
        bottom = Math.max(bottom, row + 1);
        left = Math.min(left, column);
        right = Math.max(right, column + 1);
      }
    }
    if (bottom === 0) return pad;
    [top, bottom, left, right] = [top, bottom, left, right].map((cell) => cell / WINDOW_CELLS);
    let scale = Math.max((right - left) / pad.width, (bottom - top) / pad.height, MIN_WINDOW);
    scale /= 1 - 2 * margin;
    const width = pad.width * scale;
    const height = pad.height * scale;
    return { x: (left + right - width) / 2, y: (top + bottom - height) / 2, width, height };
  }

  #ink(strokes: readonly Stroke[], cells: PadSize): Float64Array {
    const window = { x: 0, y: 0, width: cells[1] / WINDOW_CELLS, height: cells[0] / WINDOW_CELLS };
    const kept = this.#kept;
    const finished = strokes.slice(0, -1);
    const goes =
      kept?.size === cells.join() &&
      kept.done.length <= finished.length &&
      kept.done.every((stroke, index) => stroke === finished[index]);
    const ink = goes && kept ? kept.ink : new Float64Array(cells[0] * cells[1]);
    for (const stroke of finished.slice(goes && kept ? kept.done.length : 0)) {
      mark(ink, stroke, new Coverage(stroke, cells, window).extend().values);
    }
    this.#kept = { size: cells.join(), done: finished, ink };
    const last = strokes[strokes.length - 1];
    if (!last) return ink;
    const growing = this.#growing;
    const grows = growing?.stroke === last && growing.size.join() === cells.join();
    this.#growing = grows ? growing : new Coverage(last, cells, window);
    const now = ink.slice();
    mark(now, last, (this.#growing as Coverage).extend().values);
    return now;
  }
}

function mark(ink: Float64Array, { erase }: Stroke, coverage: Float64Array): void {
  for (let at = 0; at < ink.length; at += 1) {
    ink[at] = erase ? ink[at] * (1 - coverage[at]) : Math.max(ink[at], coverage[at]);
  }
}

/** A position to be kept: four digits are a tenth of a pixel of a large screen. */
export const rounded = (value: number) => Math.round(value * 10000) / 10000;
