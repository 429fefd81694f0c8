// Optimised pictures and what excites a unit most, as they travel. Twin of xai_widgets/widgets/gallery/gallery.py.
import type { NDArray } from "./codec";
import type { ParameterInfo, ParameterValue, Rectangle, Region, Setup } from "./protocol";

/** What has pictures: the channels of a layer, the classes, or objectives that were given (concept vectors, sums). */
export type Kind = "channels" | "classes" | "own";

/** The synced traits; each is documented in xai_widgets/widgets/gallery/gallery.py. */
export interface GalleryTraits {
  kind: Kind;
  layer: string | null;
  page: number;
  selected: number | null;
  mix_with: number | null;
  start: number | null;
  parameters: Record<string, ParameterValue>;
  image_index: number;
  region: Region | null;
}

export interface GallerySetup extends Setup {
  parameters: ParameterInfo[];
}

/** A channel, a class, an objective: `index` counts within its layer or list. */
export interface Item {
  index: number;
  name: string;
  /** Of a gallery of a region: how much more it fires there than elsewhere, in standard deviations. */
  value: number | null;
}

/** What is on a page, before any picture of it. */
export interface Gallery {
  /** Equal for pages whose pictures are the same where they share an item. */
  key: string;
  kind: Kind;
  layer: string | null;
  /** Items on all pages. */
  total: number;
  page: number;
  page_size: number;
  items: Item[];
  /** Of a region: the picture that it is of, with its name. */
  where: { name: string; width: number; height: number; array: NDArray<Uint8Array>; region: Region } | null;
  /** Names of the own objectives; they come and go. */
  own: string[];
}

/** Where the optimisation of some items stands. */
export interface Features {
  indices: number[];
  /** Small pictures, [B, h, w, 3]. */
  array: NDArray<Uint8Array>;
  /** The objective now, and where it started. */
  values: NDArray<Float32Array>;
  starts: NDArray<Float32Array>;
  step: number;
  total: number;
  /** Nothing more comes for these. */
  done: boolean;
  /** The one that is enlarged, in full size. */
  live: { index: number; array: NDArray<Uint8Array> } | null;
}

/** The kept steps of one optimisation, or a grid between two objectives: everything that is scrubbed. */
export interface Film {
  key: string;
  role: "steps" | "mixture";
  index: number;
  /** The second objective of a mixture. */
  other: number | null;
  /** What is maximised; of a mixture both. */
  names: string[];
  /** [F, H, W, 3]. */
  frames: NDArray<Uint8Array>;
  /** Of each frame: its step, or the share of the second objective, 0..1. */
  positions: NDArray<Float32Array>;
  /** Points of the curve beside it, [P], and its lines [S, P]. */
  at: NDArray<Float32Array>;
  curves: NDArray<Float32Array>;
  /** The optimisation was cancelled. */
  partial: boolean;
  /** JSON, for the file that is saved. */
  provenance: string;
  /** What the pictures are not; mostly nothing. */
  note: string;
  /** Why there is no mixture; then there are no frames. */
  error: string | null;
}

/** One picture of the data set that excites a unit. */
export interface Excited {
  image: number;
  name: string;
  value: number;
  /** The whole picture, small. */
  array: NDArray<Uint8Array>;
  /** What of it the unit sees, [h, w, 3], and where that lies, as shares of the picture. */
  crop: NDArray<Uint8Array>;
  box: Rectangle;
}

/** The pictures that excite an item most, or how far the look through the data set is. */
export interface Exciting {
  key: string;
  index: number;
  done: number;
  total: number;
  items: Excited[] | null;
  error: string | null;
}
