// The one slider that moves everything: drag, arrow keys, Home and End, play, pause and speed.

import { h, setAttr, setText } from "../../core/dom";
import { signed } from "../../core/format";
import type { ViewState } from "./state";

/** A sweep takes so long at normal speed. */
const SWEEP_MS = 5000;
const SPEEDS = [0.25, 0.5, 1, 2, 4];

export interface Timeline {
  root: HTMLElement;
  /** Follows the state: step, number of steps. */
  update(): void;
  stop(): void;
}

const spoken = (value: number) => signed(value).replace("+", "").replace("\u2212", "minus ");

export function timeline(state: ViewState, go: (position: number) => void, extra: Node): Timeline {
  const input = h("input", { type: "range", min: 0, max: 1, step: 1, "aria-label": "Step of the path" });
  const play = h("button", { type: "button", class: "xaiw-play", "aria-label": "Play" });
  const speed = h(
    "select",
    { "aria-label": "Speed", title: "Speed of playing" },
    ...SPEEDS.map((each) => h("option", { value: each, selected: each === 1 }, `${each}\u00d7`)),
  );
  const step = h("b");
  const score = h("span");
  let frame = 0;
  let started = 0;
  let from = 0;

  const playing = () => frame !== 0;
  function stop(): void {
    cancelAnimationFrame(frame);
    frame = 0;
    show();
  }
  function show(): void {
    setAttr(play, "aria-label", playing() ? "Pause" : "Play");
    setAttr(play, "title", playing() ? "Pause" : "Play from here; from the start at the end");
    setAttr(play, "data-playing", playing());
  }
  function tick(now: number): void {
    const last = Number(input.max);
    const reached = from + ((now - started) / SWEEP_MS) * Number(speed.value) * last;
    const at = state.stack?.positionOf(reached / last) ?? last;
    if (at >= last || !input.isConnected) {
      frame = 0;
      show();
    } else frame = requestAnimationFrame(tick);
    if (Math.min(at, last) !== state.at) go(Math.min(at, last));
  }
  function start(): void {
    if (state.at >= Number(input.max)) go(0);
    from = state.at;
    started = performance.now();
    frame = requestAnimationFrame(tick);
    show();
  }
  play.addEventListener("click", () => (playing() ? stop() : start()));
  speed.addEventListener("change", () => {
    if (!playing()) return;
    stop();
    start();
  });
  input.addEventListener("input", () => {
    if (playing()) stop();
    go(input.valueAsNumber);
  });
  // By hand: hosts take arrow keys away, and a page is an eighth of the path.
  input.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || input.disabled) return;
    const last = Number(input.max);
    const { stack } = state;
    const steps = stack?.uneven ? stack.nodes.length - 1 : last;
    const page = Math.max(1, Math.round(steps / 8));
    /** So many steps on; of uneven ones, to a point that there is. */
    const by = (delta: number) => {
      if (!stack?.uneven) return state.at + delta;
      return stack.nodes[Math.max(0, Math.min(steps, state.index + delta))].position;
    };
    const next: Record<string, number> = {
      ArrowRight: by(1),
      ArrowUp: by(1),
      ArrowLeft: by(-1),
      ArrowDown: by(-1),
      PageUp: by(page),
      PageDown: by(-page),
      Home: 0,
      End: last,
    };
    if (event.key === " ") play.click();
    else if (event.key in next) {
      if (playing()) stop();
      go(Math.max(0, Math.min(last, next[event.key])));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  show();

  return {
    root: h(
      "div",
      { class: "xaiw-timeline xaiw-player", role: "group", "aria-label": "Path" },
      play,
      h("label", { class: "xaiw-slider" }, input),
      h("span", { class: "xaiw-step-text xaiw-player-words", "aria-hidden": "true" }, step, score),
      h("span", { class: "xaiw-timeline-end xaiw-player-end" }, speed, extra),
    ),
    update() {
      const { stack } = state;
      const last = stack?.path.n_steps ?? 1;
      setAttr(input, "max", last);
      setAttr(input, "step", stack?.uneven ? "any" : 1);
      input.disabled = play.disabled = !stack;
      if (!stack) {
        setAttr(input, "aria-valuetext", "no path yet");
        setText(step, "");
        setText(score, "");
        return;
      }
      const node = stack.nodes[state.index];
      const [here, of] = stack.uneven ? [state.index, stack.nodes.length - 1] : [node.position, last];
      if (input.valueAsNumber !== state.at) input.value = String(state.at);
      input.style.setProperty("--filled", `${(state.at / last) * 100}%`);
      const alpha = node.alpha.toFixed(2);
      const value = node.scores[0];
      setAttr(input, "aria-valuetext", `step ${here} of ${of}, alpha ${alpha}, score ${spoken(value)}`);
      setText(step, `Step ${here} of ${of}`);
      setText(score, `\u03b1 ${alpha} \u00b7 score ${signed(value).replace("+", "")}`);
    },
    stop,
  };
}
