// One view of the comparison: composes the parts and passes changes on. All state is in the store or the view's state.

import { foldButton } from "../../components/fold_button";
import { legend } from "../../components/legend";
import { type Fact, statusBar } from "../../components/status_bar";
import { showVerdict } from "../../components/verdict_badge";
import { entryText, keyOf, type Place, placeOf } from "../../core/comparison";
import { h, setAttr, setText, uniqueId } from "../../core/dom";
import { signed } from "../../core/format";
import type { JobTopic } from "../../core/job_store";
import type { Studies } from "../studies/index";
import { askingForm } from "./asking";
import { type DisplayLine, displayLine } from "./display";
import { bindCells, cellKey } from "./gestures";
import { GridView, gridWords } from "./grid";
import { toPng } from "./snapshot";
import { contextOf, nameOf, ViewState } from "./state";
import type { ComparisonStore, Topic } from "./store";

/** Numbers over the whole grid are worked out so often at most. */
const TOGETHER_MS = 60;

const HELP =
  "Arrows move between cells, Enter selects one and Shift with Enter a second one. Shift with arrows moves the read-out, plus and minus zoom, 0 fits.";

export class ComparisonView {
  readonly root: HTMLElement;
  #live = h("div", { class: "xaiw-sr", "aria-live": "polite" });
  #controller = new AbortController();
  #forget: (() => void)[];
  #studies: Studies | null = null;

  constructor(
    private readonly store: ComparisonStore,
    signal?: AbortSignal,
  ) {
    const aborted = this.#controller.signal;
    const state = new ViewState(store);
    const announce = (text: string) => setText(this.#live, text);
    const context = contextOf(store, state, aborted, announce);
    const scale = legend(context);
    const values = h("p", { class: "xaiw-values" });

    const read = () => {
      scale.update("map");
      setText(values, this.#values(state) || this.#whose(state));
      setAttr(values, "title", values.textContent || null);
    };
    const cursor = (at: typeof state.cursor, key: string | null) => {
      if (!at && !state.cursor && key === state.read) return;
      state.cursor = at;
      state.read = key;
      grid.moveCursor();
      read();
    };
    const select = (place: Place, second: boolean) => {
      const [first] = store.get("selected") ?? [];
      const both = second && first;
      store.set({ selected: both ? [first, place] : [place] });
      announce(`${both ? "B" : "A"}: ${nameOf(store, keyOf(place))}`);
    };
    let display: DisplayLine | null = null;
    const grid = new GridView(
      store,
      state,
      {
        select,
        resized: (side) => display?.update(side),
        read: (key) => cursor(state.cursor, key),
        key: (event, cell) => {
          if (event.key === "Escape" && (store.get("selected") ?? []).length) {
            store.set({ selected: [] });
            return true;
          }
          return cellKey(event, cell, grid.side, store, state, (at) => {
            cursor(at, cell.key);
            const value = state.valueOf(cell.key);
            if (value !== null) announce(signed(value));
          });
        },
      },
      aborted,
    );
    bindCells(grid, store, state, {
      cursor,
      select: (cell, second) => {
        const place = store.grid?.place(cell.row, cell.column);
        if (place) select(place, second);
      },
    });
    state.viewport.onChange(() => {
      grid.layout();
      level();
    });

    const zoom = h("button", { type: "button", title: "Fit the pictures" });
    const press = (key: string) => {
      state.viewport.key({ width: grid.side, height: grid.side }, key, false);
    };
    zoom.addEventListener("click", () => press("0"));
    const level = () => {
      const text = `${state.viewport.zoom.toFixed(1)}\u00d7`;
      setText(zoom, text);
      setAttr(zoom, "aria-label", `Zoom ${text}: fit the pictures`);
    };
    level();
    const zooms = h(
      "span",
      {
        class: "xaiw-segmented xaiw-zoom",
        role: "group",
        "aria-label": "Zoom",
        title: "Ctrl and the wheel zoom over a cell",
      },
      h(
        "button",
        { type: "button", "aria-label": "Zoom out", title: "Zoom out", onclick: () => press("-") },
        "\u2212",
      ),
      zoom,
      h(
        "button",
        { type: "button", "aria-label": "Zoom in", title: "Zoom in", onclick: () => press("+") },
        "+",
      ),
    );

    const restyle = () => {
      grid.redraw();
      display?.update(grid.side);
      read();
      if (store.get("study")) this.#studies?.update();
    };
    display = displayLine(context, state, {
      look: restyle,
      size: () => grid.resize(),
    });
    display.root.append(zooms);
    const displayRoot = display.root;
    state.display.onChange(restyle);

    // Room for the line of the studies, so that nothing moves when their code has come.
    const below = h("div", { class: "xaiw-studies-place" });
    const take = () => {
      if (this.#studies) return;
      if (!store.studies) {
        setText(below, store.studiesFault);
        return;
      }
      this.#studies = store.studies.studies({ store, state, signal: aborted, announce });
      below.replaceChildren(h("style", {}, store.studies.style), this.#studies.root);
    };
    const asking = askingForm(store);
    const sideId = uniqueId("side");
    asking.root.id = sideId;
    const badge = h("span", { class: "xaiw-badge-text", hidden: true });
    const bar = statusBar({
      store,
      lead: [badge],
      facts: () => this.#facts(),
      nothing: "There is nothing to compare.",
      again: () => (store.state === "cancelled" ? "Go on" : "Retry"),
    });
    const foot = h("div", { class: "xaiw-foot" }, bar.line);
    const helpId = uniqueId("help");
    setAttr(grid.scroller, "aria-describedby", helpId);
    const main = h(
      "div",
      { class: "xaiw-main" },
      grid.root,
      h("div", { id: helpId, hidden: true }, HELP),
      scale.root,
      values,
      displayRoot,
    );
    const summary = h("span");
    const body = h("div", { class: "xaiw-body" }, h("div", { class: "xaiw-middle" }, main), asking.root);
    const folds = h(
      "div",
      { class: "xaiw-folds" },
      foldButton("Grid", sideId, body, "has-side", false, summary),
    );
    this.root = h(
      "div",
      {
        class: "xaiw xaiw-comparison",
        role: "region",
        "aria-label": "Comparison",
        "data-widget": "comparison",
        "data-lm-suppress-shortcuts": "true",
        "data-state": "empty",
        "data-revision": 0,
      },
      folds,
      body,
      below,
      foot,
      this.#live,
    );

    const status = () => {
      bar.update(foot);
      showVerdict(badge, store.setup?.verdict);
      this.root.classList.toggle("has-setup", store.setup !== null);
      setAttr(grid.root, "aria-busy", store.busy);
      setAttr(this.root, "data-state", store.state);
      setAttr(this.root, "data-revision", store.finalRevision);
    };
    /** What looks at all cells of the grid: many may come at once, and they are counted together. */
    const together = () => {
      timer = null;
      if (store.get("sort")) {
        store.resort();
        grid.build();
      } else grid.means();
      this.#count();
      display?.update(grid.side);
      bar.update(foot);
    };
    let timer: ReturnType<typeof setTimeout> | null = null;
    const soon = () => {
      timer ??= setTimeout(together, TOGETHER_MS);
    };
    aborted.addEventListener("abort", () => {
      if (timer !== null) clearTimeout(timer);
    });
    let wasBusy = store.busy;
    const update = (topic: Topic | JobTopic) => {
      if (topic === "setup" || topic === "traits") {
        grid.build();
        asking.update();
        display?.update(grid.side);
        setText(summary, gridWords(store));
        read();
        this.#count();
      } else if (topic === "cell") {
        const { newest } = store;
        // What is shared by several maps has grown: all of them are drawn by it.
        if (state.measure(newest)) grid.redraw();
        grid.refresh(newest);
        if (!state.cursor && state.spoken === newest) read();
        soon();
      } else if (topic === "scores") {
        grid.score(store.newest);
        soon();
      } else if (topic === "picture" && store.newestPicture) grid.picture(store.newestPicture);
      else if (topic === "thumbnails") grid.thumbnails();
      if (topic === "module") take();
      if (topic === "status" && wasBusy !== store.busy) {
        wasBusy = store.busy;
        grid.describe();
        this.#count();
      }
      // Of the grid's cells only the two that are chosen matter to the studies.
      const chosen = topic !== "cell" || [store.chosen(0), store.chosen(1)].includes(store.newest);
      if (chosen && !["thumbnails", "scores", "picture"].includes(topic)) this.#studies?.update();
      status();
    };
    this.#forget = [
      store.subscribe(update),
      store.addView({ root: this.root, toPng: () => toPng(store, state) }),
    ];
    for (const key of store.cells.keys()) state.measure(key);
    take();
    update("setup");
    restyle();
    signal?.addEventListener("abort", () => this.remove(), { once: true });
  }

  /** Lets go of everything; safe to call twice, as hosts may do both or neither. */
  remove(): void {
    this.#studies?.stop();
    this.#controller.abort();
    for (const forget of this.#forget) forget();
    this.#forget = [];
    this.root.remove();
  }

  /** The values of the row that is read, column by column. */
  #values(state: ViewState): string {
    const { grid, setup } = this.store;
    const { cursor, read } = state;
    if (!grid || !setup || !cursor || !read) return "";
    const row = placeOf(read)[grid.rows];
    return grid.across
      .map((column) => {
        const value = state.valueOf(grid.key(row, column));
        return value === null ? "" : `${entryText(setup.axes[grid.columns][column])} ${signed(value)}`;
      })
      .filter(Boolean)
      .join("  \u00b7  ");
  }

  /** Which map the colour scale is of. */
  #whose(state: ViewState): string {
    const { spoken, read } = state;
    const failed = this.store.cells.get(read ?? "");
    if (failed?.message) return `${nameOf(this.store, failed.key)}: ${failed.message}`;
    if (!spoken) return "";
    const name = nameOf(this.store, spoken);
    return {
      own: `Colours of ${name}; every map has its own scale.`,
      shared: `Colours of ${name}, and of all maps of its method, model and layer.`,
      all: "Colours of all maps.",
    }[state.display.state.scale];
  }

  /** How many cells of the grid are in which state. */
  #count(): void {
    const { store } = this;
    const { grid } = store;
    const counts = { all: 0, done: 0, failed: 0 };
    for (const row of grid?.down ?? []) {
      for (const column of grid?.across ?? []) {
        const cell = store.cells.get(grid?.key(row, column) ?? "");
        counts.all += 1;
        if (cell?.state === "done") counts.done += 1;
        else if (cell?.state === "failed") counts.failed += 1;
      }
    }
    this.#counts = counts;
  }
  #counts = { all: 0, done: 0, failed: 0 };

  #facts(): Fact[] {
    const { all, done, failed } = this.#counts;
    if (!this.store.grid) return [];
    return [
      { text: `${done} of ${all} maps`, title: "Maps of the grid that are there" },
      ...(failed ? [{ text: `${failed} failed`, title: "Their cells say why" }] : []),
    ];
  }
}
