// What all views of one workbench share: the traits, the concept sets, the scores, the sweep, the suggestions.
import type {
  Bars,
  ConceptInfo,
  Edit,
  ExampleInfo,
  ExampleItems,
  Saved,
  ScoreRecord,
  Shelf,
  Suggestion,
  Suggestions,
  Sweep,
  WorkbenchSetup,
  WorkbenchTraits,
} from "../../core/concepts";
import { importScript } from "../../core/modules";
import type { Asked, Module, Payloads, Region, ToBrowser } from "../../core/protocol";
import { Store } from "../../core/store";
import type * as ScoresModule from "../scores/index";

/** The synced traits; each is documented in xai_widgets/widgets/workbench/workbench.py. */
export const TRAITS = [
  "image_index",
  "concept",
  "layer",
  "layers",
  "target",
  "compare",
  "classifier",
  "pooled",
  "against",
  "testing",
] as const;

/** Thumbnails of examples come in messages of at most so many. */
const PAGE = 40;

/** The Explorer's store with concepts; its map is where the concept acts. */
export class WorkbenchStore extends Store {
  shelf: Shelf | null = null;
  bars: Bars | null = null;
  sweep: Sweep | null = null;
  suggestions: Suggestions | null = null;
  /** What tests and shows scores, and its styles; it comes with the first hello. */
  scores: (typeof ScoresModule & Pick<Module, "style">) | null = null;
  /** Why it did not come. */
  scoresFault = "";
  /** The suggestion that is looked at. */
  looking: Suggestion | null = null;
  /** Concept that suggestions are being looked for. */
  suggesting: string | null = null;
  readonly pictures = new Map<string, ExampleItems["items"][number]>();
  /** Edits that are not on disk yet, by the id of their message. */
  readonly saving = new Map<string, Edit>();
  /** The answer to the newest edit. */
  saved: Saved | null = null;

  #asked = new Set<string>();
  #queue: string[] = [];
  #came = { map: false, sweep: false };

  protected override get traits(): readonly string[] {
    return TRAITS;
  }

  /** Regions are drawn into concepts, and the map is always the concept's. */
  override get<K extends keyof Asked>(trait: K): Asked[K] {
    const own: Partial<Asked> = { region: null, ablation: null, method: "concept", parameters: {} };
    return trait in own ? (own[trait] as Asked[K]) : super.get(trait);
  }

  override hello(): void {
    this.channel.send("hello", { module: this.scores === null });
  }

  asked<K extends keyof WorkbenchTraits>(trait: K): WorkbenchTraits[K] {
    return this.model.get(trait) as WorkbenchTraits[K];
  }

  ask(changes: Partial<WorkbenchTraits>): void {
    this.set(changes as never);
  }

  override setImage(index: number): void {
    this.set({ image_index: index });
  }

  override get stale(): boolean {
    return this.map !== null && this.busy && !this.#came.map;
  }

  get workbench(): WorkbenchSetup | null {
    return this.setup as WorkbenchSetup | null;
  }

  get concepts(): ConceptInfo[] {
    return this.shelf?.concepts ?? [];
  }

  /** Whether the model has layers whose gradients concepts can be tested with. */
  get testable(): boolean {
    const verdict = this.setup?.verdict.verdict ?? "";
    return Boolean(this.setup?.layers.length) && !["inference-only", "broken"].includes(verdict);
  }

  /** Every place acts alike, as below a mean over all places: the map says nothing of where. */
  get mapIsFlat(): boolean {
    const values = this.map?.array.data;
    if (!this.map || !values?.length) return false;
    let [low, high] = [values[0], values[0]];
    for (const value of values) {
      if (value < low) low = value;
      else if (value > high) high = value;
    }
    return high - low < 1e-3 * this.map.scale;
  }

  /** The selected concept; the first one while none is. */
  get concept(): ConceptInfo | null {
    const name = this.asked("concept");
    const own = this.concepts.filter(({ role }) => role === "concept");
    return this.concepts.find((concept) => concept.name === name) ?? own[0] ?? null;
  }

  example(id: string | null): { concept: ConceptInfo; example: ExampleInfo } | null {
    for (const concept of this.concepts) {
      const example = concept.examples.find((each) => each.id === id);
      if (example) return { concept, example };
    }
    return null;
  }

  /** Examples of the picture on screen. */
  here(): { concept: ConceptInfo; example: ExampleInfo }[] {
    const index = this.picture?.index;
    return this.concepts.flatMap((concept) =>
      concept.examples
        .filter((example) => example.index === index && index !== undefined)
        .map((example) => ({ concept, example })),
    );
  }

  /** The layer that map, sweep, ranking and agreement are shown of. */
  get layerShown(): string | null {
    const asked = this.asked("layer");
    const tested = new Set(this.bars?.records.map(({ layer }) => layer));
    if (asked && (!tested.size || tested.has(asked))) return asked;
    const recommended = this.resolvedLayer;
    return recommended && (!tested.size || tested.has(recommended))
      ? recommended
      : ([...tested].pop() ?? null);
  }

  /** The scores, classes in the order in which they came. */
  get classes(): string[] {
    return [...new Set(this.bars?.records.map((record) => record.class))];
  }

  record(concept: string, layer: string, of: string): ScoreRecord | null {
    const found = this.bars?.records.find(
      (record) => record.concept === concept && record.layer === layer && record.class === of,
    );
    return found ?? null;
  }

  /** Changes the concept sets; the answer says when it is on disk. */
  edit(edit: Edit): void {
    const id = this.channel.send("edit", edit);
    if (this.saved?.id !== id) this.saving.set(id, edit);
    this.emit("shelf");
  }

  /** Adds a region of the picture on screen, or of another one. */
  add(concept: string, region: Region | null, index = this.picture?.index): void {
    if (index !== undefined) this.edit({ op: "add", concept, index, region });
  }

  suggest(concept: string): void {
    this.suggesting = concept;
    this.suggestions = null;
    this.channel.send("suggest", { concept });
    this.emit("suggestions");
  }

  dismiss(): void {
    this.suggestions = this.suggesting = this.looking = null;
    this.emit("suggestions");
  }

  /** Outlines a suggestion on its picture. */
  look(item: Suggestion | null): void {
    if (item === this.looking) return;
    this.looking = item;
    this.emit("suggestions");
  }

  /** Takes the suggestion off the list, and puts it among the examples or among what is never shown again. */
  decide(position: number, accept: boolean): void {
    const { suggestions } = this;
    const item = suggestions?.items[position];
    if (!suggestions || !item) return;
    const { index, region } = item;
    this.suggestions = { ...suggestions, items: suggestions.items.filter((other) => other !== item) };
    this.edit({ op: accept ? "add" : "reject", concept: suggestions.concept, index, region });
    this.emit("suggestions");
  }

  /** The pictures of examples that came into view; those of one moment travel together. */
  requestExample(id: string): void {
    if (this.pictures.has(id) || this.#asked.has(id)) return;
    this.#asked.add(id);
    if (!this.#queue.length) queueMicrotask(() => this.#sendQueue());
    this.#queue.push(id);
  }

  #sendQueue(): void {
    const ids = this.#queue;
    this.#queue = [];
    for (let from = 0; from < ids.length; from += PAGE) {
      this.channel.send("examples", { ids: ids.slice(from, from + PAGE) });
    }
  }

  protected override fellSilent(): void {
    this.#asked.clear();
    super.fellSilent();
  }

  protected override take(kind: ToBrowser, payload: Payloads[ToBrowser], revision: number): void {
    switch (kind) {
      case "shelf":
        this.shelf = payload as Shelf;
        this.#forget();
        this.emit("shelf");
        return;
      case "saved": {
        const answer = payload as Saved;
        this.saving.delete(answer.id);
        this.saved = answer;
        this.emit("shelf");
        return;
      }
      case "examples":
        for (const item of (payload as ExampleItems).items) {
          this.#asked.delete(item.id);
          this.pictures.set(item.id, item);
        }
        this.emit("examples");
        return;
      case "bars":
        this.bars = payload as Bars;
        this.emit("bars");
        return;
      case "sweep":
        this.#came.sweep = true;
        this.sweep = payload as Sweep;
        this.emit("sweep");
        return;
      case "suggestions":
        this.suggesting = null;
        this.suggestions = payload as Suggestions;
        this.emit("suggestions");
        return;
      case "module":
        if (!this.scores) void this.#load(payload as Module);
        return;
      case "accepted":
        this.#came = { map: false, sweep: false };
        break;
      case "map":
        this.#came.map = true;
        break;
      case "result":
        this.#withdraw();
        break;
      case "cancelled":
        if (this.suggesting) this.dismiss();
        break;
    }
    super.take(kind, payload, revision);
  }

  async #load({ script, style }: Module): Promise<void> {
    try {
      this.scores = { ...(await importScript<typeof ScoresModule>(script)), style };
    } catch (error) {
      this.scoresFault = `This page cannot show scores: reload it. ${error}`;
    }
    this.emit("setup");
  }

  /** What a finished job did not send does not hold any more. */
  #withdraw(): void {
    if (!this.#came.map && this.map) {
      this.map = null;
      this.emit("map");
    }
    if (!this.#came.sweep && this.sweep) {
      this.sweep = null;
      this.emit("sweep");
    }
  }

  /** Examples that are gone, or changed their outline, have no picture any more. */
  #forget(): void {
    const shapes = new Map(
      this.concepts.flatMap(({ examples }) => examples.map((each) => [each.id, JSON.stringify(each.region)])),
    );
    for (const id of this.pictures.keys()) {
      if (shapes.get(id) !== this.#shapes.get(id)) this.pictures.delete(id);
    }
    this.#shapes = shapes;
  }
  #shapes = new Map<string, string>();
}
