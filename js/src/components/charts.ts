// Line charts over alpha or another position, hand-drawn in SVG: lines when the numbers change, a cursor that only moves.

import { h, setAttr, setText, svg } from "../core/dom";
import { magnitude } from "../core/format";

const HEIGHT = 116;
const PAD = { left: 44, right: 10, top: 8, bottom: 20 };

export interface Line {
  /** Class that gives the colour: target, class, contrast, runner-up, change. */
  kind: string;
  text: string;
  values: readonly number[];
}

export interface Chart {
  root: HTMLElement;
  /** Draws lines over these alphas; `bars` draws the first as columns between them. */
  set(alphas: readonly number[], lines: Line[]): void;
  /** Moves the cursor to a point, and says the values there. */
  move(index: number): void;
  setAside(text: string): void;
  setWords(text: string): void;
  clear(words: string): void;
}

/** Round numbers between two values, two to four of them. */
export function ticks(low: number, high: number): number[] {
  const span = high - low || 1;
  const rough = span / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? rough;
  const found: number[] = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + 1e-9 * span; at += step) {
    found.push(Math.abs(at) < step * 1e-6 ? 0 : at);
  }
  return found;
}

const label = (value: number) => (value < 0 ? "\u2212" : "") + magnitude(Math.abs(value));

/** A tick is a round number: no zeros at its end. */
const short = (text: string) => text.replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, "");

export function chart(
  title: string,
  options: {
    bars?: boolean;
    unit?: (value: number) => string;
    /** The axis runs from the first position to the last, instead of from 0 to 1. */
    fit?: boolean;
    onPick(alpha: number): void;
    signal: AbortSignal;
  },
): Chart {
  const aside = h("span", { class: "xaiw-aside" });
  const grid = svg("g", { class: "xaiw-chart-grid" });
  const marks = svg("g");
  const cursor = svg("line", { class: "xaiw-chart-cursor", y1: PAD.top, y2: HEIGHT - PAD.bottom });
  const dots = svg("g");
  const drawing = svg("svg", { class: "xaiw-chart", height: HEIGHT, role: "img" }, grid, marks, cursor, dots);
  const key = h("div", { class: "xaiw-chart-key" });
  const root = h(
    "figure",
    { class: "xaiw-chart-box" },
    h("figcaption", {}, h("b", {}, title), aside),
    drawing,
    key,
  );
  const unit = options.unit ?? label;
  let width = 320;
  let alphas: readonly number[] = [];
  let lines: Line[] = [];
  let from = 0;
  let to = 1;
  let low = 0;
  let high = 1;
  let words = "";
  let index = -1;
  let values: HTMLElement[] = [];

  const x = (alpha: number) =>
    PAD.left + ((alpha - from) / (to - from || 1)) * (width - PAD.left - PAD.right);
  const y = (value: number) =>
    HEIGHT - PAD.bottom - ((value - low) / (high - low)) * (HEIGHT - PAD.top - PAD.bottom);

  function path({ values }: Line): string {
    if (!options.bars) {
      // What is not there yet leaves a gap.
      const known = (i: number) => i >= 0 && Number.isFinite(values[i]);
      return values
        .map((v, i) =>
          known(i) ? `${known(i - 1) ? "L" : "M"}${x(alphas[i]).toFixed(1)} ${y(v).toFixed(1)}` : "",
        )
        .join("");
    }
    const zero = y(0).toFixed(1);
    const columns = values.slice(1).map((value, i) => {
      const [a, b] = [x(alphas[i]), x(alphas[i + 1])];
      const space = b - a > 3 ? 0.5 : 0;
      return `M${(a + space).toFixed(1)} ${zero}V${y(value).toFixed(1)}H${(b - space).toFixed(1)}V${zero}Z`;
    });
    return columns.join("");
  }

  function draw(): void {
    const every = lines.flatMap((line) => [...line.values]).filter(Number.isFinite);
    low = Math.min(...every, options.bars ? 0 : Number.POSITIVE_INFINITY);
    high = Math.max(...every, options.bars ? 0 : Number.NEGATIVE_INFINITY);
    if (!Number.isFinite(low)) [low, high] = [0, 1];
    const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
    [low, high] = [low - (options.bars && low === 0 ? 0 : room), high + room];
    const across = every.length ? ticks(low, high) : [];
    grid.replaceChildren(
      ...across.flatMap((value) => [
        svg("line", {
          x1: PAD.left,
          x2: width - PAD.right,
          y1: y(value),
          y2: y(value),
          class: value === 0 ? "is-zero" : null,
        }),
        svg("text", { x: PAD.left - 6, y: y(value) + 4, "text-anchor": "end" }, short(unit(value))),
      ]),
      ...(options.fit ? ticks(from, to) : [0, 0.25, 0.5, 0.75, 1]).map((alpha) =>
        svg(
          "text",
          {
            x: x(alpha),
            y: HEIGHT - 5,
            "text-anchor": alpha === from ? "start" : alpha === to ? "end" : "middle",
          },
          options.fit ? short(label(alpha)) : String(alpha),
        ),
      ),
    );
    marks.replaceChildren(
      ...lines.map((line) => svg("path", { class: `xaiw-line is-${line.kind}`, d: path(line) })).reverse(),
    );
    setAttr(drawing, "data-bars", options.bars ? true : null);
    dots.replaceChildren(
      ...(options.bars
        ? []
        : lines.map((line) => svg("circle", { r: 3, class: `xaiw-dot is-${line.kind}` }))),
    );
    values = lines.map(() => h("b"));
    const named = lines.filter((line) => line.text);
    key.replaceChildren(
      ...(named.length
        ? named.map((line, i) =>
            h("span", { class: `xaiw-key is-${line.kind}` }, h("span", {}, line.text), values[i]),
          )
        : [words]),
    );
    place();
  }

  function place(): void {
    const shown = index >= 0 && index < alphas.length;
    cursor.style.visibility = shown ? "visible" : "hidden";
    dots.style.visibility = shown ? "visible" : "hidden";
    if (!shown) return;
    const left = x(alphas[index]);
    setAttr(cursor, "x1", left);
    setAttr(cursor, "x2", left);
    const known = (i: number) => Number.isFinite(lines[i].values[index]);
    [...dots.children].forEach((dot, i) => {
      setAttr(dot, "visibility", known(i) ? null : "hidden");
      if (!known(i)) return;
      setAttr(dot, "cx", left);
      setAttr(dot, "cy", y(lines[i].values[index]));
    });
    lines.forEach((line, i) => {
      setText(values[i], known(i) ? unit(line.values[index]) : "");
    });
  }

  const sizes = new ResizeObserver(([entry]) => {
    const now = Math.round(entry.contentRect.width);
    if (now < 40 || now === width) return;
    width = now;
    draw();
  });
  sizes.observe(root);
  options.signal.addEventListener("abort", () => sizes.disconnect());

  const pick = (event: PointerEvent) => {
    const at = event.clientX - drawing.getBoundingClientRect().left;
    const share = Math.max(0, Math.min(1, (at - PAD.left) / (width - PAD.left - PAD.right)));
    options.onPick(from + share * (to - from));
  };
  drawing.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    drawing.setPointerCapture(event.pointerId);
    event.preventDefault();
    pick(event);
  });
  drawing.addEventListener("pointermove", (event) => {
    if (event.buttons === 1) pick(event);
  });
  draw();

  return {
    root,
    set(at, drawn) {
      alphas = at;
      if (options.fit && at.length > 1) [from, to] = [at[0], at[at.length - 1]];
      lines = drawn;
      setAttr(drawing, "aria-label", `${title}: ${drawn.map((line) => line.text || title).join(", ")}`);
      draw();
    },
    move(at) {
      index = at;
      place();
    },
    setAside(text) {
      setText(aside, text);
      setAttr(aside, "title", text || null); // it is cut off where there is no room
    },
    setWords(text) {
      words = text;
      if (!lines.some((line) => line.text)) setText(key, text);
    },
    clear(text) {
      words = text;
      alphas = [];
      lines = [];
      setAttr(drawing, "aria-label", `${title}: nothing yet`);
      draw();
    },
  };
}
