import axe from "axe-core";
import { beforeEach, expect, test } from "vitest";
import "../dev/themes.css";
import { crc32, pngOf, withText } from "../src/core/png";
import { nearest } from "../src/widgets/gallery/detail";
import { feature } from "./mock_gallery";
import { lesion } from "./mock_kernel";
import {
  button,
  checksum,
  find,
  frames,
  mountGallery,
  option,
  pixels,
  press,
  selected,
  slide,
} from "./mount";

type Mounted = ReturnType<typeof mountGallery>;
const STEPS = "Step of the optimisation";
const large = (root: ParentNode) => checksum(pixels(root, "canvas.xaiw-large"));
const frame = (root: ParentNode) => Number(find(root, "canvas.xaiw-large").dataset.frame ?? -1);
const tiles = (root: ParentNode) => [...root.querySelectorAll<HTMLElement>(".xaiw-tile")];
const player = (root: ParentNode) => find<HTMLInputElement>(root, `input[aria-label="${STEPS}"]`);
const mix = (root: ParentNode) => find<HTMLSelectElement>(root, 'select[aria-label="Mix with"]');
const choose = (select: HTMLSelectElement, value: string) => {
  select.value = value;
  select.dispatchEvent(new Event("change", { bubbles: true }));
};

let view: Mounted;
beforeEach(() => {
  view = mountGallery();
});

test("a page of thumbnails is drawn, the first is enlarged, with its last step and its curve", () => {
  const { root } = view;
  expect(tiles(root)).toHaveLength(24);
  expect(tiles(root).every((tile) => tile.dataset.done === "true")).toBe(true);
  expect(selected(root, "Pictures")).toBe("0");
  expect(frame(root)).toBe(8);
  expect([...pixels(root, "canvas.xaiw-large")].filter((_, at) => at % 4 !== 3)).toEqual([
    ...feature(0, 1, 96),
  ]);
  expect(root.textContent).toContain("Step 64 of 64");
  expect(find(root, ".xaiw-chart path.xaiw-line").getAttribute("d")).not.toBe("");
  expect(root.dataset.state).toBe("idle");
});

test("scrubbing redraws from what is here and sends nothing", () => {
  const { root, model } = view;
  const { length } = model.sent;
  const seen = new Set<number>();
  for (let at = 0; at < 9; at += 1) {
    slide(root, STEPS, at);
    expect(frame(root)).toBe(at);
    seen.add(large(root));
  }
  expect(seen.size).toBe(9);
  expect(model.sent).toHaveLength(length);
  expect(model.saves).toBe(0);
});

test("arrow keys, Home and End scrub, and a screen reader hears step and objective", () => {
  const { root } = view;
  const input = player(root);
  press(input, "Home");
  expect(frame(root)).toBe(0);
  expect(input.getAttribute("aria-valuetext")).toBe("step 0 of 64, objective 0.100");
  press(input, "ArrowRight");
  expect(frame(root)).toBe(1);
  press(input, "PageUp");
  expect(frame(root)).toBe(2);
  press(input, "End");
  expect(frame(root)).toBe(8);
});

test("play runs to the end and stops there; a hand on the slider stops it", async () => {
  const { root } = view;
  choose(find<HTMLSelectElement>(root, 'select[aria-label="Speed"]'), "4");
  button(root, "Play").click();
  await expect.poll(() => frame(root)).toBeLessThan(8);
  expect(find(root, ".xaiw-play").getAttribute("aria-label")).toBe("Pause");
  await expect.poll(() => frame(root), { timeout: 10_000 }).toBe(8);
  await expect.poll(() => find(root, ".xaiw-play").getAttribute("aria-label")).toBe("Play");
  button(root, "Play").click();
  slide(root, STEPS, 2);
  await frames(4);
  expect(frame(root)).toBe(2);
});

test("a click on the curve goes to the frame nearest to that step", async () => {
  const { root } = view;
  await frames(); // the chart has its width
  const drawing = find<SVGSVGElement>(root, ".xaiw-chart");
  const { left, top, width } = drawing.getBoundingClientRect();
  const at = {
    clientX: left + 44 + (width - 54) / 2,
    clientY: top + 40,
    button: 0,
    pointerId: 1,
    bubbles: true,
  };
  drawing.setPointerCapture = () => {};
  drawing.dispatchEvent(new PointerEvent("pointerdown", at));
  expect(frame(root)).toBe(4);
});

test("a click enlarges another one; the trait says which, and the kernel is asked for no job", () => {
  const { root, model } = view;
  const before = large(root);
  const { revision } = view.kernel;
  option(root, "Pictures", 5).click();
  expect(model.state.selected).toBe(5);
  expect(large(root)).not.toBe(before);
  expect(selected(root, "Pictures")).toBe("5");
  expect(view.kernel.revision).toBe(revision);
  expect(find(root, "[aria-live]").textContent).toContain("5, 0.100 \u2192 4.10");
  model.set("selected", 2);
  expect(selected(root, "Pictures")).toBe("2");
});

test("arrows walk the grid row by row, Enter enlarges", () => {
  const { root, model } = view;
  const all = tiles(root);
  const columns = all.findIndex((tile) => tile.offsetTop > all[0].offsetTop);
  expect(columns).toBeGreaterThan(1);
  all[0].focus();
  press(all[0], "ArrowDown");
  expect(document.activeElement).toBe(all[columns]);
  press(all[columns], "ArrowRight");
  press(all[columns + 1], "ArrowUp");
  expect(document.activeElement).toBe(all[1]);
  press(all[1], "ArrowUp");
  expect(document.activeElement).toBe(all[1]);
  press(all[1], "Enter");
  expect(model.state.selected).toBe(1);
});

test("pictures stream in: the first batch moves, the others wait, and the large one follows", () => {
  view.close();
  view = mountGallery({ manual: true });
  const { root, kernel } = view;
  expect(root.dataset.state).toBe("busy");
  expect(tiles(root).filter((tile) => tile.dataset.step)).toHaveLength(8);
  expect(find(root, '.xaiw-tile[data-value="0"]').title).toContain("step 32 of 64");
  expect(find<HTMLElement>(root, ".xaiw-tile-bar i").style.width).toBe("50%");
  expect(frame(root)).toBe(-1);
  const half = large(root);
  expect(player(root).disabled).toBe(true);
  kernel.advance(1);
  expect(frame(root)).toBe(8);
  expect(large(root)).not.toBe(half);
  kernel.finish();
  expect(root.dataset.state).toBe("idle");
});

test("cancel keeps what there is, and the steps so far can be scrubbed", () => {
  view.close();
  view = mountGallery({ manual: true });
  const { root } = view;
  button(root, "Cancel").click();
  expect(root.dataset.state).toBe("cancelled");
  expect(tiles(root).filter((tile) => tile.dataset.step)).toHaveLength(8);
  expect(player(root).disabled).toBe(false);
  expect(root.textContent).toContain("cancelled");
  slide(root, STEPS, 0);
  expect(frame(root)).toBe(0);
  button(root, "Retry").click();
  expect(view.model.kinds()).toContain("retry");
});

test("pages are turned by buttons and by number; what is enlarged stays while paging", () => {
  const { root, model } = view;
  option(root, "Pictures", 3).click();
  button(root, "Next page").click();
  expect(model.state.page).toBe(1);
  expect(tiles(root)[0].dataset.value).toBe("24");
  expect(root.textContent).toContain("25\u201348 of 64 channels");
  expect(find(root, ".xaiw-pane figcaption").textContent).toContain("channel 3 of stage3");
  const go = find<HTMLInputElement>(root, 'input[aria-label="Go to number"]');
  go.value = "60";
  go.dispatchEvent(new Event("change", { bubbles: true }));
  expect([model.state.page, model.state.selected]).toEqual([2, 60]);
  expect(button(root, "Next page").disabled).toBe(true);
});

test("where nothing fires in a region it is said, in place of a picture", () => {
  const region = { type: "rect" as const, x: 1, y: 1, width: 9, height: 9 };
  const { root, model, kernel } = mountGallery({ traits: { region } });
  const message = find(root, ".xaiw-frame .xaiw-message");
  expect(message.hidden).toBe(true);
  const where = { name: "lesion 0.png", width: 128, height: 128, array: lesion(0), region };
  const page = {
    key: kernel.key,
    kind: "channels" as const,
    layer: "stage3",
    page: 0,
    page_size: 24,
    own: [],
  };
  kernel.revision += 1;
  model.receive("accepted", {}, kernel.revision);
  model.receive("gallery", { ...page, total: 0, items: [], where }, kernel.revision);
  expect(message.textContent).toContain("No channel of this layer fires more");
  expect(message.hidden).toBe(false);
  expect(root.textContent).toContain("0\u20130 of 0 channels");
});

test("another layer or kind begins at its first page with its first picture", () => {
  const { root, model } = view;
  button(root, "Next page").click();
  option(root, "Pictures", 30).click();
  option(root, "Layer", "stage2").click();
  expect(model.state).toMatchObject({ layer: "stage2", page: 0, selected: null });
  button(root, "Classes").click();
  expect(model.state.kind).toBe("classes");
  expect(tiles(root).map((tile) => tile.textContent)).toEqual(["zebra", "leopard", "cow", "horse"]);
  expect(find(root, '[aria-label="Layer"]').checkVisibility()).toBe(false);
});

test("only what differs from the defaults is sent, and nonsense is refused with a sentence", () => {
  const { root, model } = view;
  const steps = find<HTMLInputElement>(root, '[data-parameter="n_steps"]');
  const write = (value: string) => {
    steps.value = value;
    steps.dispatchEvent(new Event("change", { bubbles: true }));
  };
  write("0");
  expect(root.textContent).toContain("Steps has to be at least 1.");
  expect(model.state.parameters).toEqual({});
  write("256");
  expect(model.state.parameters).toEqual({ n_steps: 256 });
  choose(find<HTMLSelectElement>(root, '[data-parameter="transforms"]'), "none");
  expect(model.state.parameters).toEqual({ n_steps: 256, transforms: "none" });
  write("128");
  expect(model.state.parameters).toEqual({ transforms: "none" });
  button(root, "Reset").click();
  expect(model.state.parameters).toEqual({});
});

test("an optimisation starts from an image, and from noise again", async () => {
  const { root, model } = view;
  await expect.poll(() => root.querySelectorAll(".xaiw-start canvas").length).toBeGreaterThan(0);
  option(root, "Images", 2).click();
  expect(model.state.start).toBe(2);
  expect(find(root, ".xaiw-start").textContent).toContain("starts as lesion 2.png");
  button(root, "Noise").click();
  expect(model.state.start).toBeNull();
});

test("two are mixed: one slider goes from one to the other, without a message", () => {
  const { root, model } = view;
  choose(mix(root), "7");
  expect(model.state.mix_with).toBe(7);
  const input = find<HTMLInputElement>(root, 'input[aria-label="Share of the second picture"]');
  expect(frame(root)).toBe(2);
  const { length } = model.sent;
  const { saves } = model;
  press(input, "End");
  expect(frame(root)).toBe(4);
  expect(input.getAttribute("aria-valuetext")).toContain("100 % channel 7 of stage3");
  expect(root.querySelectorAll(".xaiw-chart .xaiw-line")).toHaveLength(2);
  expect([model.sent.length, model.saves]).toEqual([length, saves]);
  choose(mix(root), "");
  expect(model.state.mix_with).toBeNull();
  expect(player(root)).toBeTruthy();
});

test("a mixture that cannot be made says why", () => {
  const { root, model, kernel } = view;
  kernel.mixture = () => kernel.film();
  choose(mix(root), "7");
  expect(root.textContent).toContain("being computed");
  model.receive("film", { ...emptyFilm(kernel.key), error: "The two cannot be mixed: choose others." });
  expect(root.textContent).toContain("The two cannot be mixed: choose others.");
});

const emptyFilm = (key: string) => ({
  key,
  role: "mixture" as const,
  index: 0,
  other: 7,
  names: [],
  frames: { dtype: "uint8" as const, shape: [0, 1, 1, 3], data: new Uint8Array(0) },
  positions: { dtype: "float32" as const, shape: [0], data: new Float32Array(0) },
  at: { dtype: "float32" as const, shape: [0], data: new Float32Array(0) },
  curves: { dtype: "float32" as const, shape: [0, 0], data: new Float32Array(0) },
  partial: true,
  provenance: "{}",
  note: "",
});

test("what excites it most stands beside it: what the unit sees, or the whole picture with its outline", () => {
  const { root, kernel } = view;
  const found = () => [...root.querySelectorAll<HTMLElement>(".xaiw-excited li")];
  expect(found()).toHaveLength(6);
  expect(found()[0].textContent).toBe("4.00lesion 0.png");
  expect(root.querySelector(".xaiw-excited .xaiw-box")).toBeNull();
  button(root, "Whole picture").click();
  expect(root.querySelectorAll(".xaiw-excited .xaiw-box")).toHaveLength(6);
  kernel.exciting({ items: null, done: 3, total: 6 });
  expect(root.textContent).toContain("Looking through the images (3 of 6)");
  kernel.exciting({ items: null, error: "The images could not be opened." });
  expect(root.textContent).toContain("The images could not be opened.");
});

test("a picture that is no answer says so below its curve", () => {
  const { root, model, kernel } = view;
  const note = "No gradient reached the picture for channel 0.";
  const film = { ...emptyFilm(kernel.key), role: "steps" as const, other: null, names: ["channel 0"] };
  const one = (value: number) => ({ dtype: "float32" as const, shape: [1], data: Float32Array.of(value) });
  const frames = { dtype: "uint8" as const, shape: [1, 1, 1, 3], data: Uint8Array.of(1, 2, 3) };
  const curves = { dtype: "float32" as const, shape: [1, 1], data: Float32Array.of(0) };
  model.receive("film", { ...film, frames, positions: one(0), at: one(0), curves, note, error: null });
  expect(root.textContent).toContain(note);
});

test("without images there is neither a place for them nor a start", () => {
  const none = mountGallery({ images: 0 });
  expect(find(none.root, ".xaiw-exciting").checkVisibility()).toBe(false);
  expect(find(none.root, ".xaiw-start").checkVisibility()).toBe(false);
});

test("channels of a region come with their activations, the picture, and the way back", () => {
  const region = { type: "rect", x: 10, y: 20, width: 30, height: 40 };
  const { root, model } = mountGallery({ traits: { region } });
  expect(tiles(root).map((tile) => tile.textContent)).toEqual([
    "17 3.00\u03c3",
    "4 2.00\u03c3",
    "40 1.00\u03c3",
  ]);
  expect(root.textContent).toContain("the region of lesion 0.png");
  expect(find(root, ".xaiw-where path").getAttribute("d")).toBe("M10 20h30v40h-30Z");
  button(root, "All channels").click();
  expect(model.state.region).toBeNull();
  expect(tiles(root)).toHaveLength(24);
});

test("own objectives are a choice where there are some", () => {
  expect(button(view.root, "Given").hidden).toBe(true);
  const { root, model } = mountGallery({ own: ["stripes", "<b>dots</b>"] });
  button(root, "Given").click();
  expect(model.state.kind).toBe("own");
  expect(tiles(root).map((tile) => tile.textContent)).toEqual(["stripes", "<b>dots</b>"]);
});

test("a model that only predicts gets one sentence and nothing to press", () => {
  const { root } = mountGallery({ never: true, error: "This model only predicts." });
  expect(root.dataset.state).toBe("error");
  expect(find(root, ".xaiw-refusal").textContent).toBe("This model only predicts.");
  expect(find(root, ".xaiw-side").checkVisibility()).toBe(false);
  expect(find(root, ".xaiw-tiles").checkVisibility({ visibilityProperty: true })).toBe(false);
});

test("a layer without channels gets its sentence, and another layer can be chosen", () => {
  const { root, model } = mountGallery({ error: "Layer pool has no channels." });
  expect(find(root, ".xaiw-refusal").textContent).toBe("Layer pool has no channels.");
  option(root, "Layer", "stage1").click();
  expect(model.state.layer).toBe("stage1");
});

test("pictures out of sight are computed last: the kernel is told what is seen", async () => {
  view.close();
  view = mountGallery({ manual: true, width: 480 });
  const sent = () => view.model.sent.filter(({ kind }) => kind === "visible");
  await expect.poll(() => sent().length).toBe(1);
  const { items } = sent()[0].payload as { items: number[] };
  expect(items.length).toBeGreaterThan(0);
  expect(items.length).toBeLessThan(24);
});

test("a second view is filled, and scrubs on its own", async () => {
  const { root } = view;
  const other = view.again();
  await frames();
  slide(other, STEPS, 1);
  expect(frame(other)).toBe(1);
  expect(frame(root)).toBe(8);
});

test("a snapshot is a PNG of this view", async () => {
  view.model.receive("snapshot", { token: "t" }, 1);
  await expect.poll(() => view.model.kinds()).toContain("snapshot");
  const sent = view.model.sent.find((message) => message.kind === "snapshot");
  expect([...new Uint8Array(sent?.buffers[0] as ArrayBuffer).slice(1, 4)]).toEqual([80, 78, 71]);
});

test("a saved picture is a PNG that still decodes, with its text behind the header", async () => {
  expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 3;
  const file = withText(await pngOf(canvas), "Description", "é{}");
  const bitmap = await createImageBitmap(new Blob([file as BlobPart], { type: "image/png" }));
  expect([bitmap.width, bitmap.height]).toEqual([3, 3]);
  expect(new TextDecoder().decode(file)).toContain("iTXtDescription\0\0\0\0\0é{}");
});

test("the nearest of some numbers", () => {
  expect(nearest([0, 2, 8], 4)).toBe(1);
  expect(nearest([5], 4)).toBe(0);
});

test.each([
  ["light", 1120, {}],
  ["dark", 1120, { traits: { mix_with: 3 } }],
  ["light", 480, { traits: { region: { type: "rect", x: 1, y: 1, width: 9, height: 9 } } }],
  ["dark", 640, { manual: true }],
  ["light", 800, { error: "It has no channels." }],
  ["dark", 800, { error: "It only predicts.", never: true }],
] as const)("axe finds nothing in the %s theme at %i px with %o", async (theme, width, options) => {
  view.close();
  document.body.dataset.jpThemeLight = String(theme === "light");
  const { root } = mountGallery({ width, ...options });
  await frames();
  for (const fold of root.querySelectorAll<HTMLElement>(".xaiw-fold-button"))
    if (fold.checkVisibility()) fold.click();
  document.body.style.overflow = "visible";
  const { violations } = await axe.run(root, { resultTypes: ["violations"] });
  const found = violations.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${id}: ${node.html.slice(0, 120)}`),
  );
  expect(found).toEqual([]);
});

test.each([480, 640, 800, 1120, 1400])("at %i px nothing is wider than the view", async (width) => {
  view.close();
  const { root } = mountGallery({ width, channels: 2048, images: 40 });
  await frames();
  expect(root.scrollWidth).toBeLessThanOrEqual(root.clientWidth);
});
