// What all views of one path scrubber share: the traits, the picture, the prediction, the steps of the path.
import type { AnyModel } from "@anywidget/types";
import { PathStack } from "../../core/path_stack";
import type {
  Asked as AskedOfAll,
  BaselineHint,
  PathMessage,
  Payloads,
  StackMessage,
  ToBrowser,
} from "../../core/protocol";
import { Store } from "../../core/store";

/** The synced traits; each is documented in xai_widgets/widgets/scrubber/scrubber.py. */
export const TRAITS = [
  "target",
  "baseline",
  "draws",
  "n_steps",
  "tolerance",
  "path",
  "precision",
  "region",
] as const;

export interface Asked {
  baseline: string | { kind: "own"; name: string; several: boolean };
  draws: number;
  n_steps: number;
  tolerance: number | null;
  path: PathMessage["path"];
}

/** The Explorer's store without its maps: the path's topic is "map". */
export class ScrubberStore extends Store {
  stack: PathStack | null = null;
  hint: BaselineHint | null = null;
  /** A path that was announced; it takes over with its first points, so that nothing goes blank. */
  #next: PathStack | null = null;

  constructor(model: AnyModel, signal?: AbortSignal) {
    super(model, signal);
    // Hosts may keep a closed widget's model for as long as its page is open.
    signal?.addEventListener("abort", () => {
      if (this.#timer !== null) clearTimeout(this.#timer);
      this.stack = this.#next = null;
    });
  }

  protected override get traits(): readonly string[] {
    return TRAITS;
  }

  /** There is one picture. */
  override get<K extends keyof AskedOfAll>(trait: K): AskedOfAll[K] {
    return trait === "image_index" ? (0 as AskedOfAll[K]) : super.get(trait);
  }

  asked<K extends keyof Asked>(trait: K): Asked[K] {
    return this.model.get(trait) as Asked[K];
  }

  ask(changes: Partial<Asked>): void {
    this.set(changes as never);
  }

  /** In a file of its own there is no kernel to ask. */
  get offline(): boolean {
    return Boolean(this.model.get("offline"));
  }

  /** The steps on screen answer an older question than the one asked now. */
  override get stale(): boolean {
    return this.busy && (this.pendingSince !== null || this.#next !== null || !this.#answered);
  }
  #answered = false;

  #timer: ReturnType<typeof setTimeout> | null = null;
  #free = 0;

  /** The views take up what is here, and no more often than leaves two thirds of the time to the hand. */
  #draw(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const started = performance.now();
    this.emit("map");
    const ended = performance.now();
    this.#free = ended + 2 * (ended - started);
  }

  #soon(): void {
    const wait = this.#free - performance.now();
    if (wait <= 0) this.#draw();
    else this.#timer ??= setTimeout(() => this.#draw(), wait);
  }

  protected override take(kind: ToBrowser, payload: Payloads[ToBrowser], revision: number): void {
    if (kind === "accepted") {
      this.#answered = false;
      this.hint = null;
    } else if (kind === "path") {
      this.#next = new PathStack(payload as PathMessage);
      this.#free = 0;
    } else if (kind === "stack") {
      if (this.#next) this.stack = this.#next;
      this.#next = null;
      this.#answered = true;
      this.stack?.add(payload as StackMessage);
      this.#soon();
    } else if (kind === "result") {
      const { hint, convergence } = payload as Payloads["result"];
      this.hint = hint ?? null;
      if (this.stack) {
        this.stack.finished = true;
        this.stack.told = convergence ?? null;
      }
      this.#draw();
    } else if (kind === "error") {
      this.stack = this.#next = null;
      this.#draw();
    } else if (kind === "cancelled") this.#draw();
    if (kind !== "result") super.take(kind, payload, revision);
  }
}
