// What one view of the attention shows at this moment: hovered patch, sliding layer, colours. Never synced.
import {
  type Direction,
  type Head,
  largest,
  type Matrices,
  onPatches,
  type Query,
  queryOf,
  tokenOf,
} from "../../core/attention";
import type { NDArray } from "../../core/codec";
import type { AttentionStore } from "./store";

export class ViewState {
  /** Under the pointer, or where arrow keys moved; undefined shows what is kept in the trait. */
  hovered: Query | undefined = undefined;
  /** The patch whose value is read, as a position among the tokens of the layer. */
  read: number | null = null;
  /** While the slider is dragged. */
  sliding: number | null = null;
  direction: Direction = "to";
  opacity = 0.7;
  colours = "inferno";
  /** "own": each map uses all colours; "shared": all heads of the layer use the same. */
  scale: "own" | "shared" = "own";

  constructor(private readonly store: AttentionStore) {}

  get layer(): number {
    return this.sliding ?? this.store.layerIndex;
  }

  /** The matrices of the layer; null until all its rows are here. */
  get matrices(): Matrices | null {
    const found = this.store.matrices[this.layer];
    return found?.complete ? found : null;
  }

  get head(): Head {
    return this.store.get("head") ?? "mean";
  }

  get query(): Query {
    return this.hovered === undefined ? this.store.get("query") : this.hovered;
  }

  /** The query among the tokens of the layer. */
  get token(): number {
    const layer = this.store.layerAt(this.layer);
    return layer ? tokenOf(this.query, layer) : 0;
  }

  row(head: Head = this.head, layer = this.layer): Float32Array | null {
    const matrices = this.store.matrices[layer];
    if (!matrices?.complete) return null;
    return matrices.of(head, tokenOf(this.query, matrices.layer), this.direction);
  }

  map(head: Head = this.head): NDArray<Float32Array> | null {
    const row = this.row(head);
    return row && this.matrices ? onPatches(row, this.matrices.layer) : null;
  }

  /** What has the last colour. */
  scaleOf(map: NDArray<Float32Array>): number {
    if (this.scale === "own") return largest(map.data);
    const heads = Array.from({ length: this.matrices?.layer.heads ?? 0 }, (_, head) => this.map(head));
    return heads.reduce((scale, each) => Math.max(scale, each ? largest(each.data) : 0), 0);
  }

  /** The patch beside the present one; from a token that lies nowhere, the one in the middle. */
  step(dx: number, dy: number): Query {
    const layer = this.store.layerAt(this.layer);
    if (!layer) return null;
    const at = queryOf(this.token, layer);
    if (typeof at === "number") return [layer.rows >> 1, layer.columns >> 1];
    return queryOf(tokenOf([at[0] + dy, at[1] + dx], layer), layer);
  }
}
