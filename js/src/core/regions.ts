// Regions of a picture as masks, their shares and their outline. Twin of xai_widgets/regions.py.
//
// Coordinates are display-image pixels, x before y. A pixel belongs to a region when its centre lies inside.
import type { NDArray } from "./codec";
import type { Rectangle, Region } from "./protocol";

/** A mask on a grid that covers the whole picture; 1 is inside. */
export interface Mask {
  width: number;
  height: number;
  data: Uint8Array;
}

export const emptyMask = (width: number, height: number): Mask => ({
  width,
  height,
  data: new Uint8Array(width * height),
});

/** Run lengths, row-major, starting with the run of zeros (which may be 0). */
export function encodeRuns(data: ArrayLike<number>): number[] {
  const counts: number[] = [];
  let current = 0;
  let run = 0;
  for (let i = 0; i < data.length; i += 1) {
    const bit = data[i] ? 1 : 0;
    if (bit !== current) {
      counts.push(run);
      current = bit;
      run = 0;
    }
    run += 1;
  }
  if (run > 0 || counts.length === 0) counts.push(run);
  return counts;
}

export function decodeRuns(counts: readonly number[], size: number): Uint8Array {
  const data = new Uint8Array(size);
  let position = 0;
  counts.forEach((count, index) => {
    if (index % 2) data.fill(1, position, position + count);
    position += count;
  });
  if (position !== size)
    throw new Error(`The runs of a mask cover ${position} pixels; the picture has ${size}.`);
  return data;
}

/** A mask resampled (nearest) to another grid over the same picture. */
export function resample(mask: Mask, width: number, height: number): Mask {
  if (mask.width === width && mask.height === height) return mask;
  const result = emptyMask(width, height);
  const columns = Array.from({ length: width }, (_, x) => Math.floor(((x + 0.5) * mask.width) / width));
  for (let y = 0; y < height; y += 1) {
    const row = Math.floor(((y + 0.5) * mask.height) / height) * mask.width;
    for (let x = 0; x < width; x += 1) result.data[y * width + x] = mask.data[row + columns[x]];
  }
  return result;
}

/** Fills a polygon by the even-odd rule, one scan line through the centres of each row of pixels. */
function fillPolygon(
  mask: Mask,
  points: readonly (readonly [number, number])[],
  sx: number,
  sy: number,
): void {
  for (let row = 0; row < mask.height; row += 1) {
    const y = (row + 0.5) * sy;
    const crossings: number[] = [];
    for (let i = 0; i < points.length; i += 1) {
      const [x1, y1] = points[i];
      const [x2, y2] = points[(i + 1) % points.length];
      if (y1 <= y !== y2 <= y) crossings.push(x1 + ((y - y1) / (y2 - y1)) * (x2 - x1));
    }
    crossings.sort((a, b) => a - b);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const from = Math.max(0, Math.ceil(crossings[i] / sx - 0.5));
      const to = Math.min(mask.width, Math.ceil(crossings[i + 1] / sx - 0.5));
      if (to > from) mask.data.fill(1, row * mask.width + from, row * mask.width + to);
    }
  }
}

/**
 * The region's mask on a grid of `width` x `height` over a picture of `picture` display pixels.
 *
 * Superpixels need the kernel's label map; without it (it is on its way) the mask is empty.
 */
export function maskOf(
  region: Region,
  picture: { width: number; height: number },
  width: number,
  height: number,
  labels: NDArray<Uint16Array> | null,
): Mask {
  const sx = picture.width / width;
  const sy = picture.height / height;
  if (region.type === "mask") {
    const [h, w] = region.size;
    return resample({ width: w, height: h, data: decodeRuns(region.counts, w * h) }, width, height);
  }
  const mask = emptyMask(width, height);
  if (region.type === "superpixels") {
    if (!labels) return mask;
    const [h, w] = labels.shape;
    const wanted = new Set(region.ids);
    return resample(
      { width: w, height: h, data: Uint8Array.from(labels.data, (id) => (wanted.has(id) ? 1 : 0)) },
      width,
      height,
    );
  }
  const { x, y, width: w, height: h } = region.type === "rect" ? region : { x: 0, y: 0, width: 0, height: 0 };
  const points: (readonly [number, number])[] =
    region.type === "polygon"
      ? region.points
      : [
          [x, y],
          [x + w, y],
          [x + w, y + h],
          [x, y + h],
        ];
  fillPolygon(mask, points, sx, sy);
  return mask;
}

/** Paints a disc of `radius` display pixels around a point; with `value` 0 it erases. */
export function paint(
  mask: Mask,
  picture: { width: number; height: number },
  x: number,
  y: number,
  radius: number,
  value = 1,
): void {
  const sx = picture.width / mask.width;
  const sy = picture.height / mask.height;
  const top = Math.max(0, Math.floor((y - radius) / sy));
  const bottom = Math.min(mask.height - 1, Math.ceil((y + radius) / sy));
  for (let row = top; row <= bottom; row += 1) {
    const dy = (row + 0.5) * sy - y;
    const half = radius * radius - dy * dy;
    if (half < 0) continue;
    const reach = Math.sqrt(half);
    const from = Math.max(0, Math.ceil((x - reach) / sx - 0.5));
    const to = Math.min(mask.width, Math.floor((x + reach) / sx - 0.5) + 1);
    if (to > from) mask.data.fill(value, row * mask.width + from, row * mask.width + to);
  }
}

export interface Share {
  /** Share of the magnitude of the attribution, 0..1; null without attribution. */
  attribution: number | null;
  /** Share of the picture's area, 0..1. */
  area: number;
}

/** What a region holds: its share of |attribution| inside the picture, and of the picture. */
export function shareOf(
  mask: Mask,
  picture: { width: number; height: number },
  map: NDArray<Float32Array> | null,
  placement: Rectangle | null,
): Share {
  let inside = 0;
  for (const bit of mask.data) inside += bit;
  const area = mask.data.length ? inside / mask.data.length : 0;
  if (!map || !placement) return { attribution: null, area };
  const [h, w] = map.shape;
  let held = 0;
  let total = 0;
  for (let row = 0; row < h; row += 1) {
    const y = placement.y + ((row + 0.5) * placement.height) / h;
    if (y < 0 || y >= picture.height) continue;
    const maskRow = Math.floor((y * mask.height) / picture.height) * mask.width;
    for (let column = 0; column < w; column += 1) {
      const x = placement.x + ((column + 0.5) * placement.width) / w;
      const value = Math.abs(map.data[row * w + column]);
      if (x < 0 || x >= picture.width || !Number.isFinite(value)) continue;
      total += value;
      if (mask.data[maskRow + Math.floor((x * mask.width) / picture.width)]) held += value;
    }
  }
  return { attribution: total > 0 ? held / total : null, area };
}

/**
 * Closed outlines of a mask in its grid's coordinates, as an SVG path; insides lie to the right of each edge.
 *
 * The path runs through the middles of the pixels' edges: a slanted border becomes a line instead of a staircase.
 */
export function outline(mask: Mask): string {
  const { width, height, data } = mask;
  const stride = width + 1;
  const next = new Map<number, number[]>();
  const edge = (from: number, to: number) => {
    const others = next.get(from);
    if (others) others.push(to);
    else next.set(from, [to]);
  };
  const at = (x: number, y: number) =>
    x >= 0 && y >= 0 && x < width && y < height && data[y * width + x] === 1;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      if (!at(x, y)) continue;
      const corner = y * stride + x;
      if (!at(x, y - 1)) edge(corner, corner + 1);
      if (!at(x + 1, y)) edge(corner + 1, corner + 1 + stride);
      if (!at(x, y + 1)) edge(corner + 1 + stride, corner + stride);
      if (!at(x - 1, y)) edge(corner + stride, corner);
    }
  }
  const parts: string[] = [];
  const x = (corner: number) => corner % stride;
  const y = (corner: number) => Math.floor(corner / stride);
  for (const start of next.keys()) {
    const points: [number, number][] = [];
    let from = start;
    for (let to = next.get(from)?.pop(); to !== undefined; to = next.get(from)?.pop()) {
      points.push([(x(from) + x(to)) / 2, (y(from) + y(to)) / 2]);
      from = to;
    }
    const corners = points.filter(([px, py], i) => {
      const [ax, ay] = points[(i + points.length - 1) % points.length];
      const [bx, by] = points[(i + 1) % points.length];
      return (px - ax) * (by - py) !== (py - ay) * (bx - px);
    });
    if (corners.length) parts.push(`M${corners.map(([px, py]) => `${px} ${py}`).join("L")}Z`);
  }
  return parts.join("");
}
