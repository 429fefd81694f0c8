import axe from "axe-core";
import { afterEach, describe, expect, test, vi } from "vitest";
import "../dev/themes.css";
import { shade } from "../src/widgets/studies/agreement";
import { lesion } from "./mock_kernel";
import { button, checksum, find, frames, mountComparison, pixels, press, slide } from "./mount";

const place = (images: number, methods: number) => ({ models: 0, images, methods, layers: 0, targets: 0 });
const study = (root: ParentNode, name: string) => find(root, `.xaiw-${name}`);
const words = (root: ParentNode) => find(root, ".xaiw-study-words").textContent ?? "";
const contrast = (a: number, b: number) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);

async function violations(root: HTMLElement): Promise<string[]> {
  document.body.style.overflow = "visible";
  const { violations: found } = await axe.run(root, { resultTypes: ["violations"] });
  return found.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${id}: ${node.html.slice(0, 140)} ${node.any[0]?.message ?? ""}`),
  );
}

afterEach(() => vi.restoreAllMocks());

test("one study is open at a time, and closes by its own button", async () => {
  const { root, model } = await mountComparison({ images: 1 });
  button(root, "Pair").click();
  expect(model.state.study).toBe("pair");
  expect(study(root, "pair").textContent).toContain("Select a cell, and a second one with Shift");
  button(root, "Sanity").click();
  expect(study(root, "pair").hidden).toBe(true);
  expect(study(root, "sanity").textContent).toContain("Select a cell");
  button(root, "Sanity").click();
  expect(model.state.study).toBeNull();
  expect(find(root, ".xaiw-study").hidden).toBe(true);
});

describe("a pair", () => {
  const pair = { study: "pair", selected: [place(0, 0), place(0, 3)] };

  test("is shown side by side with its difference, each to its own maximum, and its rank correlation", async () => {
    const { root, kernel } = await mountComparison({ images: 1, traits: pair });
    expect(words(root)).toMatch(
      /^Rank correlation \+0\.9\d+ \(Spearman, signed values, 16\u202f384 pixels\)\. Each map is divided/,
    );
    const scale = Number(find(root, ".xaiw-difference").dataset.scale);
    button(root, "Raw values").click();
    const most = (method: number) => Math.max(...kernel.map(`0.0.${method}.0.0`).data.map(Math.abs));
    expect(words(root)).toContain(`A reaches ${most(0).toPrecision(3)}`);
    expect(Number(find(root, ".xaiw-difference").dataset.scale)).toBeLessThan(scale);
  });

  test("with a map of magnitudes is compared by magnitudes, and other pictures by place", async () => {
    const { root, model } = await mountComparison({ images: 2, traits: pair });
    model.set("selected", [place(0, 0), place(1, 4)]);
    expect(words(root)).toContain("magnitudes, as one of them has no sign");
    expect(words(root)).toContain("The pictures differ");
  });

  test("flickers in one place at a safe rate, by button and by F, and changes by X", async () => {
    const { root } = await mountComparison({ images: 1, traits: pair });
    const views = find(study(root, "pair"), ".xaiw-views");
    const rate = find<HTMLInputElement>(root, 'input[aria-label="Rate"]');
    expect(Number(rate.max)).toBeLessThanOrEqual(3);
    slide(root, "Rate", 3);
    const shown = () => views.classList.contains("is-second");
    press(find(root, ".xaiw-pair .xaiw-frame"), "f");
    expect(views.classList.contains("is-flicker")).toBe(true);
    expect(button(root, "Flicker").getAttribute("aria-pressed")).toBe("true");
    await expect.poll(shown).toBe(true);
    await expect.poll(shown).toBe(false);
    const [a, b] = ["a", "b"].map((name) => find(views, `.xaiw-pane-${name}`).getBoundingClientRect());
    expect([a.left, a.top]).toEqual([b.left, b.top]);
    const before = shown();
    press(button(root, "Flicker"), "x");
    expect(shown()).toBe(!before);
    expect(find(root, "[aria-live]").textContent).toMatch(/^[AB]: lesion 0.png/);
    button(root, "Flicker").click();
    expect(views.classList.contains("is-flicker")).toBe(false);
  });

  test("does not flicker by itself where reduced motion is asked for", async () => {
    const quiet = { matches: true, addEventListener: () => {} } as unknown as MediaQueryList;
    vi.spyOn(window, "matchMedia").mockReturnValue(quiet);
    const timer = vi.spyOn(window, "setInterval");
    const { root } = await mountComparison({ images: 1, traits: pair });
    const { length } = timer.mock.calls;
    button(root, "Flicker").click();
    expect(timer.mock.calls.length).toBe(length);
    expect(find<HTMLInputElement>(root, 'input[aria-label="Rate"]').closest("label")?.hidden).toBe(true);
    button(root, "Show the other").click();
    expect(find(study(root, "pair"), ".xaiw-views").classList.contains("is-second")).toBe(true);
  });
});

describe("the deletion and insertion player", () => {
  const curves = { study: "curves", selected: [place(0, 2)] };
  const own = (root: ParentNode) => pixels(root, "canvas.xaiw-frame-own");

  test("draws the picture of each step from one map of steps, and asks nothing", async () => {
    const { root, kernel, model } = await mountComparison({ images: 1, traits: curves });
    const picture = lesion(0).data;
    slide(root, "Step of the curve", 0);
    const start = own(root);
    expect([...start.slice(0, 3)]).toEqual([...picture.slice(0, 3)]);
    const before = model.sent.length;
    slide(root, "Step of the curve", 20);
    const at20 = own(root);
    const changed = picture.filter((value, i) => at20[4 * Math.floor(i / 3) + (i % 3)] !== value).length / 3;
    expect(changed / (128 * 128)).toBeGreaterThan(0.19);
    expect(changed / (128 * 128)).toBeLessThan(0.21);
    // The most important pixel is gone.
    const { data } = kernel.map("0.0.2.0.0");
    const most = data.indexOf(Math.max(...data));
    expect([...at20.slice(4 * most, 4 * most + 3)]).not.toEqual([...picture.slice(3 * most, 3 * most + 3)]);
    slide(root, "Step of the curve", 100);
    expect(new Set(own(root).filter((_, i) => i % 4 === 0)).size).toBe(1);
    expect(model.sent.length).toBe(before);
  });

  test("says share, probability, the random control and both areas", async () => {
    const { root } = await mountComparison({ images: 1, traits: curves });
    slide(root, "Step of the curve", 20);
    const slider = find(root, 'input[aria-label="Step of the curve"]');
    expect(slider.getAttribute("aria-valuetext")).toBe(
      "step 20 of 100, 20 % removed, malignant 0.12, in random order 0.54",
    );
    expect(words(root)).toContain("Lower is better, and the map is better than chance here.");
    expect(find(root, ".xaiw-chart-key").textContent).toMatch(/by importance, area 0\.12.*random, area 0\.3/);
  });

  test("keeps the newest curves alone, as every one of them takes memory", async () => {
    const { root, kernel, model } = await mountComparison({ images: 3, traits: curves });
    for (const image of [0, 1, 2])
      for (let method = 0; method < 6; method += 1) kernel.curve(`0.${image}.${method}.0.0`);
    const body = find(study(root, "curves"), ".xaiw-study-body");
    model.set("selected", [place(2, 5)]);
    expect(body.hidden).toBe(false);
    model.set("selected", [place(0, 0)]);
    expect(body.hidden).toBe(true);
    expect(study(root, "curves").textContent).toContain("Waiting for the curve.");
  });

  test("another kind or fill-in is asked for, and an insertion starts from the fill-in", async () => {
    const { root, model } = await mountComparison({ images: 1, traits: curves });
    button(root, "Insertion").click();
    expect(model.state.curve).toMatchObject({ kind: "insertion" });
    slide(root, "Step of the curve", 0);
    expect(new Set(own(root).filter((_, i) => i % 4 === 0)).size).toBe(1);
    const fill = find<HTMLSelectElement>(root, ".xaiw-curves select:not([aria-label])");
    fill.value = "blur";
    fill.dispatchEvent(new Event("change"));
    expect(model.state.curve).toMatchObject({ kind: "insertion", fill: "blur" });
  });

  test("plays, and pauses when the slider is taken", async () => {
    const { root } = await mountComparison({ images: 1, traits: curves });
    slide(root, "Step of the curve", 0);
    const line = find(root, ".xaiw-curves");
    button(line, "Play").click();
    const slider = find<HTMLInputElement>(root, 'input[aria-label="Step of the curve"]');
    await expect.poll(() => slider.valueAsNumber).toBeGreaterThan(3);
    press(slider, "Home");
    expect(button(line, "Play")).toBeTruthy();
    expect(slider.valueAsNumber).toBe(0);
  });

  test("while it is computed there is a progress and a cancel of its own; a failure is a sentence", async () => {
    const { root, model, kernel } = await mountComparison({ images: 1 });
    kernel.curve = () => {};
    model.set("selected", [place(0, 1)]);
    model.set("study", "curves");
    const state = { key: "0.0.1.0.0", kind: "curves" as const, done: 12, total: 100, message: null };
    model.receive("study", { ...state, state: "computing" });
    const bar = find(root, ".xaiw-study-bar");
    expect(bar.textContent).toContain("12 of 100");
    button(bar, "Cancel").click();
    expect(model.sent.at(-1)).toMatchObject({ kind: "cancel", payload: { lane: "study" } });
    model.receive("study", { ...state, state: "cancelled" });
    expect(study(root, "curves").textContent).toContain("Cancelled before it was there");
    model.receive("study", { ...state, state: "failed", message: "The map is the same everywhere." });
    expect(study(root, "curves").textContent).toContain("The map is the same everywhere.");
  });
});

describe("the sanity strip", () => {
  const sanity = { study: "sanity", selected: [place(0, 2)] };

  test("scrubs through the maps as stages are randomised, with the similarities and names", async () => {
    const { root, model } = await mountComparison({ images: 1, traits: sanity });
    const before = model.sent.length;
    const seen = new Set<number>();
    for (let stage = 0; stage <= 6; stage += 1) {
      slide(root, "Randomised stages", stage);
      seen.add(checksum(pixels(root, "canvas.xaiw-stage-lost")));
    }
    expect(seen.size).toBe(7);
    expect(model.sent.length).toBe(before);
    const slider = find(root, 'input[aria-label="Randomised stages"]');
    expect(slider.getAttribute("aria-valuetext")).toMatch(
      /^stage 6 of 6, randomised down to stem, rank correlation/,
    );
    const tiles = root.querySelectorAll<HTMLElement>('[aria-label="Stages"] [role=option]');
    expect([...tiles].map((tile) => tile.title)).toEqual([
      "as trained",
      "head",
      "stage4",
      "stage3",
      "stage2",
      "stage1",
      "stem",
    ]);
    tiles[2].click();
    expect(slider.getAttribute("aria-valuetext")).toContain("stage 2 of 6");
    expect(checksum(pixels(root, "canvas.xaiw-stage-trained"))).not.toBe(
      checksum(pixels(root, "canvas.xaiw-stage-lost")),
    );
  });

  test("shows maps as they come, before the strip is complete", async () => {
    const { root, model, kernel } = await mountComparison({ images: 1 });
    kernel.cascade = () => {};
    model.set("selected", [place(0, 2)]);
    model.set("study", "sanity");
    const key = "0.0.2.0.0";
    const part = { key, mode: "cascade" as const, stages: ["head", "stage1", "stem"] };
    const array = kernel.map("0.0.0.0.0");
    model.receive("cascade_map", { ...part, index: 0, array, similarity: null });
    model.receive("cascade_map", { ...part, index: 1, array, similarity: { "spearman signed": 0.42 } });
    expect(find(root, ".xaiw-chart-key").textContent).toContain("0.42");
    const tiles = [...root.querySelectorAll<HTMLCanvasElement>('[aria-label="Stages"] canvas')];
    expect(tiles.map(({ width }) => width)).toEqual([128, 128, 300, 300]);
    slide(root, "Randomised stages", 2);
    expect(find(root, ".xaiw-pane-randomised").textContent).toContain("not there yet");
  });
});

describe("agreement", () => {
  test("is a table of numbers on colours that can be read", async () => {
    const { root } = await mountComparison({ images: 2, traits: { study: "agreement" } });
    const table = find(root, "table.xaiw-matrix");
    expect(table.querySelectorAll("tbody td")).toHaveLength(36);
    expect(find(table, "tbody tr td").textContent).toBe("1.00");
    expect(words(root)).toContain("Mean rank correlation of signed maps (Spearman) over 2 images.");
    expect(words(root)).toMatch(/furthest apart, \u22120\.\d/);
  });

  test("that cannot be says why, whatever cell is selected, and shows no numbers of another grid", async () => {
    const { root, model, kernel } = await mountComparison({
      images: 2,
      traits: { study: "agreement", selected: [place(0, 0)] },
    });
    const body = find(root, ".xaiw-agreement .xaiw-study-body");
    expect(body.hidden).toBe(false);
    const message = "Agreement compares maps of one picture.";
    const how = { key: null, kind: "agreement", state: "failed", done: 0, total: 0, message } as const;
    model.receive("study", how, kernel.revision);
    expect(body.hidden).toBe(true);
    expect(study(root, "agreement").textContent).toContain(message);
  });

  test("of one column says what to do", async () => {
    const { root } = await mountComparison({
      images: 2,
      traits: { study: "agreement", hidden: { methods: [1, 2, 3, 4, 5] } },
    });
    expect(study(root, "agreement").textContent).toContain("show two columns at least");
  });

  test("every shade has a contrast of 4.5 at least with its number", () => {
    const light = (colour: string) => {
      const [r, g, b] = (
        colour.startsWith("#")
          ? [...colour.slice(1)].map((c) => Number.parseInt(c + c, 16))
          : (colour.match(/\d+/g) ?? []).map(Number)
      ).map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    for (const colours of ["RdBu_r", "PuOr_r", "coolwarm"]) {
      for (let value = -1; value <= 1; value += 0.05) {
        const { background, color } = shade(value, colours);
        expect(contrast(light(background), light(color))).toBeGreaterThanOrEqual(4.5);
      }
    }
  });
});

test.each([
  ["pair", "light", 1120],
  ["curves", "dark", 1120],
  ["sanity", "light", 480],
  ["agreement", "dark", 800],
  ["pair", "dark", 480],
] as const)("axe finds nothing in the study %s, %s, %i px", async (name, theme, width) => {
  document.body.dataset.jpThemeLight = String(theme === "light");
  const selected = [place(0, 0), place(0, 2)];
  const { root } = await mountComparison({ images: 1, width, traits: { study: name, selected } });
  await frames();
  expect(await violations(root)).toEqual([]);
});
