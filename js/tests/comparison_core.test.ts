import { describe, expect, test } from "vitest";
import { type ComparisonSetup, gridOf, keyOf, meansOf, placeOf, sorted } from "../src/core/comparison";
import { difference, onGridOf, ranks, spearman } from "../src/core/ranks";
import { colourise, lookup, MapBrush, quantise, type Style } from "../src/core/renderer";
import { MockComparison, TRAITS } from "./mock_comparison";
import { random } from "./mock_kernel";
import { f32, MockModel } from "./mock_model";

const setup = (): ComparisonSetup => new MockComparison(new MockModel(), { images: 3 }).setup;

test("a key names a cell by its place on all axes, and back", () => {
  const place = { models: 1, images: 23, methods: 4, layers: 0, targets: 2 };
  expect(keyOf(place)).toBe("1.23.4.0.2");
  expect(placeOf("1.23.4.0.2")).toEqual(place);
});

test("the grid shows two axes without what is hidden, and stands where it is told on the others", () => {
  const grid = gridOf({ ...TRAITS, hidden: { methods: [1, 3] }, fixed: { targets: 1, layers: 9 } }, setup());
  expect(grid.down).toEqual([0, 1, 2]);
  expect(grid.across).toEqual([0, 2, 4, 5]);
  expect(grid.key(2, 4)).toBe("0.2.4.0.1");
  const swapped = gridOf({ ...TRAITS, rows: "methods", columns: "images" }, setup());
  expect(swapped.key(4, 2)).toBe("0.2.4.0.0");
});

test("sides are sorted best first by direction; what has no value comes last, ties stay as they were", () => {
  const grid = gridOf({ ...TRAITS, hidden: { methods: [4, 5] } }, setup());
  const values: Record<number, number | null> = { 0: 0.4, 1: null, 2: 0.9, 3: 0.4 };
  const of = (key: string) => values[placeOf(key).methods];
  const { metrics } = setup();
  const order = (metric: string) => sorted(grid, { metric, axis: "columns" }, metrics, of).across;
  expect(order("deletion")).toEqual([0, 3, 2, 1]);
  expect(order("insertion")).toEqual([2, 0, 3, 1]);
  expect(order("no such metric")).toEqual([0, 1, 2, 3]);
  expect(meansOf(grid, "rows", of).get(0)).toBeCloseTo((0.4 + 0.9 + 0.4) / 3);
});

describe("rank correlation", () => {
  test("ties share their ranks", () => {
    expect([...ranks(Float32Array.of(3, 1, 3, 2))]).toEqual([2.5, 0, 2.5, 1]);
  });

  test("is 1 for any rising function, -1 for any falling one, and nothing for a constant", () => {
    const a = Float32Array.from({ length: 50 }, (_, i) => Math.sin(i * 7));
    expect(
      spearman(
        a,
        a.map((v) => Math.exp(3 * v)),
      ),
    ).toBeCloseTo(1);
    expect(
      spearman(
        a,
        a.map((v) => -v),
      ),
    ).toBeCloseTo(-1);
    expect(spearman(a, new Float32Array(50))).toBeNull();
  });

  test("equals SciPy's with ties, and leaves out what is not a number", () => {
    // scipy.stats.spearmanr([1, 2, 2, 5, 3], [2, 1, 4, 4, 3]).statistic
    const a = Float32Array.of(1, 2, Number.NaN, 2, 5, 3);
    expect(spearman(a, Float32Array.of(2, 1, 9, 4, 4, 3))).toBeCloseTo(0.5526315789, 6);
  });
});

test("a map is read at the places of another map's grid", () => {
  const whole = { x: 0, y: 0, width: 1, height: 1 };
  const coarse = { array: f32([1, 2], [0, 1]), place: whole };
  expect([...onGridOf(coarse, { array: f32([1, 4], [0, 0, 0, 0]), place: whole })]).toEqual([
    0, 0.25, 0.75, 1,
  ]);
  const left = { array: f32([1, 2], [0, 0]), place: { ...whole, width: 0.5 } };
  expect([...onGridOf(coarse, left)]).toEqual([0, 0.25]);
  const beside = { array: f32([1, 1], [0]), place: { ...whole, x: 2 } };
  expect([...onGridOf(coarse, beside)]).toEqual([Number.NaN]);
});

test("a difference is of raw values, or of maps that were brought to their own maximum", () => {
  const [a, b] = [Float32Array.of(2, -4), Float32Array.of(1, 0.5)];
  expect([...difference(a, b, true)]).toEqual([1, -4.5]);
  expect([...difference(a, b, false)]).toEqual([-0.5, -1.5]);
});

describe("one look-up per pixel draws what comparing every value draws", () => {
  const next = random(5);
  const values = Float32Array.from({ length: 4000 }, (_, i) =>
    i % 9 === 0 ? 0 : i % 501 === 0 ? Number.NaN : (next() - 0.5) * 3,
  );
  /** As it was before: every value compared on its own. */
  const plainly = (style: Style, signed: boolean, scale: number) => {
    const map = quantise(f32([40, 100], values), scale, signed);
    const words = lookup(style, signed);
    const zero = style.opacity === null ? words[signed ? 2048 : 0] : 0;
    return Uint32Array.from(values, (value, i) => {
      const hidden =
        value === 0 ||
        (value < 0 && (style.sign === "positive" || -value < style.threshold)) ||
        (value > 0 && (style.sign === "negative" || value < style.threshold));
      return hidden ? zero : words[map.levels[i]];
    });
  };
  const thresholds = [0, 1e-9, 0.25, Math.abs(values[7]), Math.abs(values[1234]), 1, 5];
  const cases = thresholds.flatMap((threshold) =>
    (["both", "positive", "negative"] as const).flatMap((sign) =>
      [null, 0.6].flatMap((opacity) => [true, false].map((signed) => ({ threshold, sign, opacity, signed }))),
    ),
  );
  test.each(cases)("%o", ({ threshold, sign, opacity, signed }) => {
    const style = { colours: "RdBu_r", sign, threshold, opacity };
    for (const scale of [1, 0.3, 0]) {
      const drawn = new Uint32Array(values.length);
      colourise(quantise(f32([40, 100], values), scale, signed), style, drawn);
      expect(drawn).toEqual(plainly(style, signed, scale));
    }
  });

  test("a brush that has drawn another size and style draws the same", () => {
    const brush = new MapBrush();
    const style: Style = { colours: "PuOr_r", sign: "both", threshold: 0.2, opacity: 0.4 };
    const [a, b] = [document.createElement("canvas"), document.createElement("canvas")];
    const map = quantise(f32([40, 100], values), 1, true);
    brush.draw(a, quantise(f32([2, 2], [1, 2, 3, 4]), 1, true), { ...style, opacity: null });
    brush.draw(a, map, style);
    new MapBrush().draw(b, map, style);
    const read = (canvas: HTMLCanvasElement) => canvas.getContext("2d")?.getImageData(0, 0, 100, 40).data;
    expect(read(a)).toEqual(read(b));
  });
});
