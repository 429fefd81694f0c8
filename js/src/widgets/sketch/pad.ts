// What is drawn on one pad, shared by all its views: strokes, the one under the hand, undo, paper. Knows no kernel.
import type { NDArray } from "../../core/codec";
import { History } from "../../core/history";
import {
  type BackgroundMessage,
  contrast,
  Fitter,
  type PadSize,
  Rasteriser,
  rounded,
  type SketchPoint,
  type Stroke,
  type Window,
  whole,
} from "../../core/sketch";

/** Points nearer than this to the last one are left out: two pixels of a large pad. */
const NEAR = 0.002;

/** "stroke": the one under the hand grew; "strokes": any may have changed; "paper": what lies below. */
export type PadChange = "stroke" | "strokes" | "paper";

export class Pad {
  size: PadSize = [1, 1];
  ground = "#ffffff";
  /** Margin of the view that is fitted to the drawing; null for the whole pad. */
  fit: number | null = null;
  background: BackgroundMessage | null = null;
  /** Finished strokes. */
  strokes: Stroke[] = [];
  /** Under the hand. */
  current: Stroke | null = null;
  readonly history = new History<Stroke[]>([]);
  readonly #rasteriser = new Rasteriser();
  readonly #fitter = new Fitter();
  #listeners = new Set<(change: PadChange) => void>();

  subscribe(listener: (change: PadChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(change: PadChange): void {
    for (const listener of this.#listeners) listener(change);
  }

  get all(): Stroke[] {
    return this.current ? [...this.strokes, this.current] : this.strokes;
  }

  get empty(): boolean {
    return this.all.length === 0 && !this.background?.array;
  }

  /** The longer side is 1. */
  get extent(): { width: number; height: number } {
    return whole(this.size);
  }

  /** Colour that shows on the paper. */
  get ink(): string {
    return contrast(this.ground);
  }

  begin(point: SketchPoint, style: Pick<Stroke, "width" | "colour" | "erase">): void {
    this.end();
    this.current = { points: [point.map(rounded) as SketchPoint], ...style };
    this.emit("stroke");
  }

  /** Adds points to the stroke under the hand; true when any was far enough from the last. */
  extend(points: readonly SketchPoint[]): boolean {
    const { current } = this;
    if (!current) return false;
    const { length } = current.points;
    for (const point of points) {
      const last = current.points[current.points.length - 1];
      if (Math.hypot(point[0] - last[0], point[1] - last[1]) < NEAR) continue;
      current.points.push(point.map(rounded) as SketchPoint);
    }
    if (current.points.length === length) return false;
    this.emit("stroke");
    return true;
  }

  /** Finishes the stroke; true when there was one. */
  end(): boolean {
    if (!this.current) return false;
    this.strokes = [...this.strokes, this.current];
    this.current = null;
    this.history.push(this.strokes);
    return true;
  }

  /** Drops the stroke under the hand; true when there was one. */
  abandon(): boolean {
    if (!this.current) return false;
    this.current = null;
    this.emit("strokes");
    return true;
  }

  /** Other strokes, as after undo, a stored sketch, or a change from Python. */
  replace(strokes: Stroke[], remember = true): void {
    this.strokes = strokes;
    if (remember) this.history.push(strokes);
    this.emit("strokes");
  }

  /** Another paper: what contrasted with the old one contrasts with the new one, also after an undo. */
  setGround(ground: string): void {
    const [old, next] = [this.ink, contrast(ground)];
    this.ground = ground;
    if (old !== next) {
      const turn = (strokes: Stroke[]) =>
        strokes.map((stroke) => (stroke.colour === old ? { ...stroke, colour: next } : stroke));
      this.strokes = turn(this.strokes);
      this.history.map(turn);
    }
    this.emit("paper");
  }

  /** What the model sees of the pad. */
  get window(): Window {
    return this.fit === null || this.background?.array
      ? whole(this.size)
      : this.#fitter.fitted(this.all, this.size, this.fit);
  }

  /** The picture for the model. */
  picture(): { window: Window; array: NDArray<Uint8Array> } {
    const { window } = this;
    const below = this.background?.small ?? null;
    return { window, array: this.#rasteriser.rasterise(this.all, this.size, this.ground, window, below) };
  }
}
