// Canvas2D renderer: one canvas pixel per map pixel, colours from a table, putImageData. Zoom is left to CSS.
import type { NDArray } from "./codec";
import { colourTable } from "./colours";

export type Sign = "both" | "positive" | "negative";

export interface Style {
  colours: string;
  sign: Sign;
  /** Values with a smaller magnitude are drawn as zero. */
  threshold: number;
  /** Largest alpha; null draws an opaque map. */
  opacity: number | null;
}

/** Levels a map is quantised to: 16 per colour, so that the fade of the overlay has no steps. */
export const LEVELS = 4096;
const NOT_A_NUMBER = LEVELS;
/** Exactly zero: drawn as nothing by an overlay, whatever its neighbours are. */
const ZERO = LEVELS + 1;

/** A map with its values as levels of a scale, ready to be drawn in any style. */
export interface Quantised {
  width: number;
  height: number;
  values: Float32Array;
  levels: Uint16Array;
  scale: number;
  signed: boolean;
  /** The pixels of each level one after another, and where each level begins; made when a threshold first asks. */
  order?: { pixels: Uint32Array; starts: Uint32Array };
}

/** Levels of the values: -scale..scale for a signed map, 0..scale for magnitudes. */
export function quantise(map: NDArray<Float32Array>, scale: number, signed: boolean): Quantised {
  const [height, width] = map.shape;
  const values = map.data;
  const levels = new Uint16Array(values.length);
  const low = signed ? -scale : 0;
  const factor = scale > 0 ? LEVELS / (scale - low) : 0;
  const zero = signed ? LEVELS / 2 : 0;
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i];
    if (Number.isNaN(value)) levels[i] = NOT_A_NUMBER;
    else if (value === 0) levels[i] = ZERO;
    else if (factor === 0) levels[i] = zero;
    else levels[i] = Math.max(0, Math.min(LEVELS - 1, Math.floor((value - low) * factor)));
  }
  return { width, height, values, levels, scale, signed };
}

/** Alpha of a magnitude `t` in 0..1 of the scale: quick to rise, so that weak evidence stays visible, and 0 at 0. */
export const fade = (t: number) => Math.sqrt(Math.min(1, t));

/** RGBA (little-endian words) of every level in a style; the entries after them, for NaN and zero, come last. */
export function lookup(
  { colours, opacity }: Pick<Style, "colours" | "opacity">,
  signed: boolean,
): Uint32Array {
  const table = colourTable(colours);
  const words = new Uint32Array(LEVELS + 2);
  for (let level = 0; level < LEVELS; level += 1) {
    const t = signed ? Math.abs((level + 0.5) / (LEVELS / 2) - 1) : (level + 0.5) / LEVELS;
    const alpha = opacity === null ? 255 : Math.round(255 * opacity * fade(t));
    const entry = (level >> 4) * 3;
    words[level] = (alpha << 24) | (table[entry + 2] << 16) | (table[entry + 1] << 8) | table[entry];
  }
  words[ZERO] = opacity === null ? words[signed ? LEVELS / 2 : 0] : 0;
  return words;
}

/** The pixels of a map level by level: a counting sort, once per map. */
function byLevel(map: Quantised): { pixels: Uint32Array; starts: Uint32Array } {
  if (map.order) return map.order;
  const { levels } = map;
  const starts = new Uint32Array(LEVELS + 3);
  for (let i = 0; i < levels.length; i += 1) starts[levels[i] + 1] += 1;
  for (let level = 1; level < starts.length; level += 1) starts[level] += starts[level - 1];
  const next = starts.slice();
  const pixels = new Uint32Array(levels.length);
  for (let i = 0; i < levels.length; i += 1) {
    pixels[next[levels[i]]] = i;
    next[levels[i]] += 1;
  }
  map.order = { pixels, starts };
  return map.order;
}

/**
 * The map as RGBA words in a style, by one look-up per pixel.
 *
 * Sign and threshold are folded into the table; the levels in which they fall hold values of both kinds, so that their
 * pixels, and those of the neighbouring levels as rounding may go either way, are compared exactly afterwards.
 */
export function colourise(map: Quantised, style: Style, into: Uint32Array, table?: Uint32Array): void {
  const { values, levels, signed, scale } = map;
  const plain = table ?? lookup(style, signed);
  const folds = style.threshold > 0 || style.sign !== "both";
  if (!folds) {
    for (let i = 0; i < levels.length; i += 1) into[i] = plain[levels[i]];
    return;
  }
  const words = plain.slice();
  const zero = plain[ZERO];
  const low = signed ? -scale : 0;
  const factor = scale > 0 ? LEVELS / (scale - low) : 0;
  const middle = signed ? LEVELS / 2 : 0;
  if (factor > 0) {
    const at = (value: number) => Math.max(0, Math.min(LEVELS, Math.floor((value - low) * factor)));
    if (style.sign === "positive") words.fill(zero, 0, at(0));
    if (style.sign === "negative") words.fill(zero, at(0), LEVELS);
    if (style.threshold > 0) words.fill(zero, at(-style.threshold), at(style.threshold));
  }
  for (let i = 0; i < levels.length; i += 1) into[i] = words[levels[i]];
  const mixed = new Set<number>();
  const edges = style.sign === "both" ? [] : [0];
  if (style.threshold > 0) edges.push(style.threshold, -style.threshold);
  for (const edge of edges) {
    const at = factor > 0 ? Math.max(0, Math.min(LEVELS - 1, Math.floor((edge - low) * factor))) : middle;
    for (const level of [at - 1, at, at + 1]) if (level >= 0 && level < LEVELS) mixed.add(level);
  }
  // Magnitudes below 0, which there should not be, all lie in the first level.
  if (!signed) mixed.add(0);
  const { pixels, starts } = byLevel(map);
  // The least value that is drawn, and the largest negative one.
  const above = style.sign === "negative" ? Number.POSITIVE_INFINITY : style.threshold;
  const below = style.sign === "positive" ? Number.NEGATIVE_INFINITY : -style.threshold;
  for (const level of mixed) {
    const word = plain[level];
    const end = starts[level + 1];
    for (let k = starts[level]; k < end; k += 1) {
      const pixel = pixels[k];
      const value = values[pixel];
      into[pixel] = (value > 0 && value < above) || (value < 0 && value > below) ? zero : word;
    }
  }
}

/** Gives a canvas its size in pixels; an empty picture leaves a 1 x 1 canvas, which every browser accepts. */
function resize(canvas: HTMLCanvasElement, width: number, height: number): void {
  if (canvas.width !== width) canvas.width = Math.max(1, width);
  if (canvas.height !== height) canvas.height = Math.max(1, height);
}

/** Draws a quantised map; the canvas keeps its pixels while detached or of size 0. */
export function drawMap(canvas: HTMLCanvasElement, map: Quantised, style: Style): void {
  new MapBrush().draw(canvas, map, style);
}

/** Draws many maps one after another: pixels of one size and the table of one style are made once. */
export class MapBrush {
  #image: ImageData | null = null;
  #words = new Uint32Array();
  #tables = new Map<string, Uint32Array>();

  draw(canvas: HTMLCanvasElement, map: Quantised, style: Style): void {
    const { width, height, signed } = map;
    resize(canvas, width, height);
    if (width * height === 0) {
      clear(canvas);
      return;
    }
    if (this.#image?.width !== width || this.#image.height !== height) {
      this.#image = new ImageData(width, height);
      this.#words = new Uint32Array(this.#image.data.buffer);
    }
    colourise(map, style, this.#words, this.#table(style, signed));
    canvas.getContext("2d", { willReadFrequently: true })?.putImageData(this.#image, 0, 0);
  }

  #table(style: Style, signed: boolean): Uint32Array {
    const key = `${style.colours} ${style.opacity} ${signed}`;
    let table = this.#tables.get(key);
    if (!table) {
      // An opacity that is dragged leaves a table behind at each of its values.
      if (this.#tables.size > 8) this.#tables.clear();
      table = lookup(style, signed);
      this.#tables.set(key, table);
    }
    return table;
  }
}

/** Draws uint8 [h, w, 3] pixels. */
export function drawPicture(canvas: HTMLCanvasElement, picture: NDArray<Uint8Array>): void {
  const [height, width] = picture.shape;
  resize(canvas, width, height);
  if (width * height === 0) {
    clear(canvas);
    return;
  }
  const image = new ImageData(width, height);
  const pixels = image.data;
  const { data } = picture;
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    pixels[to] = data[from];
    pixels[to + 1] = data[from + 1];
    pixels[to + 2] = data[from + 2];
    pixels[to + 3] = 255;
  }
  canvas.getContext("2d", { willReadFrequently: true })?.putImageData(image, 0, 0);
}

export function clear(canvas: HTMLCanvasElement): void {
  canvas.getContext("2d", { willReadFrequently: true })?.clearRect(0, 0, canvas.width, canvas.height);
}

/** A coarse map as values on a finer grid, bilinear between pixel centres; a fine one is returned as it is. */
export function upsample(map: NDArray<Float32Array>, height: number, width: number): NDArray<Float32Array> {
  const [h, w] = map.shape;
  if (h * w === 0 || (h >= height && w >= width)) return map;
  const data = new Float32Array(height * width);
  for (let y = 0; y < height; y += 1) {
    const fy = Math.min(h - 1, Math.max(0, ((y + 0.5) * h) / height - 0.5));
    const y0 = Math.floor(fy);
    const y1 = Math.min(h - 1, y0 + 1);
    for (let x = 0; x < width; x += 1) {
      const fx = Math.min(w - 1, Math.max(0, ((x + 0.5) * w) / width - 0.5));
      const x0 = Math.floor(fx);
      const x1 = Math.min(w - 1, x0 + 1);
      const top = map.data[y0 * w + x0] * (1 - (fx - x0)) + map.data[y0 * w + x1] * (fx - x0);
      const bottom = map.data[y1 * w + x0] * (1 - (fx - x0)) + map.data[y1 * w + x1] * (fx - x0);
      data[y * width + x] = top * (1 - (fy - y0)) + bottom * (fy - y0);
    }
  }
  return { dtype: "float32", shape: [height, width], data };
}
