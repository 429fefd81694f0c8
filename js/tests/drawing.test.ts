import { beforeEach, describe, expect, test } from "vitest";
import { commonPath } from "../src/components/layer_picker";
import type { Region } from "../src/core/protocol";
import { decodeRuns } from "../src/core/regions";
import { superpixels } from "./mock_kernel";
import { button, find, frames, type Mounted, mount, point, press } from "./mount";

let mounted: Mounted;
let frame: HTMLElement;
const region = () => mounted.model.get("region") as Region | null;

/** Clicks at display pixels of the 128 px picture. */
const click = (x: number, y: number, init: PointerEventInit = {}) => {
  point(frame, "pointerdown", x / 128, y / 128, init);
  point(frame, "pointerup", x / 128, y / 128, init);
};
const drag = (x1: number, y1: number, x2: number, y2: number, init: PointerEventInit = {}) => {
  point(frame, "pointerdown", x1 / 128, y1 / 128, init);
  point(frame, "pointermove", (x1 + x2) / 256, (y1 + y2) / 256, init);
  point(frame, "pointermove", x2 / 128, y2 / 128, init);
  point(frame, "pointerup", x2 / 128, y2 / 128, init);
};
const keys = (...names: string[]) => {
  for (const name of names) press(frame, name);
};
const times = (n: number, name: string) => Array.from({ length: n }, () => name);

beforeEach(async () => {
  mounted = mount();
  await frames();
  frame = find(mounted.root, ".xaiw-pane-image .xaiw-frame");
  // Synthetic pointers cannot be captured.
  frame.setPointerCapture = () => {};
});

describe("with the pointer", () => {
  test("a rectangle is a drag", () => {
    button(mounted.root, "Rectangle").click();
    drag(10.2, 20.1, 60, 70);
    expect(region()).toEqual({ type: "rect", x: 10, y: 20, width: 50, height: 50 });
  });

  test("or two clicks", () => {
    button(mounted.root, "Rectangle").click();
    click(60, 70);
    expect(region()).toBeNull();
    click(10, 20);
    expect(region()).toEqual({ type: "rect", x: 10, y: 20, width: 50, height: 50 });
  });

  test("a rectangle is cut at the picture's edge", () => {
    button(mounted.root, "Rectangle").click();
    drag(100, 100, 300, 300);
    expect(region()).toEqual({ type: "rect", x: 100, y: 100, width: 28, height: 28 });
  });

  test("a polygon is closed by its first point or by a double click", () => {
    button(mounted.root, "Polygon").click();
    for (const [x, y] of [
      [10, 10],
      [90, 10],
      [90, 90],
      [10, 10],
    ])
      click(x, y);
    expect(region()).toEqual({
      type: "polygon",
      points: [
        [10, 10],
        [90, 10],
        [90, 90],
      ],
    });
    for (const [x, y] of [
      [20, 20],
      [80, 20],
      [80, 80],
      [80, 80],
    ])
      click(x, y);
    expect(region()).toEqual({
      type: "polygon",
      points: [
        [20, 20],
        [80, 20],
        [80, 80],
      ],
    });
  });

  test("a brush stroke is a mask of the display image; Shift erases", () => {
    button(mounted.root, "Brush").click();
    drag(30, 64, 90, 64);
    const painted = region() as Extract<Region, { type: "mask" }>;
    expect(painted.size).toEqual([128, 128]);
    const data = decodeRuns(painted.counts, 128 * 128);
    expect(data[64 * 128 + 60]).toBe(1);
    expect(data[20 * 128 + 60]).toBe(0);
    drag(60, 50, 60, 80, { shiftKey: true });
    const erased = decodeRuns((region() as Extract<Region, { type: "mask" }>).counts, 128 * 128);
    expect(erased[64 * 128 + 60]).toBe(0);
    expect(erased[64 * 128 + 40]).toBe(1);
  });

  test("a superpixel is added by a click and removed by another", () => {
    button(mounted.root, "Superpixel").click();
    expect(mounted.model.kinds()).toContain("superpixels");
    const labels = superpixels(0).array;
    click(70, 40);
    click(5, 5);
    const id = labels.data[40 * 128 + 70];
    expect(region()).toEqual({ type: "superpixels", ids: [0, id] });
    click(5, 5);
    expect(region()).toEqual({ type: "superpixels", ids: [id] });
    click(70, 40);
    expect(region()).toBeNull();
  });

  test("an abandoned draft leaves no region", () => {
    button(mounted.root, "Polygon").click();
    click(10, 10);
    click(50, 10);
    expect(find(mounted.root, ".xaiw-draft-mark path").getAttribute("d")).toContain("M10");
    keys("Escape");
    expect(find(mounted.root, ".xaiw-draft-mark path").getAttribute("d")).toBe("");
    expect(region()).toBeNull();
  });
});

test("two fingers pinch and pan, and draw nothing", () => {
  button(mounted.root, "Rectangle").click();
  point(frame, "pointerdown", 0.4, 0.5, { pointerId: 1, pointerType: "touch" });
  point(frame, "pointerdown", 0.6, 0.5, { pointerId: 2, pointerType: "touch" });
  point(frame, "pointermove", 0.2, 0.5, { pointerId: 1, pointerType: "touch" });
  point(frame, "pointermove", 0.8, 0.5, { pointerId: 2, pointerType: "touch" });
  expect(find(mounted.root, ".xaiw-zoom").textContent).toContain("3.0\u00d7");
  point(frame, "pointerup", 0.2, 0.5, { pointerId: 1 });
  point(frame, "pointerup", 0.8, 0.5, { pointerId: 2 });
  expect(region()).toBeNull();
});

test("a superpixel is outlined under the cursor before it is picked", () => {
  button(mounted.root, "Superpixel").click();
  point(frame, "pointermove", 0.05, 0.05);
  const mark = () => find(mounted.root, ".xaiw-draft-mark path").getAttribute("d");
  expect(mark()).toMatch(/^M.*Z$/);
  point(frame, "pointerleave", 2, 2);
  expect(mark()).toBe("");
});

describe("while the superpixels are being computed", () => {
  let arrive: () => void;
  beforeEach(() => {
    const answer = mounted.model.onSend;
    mounted.model.onSend = (message) => {
      if (message.kind !== "superpixels") answer(message);
    };
    arrive = () => mounted.model.receive("superpixels", superpixels(0), mounted.kernel.revision);
    button(mounted.root, "Superpixel").click();
  });

  test("a click is kept and picks when they are there", () => {
    click(70, 40);
    expect(region()).toBeNull();
    arrive();
    const id = superpixels(0).array.data[40 * 128 + 70];
    expect(region()).toEqual({ type: "superpixels", ids: [id] });
  });

  test("a resting cursor gets its outline when they are there", () => {
    point(frame, "pointermove", 0.05, 0.05);
    const mark = () => find(mounted.root, ".xaiw-draft-mark path").getAttribute("d");
    expect(mark()).toBeFalsy();
    arrive();
    expect(mark()).toMatch(/^M.*Z$/);
  });
});

test("layers are listed without the path they share", () => {
  const names = ["resnet.encoder.stages.0", "resnet.encoder.stages.1", "resnet.embedder"];
  expect(commonPath(names)).toBe("resnet.");
  expect(commonPath(["stage1", "stage2"])).toBe("");
  expect(commonPath(["body.stage1", "body.stage10"])).toBe("body.");
});

describe("with the keyboard alone", () => {
  test("the toolbar has one tab stop and arrows", () => {
    const pan = button(mounted.root, "Pan");
    expect(find(mounted.root, "[role=toolbar]").querySelectorAll("[tabindex='0']")).toHaveLength(1);
    pan.focus();
    press(pan, "ArrowRight");
    press(document.activeElement as Element, "ArrowRight");
    expect(document.activeElement?.textContent).toBe("Rectangle");
  });

  test("a rectangle by its corners", () => {
    button(mounted.root, "Rectangle").click();
    keys("Enter", ...times(5, "ArrowRight"), ...times(4, "ArrowDown"), "Enter");
    expect(region()).toMatchObject({ type: "rect", width: 10, height: 8 });
  });

  test("a polygon by its points, the last one twice", () => {
    button(mounted.root, "Polygon").click();
    keys("Enter", ...times(5, "ArrowRight"), "Enter", ...times(5, "ArrowDown"), "Enter", "Enter");
    expect((region() as Extract<Region, { type: "polygon" }>).points).toHaveLength(3);
  });

  test("Backspace takes back a point", () => {
    button(mounted.root, "Polygon").click();
    keys("Enter", ...times(5, "ArrowRight"), "Enter", "Backspace", "Backspace");
    expect(find(mounted.root, ".xaiw-draft-mark path").getAttribute("d")).toBe("");
  });

  test("the brush paints with Enter and erases with Delete", () => {
    button(mounted.root, "Brush").click();
    keys("Enter");
    expect(region()?.type).toBe("mask");
    keys("Delete");
    expect(region()).toBeNull();
  });

  test("a superpixel under the cursor, announced", () => {
    button(mounted.root, "Superpixel").click();
    keys("ArrowRight", "Enter");
    expect(region()).toEqual({ type: "superpixels", ids: [36] });
    expect(find(mounted.root, "[aria-live]").textContent).toMatch(
      /1 superpixels region: 1\.6 percent of the picture/,
    );
  });

  test("lists: arrows move, Enter picks", () => {
    const chosen = find(mounted.root, '[aria-label="Target"] [aria-selected=true]');
    chosen.focus();
    press(chosen, "ArrowDown");
    expect(mounted.model.get("target")).toBeNull();
    press(document.activeElement as Element, "Enter");
    expect(mounted.model.get("target")).toEqual({ kind: "class", index: 0, versus: null });
    expect((document.activeElement as HTMLElement).dataset.value).toBe("0");
    expect(mounted.root.querySelectorAll('[aria-label="Images"] [tabindex="0"]')).toHaveLength(1);
  });

  test("the sign is a radio group: arrows choose", () => {
    const both = button(mounted.root, "Both");
    both.focus();
    press(both, "ArrowRight");
    expect(document.activeElement?.getAttribute("aria-checked")).toBe("true");
    expect(document.activeElement?.textContent).toBe("Positive");
  });

  test("with Pan, arrows pan and Shift + arrows move the read-out", () => {
    keys("+", "+", "+");
    const stage = find(mounted.root, ".xaiw-stage");
    const before = stage.style.transform;
    keys("ArrowRight");
    expect(stage.style.transform).not.toBe(before);
    press(frame, "ArrowRight", { shiftKey: true });
    expect(find(mounted.root, ".xaiw-readout").textContent).toMatch(/x \d+, y \d+/);
  });
});

describe("a region", () => {
  beforeEach(() => {
    button(mounted.root, "Rectangle").click();
    drag(11, 111, 117, 125);
  });
  const sentence = () => find(mounted.root, ".xaiw-region-sentence").textContent;

  test("says its share of the attribution and of the picture", () => {
    expect(sentence()).toMatch(/^Region holds \d\d % of the attribution in 9 % of the picture$/);
    expect(find(mounted.root, ".xaiw-pane-overlay .xaiw-region-mark path").getAttribute("d")).toBe(
      "M11 111h106v14h-106Z",
    );
  });

  test("filled, shows the new probabilities beside the old; the same button takes the fill back", () => {
    button(mounted.root, "Blur").click();
    expect(mounted.model.get("ablation")).toBe("blur");
    const rows = [...mounted.root.querySelectorAll(".xaiw-delta:not(.is-empty):not([hidden])")].map(
      (row) => row.textContent,
    );
    expect(rows).toEqual(["malignant0.93 \u2192 0.22", "benign0.07 \u2192 0.78"]);
    button(mounted.root, "Blur").click();
    expect(mounted.model.get("ablation")).toBeNull();
    expect(find(mounted.root, ".xaiw-delta").textContent).toBe("malignant0.93");
  });

  test("is undone, redone and cleared, by buttons and by keys", () => {
    const first = region();
    drag(10, 10, 40, 40);
    const second = region();
    button(mounted.root, "Undo").click();
    expect(region()).toEqual(first);
    press(frame, "z", { ctrlKey: true });
    expect(region()).toBeNull();
    expect(button(mounted.root, "Undo").disabled).toBe(true);
    press(frame, "z", { ctrlKey: true, shiftKey: true });
    button(mounted.root, "Redo").click();
    expect(region()).toEqual(second);
    expect(button(mounted.root, "Redo").disabled).toBe(true);
    button(mounted.root, "Clear").click();
    expect(region()).toBeNull();
    expect(sentence()).toMatch(/^Mark a region/);
    button(mounted.root, "Undo").click();
    expect(region()).toEqual(second);
  });

  test("belongs to its picture", () => {
    find(mounted.root, '[aria-label="Images"] [data-value="2"]').click();
    expect(region()).toBeNull();
    expect(mounted.model.get("ablation")).toBeNull();
  });

  test("set from Python is drawn, too", () => {
    mounted.model.set("region", {
      type: "polygon",
      points: [
        [1, 2],
        [30, 2],
        [30, 40],
      ],
    });
    expect(find(mounted.root, ".xaiw-region-mark path").getAttribute("d")).toBe("M1 2L30 2L30 40Z");
    expect(sentence()).toContain("3 %");
  });
});
