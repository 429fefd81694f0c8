// How one view shows a map: opacity, threshold, colours, sign, scale, tool. Never synced, never sent to the kernel.
import type { Sign } from "./renderer";

/** "patch" and "eraser" are the workbench's. */
export type Tool = "pan" | "superpixel" | "patch" | "rectangle" | "polygon" | "brush" | "eraser";

export interface DisplayState {
  /** Largest alpha of the overlay, 0..1. */
  opacity: number;
  /** Percentile of the magnitude (0..100) below which nothing is drawn. */
  threshold: number;
  sequential: string;
  diverging: string;
  sign: Sign;
  scale: "own" | "shared" | "all";
  tool: Tool;
  /** Radius of the brush as a share of the picture's longer side. */
  brush: number;
}

export class Display {
  state: DisplayState = {
    opacity: 0.7,
    threshold: 0,
    sequential: "viridis",
    diverging: "RdBu_r",
    sign: "both",
    scale: "own",
    tool: "pan",
    brush: 0.04,
  };
  #listeners = new Set<() => void>();

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Applies at once: a slider's pixels are drawn within its own event. */
  set(changes: Partial<DisplayState>): void {
    this.state = { ...this.state, ...changes };
    for (const listener of this.#listeners) listener();
  }
}
