import { describe, expect, test, vi } from "vitest";
import { attribution } from "./mock_kernel";
import { DEFAULTS } from "./mock_model";
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

describe("a job", () => {
  test("a click shows at once; the old map is dimmed until the new one is here", () => {
    const { model, root, kernel } = mount({ manual: true });
    kernel.finish();
    const before = checksum(pixels(root, ".xaiw-heat"));
    option(root, "Target", 0).click();
    expect(selected(root, "Target")).toBe("0");
    expect(root.dataset.state).toBe("busy");
    expect(find(root, ".xaiw-views").classList.contains("is-stale")).toBe(true);
    expect(checksum(pixels(root, ".xaiw-heat"))).toBe(before);
    model.receive("progress", { done: 32, total: 64, stage: "explain", text: "" }, kernel.revision);
    expect(find(root, ".xaiw-done").textContent).toBe("32 of 64");
    expect(find<HTMLProgressElement>(root, "progress").value).toBe(32);
    kernel.finish();
    expect(find(root, ".xaiw-views").classList.contains("is-stale")).toBe(false);
    expect(checksum(pixels(root, ".xaiw-heat"))).not.toBe(before);
    expect(root.dataset.state).toBe("idle");
    expect(root.dataset.revision).toBe("2");
  });

  test("a map of an older job is ignored", () => {
    const { root, kernel } = mount({ manual: true });
    kernel.finish();
    option(root, "Target", 0).click();
    option(root, "Method", "gradient").click();
    const before = checksum(pixels(root, ".xaiw-heat"));
    kernel.revision -= 1;
    kernel.map();
    expect(checksum(pixels(root, ".xaiw-heat"))).toBe(before);
    kernel.revision += 1;
    kernel.map();
    expect(checksum(pixels(root, ".xaiw-heat"))).not.toBe(before);
  });

  test("a result without a map keeps the one that is there, undimmed", () => {
    const { model, root, kernel } = mount({ manual: true });
    kernel.finish();
    option(root, "Target", 1).click();
    expect(find(root, ".xaiw-views").classList.contains("is-stale")).toBe(true);
    model.receive(
      "result",
      { seconds: 0, cached: true, target: null, layer: null, facts: [], notes: [] },
      kernel.revision,
    );
    expect(find(root, ".xaiw-views").classList.contains("is-stale")).toBe(false);
    expect(find(root, ".xaiw-facts").textContent).toContain("cached");
  });

  test("Cancel sends cancel for the running job, and Retry starts it again", () => {
    const { model, root, kernel } = mount({ manual: true });
    kernel.finish();
    option(root, "Target", 0).click();
    button(root, "Cancel").click();
    expect(model.sent[model.sent.length - 1]).toMatchObject({ kind: "cancel", revision: 2 });
    expect(root.dataset.state).toBe("cancelled");
    button(root, "Retry").click();
    expect(model.kinds()).toContain("retry");
    expect(root.dataset.state).toBe("busy");
    kernel.finish();
    expect(root.dataset.state).toBe("idle");
  });

  test("an error is a sentence, its traceback is folded away, and both are text", () => {
    const { model, root, kernel } = mount({ manual: true });
    kernel.finish();
    option(root, "Method", "smoothgrad").click();
    const message = "The layer <i>stem</i> gives no gradient.";
    model.receive(
      "error",
      { message, traceback: "Traceback <script>", stage: "explain", withdrawn: ["map", "ablation"] },
      kernel.revision,
    );
    expect(root.dataset.state).toBe("error");
    expect(find(root, ".xaiw-status-message").textContent).toBe(message);
    expect(root.querySelector("i > b, .xaiw-status-message i, script")).toBeNull();
    const details = find<HTMLDetailsElement>(root, "details");
    expect(details.hidden).toBe(false);
    expect(details.open).toBe(false);
    expect(details.textContent).toContain("Traceback <script>");
    expect(pixels(root, ".xaiw-heat").every((value) => value === 0)).toBe(true);
    // The widget stays usable.
    option(root, "Method", "gradient").click();
    kernel.finish();
    expect(root.dataset.state).toBe("idle");
    expect(details.hidden).toBe(true);
  });

  test("a map of the last picture is not laid over the next one", () => {
    const { root, kernel } = mount({ manual: true });
    kernel.finish();
    option(root, "Images", 2).click();
    kernel.picture();
    expect(pixels(root, ".xaiw-overlay").every((value) => value === 0)).toBe(true);
    kernel.map();
    expect(pixels(root, ".xaiw-overlay").some((value) => value > 0)).toBe(true);
  });

  test("values that the kernel refuses are taken back", () => {
    vi.useFakeTimers();
    try {
      const { model, root } = mount();
      model.onSave = () => {};
      option(root, "Layer", "stage1.block2").click();
      const refused = { ...DEFAULTS };
      model.onSend = (message) => {
        model.receive("ack", { id: message.id }, 1);
        model.receive("accepted", refused, 1);
        model.receive(
          "result",
          { seconds: 0, cached: true, target: null, layer: null, facts: [], notes: [] },
          1,
        );
      };
      vi.advanceTimersByTime(2000);
      expect(model.get("layer")).toBeNull();
      expect(selected(root, "Layer")).toBe("stage3.block2");
      expect(root.dataset.state).toBe("idle");
    } finally {
      vi.useRealTimers();
    }
  });

  test("a silent kernel is said to be silent after 5 s", () => {
    vi.useFakeTimers();
    try {
      const { root } = mount({ silent: true });
      expect(root.dataset.state).toBe("empty");
      vi.advanceTimersByTime(5000);
      expect(root.dataset.state).toBe("silent");
      expect(find(root, ".xaiw-status-message").textContent).toMatch(/cell must be run again/);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("views", () => {
  test("two views of one model show the same, and keep their own opacity", () => {
    const mounted = mount();
    const { root, model } = mounted;
    const other = mounted.again();
    expect(checksum(pixels(other, ".xaiw-heat"))).toBe(checksum(pixels(root, ".xaiw-heat")));
    option(other, "Target", 0).click();
    expect(selected(root, "Target")).toBe("0");
    expect(checksum(pixels(other, ".xaiw-heat"))).toBe(checksum(pixels(root, ".xaiw-heat")));
    slide(other, "Opacity", 0.2);
    expect(checksum(pixels(other, ".xaiw-overlay"))).not.toBe(checksum(pixels(root, ".xaiw-overlay")));
    expect(model.saves).toBe(1);
  });

  test("a view survives being detached, sized 0 and attached again", async () => {
    const { host, root } = mount();
    await frames();
    const before = checksum(pixels(root, ".xaiw-heat"));
    const transform = find(root, ".xaiw-stage").style.transform;
    host.remove();
    option(root, "Method", "gradient").click();
    expect(checksum(pixels(root, ".xaiw-heat"))).not.toBe(before);
    host.style.width = "0px";
    document.body.append(host);
    await frames(3);
    host.style.width = "1120px";
    await frames(3);
    expect(find(root, ".xaiw-stage").style.transform).toBe(transform);
    option(root, "Method", "integrated_gradients").click();
    expect(checksum(pixels(root, ".xaiw-heat"))).toBe(before);
  });

  test("a closed view is gone and hears nothing", () => {
    const mounted = mount();
    mounted.close();
    expect(mounted.root.isConnected).toBe(false);
    mounted.model.set("target", classTarget(0));
    expect(selected(mounted.root, "Target")).toBe("1");
  });

  test("a snapshot is a PNG from the newest view", async () => {
    const { model, kernel } = mount();
    model.receive("snapshot", { token: "abc" }, kernel.revision);
    await vi.waitFor(() => expect(model.kinds()).toContain("snapshot"));
    const { payload, buffers } = model.sent[model.sent.length - 1];
    expect(payload).toMatchObject({ token: "abc", png: { dtype: "uint8", buffer: 0 } });
    expect([...new Uint8Array(buffers[0], 0, 4)]).toEqual([137, 80, 78, 71]);
    const image = await createImageBitmap(new Blob([buffers[0]], { type: "image/png" }));
    expect(image.width).toBeGreaterThan(1000);
  });

  test("500 images are listed, and thumbnails asked for in pages as they come into view", async () => {
    const { model, root } = mount({ setup: { n_images: 500 } });
    expect(root.querySelectorAll('[aria-label="Images"] [role=option]')).toHaveLength(500);
    await vi.waitFor(() => expect(model.kinds()).toContain("thumbnails"));
    const pages = () => model.sent.filter(({ kind }) => kind === "thumbnails").map(({ payload }) => payload);
    expect(pages()).toEqual([{ start: 0, stop: 40 }]);
    const list = find(root, '[aria-label="Images"]');
    list.scrollTop = list.scrollHeight;
    await vi.waitFor(() => expect(pages().length).toBeGreaterThan(1));
    expect(pages()[pages().length - 1]).toEqual({ start: 480, stop: 500 });
    expect(find(root, ".xaiw-rail-count").textContent).toBe("1 of 500");
  });

  test("below 800 px the settings fold away and come back by a button", async () => {
    const { root } = mount({ width: 640 });
    await frames();
    const side = find(root, ".xaiw-side");
    expect(getComputedStyle(side).display).toBe("none");
    const toggle = [...root.querySelectorAll("button")].find((each) =>
      each.textContent?.startsWith("Settings"),
    );
    expect(toggle?.getAttribute("aria-expanded")).toBe("false");
    toggle?.click();
    expect(getComputedStyle(side).display).not.toBe("none");
    expect(toggle?.getAttribute("aria-expanded")).toBe("true");
  });

  test("nothing overflows from 480 to 1400 px", async () => {
    for (const width of [480, 640, 800, 960, 1120, 1400]) {
      const { root, close } = mount({
        width,
        traits: { region: { type: "rect", x: 10, y: 10, width: 50, height: 40 }, ablation: "blur" },
      });
      await frames();
      const limit = root.getBoundingClientRect().right + 0.5;
      for (const element of root.querySelectorAll<HTMLElement>(
        "button, select, input, figure, .xaiw-region, .xaiw-legend",
      )) {
        if (element.closest(".xaiw-rail") || !element.getClientRects().length) continue;
        expect(
          element.getBoundingClientRect().right,
          `${element.outerHTML.slice(0, 80)} at ${width}`,
        ).toBeLessThanOrEqual(limit);
      }
      close();
    }
  });
});
