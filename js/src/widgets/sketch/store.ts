// The pad's side of the kernel: pictures out, at most one unanswered; predictions and explanations in.
import type { AnyModel } from "@anywidget/types";
import type { NDArray } from "../../core/codec";
import { same } from "../../core/history";
import type { Asked, Payloads, ToBrowser } from "../../core/protocol";
import {
  type BackgroundMessage,
  type DrawnMessage,
  type PadSetup,
  type SeenMessage,
  type Sketch,
  type Stroke,
  UNITS,
} from "../../core/sketch";
import { Store } from "../../core/store";
import { Pad } from "./pad";

/** The synced traits that ask for something; each is documented in xai_widgets/widgets/sketch/pad.py. */
export const TRAITS = ["target", "layer", "method", "parameters"] as const;

export class SketchStore extends Store {
  readonly pad = new Pad();
  /** What the model could not make of the newest picture. */
  refused: string | null = null;
  /** Pictures that were sent, and that were answered. */
  sent = 0;
  answered = 0;
  #awaited: string | null = null;
  #dirty = false;
  #lost = false;

  constructor(model: AnyModel, signal?: AbortSignal) {
    super(model, signal);
    this.pad.strokes = (model.get("sketch") as Sketch | undefined)?.strokes ?? [];
    this.pad.ground = this.#ground;
    this.pad.fit = this.#fit;
    this.pad.history.reset(this.pad.strokes);
    model.on("change:ground", () => {
      if (this.#ground !== this.pad.ground) this.pad.setGround(this.#ground);
    });
    model.on("change:fit", () => {
      this.pad.fit = this.#fit;
      this.pad.emit("paper");
    });
    model.on("change:sketch", () => this.#sketchChanged());
  }

  protected override get traits(): readonly string[] {
    return TRAITS;
  }

  /** There is one picture, and no region. */
  override get<K extends keyof Asked>(trait: K): Asked[K] {
    if (trait === "image_index") return 0 as Asked[K];
    return (TRAITS as readonly string[]).includes(trait) ? super.get(trait) : (null as Asked[K]);
  }

  get padSetup(): PadSetup | null {
    return this.setup as PadSetup | null;
  }

  // Back-pressure ------------------------------------------------------------------------

  /** Whether the kernel has answered the last picture: only then may it be sent the next one. */
  get free(): boolean {
    return this.#awaited === null;
  }

  /** The drawing has changed: its picture goes out now, or as soon as the kernel is free. */
  changed(): void {
    this.#dirty = true;
    this.#pump();
  }

  #pump(): void {
    if (!this.#dirty || !this.free || !this.setup) return;
    this.#dirty = false;
    const { window, array } = this.pad.picture();
    const message: DrawnMessage = {
      window: [window.x, window.y, window.width, window.height],
      array,
    };
    this.sent += 1;
    this.#awaited = this.channel.send("drawn", message);
    this.emit("status");
  }

  #answer(message: SeenMessage): void {
    if (message.answers !== null && message.answers === this.#awaited) {
      this.#awaited = null;
      this.answered += 1;
    }
    this.refused = message.error;
    if (message.prediction) this.prediction = message.prediction;
    this.#pump(); // the model works while its answer is drawn
    this.emit("prediction");
  }

  // Drawing ------------------------------------------------------------------------------

  /** Keeps what is drawn: in the trait, and so in Python and every other page. */
  keep(): void {
    this.#save({ sketch: { strokes: this.pad.strokes } });
    this.changed();
  }

  replace(strokes: Stroke[], remember = true): void {
    this.pad.replace(strokes, remember);
    this.keep();
  }

  override undo(): void {
    // The stroke under the hand is the last one.
    if (this.pad.abandon()) this.changed();
    else if (this.pad.history.canUndo) this.replace(this.pad.history.undo(), false);
  }

  override redo(): void {
    if (this.pad.history.canRedo) this.replace(this.pad.history.redo(), false);
  }

  setGround(ground: string): void {
    this.pad.setGround(ground);
    this.#save({ ground, sketch: { strokes: this.pad.strokes } });
    this.changed();
  }

  setFit(fit: number | null): void {
    this.pad.fit = fit;
    this.pad.emit("paper");
    this.#save({ fit });
    this.changed();
  }

  /** A picture to draw on, at most 1024 px a side; the kernel cuts it to the pad and looks at it. */
  setBackground(name: string, array: NDArray<Uint8Array> | null): void {
    this.channel.send("background", { name, array });
  }

  #save(changes: Record<string, unknown>): void {
    for (const [name, value] of Object.entries(changes)) this.model.set(name, value);
    this.model.save_changes();
  }

  get #ground(): string {
    return (this.model.get("ground") as string | undefined) ?? "#ffffff";
  }

  get #fit(): number | null {
    return (this.model.get("fit") as number | null | undefined) ?? null;
  }

  #sketchChanged(): void {
    const { strokes } = this.model.get("sketch") as Sketch;
    if (strokes !== this.pad.strokes && !same(strokes, this.pad.strokes)) this.pad.replace(strokes);
  }

  // Messages -----------------------------------------------------------------------------

  protected override fellSilent(): void {
    super.fellSilent();
    this.#lost = true;
  }

  protected override take(kind: ToBrowser, payload: Payloads[ToBrowser], revision: number): void {
    if (kind === "setup") {
      const [height, width] = (payload as PadSetup).size;
      this.pad.size = [height, width];
      const array: NDArray<Uint8Array> = { dtype: "uint8", shape: [0, 0, 3], data: new Uint8Array() };
      const { extent } = this.pad;
      const all = { x: 0, y: 0, width: extent.width * UNITS, height: extent.height * UNITS };
      this.picture = { index: 0, name: "sketch", array, ...all, placement: all };
      // Whoever was not heard for long may be another kernel, which knows nothing of the last picture.
      if (this.#lost) this.#awaited = null;
      this.#lost = false;
      this.emit("picture");
      this.pad.emit("paper");
      this.#pump();
    } else if (kind === "seen") this.#answer(payload as SeenMessage);
    else if (kind === "background") {
      const laid = payload as BackgroundMessage;
      this.pad.background = laid.array ? laid : null;
      this.pad.emit("paper");
    } else super.take(kind, payload, revision);
  }
}
