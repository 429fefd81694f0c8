// One view of the Explorer: composes the parts and passes changes on. All state is in the store, the display or the viewport.

import { companions, type Host } from "../../components/companions";
import type { Change, Context, Part, Point } from "../../components/context";
import { displayControls, signControl } from "../../components/display_controls";
import { foldButton } from "../../components/fold_button";
import { layerPicker } from "../../components/layer_picker";
import { legend } from "../../components/legend";
import { methodPicker } from "../../components/method_picker";
import { parameterForm } from "../../components/parameters";
import { imageRail } from "../../components/rail";
import { regionBox } from "../../components/region_box";
import { RegionState } from "../../components/region_state";
import { regionTools, zoomControl } from "../../components/region_tools";
import { toPng } from "../../components/snapshot";
import { statusLine } from "../../components/status_line";
import { targetPicker } from "../../components/target_picker";
import { linkedViews, type Views } from "../../components/views";
import { Display } from "../../core/display";
import { h, setAttr, setText, uniqueId } from "../../core/dom";
import type { Store } from "../../core/store";
import { Viewport } from "../../core/viewport";
import { TOOLS } from "./closer";

const EVERYTHING: Change[] = [
  "setup",
  "picture",
  "prediction",
  "map",
  "ablation",
  "thumbnails",
  "display",
  "traits",
  "cursor",
  "status",
  "opened",
];

export class Explorer {
  readonly root: HTMLElement;
  /** Tools that are open; they stand below, as they are widgets of their own. */
  readonly below: HTMLElement;
  #parts: Part[];
  #views: Views;
  #live = h("div", { class: "xaiw-sr", "aria-live": "polite" });
  #summary = h("span");
  #announced = "";
  #controller = new AbortController();
  #forget: (() => void)[] = [];

  constructor(
    private readonly store: Store,
    signal?: AbortSignal,
    host?: Host,
  ) {
    const context: Context = {
      store,
      display: new Display(),
      viewport: new Viewport(),
      signal: this.#controller.signal,
      announce: (text) => setText(this.#live, text),
      cursor: null,
      setCursor: (point: Point | null) => {
        context.cursor = point;
        this.#update("cursor");
      },
    };
    const region = new RegionState(store);
    this.#views = linkedViews(context, region, (change) => this.#update(change));
    const rail = imageRail(context);
    const side = [targetPicker, layerPicker, methodPicker, parameterForm].map((make) => make(context));
    const closer = companions(store, host, TOOLS);
    this.below = closer.root;
    this.#forget.push(closer.remove);
    side.push(closer.buttons);
    const tools = regionTools(context, this.#views.drawing);
    const sign = signControl(context);
    const zoom = zoomControl(context, this.#views.panes);
    const scale = legend(context);
    const display = displayControls(context);
    const box = regionBox(context, region, this.#views.drawing);
    const status = statusLine(context);
    // The views come first: they refresh the region that the box describes.
    this.#parts = [this.#views, rail, ...side, tools, sign, zoom, scale, display, box, status];

    const railId = uniqueId("rail");
    const sideId = uniqueId("side");
    rail.root.id = railId;
    const sidePanel = h("div", { class: "xaiw-side", id: sideId }, ...side.map((part) => part.root));
    const main = h(
      "div",
      { class: "xaiw-main" },
      this.#views.root,
      scale.root,
      h("div", { class: "xaiw-tools" }, tools.root, sign.root, zoom.root),
      display.root,
      box.root,
    );
    const body = h(
      "div",
      { class: "xaiw-body" },
      rail.root,
      h("div", { class: "xaiw-middle" }, main),
      sidePanel,
    );
    const folds = h(
      "div",
      { class: "xaiw-folds" },
      foldButton("Images", railId, body, "has-rail", true),
      foldButton("Settings", sideId, body, "has-side", false, this.#summary),
    );
    // What was chosen is scrolled into sight once its list can be seen.
    folds.addEventListener("click", () => this.#update("traits"));
    this.root = h(
      "div",
      {
        class: "xaiw",
        role: "region",
        "aria-label": "Explorer",
        "data-widget": "explorer",
        "data-lm-suppress-shortcuts": "true",
        "data-state": "empty",
        "data-revision": 0,
      },
      folds,
      body,
      status.root,
      this.#live,
    );
    this.root.addEventListener("keydown", (event) => this.#undoKeys(event));

    context.display.onChange(() => this.#update("display"));
    this.#forget.push(
      store.subscribe((topic) => this.#update(topic)),
      store.addView({ root: this.root, toPng: () => toPng(context, this.#views.panes, region) }),
    );
    for (const change of EVERYTHING) this.#update(change);
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

  #update(change: Change): void {
    for (const part of this.#parts) part.update(change);
    if (change === "cursor" || change === "display" || change === "draft") return;
    const { store } = this;
    this.root.classList.toggle("has-setup", store.setup !== null);
    setAttr(this.root, "data-state", store.state);
    setAttr(this.root, "data-revision", store.finalRevision);
    setAttr(this.#views.root, "aria-busy", store.busy);
    const words = [store.targetText, store.method?.title].filter(Boolean);
    setText(this.#summary, words.join(" \u00b7 "));
    const { map } = store;
    if (store.state === "idle" && map && map.key !== this.#announced) {
      this.#announced = map.key;
      setText(this.#live, `${map.method_title} for ${map.target_text} is here.`);
    }
  }

  #undoKeys(event: KeyboardEvent): void {
    const typing = (event.target as Element).matches("input:not([type=range]), select, textarea");
    if (typing || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    event.stopPropagation();
    if (event.shiftKey) this.store.redo();
    else this.store.undo();
  }
}
