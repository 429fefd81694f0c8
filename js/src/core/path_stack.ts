// The numbers of a scrubbed path: maps at points, prefix sums made once, curves, gaps. Twin of explainers/path_stack.py.
import type { PathMessage, StackMessage } from "./protocol";

/** One point of the path. */
export interface PathNode {
  position: number;
  alpha: number;
  /** The derivative of the score along the path, pixel by pixel: its sum is the slope. */
  map: Float32Array;
  slope: number;
  scores: Float32Array;
  picture: Uint8Array | null;
}

/** The trapezoid at some number of evaluations. */
export interface Convergence {
  evaluations: number;
  gap: number;
}

export class PathStack {
  readonly height: number;
  readonly width: number;
  /** The points that are here, ascending. */
  nodes: PathNode[] = [];
  /** The attribution up to each of them: a jump to any step is a look-up. */
  accumulated: Float32Array[] = [];
  /** Sums of the maps of `accumulated`. */
  sums: number[] = [];
  #known = new Set<number>();
  #clean = true;

  constructor(readonly path: PathMessage) {
    [this.height, this.width] = path.shape;
  }

  get complete(): boolean {
    return this.nodes.length === this.path.n_steps + 1;
  }

  /** Takes points in; call `settle` before reading. */
  add({ positions, array, scales, scores, pictures }: StackMessage): void {
    const size = this.height * this.width;
    const series = scores.shape[1];
    positions.data.forEach((position, k) => {
      if (this.#known.has(position)) return;
      this.#known.add(position);
      const map = array.data.slice(k * size, (k + 1) * size);
      const scale = scales.data[k];
      let slope = 0;
      for (let i = 0; i < size; i += 1) {
        map[i] *= scale;
        slope += map[i];
      }
      this.nodes.push({
        position,
        alpha: position / this.path.n_steps,
        map,
        slope,
        scores: scores.data.slice(k * series, (k + 1) * series),
        picture: pictures ? pictures.data.slice(k * size * 3, (k + 1) * size * 3) : null,
      });
    });
    this.nodes.sort((a, b) => a.position - b.position);
    this.#clean = false;
  }

  /** Makes the prefix sums of what is here: a trapezoid over whatever points there are. */
  settle(): void {
    if (this.#clean) return;
    this.#clean = true;
    const size = this.height * this.width;
    const { nodes, accumulated } = this;
    this.sums = [];
    nodes.forEach((node, k) => {
      const into = accumulated[k] ?? new Float32Array(size);
      accumulated[k] = into;
      if (k === 0) {
        into.fill(0);
        this.sums.push(0);
        return;
      }
      const before = nodes[k - 1];
      const last = accumulated[k - 1];
      const half = (node.alpha - before.alpha) / 2;
      const [a, b] = [before.map, node.map];
      for (let i = 0; i < size; i += 1) into[i] = last[i] + half * (a[i] + b[i]);
      this.sums.push(this.sums[k - 1] + half * (before.slope + node.slope));
    });
  }

  /** The point that is nearest to a position, among those that are here; -1 without any. */
  nearest(position: number): number {
    const { nodes } = this;
    if (!nodes.length) return -1;
    let low = 0;
    let high = nodes.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (nodes[middle].position < position) low = middle + 1;
      else high = middle;
    }
    const before = nodes[low - 1];
    return before && position - before.position < nodes[low].position - position ? low - 1 : low;
  }

  /** Weight of a point in the trapezoid; half at both ends. */
  weight(k: number): number {
    const { nodes } = this;
    const before = k > 0 ? nodes[k].alpha - nodes[k - 1].alpha : 0;
    const after = k < nodes.length - 1 ? nodes[k + 1].alpha - nodes[k].alpha : 0;
    return (before + after) / 2;
  }

  /** What a point adds to the attribution. */
  contribution(k: number): Float32Array {
    const weight = this.weight(k);
    return this.nodes[k].map.map((value) => value * weight);
  }

  /** What is left of f(x(alpha)) - f(b) at a point, with its sign: attribution minus score. */
  gap(k: number): { gap: number; relative: number | null } {
    const change = this.nodes[k].scores[0] - this.nodes[0].scores[0];
    const gap = this.sums[k] - change;
    return { gap, relative: change === 0 ? null : gap / change };
  }

  /** The model's input at a point, as a picture: RGB, on the grid of the maps. */
  picture(k: number): Uint8Array {
    const { picture, alpha } = this.nodes[k];
    if (picture) return picture;
    const ends = this.path.ends.data;
    const size = ends.length / 2;
    const into = new Uint8Array(size);
    for (let i = 0; i < size; i += 1) into[i] = ends[i] + alpha * (ends[size + i] - ends[i]) + 0.5;
    return into;
  }

  /** Derivative and accumulated value along the path, of a pixel or summed over a mask on the grid. */
  curve(pixels: readonly number[]): { slope: number[]; sum: number[] } {
    const along = (maps: Float32Array[]) =>
      maps.map((map) => pixels.reduce((total, pixel) => total + map[pixel], 0));
    return { slope: along(this.nodes.map(({ map }) => map)), sum: along(this.accumulated) };
  }

  /** First alpha at which so much of the final sum is reached, read between the points; null without a change. */
  reached(share: number): number | null {
    const { sums, nodes } = this;
    const goal = share * sums[sums.length - 1];
    if (!goal) return null;
    for (let k = 1; k < sums.length; k += 1) {
      const [a, b] = [sums[k - 1] / goal, sums[k] / goal];
      if (b >= 1) return nodes[k - 1].alpha + ((1 - a) / (b - a)) * (nodes[k].alpha - nodes[k - 1].alpha);
    }
    return null;
  }

  /** The gap of every coarser trapezoid that is part of this one, from coarse to fine. */
  convergence(): Convergence[] {
    const { nodes } = this;
    const n = this.path.n_steps;
    if (!this.complete) return [];
    const change = nodes[n].scores[0] - nodes[0].scores[0];
    const found: Convergence[] = [];
    for (let stride = n & -n; stride >= 1; stride /= 2) {
      let sum = (nodes[0].slope + nodes[n].slope) / 2;
      for (let at = stride; at < n; at += stride) sum += nodes[at].slope;
      found.push({ evaluations: n / stride + 1, gap: sum * (stride / n) - change });
    }
    return found;
  }

  /** How much the map changed when the last halving was made: L1 difference over L1 size; null for an odd number. */
  refinement(): number | null {
    const { nodes } = this;
    const n = this.path.n_steps;
    if (!this.complete || n % 2) return null;
    const fine = this.accumulated[n];
    let difference = 0;
    let total = 0;
    for (let i = 0; i < fine.length; i += 1) {
      let coarse = (nodes[0].map[i] + nodes[n].map[i]) / 2;
      for (let at = 2; at < n; at += 2) coarse += nodes[at].map[i];
      difference += Math.abs((coarse * 2) / n - fine[i]);
      total += Math.abs(fine[i]);
    }
    return total ? difference / total : null;
  }
}

/** What the convergence strip says: whether more steps would help. */
export function verdictOf(stack: PathStack): string {
  const levels = stack.convergence();
  if (!levels.length) return "";
  const n = stack.path.n_steps;
  const change = Math.abs(stack.nodes[n].scores[0] - stack.nodes[0].scores[0]);
  const last = levels[levels.length - 1];
  const relative = change ? Math.abs(last.gap) / change : Number.POSITIVE_INFINITY;
  const moved = stack.refinement();
  const percent = (share: number) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
  if (!change) return "The score does not change along the path: there is nothing to distribute.";
  if (moved !== null && relative < 0.01 && moved < 0.05) {
    return `More steps will not help: the last doubling moved the map by ${percent(moved)}.`;
  }
  if (relative < 0.01 && moved !== null) {
    return `The sum is right, but the last doubling still moved the map by ${percent(moved)}: more steps sharpen it.`;
  }
  const earlier = levels[levels.length - 3];
  if (earlier && Math.abs(last.gap) > 0.7 * Math.abs(earlier.gap) && relative < 0.05) {
    return "Four times as many steps hardly narrowed the gap: more will not help much.";
  }
  return `The gap is ${percent(relative)} of the change: more steps will narrow it.`;
}

/** Where most of the attribution is gained, in words. */
export function saturation(stack: PathStack): string {
  const { sums } = stack;
  const total = sums[sums.length - 1];
  const alpha = stack.reached(0.8);
  if (!total || alpha === null) return "";
  const most = Math.max(...sums.map((sum) => sum / total));
  const least = Math.min(...sums.map((sum) => sum / total));
  const words = `80 % is gained before alpha = ${alpha.toFixed(2)}`;
  if (least < -0.2) return `${words}, after falling to ${Math.round(least * 100)} %.`.replace("-", "\u2212");
  return most > 1.1 ? `${words}; it rises to ${Math.round(most * 100)} % and comes back.` : `${words}.`;
}
