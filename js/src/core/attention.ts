// Attention matrices as the kernel sends them, and the row or column of one token read off them.
import type { NDArray } from "./codec";

export interface AttentionLayer {
  name: string;
  heads: number;
  rows: number;
  columns: number;
  /** Tokens before the patches: CLS, registers. */
  prefix: number;
  tokens: number;
}

/** Several heads reduced to one, all layers up to this one, or one head by its position. */
export type Head = "mean" | "max" | "rollout" | number;

/** What a token attends to (its row), or what attends to it (its column). */
export type Direction = "to" | "from";

/** [row, column] of a patch, the position of a token before the patches, or null for the usual one. */
export type Query = [number, number] | number | null;

/** float32 [heads + 1, T, T]; the last one is the rollout. */
export class Matrices {
  readonly data: Float32Array;
  #missing: number;

  constructor(readonly layer: AttentionLayer) {
    this.data = new Float32Array((layer.heads + 1) * layer.tokens ** 2);
    this.#missing = this.data.length;
  }

  get complete(): boolean {
    return this.#missing <= 0;
  }

  /** Takes rows from `start` on, counted over all matrices. */
  fill(start: number, rows: NDArray): void {
    this.data.set(rows.data as Float32Array, start * this.layer.tokens);
    this.#missing -= rows.data.length;
  }

  /** One number per token, in a direction, of a head or of all of them. */
  of(head: Head, token: number, direction: Direction): Float32Array {
    const { heads } = this.layer;
    if (typeof head === "number") return this.#one(Math.min(head, heads - 1), token, direction);
    if (head === "rollout") return this.#one(heads, token, direction);
    const found = this.#one(0, token, direction);
    for (let other = 1; other < heads; other += 1) {
      this.#one(other, token, direction).forEach((value, at) => {
        found[at] = head === "max" ? Math.max(found[at], value) : found[at] + value;
      });
    }
    return head === "max" ? found : found.map((value) => value / heads);
  }

  #one(head: number, token: number, direction: Direction): Float32Array {
    const { tokens } = this.layer;
    const start = head * tokens * tokens;
    if (direction === "to") return this.data.slice(start + token * tokens, start + (token + 1) * tokens);
    return Float32Array.from({ length: tokens }, (_, at) => this.data[start + at * tokens + token]);
  }
}

/** The part of a row that lies on the picture, [rows, columns]. */
export function onPatches(
  row: Float32Array,
  { rows, columns, prefix }: AttentionLayer,
): NDArray<Float32Array> {
  return { dtype: "float32", shape: [rows, columns], data: row.slice(prefix, prefix + rows * columns) };
}

/** The position of a query among the tokens of a layer; what lies outside is brought inside. */
export function tokenOf(query: Query, { rows, columns, prefix }: AttentionLayer): number {
  if (query === null) return prefix ? 0 : patchToken(rows >> 1, columns >> 1, { columns, prefix });
  if (typeof query === "number") return Math.min(query, Math.max(0, prefix - 1));
  const inside = (value: number, length: number) => Math.max(0, Math.min(length - 1, value));
  return patchToken(inside(query[0], rows), inside(query[1], columns), { columns, prefix });
}

const patchToken = (row: number, column: number, grid: Pick<AttentionLayer, "columns" | "prefix">) =>
  grid.prefix + row * grid.columns + column;

/** The query that a token's position stands for. */
export function queryOf(token: number, { columns, prefix }: AttentionLayer): [number, number] | number {
  return token < prefix ? token : [Math.floor((token - prefix) / columns), (token - prefix) % columns];
}

/** A token in words; rows and columns are counted from 1, as people do. */
export function tokenName(token: number, layer: AttentionLayer): string {
  const query = queryOf(token, layer);
  if (typeof query !== "number") return `row ${query[0] + 1}, column ${query[1] + 1}`;
  return query === 0 ? "CLS" : `register ${query}`;
}

/** Mean distance in patches between a patch and where it attends; null for a token that lies nowhere. */
export function reach(row: Float32Array, token: number, layer: AttentionLayer): number | null {
  const { columns, prefix } = layer;
  const at = queryOf(token, layer);
  if (typeof at === "number") return null;
  let sum = 0;
  let weighted = 0;
  for (let i = prefix; i < row.length; i += 1) {
    const y = Math.floor((i - prefix) / columns);
    sum += row[i];
    weighted += row[i] * Math.hypot(y - at[0], i - prefix - y * columns - at[1]);
  }
  return sum > 0 ? weighted / sum : 0;
}

export const largest = (values: Float32Array): number => values.reduce((a, b) => Math.max(a, b), 0);
