import { describe, expect, test } from "vitest";
import { commonPath } from "../src/components/layer_picker";
import {
  barLength,
  decades,
  fileName,
  lastDead,
  measured,
  outline,
  type ReportLayer,
} from "../src/core/report";
import { REPORTS } from "./mock_report";

const layers = (...norms: (number | null | "nan")[]): ReportLayer[] =>
  norms.map((norm, index) => ({
    name: `layer${index}`,
    kind: "Conv2d",
    shape: [8, 8, 4],
    gradient_norm: norm === "nan" ? null : norm,
    finite: norm !== "nan",
    main: true,
    recommended: false,
    faint: false,
  }));

describe("where the gradient ends", () => {
  test.each([
    ["layer-gradients-only", layers(null, null, 0.1, 0.2), 1],
    ["layer-gradients-only", layers(0, 0, 0.1), 1],
    ["layer-gradients-only", layers(null, 0.1, null, 0.2), 0],
    ["inference-only", layers(null, null), 1],
    ["inference-only", layers(), -1],
    ["explainable", layers(null, 0.1), -1],
    ["input-gradients-only", layers(null, null), -1],
    ["broken", layers(null, "nan"), -1],
  ] as const)("%s %#", (verdict, found, position) => {
    expect(lastDead({ verdict, layers: [...found] })).toBe(position);
  });

  test("the outline has the main layers, and the levels of nesting that fit", () => {
    const found = REPORTS.healthy().layers;
    const names = (rows: number) => [...outline(found, "", rows)];
    expect(names(10)).toEqual(found.filter((layer) => layer.main).map((layer) => layer.name));
    expect(names(12)).toContain("stem.0");
    expect(names(12)).not.toContain("stage1.block1.conv1");
    expect(outline(REPORTS.many().layers, "backbone/", 28).size).toBe(60);
    expect(outline([], "").size).toBe(0);
  });

  test("layers that were not looked at are not called dead", () => {
    expect(measured({ verdict: "input-gradients-only", layers: layers(null, null) })).toBe(false);
    expect(measured({ verdict: "broken", layers: layers(null) })).toBe(false);
    expect(measured({ verdict: "inference-only", layers: layers(null) })).toBe(true);
    expect(measured({ verdict: "explainable", layers: layers(0.1) })).toBe(true);
  });
});

describe("the logarithmic scale", () => {
  test("it spans whole decades around the norms", () => {
    expect(decades(layers(0.02, 0.3, null, 0))).toEqual({ low: -2, high: 0 });
    expect(decades(layers(5))).toEqual({ low: -1, high: 1 });
    expect(decades(layers(null))).toEqual({ low: -3, high: 0 });
    expect(decades(layers(1e-40, 1))).toEqual({ low: -12, high: 0 });
  });

  test("a tenth is one decade shorter, and the smallest is still seen", () => {
    const scale = { low: -4, high: 0 };
    expect(barLength(1, scale)).toBe(1);
    expect(barLength(0.1, scale)).toBeCloseTo(0.75);
    expect(barLength(1e-30, scale)).toBe(0.02);
    expect(barLength(50, scale)).toBe(1);
  });
});

test("the file is named after the model, whatever its name", () => {
  const report = REPORTS.healthy();
  expect(fileName(report)).toBe("readiness-LesionNet.json");
  report.model.class = "../a b/<model>.onnx";
  expect(fileName(report)).toBe("readiness-a-b-model-onnx.json");
  report.model.class = "模型";
  expect(fileName(report)).toBe("readiness-model.json");
});

test.each([
  [["resnet.layer1.conv", "resnet.layer1.norm"], "resnet.layer1."],
  [["backbone/conv1", "backbone/block/conv"], "backbone/"],
  [["a.b", "c.d"], ""],
  [["stem"], ""],
])("the common path of %o is %o", (names, path) => {
  expect(commonPath(names)).toBe(path);
});
