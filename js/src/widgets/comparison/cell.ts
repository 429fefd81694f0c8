// One cell of the grid: picture and map on a stage, what it is worth below, and what is said while there is no map.

import { Stage } from "../../components/stage";
import type { Cell, Score } from "../../core/comparison";
import { h, setAttr, setText } from "../../core/dom";
import { magnitude, probability, signed } from "../../core/format";
import { clear } from "../../core/renderer";
import type { ViewState } from "./state";
import type { ComparisonStore } from "./store";

/** A metric's value as it stands in tables. */
export const worth = (value: number | null | undefined) =>
  value === null || value === undefined || !Number.isFinite(value)
    ? "\u2013"
    : (value < 0 ? "\u2212" : "") + magnitude(Math.abs(value));

/** What there is to know of a value besides itself. */
export function scoreTitle(title: string, score: Score | undefined): string {
  if (!score) return `${title}: not there yet`;
  const control =
    score.control === null ? "" : `; ${score.control_name ?? "control"} ${worth(score.control)}`;
  const value = score.value === null ? (score.note ?? "no value") : worth(score.value);
  return `${title} ${value}${control}${score.value !== null && score.note ? `. ${score.note}` : ""}`;
}

/** Which of the metrics are best in a cell, by name, among those of its row. */
export type Best = ReadonlySet<string>;

export class CellView {
  readonly root: HTMLElement;
  readonly frame: HTMLElement;
  /** Whether it is near enough to the view to be drawn. */
  inView = false;
  /** Its pixels answer the present display. */
  #fresh = false;
  #state = "";
  #under = h("canvas", { class: "xaiw-under", "aria-hidden": "true" });
  #heat = h("canvas", { class: "xaiw-heat", "aria-hidden": "true" });
  #stage = new Stage([this.#under, this.#heat]);
  #message = h("div", { class: "xaiw-message", hidden: true, "aria-hidden": "true" });
  #badge = h("span", { class: "xaiw-cell-badge", hidden: true, "aria-hidden": "true" });
  #about = h("span", { class: "xaiw-name" });
  #score = h("span", { class: "xaiw-number" });
  /** Everything about the cell in words; what stands there for the eye is not read once more. */
  #words = h("span", { class: "xaiw-sr" });
  #metrics = h("span", { class: "xaiw-cell-metrics", "aria-hidden": "true" });
  #drawnPicture: unknown = null;
  #placed: unknown = null;

  constructor(
    private readonly store: ComparisonStore,
    private readonly state: ViewState,
    readonly row: number,
    readonly column: number,
    readonly key: string,
  ) {
    this.frame = h(
      "div",
      { class: "xaiw-cell-frame" },
      this.#stage.root,
      ...this.#stage.crosshair,
      this.#message,
      this.#badge,
    );
    this.root = h(
      "div",
      { role: "gridcell", class: "xaiw-cell", tabindex: -1, "data-key": key },
      this.frame,
      h("span", { class: "xaiw-cell-about", "aria-hidden": "true" }, this.#about, this.#score),
      this.#metrics,
      this.#words,
    );
  }

  /** Whether what is on the screen answers the map that is there. */
  invalidate(): void {
    this.#fresh = false;
  }

  /** Draws what is not drawn yet, if it can be seen. */
  draw(): void {
    if (!this.inView || this.#fresh) return;
    const { store, state } = this;
    const picture = store.pictureOf(this.key);
    const cell = store.mapOf(this.key);
    if (picture && this.#drawnPicture !== picture) {
      this.#drawnPicture = picture;
      state.paint(this.#under, picture);
      this.#stage.place(this.#under, { x: 0, y: 0, width: picture.width, height: picture.height });
      this.layout();
    }
    this.#under.hidden = state.look === "map";
    const map = cell ? state.quantised(cell) : null;
    if (cell && map) {
      const style = state.style(cell);
      state.brush.draw(this.#heat, map, style);
      if (this.#placed !== cell.placement) {
        this.#placed = cell.placement;
        this.#stage.place(this.#heat, cell.placement);
        this.layout();
      }
      setAttr(this.#heat, "data-scale", map.scale);
      setAttr(this.#heat, "data-colours", style.colours);
    } else clear(this.#heat);
    this.#fresh = true;
  }

  /** Gives back what its pixels take. */
  release(): void {
    this.#fresh = false;
    this.#drawnPicture = this.#placed = null;
    for (const canvas of [this.#under, this.#heat]) canvas.width = canvas.height = 1;
  }

  layout(): void {
    const picture = this.store.pictureOf(this.key);
    if (!picture || !this.inView) return;
    const size = { width: this.state.shown, height: this.state.shown };
    const { cursor, viewport } = this.state;
    this.#stage.layout(viewport, size, picture);
    const point = cursor && { x: cursor.x * picture.width, y: cursor.y * picture.height };
    this.#stage.setCursor(point, viewport, size, picture);
  }

  /** The value under the shared cursor. */
  moveCursor(): void {
    const { cursor, viewport, shown: side } = this.state;
    const picture = this.store.pictureOf(this.key);
    if (!picture || !this.inView) return;
    const size = { width: side, height: side };
    const point = cursor && { x: cursor.x * picture.width, y: cursor.y * picture.height };
    this.#stage.setCursor(point, viewport, size, picture);
    this.#tell();
  }

  /** Marks the numbers that are the best of the row. */
  mark(best: Best): void {
    this.store.metrics.forEach(({ name }, i) => {
      const line = this.#metrics.children[i];
      if (line) setAttr(line, "data-best", best.has(name) ? true : null);
    });
  }

  /** Below the map: its value under the shared cursor, else what it is for. */
  #tell(): void {
    const value = this.state.valueOf(this.key);
    const about = value === null ? this.#spoken : signed(value);
    setText(this.#about, about);
    setAttr(this.#about, "data-value", value === null ? null : true);
  }
  #spoken = "";

  /** State, words and numbers; returns whether the map has to be drawn anew. */
  describe(name: string): void {
    const { store } = this;
    const state = store.stateOf(this.key);
    const cell = store.cells.get(this.key);
    if (state !== this.#state) {
      this.#state = state;
      setAttr(this.root, "data-state", state);
      const busy = state === "waiting" || state === "computing";
      setAttr(this.root, "aria-busy", busy ? true : null);
    }
    const message =
      state === "failed" ? (cell?.message ?? "Failed.") : state === "missing" ? "Not computed" : "";
    this.#message.hidden = message === "";
    setText(this.#message, message);
    setAttr(this.#message, "title", message || null);
    const done = cell && state === "done" ? cell : null;
    const spoken = done ? `for ${done.target_text}` : "";
    const score = done ? scoreText(done) : "";
    this.#spoken = spoken;
    setAttr(this.#about, "title", done ? fullText(done) : null);
    this.#tell();
    setText(this.#score, score);
    const scores = store.scores.get(this.key);
    const metrics = store.metrics;
    const said: string[] = [];
    while (this.#metrics.children.length > metrics.length) this.#metrics.lastChild?.remove();
    metrics.forEach((metric, i) => {
      const line = (this.#metrics.children[i] ??
        this.#metrics.appendChild(
          h("span", { class: "xaiw-cell-metric" }, h("span", { class: "xaiw-name" }), h("b")),
        )) as HTMLElement;
      const found = scores?.[metric.name];
      const title = scoreTitle(metric.title, found);
      setText(line.children[0], metric.title);
      setText(line.children[1], state === "failed" ? "" : found ? worth(found.value) : "\u00b7\u00b7\u00b7");
      setAttr(line, "title", title);
      if (found) said.push(title);
    });
    const what = {
      done: [done && fullText(done), ...said].filter(Boolean).join(", "),
      failed: message,
      missing: "not computed",
      computing: "is computed",
      waiting: "waits for its map",
    }[state];
    setText(this.#words, `${name}: ${what}`);
    const chosen = [store.chosen(0), store.chosen(1)].indexOf(this.key);
    setAttr(this.root, "aria-selected", chosen >= 0);
    this.#badge.hidden = chosen < 0;
    setText(this.#badge, chosen === 1 ? "B" : "A");
  }
}

/** The probability where the target is what the model predicts, else the target's score. */
function scoreText({ score, probability: p, predicted, target_text }: Cell): string {
  if (p !== null && predicted === target_text) return probability(p);
  return score === null ? "" : signed(score).replace("+", "");
}

function fullText({ score, probability: p, predicted, target_text }: Cell): string {
  const scored = score === null ? "" : `, score ${signed(score).replace("+", "")}`;
  const predicts = predicted === null ? "" : `, the model predicts ${predicted}`;
  return `for ${target_text}${scored}${predicts}${predicts && p !== null ? ` with ${probability(p)}` : ""}`;
}
