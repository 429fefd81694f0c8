// One view of the sketch pad: composes the parts and passes changes on. Strokes are in the pad, the rest in the store.

import type { Change, Context, Part, Point } from "../../components/context";
import { displayControls, signControl } from "../../components/display_controls";
import { foldButton } from "../../components/fold_button";
import { layerPicker } from "../../components/layer_picker";
import { legend } from "../../components/legend";
import { methodPicker } from "../../components/method_picker";
import { parameterForm } from "../../components/parameters";
import { type Fact, statusBar } from "../../components/status_bar";
import { targetPicker } from "../../components/target_picker";
import { Display } from "../../core/display";
import { h, setAttr, setText, uniqueId } from "../../core/dom";
import { Viewport } from "../../core/viewport";
import { answer } from "./answer";
import { calm } from "./calm";
import { receivePictures } from "./pictures";
import { shelf } from "./shelf";
import { toPng } from "./snapshot";
import type { SketchStore } from "./store";
import { surface } from "./surface";
import { tools } from "./tools";

/** The answer is said when the hand rests, not at every point of a stroke. */
const SAID_AFTER_MS = 600;
const EVERYTHING: Change[] = [
  "setup",
  "picture",
  "prediction",
  "map",
  "display",
  "traits",
  "cursor",
  "status",
];

export class SketchPad {
  readonly root: HTMLElement;
  #controller = new AbortController();
  #forget: (() => void)[];
  #timer: ReturnType<typeof setTimeout> | null = null;
  #live = h("div", { class: "xaiw-sr", "aria-live": "polite" });

  constructor(
    private readonly store: SketchStore,
    signal?: AbortSignal,
  ) {
    const aborted = this.#controller.signal;
    const { pad } = store;
    const context: Context = {
      store,
      display: new Display(),
      viewport: new Viewport(),
      signal: aborted,
      announce: (text) => setText(this.#live, text),
      cursor: null,
      setCursor: (point: Point | null) => {
        context.cursor = point;
        scale?.update("cursor");
      },
    };
    let scale: Part | null = null;
    const view = surface(context, store, () => brushes?.update());
    let brushes: ReturnType<typeof tools> | null = null;
    const bench = tools(store, view.hand, context.announce);
    brushes = bench;
    scale = legend(context);
    const said = answer(store);
    const rail = shelf(store, (name) => context.announce(`${name} is drawn.`), aborted);
    const side = [targetPicker, methodPicker, layerPicker, parameterForm].map((make) => make(context));
    const sign = signControl(context);
    const display = displayControls(context);
    const why = h("p", { class: "xaiw-other", hidden: true });
    const parts: Part[] = [...side, sign, display, scale];

    const railId = uniqueId("rail");
    const sideId = uniqueId("side");
    const summary = h("span");
    rail.root.id = railId;
    const main = h(
      "div",
      { class: "xaiw-main" },
      h("div", { class: "xaiw-desk" }, bench.root, view.root),
      scale.root,
      h("div", { class: "xaiw-tools" }, sign.root, display.root),
    );
    const [target, ...rest] = side.map((part) => part.root);
    const body = h(
      "div",
      { class: "xaiw-body" },
      rail.root,
      h("div", { class: "xaiw-middle" }, main),
      h(
        "div",
        { class: "xaiw-side" },
        said.root,
        target,
        h("div", { class: "xaiw-asked", id: sideId }, why, ...rest),
      ),
    );
    const folds = h(
      "div",
      { class: "xaiw-folds" },
      foldButton("Sketches", railId, body, "has-rail", true),
      foldButton("Settings", sideId, body, "has-side", false, summary),
    );
    const quiet = calm(store, () => status(), aborted);
    const bar = statusBar({ store: quiet, facts: () => this.#facts(), nothing: "" });
    const foot = h("div", { class: "xaiw-foot" }, bar.line);
    this.root = h(
      "div",
      {
        class: "xaiw xaiw-sketch",
        role: "region",
        "aria-label": "Sketch pad",
        "data-widget": "sketch",
        "data-lm-suppress-shortcuts": "true",
        "data-state": "empty",
        "data-revision": 0,
      },
      folds,
      body,
      foot,
      this.#live,
    );
    bench.receive(receivePictures(this.root, store, (text) => bench.say(text)));
    this.root.addEventListener("keydown", (event) => this.#undoKeys(event, () => view.hand.lift()));

    const status = () => {
      quiet.look();
      bar.update(foot);
      view.update("status");
      const verdict = store.setup?.verdict;
      const limited = verdict && ["inference-only", "broken"].includes(verdict.verdict);
      const reason = store.refused ?? (limited || (verdict && !store.get("method")) ? verdict.sentence : "");
      why.hidden = !reason;
      setText(why, reason);
      this.root.classList.toggle("has-setup", store.setup !== null);
      setAttr(this.root, "data-state", store.state);
      setAttr(this.root, "data-revision", store.finalRevision);
      setAttr(this.root, "data-sent", store.sent);
      setAttr(this.root, "data-answered", store.answered);
      setText(summary, [store.targetText, store.method?.title].filter(Boolean).join(" \u00b7 "));
    };
    const update = (change: Change) => {
      for (const part of parts) part.update(change);
      if (change === "cursor") return;
      view.update(change);
      if (change === "setup") {
        const { width } = store.padSetup ?? { width: 0.04 };
        if (!started && store.padSetup) view.hand.set({ width });
        started = started || store.padSetup !== null;
        rail.update();
        said.look();
        bench.update();
      }
      if (change === "prediction" || change === "setup") {
        said.say();
        this.#sayLater(() => said.text);
      }
      if (change !== "display") status();
    };
    let started = false;
    context.display.onChange(() => update("display"));
    this.#forget = [
      store.subscribe((topic) => update(topic)),
      pad.subscribe((change) => {
        said.look();
        if (change !== "stroke") rail.update();
        bench.update();
      }),
      store.addView({ root: this.root, toPng: () => toPng(store, view.pane, said.canvas) }),
      view.remove,
    ];
    for (const change of EVERYTHING) update(change);
    bench.update();
    signal?.addEventListener("abort", () => this.remove(), { once: true });
  }

  /** Lets go of everything; safe to call twice, as hosts may do both or neither. */
  remove(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#controller.abort();
    for (const forget of this.#forget) forget();
    this.#forget = [];
    this.root.remove();
  }

  #sayLater(text: () => string): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (!this.root.contains(document.activeElement)) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (!this.store.pad.current) setText(this.#live, text());
    }, SAID_AFTER_MS);
  }

  #facts(): Fact[] {
    const { setup, result } = this.store;
    if (!setup) return [];
    const about = { text: setup.title, title: `A model of ${setup.framework}: ${setup.preprocessing}` };
    return [about, ...(result?.facts ?? [])];
  }

  #undoKeys(event: KeyboardEvent, lift: () => void): void {
    const typing = (event.target as Element).matches("input:not([type=range], [type=checkbox]), select");
    if (typing || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    event.stopPropagation();
    lift();
    if (event.shiftKey) this.store.redo();
    else this.store.undo();
  }
}
