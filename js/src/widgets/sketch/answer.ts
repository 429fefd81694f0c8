// What the model sees, pixel by pixel, and what it says: follows every answer, while the hand moves.
import { h, setAttr, setText } from "../../core/dom";
import { percent, signed } from "../../core/format";
import { drawPicture } from "../../core/renderer";
import type { SketchStore } from "./store";

export interface Answer {
  root: HTMLElement;
  canvas: HTMLCanvasElement;
  /** The drawing or the paper has changed. */
  look(): void;
  /** The kernel has answered. */
  say(): void;
  /** The answer in words. */
  readonly text: string;
}

export function answer(store: SketchStore): Answer {
  const canvas = h("canvas", { class: "xaiw-seen", role: "img", "aria-label": "What the model sees" });
  const name = h("b", { class: "xaiw-says" });
  const value = h("span", { class: "xaiw-says-value" });
  const size = h("small");
  const root = h(
    "section",
    { class: "xaiw-section xaiw-answer" },
    h("div", { class: "xaiw-heading" }, h("h3", {}, "The model sees"), size),
    h("div", { class: "xaiw-answer-row" }, canvas, h("div", {}, name, value)),
  );
  let text = "";
  return {
    root,
    canvas,
    get text() {
      return text;
    },
    look() {
      if (!store.setup) return;
      const { array } = store.pad.picture();
      drawPicture(canvas, array);
      const [height, width] = store.pad.size;
      canvas.classList.toggle("is-coarse", Math.max(height, width) < 96);
      setText(size, `${width} \u00d7 ${height} px`);
    },
    say() {
      const { prediction, outputs, setup } = store;
      const at = prediction?.predicted ?? -1;
      const number = outputs?.[at];
      const regression = setup?.task === "regression";
      setText(
        name,
        regression && number !== undefined ? signed(number).replace("+", "") : at < 0 ? "" : store.label(at),
      );
      setAttr(name, "title", name.textContent);
      const share = prediction?.probabilities ? percent(number ?? 0) : signed(number);
      setText(value, number === undefined ? "" : regression ? store.label(at) : share);
      text = at < 0 ? "" : `The model says ${name.textContent}, ${value.textContent}`;
    },
  };
}
