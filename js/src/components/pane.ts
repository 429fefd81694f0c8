// One view of the picture: canvases on a stage that CSS moves and scales, marks and a crosshair above them.

import { h, setAttr, setText, svg } from "../core/dom";
import type { Rectangle } from "../core/protocol";
import type { Size, Viewport } from "../core/viewport";
import type { Point } from "./context";
import type { DraftShape } from "./drawing";
import type { Shape } from "./region_state";
import { Stage } from "./stage";

export class Pane {
  readonly root: HTMLElement;
  readonly frame: HTMLElement;
  readonly message = h("div", { class: "xaiw-message", hidden: true });
  #aside = h("span", { class: "xaiw-aside" });
  #region = svg("g", { class: "xaiw-region-mark" }, svg("path"), svg("path"));
  #draft = svg("g", { class: "xaiw-draft-mark" }, svg("path"), svg("path"));
  #stage: Stage;
  #size: Size = { width: 0, height: 0 };

  constructor(
    readonly name: string,
    readonly canvases: HTMLCanvasElement[],
    private readonly viewport: Viewport,
    describedBy: string,
    /** For people, where it differs from the name. */
    title = name,
  ) {
    this.#stage = new Stage(canvases);
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
      this.#stage.root,
      marks,
      ...this.#stage.crosshair,
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
    this.#stage.place(canvas, place);
  }

  /** Follows the viewport: one CSS transform, and the choice between smooth and square pixels. */
  layout(): void {
    const t = this.#stage.layout(this.viewport, this.#size, this.viewport.picture);
    for (const mark of [this.#region, this.#draft]) {
      setAttr(mark, "transform", `translate(${t.x} ${t.y}) scale(${t.scale})`);
    }
  }

  setCursor(point: Point | null): void {
    this.#stage.setCursor(point, this.viewport, this.#size, this.viewport.picture);
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
