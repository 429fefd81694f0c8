// The request channel to the kernel: ids, acknowledgements, stale replies dropped, one final reply per job.
import type { AnyModel } from "@anywidget/types";
import { decode, encode } from "./codec";
import {
  envelope,
  FINAL,
  OF_A_JOB,
  type Payloads,
  readEnvelope,
  type ToBrowser,
  type ToKernel,
} from "./protocol";

/** Without an acknowledgement for so long, the kernel is busy or gone. */
export const SILENT_AFTER_MS = 5000;
/** A changed trait has no acknowledgement of its own; without a job for so long, `hello` asks whether anybody is there. */
export const PROBE_AFTER_MS = 2000;

type Handler = (kind: ToBrowser, payload: Payloads[ToBrowser], revision: number) => void;

const isIn = (list: readonly string[], kind: string) => list.includes(kind);

/** One channel per widget model, shared by all its views. */
export class Channel {
  /** Newest job that the kernel accepted. */
  revision = 0;
  /** Newest job that ended. */
  finished = 0;
  silent = false;
  /** The newest `hello` was sent because a changed trait led to no job. */
  probed = false;

  #waiting = new Map<string, ReturnType<typeof setTimeout>>();
  #probe: ReturnType<typeof setTimeout> | null = null;

  constructor(
    private readonly model: Pick<AnyModel, "send" | "on">,
    private readonly handle: Handler,
    private readonly onSilence: (silent: boolean) => void,
    signal?: AbortSignal,
  ) {
    model.on("msg:custom", (content: unknown, buffers: DataView[]) => this.#receive(content, buffers ?? []));
    signal?.addEventListener("abort", () => this.close());
  }

  /** Sends at once and returns the id; the acknowledgement is awaited by a timer, never by the caller. */
  send(kind: ToKernel, payload: unknown = {}, revision = this.revision, patience = SILENT_AFTER_MS): string {
    const buffers: ArrayBuffer[] = [];
    const message = envelope(kind, encode(payload, buffers), revision);
    this.#waiting.set(
      message.id,
      setTimeout(() => this.#setSilent(true), patience),
    );
    try {
      this.model.send(message, undefined, buffers);
    } catch {
      this.#setSilent(true);
    }
    return message.id;
  }

  /** Call when a trait was changed here: a job has to follow. */
  expectJob(): void {
    if (this.#probe !== null) clearTimeout(this.#probe);
    this.probed = false;
    this.#probe = setTimeout(() => {
      this.#probe = null;
      this.probed = true;
      this.send("hello", {}, this.revision, SILENT_AFTER_MS - PROBE_AFTER_MS);
    }, PROBE_AFTER_MS);
  }

  close(): void {
    for (const timer of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
    if (this.#probe !== null) clearTimeout(this.#probe);
    this.#probe = null;
  }

  #setSilent(silent: boolean): void {
    if (silent === this.silent) return;
    this.silent = silent;
    this.onSilence(silent);
  }

  #receive(content: unknown, buffers: DataView[]): void {
    const message = readEnvelope(content);
    if (!message) return;
    const { kind, revision } = message;
    if (kind === "ack") this.#acknowledge((message.payload as Payloads["ack"]).id);
    else this.#setSilent(false);
    if (kind === "seen") this.#acknowledge((message.payload as Payloads["seen"]).answers);
    if (isIn(OF_A_JOB, kind)) {
      if (!this.#belongs(kind, revision)) return;
    }
    this.handle(kind, decode(message.payload, buffers) as Payloads[ToBrowser], revision);
  }

  /** Whether a message of a job is news: not of an older job, and not after the job's final reply. */
  #belongs(kind: ToBrowser, revision: number): boolean {
    if (revision < this.revision) return false;
    if (kind === "accepted") {
      if (revision > this.revision && this.#probe !== null) {
        clearTimeout(this.#probe);
        this.#probe = null;
      }
      // The kernel repeats a finished job from its cache when a view says hello: its final is welcome once more.
      this.finished = Math.min(this.finished, revision - 1);
    } else if (revision <= this.finished) {
      return false;
    }
    this.revision = revision;
    if (isIn(FINAL, kind)) this.finished = revision;
    return true;
  }

  #acknowledge(id: string | null): void {
    if (id === null) return;
    // An answered message proves that the kernel reads: whatever was sent before it was read, too.
    for (const [waiting, timer] of this.#waiting) {
      clearTimeout(timer);
      this.#waiting.delete(waiting);
      if (waiting === id) break;
    }
    this.#setSilent(false);
  }
}
