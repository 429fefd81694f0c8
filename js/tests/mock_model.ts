// A widget model without a host: get, set, save_changes, on, send, with everything that was sent kept.
import type { AnyModel } from "@anywidget/types";
import { encode, type NDArray } from "../src/core/codec";
import type { Asked, Payloads, ToBrowser } from "../src/core/protocol";

export interface Sent {
  id: string;
  kind: string;
  revision: number;
  payload: Record<string, unknown>;
  buffers: ArrayBuffer[];
}

export const DEFAULTS: Asked = {
  image_index: 0,
  target: null,
  layer: null,
  method: "integrated_gradients",
  parameters: {},
  region: null,
  ablation: null,
};

export class MockModel {
  state: Record<string, unknown>;
  sent: Sent[] = [];
  saves = 0;
  /** Called with each message, for a fake kernel. */
  onSend: (message: Sent) => void = () => {};
  onSave: () => void = () => {};
  #listeners = new Map<string, Set<(...args: never[]) => void>>();

  constructor(state: Partial<Asked> = {}) {
    this.state = { ...DEFAULTS, ...state };
  }

  get any(): AnyModel {
    return this as unknown as AnyModel;
  }

  get(name: string): unknown {
    return this.state[name];
  }

  set(name: string, value: unknown): void {
    if (JSON.stringify(this.state[name]) === JSON.stringify(value)) return;
    this.state[name] = value;
    this.#emit(`change:${name}`);
  }

  save_changes(): void {
    this.saves += 1;
    this.onSave();
  }

  on(name: string, listener: (...args: never[]) => void): void {
    if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
    this.#listeners.get(name)?.add(listener);
  }

  off(name?: string | null): void {
    if (name) this.#listeners.delete(name);
    else this.#listeners.clear();
  }

  send(content: Omit<Sent, "buffers">, _callbacks?: unknown, buffers: ArrayBuffer[] = []): void {
    const message = { ...content, buffers };
    this.sent.push(message);
    this.onSend(message);
  }

  /** Delivers a message from the kernel. */
  receive<K extends ToBrowser>(kind: K, payload: Payloads[K], revision = 0): void {
    const buffers: ArrayBuffer[] = [];
    const encoded = encode(payload, buffers);
    const views = buffers.map((buffer) => new DataView(buffer));
    this.#emit("msg:custom", { v: 1, id: `k${Math.random()}`, kind, revision, payload: encoded }, views);
  }

  kinds(): string[] {
    return this.sent.map((message) => message.kind);
  }

  #emit(name: string, ...args: unknown[]): void {
    for (const listener of this.#listeners.get(name) ?? []) (listener as (...a: unknown[]) => void)(...args);
  }
}

export const f32 = (shape: number[], data: ArrayLike<number>): NDArray<Float32Array> => ({
  dtype: "float32",
  shape,
  data: Float32Array.from(data),
});

export const u8 = (shape: number[], data: ArrayLike<number>): NDArray<Uint8Array> => ({
  dtype: "uint8",
  shape,
  data: Uint8Array.from(data),
});
