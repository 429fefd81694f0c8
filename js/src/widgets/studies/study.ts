// What the studies below the grid share: a part with a root, linked panes without marking, words where there is nothing yet.
import type { Context, Point } from "../../components/context";
import { bindGestures, NO_MARKING } from "../../components/gestures";
import { Pane } from "../../components/pane";
import type { Cell, CellPicture } from "../../core/comparison";
import { h, uniqueId } from "../../core/dom";
import { Viewport } from "../../core/viewport";
import type { ViewState } from "../comparison/state";
import type { ComparisonStore } from "../comparison/store";

export interface StudyView {
  root: HTMLElement;
  /** Something changed: what is chosen, what came, or how it is shown. */
  update(): void;
  /** It is not looked at any more. */
  stop(): void;
}

export interface Scene {
  store: ComparisonStore;
  state: ViewState;
  signal: AbortSignal;
  announce(text: string): void;
}

const HELP = "Plus and minus zoom, 0 fits, arrows move the picture, Shift with arrows the read-out.";

/** Panes of one picture that are zoomed, panned and read together. */
export class LinkedPanes {
  readonly root: HTMLElement;
  readonly panes: Pane[];
  readonly viewport = new Viewport();
  /** Display pixel under the pointer or the keyboard's cursor. */
  cursor: Point | null = null;
  picture: CellPicture | null = null;

  constructor(
    scene: Scene,
    specs: { name: string; title: string; canvases: HTMLCanvasElement[] }[],
    read: () => void,
  ) {
    const helpId = uniqueId("help");
    this.panes = specs.map(
      ({ name, title, canvases }) => new Pane(name, canvases, this.viewport, helpId, title),
    );
    this.root = h(
      "div",
      { class: "xaiw-views", "data-tool": "pan" },
      ...this.panes.map((pane) => pane.root),
      h("div", { id: helpId, hidden: true }, HELP),
    );
    const self = this;
    const context = {
      viewport: this.viewport,
      display: scene.state.display,
      signal: scene.signal,
      store: {
        get picture() {
          return self.picture;
        },
      },
      get cursor() {
        return self.cursor;
      },
      setCursor(point: Point | null) {
        self.cursor = point;
        for (const pane of self.panes) pane.setCursor(point);
        read();
      },
    } as unknown as Context;
    for (const pane of this.panes) bindGestures(pane, context, NO_MARKING);
    this.viewport.onChange(() => this.layout());
    const sizes = new ResizeObserver(() => {
      if (this.panes.map((pane) => pane.measure()).some(Boolean)) this.layout();
    });
    for (const pane of this.panes) sizes.observe(pane.frame);
    scene.signal.addEventListener("abort", () => sizes.disconnect());
  }

  show(picture: CellPicture): void {
    this.picture = picture;
    this.viewport.setPicture(picture);
  }

  layout(): void {
    for (const pane of this.panes) {
      pane.layout();
      pane.setCursor(this.cursor);
    }
  }
}

/** Draws a cell's map over its picture, or alone, as the grid does. */
export function paintCell(
  state: ViewState,
  pane: Pane,
  [under, heat]: HTMLCanvasElement[],
  cell: Cell,
  picture: CellPicture,
  drawn: { picture?: unknown },
): void {
  if (drawn.picture !== picture) {
    drawn.picture = picture;
    state.paint(under, picture);
    pane.place(under, { x: 0, y: 0, width: picture.width, height: picture.height });
  }
  under.hidden = state.look === "map";
  const map = state.quantised(cell);
  if (!map) return;
  state.brush.draw(heat, map, state.style(cell));
  pane.place(heat, cell.placement);
}

/** Place of a display pixel among the pixels of a map of `shape`; -1 outside of it. */
export function pixelAt(
  point: Point | null,
  { x, y, width, height }: Cell["placement"],
  [rows, columns]: number[],
): number {
  if (!point) return -1;
  const column = Math.floor(((point.x - x) / width) * columns);
  const row = Math.floor(((point.y - y) / height) * rows);
  return column < 0 || row < 0 || column >= columns || row >= rows ? -1 : row * columns + column;
}

export const canvas = (name: string, label: string) =>
  h("canvas", { class: `xaiw-${name}`, role: "img", "aria-label": label });

export const empty = (text: string) => h("p", { class: "xaiw-empty" }, text);
