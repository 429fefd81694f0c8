// The grid of cells: rows are made when they come near the view, cells drawn when they are in it; one tab stop, arrows move.

import { type Axis, type CellPicture, entryText, type Grid, type Place, TITLES } from "../../core/comparison";
import { h, setAttr, setText } from "../../core/dom";
import { CellView } from "./cell";
import { bestOf, drawThumb, entryHead, meanCell, means, metricHead, writeMeans } from "./headers";
import { nameOf, type ViewState } from "./state";
import type { ComparisonStore } from "./store";

/** Rows this near to the view are kept. */
const NEAR = "320px";
const SMALLEST = 80;
const LARGEST = 256;
/** The view rests for so long before the kernel is told what it shows. */
const REST_MS = 120;

interface Row {
  at: number;
  root: HTMLElement;
  head: HTMLElement;
  means: HTMLElement[];
  cells: Map<number, CellView>;
}

export interface GridHandlers {
  select(place: Place, second: boolean): void;
  /** The read-out moves to another cell. */
  read(key: string | null): void;
  /** The cells have another size. */
  resized(side: number): void;
  /** A key that the grid itself does not know, on a cell. */
  key(event: KeyboardEvent, cell: CellView): boolean;
}

export class GridView {
  readonly root: HTMLElement;
  readonly scroller: HTMLElement;
  side = 160;
  #rows: Row[] = [];
  #shape = "";
  #focus = { row: 0, column: 0 };
  #columnHeads: HTMLElement[] = [];
  #metricRows: { cells: HTMLElement[] }[] = [];
  #sorts: { update(): void }[] = [];
  #near: IntersectionObserver;
  #seen: IntersectionObserver;
  #views = new Map<Element, CellView>();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #empty = h("p", { class: "xaiw-empty", hidden: true });

  constructor(
    private readonly store: ComparisonStore,
    private readonly state: ViewState,
    private readonly handlers: GridHandlers,
    signal: AbortSignal,
  ) {
    this.scroller = h("div", { class: "xaiw-grid", role: "grid", "aria-multiselectable": "true" });
    // As wide as the grid, and never taller: its own height would follow the cells and be measured again.
    const ruler = h("div");
    this.root = h("div", { class: "xaiw-grid-box" }, ruler, this.#empty, this.scroller);
    this.#near = new IntersectionObserver((entries) => this.#rowsMoved(entries), {
      root: this.scroller,
      rootMargin: NEAR,
    });
    this.#seen = new IntersectionObserver((entries) => this.#cellsMoved(entries), {
      root: this.scroller,
      rootMargin: "48px",
    });
    const sizes = new ResizeObserver(() => this.#resize());
    sizes.observe(ruler);
    signal.addEventListener("abort", () => {
      for (const observer of [this.#near, this.#seen, sizes]) observer.disconnect();
      if (this.#timer !== null) clearTimeout(this.#timer);
    });
    this.scroller.addEventListener("keydown", (event) => this.#key(event));
    this.scroller.addEventListener("focusin", (event) => {
      const cell = this.cellAt(event.target);
      if (cell) this.#focused(cell);
    });
    this.scroller.addEventListener("scroll", () => this.#look(), { passive: true });
  }

  /** The cell that an event is about. */
  cellAt(target: EventTarget | null): CellView | null {
    const root = (target as Element | null)?.closest?.(".xaiw-cell");
    return root ? (this.#views.get(root) ?? null) : null;
  }

  /** The cells that are in view, row by row. */
  *inView(): Generator<CellView> {
    for (const row of this.#rows) {
      for (const cell of row.cells.values()) if (cell.inView) yield cell;
    }
  }

  /** Makes rows and heads where the grid itself has changed, else only says how they stand. */
  build(): void {
    const { grid, setup, metrics } = this.store;
    const shape = JSON.stringify([
      grid && [grid.rows, grid.columns, grid.down, grid.across, grid.key(0, 0)],
      metrics.map(({ name }) => name),
    ]);
    if (shape === this.#shape || !grid || !setup) {
      this.describe();
      return;
    }
    this.#shape = shape;
    const hadFocus = this.scroller.contains(document.activeElement);
    for (const row of this.#rows) this.#fold(row);
    this.#near.disconnect();
    this.#seen.disconnect();
    this.#views.clear();
    const scrolled = this.scroller.scrollTop;
    this.scroller.style.setProperty("--columns", String(grid.across.length));
    this.scroller.style.setProperty("--metrics", String(metrics.length));
    // Repeating something no times is no valid list of columns, and all of it would be dropped.
    this.scroller.style.setProperty("--means", metrics.length ? `repeat(${metrics.length}, 68px)` : null);
    setAttr(
      this.scroller,
      "aria-label",
      `${TITLES[grid.rows].many} by ${TITLES[grid.columns].many.toLowerCase()}`,
    );
    setAttr(this.scroller, "aria-rowcount", grid.down.length + 1 + metrics.length);
    setAttr(this.scroller, "aria-colcount", grid.across.length + 1 + metrics.length);
    this.#rows = grid.down.map((at, i) => this.#row(grid, at, i + 2 + metrics.length));
    this.scroller.replaceChildren(
      h("div", { class: "xaiw-grid-top", role: "rowgroup" }, ...this.#top(grid)),
      h("div", { role: "rowgroup" }, ...this.#rows.map(({ root }) => root)),
    );
    this.scroller.scrollTop = scrolled;
    for (const row of this.#rows) this.#near.observe(row.root);
    const none = !grid.down.length || !grid.across.length;
    this.#empty.hidden = !none;
    this.scroller.hidden = none;
    const side = grid.down.length ? grid.columns : grid.rows;
    setText(this.#empty, none ? `All ${TITLES[side].many.toLowerCase()} are hidden: show one at least.` : "");
    this.#resize(true);
    // What is in view is made at once, so that nothing blinks; the observer goes on from there.
    const tall = this.scroller.clientHeight || 800;
    for (const row of this.#rows) {
      const top = row.root.offsetTop - this.scroller.scrollTop;
      if (top > tall) break;
      if (top + row.root.offsetHeight > 0) this.#unfold(row);
    }
    this.#focus.row = Math.min(this.#focus.row, Math.max(0, grid.down.length - 1));
    this.#focus.column = Math.min(this.#focus.column, Math.max(0, grid.across.length - 1));
    this.describe();
    if (hadFocus) this.focus(this.#focus.row, this.#focus.column);
    else this.#rove();
    this.#look();
  }

  /** Words and numbers of all cells that exist. */
  describe(): void {
    for (const row of this.#rows) for (const cell of row.cells.values()) this.#say(cell);
    for (const sort of this.#sorts) sort.update();
    this.means();
    this.#look();
  }

  /** A cell's map or numbers have come. */
  refresh(key: string): void {
    for (const row of this.#rows) {
      for (const cell of row.cells.values()) {
        if (cell.key !== key && this.store.cells.get(cell.key)?.sharing !== key) continue;
        cell.invalidate();
        this.#say(cell);
        cell.draw();
      }
    }
    this.#look();
  }

  /** A picture has come: of all cells that show it. */
  picture(picture: CellPicture): void {
    for (const row of this.#rows) {
      for (const cell of row.cells.values()) {
        if (this.store.pictureOf(cell.key) !== picture) continue;
        cell.invalidate();
        cell.draw();
      }
    }
  }

  /** A cell's numbers have come. */
  score(key: string): void {
    for (const row of this.#rows)
      for (const cell of row.cells.values()) if (cell.key === key) this.#say(cell);
    this.means();
  }

  /** Every cell in view in the present display; the others when they come into view. */
  redraw(): void {
    for (const row of this.#rows) for (const cell of row.cells.values()) cell.invalidate();
    for (const cell of this.inView()) cell.draw();
  }

  layout(): void {
    for (const cell of this.inView()) cell.layout();
  }

  moveCursor(): void {
    for (const cell of this.inView()) cell.moveCursor();
  }

  thumbnails(): void {
    for (const head of this.#columnHeads) drawThumb(this.store, head);
    for (const row of this.#rows) if (row.cells.size) drawThumb(this.store, row.head);
  }

  /** Moves the focus to a cell, which is made if need be. */
  focus(row: number, column: number): void {
    const { grid } = this.store;
    const target = this.#rows[row];
    if (!grid || !target) return;
    this.#unfold(target);
    const cell = target.cells.get(grid.across[column]);
    cell?.root.focus({ preventScroll: true });
    if (cell) this.#reveal(cell.root);
  }

  #say(cell: CellView): void {
    cell.describe(nameOf(this.store, cell.key));
  }

  #row(grid: Grid, at: number, index: number): Row {
    const head = entryHead(this.store, "rowheader", grid.rows, at);
    const cells = this.store.metrics.map(() => meanCell(""));
    const root = h("div", { role: "row", class: "xaiw-row-line", "aria-rowindex": index }, head, ...cells);
    return { at, root, head, means: cells, cells: new Map() };
  }

  #top(grid: Grid): HTMLElement[] {
    const { store } = this;
    const { metrics } = store;
    this.#columnHeads = grid.across.map((at) => entryHead(store, "columnheader", grid.columns, at));
    const byRow = metrics.map((metric) => metricHead(store, "rows", metric));
    const byColumn = metrics.map((metric) => metricHead(store, "columns", metric));
    this.#sorts = [...byRow, ...byColumn];
    this.#metricRows = metrics.map(() => ({ cells: grid.across.map(() => meanCell("")) }));
    const corner = h(
      "div",
      { role: "columnheader", class: "xaiw-head xaiw-corner" },
      h("small", {}, `${TITLES[grid.columns].many} \u2192`),
      h("small", {}, `${TITLES[grid.rows].many} \u2193`),
    );
    const line = (index: number, ...cells: HTMLElement[]) =>
      h("div", { role: "row", class: "xaiw-row-line", "aria-rowindex": index }, ...cells);
    return [
      line(1, corner, ...this.#columnHeads, ...byRow.map(({ root }) => root)),
      ...metrics.map((_, i) => line(i + 2, byColumn[i].root, ...this.#metricRows[i].cells)),
    ];
  }

  /** The means of rows and columns. */
  means(): void {
    const { store } = this;
    const rows = means(store, "rows");
    const columns = means(store, "columns");
    store.metrics.forEach((metric, i) => {
      const down = this.#rows.map((row) => row.means[i]).filter(Boolean);
      writeMeans(
        down,
        this.#rows.map((row) => rows.get(row.at)?.[i] ?? null),
        metric,
      );
      const across = (store.grid?.across ?? []).map((at) => columns.get(at)?.[i] ?? null);
      writeMeans(this.#metricRows[i]?.cells ?? [], across, metric);
    });
    for (const row of this.#rows) this.#mark(row);
  }

  /** The best of each metric in a row, where there are others to compare it with. */
  #mark(row: Row): void {
    const { store } = this;
    const best = new Map<CellView, Set<string>>();
    for (const metric of store.metrics) {
      const known = [...row.cells.values()].flatMap((cell) => {
        const value = store.scoreOf(cell.key, metric.name);
        return typeof value === "number" && Number.isFinite(value) ? [{ cell, value }] : [];
      });
      for (const cell of bestOf(known, metric))
        best.set(cell, (best.get(cell) ?? new Set()).add(metric.name));
    }
    for (const cell of row.cells.values()) cell.mark(best.get(cell) ?? new Set());
  }

  #unfold(row: Row): void {
    const { grid } = this.store;
    if (row.cells.size || !grid) return;
    const made = grid.across.map((column) => {
      const key = grid.key(row.at, column);
      const cell = new CellView(this.store, this.state, row.at, column, key);
      row.cells.set(column, cell);
      this.#views.set(cell.root, cell);
      this.#say(cell);
      return cell;
    });
    row.head.after(...made.map(({ root }) => root));
    for (const cell of made) this.#seen.observe(cell.root);
    this.#mark(row);
    drawThumb(this.store, row.head);
    this.#rove();
  }

  #fold(row: Row): void {
    for (const cell of row.cells.values()) {
      this.#seen.unobserve(cell.root);
      this.#views.delete(cell.root);
      cell.root.remove();
    }
    row.cells.clear();
  }

  #rowsMoved(entries: IntersectionObserverEntry[]): void {
    const rows = new Map(this.#rows.map((row) => [row.root as Element, row]));
    for (const { target, isIntersecting } of entries) {
      const row = rows.get(target);
      if (!row) continue;
      if (isIntersecting) this.#unfold(row);
      else if (!row.root.contains(document.activeElement)) this.#fold(row);
    }
  }

  #cellsMoved(entries: IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of entries) {
      const cell = this.#views.get(target);
      if (!cell || cell.inView === isIntersecting) continue;
      cell.inView = isIntersecting;
      if (isIntersecting) {
        cell.draw();
        cell.moveCursor();
      } else cell.release();
    }
    this.#look();
  }

  /** Tells the kernel what is looked at, once the view rests. */
  #look(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.scroller.isConnected) this.store.lookAt([...this.inView()].map(({ key }) => key));
    }, REST_MS);
  }

  /** The side of the cells: as chosen, or so that all columns fit. */
  #resize(always = false): void {
    const { grid, metrics } = this.store;
    const width = this.root.clientWidth;
    if (!grid || !width) return;
    const head = width < 560 ? 72 : 104;
    const rest = width - head - metrics.length * 68 - (grid.across.length + metrics.length) * 8 - 2;
    const fits = Math.floor(rest / Math.max(1, grid.across.length));
    const side = this.state.side ?? Math.max(SMALLEST, Math.min(LARGEST, fits));
    this.scroller.style.setProperty("--head", `${head}px`);
    if (side === this.side && !always) return;
    this.side = this.state.shown = side;
    this.scroller.style.setProperty("--side", `${side}px`);
    this.layout();
    this.moveCursor();
    this.handlers.resized(side);
  }

  /** The user chose another size of the cells, or none. */
  resize(): void {
    this.#resize(true);
  }

  #position(cell: CellView): { row: number; column: number } {
    const { grid } = this.store;
    return {
      row: this.#rows.findIndex(({ at }) => at === cell.row),
      column: grid?.across.indexOf(cell.column) ?? 0,
    };
  }

  #focused(cell: CellView): void {
    this.#focus = this.#position(cell);
    this.#rove();
    this.handlers.read(cell.key);
  }

  #rove(): void {
    const { grid } = this.store;
    const at = this.#rows[this.#focus.row]?.at;
    const column = grid?.across[this.#focus.column];
    const cells = [...this.#views.values()];
    const stop = cells.find((cell) => cell.row === at && cell.column === column) ?? cells[0];
    for (const cell of cells) cell.root.tabIndex = cell === stop ? 0 : -1;
  }

  #key(event: KeyboardEvent): void {
    const cell = this.cellAt(event.target);
    const { grid } = this.store;
    if (!cell || !grid || event.altKey) return;
    if (this.handlers.key(event, cell)) {
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    if (event.metaKey) return;
    const { row, column } = this.#position(cell);
    const [bottom, right] = [grid.down.length - 1, grid.across.length - 1];
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / (cell.root.offsetHeight || 200)) - 1);
    const moves: Record<string, [number, number]> = {
      ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column],
      ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1],
      PageUp: [row - page, column],
      PageDown: [row + page, column],
      Home: event.ctrlKey ? [0, 0] : [row, 0],
      End: event.ctrlKey ? [bottom, right] : [row, right],
    };
    const to = moves[event.key];
    if (to) {
      const bounded = (value: number, last: number) => Math.max(0, Math.min(last, value));
      this.focus(bounded(to[0], bottom), bounded(to[1], right));
    } else if (event.key === "Enter" || event.key === " ") {
      this.handlers.select(grid.place(cell.row, cell.column), event.shiftKey);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Scrolls the grid, and nothing around it, so that a cell is clear of the heads. */
  #reveal(root: HTMLElement): void {
    const box = root.getBoundingClientRect();
    const view = this.scroller.getBoundingClientRect();
    const top = view.top + (this.scroller.querySelector<HTMLElement>(".xaiw-grid-top")?.offsetHeight ?? 0);
    const left = view.left + (this.#rows[0]?.head.offsetWidth ?? 0);
    if (box.top < top) this.scroller.scrollTop -= top - box.top + 4;
    else if (box.bottom > view.bottom) this.scroller.scrollTop += box.bottom - view.bottom + 4;
    if (box.left < left) this.scroller.scrollLeft -= left - box.left + 4;
    else if (box.right > view.right) this.scroller.scrollLeft += box.right - view.right + 4;
  }
}

/** What the grid shows, in words. */
export function gridWords(store: ComparisonStore): string {
  const { grid, setup } = store;
  if (!grid || !setup) return "";
  const fixed = (Object.keys(TITLES) as Axis[])
    .filter((axis) => axis !== grid.rows && axis !== grid.columns && setup.axes[axis].length > 1)
    .map((axis) => entryText(setup.axes[axis][grid.place(0, 0)[axis]]));
  return [`${TITLES[grid.rows].many} by ${TITLES[grid.columns].many.toLowerCase()}`, ...fixed].join(", ");
}
