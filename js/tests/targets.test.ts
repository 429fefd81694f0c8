import { expect, test } from "vitest";
import { byFamily } from "../src/components/method_picker";
import { helpText } from "../src/components/parameters";
import { manyMethods } from "./mock_kernel";
import { find, frames, mount, option, press, selected } from "./mount";

const METHODS = { setup: { methods: manyMethods() }, traits: { method: "cam_1" } };
const REGION = { type: "rect", x: 11, y: 60, width: 106, height: 60 } as const;
const groups = (root: HTMLElement) =>
  [...root.querySelectorAll('[aria-label="Method"] [role=group]')].map((group) =>
    group.getAttribute("aria-label"),
  );

test("methods stand in groups whose names are words", () => {
  const { root } = mount(METHODS);
  expect(groups(root)).toEqual([
    "Gradient",
    "Path",
    "Class activation",
    "Shapley values",
    "Noise",
    "Perturbation",
    "Attention",
  ]);
  expect(selected(root, "Method")).toBe("cam_1");
  expect(root.querySelectorAll('[aria-label="Method"] [role=option][tabindex="0"]')).toHaveLength(1);
});

test("a family that nobody knows has its own name and comes last", () => {
  const [method] = manyMethods();
  const found = byFamily([{ ...method, family: "wavelet" }, method]);
  expect(found.map(([words]) => words)).toEqual(["Gradient", "Wavelet"]);
});

test("the chosen method is in sight, in its list and nowhere else", async () => {
  const { root } = mount({ ...METHODS, traits: { method: "noise_2" } });
  await frames();
  const list = find(root, '[aria-label="Method"]').getBoundingClientRect();
  const chosen = option(root, "Method", "noise_2").getBoundingClientRect();
  expect(chosen.top).toBeGreaterThanOrEqual(list.top - 1);
  expect(chosen.bottom).toBeLessThanOrEqual(list.bottom + 1);
});

test("arrow keys go through all groups, and letters typed in a row find a word", () => {
  const { root } = mount(METHODS);
  option(root, "Method", "gradient_3").focus();
  press(document.activeElement as Element, "ArrowDown");
  expect((document.activeElement as HTMLElement).dataset.value).toBe("path_0");
  for (const key of "lay") press(document.activeElement as Element, key);
  expect((document.activeElement as HTMLElement).dataset.value).toBe("cam_0");
  press(document.activeElement as Element, "End");
  expect((document.activeElement as HTMLElement).dataset.value).toBe("attention_3");
});

test("the filter leaves what has the words in its name or its family's", () => {
  const { root } = mount(METHODS);
  const filter = find<HTMLInputElement>(root, '[aria-label="Filter methods"]');
  filter.value = "shapley";
  filter.dispatchEvent(new Event("input"));
  expect(groups(root)).toEqual(["Shapley values"]);
  filter.value = "nothing like it";
  filter.dispatchEvent(new Event("input"));
  expect(groups(root)).toEqual([]);
  expect(root.textContent).toContain("No method has this in its name.");
});

test("a short list needs no filter", () => {
  expect(find(mount().root, '[aria-label="Filter methods"]').checkVisibility()).toBe(false);
});

test("a caveat is shown with its method, a reason instead of the cost", () => {
  const { root, model } = mount(METHODS);
  expect(root.textContent).not.toContain("Not complete");
  option(root, "Method", "shap_1").click();
  expect(model.state.method).toBe("shap_1");
  const note = find(root, ".xaiw-about.is-note");
  expect(note.textContent).toContain("Not complete");
  const refused = option(root, "Method", "attention_0");
  expect(refused.getAttribute("aria-disabled")).toBe("true");
  expect(refused.textContent).toContain("no attention");
});

test("choosing a method moves nothing but its form", () => {
  const { root } = mount(METHODS);
  const top = () => [...root.querySelectorAll("h3")].map((head) => head.getBoundingClientRect().top);
  const before = top();
  option(root, "Method", "shap_1").click();
  expect(top()).toEqual(before);
  option(root, "Method", "gradient_0").click();
  expect(top()).toEqual(before);
});

test("a field in focus says what it is for, and its range", () => {
  const { root } = mount(METHODS);
  const steps = find<HTMLInputElement>(root, '[data-parameter="n_steps"]');
  steps.focus();
  const help = steps.getAttribute("aria-describedby")?.split(" ")[1] as string;
  expect(document.getElementById(help)?.textContent).toBe("Intervals of the path 1 to 512.");
});

test.each([
  [{ minimum: 0, maximum: 2 ** 31 - 1, help: "Seed." }, "Seed. 0 to any number."],
  [{ minimum: 1, help: "Count." }, "Count. at least 1."],
  [{ help: "Where." }, "Where."],
])("the range of %o is %s", (info, text) => {
  expect(helpText({ name: "a", label: "A", kind: "int", default: 0, ...info })).toBe(text);
});

const DENSE = { setup: { labels: ["background", "tree", "house"], task: "segmentation" as const } };

test("classes of a segmentation have shares of the picture, and a region is where they are explained", () => {
  const { root, model, kernel } = mount(DENSE);
  expect(option(root, "Target", 1).textContent).toMatch(/%$/);
  expect(root.textContent).toContain("mark a region to explain a class there");
  kernel.options.manual = true;
  model.set("region", REGION);
  kernel.job();
  expect(root.textContent).toContain("explained in the region");
  expect(find(root, ".xaiw-views").classList.contains("is-stale")).toBe(true);
  expect(find(root, ".xaiw-folds").textContent).toContain("in the region");
});

test("in a classification a region leaves the map as it is", () => {
  const { root, model, kernel } = mount();
  kernel.options.manual = true;
  model.set("region", REGION);
  kernel.job();
  expect(find(root, ".xaiw-views").classList.contains("is-stale")).toBe(false);
});

test("a regression shows one number, with nothing to contrast or to follow", () => {
  const { root } = mount({ setup: { labels: ["area"], classifier: false, task: "regression" } });
  expect(root.querySelectorAll('[aria-label="Target"] [role=option]')).toHaveLength(1);
  expect(option(root, "Target", 0).textContent).not.toContain("+");
  expect(find(root, ".xaiw-follow").checkVisibility()).toBe(false);
  expect(find(root, ".xaiw-versus").checkVisibility()).toBe(false);
});

test("a target that only Python sets is shown by its text until a class is chosen", () => {
  const target = { kind: "layer", layer: "stage2", channel: 3, position: [1, 2], reduce: "max" } as const;
  const { root, model } = mount({ traits: { target: { ...target, position: [1, 2] } } });
  expect(find(root, ".xaiw-other").textContent).toBe("maximum of channel 3 of stage2 at [1,2]");
  expect(selected(root, "Target")).toBeUndefined();
  model.set("target", { kind: "function", name: "my score" });
  expect(find(root, ".xaiw-other").textContent).toBe("my score");
  option(root, "Target", 0).click();
  expect(model.state.target).toEqual({ kind: "class", index: 0, versus: null });
  expect(find(root, ".xaiw-other").checkVisibility()).toBe(false);
});

test("settings that are unfolded show the chosen method", async () => {
  const { root } = mount({ ...METHODS, width: 640, traits: { method: "noise_2" } });
  find(root, ".xaiw-fold-button[aria-expanded=false]").click();
  await frames();
  const list = find(root, '[aria-label="Method"]').getBoundingClientRect();
  const chosen = option(root, "Method", "noise_2").getBoundingClientRect();
  expect(chosen.top).toBeGreaterThanOrEqual(list.top - 1);
  expect(chosen.bottom).toBeLessThanOrEqual(list.bottom + 1);
});
