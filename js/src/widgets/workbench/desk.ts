// What one view is working on: the selected example, a brush stroke that is not added yet, sizes. Never synced.
import type { Point } from "../../components/context";
import { same } from "../../core/history";
import type { Rectangle, Region } from "../../core/protocol";
import { encodeRuns, maskOf, resample } from "../../core/regions";
import type { WorkbenchStore } from "./store";

export class Desk {
  /** Example whose details are shown. */
  example: string | null = null;
  /** Example that the next region redraws. */
  redrawing: string | null = null;
  /** Brushed so far, and what it was before each stroke. */
  pending: Region | null = null;
  #before: (Region | null)[] = [];
  /** A finished region that waits for its concept to get a name, and the picture it was drawn on. */
  waiting: { region: Region | null; index: number | undefined } | null = null;
  /** Picture that strokes and the redrawn example belong to. */
  #index: number | undefined;
  /** Side of a patch as a share of the picture's shorter side. */
  patch = 0.25;
  show: "picture" | "both" | "map" = "picture";
  /** Chosen by hand: a first map does not change it any more. */
  chosen = false;

  constructor(
    private readonly store: WorkbenchStore,
    private readonly changed: () => void,
    private readonly announce: (text: string) => void,
    /** Opens the form for a new concept. */
    public name: () => void = () => {},
  ) {}

  select(example: string | null): void {
    if (example === this.example) return;
    this.example = example;
    this.changed();
  }

  /** The patch around a point, as a rectangle inside the picture. */
  patchAt(point: Point): Rectangle | null {
    const { picture } = this.store;
    if (!picture) return null;
    const side = Math.max(1, Math.round(this.patch * Math.min(picture.width, picture.height)));
    const start = (at: number, length: number) =>
      Math.max(0, Math.min(length - side, Math.round(at - side / 2)));
    return { x: start(point.x, picture.width), y: start(point.y, picture.height), width: side, height: side };
  }

  /** A stroke is kept until it is added. */
  brushed(region: Region | null): void {
    this.#before.push(this.pending);
    this.pending = region;
    this.announce(region ? "Painted. Enter adds it, Escape drops it." : "Nothing is painted.");
    this.changed();
  }

  /** Takes back the last stroke; true when there was one. */
  back(): boolean {
    const before = this.#before.pop();
    if (before === undefined) return false;
    this.pending = before;
    this.changed();
    return true;
  }

  /** Drops what is not added yet; true when there was something. */
  drop(): boolean {
    const had = this.pending !== null || this.redrawing !== null || this.waiting !== null;
    this.pending = this.redrawing = this.waiting = null;
    this.#before = [];
    if (had) {
      this.announce("Dropped.");
      this.changed();
    }
    return had;
  }

  /** On another picture, what is not added to the last one is dropped; what only lacks a name is kept. */
  turned(abandon: () => boolean): void {
    const index = this.store.picture?.index;
    if (index === this.#index) return;
    this.#index = index;
    const { redrawing } = this;
    const had = [abandon(), this.pending, redrawing].some(Boolean);
    this.pending = this.redrawing = null;
    this.#before = [];
    if (!had) return;
    const what = redrawing ? "the example keeps its outline" : "what was not added is dropped";
    this.announce(`This is another picture: ${what}.`);
    this.changed();
  }

  addPending(): void {
    const { pending } = this;
    if (!pending) return;
    this.keep(pending, "Brushed region");
  }

  /** The next region replaces the example's; the brush goes on from where it is. */
  redraw(id: string, brush: boolean): void {
    const found = this.store.example(id);
    const { picture } = this.store;
    if (!found || !picture) return;
    this.drop();
    this.redrawing = id;
    const { region } = found.example;
    if (brush && region) {
      const [h, w] = picture.array.shape;
      const mask = resample(maskOf(region, picture, w, h, null), picture.width, picture.height);
      this.pending = { type: "mask", size: [mask.height, mask.width], counts: encodeRuns(mask.data) };
    }
    this.announce("Draw the new outline; Escape keeps the old one.");
    this.changed();
  }

  /** A finished region becomes an example of the selected concept. */
  keep(region: Region | null, what: string): void {
    const { store, redrawing } = this;
    const { concept } = store;
    this.pending = this.redrawing = null;
    this.#before = [];
    if (redrawing) {
      const found = store.example(redrawing);
      if (found && !same(found.example.region, region)) store.edit({ op: "reshape", id: redrawing, region });
      this.announce("The example has a new outline.");
    } else if (concept?.role === "concept") {
      store.add(concept.name, region);
      this.announce(`${what} added to ${concept.name}.`);
    } else {
      this.waiting = { region, index: store.picture?.index };
      this.announce("What is it? Name the concept.");
      this.name();
    }
    this.changed();
  }

  /** A concept was named: what waited for it is added. */
  named(concept: string): void {
    const { waiting } = this;
    this.waiting = null;
    if (waiting) this.store.add(concept, waiting.region, waiting.index);
    this.changed();
  }
}
