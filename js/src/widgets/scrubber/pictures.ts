// The three pictures: what the model sees at this step, what the step contributes, and the attribution so far.

import type { Context } from "../../components/context";
import type { Drawing } from "../../components/drawing";
import { bindGestures } from "../../components/gestures";
import { Pane } from "../../components/pane";
import type { RegionState } from "../../components/region_state";
import { h, setAttr, uniqueId } from "../../core/dom";
import { magnitude, signed } from "../../core/format";
import { clear, drawPicture } from "../../core/renderer";
import { MapPainter, paintBlend } from "./painting";
import type { ViewState } from "./state";
import type { ScrubberStore } from "./store";

const HELP =
  "Plus and minus zoom, 0 fits. With Pan, arrows move the picture and Shift with arrows the read-out. With another tool, " +
  "arrows move the cursor, Shift for single pixels, and Enter marks; Escape abandons.";

export interface Pictures {
  root: HTMLElement;
  panes: Pane[];
  /** Another picture, or another place on it. */
  drawPicture(): void;
  /** Another step, or another way to show it. */
  draw(): void;
  marks(): void;
  setMessage(text: string): void;
}

export function pictures(
  store: ScrubberStore,
  state: ViewState,
  context: Context,
  drawing: Drawing,
  region: RegionState,
): Pictures {
  const { viewport, display, signal } = context;
  const canvas = (name: string, label: string) =>
    h("canvas", { class: name, role: "img", "aria-label": label });
  const whole = canvas("xaiw-picture", "Picture");
  const seen = canvas("xaiw-seen", "What the model sees at this step");
  const step = canvas("xaiw-step", "What this step contributes");
  const under = canvas("xaiw-under", "Picture");
  const heat = canvas("xaiw-heat", "Attribution so far");
  const helpId = uniqueId("help");
  const input = new Pane("Input", [whole, seen], viewport, helpId);
  const one = new Pane("Step", [step], viewport, helpId);
  const all = new Pane("Attribution", [under, heat], viewport, helpId);
  const panes = [input, one, all];
  const root = h(
    "div",
    { class: "xaiw-views" },
    ...panes.map((pane) => pane.root),
    h("div", { id: helpId, hidden: true }, HELP),
  );
  for (const pane of panes) bindGestures(pane, context, drawing);
  const layout = () => {
    for (const pane of panes) {
      pane.layout();
      pane.setCursor(context.cursor);
    }
  };
  viewport.onChange(layout);
  const sizes = new ResizeObserver(() => {
    if (panes.map((pane) => pane.measure()).some(Boolean)) layout();
  });
  for (const pane of panes) sizes.observe(pane.frame);
  signal.addEventListener("abort", () => sizes.disconnect());

  function drawWhole(): void {
    const shown = store.picture;
    if (!shown) return;
    viewport.setPicture(shown);
    for (const [pane, target] of [
      [input, whole],
      [all, under],
    ] as const) {
      drawPicture(target, shown.array);
      pane.place(target, { x: 0, y: 0, width: shown.width, height: shown.height });
    }
    setAttr(whole, "aria-label", `Picture ${shown.name}`);
    layout();
  }

  const stepPainter = new MapPainter(step);
  const heatPainter = new MapPainter(heat);
  let placed: unknown = null;
  function place(): void {
    const path = store.stack?.path;
    if (!path || placed === path) return;
    placed = path;
    for (const [pane, target] of [
      [input, seen],
      [one, step],
      [all, heat],
    ] as const) {
      pane.place(target, path.placement);
    }
    layout();
  }

  function draw(): void {
    const { stack } = state;
    if (!stack) {
      for (const target of [seen, step, heat]) clear(target);
      for (const pane of panes) pane.setAside("");
      return;
    }
    place();
    const k = state.index;
    const { height, width } = stack;
    const { sign, opacity, diverging, threshold } = display.state;
    const scales = state.scales;
    const weight = 1 / (stack.nodes.length - 1 || 1);
    const share = state.threshold(threshold);
    const style = { colours: diverging, sign };
    const node = stack.nodes[k];
    const { ends } = stack.path;
    if (node.picture) {
      drawPicture(seen, { dtype: "uint8", shape: [height, width, 3], data: node.picture });
    } else paintBlend(seen, ends.data, width, height, node.alpha);
    const stepScale = scales.step * weight;
    stepPainter.draw(stack.map(k), stack.weight(k), width, height, stepScale, {
      ...style,
      threshold: share * stepScale,
      opacity: null,
    });
    heatPainter.draw(stack.accumulated(k), 1, width, height, scales.total, {
      ...style,
      threshold: share * scales.total,
      opacity: opacity < 1 ? opacity : null,
    });
    for (const target of [seen, step, heat]) setAttr(target, "data-position", node.position);
    setAttr(heat, "data-scale", scales.total);
    setAttr(step, "data-scale", stepScale);
    input.setAside(`\u03b1 = ${node.alpha.toFixed(2)}`);
    one.setAside(`\u00b1${magnitude(stepScale)}`);
    all.setAside(`sum ${signed(stack.sums[k])}`);
  }

  function marks(): void {
    region.refresh();
    for (const pane of panes) {
      pane.setRegion(region.shape);
      pane.setDraft(drawing.shape());
      pane.setCursor(context.cursor);
    }
  }

  return {
    root,
    panes,
    drawPicture: drawWhole,
    draw,
    marks,
    setMessage: (text) => one.setMessage(text),
  };
}
