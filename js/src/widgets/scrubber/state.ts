// What one view of the path shows at this moment: the step, colours, sign, threshold. Never synced.
import type { PathStack } from "../../core/path_stack";
import { percentile, scaleOf } from "../../core/stats";
import type { ScrubberStore } from "./store";

/** What is hovered or marked, as pixels of the maps' grid. */
export interface Read {
  text: string;
  pixels: number[];
}

export class ViewState {
  /** The step asked for; until it is computed, the nearest one is shown. */
  position = -1;
  #scales: { stack: PathStack; count: number; step: number; total: number; size: Float32Array } | null = null;

  constructor(private readonly store: ScrubberStore) {}

  get stack(): PathStack | null {
    const { stack } = this.store;
    stack?.settle();
    return stack?.nodes.length ? stack : null;
  }

  /** Position on the path; where nothing was chosen yet, the whole path. */
  get at(): number {
    const last = this.store.stack?.path.n_steps ?? this.store.asked("n_steps");
    return this.position < 0 ? last : Math.min(this.position, last);
  }

  /** Index of the point on screen. */
  get index(): number {
    return this.stack?.nearest(this.at) ?? -1;
  }

  /** What has the last colour, for all steps alike: of one step's map, and of the attribution. */
  get scales(): { step: number; total: number; size: Float32Array } {
    const { stack } = this;
    if (!stack) return { step: 0, total: 0, size: new Float32Array() };
    const known = this.#scales;
    if (known && known.stack === stack && known.count === stack.nodes.length) return known;
    // Copies: what is read is written over by the next, and percentiles are remembered by array.
    const size = stack.accumulated(stack.nodes.length - 1).slice();
    // The scale of the steps: the largest of some of them, as sorting each would take long.
    const every = Math.max(1, Math.floor(stack.nodes.length / 16));
    let step = 0;
    for (let k = 0; k < stack.nodes.length; k += every) step = Math.max(step, scaleOf(stack.map(k).slice()));
    const found = { stack, count: stack.nodes.length, step, total: scaleOf(size), size };
    this.#scales = found;
    return found;
  }

  /** Forgets what was made of the path. */
  letGo(): void {
    this.#scales = null;
  }

  /** Share of the scale below which nothing is drawn, for a percentile of the whole attribution. */
  threshold(p: number): number {
    const { total, size } = this.scales;
    return p > 0 && total > 0 ? percentile(size, p) / total : 0;
  }
}
