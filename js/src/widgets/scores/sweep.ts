// Scrubbing the concept: the activation moves along the concept's vector, and the class outputs follow.
//
// The kernel has computed the outputs for a range once; the slider asks for nothing.
import { chart, type Line } from "../../components/charts";
import type { Change, Context, Part } from "../../components/context";
import { h, setAttr, setText } from "../../core/dom";
import { probability, signed } from "../../core/format";
import type { WorkbenchStore } from "../workbench/store";

/** The target and the classes that ever come out on top, at most so many. */
const LINES = 4;
const KINDS = ["target", "class", "contrast", "runner-up"];

const spoken = (value: number) => signed(value).replace("+", "plus ").replace("\u2212", "minus ");

export function sweepBox(context: Context, store: WorkbenchStore): Part {
  let at = 0;
  let key = "";
  const input = h("input", { type: "range", min: 0, max: 1, step: 1, "aria-label": "Concept strength" });
  const less = h("span", {}, "less");
  const more = h("span", {}, "more");
  const reset = h("button", { type: "button", class: "xaiw-link", title: "As the model sees it" }, "Reset");
  const words = h("span", { class: "xaiw-sweep-value", "aria-hidden": "true" });
  const drawn = chart("Outputs along the concept", {
    fit: true,
    unit: (value) => text(value),
    onPick: (epsilon) => go(nearest(epsilon)),
    signal: context.signal,
  });
  const title = h("h3", {}, "Scrub the concept");
  const about = h("small");
  const line = h(
    "div",
    { class: "xaiw-sweep-line" },
    less,
    h("label", { class: "xaiw-slider" }, input),
    more,
    words,
    reset,
  );
  const root = h(
    "section",
    { class: "xaiw-section xaiw-sweep-box", "aria-label": "Scrub the concept" },
    h("div", { class: "xaiw-heading" }, title, about),
    drawn.root,
    line,
  );

  const epsilons = () => store.sweep?.epsilons.data ?? [];
  const output = (position: number, index: number): number => {
    const { sweep } = store;
    return sweep ? Number(sweep.outputs.data[position * sweep.outputs.shape[1] + index]) : 0;
  };
  function nearest(epsilon: number): number {
    const all = [...epsilons()].map(Number);
    return all.reduce(
      (best, value, i) => (Math.abs(value - epsilon) < Math.abs(all[best] - epsilon) ? i : best),
      0,
    );
  }

  /** Classes with a line: the target, what it is compared with, then whoever comes highest anywhere. */
  function classes(): number[] {
    const { sweep } = store;
    if (!sweep) return [];
    const [rows, columns] = sweep.outputs.shape;
    const highest = Array.from({ length: columns }, (_, index) =>
      Math.max(...Array.from({ length: rows }, (_, row) => output(row, index))),
    );
    const order = [...highest.keys()].sort((a, b) => highest[b] - highest[a]);
    const target = store.resolvedTarget?.index;
    const wanted = [target, ...(store.asked("compare") ?? []), ...order];
    return [...new Set(wanted)]
      .filter((index): index is number => index !== undefined && index < columns)
      .slice(0, LINES);
  }
  const text = (value: number) => (store.sweep?.probabilities ? probability(value) : signed(value));

  function go(position: number): void {
    const last = epsilons().length - 1;
    at = Math.max(0, Math.min(last, position));
    drawn.move(at);
    const epsilon = Number(epsilons()[at] ?? 0);
    input.value = String(at);
    input.style.setProperty("--filled", `${last > 0 ? (at / last) * 100 : 0}%`);
    setText(words, `\u03b5 ${signed(epsilon)}`);
    const values = classes().map((index) => `${store.label(index)} ${text(output(at, index))}`);
    setAttr(input, "aria-valuetext", `epsilon ${spoken(epsilon)}, ${values.join(", ")}`);
    setAttr(root, "data-epsilon", epsilon);
  }

  function fill(): void {
    const { sweep } = store;
    root.hidden = !sweep;
    if (!sweep) {
      key = "";
      return;
    }
    const last = epsilons().length - 1;
    setAttr(input, "max", Math.max(1, last));
    setText(about, `${sweep.concept} at ${sweep.layer}`);
    setText(less, "less");
    drawn.setAside(sweep.probabilities ? "probability" : "score");
    const lines: Line[] = classes().map((index, i) => ({
      kind: KINDS[i],
      text: store.label(index),
      values: Array.from({ length: last + 1 }, (_, row) => output(row, index)),
    }));
    drawn.set([...epsilons()].map(Number), lines);
    // The hand stays where it is while the same concept is computed again.
    const now = `${sweep.concept} ${sweep.layer} ${last}`;
    const zero = nearest(0);
    go(now === key ? at : zero);
    key = now;
  }

  input.addEventListener("input", () => go(input.valueAsNumber));
  reset.addEventListener("click", () => go(nearest(0)));
  // By hand: hosts take arrow keys away, and a page is an eighth of the range.
  input.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = epsilons().length - 1;
    const page = Math.max(1, Math.round(last / 8));
    const next: Record<string, number> = {
      ArrowRight: at + 1,
      ArrowUp: at + 1,
      ArrowLeft: at - 1,
      ArrowDown: at - 1,
      PageUp: at + page,
      PageDown: at - page,
      Home: 0,
      End: last,
    };
    if (!(event.key in next)) return;
    go(next[event.key]);
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    root,
    update(change: Change) {
      if (change === "sweep" || change === "setup" || change === "prediction") fill();
    },
  };
}
