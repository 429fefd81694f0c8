// Canvases on a picture's own pixels that CSS moves and scales, and a crosshair above them: what a pane and a cell share.

import { h } from "../core/dom";
import type { Rectangle } from "../core/protocol";
import type { Size, Transform, Viewport } from "../core/viewport";
import type { Point } from "./context";

/** A canvas pixel larger than this many CSS pixels is shown as a square once the user zoomed in beyond 2x. */
const PIXELATED_ABOVE = 2;

export class Stage {
  readonly root: HTMLElement;
  /** Two lines that stand in the frame, above the stage. */
  readonly crosshair: readonly [HTMLElement, HTMLElement];
  #layers: { canvas: HTMLCanvasElement; place: Rectangle }[] = [];

  constructor(canvases: HTMLCanvasElement[]) {
    this.root = h("div", { class: "xaiw-stage" }, ...canvases);
    this.crosshair = [
      h("i", { class: "xaiw-cross-x", hidden: true }),
      h("i", { class: "xaiw-cross-y", hidden: true }),
    ];
  }

  /** Puts a canvas on a rectangle of the picture, in display pixels. */
  place(canvas: HTMLCanvasElement, place: Rectangle): void {
    this.#layers = [...this.#layers.filter((layer) => layer.canvas !== canvas), { canvas, place }];
    canvas.style.left = `${place.x}px`;
    canvas.style.top = `${place.y}px`;
    canvas.style.width = `${place.width}px`;
    canvas.style.height = `${place.height}px`;
  }

  /** Follows the viewport: one CSS transform, and the choice between smooth and square pixels. */
  layout(viewport: Viewport, frame: Size, picture: Size): Transform {
    const t = viewport.transform(frame, picture);
    this.root.style.width = `${picture.width}px`;
    this.root.style.height = `${picture.height}px`;
    this.root.style.transform = `translate(${t.x}px,${t.y}px) scale(${t.scale})`;
    for (const { canvas, place } of this.#layers) {
      const density = (place.width * t.scale) / Math.max(1, canvas.width);
      canvas.style.imageRendering = viewport.zoom > 2 && density > PIXELATED_ABOVE ? "pixelated" : "auto";
    }
    return t;
  }

  /** Moves the crosshair to a display pixel; it is away while that lies outside of the picture. */
  setCursor(point: Point | null, viewport: Viewport, frame: Size, picture: Size): void {
    const inside =
      point && point.x >= 0 && point.y >= 0 && point.x <= picture.width && point.y <= picture.height;
    const [vertical, horizontal] = this.crosshair;
    vertical.hidden = !inside;
    horizontal.hidden = !inside;
    if (!inside) return;
    const t = viewport.transform(frame, picture);
    vertical.style.transform = `translateX(${Math.round(t.x + point.x * t.scale)}px)`;
    horizontal.style.transform = `translateY(${Math.round(t.y + point.y * t.scale)}px)`;
  }
}
