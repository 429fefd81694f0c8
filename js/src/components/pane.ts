// One view of the picture: canvases on a stage that CSS moves and scales, marks and a crosshair above them.

import { h, setAttr, setText, svg } from "../core/dom";
import type { Rectangle } from "../core/protocol";
import type { Size, Viewport } from "../core/viewport";
import type { Point } from "./context";
import type { DraftShape } from "./drawing";
import type { Shape } from "./region_state";

/** A canvas pixel larger than this many CSS pixels is shown as a square once the user zoomed in beyond 2x. */
const PIXELATED_ABOVE = 2;

export class Pane {
  readonly root: HTMLElement;
  readonly frame: HTMLElement;
  readonly stage: HTMLElement;
  readonly message = h("div", { class: "xaiw-message", hidden: true });
  #aside = h("span", { class: "xaiw-aside" });
  #region = svg("g", { class: "xaiw-region-mark" }, svg("path"), svg("path"));
  #draft = svg("g", { class: "xaiw-draft-mark" }, svg("path"), svg("path"));
  #vertical = h("i", { class: "xaiw-cross-x", hidden: true });
  #horizontal = h("i", { class: "xaiw-cross-y", hidden: true });
  #size: Size = { width: 0, height: 0 };
  #layers: { canvas: HTMLCanvasElement; place: Rectangle }[] = [];

  constructor(
    readonly name: string,
    readonly canvases: HTMLCanvasElement[],
    private readonly viewport: Viewport,
    describedBy: string,
    /** For people, where it differs from the name. */
    title = name,
  ) {
    this.stage = h("div", { class: "xaiw-stage" }, ...canvases);
    const marks = svg("svg", { class: "xaiw-marks", "aria-hidden": "true" }, this.#region, this.#draft);
    this.frame = h(
      "div",
      {
        class: "xaiw-frame",
        tabindex: 0,
        role: "application",
        "aria-label": `${title} view`,
        "aria-describedby": describedBy,
      },
      this.stage,
      marks,
      this.#vertical,
      this.#horizontal,
      this.message,
    );
    this.root = h(
      "figure",
      { class: `xaiw-pane xaiw-pane-${name.toLowerCase()}` },
      h("figcaption", {}, h("span", {}, title), this.#aside),
      this.frame,
    );
  }

  get size(): Size {
    return this.#size;
  }

  setAside(text: string): void {
    setText(this.#aside, text);
    setAttr(this.#aside, "title", text);
  }

  setMessage(text: string): void {
    this.message.hidden = text === "";
    setText(this.message, text);
  }

  /** Measures the frame; a detached or folded frame keeps its last size. True when the size changed. */
  measure(): boolean {
    const { width, height } = this.frame.getBoundingClientRect();
    if (!this.frame.isConnected || width === 0 || height === 0) return false;
    if (width === this.#size.width && height === this.#size.height) return false;
    this.#size = { width, height };
    return true;
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
  layout(): void {
    const { picture, zoom } = this.viewport;
    const t = this.viewport.transform(this.#size);
    this.stage.style.width = `${picture.width}px`;
    this.stage.style.height = `${picture.height}px`;
    this.stage.style.transform = `translate(${t.x}px,${t.y}px) scale(${t.scale})`;
    for (const { canvas, place } of this.#layers) {
      const density = (place.width * t.scale) / Math.max(1, canvas.width);
      canvas.style.imageRendering = zoom > 2 && density > PIXELATED_ABOVE ? "pixelated" : "auto";
    }
    for (const mark of [this.#region, this.#draft]) {
      setAttr(mark, "transform", `translate(${t.x} ${t.y}) scale(${t.scale})`);
    }
  }

  setCursor(point: Point | null): void {
    const { picture } = this.viewport;
    const inside =
      point && point.x >= 0 && point.y >= 0 && point.x <= picture.width && point.y <= picture.height;
    this.#vertical.hidden = !inside;
    this.#horizontal.hidden = !inside;
    if (!inside) return;
    const t = this.viewport.transform(this.#size);
    this.#vertical.style.transform = `translateX(${Math.round(t.x + point.x * t.scale)}px)`;
    this.#horizontal.style.transform = `translateY(${Math.round(t.y + point.y * t.scale)}px)`;
  }

  setRegion(shape: Shape | null): void {
    draw(this.#region, shape);
  }

  setDraft(shape: DraftShape | null): void {
    draw(this.#draft, shape);
    setAttr(
      this.#draft,
      "class",
      `xaiw-draft-mark${shape?.stroke ? " is-stroke" : ""}${shape?.erase ? " is-erase" : ""}`,
    );
    for (const path of this.#draft.children) setAttr(path, "stroke-width", shape?.stroke ?? null);
  }
}

/** A pale line below a dashed one, so that the mark shows on any picture. */
function draw(mark: SVGGElement, shape: Shape | null): void {
  for (const path of mark.children) {
    setAttr(path, "d", shape?.path ?? "");
    setAttr(path, "transform", shape ? `scale(${shape.sx} ${shape.sy})` : null);
  }
}
