// One view of the attention: composes the parts and passes changes on. All state is in the store or the view's state.

import { type Fact, statusBar } from "../../components/status_bar";
import { type Query, tokenName } from "../../core/attention";
import { h, setAttr, setText } from "../../core/dom";
import { magnitude } from "../../core/format";
import { display, heads, layers, legend, query } from "./parts";
import { pictures } from "./pictures";
import { toPng } from "./snapshot";
import { ViewState } from "./state";
import type { AttentionStore } from "./store";

export class AttentionView {
  readonly root: HTMLElement;
  #live = h("div", { class: "xaiw-sr", "aria-live": "polite" });
  #controller = new AbortController();
  #forget: (() => void)[];

  constructor(
    private readonly store: AttentionStore,
    signal?: AbortSignal,
  ) {
    const state = new ViewState(store);
    const views = pictures(
      store,
      state,
      {
        hover: (at) => {
          if (at === state.hovered || (at && state.hovered && String(at) === String(state.hovered))) return;
          state.hovered = at;
          draw();
          if (at !== undefined) this.#say(state);
        },
        keep: (at) => keep(at),
        read: (token) => {
          if (token === state.read) return;
          state.read = token;
          draw();
        },
      },
      this.#controller.signal,
    );
    const keep = (at: Query) => {
      state.hovered = undefined;
      store.set({ query: at });
      draw();
      this.#say(state);
    };
    const slider = layerSlider(store, state, () => draw());
    const parts = [
      legend(store, state),
      slider,
      heads(store, state, (head) => store.set({ head })),
      display(state, () => draw()),
      query(store, state, {
        keep,
        turn: (direction) => {
          state.direction = direction;
          draw();
        },
      }),
      layers(store, state, (layer) => {
        store.set({ layer });
        setText(this.#live, `Layer ${layer + 1}`);
      }),
    ];
    const [scale, layerLine, headTiles, controls, ...side] = parts;
    const bar = statusBar({ store, facts: () => this.#facts(), nothing: "" });
    const foot = h("div", { class: "xaiw-foot" }, bar.line);
    const main = h(
      "div",
      { class: "xaiw-main" },
      views.root,
      scale.root,
      layerLine.root,
      headTiles.root,
      controls.root,
    );
    const body = h(
      "div",
      { class: "xaiw-body" },
      h("div", { class: "xaiw-middle" }, main),
      h("div", { class: "xaiw-side" }, ...side.map((part) => part.root)),
    );
    this.root = h(
      "div",
      {
        class: "xaiw xaiw-attention",
        role: "region",
        "aria-label": "Attention view",
        "data-widget": "attention",
        "data-lm-suppress-shortcuts": "true",
        "data-state": "empty",
        "data-revision": 0,
      },
      body,
      foot,
      this.#live,
    );

    const draw = () => {
      views.drawMap();
      for (const part of parts) part.update();
    };
    const status = () => {
      bar.update(foot);
      const failed = store.state === "error" ? (store.error?.message ?? "") : "";
      views.setMessage(
        store.attention
          ? ""
          : failed || (store.state === "cancelled" ? "Cancelled before it was there." : ""),
      );
      body.classList.toggle("is-waiting", !store.picture && ["empty", "busy"].includes(store.state));
      body.classList.toggle("is-without", !store.attention);
      body.classList.toggle("is-failed", !store.attention && ["error", "cancelled"].includes(store.state));
      this.root.classList.toggle("has-setup", store.attention !== null || failed !== "");
      setAttr(views.root, "aria-busy", store.busy);
      setAttr(this.root, "data-state", store.state);
      setAttr(this.root, "data-revision", store.finalRevision);
    };
    this.#forget = [
      store.subscribe((topic) => {
        if (topic === "picture") views.drawPictures();
        if (topic === "picture" || topic === "attention" || topic === "traits") draw();
        status();
      }),
      store.addView({ root: this.root, toPng: () => toPng(store, state, views.panes) }),
    ];
    views.drawPictures();
    draw();
    status();
    signal?.addEventListener("abort", () => this.remove(), { once: true });
  }

  /** Lets go of everything; safe to call twice, as hosts may do both or neither. */
  remove(): void {
    this.#controller.abort();
    for (const forget of this.#forget) forget();
    this.#forget = [];
    this.root.remove();
  }

  /** Says the query and where it attends most, for those who do not see it. */
  #say(state: ViewState): void {
    const layer = this.store.layerAt(state.layer);
    const map = state.map();
    if (!layer || !map) return;
    const most = map.data.reduce((best, value, at) => (value > map.data[best] ? at : best), 0);
    const where = tokenName(layer.prefix + most, layer);
    const verb = state.direction === "to" ? "attends most to" : "is attended most by";
    setText(this.#live, `${tokenName(state.token, layer)} ${verb} ${where}, ${magnitude(map.data[most])}`);
  }

  #facts(): Fact[] {
    const { attention, setup } = this.store;
    const [first] = attention?.layers ?? [];
    if (!attention || !first) return [];
    const size = `${first.rows} \u00d7 ${first.columns} patches`;
    const { merged, hidden } = attention;
    return [
      { text: setup?.title ?? "", title: `A model of ${setup?.framework ?? "an unknown framework"}` },
      attention.predicted !== null && {
        text: `predicts ${attention.predicted}`,
        title: "The class with the highest score for this picture",
      },
      {
        text: `${attention.layers.length} layers`,
        title: hidden
          ? `${hidden} more attend inside windows, or lie nowhere on the picture, and are left out`
          : "Attention operations in the order of the forward pass",
      },
      {
        text: merged > 1 ? `${size} (${merged} \u00d7 ${merged} merged)` : size,
        title:
          merged > 1
            ? "There are too many patches to send: blocks of them stand as one"
            : first.prefix
              ? `and ${first.prefix} ${first.prefix > 1 ? "tokens" : "token"} that lie nowhere: ${tokenName(0, first)}${first.prefix > 1 ? ", registers" : ""}`
              : "without a class token",
      },
    ].filter((fact): fact is Fact => Boolean(fact));
  }
}

/** The layer as a slider: its pixels follow at once, and the trait when it is let go. */
function layerSlider(
  store: AttentionStore,
  state: ViewState,
  draw: () => void,
): { root: HTMLElement; update(): void } {
  const input = h("input", { type: "range", min: 1, max: 1, step: 1, "aria-label": "Layer" });
  const value = h("span", { class: "xaiw-value", "aria-hidden": "true" });
  const name = h("small", { class: "xaiw-name" });
  input.addEventListener("input", () => {
    state.sliding = input.valueAsNumber - 1;
    draw();
  });
  input.addEventListener("change", () => {
    state.sliding = null;
    store.set({ layer: input.valueAsNumber - 1 });
    draw();
  });
  const root = h(
    "div",
    { class: "xaiw-layer-line" },
    h("label", { class: "xaiw-slider" }, h("span", {}, "Layer"), input, value),
    name,
  );
  return {
    root,
    update() {
      const total = store.attention?.layers.length ?? 0;
      const at = state.layer + 1;
      input.max = String(Math.max(1, total));
      input.disabled = total < 2;
      input.value = String(Math.max(1, at));
      const share = total > 1 ? (at - 1) / (total - 1) : 0;
      input.style.setProperty("--filled", `${share * 100}%`);
      setAttr(input, "aria-valuetext", total ? `${at} of ${total}` : "none");
      setText(value, total ? `${at} of ${total}` : "");
      setText(name, store.layerAt(state.layer)?.name ?? "");
      setAttr(name, "title", name.textContent);
    },
  };
}
