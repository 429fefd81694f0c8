// The comparison's axes, cells and messages. Twin of xai_widgets/widgets/comparison/comparison.py.
import type { NDArray } from "./codec";
import type { BaseSetup, Finding, Picture, Rectangle } from "./protocol";

/** In the order in which a cell's key names them. */
export const AXES = ["models", "images", "methods", "layers", "targets"] as const;
export type Axis = (typeof AXES)[number];

/** One entry of an axis; which fields there are depends on the axis. */
export interface Entry {
  /** Images have a name instead. */
  label?: string;
  name?: string;
  title?: string;
  /** Of a method, in words. */
  parameters?: string;
  uses_layer?: boolean;
  family?: string;
  framework?: string;
  verdict?: string;
}

export interface MetricInfo {
  name: string;
  title: string;
  direction: "higher" | "lower";
  minimum: number | null;
  maximum: number | null;
  unit: string;
  meaning: string;
  /** Why it has no values here, and what to give. */
  needs_missing: string | null;
}

export interface ComparisonSetup extends BaseSetup {
  axes: Record<Axis, Entry[]>;
  metrics: MetricInfo[];
  fills: string[];
  max_thumbnails: number;
  n_images: number;
}

/** A cell as positions on all five axes. */
export type Place = Record<Axis, number>;
export type Study = "pair" | "curves" | "sanity" | "agreement";

export interface Sort {
  metric: string;
  axis: "rows" | "columns";
}

/** The synced traits; each is documented in xai_widgets/widgets/comparison/comparison.py. */
export interface Traits {
  rows: Axis;
  columns: Axis;
  fixed: Partial<Record<Axis, number>>;
  hidden: Partial<Record<Axis, number[]>>;
  metrics: string[];
  sort: Sort | null;
  selected: Place[];
  study: Study | null;
  curve: { kind: "deletion" | "insertion"; fill: string; n_steps: number };
  cascade: { mode: "cascade" | "independent"; n_stages: number | null };
}

export type CellPicture = Picture & { model: number };

/** While it is computed, a cell has nothing but its key and state. */
export interface Cell {
  key: string;
  state: "done" | "failed" | "computing";
  /** null also of a map that the kernel sends once it is looked at. */
  array: NDArray<Float32Array> | null;
  placement: Rectangle;
  signed: boolean;
  target_text: string;
  score: number | null;
  /** The class that the model predicts, and the probability of that class. */
  predicted: string | null;
  probability: number | null;
  seconds: number;
  cached: boolean;
  notes: Finding[];
  message: string | null;
  /** The cell with the same map, which was computed once. */
  sharing: string | null;
}

export interface Score {
  value: number | null;
  control: number | null;
  control_name: string | null;
  note: string | null;
}

export interface Scores {
  key: string;
  values: Record<string, Score>;
}

/** Rank correlation between the maps of the columns, averaged over the rows. */
export interface Agreement {
  labels: string[];
  keys: number[];
  matrix: NDArray<Float32Array>;
  kind: string;
  over: string;
  n_rows: number;
}

export interface Curve {
  key: string;
  kind: "deletion" | "insertion";
  fill: string;
  /** The step 1..S at which a pixel changes; 0, or one beyond S: never. */
  step_of: NDArray<Uint8Array | Uint16Array>;
  random_step_of: NDArray<Uint8Array | Uint16Array> | null;
  filled: NDArray<Uint8Array>;
  original: NDArray<Uint8Array>;
  values: NDArray<Float32Array>;
  random: NDArray<Float32Array>;
  /** Share of the pixels that have changed. */
  fractions: NDArray<Float32Array>;
  area: number;
  random_area: number;
  is_probability: boolean;
  target_text: string;
}

export interface Cascade {
  key: string;
  mode: "cascade" | "independent";
  stages: string[];
  done: number;
  /** The first is of the network itself; sent when all are there. */
  maps: NDArray<Float32Array> | null;
  similarity: Record<string, number[]>;
}

/** One map of a cascade while the others are computed. */
export interface CascadeMap {
  key: string;
  mode: "cascade" | "independent";
  stages: string[];
  /** 0 is the network itself. */
  index: number;
  array: NDArray<Float32Array>;
  similarity: Record<string, number> | null;
}

export interface StudyState {
  /** null where no cell is selected. */
  key: string | null;
  kind: "curves" | "sanity" | "agreement";
  state: "computing" | "done" | "failed" | "cancelled";
  done: number;
  total: number;
  message: string | null;
}

export const keyOf = (place: Place) => AXES.map((axis) => place[axis]).join(".");

export function placeOf(key: string): Place {
  const at = key.split(".").map(Number);
  return Object.fromEntries(AXES.map((axis, i) => [axis, at[i]])) as Place;
}

/** The grid as it is shown: positions of the rows and columns in order, and the cell at each crossing. */
export interface Grid {
  rows: Axis;
  columns: Axis;
  down: number[];
  across: number[];
  place(row: number, column: number): Place;
  key(row: number, column: number): string;
  /** Whether a cell is one of the grid's. */
  has(key: string): boolean;
}

/** The mean of the finite values, or null where there is none. */
export function mean(values: Iterable<number | null | undefined>): number | null {
  let sum = 0;
  let count = 0;
  for (const value of values) {
    if (value === null || value === undefined || !Number.isFinite(value)) continue;
    sum += value;
    count += 1;
  }
  return count ? sum / count : null;
}

/** Positions of an axis that are not hidden. */
export function shownEntries(axis: Axis, traits: Pick<Traits, "hidden">, setup: ComparisonSetup): number[] {
  const hidden = new Set(traits.hidden?.[axis] ?? []);
  return setup.axes[axis].map((_, at) => at).filter((at) => !hidden.has(at));
}

/** Where the grid stands on an axis that it does not show. */
export function fixedAt(axis: Axis, traits: Pick<Traits, "fixed">, setup: ComparisonSetup): number {
  const at = traits.fixed?.[axis] ?? 0;
  return at >= 0 && at < setup.axes[axis].length ? at : 0;
}

/** The grid of these traits, in the given order. */
export function gridOf(
  traits: Pick<Traits, "rows" | "columns" | "fixed" | "hidden">,
  setup: ComparisonSetup,
): Grid {
  const { rows, columns } = traits;
  const still = Object.fromEntries(AXES.map((axis) => [axis, fixedAt(axis, traits, setup)])) as Place;
  const place = (row: number, column: number) => ({ ...still, [rows]: row, [columns]: column });
  const key = (row: number, column: number) => keyOf(place(row, column));
  const down = shownEntries(rows, traits, setup);
  const across = shownEntries(columns, traits, setup);
  const has = (name: string) => {
    const at = placeOf(name);
    return down.includes(at[rows]) && across.includes(at[columns]) && key(at[rows], at[columns]) === name;
  };
  return { rows, columns, down, across, place, key, has };
}

/** The mean of a metric over the cells of each entry of one side, by position. */
export function meansOf(
  grid: Grid,
  side: Sort["axis"],
  scoreOf: (key: string) => number | null | undefined,
): Map<number, number | null> {
  const [mine, others] = side === "rows" ? [grid.down, grid.across] : [grid.across, grid.down];
  const key = (one: number, other: number) => (side === "rows" ? grid.key(one, other) : grid.key(other, one));
  return new Map(mine.map((one) => [one, mean(others.map((other) => scoreOf(key(one, other))))]));
}

/** The grid with one side in order of a metric, best first; without values last, ties as they were. */
export function sorted(
  grid: Grid,
  sort: Sort | null,
  metrics: readonly MetricInfo[],
  scoreOf: (key: string, metric: string) => number | null | undefined,
): Grid {
  const metric = metrics.find(({ name }) => name === sort?.metric);
  if (!sort || !metric) return grid;
  const means = meansOf(grid, sort.axis, (key) => scoreOf(key, metric.name));
  const better = metric.direction === "higher" ? -1 : 1;
  const order = (a: number, b: number) => {
    const [x, y] = [means.get(a) ?? null, means.get(b) ?? null];
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    return better * (x - y);
  };
  const side = sort.axis === "rows" ? "down" : "across";
  return { ...grid, [side]: [...grid[side]].sort(order) };
}

export const TITLES: Record<Axis, { many: string; one: string }> = {
  images: { many: "Images", one: "Image" },
  methods: { many: "Methods", one: "Method" },
  models: { many: "Models", one: "Model" },
  layers: { many: "Layers", one: "Layer" },
  targets: { many: "Targets", one: "Target" },
};

/** What an entry is called; the words are the kernel's. */
export const entryText = (entry: Entry | undefined) => entry?.label ?? entry?.title ?? entry?.name ?? "";

/** What there is to say of an entry besides its name. */
export function entryTitle(entry: Entry | undefined): string {
  const more = [entry?.parameters, entry?.framework, entry?.verdict].filter(Boolean).join(", ");
  return more ? `${entryText(entry)}: ${more}` : entryText(entry);
}
