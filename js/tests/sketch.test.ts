import axe from "axe-core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import "../dev/themes.css";
import { type DrawnMessage, Fitter, Rasteriser, type Sketch, type Stroke, whole } from "../src/core/sketch";
import { decodePicture } from "../src/widgets/sketch/pictures";
import fixture from "./fixtures/sketches.json";
import { line, SEVEN } from "./mock_sketch";
import { button, checksum, find, frames, mountSketch, option, pixels, point, press } from "./mount";

const bytes = (text: string) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

// The twin of Python ---------------------------------------------------------------------

test.each(fixture.map((each, index) => [index, each] as const))(
  "sketch %i has the pixels and the window that Python gives it",
  (_, { sketch, size, ground, fit, background, window, pixels: expected }) => {
    const [height, width] = size;
    const { strokes } = sketch as Sketch;
    const seen = fit === null ? whole([height, width]) : new Fitter().fitted(strokes, [height, width], fit);
    [seen.x, seen.y, seen.width, seen.height].forEach((value, index) => {
      expect(value).toBeCloseTo(window[index], 12);
    });
    const below = background
      ? { dtype: "uint8" as const, shape: [height, width, 3], data: bytes(background) }
      : null;
    const drawn = new Rasteriser().rasterise(strokes, [height, width], ground, seen, below);
    expect(drawn.data).toEqual(bytes(expected));
  },
);

test("a growing stroke gives the same pixels as one that is drawn at once", () => {
  const growing: Stroke = { ...line([0.1, 0.1]), points: [[0.1, 0.1]] };
  const [rasteriser, fitter] = [new Rasteriser(), new Fitter()];
  const before = line([0.2, 0.9], [0.4, 0.8]);
  for (const at of [
    [0.5, 0.3],
    [0.7, 0.8, 1.5],
    [0.2, 0.6],
  ] as [number, number][]) {
    rasteriser.rasterise([before, growing], [32, 32], "#000000");
    fitter.fitted([before, growing], [32, 32], 0);
    growing.points.push(at);
  }
  const whole = [before, { ...growing, points: [...growing.points] }];
  expect(rasteriser.rasterise([before, growing], [32, 32], "#000000")).toEqual(
    new Rasteriser().rasterise(whole, [32, 32], "#000000"),
  );
  expect(fitter.fitted([before, growing], [32, 32], 0)).toEqual(new Fitter().fitted(whole, [32, 32], 0));
  // What was kept is forgotten with another past.
  expect(rasteriser.rasterise([growing], [32, 32], "#ffffff")).toEqual(
    new Rasteriser().rasterise([growing], [32, 32], "#ffffff"),
  );
});

test("pixels stay the same whatever is drawn, finished, taken back or erased in between", () => {
  const size: [number, number] = [24, 30];
  const data = Uint8Array.from({ length: 24 * 30 * 3 }, (_, index) => (index * 37) % 251);
  const background = { dtype: "uint8" as const, shape: [24, 30, 3], data };
  const all = [
    line([0.1, 0.1], [0.6, 0.5]),
    { ...line([0.5, 0.1], [0.2, 0.7]), erase: true },
    { ...line([0.9, 0.2], [0.3, 0.3]), colour: "#3355aa" },
    line([2, 2], [3, 3]),
  ];
  for (const below of [null, background]) {
    const rasteriser = new Rasteriser();
    const steps = [[0], [0, 1], [0, 1, 2], [0, 1], [0, 2], [0, 2, 3, 1], [0, 2], [], [3], [2, 1], [2, 1, 0]];
    for (const step of steps) {
      const strokes = step.map((index) => all[index]);
      const args = [strokes, size, "#ffffff", whole(size), below] as const;
      expect(rasteriser.rasterise(...args)).toEqual(new Rasteriser().rasterise(...args));
    }
  }
});

test("a point of a stroke costs its own pixels alone, however large the picture", () => {
  const rasteriser = new Rasteriser();
  const stroke: Stroke = { ...line([0.1, 0.1]), points: [[0.1, 0.1]], width: 0.04 };
  const earlier = Array.from({ length: 5 }, (_, index) => line([0.2 * index, 0.1], [0.1, 0.9]));
  const picture = () => rasteriser.rasterise([...earlier, stroke], [512, 512], "#ffffff");
  picture();
  const started = performance.now();
  for (let index = 1; index <= 50; index += 1) {
    stroke.points.push([0.1 + index / 100, 0.1]);
    picture();
  }
  // 50 whole pictures take 12 s; the limit is for a busy machine.
  expect(performance.now() - started).toBeLessThan(2000);
});

// The hand -------------------------------------------------------------------------------

const pad = (root: HTMLElement) => find(root, '[aria-label="Drawing view"]');
const inked = (root: HTMLElement) => pixels(root, "canvas.xaiw-ink").reduce((sum, value) => sum + value, 0);
const drawn = (sent: { kind: string }[]) => sent.filter(({ kind }) => kind === "drawn");
const strokes = (state: Record<string, unknown>) => (state.sketch as Sketch).strokes;

function draw(root: HTMLElement, points: [number, number][], init: PointerEventInit = {}): void {
  const [first, ...rest] = points;
  point(pad(root), "pointerdown", ...first, init);
  for (const each of rest) point(pad(root), "pointermove", ...each, init);
  point(pad(root), "pointerup", ...points[points.length - 1], init);
}

let view: ReturnType<typeof mountSketch>;
beforeEach(async () => {
  view = mountSketch();
  await frames();
});
afterEach(() => vi.restoreAllMocks());

test("a stroke is drawn within its own event, before and without any message", () => {
  const { root, model, kernel } = view;
  model.onSend = () => {}; // nobody answers any more
  expect(inked(root)).toBe(0);
  point(pad(root), "pointerdown", 0.2, 0.2);
  const dot = inked(root);
  expect(dot).toBeGreaterThan(0);
  point(pad(root), "pointermove", 0.8, 0.2);
  const stroke = inked(root);
  expect(stroke).toBeGreaterThan(dot);
  point(pad(root), "pointermove", 0.8, 0.8);
  expect(inked(root)).toBeGreaterThan(stroke);
  expect(drawn(model.sent)).toHaveLength(1);
  expect(kernel.waiting).toHaveLength(0);
});

test("one picture at most is unanswered; the next one is the newest", () => {
  view.close();
  const { root, model, kernel } = mountSketch({ manual: true });
  point(pad(root), "pointerdown", 0.1, 0.1);
  for (let step = 1; step <= 50; step += 1) point(pad(root), "pointermove", 0.1 + step * 0.015, 0.5);
  expect(drawn(model.sent)).toHaveLength(1);
  kernel.answer();
  expect(drawn(model.sent)).toHaveLength(2);
  kernel.answer();
  // Nothing is new: nothing is sent.
  expect(drawn(model.sent)).toHaveLength(2);
  const [, last] = drawn(model.sent) as unknown as { payload: DrawnMessage; buffers: ArrayBuffer[] }[];
  const shown = pixels(root, "canvas.xaiw-seen");
  const sent = new Uint8Array(last.buffers[0]);
  expect(sent).toHaveLength(32 * 32 * 3);
  expect(sent).toEqual(
    Uint8Array.from({ length: sent.length }, (_, i) => shown[4 * Math.floor(i / 3) + (i % 3)]),
  );
  expect(root.dataset.sent).toBe("2");
  expect(root.dataset.answered).toBe("2");
});

test("a stroke ends in the trait, and once", () => {
  const { root, model } = view;
  const { saves } = model;
  draw(root, [[0.1, 0.1], [0.5, 0.5], [0.9, 0.1]]); // biome-ignore format: points
  expect(model.saves).toBe(saves + 1);
  expect(strokes(model.state)).toHaveLength(1);
  const [stroke] = strokes(model.state);
  expect(stroke).toMatchObject({ width: 0.12, colour: "#ffffff", erase: false });
  expect(stroke.points[1]).toEqual([0.5, 0.5]);
});

test("coalesced events are all drawn, and a pen's pressure makes its line wide", () => {
  const { root, model } = view;
  const frame = pad(root);
  const pen = { pointerType: "pen", pressure: 0.9 };
  point(frame, "pointerdown", 0.1, 0.5, pen);
  const { left, top, width, height } = frame.getBoundingClientRect();
  const event = new PointerEvent("pointermove", { pointerId: 1, bubbles: true, pointerType: "pen" });
  vi.spyOn(event, "getCoalescedEvents").mockReturnValue(
    [0.3, 0.5, 0.7].map(
      (u) =>
        new PointerEvent("pointermove", {
          pointerId: 1,
          clientX: left + u * width,
          clientY: top + 0.5 * height,
          ...pen,
        }),
    ),
  );
  frame.dispatchEvent(event);
  point(frame, "pointerup", 0.7, 0.5, pen);
  const { points } = strokes(model.state)[0];
  expect(points).toHaveLength(4);
  expect(points[2]).toEqual([expect.closeTo(0.5, 3), expect.closeTo(0.5, 3), expect.closeTo(1.8, 3)]);
  const wide = inked(root);
  find<HTMLInputElement>(root, ".xaiw-check:last-of-type input").click();
  button(root, "Undo").click();
  draw(root, [[0.1, 0.5], [0.7, 0.5]], pen); // biome-ignore format: points
  expect(strokes(model.state)[0].points[0]).toHaveLength(2);
  expect(inked(root)).toBeLessThan(wide);
});

test("a second finger draws nothing, and a cancelled touch keeps what it drew", () => {
  const { root, model } = view;
  point(pad(root), "pointerdown", 0.1, 0.1, { pointerType: "touch" });
  point(pad(root), "pointerdown", 0.9, 0.9, { pointerType: "touch", pointerId: 2 });
  point(pad(root), "pointermove", 0.9, 0.1, { pointerType: "touch", pointerId: 2 });
  point(pad(root), "pointerup", 0.9, 0.1, { pointerType: "touch", pointerId: 2 });
  expect(strokes(model.state)).toHaveLength(0);
  point(pad(root), "pointermove", 0.4, 0.1, { pointerType: "touch" });
  point(pad(root), "pointercancel", 0.4, 0.1, { pointerType: "touch" });
  expect(strokes(model.state)).toHaveLength(1);
  expect(getComputedStyle(pad(root)).touchAction).toBe("none");
});

test("undo, redo and clear change ink, trait and the picture that is sent", async () => {
  const { root, model } = view;
  draw(root, [[0.1, 0.1], [0.9, 0.1]]); // biome-ignore format: points
  const one = checksum(pixels(root, "canvas.xaiw-ink"));
  draw(root, [[0.1, 0.5], [0.9, 0.5]]); // biome-ignore format: points
  await frames(1);
  const { length } = drawn(model.sent);
  button(root, "Undo").click();
  expect(checksum(pixels(root, "canvas.xaiw-ink"))).toBe(one);
  expect(strokes(model.state)).toHaveLength(1);
  expect(drawn(model.sent)).toHaveLength(length + 1);
  press(pad(root), "z", { ctrlKey: true, shiftKey: true });
  expect(strokes(model.state)).toHaveLength(2);
  button(root, "Clear").click();
  expect(inked(root)).toBe(0);
  press(pad(root), "z", { ctrlKey: true });
  expect(strokes(model.state)).toHaveLength(2);
});

test("undo while the hand draws takes that stroke back, and none before", () => {
  const { root, model } = view;
  draw(root, [[0.1, 0.1], [0.9, 0.1]]); // biome-ignore format: points
  const one = checksum(pixels(root, "canvas.xaiw-ink"));
  point(pad(root), "pointerdown", 0.2, 0.2);
  point(pad(root), "pointermove", 0.8, 0.8);
  press(pad(root), "z", { ctrlKey: true });
  point(pad(root), "pointermove", 0.9, 0.2);
  point(pad(root), "pointerup", 0.9, 0.2);
  expect(strokes(model.state)).toHaveLength(1);
  expect(checksum(pixels(root, "canvas.xaiw-ink"))).toBe(one);
});

test("strokes show on another paper, also those that an undo brings back", () => {
  const { root, model } = view;
  const colours = () => strokes(model.state).map(({ colour }) => colour);
  draw(root, [[0.1, 0.1], [0.9, 0.1]]); // biome-ignore format: points
  draw(root, [[0.1, 0.5], [0.9, 0.5]]); // biome-ignore format: points
  const paper = find<HTMLInputElement>(root, 'input[aria-label="Paper"]');
  paper.value = "#ffffff";
  paper.dispatchEvent(new Event("change"));
  expect(colours()).toEqual(["#000000", "#000000"]);
  button(root, "Undo").click();
  expect(colours()).toEqual(["#000000"]);
  // From Python: both traits come, and the change is no step.
  const turned = strokes(model.state).map((stroke) => ({ ...stroke, colour: "#ffffff" }));
  model.set("ground", "#202020");
  model.set("sketch", { strokes: turned });
  button(root, "Redo").click();
  expect(colours()).toEqual(["#ffffff", "#ffffff"]);
});

test("the eraser takes ink away", () => {
  const { root, model } = view;
  draw(root, [[0.1, 0.5], [0.9, 0.5]]); // biome-ignore format: points
  const before = inked(root);
  button(root, "Eraser").click();
  draw(root, [[0.5, 0.4], [0.5, 0.6]]); // biome-ignore format: points
  expect(inked(root)).toBeLessThan(before);
  expect(strokes(model.state)[1].erase).toBe(true);
});

test("keys move a pen, put it down and lift it, and say where it is", () => {
  const { root, model } = view;
  const frame = pad(root);
  const live = find(root, ":scope > [aria-live]");
  frame.focus();
  press(frame, "Home");
  expect(live.textContent).toBe("Pen 50 percent across, 50 percent down");
  press(frame, " ");
  for (let step = 0; step < 4; step += 1) press(frame, "ArrowRight");
  press(frame, "ArrowUp", { shiftKey: true });
  expect(live.textContent).toBe("Line to 63 percent across, 49 percent down");
  expect(model.saves).toBe(0);
  press(frame, " ");
  expect(model.saves).toBe(1);
  expect(strokes(model.state)[0].points).toEqual([
    [0.5, 0.5],
    [0.5313, 0.5],
    [0.5625, 0.5],
    [0.5938, 0.5],
    [0.625, 0.5],
    [0.625, 0.4922],
  ]);
  press(frame, "]");
  expect(live.textContent).toBe("Size 15 %");
  press(frame, "e");
  expect(find(root, '[data-value="eraser"]').getAttribute("aria-checked")).toBe("true");
  press(frame, " ");
  press(frame, "ArrowLeft");
  press(frame, "Escape");
  expect(strokes(model.state)).toHaveLength(1);
});

test("a stroke of the keys ends when the pad is left", () => {
  const { root, model } = view;
  pad(root).focus();
  press(pad(root), " ");
  press(pad(root), "ArrowDown");
  pad(root).blur();
  expect(strokes(model.state)).toHaveLength(1);
});

// Around it ------------------------------------------------------------------------------

test("a stored sketch is drawn in the colour that shows on the paper", () => {
  const { root, model } = view;
  option(root, "Stored sketches", "seven").click();
  expect(strokes(model.state)).toEqual(SEVEN.strokes);
  const paper = find<HTMLInputElement>(root, 'input[aria-label="Paper"]');
  paper.value = "#ffffff";
  paper.dispatchEvent(new Event("change"));
  expect(model.state.ground).toBe("#ffffff");
  expect(strokes(model.state)[0].colour).toBe("#000000");
  option(root, "Stored sketches", "one").click();
  expect(strokes(model.state)[0].colour).toBe("#000000");
});

test("what the model sees can be fitted to the drawing, and the part is marked", async () => {
  const { root, model } = view;
  draw(root, [[0.6, 0.6], [0.8, 0.8]]); // biome-ignore format: points
  await frames(1);
  const mark = () => root.querySelector(".xaiw-region-mark path")?.getAttribute("d");
  expect(mark()).toBe("");
  const before = checksum(pixels(root, "canvas.xaiw-seen"));
  const { length } = drawn(model.sent);
  find<HTMLInputElement>(root, ".xaiw-check input").click();
  expect(model.state.fit).toBe(0);
  expect(mark()).toMatch(/^M5\d\d/);
  expect(checksum(pixels(root, "canvas.xaiw-seen"))).not.toBe(before);
  const message = drawn(model.sent)[length] as unknown as { payload: DrawnMessage };
  expect(message.payload.window[0]).toBeGreaterThan(0.5);
});

test("answers, map and what is said follow; opacity sends nothing", async () => {
  const { root, model } = view;
  expect(find(root, ".xaiw-overlay").hidden).toBe(true);
  draw(root, [[0.1, 0.1], [0.9, 0.9], [0.1, 0.9]]); // biome-ignore format: points
  await frames(1);
  expect(find(root, ".xaiw-says").textContent).toBe("much");
  expect(find(root, ".xaiw-overlay").hidden).toBe(false);
  expect(find(root, ".xaiw-overlay").style.left).toBe("100px");
  const { length } = model.sent;
  const before = checksum(pixels(root, "canvas.xaiw-overlay"));
  const opacity = find<HTMLInputElement>(root, 'input[aria-label="Opacity"]');
  opacity.value = "0.2";
  opacity.dispatchEvent(new Event("input", { bubbles: true }));
  expect(checksum(pixels(root, "canvas.xaiw-overlay"))).not.toBe(before);
  expect(model.sent).toHaveLength(length);
});

test("a second view draws along, and a change from Python is drawn in both", async () => {
  const { root, model } = view;
  const other = view.again();
  await frames();
  point(pad(root), "pointerdown", 0.2, 0.2);
  point(pad(root), "pointermove", 0.8, 0.8);
  const ink = () => [root, other].map((each) => checksum(pixels(each, "canvas.xaiw-ink")));
  expect(ink()[0]).toBe(ink()[1]);
  point(pad(root), "pointerup", 0.8, 0.8);
  const before = ink()[0];
  const { length } = drawn(model.sent);
  model.set("sketch", SEVEN);
  expect(ink()[0]).toBe(ink()[1]);
  expect(ink()[0]).not.toBe(before);
  expect(drawn(model.sent)).toHaveLength(length); // the kernel drew it itself
});

test("a picture lies below the strokes, and can be taken away", async () => {
  const { root, model } = view;
  const source = new OffscreenCanvas(2048, 512);
  const fill = source.getContext("2d") as OffscreenCanvasRenderingContext2D;
  fill.fillStyle = "#5a5a5a";
  fill.fillRect(0, 0, 2048, 512);
  const blob = await source.convertToBlob({ type: "image/png" });
  expect(await decodePicture(blob)).toMatchObject({ dtype: "uint8", shape: [256, 1024, 3] });
  const transfer = new DataTransfer();
  transfer.items.add(new File([blob], "grey.png", { type: "image/png" }));
  const drop = new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
  pad(root).dispatchEvent(drop);
  expect(drop.defaultPrevented).toBe(true);
  await expect.poll(() => model.kinds()).toContain("background");
  expect(find(root, "canvas.xaiw-paper").getAttribute("aria-label")).toBe("Picture grey.png");
  expect(find(root, ".xaiw-hint").hidden).toBe(true);
  button(root, "No picture").click();
  expect(find(root, "canvas.xaiw-paper").getAttribute("aria-label")).toBe("Paper #000000");
});

test("a pasted picture lies below the strokes, and pasted text goes where it was meant to", async () => {
  const { root, model } = view;
  const paste = (transfer: DataTransfer) => {
    const init = { clipboardData: transfer, bubbles: true, cancelable: true };
    const event = new ClipboardEvent("paste", init);
    pad(root).dispatchEvent(event);
    return event.defaultPrevented;
  };
  const text = new DataTransfer();
  text.setData("text/plain", "seven");
  expect(paste(text)).toBe(false);
  const canvas = new OffscreenCanvas(8, 4);
  canvas.getContext("2d")?.fillRect(0, 0, 8, 4);
  const picture = new DataTransfer();
  picture.items.add(new File([await canvas.convertToBlob()], "copied.png", { type: "image/png" }));
  expect(paste(picture)).toBe(true);
  await expect.poll(() => model.kinds()).toContain("background");
  expect(find(root, "canvas.xaiw-paper").getAttribute("aria-label")).toBe("Picture copied.png");
  expect(find(root, ".xaiw-said").textContent).toBe("copied.png is below the drawing.");
  button(root, "No picture").click();
  expect(find(root, ".xaiw-said").textContent).toBe("");
});

test("what is no picture gets a sentence", async () => {
  const { root } = view;
  const transfer = new DataTransfer();
  transfer.items.add(new File(["text"], "notes.txt", { type: "text/plain" }));
  root.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
  await expect.poll(() => find(root, ".xaiw-said").textContent).toContain("notes.txt cannot be read");
});

test("a kernel that fell silent and is back gets the newest picture", () => {
  vi.useFakeTimers();
  try {
    view.close();
    const { root, model } = mountSketch();
    const answers = model.onSend;
    model.onSend = () => {};
    draw(root, [[0.1, 0.1], [0.9, 0.1]]); // biome-ignore format: points
    vi.advanceTimersByTime(6000);
    expect(root.dataset.state).toBe("silent");
    expect(drawn(model.sent)).toHaveLength(1);
    model.onSend = answers;
    button(root, "Retry").click();
    expect(drawn(model.sent)).toHaveLength(2);
    expect(root.dataset.state).toBe("idle");
  } finally {
    vi.useRealTimers();
  }
});

test("a snapshot is a PNG of this view", async () => {
  view.model.receive("snapshot", { token: "t" }, 1);
  await expect.poll(() => view.model.kinds()).toContain("snapshot");
  const sent = view.model.sent.find((message) => message.kind === "snapshot");
  expect([...new Uint8Array(sent?.buffers[0] as ArrayBuffer).slice(1, 4)]).toEqual([80, 78, 71]);
});

test.each([
  ["light", 1400, { traits: { sketch: SEVEN } }],
  ["dark", 1120, {}],
  ["light", 480, { traits: { sketch: SEVEN, fit: 0 } }],
  ["dark", 800, { size: [24, 48] as [number, number] }],
  ["light", 640, { silent: true }],
] as const)("axe finds nothing in the %s theme at %i px with %o", async (theme, width, options) => {
  view.close();
  document.body.dataset.jpThemeLight = String(theme === "light");
  const { root } = mountSketch({ width, ...(options as object) });
  await frames();
  for (const fold of root.querySelectorAll<HTMLElement>(".xaiw-fold-button[aria-expanded=false]"))
    fold.click();
  document.body.style.overflow = "visible";
  const { violations } = await axe.run(root, { resultTypes: ["violations"] });
  const found = violations.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${id}: ${node.html.slice(0, 120)} ${node.any[0]?.message ?? ""}`),
  );
  expect(found).toEqual([]);
});

test.each([480, 640, 800, 1120, 1400])("at %i px nothing is wider than the view", async (width) => {
  const { root } = mountSketch({ width, traits: { sketch: SEVEN } });
  await frames();
  expect(root.scrollWidth).toBeLessThanOrEqual(root.clientWidth);
});
