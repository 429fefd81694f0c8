// One view of the path: composes the parts and passes changes on. All state is in the store or the view's state.

import { chart } from "../../components/charts";
import type { Change, Context, Point } from "../../components/context";
import { opacitySlider, signControl, thresholdSlider } from "../../components/display_controls";
import { Drawing } from "../../components/drawing";
import { legend } from "../../components/legend";
import { RegionState } from "../../components/region_state";
import { regionTools, zoomControl } from "../../components/region_tools";
import { statusBar } from "../../components/status_bar";
import { targetPicker } from "../../components/target_picker";
import { showVerdict } from "../../components/verdict_badge";
import { colourTitle, DIVERGING_NAMES } from "../../core/colours";
import { Display } from "../../core/display";
import { h, setAttr, setText } from "../../core/dom";
import { percent, signed } from "../../core/format";
import { saturation } from "../../core/path_stack";
import type { Store } from "../../core/store";
import { Viewport } from "../../core/viewport";
import { askingForm } from "./asking";
import { pictures } from "./pictures";
import { colourOf, pixelsOf, readAt } from "./reading";
import { toPng } from "./snapshot";
import { type Read, ViewState } from "./state";
import type { ScrubberStore } from "./store";
import { strip } from "./strip";
import { timeline } from "./timeline";

const HOVER = "Point at a pixel, or mark a region: its own curve along the path appears here.";
/** Linked scrubbers of a page tell each other where they are; the kernel is not asked. */
const ALPHA = "xaiw-path-alpha";
const WORDS: Record<string, string> = {
  grey: "grey",
  mean: "the mean colour",
  blur: "blur",
  black: "black",
  white: "white",
};

export class PathScrubber {
  readonly root: HTMLElement;
  #live = h("div", { class: "xaiw-sr", "aria-live": "polite" });
  #controller = new AbortController();
  #forget: (() => void)[];
  #line: ReturnType<typeof timeline>;

  constructor(store: ScrubberStore, signal?: AbortSignal) {
    const aborted = this.#controller.signal;
    const display = new Display();
    display.state = { ...display.state, opacity: 1 };
    const state = new ViewState(store);
    const context: Context = {
      store: store as Store,
      display,
      viewport: new Viewport(),
      signal: aborted,
      announce: (text) => setText(this.#live, text),
      cursor: null,
      setCursor: (point: Point | null) => {
        context.cursor = point;
        scale.update("cursor");
        views.marks();
        reading();
      },
    };
    // The legend reads off the attribution of this view's own step.
    const facade = {
      get picture() {
        return store.picture;
      },
      get mapOfPicture() {
        return this.map;
      },
      get map() {
        const { stack } = state;
        if (!stack) return null;
        const { height, width, path } = stack;
        const array = { dtype: "float32", shape: [height, width], data: stack.accumulated(state.index) };
        return { array, placement: path.placement, signed: true, scale: state.scales.total };
      },
    };
    const shown: Context = Object.create(context, { store: { value: facade as unknown as Store } });
    const region = new RegionState(store);
    const drawing = new Drawing(context, region, () => views.marks());
    const views = pictures(store, state, context, drawing, region);
    const go = (position: number) => {
      state.position = position;
      step();
      const last = state.stack?.path.n_steps;
      if (linked && last)
        document.dispatchEvent(new CustomEvent(ALPHA, { detail: { alpha: position / last, from: this } }));
    };
    let linked = false;
    const link = h(
      "button",
      {
        type: "button",
        class: "xaiw-link",
        "aria-pressed": "false",
        title: "Moves together with the other linked scrubbers of this page: two baselines side by side",
      },
      "Link",
    );
    link.addEventListener("click", () => {
      linked = !linked;
      setAttr(link, "aria-pressed", linked);
    });
    document.addEventListener(
      ALPHA,
      (event) => {
        const { alpha, from } = (event as CustomEvent<{ alpha: number; from: unknown }>).detail;
        if (!linked || from === this || !state.stack) return;
        this.#line.stop();
        state.position = state.stack.positionOf(alpha);
        step();
      },
      { signal: aborted },
    );
    const pick = (alpha: number) => {
      this.#line.stop();
      go(state.stack?.positionOf(alpha) ?? 0);
    };
    const options = { onPick: pick, signal: aborted };
    const scores = chart("Score", options);
    const gap = chart("Completeness", options);
    const gained = chart("Gained per step", { ...options, bars: true, unit: (v) => percentOf(v) });
    const own = chart("Pixel", options);
    const charts = [scores, gap, gained, own];
    const convergence = strip();
    const save = h(
      "button",
      { type: "button", class: "xaiw-link", title: "Download this frame as a PNG" },
      "Save frame",
    );
    this.#line = timeline(state, go, h("span", { class: "xaiw-actions" }, link, save));
    const scale = legend(shown);
    const sign = signControl(context);
    const tools = regionTools(context, drawing);
    const zoom = zoomControl(context, views.panes);
    const target = targetPicker(context);
    const opacity = opacitySlider(display);
    opacity.root.title = "Below 1 the attribution lies over the picture";
    const threshold = thresholdSlider(
      display,
      "Percentile of the whole attribution below which nothing is drawn",
    );
    const colours = h(
      "select",
      { "aria-label": "Colour map", title: "Colour map" },
      ...DIVERGING_NAMES.map((name) => h("option", { value: name }, colourTitle(name))),
    );
    colours.addEventListener("change", () => display.set({ diverging: colours.value }));
    const clear = h(
      "button",
      { type: "button", class: "xaiw-link", onclick: () => store.setRegion(null) },
      "Clear region",
    );
    const asking = askingForm(store, () => colourOf(store, region));
    const hintText = h("span");
    const hintUse = h("button", { type: "button", class: "xaiw-link" });
    const hint = h("p", { class: "xaiw-hint xaiw-level-warning", hidden: true }, hintText, hintUse);
    hintUse.addEventListener("click", () => {
      if (store.hint) store.ask({ baseline: store.hint.best });
    });
    const badge = h("span", { class: "xaiw-badge-text", hidden: true });
    const bar = statusBar({
      store,
      lead: [badge],
      facts: () => [...(store.result?.facts ?? [])],
      nothing: "",
    });
    const foot = h("div", { class: "xaiw-foot" }, bar.line);
    const main = h(
      "div",
      { class: "xaiw-main" },
      views.root,
      scale.root,
      hint,
      this.#line.root,
      h("div", { class: "xaiw-charts" }, ...charts.map((each) => each.root)),
      convergence.root,
      h("div", { class: "xaiw-tools" }, tools.root, clear, zoom.root),
      h(
        "div",
        { class: "xaiw-tools" },
        sign.root,
        opacity.root,
        threshold.root,
        h("span", { class: "xaiw-select" }, colours),
      ),
    );
    const side = h("div", { class: "xaiw-side" }, asking.root, target.root);
    const body = h("div", { class: "xaiw-body" }, h("div", { class: "xaiw-middle" }, main), side);
    side.inert = store.offline;
    this.root = h(
      "div",
      {
        class: `xaiw xaiw-scrubber${store.offline ? " is-offline" : ""}`,
        role: "region",
        "aria-label": "Path scrubber",
        "data-widget": "scrubber",
        "data-lm-suppress-shortcuts": "true",
        "data-state": "empty",
        "data-revision": 0,
      },
      body,
      foot,
      this.#live,
    );
    save.addEventListener("click", async () => {
      const bytes = await toPng(store, state, views.panes, display.state.diverging);
      const url = URL.createObjectURL(new Blob([bytes as BlobPart], { type: "image/png" }));
      h("a", { href: url, download: `path step ${state.at}.png` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    });

    /** Everything that follows the slider; no sum over steps, no message. */
    const step = () => {
      const { stack } = state;
      views.draw();
      this.#line.update();
      scale.update("map");
      const k = state.index;
      for (const each of charts) each.move(k);
      if (!stack) return;
      const left = stack.gap(k);
      const relative = left.relative === null ? "" : `${percentOf(Math.abs(left.relative))} \u00b7 `;
      gap.setAside(`gap ${relative}${signed(left.gap)}`);
      ownAside();
    };
    let read: Read | null = null;
    let curve: ReturnType<NonNullable<typeof state.stack>["curve"]> | null = null;
    const ownAside = () => {
      const k = state.index;
      own.setAside(read && curve && k >= 0 ? `${read.text} ${signed(curve.sum[k])}` : "");
    };
    /** The curve of the pixel under the pointer, else of the marked region. */
    const reading = () => {
      const { stack } = state;
      const now =
        (context.cursor && stack && readAt(store, stack, context.cursor)) || pixelsOf(store, stack, region);
      if (now?.text === read?.text && curve && stack?.nodes.length === curve.sum.length) return;
      read = now;
      curve = null;
      if (!read || !stack) own.clear(HOVER);
      else {
        curve = stack.curve(read.pixels);
        own.set(
          stack.nodes.map(({ alpha }) => alpha),
          [
            { kind: "target", text: "gradient \u00b7 \u0394x", values: curve.slope },
            { kind: "change", text: "accumulated", values: curve.sum },
          ],
        );
        own.move(state.index);
      }
      ownAside();
    };
    const numbers = () => {
      const { stack } = state;
      if (!stack) {
        for (const each of charts) each.clear("");
        own.clear(HOVER);
        convergence.set(null);
        return;
      }
      const alphas = stack.nodes.map(({ alpha }) => alpha);
      scores.set(
        alphas,
        stack.path.series.map(({ role, text }, i) => ({
          kind: role,
          text,
          values: stack.nodes.map((node) => node.scores[i]),
        })),
      );
      const first = stack.nodes[0].scores[0];
      gap.set(alphas, [
        {
          kind: "change",
          text: "f(x) \u2212 f(b)",
          values: stack.nodes.map((node) => node.scores[0] - first),
        },
        { kind: "target", text: "attribution so far", values: stack.sums },
      ]);
      // Uneven steps are compared by what they would gain if they had the mean length.
      const mean = 1 / (stack.nodes.length - 1 || 1);
      const length = (i: number) => (stack.uneven ? (alphas[i] - alphas[i - 1]) / mean : 1);
      const total = stack.sums[stack.sums.length - 1] || 1;
      gained.setWords(saturation(stack));
      gained.setAside(stack.uneven ? "at mean length" : "");
      gained.set(alphas, [
        {
          kind: "target",
          text: "",
          values: stack.sums.map((sum, i) => (i ? (sum - stack.sums[i - 1]) / total / length(i) : 0)),
        },
      ]);
      convergence.set(stack);
      curve = null;
      reading();
    };
    const status = () => {
      bar.update(foot);
      const { hint: found } = store;
      hint.hidden = !found;
      if (found) {
        const name = WORDS[found.best] ?? found.best;
        setText(
          hintText,
          `${percent(found.share)} of the picture equals the baseline and gets nothing, whatever the model does with it. `,
        );
        setText(hintUse, `Start from ${name}: hides ${percent(found.best_share)}`);
        hintUse.hidden = store.offline || found.best_share >= found.share;
      }
      showVerdict(badge, store.setup?.verdict);
      const failed = store.state === "error" ? (store.error?.message ?? "") : "";
      const nothing = store.state === "cancelled" ? "Cancelled before there was a step." : "";
      views.setMessage(store.stack ? "" : failed || nothing);
      views.root.classList.toggle("is-waiting", !store.picture && ["empty", "busy"].includes(store.state));
      views.root.classList.toggle("is-stale", store.stale);
      body.classList.toggle("is-without", !store.stack);
      body.classList.toggle("is-failed", failed !== "" && !store.stack);
      clear.hidden = !store.get("region");
      setAttr(views.root, "aria-busy", store.busy);
      this.root.classList.toggle("has-setup", store.setup !== null);
      setAttr(this.root, "data-state", store.state);
      setAttr(this.root, "data-revision", store.finalRevision);
    };
    const restyle = () => {
      opacity.set(display.state.opacity);
      threshold.set(display.state.threshold);
      colours.value = display.state.diverging;
      sign.update("display");
      tools.update("display");
      setAttr(views.root, "data-tool", display.state.tool);
      if (display.state.tool === "superpixel") store.requestSuperpixels();
      views.draw();
      scale.update("display");
    };
    display.onChange(restyle);
    const update = (change: Change) => {
      target.update(change);
      if (change === "picture") {
        views.drawPicture();
        step();
      } else if (change === "map") {
        numbers();
        step();
      } else if (change === "superpixels") drawing.superpixelsArrived();
      if (["traits", "setup", "map"].includes(change)) asking.update();
      if (["picture", "traits", "superpixels", "map"].includes(change)) {
        views.marks();
        reading();
      }
      status();
    };
    this.#forget = [
      () => state.letGo(),
      store.subscribe(update),
      store.addView({
        root: this.root,
        toPng: () => toPng(store, state, views.panes, display.state.diverging),
      }),
    ];
    for (const change of ["setup", "picture", "prediction", "traits", "map", "status"] as const)
      update(change);
    restyle();
    signal?.addEventListener("abort", () => this.remove(), { once: true });
  }

  /** Lets go of everything; safe to call twice, as hosts may do both or neither. */
  remove(): void {
    this.#line.stop();
    this.#controller.abort();
    for (const forget of this.#forget) forget();
    this.#forget = [];
    this.root.remove();
  }
}

const percentOf = (share: number) =>
  `${(share * 100).toFixed(Math.abs(share) < 0.1 && share !== 0 ? 1 : 0)} %`.replace("-", "\u2212");
