// A slider over frames that are all here: drag, arrow keys, Home and End, play, pause and speed.

import { h, setAttr, setText } from "../core/dom";

/** All frames take so long at normal speed. */
const SWEEP_MS = 3000;
const SPEEDS = [0.25, 0.5, 1, 2, 4];

/** What is said of a frame: beside the slider in two lines, and by a screen reader. */
export interface FrameWords {
  title: string;
  about: string;
  spoken: string;
}

export interface PlayerOptions {
  /** Names the slider. */
  label: string;
  words(index: number): FrameWords;
  onMove(index: number): void;
  /** Stand at the end of the line. */
  actions?: Node[];
}

export interface Player {
  root: HTMLElement;
  /** So many frames there are now, and this one is shown; 0 where there is nothing to scrub. */
  set(count: number, index: number): void;
  rename(label: string): void;
  stop(): void;
}

export function player(options: PlayerOptions): Player {
  const input = h("input", { type: "range", min: 0, max: 1, step: 1, "aria-label": options.label });
  const play = h("button", { type: "button", class: "xaiw-play" });
  const speed = h(
    "select",
    { "aria-label": "Speed", title: "Speed of playing" },
    ...SPEEDS.map((each) => h("option", { value: each, selected: each === 1 }, `${each}\u00d7`)),
  );
  const title = h("b");
  const about = h("span");
  let count = 0;
  let at = 0;
  let frame = 0;
  let started = 0;
  let from = 0;

  const last = () => Math.max(0, count - 1);
  const playing = () => frame !== 0;
  function show(): void {
    input.max = String(Math.max(1, last()));
    input.disabled = play.disabled = count < 2;
    input.value = String(at);
    input.style.setProperty("--filled", `${(last() ? at / last() : 0) * 100}%`);
    const words = count ? options.words(at) : { title: "", about: "", spoken: "nothing to scrub yet" };
    setText(title, words.title);
    setText(about, words.about);
    setAttr(input, "aria-valuetext", words.spoken);
    setAttr(play, "aria-label", playing() ? "Pause" : "Play");
    setAttr(play, "title", playing() ? "Pause" : "Play from here; from the start at the end");
    setAttr(play, "data-playing", playing());
  }
  function go(index: number): void {
    const next = Math.max(0, Math.min(last(), index));
    if (next !== at) {
      at = next;
      options.onMove(at);
    }
    show();
  }
  function stop(): void {
    cancelAnimationFrame(frame);
    frame = 0;
    show();
  }
  function tick(now: number): void {
    const reached = Math.floor(from + ((now - started) / SWEEP_MS) * Number(speed.value) * last());
    const ends = reached >= last() || !input.isConnected;
    frame = ends ? 0 : requestAnimationFrame(tick);
    go(reached);
  }
  function start(): void {
    if (at >= last()) go(0);
    from = at;
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
    const wanted = input.valueAsNumber; // before stopping, which puts the slider back
    if (playing()) stop();
    go(wanted);
  });
  // By hand: hosts take arrow keys away, and a page is a quarter of the frames.
  input.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || input.disabled) return;
    const page = Math.max(1, Math.round(last() / 4));
    const moves: Record<string, number> = {
      ArrowRight: at + 1,
      ArrowUp: at + 1,
      ArrowLeft: at - 1,
      ArrowDown: at - 1,
      PageUp: at + page,
      PageDown: at - page,
      Home: 0,
      End: last(),
    };
    if (event.key === " ") play.click();
    else if (event.key in moves) {
      if (playing()) stop();
      go(moves[event.key]);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  show();

  return {
    root: h(
      "div",
      { class: "xaiw-player", role: "group", "aria-label": "Frames" },
      play,
      h("label", { class: "xaiw-slider" }, input),
      h("span", { class: "xaiw-player-words", "aria-hidden": "true" }, title, about),
      h("span", { class: "xaiw-player-end" }, speed, ...(options.actions ?? [])),
    ),
    set(frames, index) {
      if (playing() && frames !== count) stop();
      count = frames;
      at = Math.max(0, Math.min(last(), index));
      show();
    },
    rename: (label) => setAttr(input, "aria-label", label),
    stop: () => {
      if (playing()) stop();
    },
  };
}
