// Concept sets, scores and suggestions as they travel. Twin of xai_widgets/widgets/workbench/workbench.py.
import type { NDArray } from "./codec";
import type { Region, Setup } from "./protocol";

/** One example of a concept; `region` null is the whole picture, `index` null a picture that is not among the images. */
export interface ExampleInfo {
  id: string;
  index: number | null;
  name: string;
  region: Region | null;
  included: boolean;
  comment: string;
}

export interface ConceptInfo {
  name: string;
  role: "concept" | "random";
  colour: string;
  comment: string;
  /** How many examples are enough, in words. */
  advice: string;
  n: number;
  n_included: number;
  n_rejected: number;
  examples: ExampleInfo[];
}

export interface Shelf {
  folder: string;
  revision: number;
  /** What would be taken back or done again, in words. */
  undo: string | null;
  redo: string | null;
  conflict: string | null;
  concepts: ConceptInfo[];
}

/** The answer to an edit, once it is on disk or refused. */
export interface Saved {
  /** Of the edit's message. */
  id: string;
  ok: boolean;
  message: string | null;
}

export interface ExampleItems {
  items: { id: string; array: NDArray<Uint8Array> | null; error: string | null }[];
}

/** What is done to the concept sets; each travels as one `edit` message. */
export type Edit =
  | { op: "create_concept"; name: string; colour?: string }
  | { op: "change_concept"; name: string; to?: string; colour?: string; comment?: string }
  | { op: "delete_concept"; name: string }
  | { op: "add" | "reject"; concept: string; index: number; region: Region | null }
  | { op: "change"; ids: string[]; included?: boolean; comment?: string }
  | { op: "reshape"; id: string; region: Region | null }
  | { op: "move" | "copy"; ids: string[]; concept: string }
  | { op: "remove"; ids: string[] }
  | { op: "random"; n?: number }
  | { op: "undo" | "redo" | "refresh" };

/** A concept at a layer for a class; the same names as `xai_widgets.tcav` returns. Numbers are null until they are known. */
export interface ScoreRecord {
  concept: string;
  layer: string;
  class: string;
  /** The classic fraction of images with a positive derivative, 0..1. */
  score: number | null;
  /** Mean derivative along the concept, with its interval. */
  magnitude: number | null;
  low: number | null;
  high: number | null;
  p: number | null;
  p_adjusted: number | null;
  accuracy: number | null;
  accuracy_low: number | null;
  accuracy_high: number | null;
  testable: boolean;
  significant: boolean | null;
  note: string | null;
  n_examples: number;
  n_images: number;
}

export interface Ranking {
  concept: string;
  layer: string;
  /** Positions among the images, most of the concept first. */
  indices: NDArray;
  values: NDArray;
}

export interface Cosines {
  layer: string;
  names: string[];
  array: NDArray;
}

export interface Bars {
  /** Without p yet: the null distribution is still running. */
  partial: boolean;
  /** Read from disk, not computed now. */
  stored: boolean;
  target_text: string;
  n_images: number;
  alpha: number;
  note: string | null;
  records: ScoreRecord[];
  cosines: Cosines[];
  rankings: Ranking[];
}

/** The outputs along the concept, computed once. */
export interface Sweep {
  concept: string;
  layer: string;
  epsilons: NDArray;
  /** [E, K], probabilities of a classifier. */
  outputs: NDArray;
  probabilities: boolean;
}

export interface Suggestion {
  index: number;
  name: string;
  region: Region;
  similarity: number;
  array: NDArray<Uint8Array> | null;
}

export interface Suggestions {
  concept: string;
  layer: string | null;
  items: Suggestion[];
  message: string | null;
}

export interface WorkbenchSetup extends Setup {
  classifiers: { name: string; title: string }[];
  folder: string;
}

/** The synced traits; each is documented in xai_widgets/widgets/workbench/workbench.py. */
export interface WorkbenchTraits {
  concept: string | null;
  layer: string | null;
  layers: string[];
  compare: number[];
  classifier: string;
  pooled: boolean;
  against: "random" | "others";
  testing: boolean;
}

/** Colours that stay apart for the colour-blind (Tol 2021, "bright" and "vibrant"), with their names. */
export const PALETTE: readonly (readonly [string, string])[] = [
  ["#4477aa", "blue"],
  ["#ee6677", "red"],
  ["#228833", "green"],
  ["#ccbb44", "yellow"],
  ["#66ccee", "cyan"],
  ["#aa3377", "purple"],
  ["#ee7733", "orange"],
  ["#009988", "teal"],
];

/** The first colour that no concept has. */
export function freeColour(concepts: readonly ConceptInfo[]): string {
  const used = new Set(concepts.map(({ colour }) => colour.toLowerCase()));
  return (PALETTE.find(([colour]) => !used.has(colour)) ?? PALETTE[concepts.length % PALETTE.length])[0];
}

/** The name of a colour for those who do not see it. */
export const colourName = (colour: string): string =>
  PALETTE.find(([known]) => known === colour.toLowerCase())?.[1] ?? colour;
