// The region of one view as mask, share and outline, computed once per region and map.
import type { NDArray } from "../core/codec";
import type { Region } from "../core/protocol";
import { type Mask, maskOf, outline, type Share, shareOf } from "../core/regions";
import type { Store } from "../core/store";

export interface Shape {
  /** SVG path; its units are `sx` x `sy` display pixels. */
  path: string;
  sx: number;
  sy: number;
}

const number = (value: number) => String(Math.round(value * 100) / 100);

/** Outline of a region; straight from the coordinates where it has some. */
export function shapeOf(region: Region, mask: Mask, picture: { width: number; height: number }): Shape {
  if (region.type === "rect") {
    const { x, y, width, height } = region;
    return { path: `M${x} ${y}h${width}v${height}h${-width}Z`, sx: 1, sy: 1 };
  }
  if (region.type === "polygon") {
    return {
      path: `M${region.points.map(([x, y]) => `${number(x)} ${number(y)}`).join("L")}Z`,
      sx: 1,
      sy: 1,
    };
  }
  return { path: outline(mask), sx: picture.width / mask.width, sy: picture.height / mask.height };
}

export class RegionState {
  mask: Mask | null = null;
  share: Share | null = null;
  shape: Shape | null = null;
  #region = "";
  #labels: NDArray<Uint16Array> | null = null;
  #picture: unknown = null;
  #map: unknown = null;

  /** `current` is the region in its wire form: the trait, unless a tool keeps its own. */
  constructor(
    private readonly store: Store,
    readonly current: () => Region | null = () => store.get("region"),
  ) {}

  /** The kernel's superpixels of the picture on screen; null until they are here. */
  get labels(): NDArray<Uint16Array> | null {
    const { superpixels, picture } = this.store;
    return superpixels && superpixels.index === picture?.index ? superpixels.array : null;
  }

  refresh(): void {
    const { store } = this;
    const { picture } = store;
    const region = this.current();
    const key = JSON.stringify(region ?? null);
    const map = store.mapOfPicture;
    const { labels } = this;
    if (key !== this.#region || labels !== this.#labels || picture !== this.#picture) {
      this.#region = key;
      this.#labels = labels;
      this.#picture = picture;
      this.#map = undefined;
      this.mask = null;
      this.shape = null;
      if (region && picture) {
        if (region.type === "superpixels" && !labels) store.requestSuperpixels();
        const [h, w] = picture.array.shape;
        this.mask = maskOf(region, picture, w, h, labels);
        this.shape = shapeOf(region, this.mask, picture);
      }
    }
    if (map !== this.#map) {
      this.#map = map;
      this.share =
        this.mask && picture ? shareOf(this.mask, picture, map?.array ?? null, map?.placement ?? null) : null;
    }
  }
}
