import axe from "axe-core";
import { expect, test } from "vitest";
import "../dev/themes.css";
import type { ScoreRecord } from "../src/core/concepts";
import { axisOf, pText, sentence } from "../src/widgets/scores/plot";
import { button, find, frames, mountWorkbench, option, press } from "./mount";

const slider = (root: HTMLElement) => find<HTMLInputElement>(root, '[aria-label="Concept strength"]');
const score = (root: HTMLElement, concept: string, layer: string) =>
  [...root.querySelectorAll<HTMLElement>('[aria-label="Scores"] [role=option]')].find(
    ({ dataset }) => dataset.value === JSON.stringify([concept, layer]),
  ) as HTMLElement;
const spoken = (row: HTMLElement) => find(row, ".xaiw-sr").textContent;
const edits = (view: Awaited<ReturnType<typeof mountWorkbench>>) =>
  view.model.sent.filter(({ kind }) => kind === "edit").map(({ payload }) => payload);

const record: ScoreRecord = {
  concept: "stripes",
  layer: "late",
  class: "zebra",
  score: 0.95,
  magnitude: -0.2,
  low: -0.3,
  high: -0.1,
  p: 0.005,
  p_adjusted: 0.0004,
  accuracy: 0.9,
  accuracy_low: 0.8,
  accuracy_high: 0.95,
  testable: true,
  significant: true,
  note: null,
  n_examples: 20,
  n_images: 12,
};

test("a score is one sentence", () => {
  expect(sentence(record)).toBe(
    "stripes at late for zebra: \u22120.200, from \u22120.300 to \u22120.100, significant, p < 0.001; 95 % of the images agree",
  );
  expect(sentence({ ...record, p: null, p_adjusted: null, significant: null })).toContain("not known yet");
  expect(sentence({ ...record, testable: false, note: "Too few." })).toBe(
    "stripes at late for zebra: not testable: Too few.",
  );
  expect([0.0004, 0.005, 0.31, null].map(pText)).toEqual(["< 0.001", "0.005", "0.31", "\u2026"]);
  expect(axisOf([record])).toBe(0.3);
  expect(axisOf([{ ...record, high: 0.81 }])).toBe(1);
  expect(
    axisOf([
      { ...record, low: -0.0121 },
      { ...record, testable: false, low: -9 },
    ]),
  ).toBe(0.2);
  expect(axisOf([])).toBe(1);
});

test("Test is asked for as a trait, once something is marked", async () => {
  const none = await mountWorkbench({ examples: 0 });
  expect(button(none.root, "Test")).toHaveProperty("disabled", true);
  none.close();
  const { root, model } = await mountWorkbench();
  expect(find(root, ".xaiw-results").textContent).toContain("press Test");
  button(root, "Test").click();
  expect(model.state.testing).toBe(true);
  expect(root.querySelectorAll('[aria-label="Scores"] [role=option]')).toHaveLength(9);
  button(root, "Stop testing").click();
  expect(model.state.testing).toBe(false);
});

test("layers, classes, classifier, pooling and what it is against are traits", async () => {
  const { root, model } = await mountWorkbench();
  const box = find<HTMLInputElement>(root, 'input[value="stage1.block2"]');
  box.click();
  find<HTMLInputElement>(root, 'input[value="stage3.block2"]').click();
  expect(model.state.layers).toEqual(["stage1.block2", "stage3.block2"]);
  box.click();
  expect(model.state.layers).toEqual(["stage3.block2"]);
  const choose = (label: string, value: string) => {
    const select = find<HTMLSelectElement>(root, `select[aria-label="${label}"]`);
    select.value = value;
    select.dispatchEvent(new Event("change", { bubbles: true }));
  };
  choose("Compare with the class", "0");
  expect(model.state.compare).toEqual([0]);
  button(root, "Leave out benign").click();
  expect(model.state.compare).toEqual([]);
  choose("Classifier", "svm");
  button(root, "Full").click();
  button(root, "Others").click();
  option(root, "Target", 0).click();
  expect(model.state).toMatchObject({
    classifier: "svm",
    pooled: false,
    against: "others",
    target: { kind: "class", index: 0, versus: null },
  });
});

test("bars show the sign, the interval, significance without colour, and why there is none", async () => {
  const { root } = await mountWorkbench({ traits: { testing: true } });
  const strong = score(root, "ruler", "stage3.block2");
  expect(spoken(strong)).toContain("significant, p 0.03");
  const plot = find(strong, ".xaiw-plot");
  expect(plot.dataset.significant).toBe("true");
  expect(plot.textContent).toBe("\u2217");
  expect(parseFloat(find(plot, "i").style.left)).toBe(50);
  const weak = find(score(root, "ruler", "stage1.block2"), ".xaiw-plot");
  expect(weak.dataset.significant).toBe("false");
  expect(weak.textContent).toBe("");
  expect(parseFloat(find(plot, "i").style.width)).toBeGreaterThan(parseFloat(find(weak, "i").style.width));
  expect(score(root, "hair", "stage1.block2").textContent).toContain("not testable: 3 examples are too few");
  const table = find(root, ".xaiw-numbers table");
  expect(table.querySelectorAll("tbody tr")).toHaveLength(9);
  expect(table.textContent).toContain("94 % (86 % to 98 %)");
});

test("what is to be known of the shown score is written below", async () => {
  const { root } = await mountWorkbench({ traits: { testing: true, concept: "ruler" } });
  const note = () => find(root, ".xaiw-bars-note").textContent;
  expect(note()).toBe("ruler at stage3.block2: The gradient is the same for every image.");
  score(root, "ruler", "stage1.block2").click();
  expect(note()).toBe("");
});

test("other classes stand beside, on one axis", async () => {
  const { root } = await mountWorkbench({ traits: { testing: true, compare: [0] } });
  const plots = score(root, "ruler", "stage3.block2").querySelectorAll<HTMLElement>(".xaiw-plot i");
  expect(plots).toHaveLength(2);
  expect(parseFloat(plots[1].style.left)).toBeLessThan(50);
  expect(find(root, ".xaiw-score-heads").textContent).toContain("benign");
});

test("while the null is running there are bars without significance, and progress", async () => {
  const { root } = await mountWorkbench({ partial: true, traits: { testing: true } });
  expect(root.dataset.state).toBe("busy");
  expect(find(score(root, "ruler", "stage3.block2"), ".xaiw-plot").dataset.significant).toBe("open");
  expect(find(root, ".xaiw-bars-box").textContent).toContain("Significance follows");
  expect(find(root, ".xaiw-foot").textContent).toContain("60 of 199");
  button(root, "Cancel").click();
  expect(root.dataset.state).toBe("cancelled");
  expect(score(root, "ruler", "stage3.block2")).toBeTruthy();
});

test("a click on a bar shows its concept and layer: map, order of the images, agreement", async () => {
  const { root, model } = await mountWorkbench({ traits: { testing: true, concept: "ruler" } });
  await frames();
  score(root, "border", "stage2.block2").click();
  expect(model.state).toMatchObject({ concept: "border", layer: "stage2.block2" });
  await frames();
  expect(find(root, ".xaiw-ranking-box").textContent).toContain("border at stage2.block2");
  const first = find(root, '[aria-label="Images sorted by the concept"] [role=option]');
  expect(first.dataset.value).toBe("23");
  expect(find(root, ".xaiw-cosines").textContent).toContain("\u22120.34");
  first.click();
  expect(model.state.image_index).toBe(23);
  expect(find(root, '[aria-label="Concept map view"]').checkVisibility()).toBe(true);
  expect(find<HTMLCanvasElement>(root, "canvas.xaiw-overlay").width).toBeGreaterThan(13);
});

test("the concept map is shown alone or beside the picture, with a legend", async () => {
  const { root } = await mountWorkbench({ traits: { testing: true } });
  const shown = () =>
    ["Picture view", "Concept map view"].map((name) =>
      find(root, `[aria-label="${name}"]`).checkVisibility(),
    );
  expect(shown()).toEqual([true, true]);
  expect(find(root, ".xaiw-legend-high").textContent).toMatch(/^\+0\.0/);
  button(root, "Map").click();
  expect(shown()).toEqual([false, true]);
  button(root, "Picture").click();
  expect(shown()).toEqual([true, false]);
});

test("a map that is the same everywhere says so instead of colouring the picture", async () => {
  const { root, model, kernel } = await mountWorkbench({ traits: { testing: true } });
  expect(find(root, ".xaiw-pane-note").hidden).toBe(true);
  kernel.flat = true;
  model.set("image_index", 3);
  kernel.start();
  expect(find(root, ".xaiw-pane-note").textContent).toContain("every place counts the same");
});

test("the sweep follows the hand without a message, and speaks", async () => {
  const { root, model } = await mountWorkbench({ traits: { testing: true } });
  await frames();
  const { length } = model.sent;
  expect(slider(root).getAttribute("aria-valuetext")).toBe("epsilon 0, malignant 0.73, benign 0.27");
  press(slider(root), "End");
  expect(slider(root).getAttribute("aria-valuetext")).toBe(
    "epsilon plus 2.00, malignant >0.99, benign <0.01",
  );
  press(slider(root), "Home");
  press(slider(root), "ArrowRight");
  expect(slider(root).getAttribute("aria-valuetext")).toContain("epsilon minus 1.88");
  slider(root).value = "20";
  slider(root).dispatchEvent(new Event("input", { bubbles: true }));
  expect(find(root, ".xaiw-sweep-box").dataset.epsilon).toBe("0.5");
  expect(find(root, ".xaiw-chart-key").textContent).toMatch(/malignant0\.92benign0\.08/);
  button(root, "Reset").click();
  expect(find(root, ".xaiw-sweep-box").dataset.epsilon).toBe("0");
  expect(model.sent).toHaveLength(length);
  expect(model.saves).toBe(0);
});

test("excluding an example scores again, and the hand on the sweep stays", async () => {
  const view = await mountWorkbench({ traits: { testing: true } });
  const { root } = view;
  await frames();
  press(slider(root), "End");
  const before = spoken(score(root, "ruler", "stage3.block2"));
  find(root, '[aria-label="Examples of ruler"] [role=option]').click();
  expect(spoken(score(root, "ruler", "stage3.block2"))).not.toBe(before);
  expect(slider(root).value).toBe("32");
});

test("suggestions are accepted and rejected with one key, and the focus moves on", async () => {
  const view = await mountWorkbench();
  const { root, model } = view;
  button(root, "Suggest more").click();
  expect(model.sent.at(-1)).toMatchObject({ kind: "suggest", payload: { concept: "ruler" } });
  const items = () => [
    ...root.querySelectorAll<HTMLElement>('[role=listbox][aria-label="Suggestions"] [role=option]'),
  ];
  expect(items()).toHaveLength(6);
  items()[0].focus();
  press(items()[0], "Enter");
  expect(items()).toHaveLength(5);
  expect(document.activeElement).toBe(items()[0]);
  press(items()[0], "Delete");
  press(items()[0], "x");
  button(root, "Accept").click();
  const region = (n: number) => ({ type: "mask", size: [2, 2], counts: [0, n] });
  expect(edits(view)).toEqual([
    { op: "add", concept: "ruler", index: 1, region: region(4) },
    { op: "reject", concept: "ruler", index: 2, region: region(3) },
    { op: "reject", concept: "ruler", index: 3, region: region(2) },
    { op: "add", concept: "ruler", index: 4, region: region(4) },
  ]);
  button(root, "Reject").click();
  press(items()[0], "Enter");
  expect(find(root, ".xaiw-suggest").textContent).toContain("Nothing is left.");
  button(find(root, ".xaiw-suggest"), "Close").click();
  expect(find(root, ".xaiw-suggest").hidden).toBe(true);
});

test("looking for suggestions can be cancelled", async () => {
  const { root, model } = await mountWorkbench({ manual: true });
  button(root, "Suggest more").click();
  expect(find(root, ".xaiw-suggest").textContent).toContain("Looking for parts like \u201cruler\u201d");
  button(find(root, ".xaiw-suggest"), "Cancel").click();
  expect(model.kinds()).toContain("cancel");
  expect(find(root, ".xaiw-suggest").hidden).toBe(true);
});

test("an error and a model that only predicts say so where the scores would be", async () => {
  const failed = await mountWorkbench({ error: "\u201chair\u201d has 3 examples: a test needs 5." });
  expect(failed.root.dataset.state).toBe("error");
  expect(find(failed.root, ".xaiw-results").textContent).toContain("a test needs 5");
  failed.close();
  const verdict = { verdict: "inference-only", sentence: "It only predicts.", findings: [] };
  const { root } = await mountWorkbench({ setup: { verdict, layers: [] } });
  expect(find(root, ".xaiw-results").textContent).toContain(
    "marked and kept, but not tested. It only predicts.",
  );
  expect(button(root, "Test")).toHaveProperty("disabled", true);
});

test("a snapshot is drawn by the view", async () => {
  const { model } = await mountWorkbench({ traits: { testing: true } });
  await frames();
  model.receive("snapshot", { token: "t" });
  await expect.poll(() => model.kinds()).toContain("snapshot");
  const { payload, buffers } = model.sent.find(({ kind }) => kind === "snapshot") as never as {
    payload: Record<string, unknown>;
    buffers: ArrayBuffer[];
  };
  expect(payload.token).toBe("t");
  expect([...new Uint8Array(buffers[0]).slice(1, 4)]).toEqual([80, 78, 71]);
});

test.each([
  [1400, false, "test"],
  [1120, true, "test"],
  [800, false, "test"],
  [640, true, "shelf"],
  [480, false, "test"],
  [1120, false, "states"],
] as const)("axe finds nothing and nothing overflows at %i px (dark: %s, %s)", async (width, dark, what) => {
  document.body.dataset.jpThemeLight = String(!dark);
  document.body.style.overflow = "visible";
  const view = await mountWorkbench({
    width,
    traits: what === "test" ? { testing: true, compare: [0] } : {},
    ...(what === "states" ? { conflict: "Another kernel changed the folder.", examples: 3 } : {}),
  });
  const { root } = view;
  await frames(4);
  for (const toggle of root.querySelectorAll<HTMLElement>(".xaiw-fold-button[aria-expanded=false]"))
    toggle.click();
  if (what !== "test") {
    find(root, '[aria-label="Examples of ruler"] [role=option]').click();
    for (const text of ["New", "Edit", "Keys", "Suggest more", "Brush"]) button(root, text).click();
  } else find<HTMLDetailsElement>(root, ".xaiw-numbers").open = true;
  await frames(4);
  const { violations } = await axe.run(root, { resultTypes: ["violations"] });
  const found = violations.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${id}: ${node.html.slice(0, 160)}`),
  );
  expect(found).toEqual([]);
  expect(root.scrollWidth).toBeLessThanOrEqual(width);
  for (const fold of root.querySelectorAll<HTMLElement>(".xaiw-fold-button")) fold.click();
  expect(root.scrollWidth).toBeLessThanOrEqual(width);
  for (const fold of root.querySelectorAll<HTMLElement>(".xaiw-fold-button")) fold.click();
  const outer = root.getBoundingClientRect();
  for (const part of root.querySelectorAll<HTMLElement>("button, select, input, h3")) {
    if (!part.checkVisibility() || part.closest(".xaiw-table, [role=listbox], .xaiw-sr")) continue;
    expect(part.getBoundingClientRect().right, part.outerHTML.slice(0, 120)).toBeLessThanOrEqual(outer.right);
  }
});
