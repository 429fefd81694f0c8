// What all views of one attention view share: the picture, the matrices of every layer, the kept patch.
import type { AnyModel } from "@anywidget/types";
import { type AttentionLayer, type Head, Matrices, type Query } from "../../core/attention";
import { same } from "../../core/history";
import { JobStore } from "../../core/job_store";
import type { AttentionMessage, Payloads, Picture, ToBrowser } from "../../core/protocol";

/** The synced traits; each is documented in xai_widgets/widgets/attention/view.py. */
export interface Traits {
  layer: number | null;
  head: Head;
  query: Query;
}

export class AttentionStore extends JobStore<"traits" | "picture" | "attention"> {
  picture: Picture | null = null;
  attention: AttentionMessage | null = null;
  matrices: Matrices[] = [];

  constructor(model: AnyModel, signal?: AbortSignal) {
    super(model, signal);
    for (const trait of ["layer", "head", "query"]) {
      model.on(`change:${trait}`, () => this.emit("traits"));
    }
    // Hosts may keep a closed widget's model for as long as its page is open.
    signal?.addEventListener("abort", () => {
      this.attention = null;
      this.matrices = [];
    });
  }

  get<K extends keyof Traits>(trait: K): Traits[K] {
    return this.model.get(trait) as Traits[K];
  }

  /** Sets traits; the kernel computes nothing because of them, so nothing is waited for. */
  set(changes: Partial<Traits>): void {
    const differing = Object.entries(changes).filter(([name, value]) => !same(value, this.model.get(name)));
    for (const [name, value] of differing) this.model.set(name, value);
    if (differing.length) this.model.save_changes();
  }

  /** Position of the layer asked for; -1 while none is known. */
  get layerIndex(): number {
    const last = (this.attention?.layers.length ?? 0) - 1;
    return Math.min(this.get("layer") ?? last, last);
  }

  layerAt(index: number): AttentionLayer | null {
    return this.attention?.layers[index] ?? null;
  }

  protected override take(kind: ToBrowser, payload: Payloads[ToBrowser]): void {
    if (kind === "picture") {
      this.picture = payload as Picture;
      this.emit("picture");
    } else if (kind === "attention") {
      this.attention = payload as AttentionMessage;
      this.matrices = this.attention.layers.map((layer) => new Matrices(layer));
      this.emit("attention");
    } else if (kind === "rows") {
      const { layer, start, array } = payload as Payloads["rows"];
      this.matrices[layer]?.fill(start, array);
      if (this.matrices[layer]?.complete) this.emit("attention");
    } else if (kind === "error") {
      this.attention = null;
      this.matrices = [];
      this.emit("attention");
    }
  }
}
