// A slider that plays: drag, arrow keys, Home and End, play, pause and speed.

import { h, setAttr, setText } from "../core/dom";

/** A sweep takes so long at normal speed. */
const SWEEP_MS = 5000;
const SPEEDS = [0.25, 0.5, 1, 2, 4];

export interface PlayerOptions {
  /** Of the slider, and of the group around it. */
  label: string;
  group: string;
  /** Where it stands, 0..last. */
  at(): number;
  go(position: number): void;
  /** The position that many steps on, where they are not of equal length. */
  by?(delta: number): number;
  /** The position at a share 0..1 of the way; rounded unless said otherwise. */
  positionOf?(share: number): number;
  /** How many steps a page of an eighth is counted in. */
  steps?(): number;
  /** Stands at the end. */
  extra?: Node;
}

export interface PlayerState {
  /** Another name for the slider, where it comes to mean something else. */
  label?: string;
  last: number;
  /** Positions between whole numbers exist. */
  fine?: boolean;
  disabled: boolean;
  /** What a screen reader says. */
  spoken: string;
  title: string;
  about: string;
}

export interface Player {
  root: HTMLElement;
  update(state: PlayerState): void;
  stop(): void;
}

export function player(options: PlayerOptions): Player {
  const { at, go } = options;
  const input = h("input", { type: "range", min: 0, max: 1, step: 1, "aria-label": options.label });
  const play = h("button", { type: "button", class: "xaiw-play", "aria-label": "Play" });
  const speed = h(
    "select",
    { "aria-label": "Speed", title: "Speed of playing" },
    ...SPEEDS.map((each) => h("option", { value: each, selected: each === 1 }, `${each}\u00d7`)),
  );
  const title = h("b");
  const about = h("span");
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
    const reached = from + (Math.max(0, now - started) / SWEEP_MS) * Number(speed.value) * last;
    const position = options.positionOf?.(reached / last) ?? Math.floor(reached);
    if (position >= last || !input.isConnected) {
      frame = 0;
      show();
    } else frame = requestAnimationFrame(tick);
    if (Math.min(position, last) !== at()) go(Math.min(position, last));
  }
  function start(): void {
    if (at() >= Number(input.max)) go(0);
    from = at();
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
  // By hand: hosts take arrow keys away, and a page is an eighth of the way.
  input.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || input.disabled) return;
    const last = Number(input.max);
    const page = Math.max(1, Math.round((options.steps?.() ?? last) / 8));
    const by = options.by ?? ((delta: number) => at() + delta);
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
      { class: "xaiw-timeline", role: "group", "aria-label": options.group },
      play,
      h("label", { class: "xaiw-slider" }, input),
      h("span", { class: "xaiw-step-text", "aria-hidden": "true" }, title, about),
      h("span", { class: "xaiw-timeline-end" }, speed, options.extra),
    ),
    update(state) {
      setAttr(input, "aria-label", state.label ?? options.label);
      setAttr(input, "max", state.last);
      setAttr(input, "step", state.fine ? "any" : 1);
      input.disabled = play.disabled = state.disabled;
      setAttr(input, "aria-valuetext", state.spoken);
      setText(title, state.title);
      setText(about, state.about);
      if (state.disabled) return;
      const position = at();
      if (input.valueAsNumber !== position) input.value = String(position);
      input.style.setProperty("--filled", `${(position / state.last) * 100}%`);
    },
    stop,
  };
}
