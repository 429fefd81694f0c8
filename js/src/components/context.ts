// What the parts of one view share: the model's store and the view's own display, viewport, cursor and region.
import type { NDArray } from "../core/codec";
import type { Display } from "../core/display";
import type { Quantised } from "../core/renderer";
import { quantise } from "../core/renderer";
import { percentile } from "../core/stats";
import type { Store, Topic } from "../core/store";
import type { Viewport } from "../core/viewport";

export type Point = { x: number; y: number };

/** What changed: something of the model, or something of this view only. */
export type Change = Topic | "display" | "cursor" | "draft";

export interface Part {
  root: HTMLElement;
  update(change: Change): void;
}

export interface Context {
  store: Store;
  display: Display;
  viewport: Viewport;
  signal: AbortSignal;
  /** Says something in the view's polite live region. */
  announce(text: string): void;
  /** Display pixel under the pointer or the keyboard cursor. */
  cursor: Point | null;
  setCursor(point: Point | null): void;
}

/** Scale of the colours in this view: the map's own, or the largest seen for its method and layer. */
export function scaleShown(context: Context): number {
  const map = context.store.map;
  if (!map) return 0;
  return context.display.state.scale === "shared" ? context.store.sharedScale : map.scale;
}

/** Name of the colour table in use: diverging for a signed map, sequential for magnitudes. */
export function coloursShown(context: Context): string {
  const { sequential, diverging } = context.display.state;
  return context.store.map?.signed === false ? sequential : diverging;
}

/** Magnitude below which this view draws nothing. */
export function thresholdShown(context: Context): number {
  const { threshold } = context.display.state;
  const map = context.store.map;
  return map && threshold > 0 ? percentile(map.array.data, threshold) : 0;
}

/** Quantises a map once per scale. */
export function quantiser(): (map: NDArray<Float32Array>, scale: number, signed: boolean) => Quantised {
  let last: { map: NDArray<Float32Array>; result: Quantised } | null = null;
  return (map, scale, signed) => {
    if (!last || last.map !== map || last.result.scale !== scale || last.result.signed !== signed) {
      last = { map, result: quantise(map, scale, signed) };
    }
    return last.result;
  };
}

/** Signed value of the map under a display pixel; null outside the map. */
export function valueAt(context: Context, point: Point): number | null {
  const map = context.store.mapOfPicture;
  if (!map) return null;
  const [h, w] = map.array.shape;
  const { x, y, width, height } = map.placement;
  const column = Math.floor(((point.x - x) / width) * w);
  const row = Math.floor(((point.y - y) / height) * h);
  if (column < 0 || row < 0 || column >= w || row >= h) return null;
  return map.array.data[row * w + column];
}
