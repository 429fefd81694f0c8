import { describe, expect, test, vi } from "vitest";
import { DEFAULTS } from "./mock_model";
import { button, checksum, find, frames, mount, option, pixels, selected, slide } from "./mount";

const classTarget = (index: number, versus: number | null = null) => ({ kind: "class", index, versus });

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
