// One view of the workbench: composes the parts and passes changes on. All state is in the store or on the desk.

import type { Host } from "../../components/companions";
import type { Change, Context, Part, Point } from "../../components/context";
import { segmented, slider } from "../../components/controls";
import { foldButton } from "../../components/fold_button";
import { legend } from "../../components/legend";
import { imageRail } from "../../components/rail";
import { RegionState } from "../../components/region_state";
import { zoomControl } from "../../components/region_tools";
import { linkedViews } from "../../components/views";
import { Display } from "../../core/display";
import { h, setAttr, setText, uniqueId } from "../../core/dom";
import { Viewport } from "../../core/viewport";
import { Annotating } from "./annotating";
import { annotations } from "./annotations";
import { Desk } from "./desk";
import { remove } from "./examples";
import { bindKeys, help } from "./keys";
import { shelf } from "./shelf";
import { statusFoot } from "./status";
import type { WorkbenchStore } from "./store";
import { annotateTools } from "./tools";

const EVERYTHING: Change[] = [
  "setup",
  "picture",
  "prediction",
  "map",
  "thumbnails",
  "display",
  "traits",
  "shelf",
  "bars",
  "sweep",
  "suggestions",
  "cursor",
  "status",
  "opened",
];

const HELP =
  "Plus and minus zoom, 0 fits. With Pan, arrows move the picture. With another tool, arrows move the cursor, Shift for " +
  "single pixels; Enter or Space picks, places a corner or point, or paints; Enter adds what is painted; Backspace takes " +
  "back a point, Escape abandons, Delete removes the selected example.";

export class Workbench {
  readonly root: HTMLElement;
  /** Where what is open below stands; it comes with the scores' code. */
  readonly below = h("div");
  #live = h("div", { class: "xaiw-sr", "aria-live": "polite" });
  #controller = new AbortController();
  #forget: (() => void)[];

  constructor(store: WorkbenchStore, signal?: AbortSignal, host?: Host) {
    const display = new Display();
    display.state = { ...display.state, tool: "superpixel" };
    const viewport = new Viewport();
    const announce = (text: string) => setText(this.#live, text);
    const context: Context = {
      store,
      display,
      viewport,
      signal: this.#controller.signal,
      announce,
      cursor: null,
      setCursor: (point: Point | null) => {
        context.cursor = point;
        update("cursor");
      },
    };
    // A change of the desk is shown by the parts that show the shelf.
    const desk = new Desk(
      store,
      () => {
        update("shelf");
        views.update("traits");
      },
      announce,
    );
    const region = new RegionState(store, () => desk.pending);
    const views = linkedViews(context, region, (change) => update(change), {
      titles: { image: "Picture", overlay: "Concept map" },
      help: HELP,
      drawing: (changed) =>
        new Annotating(context, region, changed, desk, () => {
          if (desk.example) remove(store, desk, desk.example, announce);
        }),
    });
    const [image, , overlay] = views.panes;
    const marks = annotations(store, desk, viewport, [image, overlay]);
    const note = h("p", { class: "xaiw-pane-note", hidden: true });
    overlay.frame.append(note);
    viewport.onChange(() => marks.layout());
    const sizes = new ResizeObserver(() => marks.layout());
    for (const { frame } of [image, overlay]) sizes.observe(frame);
    context.signal.addEventListener("abort", () => sizes.disconnect());
    for (const { frame } of [image, overlay]) pickWithPan(frame);

    /** With Pan, a click that did not drag picks the example under it. */
    function pickWithPan(frame: HTMLElement): void {
      let from: Point | null = null;
      frame.addEventListener("pointerdown", ({ clientX: x, clientY: y }) => {
        from = { x, y };
      });
      frame.addEventListener("pointerup", ({ clientX, clientY }) => {
        const still = from && Math.hypot(clientX - from.x, clientY - from.y) < 4;
        if (display.state.tool !== "pan" || !still || !context.cursor) return;
        const id = marks.at(context.cursor);
        const concept = store.example(id)?.concept.name;
        desk.select(id);
        if (concept && concept !== store.concept?.name) store.ask({ concept });
      });
    }

    const rail = imageRail(context);
    const concepts = shelf(context, store, desk);
    desk.name = () => concepts.name();
    const tools = annotateTools(context, store, desk, () => views.drawing);
    const zoom = zoomControl(context, views.panes.slice(0, 1));
    const scale = legend(context);
    const show = segmented(
      "radiogroup",
      "Show",
      [
        { value: "picture", text: "Picture", title: "The picture alone" },
        { value: "both", text: "Both", title: "The picture, and where the concept acts" },
        { value: "map", text: "Map", title: "Where the concept acts, over the picture" },
      ],
      (value) => {
        desk.chosen = true;
        desk.show = value as Desk["show"];
        layout();
      },
    );
    const opacity = slider(
      "Opacity",
      { min: 0, max: 1, step: 0.01 },
      (v) => v.toFixed(2),
      (v) => display.set({ opacity: v }),
    );
    const keys = help();
    // These come with the scores' code.
    const suggestions = h("div");
    const side = h("div", { class: "xaiw-side" }, h("section", { class: "xaiw-section" }));
    const outcome = h("p", { class: "xaiw-advice" });
    const foot = statusFoot(context, store, keys.button);
    const parts: Part[] = [views, rail, concepts, tools, zoom, scale, keys, foot];

    const railId = uniqueId("rail");
    const sideId = uniqueId("side");
    const shelfId = uniqueId("shelf");
    rail.root.id = railId;
    side.id = sideId;
    concepts.root.id = shelfId;
    const summary = h("span");
    const mapLine = h("div", { class: "xaiw-tools" }, show.root, opacity.root);
    const main = h(
      "div",
      { class: "xaiw-main" },
      views.root,
      scale.root,
      mapLine,
      h("div", { class: "xaiw-tools" }, tools.root, zoom.root),
      tools.hint,
      suggestions,
    );
    const body = h(
      "div",
      { class: "xaiw-body" },
      rail.root,
      concepts.root,
      h("div", { class: "xaiw-middle" }, main),
      side,
    );
    const folds = h(
      "div",
      { class: "xaiw-folds" },
      foldButton("Images", railId, body, "has-rail", true),
      foldButton("Concepts", shelfId, body, "has-shelf", true),
      foldButton("Test", sideId, body, "has-side", false, summary),
    );
    folds.addEventListener("click", () => update("traits"));
    this.root = h(
      "div",
      {
        class: "xaiw xaiw-workbench",
        role: "region",
        "aria-label": "Concept workbench",
        "data-widget": "workbench",
        "data-lm-suppress-shortcuts": "true",
        "data-state": "empty",
        "data-revision": 0,
      },
      folds,
      concepts.conflict,
      body,
      outcome,
      keys.root,
      foot.root,
      this.#live,
    );

    bindKeys(this.root, {
      undo: () => {
        if (!desk.back() && store.shelf?.undo) store.edit({ op: "undo" });
      },
      redo: () => {
        if (store.shelf?.redo) store.edit({ op: "redo" });
      },
      name: () => concepts.name(),
      whole: () => {
        if (store.picture) desk.keep(null, "The whole image");
      },
      select: (position) => concepts.select(position),
      turn: (step) => {
        const n = store.setup?.n_images ?? 0;
        store.setImage(Math.max(0, Math.min(n - 1, store.get("image_index") + step)));
      },
      help: () => keys.toggle(),
      drop: () => desk.drop(),
    });

    /** One picture or two: the second comes with the first map. */
    function layout(): void {
      const has = store.map !== null;
      if (has && !desk.chosen) desk.show = "both";
      const shown = has ? desk.show : "picture";
      setAttr(views.root, "data-show", shown);
      show.select(shown);
      mapLine.hidden = !has;
      scale.root.hidden = opacity.root.hidden = shown === "picture";
      opacity.set(display.state.opacity);
    }

    let complete = false;
    const finish = ({ scores, style, KEYS }: NonNullable<typeof store.scores>) => {
      complete = true;
      keys.fill(KEYS);
      const late = scores(context, store, desk, host);
      this.below.append(late.closer.root);
      this.#forget.push(late.closer.remove);
      this.root.append(h("style", {}, style));
      suggestions.replaceWith(late.suggestions.root);
      concepts.details.replaceWith(late.details.root);
      outcome.replaceWith(late.results.root);
      side.replaceChildren(...late.side.map((part) => part.root));
      const own = [late.details, late.suggestions, late.results, ...late.side];
      parts.push(...own);
      for (const change of EVERYTHING) for (const part of own) part.update(change);
    };

    const update = (change: Change) => {
      if (change === "picture") desk.turned(() => views.drawing.abandon());
      for (const part of parts) part.update(change);
      if (store.scores && !complete) finish(store.scores);
      if (!complete) setText(outcome, store.scoresFault);
      if (change === "cursor" || change === "draft") return;
      const { map } = store;
      overlay.setAside(map ? [store.concept?.name, map.layer].filter(Boolean).join(" \u00b7 ") : "");
      const flat = store.mapIsFlat;
      note.hidden = !flat;
      setText(note, flat ? `After ${map?.layer} every place counts the same: look at an earlier layer.` : "");
      views.root.classList.toggle("is-flat", flat);
      if (["shelf", "picture", "traits", "suggestions"].includes(change)) marks.update();
      this.root.style.setProperty("--drawing", store.concept?.colour ?? null);
      layout();
      setText(
        summary,
        [store.targetText, store.asked("testing") ? "testing" : ""].filter(Boolean).join(" \u00b7 "),
      );
      this.root.classList.toggle("has-setup", store.setup !== null);
      setAttr(this.root, "data-state", store.state);
      setAttr(this.root, "data-revision", store.finalRevision);
      setAttr(this.root, "data-saving", store.saving.size);
      setAttr(views.root, "aria-busy", store.busy);
    };
    display.onChange(() => update("display"));
    this.#forget = [
      store.subscribe((topic) => update(topic)),
      store.addView({
        root: this.root,
        toPng: async () => (await store.scores?.toPng(context, store, [image, overlay])) ?? new Uint8Array(0),
      }),
    ];
    for (const change of EVERYTHING) update(change);
    signal?.addEventListener("abort", () => this.remove(), { once: true });
  }

  /** Lets go of everything; safe to call twice, as hosts may do both or neither. */
  remove(): void {
    this.#controller.abort();
    for (const forget of this.#forget) forget();
    this.#forget = [];
    this.root.remove();
    this.below.remove();
  }
}
