// One view of the gallery: composes the parts and passes changes on. All state is in the store or in the parts.

import type { Change, Context, Point } from "../../components/context";
import { foldButton } from "../../components/fold_button";
import { type Fact, statusBar } from "../../components/status_bar";
import { showVerdict } from "../../components/verdict_badge";
import { Display } from "../../core/display";
import { h, setAttr, setText, uniqueId } from "../../core/dom";
import { Viewport } from "../../core/viewport";
import { asking } from "./asking";
import { detail } from "./detail";
import { exciting } from "./exciting";
import { grid } from "./grid";
import { toPng } from "./snapshot";
import type { GalleryStore } from "./store";

const EVERYTHING: Change[] = [
  "setup",
  "gallery",
  "features",
  "film",
  "exciting",
  "thumbnails",
  "traits",
  "status",
];

export class FeatureGallery {
  readonly root: HTMLElement;
  #live = h("div", { class: "xaiw-sr", "aria-live": "polite" });
  #controller = new AbortController();
  #forget: (() => void)[];

  constructor(
    private readonly store: GalleryStore,
    signal?: AbortSignal,
  ) {
    const own = this.#controller.signal;
    const announce = (text: string) => setText(this.#live, text);
    const context: Context = {
      store,
      display: new Display(),
      viewport: new Viewport(),
      signal: own,
      announce,
      cursor: null,
      setCursor: (_point: Point | null) => {},
    };
    const page = grid(store, own, announce);
    const found = exciting(store);
    const large = detail(store, found.root, own);
    const side = asking(context, store);
    const badge = h("span", { class: "xaiw-badge-text", hidden: true });
    const bar = statusBar({ store, lead: [badge], facts: () => this.#facts(), nothing: "" });
    const foot = h("div", { class: "xaiw-foot" }, bar.line);
    const sideId = uniqueId("side");
    const summary = h("span");
    const refusal = h("p", { class: "xaiw-refusal", hidden: true });
    const main = h("div", { class: "xaiw-main" }, large.root);
    const body = h(
      "div",
      { class: "xaiw-body" },
      page.root,
      h("div", { class: "xaiw-middle" }, main),
      h("div", { class: "xaiw-side", id: sideId }, ...side.map((part) => part.root)),
      refusal,
    );
    const folds = h(
      "div",
      { class: "xaiw-folds" },
      foldButton("Settings", sideId, body, "has-side", false, summary),
    );
    folds.addEventListener("click", () => update("traits"));
    this.root = h(
      "div",
      {
        class: "xaiw xaiw-gallery",
        role: "region",
        "aria-label": "Feature gallery",
        "data-widget": "gallery",
        "data-lm-suppress-shortcuts": "true",
        "data-state": "empty",
        "data-revision": 0,
      },
      folds,
      body,
      foot,
      this.#live,
    );

    const status = () => {
      bar.update(foot);
      showVerdict(badge, store.setup?.verdict);
      const failed = store.state === "error" ? (store.error?.message ?? "") : "";
      const nothing = store.tiles.size === 0;
      const without = failed !== "" && nothing;
      // A model that only predicts has nothing to choose from either.
      const never = without && store.gallery === null && store.error?.stage === "load";
      refusal.hidden = !without;
      setText(refusal, failed);
      body.classList.toggle("is-without", without);
      body.classList.toggle("is-refused", never);
      const none = store.gallery?.where && store.gallery.items.length === 0;
      large.setMessage(
        nothing && store.state === "cancelled"
          ? "Cancelled before there was a picture: Retry starts again."
          : none
            ? "No channel of this layer fires more in the region than elsewhere."
            : "",
      );
      this.root.classList.toggle("has-setup", store.setup !== null);
      setText(summary, [store.asked("kind"), store.gallery?.layer].filter(Boolean).join(" \u00b7 "));
      setAttr(page.root, "aria-busy", store.busy);
      setAttr(this.root, "data-state", store.state);
      setAttr(this.root, "data-revision", store.finalRevision);
    };
    const update = (change: Change) => {
      for (const part of side) part.update(change);
      if (change === "gallery" || change === "traits") page.build();
      else if (change === "features") page.draw();
      if (["gallery", "features", "film", "traits"].includes(change)) large.update();
      if (["setup", "gallery", "exciting", "traits", "status"].includes(change)) found.update();
      status();
    };
    this.#forget = [
      () => large.stop(),
      store.subscribe(update),
      store.addView({ root: this.root, toPng: () => toPng(store, large) }),
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
  }

  #facts(): Fact[] {
    const { gallery, setup } = this.store;
    if (!gallery || !setup) return [];
    const done = gallery.items.filter(({ index }) => this.store.tiles.get(index)?.done).length;
    return [
      { text: setup.title, title: `A model of ${setup.framework}` },
      { text: `${done} of ${gallery.items.length} pictures`, title: "Pictures of this page that are done" },
      ...(this.store.result?.facts ?? []),
    ];
  }
}
