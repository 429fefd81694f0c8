// What one view of the comparison shows at this moment: display, zoom, cursor, size of the cells. Never synced.
import type { Context, Point } from "../../components/context";
import { AXES, type Cell, type CellPicture, entryText, placeOf } from "../../core/comparison";
import { Display } from "../../core/display";
import type { Rectangle } from "../../core/protocol";
import { drawPicture, MapBrush, type Quantised, quantise, type Style } from "../../core/renderer";
import { percentile, scaleOf } from "../../core/stats";
import { Viewport } from "../../core/viewport";
import type { ComparisonStore } from "./store";

/** Overlays lie on the picture; maps stand alone. */
export type Look = "overlay" | "map";

/** Pixels a side of the pictures below the maps. */
const MOST_PX = 512;

/** What a cell has in common with those whose values can be compared with its own. */
const groupOf = (key: string) => {
  const { models, methods, layers } = placeOf(key);
  return `${models}.${methods}.${layers}`;
};

export class ViewState {
  readonly display = new Display();
  readonly viewport = new Viewport();
  readonly brush = new MapBrush();
  look: Look = "overlay";
  /** Shared by all cells: a place on the picture as shares of its width and height. */
  cursor: Point | null = null;
  /** The cell under the pointer, or that has the focus. */
  read: string | null = null;
  /** CSS pixels a side that the user chose; null fits the columns into the width. */
  side: number | null = null;
  /** The side that they have. */
  shown = 160;
  #scales = new Map<string, number>();
  #groups = new Map<string, number>();
  #quantised = new WeakMap<Cell, Quantised>();
  #small = new WeakMap<CellPicture, HTMLCanvasElement>();

  constructor(private readonly store: ComparisonStore) {}

  /** Takes note of a map that came: what is shared by several grows with it. */
  measure(key: string): boolean {
    const cell = this.store.cells.get(key);
    if (!cell?.array) return false;
    const scale = scaleOf(cell.array.data);
    this.#scales.set(key, scale);
    const group = groupOf(key);
    const before = this.#groups.get(group) ?? 0;
    if (scale <= before) return false;
    this.#groups.set(group, scale);
    return this.display.state.scale !== "own";
  }

  /** The magnitude that has the last colour in this cell. */
  scaleOf(cell: Cell): number {
    const { scale } = this.display.state;
    const holder = cell.sharing ?? cell.key;
    const own = () => this.#scales.get(holder) ?? (cell.array ? scaleOf(cell.array.data) : 0);
    if (scale === "own") return own();
    if (scale === "shared") return this.#groups.get(groupOf(holder)) ?? own();
    let most = 0;
    for (const each of this.#groups.values()) most = Math.max(most, each);
    return most || own();
  }

  style(cell: Cell): Style {
    const { sequential, diverging, sign, threshold, opacity } = this.display.state;
    const { signed, array } = cell;
    return {
      colours: signed ? diverging : sequential,
      sign: signed ? sign : "both",
      threshold: threshold > 0 && array ? percentile(array.data, threshold) : 0,
      opacity: this.look === "overlay" ? opacity : null,
    };
  }

  quantised(cell: Cell): Quantised | null {
    if (!cell.array) return null;
    const scale = this.scaleOf(cell);
    const held = this.store.cells.get(cell.sharing ?? cell.key) ?? cell;
    const known = this.#quantised.get(held);
    if (known?.values === cell.array.data && known.scale === scale && known.signed === cell.signed)
      return known;
    const made = quantise(cell.array, scale, cell.signed);
    this.#quantised.set(held, made);
    return made;
  }

  /** Draws a picture that several cells show; a large one is made smaller once, as every cell keeps its pixels. */
  paint(canvas: HTMLCanvasElement, picture: CellPicture): void {
    const [height, width] = picture.array.shape;
    if (Math.max(height, width) <= MOST_PX) {
      drawPicture(canvas, picture.array);
      return;
    }
    let small = this.#small.get(picture);
    if (!small) {
      small = document.createElement("canvas");
      const whole = document.createElement("canvas");
      drawPicture(whole, picture.array);
      const scale = MOST_PX / Math.max(height, width);
      small.width = Math.max(1, Math.round(width * scale));
      small.height = Math.max(1, Math.round(height * scale));
      small.getContext("2d")?.drawImage(whole, 0, 0, small.width, small.height);
      this.#small.set(picture, small);
    }
    canvas.width = small.width;
    canvas.height = small.height;
    canvas.getContext("2d")?.drawImage(small, 0, 0);
  }

  /** Signed value of a cell's map at a place of its picture; null outside of the map. */
  valueAt(cell: Cell, picture: CellPicture, at: Point): number | null {
    const { array, placement } = cell;
    if (!array) return null;
    const [h, w] = array.shape;
    const column = Math.floor(((at.x * picture.width - placement.x) / placement.width) * w);
    const row = Math.floor(((at.y * picture.height - placement.y) / placement.height) * h);
    if (column < 0 || row < 0 || column >= w || row >= h) return null;
    return array.data[row * w + column];
  }

  /** The value of a cell at the shared cursor. */
  valueOf(key: string): number | null {
    const cell = this.store.mapOf(key);
    const picture = this.store.pictureOf(key);
    return cell && picture && this.cursor ? this.valueAt(cell, picture, this.cursor) : null;
  }

  /** Whether the maps that are there are signed, magnitudes, or some of each. */
  kinds(): { signed: boolean; plain: boolean } {
    const found = { signed: false, plain: false };
    for (const { array, sharing, signed } of this.store.cells.values()) {
      if (array || sharing) found[signed ? "signed" : "plain"] = true;
    }
    return found;
  }

  /** The cell that the legend speaks of: under the cursor, else the chosen one, else the first that is there. */
  get spoken(): string | null {
    const { store } = this;
    const { grid } = store;
    const has = (key: string | null) => key !== null && store.mapOf(key)?.array != null;
    const shown = (key: string | null) => has(key) && grid?.has(key as string);
    if (shown(this.read)) return this.read;
    const chosen = store.chosen(0);
    if (shown(chosen)) return chosen;
    for (const row of grid?.down ?? []) {
      for (const column of grid?.across ?? []) {
        const key = (grid as NonNullable<typeof grid>).key(row, column);
        if (has(key)) return key;
      }
    }
    return null;
  }
}

/** The names of a cell's entries: of rows and columns, and where it stands elsewhere than the grid. */
export function nameOf(store: ComparisonStore, key: string): string {
  const { setup, grid } = store;
  if (!setup || !grid) return "";
  const place = placeOf(key);
  const here = grid.place(grid.down[0] ?? 0, grid.across[0] ?? 0);
  const names = AXES.filter(
    (axis) => axis === grid.rows || axis === grid.columns || place[axis] !== here[axis],
  )
    .sort((a, b) => Number(b === "images") - Number(a === "images"))
    .map((axis) => entryText(setup.axes[axis][place[axis]]));
  return names.filter(Boolean).join(", ");
}

/** A placement as shares of its picture. */
export const share = ({ x, y, width, height }: Rectangle, picture: { width: number; height: number }) => ({
  x: x / picture.width,
  y: y / picture.height,
  width: width / picture.width,
  height: height / picture.height,
});

/** The parts that are shared with the Explorer look at one map: here, the one that the legend speaks of. */
export function contextOf(
  store: ComparisonStore,
  state: ViewState,
  signal: AbortSignal,
  announce: (text: string) => void,
): Context {
  const shown = {
    get map() {
      const key = state.spoken;
      const cell = key ? store.mapOf(key) : null;
      return cell && { ...cell, scale: state.scaleOf(cell) };
    },
    get mapOfPicture() {
      return this.map;
    },
    get picture() {
      const key = state.spoken;
      return key ? store.pictureOf(key) : null;
    },
    get sharedScale() {
      return this.map?.scale ?? 0;
    },
  };
  return {
    store: shown as unknown as Context["store"],
    display: state.display,
    viewport: state.viewport,
    signal,
    announce,
    get cursor() {
      const { picture } = shown;
      const { cursor } = state;
      return picture && cursor && { x: cursor.x * picture.width, y: cursor.y * picture.height };
    },
    set cursor(_point) {},
    setCursor: () => {},
  };
}
