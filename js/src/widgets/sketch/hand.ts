// The hand on the pad: mouse, pen and touch draw as they move; keys move a pen that is put down and lifted.
import type { Pane } from "../../components/pane";
import { percent } from "../../core/format";
import type { SketchPoint } from "../../core/sketch";
import type { SketchStore } from "./store";

/** A key press moves the pen by this share of the pad; with Shift, by a quarter of it. */
const STEP = 1 / 32;

export interface Brush {
  width: number;
  /** null for the colour that shows on the paper. */
  colour: string | null;
  erase: boolean;
  pressure: boolean;
}

export const MIN_WIDTH = 0.01;
export const MAX_WIDTH = 0.3;

export class Hand {
  brush: Brush = { width: 0.04, colour: null, erase: false, pressure: true };
  /** Under the pointer or the keys, in shares of the longer side; null while the hand is elsewhere. */
  at: { x: number; y: number } | null = null;
  /** The pen of the keys is on the paper. */
  down = false;
  #pointer: number | null = null;
  #place = { x: 0, y: 0 };

  constructor(
    private readonly store: SketchStore,
    private readonly pane: Pane,
    private readonly announce: (text: string) => void,
    /** The pen or the brush has changed. */
    private readonly moved: () => void,
  ) {
    this.#bindPointer();
    this.#bindKeys();
  }

  set(changes: Partial<Brush>): void {
    this.brush = { ...this.brush, ...changes };
    this.moved();
  }

  /** Ends what is being drawn with keys, as before undo. */
  lift(): void {
    if (!this.down) return;
    this.down = false;
    this.#finish();
  }

  get #style() {
    const { width, colour, erase } = this.brush;
    return { width, colour: colour ?? this.store.pad.ink, erase };
  }

  #finish(): void {
    if (this.store.pad.end()) this.store.keep();
    this.moved();
  }

  // Pointer ------------------------------------------------------------------------------

  #bindPointer(): void {
    const { frame } = this.pane;
    const { pad } = this.store;
    const point = (event: PointerEvent): SketchPoint => {
      const { left, top, width, height } = frame.getBoundingClientRect();
      const { extent } = pad;
      const x = ((event.clientX - left) / Math.max(1, width)) * extent.width;
      const y = ((event.clientY - top) / Math.max(1, height)) * extent.height;
      // Half of the pressure is a pen's usual one; a mouse has none.
      const pressed = event.pointerType === "pen" && this.brush.pressure && event.pressure > 0;
      return pressed ? [x, y, Math.max(0.2, 2 * event.pressure)] : [x, y];
    };
    const hover = (event: PointerEvent) => {
      const [x, y] = point(event);
      this.at = { x, y };
      this.moved();
    };
    frame.addEventListener("pointerdown", (event) => {
      const eraser = event.button === 5;
      // A second finger, or the ball of the hand, does not draw.
      if (this.#pointer !== null || (event.button !== 0 && !eraser) || !this.store.setup) return;
      this.lift();
      event.preventDefault();
      frame.focus({ preventScroll: true });
      this.#pointer = event.pointerId;
      try {
        frame.setPointerCapture(event.pointerId);
      } catch {
        // A pointer that is gone already cannot be captured; its end still arrives.
      }
      pad.begin(point(event), { ...this.#style, erase: this.brush.erase || eraser });
      hover(event);
      this.store.changed();
    });
    frame.addEventListener("pointermove", (event) => {
      if (this.#pointer === null || event.pointerId === this.#pointer) hover(event);
      if (event.pointerId !== this.#pointer) return;
      const events = event.getCoalescedEvents?.() ?? [];
      if (pad.extend((events.length ? events : [event]).map(point))) this.store.changed();
    });
    const end = (event: PointerEvent) => {
      if (event.pointerId !== this.#pointer) return;
      this.#pointer = null;
      if (event.type === "pointerup") pad.extend([point(event)]);
      this.#finish();
    };
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"] as const) {
      frame.addEventListener(type, end);
    }
    frame.addEventListener("pointerleave", () => {
      if (this.#pointer !== null || this.down) return;
      this.at = null;
      this.moved();
    });
    // A long press of a finger draws a dot and opens no menu.
    frame.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  // Keys ---------------------------------------------------------------------------------

  #bindKeys(): void {
    const { frame } = this.pane;
    frame.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !this.store.setup) return;
      if (!this.#key(event)) return;
      event.preventDefault();
      event.stopPropagation();
    });
    frame.addEventListener("focus", () => {
      if (!frame.matches(":focus-visible")) return;
      this.at ??= this.#middle();
      this.moved();
    });
    frame.addEventListener("blur", () => {
      this.lift();
      this.at = null;
      this.moved();
    });
  }

  #middle() {
    const { width, height } = this.store.pad.extent;
    return { x: width / 2, y: height / 2 };
  }

  #key({ key, shiftKey }: KeyboardEvent): boolean {
    const moves: Record<string, [number, number]> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    if (moves[key]) this.#move(...moves[key], shiftKey ? STEP / 4 : STEP);
    else if (key === " " || key === "Enter") this.#press();
    else if (key === "Escape") {
      if (!this.down) return false;
      this.down = false;
      this.store.pad.abandon();
      this.store.changed();
      this.announce("Stroke abandoned.");
    } else if (key === "Home") {
      this.#go(this.#middle());
      this.#say("Pen");
    } else if (key === "[" || key === "]") {
      const factor = key === "]" ? 1.25 : 0.8;
      const width = Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, this.brush.width * factor));
      this.set({ width });
      this.announce(`Size ${percent(width)}`);
    } else if (key.toLowerCase() === "e") {
      this.set({ erase: !this.brush.erase });
      this.announce(this.brush.erase ? "Eraser" : "Brush");
    } else return false;
    this.moved();
    return true;
  }

  #press(): void {
    const at = this.at ?? this.#middle();
    this.at = at;
    if (this.down) {
      this.lift();
      this.#say("Pen up");
      return;
    }
    this.down = true;
    this.store.pad.begin([at.x, at.y], this.#style);
    this.store.changed();
    this.#say("Pen down");
  }

  #move(dx: number, dy: number, step: number): void {
    const { width, height } = this.store.pad.extent;
    const from = this.at ?? this.#middle();
    const clip = (value: number, high: number) => Math.min(high, Math.max(0, value));
    this.#go({ x: clip(from.x + dx * step, width), y: clip(from.y + dy * step, height) });
    this.#say(this.down ? "Line to" : "Pen");
  }

  #go(place: { x: number; y: number }): void {
    this.at = place;
    if (this.down && this.store.pad.extend([[place.x, place.y]])) this.store.changed();
  }

  /** Where the pen is, for those who do not see it. */
  #say(what: string): void {
    const { x, y } = this.at ?? this.#place;
    const { width, height } = this.store.pad.extent;
    const share = (value: number, of: number) => Math.round((100 * value) / of);
    this.announce(`${what} ${share(x, width)} percent across, ${share(y, height)} percent down`);
  }
}
