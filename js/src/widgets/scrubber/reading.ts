// From a place on the picture, or a marked region, to pixels of the maps' grid, and to a colour.
import type { Point } from "../../components/context";
import type { RegionState } from "../../components/region_state";
import type { PathStack } from "../../core/path_stack";
import type { Read } from "./state";
import type { ScrubberStore } from "./store";

/** The pixel of the maps under a point of the picture; null outside of what the model sees. */
export function readAt(_store: ScrubberStore, stack: PathStack, { x, y }: Point): Read | null {
  const { placement } = stack.path;
  const column = Math.floor(((x - placement.x) / placement.width) * stack.width);
  const row = Math.floor(((y - placement.y) / placement.height) * stack.height);
  if (column < 0 || row < 0 || column >= stack.width || row >= stack.height) return null;
  return { text: `x ${Math.floor(x)}, y ${Math.floor(y)}:`, pixels: [row * stack.width + column] };
}

/** The pixels of the maps inside the marked region, by their centres; null without a region. */
export function pixelsOf(store: ScrubberStore, stack: PathStack | null, region: RegionState): Read | null {
  const { mask } = region;
  const { picture } = store;
  if (!mask || !stack || !picture) return null;
  const { placement } = stack.path;
  const pixels: number[] = [];
  for (let row = 0; row < stack.height; row += 1) {
    const y = placement.y + ((row + 0.5) / stack.height) * placement.height;
    const maskRow = Math.floor((y / picture.height) * mask.height);
    if (maskRow < 0 || maskRow >= mask.height) continue;
    for (let column = 0; column < stack.width; column += 1) {
      const x = placement.x + ((column + 0.5) / stack.width) * placement.width;
      const maskColumn = Math.floor((x / picture.width) * mask.width);
      if (maskColumn < 0 || maskColumn >= mask.width) continue;
      if (mask.data[maskRow * mask.width + maskColumn]) pixels.push(row * stack.width + column);
    }
  }
  return pixels.length ? { text: `region of ${pixels.length} pixels:`, pixels } : null;
}

/** The mean colour of the region as #rrggbb. */
export function colourOf(store: ScrubberStore, region: RegionState): string | null {
  const { mask } = region;
  const { picture } = store;
  if (!mask || !picture) return null;
  const sums = [0, 0, 0];
  let count = 0;
  mask.data.forEach((inside, at) => {
    if (!inside) return;
    count += 1;
    for (let channel = 0; channel < 3; channel += 1) sums[channel] += picture.array.data[3 * at + channel];
  });
  if (!count) return null;
  const hex = (sum: number) =>
    Math.round(sum / count)
      .toString(16)
      .padStart(2, "0");
  return `#${sums.map(hex).join("")}`;
}
