// What all views of one gallery share: the traits, the page, its pictures, the film of the enlarged one, what excites it.
import type { AnyModel } from "@anywidget/types";
import type { NDArray } from "../../core/codec";
import type {
  Exciting,
  Features,
  Film,
  Gallery,
  GallerySetup,
  GalleryTraits,
  Item,
} from "../../core/gallery";
import { same } from "../../core/history";
import type { Asked, Payloads, ToBrowser } from "../../core/protocol";
import { Store } from "../../core/store";

/** The synced traits; each is documented in xai_widgets/widgets/gallery/gallery.py. */
export const TRAITS = [
  "kind",
  "layer",
  "page",
  "selected",
  "mix_with",
  "start",
  "parameters",
  "image_index",
  "region",
] as const satisfies readonly (keyof GalleryTraits)[];

/** What is known of the picture of one item. */
export interface Tile {
  array: NDArray<Uint8Array>;
  /** In full size, while the enlarged one is computed. */
  live: NDArray<Uint8Array> | null;
  value: number;
  start: number;
  step: number;
  total: number;
  done: boolean;
  /** The objective at the steps that came by. */
  history: [number, number][];
}

/** The Explorer's store with optimised pictures in place of maps. */
export class GalleryStore extends Store {
  gallery: Gallery | null = null;
  readonly tiles = new Map<number, Tile>();
  /** The newest of each; `film` and `mixture` below are those of what is enlarged. */
  #film: Film | null = null;
  #mixture: Film | null = null;
  #exciting: Exciting | null = null;

  constructor(model: AnyModel, signal?: AbortSignal) {
    super(model, signal);
    // Hosts may keep a closed widget's model for as long as its page is open.
    signal?.addEventListener("abort", () => {
      this.tiles.clear();
      this.#film = this.#mixture = this.#exciting = null;
    });
  }

  protected override get traits(): readonly string[] {
    return TRAITS;
  }

  /** A gallery has no method and needs no images. */
  override get<K extends keyof Asked>(trait: K): Asked[K] {
    const own: Partial<Asked> = { method: "features", target: null, ablation: null };
    return trait in own ? (own[trait] as Asked[K]) : super.get(trait);
  }

  override get state() {
    const state = super.state;
    return state === "empty" && this.setup && !this.busy && !this.error ? "idle" : state;
  }

  asked<K extends keyof GalleryTraits>(trait: K): GalleryTraits[K] {
    const value = this.model.get(trait);
    return (trait === "region" && !value?.type ? null : (value ?? null)) as GalleryTraits[K];
  }

  /** Changes what has to be computed. */
  ask(changes: Partial<GalleryTraits>): void {
    this.set(changes as never);
  }

  /** Another layer or kind begins at its first page, with nothing enlarged. */
  turnTo(changes: Pick<Partial<GalleryTraits>, "kind" | "layer" | "region">): void {
    this.ask({ ...changes, page: 0, selected: null, mix_with: null });
  }

  /** Enlarges another picture, or mixes it: no optimisation starts anew, so nothing is waited for. */
  look(changes: Pick<Partial<GalleryTraits>, "selected" | "mix_with">): void {
    const differing = Object.entries(changes).filter(([name, value]) => !same(value, this.model.get(name)));
    for (const [name, value] of differing) this.model.set(name, value);
    if (differing.length) this.model.save_changes();
  }

  get about(): GallerySetup | null {
    return this.setup as GallerySetup | null;
  }

  /** Position of the picture that is enlarged: the first of the page unless another was chosen. */
  get shown(): number | null {
    return this.asked("selected") ?? this.gallery?.items[0]?.index ?? null;
  }

  item(index: number | null): Item | null {
    return this.gallery?.items.find((item) => item.index === index) ?? null;
  }

  #current<T extends { key: string; index: number }>(found: T | null, key: string | undefined): T | null {
    return found && found.key === key && found.index === this.shown ? found : null;
  }

  get film(): Film | null {
    return this.#current(this.#film, this.gallery?.key);
  }

  get mixture(): Film | null {
    const found = this.#current(this.#mixture, this.gallery?.key);
    return found && found.other === this.asked("mix_with") ? found : null;
  }

  get exciting(): Exciting | null {
    const { gallery } = this;
    return this.#current(this.#exciting, gallery ? `${gallery.kind} ${gallery.layer ?? ""}` : undefined);
  }

  /** Tells which pictures are in sight and still to come: they are computed first. */
  tellVisible(items: number[]): void {
    if (this.busy) this.channel.send("visible", { items });
  }

  protected override take(kind: ToBrowser, payload: Payloads[ToBrowser], revision: number): void {
    switch (kind) {
      case "gallery": {
        const gallery = payload as Gallery;
        if (this.gallery?.key !== gallery.key) this.tiles.clear();
        this.gallery = gallery;
        const seen = new Set([
          ...gallery.items.map(({ index }) => index),
          this.shown,
          this.asked("mix_with"),
        ]);
        for (const index of this.tiles.keys()) if (!seen.has(index)) this.tiles.delete(index);
        this.emit("gallery");
        return;
      }
      case "features":
        this.#keep(payload as Features);
        this.emit("features");
        return;
      case "film": {
        const film = payload as Film;
        if (film.role === "steps") this.#film = film;
        else this.#mixture = film;
        this.emit("film");
        return;
      }
      case "exciting":
        this.#exciting = payload as Exciting;
        this.emit("exciting");
        return;
      case "result":
        this.emit("features");
        return;
      case "cancelled":
      case "error":
        this.emit("features");
    }
    super.take(kind, payload, revision);
  }

  #keep(message: Features): void {
    const [, h, w] = message.array.shape;
    const size = h * w * 3;
    message.indices.forEach((index, at) => {
      const before = this.tiles.get(index);
      const fresh = !before || before.step > message.step;
      const value = message.values.data[at];
      const history = fresh ? [] : before.history;
      if (history[history.length - 1]?.[0] !== message.step) history.push([message.step, value]);
      this.tiles.set(index, {
        array: {
          dtype: "uint8",
          shape: [h, w, 3],
          data: message.array.data.subarray(at * size, (at + 1) * size),
        },
        live: message.live?.index === index ? message.live.array : null,
        value,
        start: message.starts.data[at],
        step: message.step,
        total: message.total,
        done: message.done,
        history,
      });
    });
  }
}
