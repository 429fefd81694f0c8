// The numbers of a scrubbed path: maps as they came, prefix sums at every eighth, curves, gaps. Twin of explainers/path_stack.py.
import { fromHalf } from "./codec";
import type { ConvergenceMessage, PathMessage, StackMessage } from "./protocol";

/** A sum is kept at every eighth point: any other is at most four maps away. */
export const EVERY = 8;

/** One point of the path. */
export interface PathNode {
  position: number;
  alpha: number;
  /** The derivative of the score along the path, pixel by pixel, over `scale`; half precision as its bits. */
  values: Uint16Array | Float32Array;
  scale: number;
  /** The sum of the map. */
  slope: number;
  scores: Float32Array;
  picture: Uint8Array | null;
  /** How many came before it. */
  order: number;
}

/** The sum of the attribution by some number of evaluations. */
export interface Convergence {
  evaluations: number;
  gap: number;
}

let numbers: Float32Array | null = null;
/** The number for each pattern of bits of half precision. */
const halves = () => {
  numbers ??= Float32Array.from({ length: 65536 }, (_, bits) => fromHalf(bits));
  return numbers;
};

/** Adds a map, `factor` times. */
function add(into: Float32Array, { values, scale }: PathNode, factor: number): void {
  const by = scale * factor;
  if (values instanceof Uint16Array) {
    const table = halves();
    for (let i = 0; i < into.length; i += 1) into[i] += by * table[values[i]];
  } else for (let i = 0; i < into.length; i += 1) into[i] += by * values[i];
}

const at = ({ values, scale }: PathNode, pixel: number) =>
  scale * (values instanceof Uint16Array ? halves()[values[pixel]] : values[pixel]);

export class PathStack {
  readonly height: number;
  readonly width: number;
  /** The points that are here, ascending. */
  nodes: PathNode[] = [];
  /** Sums of the attribution up to each of them. */
  sums: number[] = [];
  /** Every point is here. */
  finished = false;
  /** How the gap shrinks, where that cannot be told from the maps. */
  told: ConvergenceMessage | null = null;
  #known = new Set<number>();
  /** How many points there were after each message. */
  #history: number[] = [];
  /** The attribution up to every eighth point: a jump to any step is a look-up and a few additions. */
  #marks: Float32Array[] = [];
  #sum = { index: -1, data: new Float32Array() };
  #map = { index: -1, data: new Float32Array() };
  #clean = true;

  constructor(readonly path: PathMessage) {
    [this.height, this.width] = path.shape;
  }

  get complete(): boolean {
    return this.finished || (!this.uneven && this.nodes.length === this.path.n_steps + 1);
  }

  /** The points are where they are needed, not at equal distances. */
  get uneven(): boolean {
    return this.path.tolerance !== null;
  }

  /** Bytes of the maps, pictures and sums. */
  get nbytes(): number {
    const { nodes } = this;
    const own = nodes.reduce(
      (sum, { values, picture }) => sum + values.byteLength + (picture?.length ?? 0),
      0,
    );
    return [...this.#marks, this.#sum.data, this.#map.data].reduce(
      (sum, { byteLength }) => sum + byteLength,
      own,
    );
  }

  /** Takes points in; call `settle` before reading. */
  add({ positions, array, scales, scores, pictures }: StackMessage): void {
    const size = this.height * this.width;
    const series = scores.shape[1];
    const once = new Float32Array(size);
    positions.data.forEach((position, k) => {
      if (this.#known.has(position)) return;
      this.#known.add(position);
      const node: PathNode = {
        position,
        alpha: position / this.path.n_steps,
        values: array.data.subarray(k * size, (k + 1) * size),
        scale: scales.data[k],
        slope: 0,
        scores: scores.data.slice(k * series, (k + 1) * series),
        picture: pictures ? pictures.data.subarray(k * size * 3, (k + 1) * size * 3) : null,
        order: this.nodes.length,
      };
      once.fill(0);
      add(once, node, 1);
      for (let i = 0; i < size; i += 1) node.slope += once[i];
      this.nodes.push(node);
    });
    this.#history.push(this.nodes.length);
    this.nodes.sort((a, b) => a.position - b.position);
    this.#clean = false;
  }

  /** Makes the prefix sums of what is here, whatever points there are. */
  settle(): void {
    if (this.#clean) return;
    this.#clean = true;
    this.#sum.index = this.#map.index = -1;
    const { nodes } = this;
    const running = new Float32Array(this.height * this.width);
    let sum = 0;
    this.sums = nodes.map((node, k) => {
      const [left, right] = this.#sides(k);
      if (k % EVERY) add(running, node, left + right);
      else {
        add(running, node, left);
        const mark = this.#marks[k / EVERY] ?? new Float32Array(running.length);
        this.#marks[k / EVERY] = mark;
        mark.set(running);
        add(running, node, right);
      }
      const here = sum + left * node.slope;
      sum = here + right * node.slope;
      return here;
    });
  }

  /** What a point's map counts in the stretches that end and that begin there. */
  #sides(k: number): [number, number] {
    const { nodes } = this;
    const before = k > 0 ? nodes[k].alpha - nodes[k - 1].alpha : 0;
    const after = k < nodes.length - 1 ? nodes[k + 1].alpha - nodes[k].alpha : 0;
    return this.path.rule === "backward" ? [before, 0] : [before / 2, after / 2];
  }

  /** The attribution up to a point; good until another one is asked for. */
  accumulated(k: number): Float32Array {
    const sum = this.#sum;
    if (sum.index === k) return sum.data;
    const mark = EVERY * Math.min(Math.round(k / EVERY), this.#marks.length - 1);
    if (!sum.data.length) sum.data = new Float32Array(this.height * this.width);
    sum.data.set(this.#marks[mark / EVERY]);
    const [low, high, sign] = mark < k ? [mark, k, 1] : [k, mark, -1];
    for (let j = low; low < high && j <= high; j += 1) {
      const [left, right] = this.#sides(j);
      add(sum.data, this.nodes[j], sign * ((j > low ? left : 0) + (j < high ? right : 0)));
    }
    sum.index = k;
    return sum.data;
  }

  /** The map of a point; good until another one is asked for. */
  map(k: number): Float32Array {
    const map = this.#map;
    if (map.index === k) return map.data;
    if (!map.data.length) map.data = new Float32Array(this.height * this.width);
    map.data.fill(0);
    add(map.data, this.nodes[k], 1);
    map.index = k;
    return map.data;
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

  /** The position at an alpha; where steps are equal, of a step. */
  positionOf(alpha: number): number {
    const position = alpha * this.path.n_steps;
    return this.uneven ? position : Math.round(position);
  }

  /** Weight of a point's map in the sum; half at both ends of a trapezoid. */
  weight(k: number): number {
    const [left, right] = this.#sides(k);
    return left + right;
  }

  /** What a point adds to the attribution. */
  contribution(k: number): Float32Array {
    const weight = this.weight(k);
    return this.map(k).map((value) => value * weight);
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
    const slope = this.nodes.map((node) => pixels.reduce((total, pixel) => total + at(node, pixel), 0));
    let total = 0;
    const sum = slope.map((value, k) => {
      const [left, right] = this.#sides(k);
      const here = total + left * value;
      total = here + right * value;
      return here;
    });
    return { slope, sum };
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

  /** How the gap shrank: of every coarser trapezoid in this one, or of the points as they came. */
  convergence(): Convergence[] {
    const { nodes, path, told } = this;
    if (!this.complete || !nodes.length) return [];
    if (told) return told.levels.map(([evaluations, gap]) => ({ evaluations, gap }));
    if (this.uneven) return this.#rounds();
    const n = path.n_steps;
    // Guided by gradients, a path of fewer steps is another one; of a blur path it is told.
    if (path.path !== "straight") return [{ evaluations: nodes.length, gap: this.gap(nodes.length - 1).gap }];
    const change = nodes[n].scores[0] - nodes[0].scores[0];
    const found: Convergence[] = [];
    for (let stride = n & -n; stride >= 1; stride /= 2) {
      let sum = (nodes[0].slope + nodes[n].slope) / 2;
      for (let at = stride; at < n; at += stride) sum += nodes[at].slope;
      found.push({ evaluations: n / stride + 1, gap: sum * (stride / n) - change });
    }
    return found;
  }

  /** The gap after some of the messages, from few points to all: any of them are a trapezoid. */
  #rounds(): Convergence[] {
    const { nodes } = this;
    const found: Convergence[] = [];
    for (const count of [...this.#history].reverse()) {
      const known = nodes.filter(({ order }) => order < count);
      const last = known[known.length - 1];
      const few = found.length > 0 && count > found[0].evaluations / 1.4;
      if (few || found.length > 6 || last.alpha < 1 || known[0].alpha > 0) continue;
      let gap = known[0].scores[0] - last.scores[0];
      known.slice(1).forEach((node, k) => {
        gap += ((node.alpha - known[k].alpha) / 2) * (node.slope + known[k].slope);
      });
      found.unshift({ evaluations: count, gap });
    }
    return found;
  }

  /** The errors of all stretches, which are known exactly, by magnitude, as a share of the score's change. */
  error(): number {
    const { nodes, sums } = this;
    let total = 0;
    for (let k = 1; k < nodes.length; k += 1) {
      total += Math.abs(sums[k] - sums[k - 1] - (nodes[k].scores[0] - nodes[k - 1].scores[0]));
    }
    return total / Math.abs(nodes[nodes.length - 1].scores[0] - nodes[0].scores[0]);
  }

  /** How much the map changed when the last halving was made: L1 difference over L1 size; null where that is not known. */
  refinement(): number | null {
    const { nodes, told } = this;
    const n = this.path.n_steps;
    if (told) return told.moved;
    if (!this.complete || n % 2 || this.uneven || this.path.path !== "straight") return null;
    const coarse = new Float32Array(this.height * this.width);
    for (let at = 0; at <= n; at += 2) add(coarse, nodes[at], (at % n ? 2 : 1) / n);
    const fine = this.accumulated(n);
    let difference = 0;
    let total = 0;
    for (let i = 0; i < fine.length; i += 1) {
      difference += Math.abs(coarse[i] - fine[i]);
      total += Math.abs(fine[i]);
    }
    return total ? difference / total : null;
  }
}

/** What the convergence strip says: whether more steps would help. */
export function verdictOf(stack: PathStack): string {
  const levels = stack.convergence();
  if (!levels.length) return "";
  const { nodes, path } = stack;
  const change = Math.abs(nodes[nodes.length - 1].scores[0] - nodes[0].scores[0]);
  const last = levels[levels.length - 1];
  const relative = change ? Math.abs(last.gap) / change : Number.POSITIVE_INFINITY;
  const moved = stack.refinement();
  const percent = (share: number) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
  if (!change) return "The score does not change along the path: there is nothing to distribute.";
  if (path.tolerance !== null) {
    const error = stack.error();
    const sum = `The errors of all stretches sum to ${percent(error)} of the change`;
    if (error <= path.tolerance) return `${sum}: within the tolerance of ${percent(path.tolerance)}.`;
    return `${sum}: more steps are needed for the tolerance of ${percent(path.tolerance)}.`;
  }
  if (path.path === "guided") {
    return `The gap is ${percent(relative)} of the change. Another number of steps is another path: more need not narrow it.`;
  }
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
