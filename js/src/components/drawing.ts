// Drawing a region: one state machine for the pointer and for the keyboard, in display pixels.
//
// A rectangle is a drag or two clicks, a polygon is clicks, a brush stroke is a drag or clicks: no drag is needed.
import type { Tool } from "../core/display";
import type { Region } from "../core/protocol";
import { emptyMask, encodeRuns, type Mask, outline, paint, resample } from "../core/regions";
import type { Context, Point } from "./context";
import type { RegionState, Shape } from "./region_state";

type Draft =
  | { kind: "rectangle"; from: Point; to: Point; placed: boolean }
  | { kind: "polygon"; points: Point[]; to: Point }
  | { kind: "stroke"; points: Point[]; erase: boolean; mask: Mask };

/** A draft to draw: an outline, or a stroke of some width. */
export interface DraftShape extends Shape {
  stroke: number | null;
  erase: boolean;
}

export class Drawing {
  draft: Draft | null = null;
  /** Superpixel under the cursor, shown before it is picked. */
  #hovered: { id: number; shape: DraftShape } | null = null;
  /** Picked before the superpixels were there, on the picture with this index. */
  #waiting: { point: Point; index: number } | null = null;

  constructor(
    protected readonly context: Context,
    protected readonly region: RegionState,
    protected readonly changed: () => void,
  ) {}

  /** Radius of the brush in display pixels. */
  get radius(): number {
    const { picture } = this.context.store;
    return picture
      ? Math.max(0.5, this.context.display.state.brush * Math.max(picture.width, picture.height))
      : 1;
  }

  /** A press at a point; `near` is the distance in display pixels that counts as "the same place". */
  press(point: Point, near: number, erase: boolean): void {
    const tool = this.context.display.state.tool;
    if (tool === "rectangle") this.#pressRectangle(point);
    else if (tool === "polygon") this.#pressPolygon(point, near);
    else if (tool === "brush" || tool === "eraser") this.#pressBrush(point, erase || tool === "eraser");
    else if (tool === "superpixel") this.#pickSuperpixel(point);
    this.changed();
  }

  move(point: Point, pressed: boolean): void {
    const { draft } = this;
    if (!draft) {
      this.#hover(point);
      return;
    }
    if (draft.kind === "stroke") {
      if (!pressed) return;
      this.#strokeTo(draft, point);
    } else draft.to = point;
    this.changed();
  }

  /** The superpixels have arrived: pick what waits for them, or show the one under the cursor. */
  superpixelsArrived(): void {
    const { cursor, store } = this.context;
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting && waiting.index === store.picture?.index) this.#pickSuperpixel(waiting.point);
    if (cursor && !this.draft) this.#hover(cursor);
  }

  release(point: Point, near: number): void {
    const { draft } = this;
    if (draft?.kind === "stroke") this.#finishStroke(draft);
    if (draft?.kind === "rectangle") {
      const dragged = Math.hypot(point.x - draft.from.x, point.y - draft.from.y) > near;
      if (dragged) this.#finishRectangle(draft.from, point);
      else if (!draft.placed) {
        draft.placed = true;
        this.context.announce("First corner placed. Place the opposite corner.");
      }
    }
    this.changed();
  }

  /** The keyboard's way: a press and a release at the cursor; `_key` is the one that was pressed. */
  act(point: Point, near: number, erase: boolean, _key: string): void {
    this.press(point, near, erase);
    this.release(point, near);
  }

  /** Drops the draft; true when there was one. */
  abandon(): boolean {
    const had = this.draft !== null;
    const shown = had || this.#hovered !== null;
    this.draft = null;
    this.#hovered = null;
    if (shown) this.changed();
    return had;
  }

  /** Takes back the last point of a polygon; true when there was one. */
  back(): boolean {
    if (this.draft?.kind !== "polygon") return false;
    this.draft.points.pop();
    if (!this.draft.points.length) this.draft = null;
    this.changed();
    return true;
  }

  shape(): DraftShape | null {
    const { draft } = this;
    if (!draft) return this.#hovered?.shape ?? null;
    const lines = (path: string) => ({ path, sx: 1, sy: 1, stroke: null, erase: false });
    if (draft.kind === "rectangle") {
      const { from, to } = draft;
      return lines(`M${from.x} ${from.y}H${to.x}V${to.y}H${from.x}Z`);
    }
    const path = (points: Point[]) => `M${points.map(({ x, y }) => `${x} ${y}`).join("L")}`;
    if (draft.kind === "polygon") return lines(path([...draft.points, draft.to]));
    return {
      ...lines(path([...draft.points, draft.points[0]].slice(0, Math.max(2, draft.points.length)))),
      stroke: 2 * this.radius,
      erase: draft.erase,
    };
  }

  #pressRectangle(point: Point): void {
    if (this.draft?.kind === "rectangle" && this.draft.placed) this.#finishRectangle(this.draft.from, point);
    else this.draft = { kind: "rectangle", from: point, to: point, placed: false };
  }

  #finishRectangle(a: Point, b: Point): void {
    this.draft = null;
    const { picture } = this.context.store;
    if (!picture) return;
    const clip = (value: number, high: number) => Math.min(high, Math.max(0, Math.round(value)));
    const [x1, x2] = [a.x, b.x].map((x) => clip(x, picture.width)).sort((p, q) => p - q);
    const [y1, y2] = [a.y, b.y].map((y) => clip(y, picture.height)).sort((p, q) => p - q);
    if (x2 > x1 && y2 > y1)
      this.commit({ type: "rect", x: x1, y: y1, width: x2 - x1, height: y2 - y1 }, "Rectangle");
  }

  #pressPolygon(point: Point, near: number): void {
    const draft = this.draft?.kind === "polygon" ? this.draft : null;
    if (!draft) {
      this.draft = { kind: "polygon", points: [point], to: point };
      this.context.announce(
        "First point placed. Place more points; the same place twice closes the polygon.",
      );
      return;
    }
    const close = (other: Point) => Math.hypot(other.x - point.x, other.y - point.y) <= near;
    const { points } = draft;
    if (close(points[0]) || close(points[points.length - 1])) {
      if (points.length < 3) return;
      this.draft = null;
      this.commit({ type: "polygon", points: points.map(({ x, y }) => [round(x), round(y)]) }, "Polygon");
      return;
    }
    points.push(point);
    this.context.announce(`Point ${points.length} placed.`);
  }

  #pressBrush(point: Point, erase: boolean): void {
    const { picture } = this.context.store;
    if (!picture) return;
    const [height, width] = picture.array.shape;
    const base = this.region.mask ?? emptyMask(width, height);
    const draft: Draft = { kind: "stroke", points: [], erase, mask: { ...base, data: base.data.slice() } };
    this.draft = draft;
    this.#strokeTo(draft, point);
  }

  #strokeTo(draft: Extract<Draft, { kind: "stroke" }>, point: Point): void {
    const { picture } = this.context.store;
    if (!picture) return;
    const last = draft.points[draft.points.length - 1] ?? point;
    const steps = Math.max(1, Math.ceil(Math.hypot(point.x - last.x, point.y - last.y) / (this.radius / 2)));
    for (let step = 1; step <= steps; step += 1) {
      const x = last.x + ((point.x - last.x) * step) / steps;
      const y = last.y + ((point.y - last.y) * step) / steps;
      paint(draft.mask, picture, x, y, this.radius, draft.erase ? 0 : 1);
    }
    draft.points.push(point);
  }

  #finishStroke(draft: Extract<Draft, { kind: "stroke" }>): void {
    this.draft = null;
    const { picture } = this.context.store;
    if (!picture) return;
    const full = resample(draft.mask, picture.width, picture.height);
    if (full.data.includes(1)) {
      this.commit({ type: "mask", size: [full.height, full.width], counts: encodeRuns(full.data) }, "Brush");
    } else this.clear();
  }

  #pickSuperpixel(point: Point): void {
    const { store } = this.context;
    const { labels } = this.region;
    const { picture } = store;
    if (!labels || !picture) {
      if (picture) this.#waiting = { point, index: picture.index };
      store.requestSuperpixels();
      this.context.announce("The superpixels are being computed.");
      return;
    }
    const id = this.#superpixelAt(point);
    if (id === null) return;
    const region = this.region.current();
    const ids = region?.type === "superpixels" ? region.ids : [];
    const next = ids.includes(id) ? ids.filter((other) => other !== id) : [...ids, id].sort((a, b) => a - b);
    if (next.length) this.commit({ type: "superpixels", ids: next }, `${next.length} superpixels`);
    else this.clear();
  }

  #superpixelAt(point: Point): number | null {
    const { labels } = this.region;
    const { picture } = this.context.store;
    if (!labels || !picture) return null;
    const [h, w] = labels.shape;
    const column = Math.floor((point.x / picture.width) * w);
    const row = Math.floor((point.y / picture.height) * h);
    return column < 0 || row < 0 || column >= w || row >= h ? null : labels.data[row * w + column];
  }

  /** Nothing is left of the region. */
  protected clear(): void {
    this.context.store.setRegion(null);
  }

  #hover(point: Point): void {
    const { labels } = this.region;
    const { picture } = this.context.store;
    const id = this.context.display.state.tool === "superpixel" ? this.#superpixelAt(point) : null;
    if (id === (this.#hovered?.id ?? null)) return;
    this.#hovered = null;
    if (id !== null && labels && picture) {
      const [height, width] = labels.shape;
      const mask = { width, height, data: Uint8Array.from(labels.data, (other) => (other === id ? 1 : 0)) };
      const [sx, sy] = [picture.width / width, picture.height / height];
      this.#hovered = { id, shape: { path: outline(mask), sx, sy, stroke: null, erase: false } };
    }
    this.changed();
  }

  /** A region is finished. */
  protected commit(region: Region, what: string): void {
    this.context.store.setRegion(region);
    this.region.refresh();
    const { share } = this.region;
    if (!share) return;
    const area = `${(share.area * 100).toFixed(1)} percent of the picture`;
    const held =
      share.attribution === null
        ? ""
        : `, ${(share.attribution * 100).toFixed(0)} percent of the attribution`;
    this.context.announce(`${what} region: ${area}${held}.`);
  }
}

const round = (value: number) => Math.round(value * 10) / 10;

export const TOOLS: { value: Tool; text: string; title: string }[] = [
  { value: "pan", text: "Pan", title: "Drag to move, wheel or + and - to zoom, 0 to fit" },
  { value: "superpixel", text: "Superpixel", title: "Click a part of the picture to add or remove it" },
  { value: "rectangle", text: "Rectangle", title: "Drag, or click two corners" },
  {
    value: "polygon",
    text: "Polygon",
    title: "Click points; the same place twice, or the first point, closes it",
  },
  { value: "brush", text: "Brush", title: "Paint; with Shift or Alt it erases" },
];
