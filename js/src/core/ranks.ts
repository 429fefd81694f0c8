// Comparing two maps in the browser: ranks and their correlation, a map on another map's grid, differences.
import type { NDArray } from "./codec";
import type { Rectangle } from "./protocol";

/** A map and where it lies on its picture, as shares of the picture's width and height. */
export interface PlacedMap {
  array: NDArray<Float32Array>;
  place: Rectangle;
}

/** Ranks from 0; equal values share the mean of theirs. */
export function ranks(values: Float32Array): Float64Array {
  const order = Uint32Array.from(values.keys()).sort((a, b) => values[a] - values[b]);
  const found = new Float64Array(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && values[order[to]] === values[order[from]]) to += 1;
    for (let k = from; k < to; k += 1) found[order[k]] = (from + to - 1) / 2;
    from = to;
  }
  return found;
}

/** Spearman's rank correlation over the places where both are numbers; null where one of them is the same everywhere. */
export function spearman(a: Float32Array, b: Float32Array): number | null {
  const both = a.map((value, i) => Number(Number.isFinite(value) && Number.isFinite(b[i])));
  const keep = (values: Float32Array) => values.filter((_, i) => both[i] === 1);
  const [x, y] = [ranks(keep(a)), ranks(keep(b))];
  const middle = (x.length - 1) / 2;
  let [xy, xx, yy] = [0, 0, 0];
  for (let i = 0; i < x.length; i += 1) {
    const [dx, dy] = [x[i] - middle, y[i] - middle];
    xy += dx * dy;
    xx += dx * dx;
    yy += dy * dy;
  }
  return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : null;
}

/** The values of a map at the pixel centres of another map's grid, bilinear; NaN where it does not lie. */
export function onGridOf(map: PlacedMap, other: PlacedMap): Float32Array {
  const [h, w] = map.array.shape;
  const [height, width] = other.array.shape;
  const { data } = map.array;
  const found = new Float32Array(height * width);
  const { place } = map;
  const same =
    h === height &&
    w === width &&
    (["x", "y", "width", "height"] as const).every(
      (side) => Math.abs(place[side] - other.place[side]) < 1e-6,
    );
  if (same) return data;
  for (let row = 0; row < height; row += 1) {
    const v = (other.place.y + ((row + 0.5) / height) * other.place.height - place.y) / place.height;
    for (let column = 0; column < width; column += 1) {
      const u = (other.place.x + ((column + 0.5) / width) * other.place.width - place.x) / place.width;
      const at = row * width + column;
      if (u < 0 || v < 0 || u > 1 || v > 1) {
        found[at] = Number.NaN;
        continue;
      }
      const x = Math.max(0, Math.min(w - 1, u * w - 0.5));
      const y = Math.max(0, Math.min(h - 1, v * h - 0.5));
      const [x0, y0] = [Math.floor(x), Math.floor(y)];
      const [x1, y1] = [Math.min(w - 1, x0 + 1), Math.min(h - 1, y0 + 1)];
      const top = data[y0 * w + x0] * (1 - x + x0) + data[y0 * w + x1] * (x - x0);
      const bottom = data[y1 * w + x0] * (1 - x + x0) + data[y1 * w + x1] * (x - x0);
      found[at] = top * (1 - y + y0) + bottom * (y - y0);
    }
  }
  return found;
}

/** The largest finite magnitude; 0 of an empty map. */
export function largestMagnitude(values: Float32Array): number {
  let most = 0;
  for (const value of values) if (Number.isFinite(value)) most = Math.max(most, Math.abs(value));
  return most;
}

/** a - b, each divided by its own largest magnitude first, or as they are. */
export function difference(a: Float32Array, b: Float32Array, raw: boolean): Float32Array {
  const x = raw ? 1 : largestMagnitude(a) || 1;
  const y = raw ? 1 : largestMagnitude(b) || 1;
  return a.map((value, i) => value / x - b[i] / y);
}
