// Message kinds, their payloads and the envelope. Twin of xai_widgets/widgets/protocol.py; a test compares the lists.
import type { AttentionLayer } from "./attention";
import type { NDArray } from "./codec";
import type { Agreement, Cascade, CascadeMap, Cell, Curve, Scores, StudyState } from "./comparison";
import type { Bars, ExampleItems, Saved, Shelf, Suggestions, Sweep } from "./concepts";
import type { Exciting, Features, Film, Gallery } from "./gallery";
import type { Report } from "./report";
import type { BackgroundMessage, SeenMessage } from "./sketch";

export const VERSION = 1;

export const TO_KERNEL = [
  "hello",
  "cancel",
  "retry",
  "thumbnails",
  "superpixels",
  "crop",
  "snapshot",
  "check",
  "open",
  "edit",
  "examples",
  "suggest",
  "visible",
  "drawn",
  "background",
  "pong",
] as const;

export const TO_BROWSER = [
  "ack",
  "setup",
  "accepted",
  "picture",
  "prediction",
  "progress",
  "map",
  "ablation",
  "attention",
  "rows",
  "path",
  "stack",
  "opened",
  "result",
  "error",
  "cancelled",
  "thumbnails",
  "superpixels",
  "crop",
  "snapshot",
  "checking",
  "report",
  "module",
  "shelf",
  "saved",
  "examples",
  "bars",
  "sweep",
  "suggestions",
  "cell",
  "scores",
  "agreement",
  "curve",
  "cascade",
  "cascade_map",
  "study",
  "gallery",
  "features",
  "film",
  "exciting",
  "seen",
  "background",
  "ping",
] as const;

/** Kinds that end a job: exactly one of them per revision. */
export const FINAL = ["result", "error", "cancelled"] as const;

/** Kinds that belong to a job and are dropped when a newer job was accepted. */
export const OF_A_JOB = [
  "accepted",
  "picture",
  "prediction",
  "progress",
  "map",
  "ablation",
  "attention",
  "rows",
  "path",
  "stack",
  "bars",
  "sweep",
  "gallery",
  "features",
  ...FINAL,
] as const;

export type ToKernel = (typeof TO_KERNEL)[number];
export type ToBrowser = (typeof TO_BROWSER)[number];

export interface Envelope<K extends string = string, P = unknown> {
  v: number;
  id: string;
  kind: K;
  revision: number;
  payload: P;
}

export interface Rectangle {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface ClassTarget {
  /** In answers also "region": the class over a region of a segmentation. */
  kind: "class" | "region";
  index: number;
  versus: number | null;
}

/** Targets that only Python sets: they are shown by their text. */
export type OtherTarget =
  | {
      kind: "layer";
      layer: string;
      channel: number | null;
      position: number[] | null;
      reduce: "mean" | "max";
    }
  | { kind: "function"; name: string };

export type Target = ClassTarget | OtherTarget;

export type Region =
  | ({ type: "rect" } & Rectangle)
  | { type: "polygon"; points: [number, number][] }
  | { type: "superpixels"; ids: number[] }
  | { type: "mask"; size: [number, number]; counts: number[] };

export type Fill = "blur" | "mean" | "black";
export type Level = "info" | "warning" | "error";
export type ParameterValue = number | string | boolean | null;

export interface LayerInfo {
  name: string;
  kind: string;
  shape: number[];
  depth: number;
  spatial: boolean;
  main: boolean;
  recommended: boolean;
}

export interface ParameterInfo {
  name: string;
  label: string;
  kind: "int" | "float" | "choice" | "bool";
  default: ParameterValue;
  minimum?: number | null;
  maximum?: number | null;
  step?: number | null;
  choices?: ParameterValue[] | null;
  unit?: string | null;
  help?: string | null;
}

export interface MethodInfo {
  name: string;
  title: string;
  family: string;
  applicable: boolean;
  reason: string | null;
  /** What to know of its maps for this model. */
  note: string | null;
  cost: string;
  uses_layer: boolean;
  reference: string;
  parameters: ParameterInfo[];
}

export interface Finding {
  level: Level;
  text: string;
}

/** What every tool says of its model. */
export interface BaseSetup {
  title: string;
  framework: string;
  verdict: { verdict: string; sentence: string; findings: Finding[] };
}

export interface Setup extends BaseSetup {
  labels: string[];
  classifier: boolean;
  task: "classification" | "segmentation" | "regression";
  n_images: number;
  layers: LayerInfo[];
  methods: MethodInfo[];
  fills: Fill[];
  input_shape: number[];
  preprocessing: string;
  max_thumbnails: number;
}

/** What a job was asked for: the traits as the kernel read them. */
export interface Asked {
  image_index: number;
  target: Target | null;
  layer: string | null;
  method: string;
  parameters: Record<string, Record<string, ParameterValue>>;
  region: Region | null;
  ablation: Fill | null;
}

export interface Picture {
  index: number;
  name: string;
  /** Display pixels; the preview in `array` may be smaller. */
  width: number;
  height: number;
  array: NDArray<Uint8Array>;
  placement: Rectangle;
}

export interface Prediction {
  index: number;
  probabilities: NDArray<Float32Array> | null;
  scores: NDArray<Float32Array>;
  predicted: number;
}

export interface Progress {
  done: number;
  total: number;
  stage: "explain" | "predict" | "load" | "ablate" | "check";
  text: string;
}

export interface MapMessage {
  key: string;
  partial: boolean;
  array: NDArray<Float32Array>;
  placement: Rectangle;
  signed: boolean;
  method: string;
  method_title: string;
  layer: string | null;
  target: Target;
  target_text: string;
  score: number | null;
}

export interface Ablation {
  fill: Fill;
  area: number;
  probabilities: NDArray<Float32Array> | null;
  scores: NDArray<Float32Array>;
}

export interface Result {
  seconds: number;
  cached: boolean;
  target: Target | null;
  layer: string | null;
  facts: { text: string; title: string }[];
  notes: Finding[];
  /** Of the path scrubber: which baseline hides least where the present one hides much. */
  hint?: BaselineHint | null;
  convergence?: ConvergenceMessage | null;
}

/** Shares of the picture that equal the baseline, 0..1. */
export interface BaselineHint {
  share: number;
  best: string;
  best_share: number;
}

export interface Failure {
  message: string;
  traceback: string;
  stage: string;
  /** Messages that no longer hold: what they brought is taken off the screen. */
  withdrawn?: ("picture" | "prediction" | "map" | "ablation")[];
}

export interface Thumbnail {
  index: number;
  name: string;
  array: NDArray<Uint8Array> | null;
  error: string | null;
}

export interface Superpixels {
  index: number;
  array: NDArray<Uint16Array> | null;
  n: number;
  error?: string | null;
}

export interface Crop extends Rectangle {
  index: number;
  array: NDArray<Uint8Array> | null;
  error?: string | null;
}

/** The attention layers whose rows follow. */
export interface AttentionMessage {
  layers: AttentionLayer[];
  predicted: string | null;
  /** Patches a side that stand together as one. */
  merged: number;
  /** Attention operations that are left out. */
  hidden: number;
}

/** A path whose points follow in `stack` messages. */
export interface PathMessage {
  key: string;
  n_steps: number;
  placement: Rectangle;
  /** Height and width of the maps. */
  shape: number[];
  /** What the model sees at both ends of the path, [2, H, W, 3]. */
  ends: NDArray<Uint8Array>;
  /** Whose scores come with the points, the target's first. */
  series: { role: "target" | "class" | "contrast" | "runner-up"; text: string }[];
  target: Target;
  target_text: string;
  path: "straight" | "guided" | "blur";
  baseline: string;
  /** How maps become a sum: a trapezoid, or each map is of the step that led to its point. */
  rule: "trapezoid" | "backward";
  /** Of uneven steps; null where they are equal. */
  tolerance: number | null;
  /** Maps and scores are means over so many baselines, and so is the picture at the start. */
  draws: number;
}

/** Of a path whose convergence cannot be told from its maps: evaluations with their gaps, and how far the map moved last. */
export interface ConvergenceMessage {
  levels: [number, number][];
  moved: number | null;
}

/** Some points of the path, in no order: maps [k, H, W] times their scales, scores [k, S]. */
export interface StackMessage {
  positions: NDArray<Float32Array>;
  /** Half precision comes as its bits. */
  array: NDArray<Uint16Array | Float32Array>;
  scales: NDArray<Float32Array>;
  scores: NDArray<Float32Array>;
  /** What the model saw, [k, H, W, 3], where it is not on the line between the ends. */
  pictures: NDArray<Uint8Array> | null;
}

export type Tool = "scrubber" | "attention" | "features";

/** What is open below the Explorer: the id of each tool's model, or why there is none. */
export interface OpenedMessage {
  tools: Partial<Record<Tool, { model: string | null; error: string | null }>>;
}

/** The readiness check's answer: a report, or why there is none. */
export interface ReportMessage {
  report: Report | null;
  error: Pick<Failure, "message" | "traceback"> | null;
}

/** Code that is not saved with the tool and comes when it is needed: a script that is imported, and its styles. */
export interface Module {
  script: string;
  style: string;
}

export interface Payloads {
  ack: { id: string };
  setup: BaseSetup;
  accepted: Asked | Record<string, never>;
  picture: Picture;
  prediction: Prediction;
  progress: Progress;
  map: MapMessage;
  ablation: Ablation | Record<string, never>;
  attention: AttentionMessage;
  rows: { layer: number; start: number; array: NDArray };
  path: PathMessage;
  stack: StackMessage;
  opened: OpenedMessage;
  result: Result;
  error: Failure;
  cancelled: { message: string };
  thumbnails: { start: number; items: Thumbnail[] };
  superpixels: Superpixels;
  crop: Crop;
  snapshot: { token: string };
  checking: Progress;
  report: ReportMessage;
  module: Module;
  shelf: Shelf;
  saved: Saved;
  examples: ExampleItems;
  bars: Bars;
  sweep: Sweep;
  suggestions: Suggestions;
  cell: Cell;
  scores: Scores;
  agreement: Agreement;
  curve: Curve;
  cascade: Cascade;
  cascade_map: CascadeMap;
  study: StudyState;
  gallery: Gallery;
  features: Features;
  film: Film;
  exciting: Exciting;
  seen: SeenMessage;
  background: BackgroundMessage;
  ping: Record<string, never>;
}

let counter = 0;

/** A message for the kernel; `id` is unique within this page. */
export function envelope<P>(kind: ToKernel, payload: P, revision: number): Envelope<ToKernel, P> {
  counter += 1;
  return { v: VERSION, id: `b${Date.now().toString(36)}-${counter}`, kind, revision, payload };
}

/** The message if it is one of ours, else null; other widgets' libraries may use the same channel. */
export function readEnvelope(content: unknown): Envelope<ToBrowser> | null {
  if (typeof content !== "object" || content === null) return null;
  const message = content as Partial<Envelope<ToBrowser>>;
  const known = typeof message.kind === "string" && (TO_BROWSER as readonly string[]).includes(message.kind);
  if (message.v !== VERSION || !known || typeof message.revision !== "number") return null;
  return message as Envelope<ToBrowser>;
}
