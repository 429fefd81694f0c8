// Numbers of the gallery in words.
import { magnitude } from "../../core/format";
import type { Tile } from "./store";

/** Three significant digits with a sign only where it is a minus. */
export const rounded = (value: number): string =>
  Number.isFinite(value) ? `${value < 0 ? "\u2212" : ""}${magnitude(Math.abs(value))}` : "no value";

/** From where to where an optimisation went, and how far it is. */
export function outcome(tile: Tile): string {
  const path = `${rounded(tile.start)} \u2192 ${rounded(tile.value)}`;
  return tile.done ? path : `${path}, step ${tile.step} of ${tile.total}`;
}
