// The examples on the picture: outlines in the colours of their concepts, with names; pictures are picked with Pan.
import type { Point } from "../../components/context";
import type { Pane } from "../../components/pane";
import { type Shape, shapeOf } from "../../components/region_state";
import type { ConceptInfo, ExampleInfo } from "../../core/concepts";
import { h, setAttr, svg } from "../../core/dom";
import { type Mask, maskOf } from "../../core/regions";
import type { Viewport } from "../../core/viewport";
import type { Desk } from "./desk";
import type { WorkbenchStore } from "./store";

/** With more examples on a picture only one of each concept is named. */
const NAMED = 8;
/** Stands for the suggestion that is looked at. */
const SUGGESTED = "suggestion";

interface Placed {
  key: string;
  mask: Mask;
  shape: Shape;
  /** Where the name stands, in display pixels. */
  corner: Point;
}

function cornerOf({ width, height, data }: Mask, picture: { width: number; height: number }): Point {
  let left = width;
  let top = height;
  for (let at = 0; at < data.length; at += 1) {
    if (!data[at]) continue;
    left = Math.min(left, at % width);
    top = Math.min(top, Math.floor(at / width));
  }
  return { x: (left * picture.width) / width, y: (top * picture.height) / height };
}

export interface Annotations {
  update(): void;
  layout(): void;
  /** The example under a point; the smallest, where several lie on each other. */
  at(point: Point): string | null;
}

export function annotations(
  store: WorkbenchStore,
  desk: Desk,
  viewport: Viewport,
  panes: Pane[],
): Annotations {
  const placed = new Map<string, Placed>();
  const layers = panes.map((pane) => {
    const group = svg("g", { class: "xaiw-examples-mark" });
    const marks = svg("svg", { class: "xaiw-marks xaiw-annotations", "aria-hidden": "true" }, group);
    const names = h("div", { class: "xaiw-names", "aria-hidden": "true" });
    pane.message.before(marks, names);
    return { pane, group, names };
  });
  let corners: Point[] = [];

  function place(example: ExampleInfo): Placed | null {
    const { picture } = store;
    if (!picture) return null;
    const key = `${picture.index} ${JSON.stringify(example.region)}`;
    const known = placed.get(example.id);
    if (known?.key === key) return known;
    const [rows, columns] = picture.array.shape;
    const region = example.region ?? {
      type: "rect" as const,
      x: 0,
      y: 0,
      width: picture.width,
      height: picture.height,
    };
    try {
      const mask = maskOf(region, picture, columns, rows, null);
      const found = { key, mask, shape: shapeOf(region, mask, picture), corner: cornerOf(mask, picture) };
      placed.set(example.id, found);
      return found;
    } catch {
      return null; // a mask of another size: the picture behind the file has changed
    }
  }

  function draw(concept: ConceptInfo, example: ExampleInfo, { path, sx, sy }: Shape): SVGElement {
    const { id, included } = example;
    const state = `${included ? "" : " is-excluded"}${id === SUGGESTED ? " is-suggested" : ""}${id === desk.example ? " is-chosen" : ""}`;
    const transform = `scale(${sx} ${sy})`;
    return svg(
      "g",
      { class: `xaiw-example-mark${state}`, "data-example": id, style: `--concept:${concept.colour}` },
      svg("path", { d: path, transform }),
      svg("path", { d: path, transform }),
    );
  }

  function update(): void {
    // What is compared with is only looked at on its own: it would cover everything.
    const here = store.here().filter(({ concept }) => concept.role !== "random" || concept === store.concept);
    const shapes = here.flatMap(({ concept, example }) => {
      const found = place(example);
      return found ? [{ concept, example, found }] : [];
    });
    const seen = new Set<string>();
    const named = shapes.filter(({ concept, example }) => {
      const first = !seen.has(concept.name);
      seen.add(concept.name);
      return shapes.length <= NAMED || first || example.id === desk.example;
    });
    corners = named.map(({ found }) => found.corner);
    const { looking, picture } = store;
    const like = store.concepts.find(({ name }) => name === store.suggestions?.concept);
    const looked = { id: SUGGESTED, included: true, region: looking?.region ?? null } as ExampleInfo;
    const where = looking && like && looking.index === picture?.index ? place(looked) : null;
    for (const { group, names } of layers) {
      group.replaceChildren(
        ...shapes.map(({ concept, example, found }) => draw(concept, example, found.shape)),
        ...(where && like ? [draw(like, looked, where.shape)] : []),
      );
      names.replaceChildren(
        ...named.map(({ concept, example }) =>
          h(
            "span",
            { style: `--concept:${concept.colour}` },
            concept.name + (example.region ? "" : ", whole"),
          ),
        ),
      );
    }
    layout();
  }

  function layout(): void {
    for (const { pane, group, names } of layers) {
      const t = viewport.transform(pane.size);
      setAttr(group, "transform", `translate(${t.x} ${t.y}) scale(${t.scale})`);
      [...names.children].forEach((name, i) => {
        const x = Math.max(2, t.x + corners[i].x * t.scale);
        const y = Math.max(2, t.y + corners[i].y * t.scale - 19);
        (name as HTMLElement).style.transform = `translate(${Math.round(x)}px,${Math.round(y)}px)`;
      });
    }
  }

  return {
    update,
    layout,
    at(point) {
      const { picture } = store;
      if (!picture) return null;
      let best: { id: string; size: number } | null = null;
      for (const { example } of store.here()) {
        const found = placed.get(example.id);
        if (!found) continue;
        const { mask } = found;
        const column = Math.floor((point.x / picture.width) * mask.width);
        const row = Math.floor((point.y / picture.height) * mask.height);
        const inside = column >= 0 && row >= 0 && column < mask.width && row < mask.height;
        if (!inside || !mask.data[row * mask.width + column]) continue;
        const size = mask.data.reduce((sum, bit) => sum + bit, 0);
        if (!best || size < best.size) best = { id: example.id, size };
      }
      return best?.id ?? null;
    },
  };
}
