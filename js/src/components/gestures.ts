// Pointer and keyboard on the linked views: wheel, drag, pinch and keys zoom and pan; the tools draw.
import type { Viewport } from "../core/viewport";
import type { Context, Point } from "./context";
import type { Drawing } from "./drawing";
import type { Pane } from "./pane";

/** Presses closer than this many CSS pixels are at the same place. */
const NEAR_PX = 6;

/** What a press does besides panning. */
type Marking = Pick<Drawing, "abandon" | "press" | "move" | "release" | "act" | "back">;

/** Of views that nothing is drawn on. */
export const NO_MARKING: Marking = {
  abandon: () => false,
  press: () => {},
  move: () => {},
  release: () => {},
  act: () => {},
  back: () => false,
};

export function bindGestures(pane: Pane, context: Context, drawing: Marking): void {
  const { viewport, display, store } = context;
  const { frame } = pane;
  const pointers = new Map<number, Point>();
  let pinch = 0;

  const local = (event: MouseEvent): Point => {
    const box = frame.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const picturePoint = (event: MouseEvent): Point => {
    const { x, y } = local(event);
    return viewport.toPicture(pane.size, x, y);
  };
  const near = () => NEAR_PX / viewport.transform(pane.size).scale;
  const panning = (event: PointerEvent) => display.state.tool === "pan" || event.button === 1;

  frame.addEventListener(
    "wheel",
    (event) => {
      // Wheeling out of a picture that already fits scrolls the page on, so that nobody is trapped here.
      if (event.deltaY > 0 && viewport.zoom <= 1) return;
      event.preventDefault();
      const { x, y } = local(event);
      const pixels = event.deltaMode === 0 ? event.deltaY : event.deltaY * 20;
      viewport.zoomAt(pane.size, x, y, Math.exp(-Math.max(-120, Math.min(120, pixels)) / 400));
    },
    { passive: false },
  );

  frame.addEventListener("pointerdown", (event) => {
    if (!store.picture || (event.button !== 0 && event.button !== 1)) return;
    frame.setPointerCapture(event.pointerId);
    frame.focus({ preventScroll: true });
    event.preventDefault();
    pointers.set(event.pointerId, local(event));
    if (pointers.size === 2) {
      drawing.abandon();
      pinch = spread(pointers);
    } else if (!panning(event)) drawing.press(picturePoint(event), near(), event.shiftKey || event.altKey);
  });

  frame.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    const now = local(event);
    if (pointers.size === 2 && before) {
      pointers.set(event.pointerId, now);
      const wide = spread(pointers);
      const [a, b] = [...pointers.values()];
      if (pinch > 0) viewport.zoomAt(pane.size, (a.x + b.x) / 2, (a.y + b.y) / 2, wide / pinch);
      viewport.panBy(pane.size, (now.x - before.x) / 2, (now.y - before.y) / 2);
      pinch = wide;
      return;
    }
    if (before) pointers.set(event.pointerId, now);
    context.setCursor(picturePoint(event));
    if (before && (display.state.tool === "pan" || event.buttons === 4)) {
      viewport.panBy(pane.size, now.x - before.x, now.y - before.y);
    } else drawing.move(picturePoint(event), before !== undefined);
  });

  const up = (event: PointerEvent) => {
    if (!pointers.delete(event.pointerId) || pointers.size > 0) return;
    if (event.type === "pointercancel") drawing.abandon();
    else if (!panning(event)) drawing.release(picturePoint(event), near());
  };
  frame.addEventListener("pointerup", up);
  frame.addEventListener("pointercancel", up);
  frame.addEventListener("pointerleave", () => {
    if (pointers.size) return;
    context.setCursor(null);
    if (["superpixel", "patch"].includes(display.state.tool)) drawing.abandon();
  });
  frame.addEventListener("dblclick", (event) => {
    const { x, y } = local(event);
    if (display.state.tool === "pan") viewport.zoomAt(pane.size, x, y, event.shiftKey ? 0.5 : 2);
  });
  frame.addEventListener("keydown", (event) => {
    if (!store.picture || event.ctrlKey || event.metaKey) return;
    if (key(event, pane, context, drawing, near())) {
      event.preventDefault();
      event.stopPropagation();
    }
  });
}

function spread(pointers: Map<number, Point>): number {
  const [a, b] = [...pointers.values()];
  return Math.hypot(a.x - b.x, a.y - b.y);
}

/** Keys of a view; true when the key meant something. */
function key(event: KeyboardEvent, pane: Pane, context: Context, drawing: Marking, near: number): boolean {
  const { viewport, display } = context;
  const tool = display.state.tool;
  if (event.key === "Escape") return drawing.abandon();
  if (event.key === "Backspace" && drawing.back()) return true;
  const arrow = event.key.startsWith("Arrow");
  // With Pan, arrows move the picture and Shift + arrows the cursor; with the other tools arrows move the cursor.
  if (arrow && (tool !== "pan" || event.shiftKey)) {
    moveCursor(event, pane, context, drawing);
    return true;
  }
  if (tool !== "pan" && (event.key === "Enter" || event.key === " " || event.key === "Delete")) {
    const point = context.cursor ?? middle(viewport);
    context.setCursor(point);
    drawing.act(point, Math.min(near, 1), event.key === "Delete", event.key);
    return true;
  }
  return viewport.key(pane.size, event.key, true);
}

/** Centre of the pixel in the middle of what is in view. */
function middle({ picture, cx, cy }: Viewport): Point {
  return { x: Math.floor(cx * picture.width) + 0.5, y: Math.floor(cy * picture.height) + 0.5 };
}

function moveCursor(event: KeyboardEvent, pane: Pane, context: Context, drawing: Marking): void {
  const { picture } = context.viewport;
  const start = context.cursor ?? middle(context.viewport);
  const coarse = context.display.state.tool === "pan" ? true : !event.shiftKey;
  const step = coarse ? Math.max(1, Math.round(Math.max(picture.width, picture.height) / 64)) : 1;
  const dx = event.key === "ArrowLeft" ? -step : event.key === "ArrowRight" ? step : 0;
  const dy = event.key === "ArrowUp" ? -step : event.key === "ArrowDown" ? step : 0;
  // Half-way between pixel edges, so that the read-out names the pixel the cursor is on.
  const at = (value: number, high: number) => Math.min(high - 0.5, Math.max(0.5, Math.floor(value) + 0.5));
  const point = { x: at(start.x + dx, picture.width), y: at(start.y + dy, picture.height) };
  context.setCursor(point);
  drawing.move(point, false);
  keepVisible(context.viewport, pane, point);
}

/** Pans just enough to keep the cursor in the view. */
function keepVisible(viewport: Viewport, pane: Pane, point: Point): void {
  const t = viewport.transform(pane.size);
  const x = t.x + point.x * t.scale;
  const y = t.y + point.y * t.scale;
  const over = (value: number, high: number) =>
    value < 8 ? 8 - value : value > high - 8 ? high - 8 - value : 0;
  const dx = over(x, pane.size.width);
  const dy = over(y, pane.size.height);
  if (viewport.zoom > 1 && (dx || dy)) viewport.panBy(pane.size, dx, dy);
}
