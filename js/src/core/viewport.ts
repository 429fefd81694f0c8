// Zoom and pan shared by linked views: a zoom relative to "fits" and the picture point in the middle of the view.

export const MAX_ZOOM = 32;
const STEP = 1.25;

export interface Size {
  width: number;
  height: number;
}

/** Where a picture lies in a view: CSS pixels per display pixel and the offset of its corner. */
export interface Transform {
  scale: number;
  x: number;
  y: number;
}

const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));

/** Per-view state; nothing here is ever sent to the kernel. */
export class Viewport {
  zoom = 1;
  /** Centre of the view as a fraction of the picture. */
  cx = 0.5;
  cy = 0.5;
  picture: Size = { width: 1, height: 1 };
  #listeners = new Set<() => void>();

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Of this picture, or of another one that is moved along with it. */
  transform(frame: Size, picture: Size = this.picture): Transform {
    const scale = this.fit(frame, picture) * this.zoom;
    return {
      scale,
      x: frame.width / 2 - this.cx * picture.width * scale,
      y: frame.height / 2 - this.cy * picture.height * scale,
    };
  }

  /** CSS pixels per display pixel at which the whole picture fits; 1 while the frame has no size. */
  fit(frame: Size, picture: Size = this.picture): number {
    const fit = Math.min(frame.width / picture.width, frame.height / picture.height);
    return fit > 0 && Number.isFinite(fit) ? fit : 1;
  }

  /** Display pixel under a point of the frame. */
  toPicture(frame: Size, x: number, y: number): { x: number; y: number } {
    const t = this.transform(frame);
    return { x: (x - t.x) / t.scale, y: (y - t.y) / t.scale };
  }

  /** Zooms by a factor and keeps the picture point under (x, y) of the frame where it is. */
  zoomAt(frame: Size, x: number, y: number, factor: number): void {
    const point = this.toPicture(frame, x, y);
    this.zoom = clamp(this.zoom * factor, 1, MAX_ZOOM);
    const scale = this.fit(frame) * this.zoom;
    this.cx = (point.x - (x - frame.width / 2) / scale) / this.picture.width;
    this.cy = (point.y - (y - frame.height / 2) / scale) / this.picture.height;
    this.#changed(frame);
  }

  /** Moves the picture by CSS pixels of the frame. */
  panBy(frame: Size, dx: number, dy: number): void {
    const scale = this.fit(frame) * this.zoom;
    this.cx -= dx / scale / this.picture.width;
    this.cy -= dy / scale / this.picture.height;
    this.#changed(frame);
  }

  reset(): void {
    this.zoom = 1;
    this.cx = 0.5;
    this.cy = 0.5;
    this.#notify();
  }

  /** A new picture keeps zoom and centre when it has the size of the last one. */
  setPicture(size: Size): void {
    if (size.width === this.picture.width && size.height === this.picture.height) return;
    this.picture = size;
    this.reset();
  }

  /** Handles + - 0 and, with `arrows`, the arrow keys; true when the key was one of them. */
  key(frame: Size, key: string, arrows: boolean): boolean {
    const pan = 40;
    const moves: Record<string, [number, number]> = {
      ArrowLeft: [pan, 0],
      ArrowRight: [-pan, 0],
      ArrowUp: [0, pan],
      ArrowDown: [0, -pan],
    };
    if (key === "+" || key === "=") this.zoomAt(frame, frame.width / 2, frame.height / 2, STEP);
    else if (key === "-" || key === "_") this.zoomAt(frame, frame.width / 2, frame.height / 2, 1 / STEP);
    else if (key === "0") this.reset();
    else if (arrows && moves[key]) this.panBy(frame, ...moves[key]);
    else return false;
    return true;
  }

  #changed(frame: Size): void {
    const scale = this.fit(frame) * this.zoom;
    const half = (length: number, picture: number) => Math.min(0.5, length / 2 / scale / picture);
    const hx = half(frame.width, this.picture.width);
    const hy = half(frame.height, this.picture.height);
    this.cx = clamp(this.cx, hx, 1 - hx);
    this.cy = clamp(this.cy, hy, 1 - hy);
    this.#notify();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}
