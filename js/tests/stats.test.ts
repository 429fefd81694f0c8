import { expect, test } from "vitest";
import { magnitude, percent, probability, seconds, signed } from "../src/core/format";
import { percentile, scaleOf } from "../src/core/stats";

test("percentiles of the magnitude are interpolated as NumPy does", () => {
  const values = Float32Array.of(-3, 1, 2, Number.NaN, -4);
  expect(percentile(values, 0)).toBe(1);
  expect(percentile(values, 50)).toBe(2.5);
  expect(percentile(values, 90)).toBeCloseTo(3.7, 6);
  expect(percentile(values, 100)).toBe(4);
  expect(percentile(new Float32Array(0), 50)).toBe(0);
});

test("an outlier does not set the scale, but a sparse map keeps one", () => {
  const dense = Float32Array.from({ length: 10000 }, (_, i) => i / 10000);
  dense[0] = 1000;
  expect(scaleOf(dense)).toBeLessThan(1);
  const sparse = new Float32Array(10000);
  sparse[7] = -2;
  expect(scaleOf(sparse)).toBe(2);
  expect(scaleOf(new Float32Array(4))).toBe(0);
});

test("numbers read well", () => {
  expect(signed(0.02361)).toBe("+0.0236");
  expect(signed(-0.0310001)).toBe("\u22120.0310");
  expect(signed(0)).toBe("0");
  expect(signed(Number.NaN)).toBe("no value");
  expect(magnitude(1.2e-7)).toBe("1.20e\u22127");
  expect(magnitude(123456)).toBe("1.23e5");
  expect(magnitude(1234)).toBe("1230");
  expect(probability(0.934)).toBe("0.93");
  expect(probability(0.0001)).toBe("<0.01");
  expect(probability(0.9999)).toBe(">0.99");
  expect(probability(1)).toBe("1.00");
  expect(percent(0.611)).toBe("61 %");
  expect(percent(0.004)).toBe("0.4 %");
  expect(seconds(0.312)).toBe("0.31 s");
});
