// Mounts a widget over a mock model in the test page and takes it away again.
import { afterEach, expect } from "vitest";
import type { Asked } from "../src/core/protocol";
import "../src/widgets/explorer/explorer.css";
import create from "../src/widgets/explorer/index";
import "../src/widgets/readiness/readiness.css";
import "../src/widgets/report/report.css";
import createReadiness from "../src/widgets/readiness/index";
import "../src/widgets/attention/attention.css";
import createAttention from "../src/widgets/attention/index";
import "../src/widgets/scrubber/scrubber.css";
import createScrubber from "../src/widgets/scrubber/index";
import "../src/widgets/workbench/workbench.css";
import "../src/widgets/scores/scores.css";
import createWorkbench from "../src/widgets/workbench/index";
import "../src/widgets/comparison/comparison.css";
import "../src/widgets/studies/studies.css";
import createComparison from "../src/widgets/comparison/index";
import { TRAITS as COMPARED, type ComparisonOptions, MockComparison } from "./mock_comparison";
import "../src/widgets/gallery/gallery.css";
import createGallery from "../src/widgets/gallery/index";
import "../src/widgets/sketch/sketch.css";
import createSketch from "../src/widgets/sketch/index";
import { type AttentionOptions, MockAttention } from "./mock_attention";
import { TRAITS as GALLERY_TRAITS, type GalleryOptions, MockGallery } from "./mock_gallery";
import { type KernelOptions, MockKernel } from "./mock_kernel";
import { MockModel } from "./mock_model";
import { MockChecker, REPORTS } from "./mock_report";
import { MockScrubber, type ScrubberOptions } from "./mock_scrubber";
import { MockSketch, type SketchOptions } from "./mock_sketch";
import { MockWorkbench, TRAITS, type WorkbenchOptions } from "./mock_workbench";

export interface Mounted extends View {
  model: MockModel;
  kernel: MockKernel;
}

export interface View {
  host: HTMLElement;
  root: HTMLElement;
  /** Another view of the same model. */
  again(): HTMLElement;
  close(): void;
}

const open = new Set<() => void>();
afterEach(() => {
  for (const close of [...open]) close();
  delete document.body.dataset.jpThemeLight;
  document.body.removeAttribute("style");
});

export function mount(
  options: KernelOptions & {
    traits?: Partial<Asked>;
    width?: number;
    silent?: boolean;
    host?: object;
  } = {},
): Mounted {
  const model = new MockModel(options.traits);
  const kernel = new MockKernel(model, options);
  if (options.silent) model.onSend = () => {};
  return { model, kernel, ...show(create(), model, options.width, options.host) };
}

/** The readiness panel on one of the mock reports. */
export function mountReadiness(
  name: string,
  options: { width?: number; manual?: boolean; silent?: boolean } = {},
): View & { model: MockModel; checker: MockChecker } {
  const model = new MockModel();
  const checker = new MockChecker(model, REPORTS[name](), options.manual);
  if (options.silent) model.onSend = () => {};
  return { model, checker, ...show(createReadiness(), model, options.width) };
}

/** The attention view over made-up heads. */
export function mountAttention(
  options: AttentionOptions & { traits?: Record<string, unknown>; width?: number; silent?: boolean } = {},
): View & { model: MockModel; kernel: MockAttention } {
  const model = new MockModel();
  model.state = { layer: null, head: "mean", query: null, ...options.traits };
  const kernel = new MockAttention(model, options);
  if (options.silent) model.onSend = () => {};
  return { model, kernel, ...show(createAttention(), model, options.width) };
}

/** The path scrubber over a made-up path. */
export function mountScrubber(
  options: ScrubberOptions & { traits?: Record<string, unknown>; width?: number } = {},
): View & { model: MockModel; kernel: MockScrubber } {
  const model = new MockModel();
  model.state = {
    target: null,
    baseline: "black",
    draws: 1,
    n_steps: options.steps ?? 16,
    tolerance: null,
    path: "straight",
    precision: "float16",
    region: null,
    ...options.traits,
  };
  const kernel = new MockScrubber(model, options);
  return { model, kernel, ...show(createScrubber(), model, options.width) };
}

/** The concept workbench over a made-up shelf; the scores' code is waited for. */
export async function mountWorkbench(
  options: WorkbenchOptions & {
    traits?: Record<string, unknown>;
    width?: number;
    silent?: boolean;
    host?: object;
  } = {},
): Promise<View & { model: MockModel; kernel: MockWorkbench }> {
  const model = new MockModel();
  model.state = { ...TRAITS, ...options.traits };
  const kernel = new MockWorkbench(model, options);
  if (options.silent) model.onSend = () => {};
  const view = show(createWorkbench(), model, options.width, options.host);
  if (!options.silent) await expect.poll(() => view.root.querySelector(".xaiw-test")).toBeTruthy();
  return { model, kernel, ...view };
}

/** The comparison over made-up maps; the studies' code is waited for. */
export async function mountComparison(
  options: ComparisonOptions & { traits?: Record<string, unknown>; width?: number; silent?: boolean } = {},
): Promise<View & { model: MockModel; kernel: MockComparison }> {
  const model = new MockModel();
  model.state = { ...COMPARED, ...options.traits };
  const kernel = new MockComparison(model, options);
  if (options.silent) model.onSend = () => {};
  const view = show(createComparison(), model, options.width);
  if (!options.silent) await expect.poll(() => view.root.querySelector(".xaiw-studies")).toBeTruthy();
  return { model, kernel, ...view };
}

/** The feature gallery over made-up features. */
export function mountGallery(
  options: GalleryOptions & { traits?: Record<string, unknown>; width?: number; silent?: boolean } = {},
): View & { model: MockModel; kernel: MockGallery } {
  const model = new MockModel();
  model.state = { ...GALLERY_TRAITS, ...options.traits };
  const kernel = new MockGallery(model, options);
  if (options.silent) model.onSend = () => {};
  return { model, kernel, ...show(createGallery(), model, options.width) };
}

/** The sketch pad over a model that counts ink. */
export function mountSketch(
  options: SketchOptions & { traits?: Record<string, unknown>; width?: number; silent?: boolean } = {},
): View & { model: MockModel; kernel: MockSketch } {
  const model = new MockModel();
  const asked = { target: null, layer: null, method: "gradient", parameters: {} };
  model.state = { sketch: { strokes: [] }, ground: "#000000", fit: null, ...asked, ...options.traits };
  const kernel = new MockSketch(model, options);
  if (options.silent) model.onSend = () => {};
  return { model, kernel, ...show(createSketch(), model, options.width) };
}

function show(widget: ReturnType<typeof create>, model: MockModel, width = 1120, own: object = {}): View {
  const controllers: AbortController[] = [];
  const view = () => {
    const host = document.createElement("div");
    host.style.width = `${width}px`;
    document.body.append(host);
    const controller = new AbortController();
    controllers.push(controller);
    const { signal } = controller;
    widget.render({ model: model.any, el: host, signal, experimental: {} as never, host: own as never });
    return host;
  };
  widget.initialize({ model: model.any, signal: new AbortController().signal, experimental: {} as never });
  const host = view();
  const hosts = [host];
  const close = () => {
    for (const controller of controllers) controller.abort();
    for (const each of hosts) each.remove();
    open.delete(close); // what was closed is let go of
  };
  open.add(close);
  return {
    host,
    root: host.querySelector(".xaiw") as HTMLElement,
    again() {
      const other = view();
      hosts.push(other);
      return other.querySelector(".xaiw") as HTMLElement;
    },
    close,
  };
}

export const find = <T extends Element = HTMLElement>(root: ParentNode, selector: string): T => {
  const element = root.querySelector<T>(selector);
  if (!element) throw new Error(`Nothing matches ${selector}.`);
  return element;
};

export const option = (root: ParentNode, list: string, value: string | number) =>
  find(root, `[role=listbox][aria-label="${list}"] [role=option][data-value="${value}"]`);

export const selected = (root: ParentNode, list: string) =>
  root.querySelector<HTMLElement>(`[role=listbox][aria-label="${list}"] [aria-selected=true]`)?.dataset.value;

export const button = (root: ParentNode, text: string) => {
  const found = [...root.querySelectorAll("button")].find(
    (each) => each.textContent?.trim() === text || each.getAttribute("aria-label") === text,
  );
  if (!found) throw new Error(`There is no button "${text}".`);
  return found;
};

export const pixels = (root: ParentNode, selector: string): Uint8ClampedArray => {
  const canvas = find<HTMLCanvasElement>(root, selector);
  const ink = canvas.getContext("2d") as CanvasRenderingContext2D;
  return ink.getImageData(0, 0, canvas.width, canvas.height).data;
};

export const checksum = (data: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < data.length; i += 1) sum = (sum * 31 + data[i]) | 0;
  return sum;
};

export const press = (element: Element, key: string, init: KeyboardEventInit = {}) =>
  element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...init }));

export const slide = (root: ParentNode, label: string, value: number) => {
  const input = find<HTMLInputElement>(root, `input[aria-label="${label}"]`);
  input.value = String(value);
  input.dispatchEvent(new Event("input", { bubbles: true }));
};

/** A pointer event at a share of a frame. */
export const point = (
  frame: HTMLElement,
  type: string,
  u: number,
  v: number,
  init: PointerEventInit = {},
) => {
  const box = frame.getBoundingClientRect();
  const { left, top, width, height } = box;
  frame.dispatchEvent(
    new PointerEvent(type, {
      pointerId: 1,
      clientX: left + u * width,
      clientY: top + v * height,
      button: 0,
      bubbles: true,
      cancelable: true,
      ...init,
    }),
  );
};

export const frames = (count = 2) =>
  new Promise<void>((done) => {
    const step = (left: number) => (left ? requestAnimationFrame(() => step(left - 1)) : done());
    step(count);
  });
