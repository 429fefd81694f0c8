// What all views of one Explorer share: the traits (synced with Python) and what the kernel sent (never synced).
import type { AnyModel } from "@anywidget/types";
import type * as ReportModuleExports from "../widgets/report/index";
import type { NDArray } from "./codec";
import { History, same } from "./history";
import { JobStore, type JobTopic } from "./job_store";
import { importScript } from "./modules";
import type {
  Ablation,
  Asked,
  ClassTarget,
  Crop,
  Failure,
  MapMessage,
  MethodInfo,
  Module,
  OpenedMessage,
  OtherTarget,
  Payloads,
  Picture,
  Prediction,
  Progress,
  Rectangle,
  Region,
  ReportMessage,
  Setup,
  Superpixels,
  Target,
  ToBrowser,
  Tool,
} from "./protocol";
import { upsample } from "./renderer";
import { scaleOf } from "./stats";
import { Thumbnails } from "./thumbnails";

type ReportModule = typeof ReportModuleExports;

export type Topic =
  | JobTopic
  | "traits"
  | "picture"
  | "prediction"
  | "map"
  | "ablation"
  | "thumbnails"
  | "superpixels"
  | "crop"
  | "report"
  | "opened"
  | "shelf"
  | "examples"
  | "bars"
  | "sweep"
  | "suggestions"
  | "gallery"
  | "features"
  | "film"
  | "exciting";

/** The synced traits; each is documented in xai_widgets/widgets/explorer/explorer.py. */
export const TRAITS = [
  "image_index",
  "target",
  "layer",
  "method",
  "parameters",
  "region",
  "ablation",
] as const satisfies readonly (keyof Asked)[];

/** A map as shown: its values on the input grid or finer. */
export interface ShownMap extends Omit<MapMessage, "array"> {
  array: NDArray<Float32Array>;
  /** Picture it was computed for. */
  image: number;
  scale: number;
}

/** What a map depends on; the ablation only looks at it, and the region too but in a segmentation. */
function askKey(asked: Asked, dense: boolean): string {
  const { image_index, target, layer, method, parameters, region } = asked;
  const own = Object.entries(parameters?.[method] ?? {}).sort();
  const what = isClass(target) ? [target.index, target.versus ?? null] : target;
  return JSON.stringify([image_index, what, layer, method, own, dense && region]);
}

export const isClass = (target: Target | null): target is ClassTarget => target !== null && "index" in target;

/** A target that only Python sets, in words. */
function otherText(target: OtherTarget): string {
  if (target.kind === "function") return target.name;
  const { layer, channel, position, reduce } = target;
  const what = channel === null ? "all channels" : `channel ${channel}`;
  return `${reduce === "max" ? "maximum" : "mean"} of ${what} of ${layer}${position ? ` at [${position}]` : ""}`;
}

const ablationKey = ({ image_index, region, ablation }: Asked) =>
  JSON.stringify([image_index, region, ablation]);

export class Store extends JobStore<Topic, Setup> {
  picture: Picture | null = null;
  prediction: Prediction | null = null;
  map: ShownMap | null = null;
  ablation: Ablation | null = null;
  superpixels: Superpixels | null = null;
  crop: Crop | null = null;
  readonly #thumbnails = new Thumbnails((range) => this.channel.send("thumbnails", range));
  readonly thumbnails = this.#thumbnails.items;
  /** The readiness check of the model, once somebody asked for it; `checking` while it runs. */
  report: ReportMessage | null = null;
  checking: Progress | null = null;
  /** The tools that are open below. */
  opened: OpenedMessage["tools"] = {};
  /** What shows a report, and its styles; they come when they are first asked for. */
  reporter: (ReportModule & Pick<Module, "style">) | null = null;

  #asked: Asked | null = null;
  #ablationKey = "";
  #mapKey = "";
  #mapRevision = 0;
  #sharedScales = new Map<string, number>();
  #superpixelsFor = -1;
  readonly history: History<Region | null>;

  constructor(model: AnyModel, signal?: AbortSignal) {
    super(model, signal);
    this.history = new History(this.get("region"));
    for (const trait of this.traits) {
      model.on(`change:${trait}`, () => this.#traitChanged(trait as keyof Asked));
    }
  }

  /** The synced traits of this tool. */
  protected get traits(): readonly string[] {
    return TRAITS;
  }

  get<K extends keyof Asked>(trait: K): Asked[K] {
    const value = this.model.get(trait);
    // A host may hold an empty object where nothing was set: a region without a type is none.
    return (trait === "region" && !value?.type ? null : value) as Asked[K];
  }

  /** Changes traits and saves them in one message; nothing is sent when nothing differs. */
  set(changes: Partial<Asked>): void {
    const differing = Object.entries(changes).filter(([name, value]) => !same(value, this.model.get(name)));
    if (differing.length === 0) return;
    this.pendingSince = this.channel.revision;
    for (const [name, value] of differing) this.model.set(name, value);
    this.channel.expectJob();
    this.model.save_changes();
    this.emit("status");
  }

  override get state() {
    const state = super.state;
    return state === "idle" && !this.setup?.n_images ? "empty" : state;
  }

  /** The map on screen answers an older question than the one asked now. */
  get stale(): boolean {
    if (!this.map) return false;
    if (this.pendingSince === null && this.#mapRevision === this.channel.revision) return false;
    return this.#mapKey !== this.#key(this.#traits());
  }

  /** The ablation, if it is of the region and fill asked for now, or stands in while theirs is computed. */
  get ablationShown(): Ablation | null {
    const { region, ablation } = this.#traits();
    if (!region || !ablation || !this.ablation) return null;
    return this.busy || !this.ablationStale ? this.ablation : null;
  }

  get ablationStale(): boolean {
    return this.#ablationKey !== ablationKey(this.#traits());
  }

  /** The map, if it belongs to the picture on screen. */
  get mapOfPicture(): ShownMap | null {
    return this.map && (!this.picture || this.map.image === this.picture.index) ? this.map : null;
  }

  /** The class asked for, or the predicted one; null for a target that is no class. */
  get resolvedTarget(): ClassTarget | null {
    const target = this.get("target");
    if (target) return isClass(target) ? target : null;
    return this.prediction ? { kind: "class", index: this.prediction.predicted, versus: null } : null;
  }

  /** A segmentation, whose classes are explained over the region where one is marked. */
  get dense(): boolean {
    return this.setup?.task === "segmentation";
  }

  /** The target in words. */
  get targetText(): string {
    const asked = this.get("target");
    if (asked && !isClass(asked)) return otherText(asked);
    const target = this.resolvedTarget;
    return target
      ? this.label(target.index) + (this.dense && this.get("region") ? " in the region" : "")
      : "";
  }

  get resolvedLayer(): string | null {
    return this.get("layer") ?? this.setup?.layers.find((layer) => layer.recommended)?.name ?? null;
  }

  get method(): MethodInfo | null {
    const name = this.get("method");
    return this.setup?.methods.find((method) => method.name === name) ?? null;
  }

  /** Probabilities if the model is a classifier, else scores. */
  get outputs(): Float32Array | null {
    return this.prediction ? (this.prediction.probabilities ?? this.prediction.scores).data : null;
  }

  label(index: number): string {
    return this.setup?.labels[index] ?? `class ${index}`;
  }

  /** Largest scale seen so far over images, for the map's method and layer. */
  get sharedScale(): number {
    return this.map ? (this.#sharedScales.get(scaleKey(this.map)) ?? this.map.scale) : 0;
  }

  requestThumbnails(index: number): void {
    const { setup } = this;
    if (setup) this.#thumbnails.request(index, setup.n_images, setup.max_thumbnails);
  }

  requestSuperpixels(): void {
    if (!this.picture || this.superpixels?.index === this.picture.index) return;
    if (this.#superpixelsFor === this.picture.index && !this.channel.silent) return;
    this.#superpixelsFor = this.picture.index;
    this.channel.send("superpixels");
  }

  requestCrop(area: Rectangle, maxPixels: number): void {
    if (this.picture) this.channel.send("crop", { index: this.picture.index, ...area, max_px: maxPixels });
  }

  /** Asks for the readiness check: from the kernel's memory, or `again`. */
  requestCheck(again = false): void {
    if (this.checking) return;
    this.checking = { done: 0, total: 0, stage: "check", text: "Checking the model" };
    this.channel.send("check", { again, module: !this.reporter });
    this.emit("report");
  }

  cancelCheck(): void {
    this.channel.send("cancel", { check: true });
  }

  undo(): void {
    if (this.history.canUndo) this.setRegion(this.history.undo());
  }

  redo(): void {
    if (this.history.canRedo) this.setRegion(this.history.redo());
  }

  setRegion(region: Region | null): void {
    this.set(region ? { region } : { region, ablation: null });
  }

  /** Another picture: a region drawn on the last one means nothing here. */
  setImage(index: number): void {
    this.set({ image_index: index, region: null, ablation: null });
    this.history.reset(null);
  }

  #key(asked: Asked): string {
    return askKey(asked, this.dense);
  }

  #traits(): Asked {
    return Object.fromEntries(TRAITS.map((trait) => [trait, this.get(trait)])) as unknown as Asked;
  }

  #traitChanged(trait: keyof Asked): void {
    if (trait === "region") this.history.push(this.get("region"));
    this.emit("traits");
  }

  protected override take(kind: ToBrowser, payload: Payloads[ToBrowser], revision: number): void {
    switch (kind) {
      case "accepted":
        this.#asked = payload as Asked;
        break;
      case "picture": {
        this.picture = payload as Picture;
        if (this.crop?.index !== this.picture.index) this.crop = null;
        this.emit("picture");
        break;
      }
      case "prediction":
        this.prediction = payload as Prediction;
        this.emit("prediction");
        break;
      case "map":
        this.#receiveMap(payload as MapMessage, revision);
        break;
      case "ablation":
        this.ablation = "fill" in payload ? (payload as Ablation) : null;
        this.#ablationKey = ablationKey(this.#asked ?? this.#traits());
        this.emit("ablation");
        break;
      case "result":
        this.#mapRevision = revision;
        this.#mapKey = this.#key(this.#answered());
        this.#ablationKey = ablationKey(this.#answered());
        break;
      case "error":
        this.#withdraw((payload as Failure).withdrawn ?? []);
        break;
      case "thumbnails":
        this.#thumbnails.take((payload as Payloads["thumbnails"]).items);
        this.emit("thumbnails");
        break;
      case "superpixels":
        if ((payload as Superpixels).array) this.superpixels = payload as Superpixels;
        this.#superpixelsFor = -1;
        this.emit("superpixels");
        break;
      case "crop":
        if ((payload as Crop).array) this.crop = payload as Crop;
        this.emit("crop");
        break;
      case "opened":
        this.opened = (payload as OpenedMessage).tools;
        this.emit("opened");
        break;
      case "checking":
        this.checking = payload as Progress;
        this.emit("report");
        break;
      case "report":
        this.#show(payload as ReportMessage);
        break;
      case "module":
        void this.#load(payload as Module);
        break;
    }
  }

  /** Asks for a tool below, or for its end. */
  open(tool: Tool, open: boolean): void {
    this.channel.send("open", { tool, open });
  }

  protected override fellSilent(): void {
    this.#thumbnails.forget();
    this.checking = null;
    this.emit("report");
  }

  /** The kernel took a state up; or, asked again, it stayed with an older one because it refused the new values. */
  protected override takenUp(revision: number): void {
    super.takenUp(revision);
    if (this.pendingSince !== null && this.channel.probed && this.#asked) {
      this.pendingSince = null;
      const asked = this.#asked as unknown as Record<string, unknown>;
      for (const trait of this.traits) if (trait in asked) this.model.set(trait, asked[trait]);
    }
  }

  /** What the newest final reply answers: the traits, unless they have changed since it was asked. */
  #answered(): Asked {
    return this.pendingSince !== null && this.#asked ? this.#asked : this.#traits();
  }

  #show(message: ReportMessage): void {
    this.report = message;
    this.checking = null;
    this.emit("report");
  }

  async #load({ script, style }: Module): Promise<void> {
    try {
      this.reporter = { ...(await importScript<ReportModule>(script)), style };
      this.emit("report");
    } catch (error) {
      const message = "This page cannot show the report: display ReadinessPanel(model) in a cell of its own.";
      this.#show({ report: null, error: { message, traceback: String(error) } });
    }
  }

  #withdraw(kinds: NonNullable<Failure["withdrawn"]>): void {
    for (const kind of kinds) {
      this[kind] = null;
      this.emit(kind);
    }
  }

  #receiveMap(message: MapMessage, revision: number): void {
    const [height, width] = this.setup?.input_shape ?? [0, 0];
    const scale = scaleOf(message.array.data);
    const asked = this.#asked ?? this.#traits();
    this.map = { ...message, array: upsample(message.array, height, width), image: asked.image_index, scale };
    this.#mapRevision = revision;
    this.#mapKey = this.#key(asked);
    if (!message.partial) {
      const key = scaleKey(message);
      this.#sharedScales.set(key, Math.max(scale, this.#sharedScales.get(key) ?? 0));
    }
    this.emit("map");
  }
}

const scaleKey = (map: Pick<MapMessage, "method" | "layer">) => JSON.stringify([map.method, map.layer]);
