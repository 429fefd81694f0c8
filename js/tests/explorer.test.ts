import { describe, expect, test, vi } from "vitest";
import { attribution } from "./mock_kernel";
import {
  button,
  checksum,
  find,
  frames,
  mount,
  option,
  pixels,
  point,
  press,
  selected,
  slide,
} from "./mount";

const classTarget = (index: number, versus: number | null = null) => ({ kind: "class", index, versus });

describe("what is asked", () => {
  test("a view says hello once and shows what the kernel answers", () => {
    const { model, root } = mount();
    expect(model.kinds().filter((kind) => kind === "hello")).toHaveLength(1);
    expect(root.dataset.state).toBe("idle");
    expect(root.dataset.revision).toBe("1");
    expect(root.dataset.widget).toBe("explorer");
    expect(root.hasAttribute("data-lm-suppress-shortcuts")).toBe(true);
  });

  test("the prediction is shown as the target until one is picked, even the predicted class itself", () => {
    const { model, root } = mount();
    expect(selected(root, "Target")).toBe("1");
    expect(model.get("target")).toBeNull();
    option(root, "Target", 1).click();
    expect(model.get("target")).toEqual(classTarget(1));
  });

  test("clicking a class, a layer or a method sets its trait, saves once and changes the picture", () => {
    const { model, root } = mount();
    for (const [list, value, trait, wanted] of [
      ["Target", "0", "target", classTarget(0)],
      ["Layer", "stage1.block2", "layer", "stage1.block2"],
      ["Method", "grad_cam", "method", "grad_cam"],
    ] as const) {
      const before = checksum(pixels(root, ".xaiw-heat"));
      const saves = model.saves;
      option(root, list, value).click();
      expect(model.get(trait)).toEqual(wanted);
      expect(model.saves).toBe(saves + 1);
      expect(selected(root, list)).toBe(value);
      if (trait !== "layer") expect(checksum(pixels(root, ".xaiw-heat"))).not.toBe(before);
    }
  });

  test("a method that does not apply says why and is not set", () => {
    const { model, root } = mount();
    const rollout = option(root, "Method", "attention_rollout");
    expect(rollout.getAttribute("aria-disabled")).toBe("true");
    expect(rollout.textContent).toContain("no attention layers");
    rollout.click();
    expect(model.get("method")).toBe("integrated_gradients");
    expect(find(root, "[aria-live]").textContent).toContain("no attention layers");
  });

  test("the target follows the prediction again on demand", () => {
    const { model, root } = mount();
    const follow = button(root, "predicted");
    expect(follow.getAttribute("aria-pressed")).toBe("true");
    option(root, "Target", 0).click();
    expect(follow.getAttribute("aria-pressed")).toBe("false");
    follow.click();
    expect(model.get("target")).toBeNull();
    expect(selected(root, "Target")).toBe("1");
  });

  test("versus sets a contrast, and picking that class itself takes it back", () => {
    const { model, root } = mount();
    const versus = find<HTMLSelectElement>(root, ".xaiw-versus");
    versus.value = "0";
    versus.dispatchEvent(new Event("change"));
    expect(model.get("target")).toEqual(classTarget(1, 0));
    option(root, "Target", 0).click();
    expect(model.get("target")).toEqual(classTarget(0));
  });

  test("all classes can be searched", () => {
    const labels = Array.from({ length: 300 }, (_, index) =>
      index === 250 ? "zebra <b>" : `class ${index}`,
    );
    const { model, root } = mount({ setup: { labels } });
    expect(root.querySelectorAll('[aria-label="Target"] [role=option]').length).toBe(5);
    button(root, "All 300 classes").click();
    const search = find<HTMLInputElement>(root, 'input[aria-label="Search classes"]');
    search.value = "ZEB";
    search.dispatchEvent(new Event("input"));
    const hits = root.querySelectorAll<HTMLElement>('[aria-label="All classes"] [role=option]');
    expect([...hits].map((hit) => hit.textContent)).toEqual([expect.stringContaining("zebra <b>")]);
    expect(root.querySelector("b b, [role=option] b > b")).toBeNull();
    hits[0].click();
    expect(model.get("target")).toEqual(classTarget(250));
    // Asked for, and not among the top ones: it is listed with them all the same.
    expect(selected(root, "Target")).toBe("250");
  });

  test("layers are the main ones in order, with a star, and all on demand", () => {
    const { root } = mount();
    const names = () =>
      [...root.querySelectorAll<HTMLElement>('[aria-label="Layer"] [role=option]')].map(
        (o) => o.dataset.value,
      );
    expect(names()).toEqual(["stage1.block2", "stage2.block2", "stage3.block2"]);
    expect(selected(root, "Layer")).toBe("stage3.block2");
    expect(option(root, "Layer", "stage3.block2").querySelector('[aria-label="recommended"]')).not.toBeNull();
    button(root, "All 5 layers").click();
    expect(names()).toEqual([
      "stem",
      "stage1.block2",
      "stage1.block2.conv1",
      "stage2.block2",
      "stage3.block2",
    ]);
  });

  test("parameters are sent only where they differ from the default, and only if valid", () => {
    const { model, root } = mount();
    const steps = find<HTMLInputElement>(root, '[data-parameter="n_steps"]');
    const enter = (value: string) => {
      steps.value = value;
      steps.dispatchEvent(new Event("change"));
    };
    enter("32");
    expect(model.get("parameters")).toEqual({ integrated_gradients: { n_steps: 32 } });
    const { saves } = model;
    for (const wrong of ["", "0", "3.5", "1000"]) {
      enter(wrong);
      expect(steps.getAttribute("aria-invalid")).toBe("true");
    }
    expect(model.saves).toBe(saves);
    expect(root.querySelector(".xaiw-wrong:not(:empty)")?.textContent).toBe("Steps can be at most 512.");
    enter("64");
    expect(model.get("parameters")).toEqual({});
    expect(root.querySelector(".xaiw-wrong:not(:empty)")).toBeNull();
  });

  test("a choice that was made elsewhere and is not in the list is shown as long as it holds", () => {
    const { model, root } = mount();
    const select = find<HTMLSelectElement>(root, '[data-parameter="baseline"]');
    const { length } = select.options;
    model.set("parameters", { integrated_gradients: { baseline: "#804020" } });
    expect(select.value).toBe("#804020");
    model.set("parameters", { integrated_gradients: { baseline: "blur 0.05" } });
    expect([select.value, select.options.length]).toEqual(["blur 0.05", length + 1]);
    select.dispatchEvent(new Event("change"));
    expect(root.querySelector(".xaiw-wrong:not(:empty)")).toBeNull();
    model.set("parameters", { integrated_gradients: { baseline: "white" } });
    expect([select.value, select.options.length]).toEqual(["white", length]);
  });

  test("Python's changes are followed", () => {
    const { model, root } = mount();
    model.set("target", classTarget(0));
    model.set("layer", "stem");
    model.set("image_index", 3);
    expect(selected(root, "Target")).toBe("0");
    expect(selected(root, "Layer")).toBe("stem");
    expect(selected(root, "Images")).toBe("3");
    expect(model.saves).toBe(0);
  });
});

describe("what stays in the browser", () => {
  test("opacity, threshold, colours, sign, scale, zoom and hovering send nothing", async () => {
    const { model, root } = mount();
    await vi.waitFor(() => expect(model.kinds()).toContain("thumbnails"));
    const sent = model.sent.length;
    const overlay = () => checksum(pixels(root, ".xaiw-overlay"));
    const seen = new Set([overlay()]);
    const change = (what: string, act: () => void, changes = true) => {
      act();
      if (changes) expect(seen.has(overlay()), what).toBe(false);
      seen.add(overlay());
    };
    change("opacity", () => slide(root, "Opacity", 0.3));
    change("threshold", () => slide(root, "Threshold", 60));
    change("sign", () => button(root, "Positive").click());
    change("colours", () => {
      const colours = find<HTMLSelectElement>(root, 'select[aria-label="Colour map"]');
      colours.value = "PuOr_r";
      colours.dispatchEvent(new Event("change"));
    });
    change("scale", () => button(root, "Shared").click(), false);
    const frame = find(root, ".xaiw-frame");
    change(
      "zoom",
      () =>
        frame.dispatchEvent(
          new WheelEvent("wheel", { deltaY: -300, clientX: 300, clientY: 200, cancelable: true }),
        ),
      false,
    );
    expect(find(root, ".xaiw-zoom").textContent).not.toContain("1.0\u00d7");
    point(frame, "pointermove", 0.5, 0.9);
    await new Promise((done) => setTimeout(done, 300));
    expect(model.sent.length).toBe(sent);
    expect(model.saves).toBe(0);
  });

  test("the slider's pixels are there within its own event", () => {
    const { root } = mount();
    const before = checksum(pixels(root, ".xaiw-overlay"));
    slide(root, "Opacity", 0.1);
    expect(checksum(pixels(root, ".xaiw-overlay"))).not.toBe(before);
    expect(find(root, 'input[aria-label="Opacity"]').getAttribute("aria-valuetext")).toBe("0.10");
  });

  test("the read-out names the pixel and its signed value, in all views", async () => {
    const { root, kernel } = mount();
    await frames();
    const frame = find(root, ".xaiw-pane-attribution .xaiw-frame");
    point(frame, "pointermove", 80.5 / 128, 115.5 / 128);
    const text = find(root, ".xaiw-readout").textContent ?? "";
    expect(text).toContain("x 80, y 115");
    const value = attribution({ ...kernel.asked, target: { kind: "class", index: 1, versus: null } }).data[
      115 * 128 + 80
    ];
    expect(text).toContain(`+${value.toPrecision(3)}`);
    expect(root.querySelectorAll(".xaiw-cross-x:not([hidden])")).toHaveLength(3);
    expect(find(root, ".xaiw-bar i").hidden).toBe(false);
    point(frame, "pointerleave", 2, 2);
    expect(root.querySelectorAll(".xaiw-cross-x:not([hidden])")).toHaveLength(0);
  });

  test("views zoom and pan together", async () => {
    const { root } = mount();
    await frames();
    const stages = () =>
      [...root.querySelectorAll<HTMLElement>(".xaiw-stage")].map((stage) => stage.style.transform);
    const before = stages();
    const frame = find(root, ".xaiw-pane-overlay .xaiw-frame");
    press(frame, "+");
    press(frame, "+");
    press(frame, "+");
    press(frame, "+");
    point(frame, "pointerdown", 0.5, 0.5);
    point(frame, "pointermove", 0.6, 0.5);
    point(frame, "pointerup", 0.6, 0.5);
    const after = stages();
    expect(after[0]).not.toBe(before[0]);
    expect(new Set(after).size).toBe(1);
    expect(find(root, ".xaiw-picture").style.imageRendering).toBe("pixelated");
    press(frame, "0");
    expect(stages()).toEqual(before);
    expect(find(root, ".xaiw-picture").style.imageRendering).toBe("auto");
  });

  test("a shared scale keeps the largest one seen for the method and layer", () => {
    const { model, root, kernel } = mount();
    const scale = () => Number(find(root, ".xaiw-heat").dataset.scale);
    const first = scale();
    kernel.map();
    option(root, "Images", 1).click();
    expect(model.get("image_index")).toBe(1);
    const own = scale();
    expect(own).toBeLessThan(first);
    button(root, "Shared").click();
    expect(scale()).toBe(first);
    button(root, "Own scale").click();
    expect(scale()).toBe(own);
  });

  test("a finer crop is asked for only of a picture larger than its preview, once the view rests", async () => {
    const { model, root } = mount({ display: 2400 });
    await frames();
    expect(find(root, ".xaiw-crop").hidden).toBe(true);
    const frame = find(root, ".xaiw-frame");
    for (let i = 0; i < 10; i += 1) press(frame, "+");
    await vi.waitFor(() => expect(model.kinds()).toContain("crop"));
    expect(model.kinds().filter((kind) => kind === "crop")).toHaveLength(1);
    const { payload } = model.sent[model.sent.length - 1];
    expect(payload).toMatchObject({ index: 0 });
    expect(payload.width).toBeLessThan(400);
    expect(find(root, ".xaiw-crop").hidden).toBe(false);
    // The answer is drawn, and is not a reason to ask again.
    await new Promise((done) => setTimeout(done, 400));
    expect(model.kinds().filter((kind) => kind === "crop")).toHaveLength(1);
  });
});
