import axe from "axe-core";
import { beforeEach, expect, test } from "vitest";
import "../dev/themes.css";
import {
  type AttentionLayer,
  Matrices,
  onPatches,
  queryOf,
  reach,
  tokenName,
  tokenOf,
} from "../src/core/attention";
import { spread } from "../src/widgets/attention/parts";
import { matrix } from "./mock_attention";
import { f32 } from "./mock_model";
import {
  button,
  checksum,
  find,
  frames,
  mountAttention,
  option,
  pixels,
  point,
  press,
  selected,
  slide,
} from "./mount";

const LAYER: AttentionLayer = { name: "a", heads: 2, rows: 2, columns: 3, prefix: 1, tokens: 7 };
const filled = () => {
  const matrices = new Matrices(LAYER);
  const rows = 3 * 7;
  matrices.fill(
    0,
    f32(
      [4, 7],
      Array.from({ length: 28 }, (_, i) => i),
    ),
  );
  expect(matrices.complete).toBe(false);
  matrices.fill(
    4,
    f32(
      [rows - 4, 7],
      Array.from({ length: 7 * (rows - 4) }, (_, i) => 28 + i),
    ),
  );
  return matrices;
};

test("rows of a layer come in pieces, and a row, a column, a mean and a maximum are read off them", () => {
  const matrices = filled();
  expect(matrices.complete).toBe(true);
  expect([...matrices.of(0, 2, "to")]).toEqual([14, 15, 16, 17, 18, 19, 20]);
  expect([...matrices.of(1, 2, "from")]).toEqual([51, 58, 65, 72, 79, 86, 93]);
  expect([...matrices.of("mean", 0, "to")].slice(0, 2)).toEqual([24.5, 25.5]);
  expect([...matrices.of("max", 0, "to")].slice(0, 2)).toEqual([49, 50]);
  expect([...matrices.of("rollout", 0, "to")][0]).toBe(98);
  expect([...matrices.of(9, 0, "to")]).toEqual([...matrices.of(1, 0, "to")]);
  expect(onPatches(matrices.of(0, 0, "to"), LAYER)).toMatchObject({
    shape: [2, 3],
    data: f32([6], [1, 2, 3, 4, 5, 6]).data,
  });
});

test.each([
  [null, 0, "CLS", 0],
  [3, 0, "CLS", 0],
  [[1, 2], 6, "row 2, column 3", [1, 2]],
  [[9, 9], 6, "row 2, column 3", [1, 2]],
  [[0, 0], 1, "row 1, column 1", [0, 0]],
] as const)("the query %o is token %i, %s", (query, token, name, back) => {
  expect(tokenOf(query as never, LAYER)).toBe(token);
  expect(tokenName(token, LAYER)).toBe(name);
  expect(queryOf(token, LAYER)).toEqual(back);
});

test("without a class token the patch in the middle is asked first", () => {
  expect(tokenOf(null, { ...LAYER, prefix: 0 })).toBe(4);
  expect(tokenName(2, { ...LAYER, prefix: 5 })).toBe("register 2");
});

test("spread counts patches, and reach measures the distance to them", () => {
  expect(spread(new Float32Array(8).fill(0.125))).toBeCloseTo(8);
  expect(spread(f32([3], [0, 1, 0]).data)).toBeCloseTo(1);
  expect(spread(new Float32Array(4))).toBe(0);
  const row = f32([7], [0.5, 0, 0, 0.25, 0, 0, 0.25]).data;
  expect(reach(row, 1, LAYER)).toBeCloseTo((2 + Math.hypot(1, 2)) / 2);
  expect(reach(row, 0, LAYER)).toBeNull();
});

const left = (root: HTMLElement) => find(root, '[aria-label="Patch view"]');
const shown = (root: HTMLElement) => checksum(pixels(root, "canvas.xaiw-overlay"));
const token = (root: HTMLElement) => Number(find(root, "canvas.xaiw-overlay").dataset.token);
const centre = (cell: number, of = 8) => (cell + 0.5) / of;

let view: ReturnType<typeof mountAttention>;
beforeEach(async () => {
  view = mountAttention();
  await frames();
});

test("hovering over a patch shows where it attends, and sends nothing", async () => {
  const { root, model } = view;
  const before = shown(root);
  const { length } = model.sent;
  point(left(root), "pointermove", centre(6), centre(5));
  expect(token(root)).toBe(1 + 5 * 8 + 6);
  expect(shown(root)).not.toBe(before);
  point(left(root), "pointerleave", 0, 0);
  expect(token(root)).toBe(0);
  expect(shown(root)).toBe(before);
  expect(model.sent).toHaveLength(length);
  expect(model.saves).toBe(0);
});

test("the canvas has a pixel per patch, and the strongest has the last colour", () => {
  const { root } = view;
  point(left(root), "pointermove", centre(2), centre(3));
  option(root, "Heads", 1).click();
  const canvas = find<HTMLCanvasElement>(root, "canvas.xaiw-overlay");
  expect([canvas.width, canvas.height]).toEqual([8, 8]);
  const layer = view.kernel.message.layers[5];
  const row = matrix(layer, 5, 1).slice((1 + 3 * 8 + 2) * 65 + 1, (1 + 3 * 8 + 2) * 65 + 65);
  const most = row.indexOf(Math.max(...row));
  const data = pixels(root, "canvas.xaiw-overlay");
  const bright = (at: number) => data[4 * at] + data[4 * at + 1] + data[4 * at + 2];
  expect(bright(most)).toBe(Math.max(...Array.from(row.keys(), bright)));
});

test("a click keeps the patch in the trait, and the trait moves the patch", () => {
  const { root, model } = view;
  point(left(root), "click", centre(1), centre(7));
  expect(model.state.query).toEqual([7, 1]);
  expect(token(root)).toBe(1 + 7 * 8 + 1);
  model.set("query", [0, 3]);
  expect(token(root)).toBe(1 + 3);
  button(root, "CLS").click();
  expect(model.state.query).toBe(0);
  expect(token(root)).toBe(0);
});

test("arrow keys walk over the patches, Enter keeps one, Escape goes back", () => {
  const { root, model } = view;
  const frame = left(root);
  for (const key of ["ArrowRight", "ArrowRight", "ArrowDown"]) press(frame, key);
  expect(token(root)).toBe(1 + 5 * 8 + 5);
  expect(find(root, "[aria-live]").textContent).toContain("row 6, column 6 attends most to");
  expect(model.saves).toBe(0);
  press(frame, "Home");
  press(frame, "PageUp");
  expect(token(root)).toBe(1);
  press(frame, "Escape");
  expect(token(root)).toBe(0);
  press(frame, "ArrowLeft");
  press(frame, "Enter");
  expect(model.state.query).toEqual([4, 4]);
  press(frame, "c");
  expect(token(root)).toBe(0);
});

test("the slider follows the hand, and the trait when it is let go", () => {
  const { root, model } = view;
  const before = shown(root);
  slide(root, "Layer", 1);
  expect(shown(root)).not.toBe(before);
  expect(model.state.layer).toBeNull();
  find(root, 'input[aria-label="Layer"]').dispatchEvent(new Event("change", { bubbles: true }));
  expect(model.state.layer).toBe(0);
  expect(selected(root, "Layer")).toBe("0");
  option(root, "Layer", 4).click();
  expect(model.state.layer).toBe(4);
});

test("every head is a small map; picking one shows it large", () => {
  const { root, model } = view;
  expect(root.querySelectorAll(".xaiw-tile")).toHaveLength(7);
  const before = shown(root);
  option(root, "Heads", 1).click();
  expect(model.state.head).toBe(1);
  expect(shown(root)).not.toBe(before);
  expect(selected(root, "Heads")).toBe("1");
  option(root, "Heads", "rollout").click();
  expect(model.state.head).toBe("rollout");
});

test("who attends to the patch is its column", () => {
  const { root } = view;
  point(left(root), "pointermove", centre(0), centre(0));
  const before = shown(root);
  find(root, '[data-value="from"]').click();
  expect(shown(root)).not.toBe(before);
  expect(root.textContent).toContain("From CLS");
});

test("the right picture reads values without changing the query", () => {
  const { root } = view;
  point(find(root, '[aria-label="Attention map view"]'), "pointermove", centre(2), centre(2));
  expect(token(root)).toBe(0);
  expect(find(root, ".xaiw-readout").textContent).toContain("row 3, column 3");
  const value = view.kernel.message.layers[5];
  const mean = [0, 1, 2, 3].reduce((sum, head) => sum + matrix(value, 5, head)[1 + 2 * 8 + 2] / 4, 0);
  expect(Number(find(root, ".xaiw-readout b").textContent)).toBeCloseTo(mean, 3);
});

test("opacity, colours and scale draw anew and send nothing", () => {
  const { root, model } = view;
  const { length } = model.sent;
  slide(root, "Opacity", 0.2);
  expect(find(root, "canvas.xaiw-overlay").style.opacity).toBe("0.2");
  const before = shown(root);
  find(root, '[data-value="shared"]').click();
  expect(shown(root)).not.toBe(before);
  expect(model.sent).toHaveLength(length);
});

test("registers can be asked, and a picture without a class token has none", async () => {
  const many = mountAttention({ prefix: 5 });
  button(many.root, "R3").click();
  expect(many.model.state.query).toBe(3);
  expect(token(many.root)).toBe(3);
  expect(many.root.textContent).toContain("register 3");
  const none = mountAttention({ prefix: 0 });
  expect(() => button(none.root, "CLS")).toThrow();
  expect(token(none.root)).toBe(4 * 8 + 4);
});

test("a model without attention gets one sentence in the view", () => {
  const { root } = mountAttention({ error: "SmallNet has no attention: choose a transformer." });
  expect(root.dataset.state).toBe("error");
  const message = find(root, '[aria-label="Attention map view"] .xaiw-message');
  expect(message.textContent).toBe("SmallNet has no attention: choose a transformer.");
  expect(find(root, ".xaiw-tile").checkVisibility()).toBe(false);
});

test("a second view is filled, and hovers on its own", async () => {
  const { root } = view;
  const other = view.again();
  await frames();
  point(left(other), "pointermove", centre(6), centre(6));
  expect(token(other)).toBe(1 + 6 * 8 + 6);
  expect(token(root)).toBe(0);
});

test("a snapshot is a PNG of this view", async () => {
  view.model.receive("snapshot", { token: "t" }, 1);
  await expect.poll(() => view.model.kinds()).toContain("snapshot");
  const sent = view.model.sent.find((message) => message.kind === "snapshot");
  expect([...new Uint8Array(sent?.buffers[0] as ArrayBuffer).slice(1, 4)]).toEqual([80, 78, 71]);
});

test.each([
  ["light", 1120, {}],
  ["dark", 1120, { prefix: 5, heads: 12 }],
  ["light", 480, {}],
  ["dark", 640, { manual: true }],
  ["light", 800, { error: "It has no attention." }],
] as const)("axe finds nothing in the %s theme at %i px with %o", async (theme, width, options) => {
  view.close();
  document.body.dataset.jpThemeLight = String(theme === "light");
  const { root } = mountAttention({ width, ...options });
  await frames();
  document.body.style.overflow = "visible";
  const { violations } = await axe.run(root, { resultTypes: ["violations"] });
  const found = violations.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${id}: ${node.html.slice(0, 120)}`),
  );
  expect(found).toEqual([]);
});

test.each([480, 640, 800, 1120, 1400])("at %i px nothing is wider than the view", async (width) => {
  const { root } = mountAttention({ width, heads: 12, layers: 12, prefix: 5 });
  await frames();
  expect(root.scrollWidth).toBeLessThanOrEqual(root.clientWidth);
});
