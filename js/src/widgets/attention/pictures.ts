// The two pictures: on the left a patch is chosen, on the right is shown where it attends, and values are read.

import { Pane } from "../../components/pane";
import type { Shape } from "../../components/region_state";
import { type Query, queryOf, tokenName, tokenOf } from "../../core/attention";
import { h, setAttr, svg, uniqueId } from "../../core/dom";
import type { Rectangle } from "../../core/protocol";
import { clear, drawMap, drawPicture, quantise } from "../../core/renderer";
import { Viewport } from "../../core/viewport";
import type { ViewState } from "./state";
import type { AttentionStore } from "./store";

const HELP =
  "Arrow keys move to the patch beside, Home and End to the ends of the row, Page up and Page down to those of the column. " +
  "Enter keeps the patch, Escape goes back to the kept one, C goes to the class token.";
const HEADS = { mean: "mean of the heads", max: "largest of the heads", rollout: "rollout up to here" };

export interface Pictures {
  root: HTMLElement;
  panes: Pane[];
  /** The pictures themselves have changed. */
  drawPictures(): void;
  /** Something of the attention has: query, layer, head, colours. */
  drawMap(): void;
  /** What is said where there is no map. */
  setMessage(text: string): void;
}

export interface Actions {
  hover(query: Query | undefined): void;
  keep(query: Query): void;
  read(token: number | null): void;
}

export function pictures(
  store: AttentionStore,
  state: ViewState,
  actions: Actions,
  signal: AbortSignal,
): Pictures {
  const viewport = new Viewport();
  const canvas = (name: string, label: string) =>
    h("canvas", { class: name, role: "img", "aria-label": label });
  const picture = canvas("xaiw-picture", "Picture");
  const under = canvas("xaiw-under", "Picture");
  const overlay = canvas("xaiw-overlay", "Attention over the picture");
  const helpId = uniqueId("help");
  const left = new Pane("Patch", [picture], viewport, helpId);
  const right = new Pane("Attention map", [under, overlay], viewport, helpId);
  const panes = [left, right];
  const lines = svg("path");
  const grid = svg("g", { class: "xaiw-grid-mark" }, lines);
  left.frame.querySelector("svg")?.prepend(grid);
  const root = h(
    "div",
    { class: "xaiw-views" },
    left.root,
    right.root,
    h("div", { id: helpId, hidden: true }, HELP),
  );

  const place = (): Rectangle => store.picture?.placement ?? { x: 0, y: 0, width: 1, height: 1 };

  function layout(): void {
    for (const pane of panes) pane.layout();
    const t = viewport.transform(left.size);
    setAttr(grid, "transform", `translate(${t.x} ${t.y}) scale(${t.scale})`);
  }
  const sizes = new ResizeObserver(() => {
    if (panes.map((pane) => pane.measure()).some(Boolean)) layout();
  });
  for (const pane of panes) sizes.observe(pane.frame);
  signal.addEventListener("abort", () => sizes.disconnect());

  /** The patch under the pointer; null outside of what the model sees. */
  function patchAt(pane: Pane, event: MouseEvent): [number, number] | null {
    const layer = store.layerAt(state.layer);
    if (!layer || !store.picture) return null;
    const box = pane.frame.getBoundingClientRect();
    const point = viewport.toPicture(pane.size, event.clientX - box.left, event.clientY - box.top);
    const { x, y, width, height } = place();
    const row = Math.floor(((point.y - y) / height) * layer.rows);
    const column = Math.floor(((point.x - x) / width) * layer.columns);
    return row >= 0 && column >= 0 && row < layer.rows && column < layer.columns ? [row, column] : null;
  }

  left.frame.addEventListener("pointermove", (event) => actions.hover(patchAt(left, event) ?? undefined));
  left.frame.addEventListener("pointerleave", () => actions.hover(undefined));
  right.frame.addEventListener("pointermove", (event) => {
    const layer = store.layerAt(state.layer);
    const patch = patchAt(right, event);
    actions.read(patch && layer ? tokenOf(patch, layer) : null);
  });
  right.frame.addEventListener("pointerleave", () => actions.read(null));
  for (const pane of panes) {
    pane.frame.addEventListener("click", (event) => {
      const patch = patchAt(pane, event);
      if (patch) actions.keep(patch);
    });
    pane.frame.addEventListener("keydown", (event) => key(event, pane === right));
  }

  function key(event: KeyboardEvent, reads: boolean): void {
    const layer = store.layerAt(state.layer);
    if (!layer || event.ctrlKey || event.metaKey || event.altKey) return;
    const moves: Record<string, [number, number]> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
      Home: [-layer.columns, 0],
      End: [layer.columns, 0],
      PageUp: [0, -layer.rows],
      PageDown: [0, layer.rows],
    };
    const move = moves[event.key];
    if (move && reads) {
      const at = queryOf(state.read ?? state.token, layer);
      const [row, column] = typeof at === "number" ? [layer.rows >> 1, layer.columns >> 1] : at;
      actions.read(tokenOf([row + move[1], column + move[0]], layer));
    } else if (move) actions.hover(state.step(...move));
    else if (event.key === "Enter" || event.key === " ") {
      actions.keep(reads && state.read !== null ? queryOf(state.read, layer) : state.query);
    } else if (event.key === "Escape") {
      actions.hover(undefined);
      actions.read(null);
    } else if (event.key.toLowerCase() === "c" && layer.prefix) actions.hover(0);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  function cell(token: number): Shape | null {
    const layer = store.layerAt(state.layer);
    const at = layer ? queryOf(token, layer) : 0;
    if (!layer || typeof at === "number") return null;
    const { x, y, width, height } = place();
    const w = width / layer.columns;
    const tall = height / layer.rows;
    return { path: `M${x + at[1] * w} ${y + at[0] * tall}h${w}v${tall}h${-w}Z`, sx: 1, sy: 1 };
  }

  function drawGrid(): void {
    const layer = store.layerAt(state.layer);
    const { x, y, width, height } = place();
    const across = Array.from({ length: (layer?.columns ?? 0) - 1 }, (_, i) => {
      return `M${x + ((i + 1) * width) / (layer?.columns ?? 1)} ${y}v${height}`;
    });
    const down = Array.from({ length: (layer?.rows ?? 0) - 1 }, (_, i) => {
      return `M${x} ${y + ((i + 1) * height) / (layer?.rows ?? 1)}h${width}`;
    });
    setAttr(lines, "d", [...across, ...down].join(""));
  }

  function drawPictures(): void {
    const shown = store.picture;
    for (const target of [picture, under]) {
      if (shown) drawPicture(target, shown.array);
      else clear(target);
    }
    if (!shown) return;
    viewport.setPicture(shown);
    const whole = { x: 0, y: 0, width: shown.width, height: shown.height };
    left.place(picture, whole);
    right.place(under, whole);
    setAttr(picture, "aria-label", `Picture ${shown.name}`);
    layout();
  }

  function draw(): void {
    const layer = store.layerAt(state.layer);
    const map = state.map();
    drawGrid();
    overlay.hidden = !map;
    const kept = layer ? tokenOf(store.get("query"), layer) : 0;
    for (const pane of panes) pane.setRegion(cell(state.token));
    left.setDraft(kept === state.token ? null : draft(cell(kept)));
    right.setDraft(state.read === null ? null : draft(cell(state.read)));
    if (!map || !layer) return;
    const style = { colours: state.colours, sign: "both", threshold: 0, opacity: null } as const;
    drawMap(overlay, quantise(map, state.scaleOf(map), false), style);
    // One opacity for all: what is not attended to goes dark, and the rest glows.
    overlay.style.opacity = String(state.opacity);
    right.place(overlay, place());
    const name = tokenName(state.token, layer);
    const verb = state.direction === "to" ? "attends" : "is attended from";
    setAttr(overlay, "aria-label", `Where ${name} ${verb}, layer ${state.layer + 1}`);
    setAttr(overlay, "data-token", state.token);
    setAttr(overlay, "data-layer", state.layer);
    setAttr(overlay, "data-head", state.head);
    left.setAside(name);
    const head = typeof state.head === "number" ? `head ${state.head + 1}` : HEADS[state.head];
    right.setAside(`layer ${state.layer + 1}, ${head}`);
    layout();
  }

  return {
    root,
    panes,
    drawPictures,
    drawMap: draw,
    setMessage(text) {
      right.setMessage(text);
    },
  };
}

const draft = (shape: Shape | null) => shape && { ...shape, stroke: null, erase: false };
