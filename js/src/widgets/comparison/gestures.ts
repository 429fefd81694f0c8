// Pointer and keys on the cells: the shared cursor follows the pointer, a drag pans all cells, Ctrl and the wheel zoom them.
import type { Point } from "../../components/context";
import type { Size } from "../../core/viewport";
import type { CellView } from "./cell";
import type { GridView } from "./grid";
import type { ViewState } from "./state";
import type { ComparisonStore } from "./store";

/** A press that moves further than this is a drag and selects nothing. */
const NEAR_PX = 4;
/** Steps of the keyboard's cursor along a picture. */
const STEPS = 64;

export interface Handlers {
  cursor(at: Point | null, key: string | null): void;
  select(cell: CellView, second: boolean): void;
}

export function bindCells(
  grid: GridView,
  store: ComparisonStore,
  state: ViewState,
  handlers: Handlers,
): void {
  const { scroller } = grid;
  const { viewport } = state;
  let pressed: { cell: CellView; start: Point; last: Point; moved: boolean } | null = null;

  /** The cell's frame, and its picture as the one that zoom and pan are counted on. */
  const frameOf = (cell: CellView): Size => {
    const picture = store.pictureOf(cell.key);
    if (picture) viewport.picture = picture;
    return { width: grid.side, height: grid.side };
  };
  const local = (cell: CellView, event: MouseEvent): Point => {
    const box = cell.frame.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  /** The place on the picture as shares; null outside of it. */
  const placeAt = (cell: CellView, event: MouseEvent): Point | null => {
    const picture = store.pictureOf(cell.key);
    if (!picture) return null;
    const { x, y } = local(cell, event);
    const at = viewport.toPicture(frameOf(cell), x, y);
    const place = { x: at.x / picture.width, y: at.y / picture.height };
    return place.x >= 0 && place.y >= 0 && place.x < 1 && place.y < 1 ? place : null;
  };

  scroller.addEventListener("pointermove", (event) => {
    if (pressed) {
      const now = { x: event.clientX, y: event.clientY };
      const far = Math.hypot(now.x - pressed.start.x, now.y - pressed.start.y) > NEAR_PX;
      if (far && !pressed.moved && viewport.zoom > 1) {
        pressed.moved = true;
        scroller.setPointerCapture(event.pointerId);
      }
      if (pressed.moved) {
        viewport.panBy(frameOf(pressed.cell), now.x - pressed.last.x, now.y - pressed.last.y);
      }
      pressed.last = now;
    }
    const cell = pressed?.cell ?? grid.cellAt(event.target);
    if (cell) handlers.cursor(placeAt(cell, event), cell.key);
    else handlers.cursor(null, null);
  });
  scroller.addEventListener("pointerleave", () => {
    if (!pressed) handlers.cursor(null, null);
  });
  scroller.addEventListener("pointerdown", (event) => {
    const cell = grid.cellAt(event.target);
    if (!cell || event.button !== 0) return;
    const at = { x: event.clientX, y: event.clientY };
    pressed = { cell, start: at, last: at, moved: false };
    // Shift would mark text.
    if (event.shiftKey || viewport.zoom > 1) event.preventDefault();
    cell.root.focus({ preventScroll: true });
  });
  scroller.addEventListener("pointerup", (event) => {
    if (pressed && !pressed.moved && grid.cellAt(event.target) === pressed.cell) {
      handlers.select(pressed.cell, event.shiftKey);
    }
    pressed = null;
  });
  scroller.addEventListener("pointercancel", () => {
    pressed = null;
  });
  scroller.addEventListener("dblclick", (event) => {
    const cell = grid.cellAt(event.target);
    if (!cell) return;
    const { x, y } = local(cell, event);
    viewport.zoomAt(frameOf(cell), x, y, event.shiftKey ? 0.5 : 2);
  });
  scroller.addEventListener(
    "wheel",
    (event) => {
      // The wheel alone scrolls the grid, and a pinch on a pad comes with Ctrl.
      const cell = grid.cellAt(event.target);
      if (!cell || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      const { x, y } = local(cell, event);
      const pixels = event.deltaMode === 0 ? event.deltaY : event.deltaY * 20;
      viewport.zoomAt(frameOf(cell), x, y, Math.exp(-Math.max(-120, Math.min(120, pixels)) / 400));
    },
    { passive: false },
  );
}

/** Keys of a cell besides those of the grid: zoom, and the cursor with Shift; true when the key was one of them. */
export function cellKey(
  event: KeyboardEvent,
  cell: CellView,
  side: number,
  store: ComparisonStore,
  state: ViewState,
  move: (at: Point | null) => void,
): boolean {
  const { viewport } = state;
  const picture = store.pictureOf(cell.key);
  if (!picture) return false;
  viewport.picture = picture;
  const frame = { width: side, height: side };
  const arrows: Record<string, [number, number]> = {
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
    ArrowUp: [0, -1],
    ArrowDown: [0, 1],
  };
  const arrow = arrows[event.key];
  if (arrow && event.shiftKey && !event.ctrlKey) {
    const [longer, step] = [Math.max(picture.width, picture.height), 1 / STEPS];
    const start = state.cursor ?? { x: viewport.cx, y: viewport.cy };
    const along = (value: number, by: number, length: number) =>
      Math.min(1 - 0.5 / length, Math.max(0.5 / length, value + (by * step * longer) / length));
    const at = {
      x: along(start.x, arrow[0], picture.width),
      y: along(start.y, arrow[1], picture.height),
    };
    move(at);
    keepVisible(state, frame, at);
    return true;
  }
  if (event.ctrlKey || event.metaKey) return false;
  return viewport.key(frame, event.key, false);
}

/** Pans just enough to keep the cursor in the view. */
function keepVisible({ viewport }: ViewState, frame: Size, at: Point): void {
  if (viewport.zoom <= 1) return;
  const t = viewport.transform(frame);
  const over = (value: number, high: number) =>
    value < 8 ? 8 - value : value > high - 8 ? high - 8 - value : 0;
  const dx = over(t.x + at.x * viewport.picture.width * t.scale, frame.width);
  const dy = over(t.y + at.y * viewport.picture.height * t.scale, frame.height);
  if (dx || dy) viewport.panBy(frame, dx, dy);
}
