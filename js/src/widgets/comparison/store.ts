// What all views of one comparison share: the traits (synced with Python) and what the kernel sent (never synced).
import type { AnyModel } from "@anywidget/types";
import {
  type Agreement,
  AXES,
  type Cascade,
  type CascadeMap,
  type Cell,
  type CellPicture,
  type ComparisonSetup,
  type Curve,
  type Grid,
  gridOf,
  type MetricInfo,
  placeOf,
  type Score,
  type Scores,
  type StudyState,
  sorted,
  type Traits,
} from "../../core/comparison";
import { same } from "../../core/history";
import { JobStore } from "../../core/job_store";
import { importScript } from "../../core/modules";
import type { Module, Payloads, ToBrowser } from "../../core/protocol";
import { Thumbnails } from "../../core/thumbnails";
import type * as StudiesModule from "../studies/index";

export const TRAITS = [
  "rows",
  "columns",
  "fixed",
  "hidden",
  "metrics",
  "sort",
  "selected",
  "study",
  "curve",
  "cascade",
] as const satisfies readonly (keyof Traits)[];
/** A change of these is answered by a job. */
const ASKED: readonly string[] = ["rows", "columns", "fixed", "hidden", "metrics"];

/** Maps of cells out of view are let go of beyond this; with what is remembered of each, it is twice as much. */
export const MOST_BYTES = 256 * 2 ** 20;

export type Topic =
  | "traits"
  | "picture"
  | "cell"
  | "scores"
  | "thumbnails"
  | "agreement"
  | "curve"
  | "cascade"
  | "study"
  | "module";

/** How a cell stands in this view. */
export type CellState = "done" | "failed" | "computing" | "waiting" | "missing";

const curveKey = (key: string, { kind, fill }: Pick<Curve, "kind" | "fill">) => `${key} ${kind} ${fill}`;
const cascadeKey = (key: string, mode: string) => `${key} ${mode}`;

/** Studies that are kept; the kernel sends one again whenever its cell is chosen. */
const MOST_STUDIES = 16;

function keepNewest<T>(kept: Map<string, T>, name: string, study: T): void {
  kept.delete(name);
  kept.set(name, study);
  for (const oldest of kept.keys()) {
    if (kept.size <= MOST_STUDIES) return;
    kept.delete(oldest);
  }
}

export class ComparisonStore extends JobStore<Topic, ComparisonSetup> {
  readonly cells = new Map<string, Cell>();
  readonly pictures = new Map<string, CellPicture>();
  readonly scores = new Map<string, Record<string, Score>>();
  agreement: Agreement | null = null;
  /** What shows the studies, and its styles: it comes when the first view says hello. */
  studies: (typeof StudiesModule & Pick<Module, "style">) | null = null;
  studiesFault = "";
  studying: StudyState | null = null;
  /** The newest cell that came, or whose numbers did. */
  newest = "";
  newestPicture: CellPicture | null = null;
  /** Bytes of maps that are kept at most. */
  most = MOST_BYTES;
  #curves = new Map<string, Curve>();
  #cascades = new Map<string, Cascade>();
  #thumbnails = new Thumbnails((range) => this.channel.send("thumbnails", range));
  #bytes = 0;
  #visible = "";
  #inView = new Set<string>();
  #grid: Grid | null = null;

  constructor(model: AnyModel, signal?: AbortSignal) {
    super(model, signal);
    for (const trait of TRAITS) {
      model.on(`change:${trait}`, () => {
        this.#grid = null;
        this.emit("traits");
      });
    }
    // Hosts may keep a closed widget's model for as long as its page is open.
    signal?.addEventListener("abort", () => {
      for (const kept of [this.cells, this.pictures, this.#curves, this.#cascades]) kept.clear();
    });
  }

  get<K extends keyof Traits>(trait: K): Traits[K] {
    return this.model.get(trait) as Traits[K];
  }

  get traits(): Traits {
    return Object.fromEntries(TRAITS.map((trait) => [trait, this.get(trait)])) as unknown as Traits;
  }

  /** Changes traits and saves them in one message; nothing is sent when nothing differs. */
  set(changes: Partial<Traits>): void {
    const differing = Object.entries(changes).filter(([name, value]) => !same(value, this.model.get(name)));
    if (!differing.length) return;
    const job = differing.some(([name]) => ASKED.includes(name));
    if (job) this.pendingSince = this.channel.revision;
    for (const [name, value] of differing) this.model.set(name, value);
    if (job) this.channel.expectJob();
    this.model.save_changes();
    if (job) this.emit("status");
  }

  /** The grid in the order it is shown in; null until the kernel has said what there is. */
  get grid(): Grid | null {
    const { setup } = this;
    if (!setup) return null;
    this.#grid ??= sorted(gridOf(this.traits, setup), this.get("sort"), setup.metrics, this.scoreOf);
    return this.#grid;
  }

  /** Puts sorted sides in order again, once values have come. */
  resort(): void {
    if (this.get("sort")) this.#grid = null;
  }

  readonly scoreOf = (key: string, metric: string) => this.scores.get(key)?.[metric]?.value;

  /** The metrics that are shown, as the setup describes them. */
  get metrics(): MetricInfo[] {
    const wanted = this.get("metrics") ?? [];
    const known = this.setup?.metrics ?? [];
    return wanted.flatMap((name) => known.find((metric) => metric.name === name) ?? []);
  }

  /** The map of a cell, which another cell may hold. */
  mapOf(key: string): Cell | null {
    const cell = this.cells.get(key);
    if (!cell) return null;
    if (cell.array || !cell.sharing) return cell;
    const shared = this.cells.get(cell.sharing);
    return shared?.array ? { ...cell, array: shared.array, placement: shared.placement } : cell;
  }

  stateOf(key: string): CellState {
    const cell = this.cells.get(key);
    if (cell?.state === "failed") return "failed";
    if (cell?.state === "done") return this.mapOf(key)?.array ? "done" : "waiting";
    if (!this.setup || this.busy) return cell ? "computing" : "waiting";
    return "missing";
  }

  pictureOf(key: string): CellPicture | null {
    const { models, images } = placeOf(key);
    return this.pictures.get(`${models}.${images}`) ?? null;
  }

  /** The key of a chosen cell; null where the choice names no cell that there is. */
  chosen(index: 0 | 1): string | null {
    const place = this.get("selected")?.[index];
    const { setup } = this;
    if (!place || !setup) return null;
    const exists = AXES.every((axis) => (place[axis] ?? 0) < setup.axes[axis].length);
    return exists ? AXES.map((axis) => place[axis] ?? 0).join(".") : null;
  }

  get curve(): Curve | null {
    return this.#curves.get(curveKey(this.chosen(0) ?? "", this.get("curve"))) ?? null;
  }

  get cascade(): Cascade | null {
    return this.#cascades.get(cascadeKey(this.chosen(0) ?? "", this.get("cascade").mode)) ?? null;
  }

  /** The study that is open, of the first chosen cell or (agreement) of the grid: how it stands. */
  get studyState(): StudyState | null {
    const { studying } = this;
    const study = this.get("study");
    const about = study === "agreement" ? null : this.chosen(0);
    return studying && studying.key === about && studying.kind === study ? studying : null;
  }

  thumbnail(index: number) {
    return this.#thumbnails.items.get(index) ?? null;
  }

  requestThumbnails(index: number): void {
    const { setup } = this;
    if (setup) this.#thumbnails.request(index, setup.n_images, setup.max_thumbnails);
  }

  /** Tells the kernel which cells are looked at, while maps of some of them are not there. */
  lookAt(keys: string[]): void {
    this.#inView = new Set(keys.map((key) => this.#holder(key)));
    const holders = keys.map((key) => this.#holder(key));
    const missing = [...new Set(holders.filter((key) => this.#letGo.has(key)))];
    const waiting = keys.some((key) => ["waiting", "computing"].includes(this.stateOf(key)));
    const text = `${keys.join(" ")}|${missing.join(" ")}`;
    if ((!waiting && !missing.length) || text === this.#visible) return;
    this.#visible = text;
    this.channel.send("visible", { keys, missing });
  }

  override hello(): void {
    this.channel.send("hello", { module: this.studies === null });
  }

  override cancel(): void {
    this.channel.send("cancel", { lane: "grid" });
  }

  cancelStudy(): void {
    this.channel.send("cancel", { lane: "study" });
  }

  protected override fellSilent(): void {
    this.#thumbnails.forget();
    this.#visible = "";
  }

  /** The kernel took a state up; or, asked again, it stayed with an older one because it refused the new values. */
  protected override takenUp(revision: number): void {
    super.takenUp(revision);
    if (this.pendingSince === null || !this.channel.probed) return;
    this.pendingSince = null;
    for (const trait of ASKED)
      if (trait in this.#asked) this.model.set(trait, this.#asked[trait as keyof Traits]);
  }
  #asked: Partial<Traits> = {};

  protected override take(kind: ToBrowser, payload: Payloads[ToBrowser]): void {
    switch (kind) {
      case "setup":
        this.#grid = null;
        break;
      case "accepted":
        this.#visible = "";
        this.#asked = payload as Partial<Traits>;
        break;
      case "picture": {
        const picture = payload as CellPicture;
        this.newestPicture = picture;
        this.pictures.set(`${picture.model ?? 0}.${picture.index}`, picture);
        this.emit("picture");
        break;
      }
      case "cell":
        this.#keep(payload as Cell);
        break;
      case "scores": {
        const { key, values } = payload as Scores;
        this.scores.set(key, { ...this.scores.get(key), ...values });
        this.newest = key;
        this.emit("scores");
        break;
      }
      case "thumbnails":
        this.#thumbnails.take((payload as Payloads["thumbnails"]).items);
        this.emit("thumbnails");
        break;
      case "agreement":
        this.agreement = payload as Agreement;
        this.emit("agreement");
        break;
      case "curve": {
        const curve = payload as Curve;
        keepNewest(this.#curves, curveKey(curve.key, curve), curve);
        this.emit("curve");
        break;
      }
      case "cascade":
        this.#takeCascade(payload as Cascade);
        break;
      case "cascade_map":
        this.#takeMap(payload as CascadeMap);
        break;
      case "module":
        void this.#load(payload as Module);
        break;
      case "study":
        this.studying = payload as StudyState;
        this.emit("study");
        break;
      case "result":
      case "cancelled":
      case "error":
        // What was waited for is not coming: cells say so.
        for (const [key, cell] of this.cells) if (cell.state === "computing") this.cells.delete(key);
        break;
    }
  }

  /** Maps of cascades that are not complete, by stage; 0 is the network itself. */
  readonly parts = new WeakMap<Cascade, Map<number, CascadeMap["array"]>>();

  #takeCascade(cascade: Cascade): void {
    keepNewest(this.#cascades, cascadeKey(cascade.key, cascade.mode), cascade);
    this.emit("cascade");
  }

  #takeMap({ key, mode, stages, index, array, similarity }: CascadeMap): void {
    const name = cascadeKey(key, mode);
    const before = this.#cascades.get(name);
    const same = before && before.stages.join() === stages.join();
    // A complete one that is computed again stays until it is complete again.
    if (same && before.maps) return;
    const known = same ? before : { key, mode, stages, done: 0, maps: null, similarity: {} };
    const alike = { ...known.similarity };
    for (const [kind, value] of Object.entries(similarity ?? {})) {
      alike[kind] = [...(alike[kind] ?? [])];
      alike[kind][index - 1] = value;
    }
    const now: Cascade = { ...known, done: Math.max(known.done, index), similarity: alike };
    this.parts.set(now, new Map(this.parts.get(known)).set(index, array));
    keepNewest(this.#cascades, name, now);
    this.emit("cascade");
  }

  async #load({ script, style }: Module): Promise<void> {
    try {
      this.studies = { ...(await importScript<typeof StudiesModule>(script)), style };
    } catch (error) {
      this.studiesFault = `This page cannot show the studies: reload it. ${error}`;
    }
    this.emit("module");
  }

  readonly #letGo = new Set<string>();

  /** The cell that keeps the map of this one. */
  #holder(key: string): string {
    return this.cells.get(key)?.sharing ?? key;
  }

  #keep(cell: Cell): void {
    const { key } = cell;
    const before = this.cells.get(key);
    // A cell that is computed again keeps its map on the screen until the new one is there.
    if (cell.state === "computing" && before?.state === "done" && before.array) return;
    this.#bytes += (cell.array?.data.byteLength ?? 0) - (before?.array?.data.byteLength ?? 0);
    this.cells.delete(key);
    this.cells.set(key, cell);
    if (cell.array) this.#letGo.delete(key);
    this.newest = key;
    if (this.#bytes > this.most) this.#forgetSome(key);
    this.emit("cell");
  }

  /** Lets go of the maps that came first and are out of view, down to three quarters. */
  #forgetSome(newest: string): void {
    const chosen = [this.chosen(0), this.chosen(1)];
    for (const [key, cell] of this.cells) {
      if (this.#bytes <= 0.75 * this.most) return;
      if (!cell.array || key === newest || this.#inView.has(key) || chosen.includes(key)) continue;
      this.#bytes -= cell.array.data.byteLength;
      this.cells.set(key, { ...cell, array: null });
      this.#letGo.add(key);
    }
  }
}
