// Drawing for the workbench: a finished region becomes an example; patches beside the Explorer's tools.
import type { Context, Point } from "../../components/context";
import { type DraftShape, Drawing } from "../../components/drawing";
import type { RegionState } from "../../components/region_state";
import type { Rectangle, Region } from "../../core/protocol";
import type { Desk } from "./desk";

export class Annotating extends Drawing {
  #patch: Rectangle | null = null;

  constructor(
    context: Context,
    region: RegionState,
    changed: () => void,
    private readonly desk: Desk,
    /** Delete, with another tool than the brush. */
    private readonly remove: () => void,
  ) {
    super(context, region, changed);
  }

  override press(point: Point, near: number, erase: boolean): void {
    if (this.context.display.state.tool !== "patch") {
      super.press(point, near, erase);
      return;
    }
    const patch = this.desk.patchAt(point);
    if (patch) this.commit({ type: "rect", ...patch }, "Patch");
    this.#patch = patch;
    this.changed();
  }

  override move(point: Point, pressed: boolean): void {
    if (this.context.display.state.tool !== "patch") {
      super.move(point, pressed);
      return;
    }
    this.#patch = this.desk.patchAt(point);
    this.changed();
  }

  /** Enter adds what was brushed, Space paints; Delete takes the selected example away. */
  override act(point: Point, near: number, erase: boolean, key: string): void {
    const { tool } = this.context.display.state;
    const brush = tool === "brush" || tool === "eraser";
    if (brush && key === "Enter" && this.desk.pending) this.desk.addPending();
    else if (erase && !brush) this.remove();
    else super.act(point, near, erase, key);
  }

  override abandon(): boolean {
    const had = this.#patch !== null;
    this.#patch = null;
    const dropped = super.abandon();
    if (had && !dropped) this.changed();
    return dropped;
  }

  override shape(): DraftShape | null {
    const patch = this.context.display.state.tool === "patch" ? this.#patch : null;
    if (!patch) return super.shape();
    const { x, y, width, height } = patch;
    return { path: `M${x} ${y}h${width}v${height}h${-width}Z`, sx: 1, sy: 1, stroke: null, erase: false };
  }

  protected override commit(region: Region, what: string): void {
    if (region.type === "mask") this.desk.brushed(region);
    else this.desk.keep(region, what);
  }

  protected override clear(): void {
    this.desk.brushed(null);
  }
}
