// What every tool's store shares: the channel, the job that runs or ended, and who listens. Never synced.
import type { AnyModel } from "@anywidget/types";
import { Channel } from "./channel";
import type { BaseSetup, Failure, Payloads, Progress, Result, ToBrowser } from "./protocol";

export type State = "empty" | "busy" | "idle" | "error" | "cancelled" | "silent";
export type JobTopic = "setup" | "status";

/** A view that can draw itself for `snapshot`. */
export interface Drawable {
  readonly root: HTMLElement;
  toPng(): Promise<Uint8Array>;
}

/** What the status line reads: how a job stands, and what can be done about it. */
export type JobState = Pick<
  JobStore<string>,
  "setup" | "result" | "error" | "cancelled" | "progress" | "state" | "cancel" | "hello" | "retry"
>;

/** One per widget model, shared by all its views; a tool's store adds its own messages in `take`. */
export abstract class JobStore<Topic extends string, S extends BaseSetup = BaseSetup> {
  readonly channel: Channel;
  setup: S | null = null;
  result: Result | null = null;
  error: Failure | null = null;
  cancelled: string | null = null;
  progress: Progress | null = null;
  /** Newest job that ended; a repeated answer does not lower it. */
  finalRevision = 0;

  /** Something was asked for here, at this revision, and the kernel has not taken it up yet. */
  protected pendingSince: number | null = null;
  #listeners = new Set<(topic: Topic | JobTopic) => void>();
  #views: Drawable[] = [];

  constructor(
    readonly model: AnyModel,
    signal?: AbortSignal,
  ) {
    this.channel = new Channel(
      model,
      (kind, payload, revision) => this.#receive(kind, payload, revision),
      (silent) => {
        if (silent) this.fellSilent();
        this.emit("status");
      },
      signal,
    );
  }

  get state(): State {
    if (this.channel.silent) return "silent";
    if (!this.setup) return "empty";
    if (this.busy) return "busy";
    if (this.error) return "error";
    return this.cancelled === null ? "idle" : "cancelled";
  }

  get busy(): boolean {
    return this.pendingSince !== null || this.channel.revision > this.channel.finished;
  }

  subscribe(listener: (topic: Topic | JobTopic) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Registers a view; the newest one answers snapshots. Returns how to remove it. */
  addView(view: Drawable): () => void {
    this.#views.push(view);
    return () => {
      this.#views = this.#views.filter((other) => other !== view);
    };
  }

  cancel(): void {
    this.channel.send("cancel", {});
  }

  /** Asks for everything there is; the answer comes from the kernel's cache. */
  hello(): void {
    this.channel.send("hello");
  }

  retry(): void {
    this.pendingSince = this.channel.revision;
    this.channel.send("retry", {});
    this.emit("status");
  }

  protected emit(topic: Topic | JobTopic): void {
    for (const listener of this.#listeners) listener(topic);
  }

  /** A message of the tool's own, or more to do at one that all tools know. */
  protected abstract take(kind: ToBrowser, payload: Payloads[ToBrowser], revision: number): void;

  /** The kernel has not answered for a while: what was asked for may never come. */
  protected fellSilent(): void {}

  /** The kernel has taken up a job: nothing is known of its end. */
  protected takenUp(revision: number): void {
    if (this.pendingSince !== null && revision > this.pendingSince) this.pendingSince = null;
  }

  #receive(kind: ToBrowser, payload: Payloads[ToBrowser], revision: number): void {
    if (kind === "setup") this.setup = payload as S;
    else if (kind === "accepted") {
      this.error = null;
      this.cancelled = null;
    } else if (kind === "progress") this.progress = payload as Progress;
    else if (kind === "result") this.result = payload as Result;
    else if (kind === "error") this.error = payload as Failure;
    else if (kind === "cancelled") this.cancelled = (payload as Payloads["cancelled"]).message;
    if (["accepted", "result", "error", "cancelled"].includes(kind)) this.progress = null;
    if (kind === "snapshot") void this.#answerSnapshot((payload as Payloads["snapshot"]).token);
    this.take(kind, payload, revision);
    if (kind === "accepted") this.takenUp(revision);
    if (kind === "setup") this.emit("setup");
    this.finalRevision = Math.max(this.finalRevision, this.channel.finished);
    this.emit("status");
  }
  async #answerSnapshot(token: string): Promise<void> {
    const newestFirst = [...this.#views].reverse();
    const view = newestFirst.find(({ root }) => root.isConnected) ?? newestFirst[0];
    if (!view) return;
    const data = await view.toPng();
    this.channel.send("snapshot", { token, png: { dtype: "uint8", shape: [data.length], data } });
  }
}
