import { describe, expect, test } from "vitest";
import type { Region } from "../src/core/protocol";
import {
  decodeRuns,
  emptyMask,
  encodeRuns,
  type Mask,
  maskOf,
  outline,
  paint,
  resample,
  shareOf,
} from "../src/core/regions";
import { random } from "./mock_kernel";
import { f32 } from "./mock_model";

const picture = { width: 40, height: 30 };
const mask = (region: Region, width = 40, height = 30) => maskOf(region, picture, width, height, null);

/** The even-odd rule for one point, written the slow way. */
function inside(points: [number, number][], x: number, y: number): boolean {
  let odd = false;
  for (let i = 0, j = points.length - 1; i < points.length; j = i, i += 1) {
    const [xi, yi] = points[i];
    const [xj, yj] = points[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) odd = !odd;
  }
  return odd;
}

function brute(test: (x: number, y: number) => boolean, width = 40, height = 30): Mask {
  const result = emptyMask(width, height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = [((x + 0.5) * picture.width) / width, ((y + 0.5) * picture.height) / height];
      result.data[y * width + x] = test(at[0], at[1]) ? 1 : 0;
    }
  }
  return result;
}

describe("masks hold the pixels whose centres are inside", () => {
  test.each([
    [{ type: "rect", x: 3, y: 4, width: 10, height: 5 }],
    [{ type: "rect", x: 3.4, y: 4.6, width: 10.2, height: 5.05 }],
    [{ type: "rect", x: -5, y: -5, width: 100, height: 8 }],
  ] as [Extract<Region, { type: "rect" }>][])("rectangle %o", (region) => {
    const { x, y, width, height } = region;
    const test = (px: number, py: number) => px >= x && px < x + width && py >= y && py < y + height;
    expect(mask(region)).toEqual(brute(test));
    expect(mask(region, 20, 15)).toEqual(brute(test, 20, 15));
  });

  test("random polygons, convex or not", () => {
    const next = random(3);
    for (let round = 0; round < 30; round += 1) {
      const points = Array.from({ length: 3 + (round % 6) }, (): [number, number] => [
        next() * 48 - 4,
        next() * 38 - 4,
      ]);
      expect(mask({ type: "polygon", points })).toEqual(brute((x, y) => inside(points, x, y)));
    }
  });

  test("superpixels by id, on a coarser grid; none before the labels are here", () => {
    const labels = {
      dtype: "uint16" as const,
      shape: [3, 4],
      data: Uint16Array.from({ length: 12 }, (_, i) => i),
    };
    const region: Region = { type: "superpixels", ids: [0, 6] };
    const found = maskOf(region, picture, 40, 30, labels);
    expect(found).toEqual(brute((x, y) => (x < 10 && y < 10) || (x >= 20 && x < 30 && y >= 10 && y < 20)));
    expect(mask(region).data.includes(1)).toBe(false);
  });

  test("a brush paints and erases a disc", () => {
    const painted = emptyMask(40, 30);
    paint(painted, picture, 20.3, 14.7, 6.4);
    expect(painted).toEqual(brute((x, y) => Math.hypot(x - 20.3, y - 14.7) <= 6.4));
    paint(painted, picture, 20.3, 14.7, 40, 0);
    expect(painted.data.includes(1)).toBe(false);
  });
});

describe("run lengths", () => {
  test.each([
    [
      [0, 0, 1, 1, 0],
      [2, 2, 1],
    ],
    [
      [1, 1, 0],
      [0, 2, 1],
    ],
    [[0, 0], [2]],
    [[1], [0, 1]],
    [[], [0]],
  ])("of %o are %o", (bits, counts) => {
    expect(encodeRuns(bits)).toEqual(counts);
    expect([...decodeRuns(counts, bits.length)]).toEqual(bits);
  });

  test("that do not cover the picture are refused", () => {
    expect(() => decodeRuns([1, 2], 4)).toThrow("cover 3 pixels; the picture has 4");
  });

  test("a mask region is the mask it was made from, on any grid", () => {
    const drawn = brute((x, y) => Math.hypot(x - 12, y - 12) < 7);
    const region: Region = { type: "mask", size: [30, 40], counts: encodeRuns(drawn.data) };
    expect(mask(region)).toEqual(drawn);
    expect(mask(region, 20, 15)).toEqual(resample(drawn, 20, 15));
  });
});

describe("shares", () => {
  const region = mask({ type: "rect", x: 0, y: 0, width: 20, height: 30 });
  const placement = { x: 0, y: 0, width: 40, height: 30 };

  test("of the magnitude, whatever the sign, and of the area", () => {
    const map = f32([1, 2], [-3, 1]);
    expect(shareOf(region, picture, map, placement)).toEqual({ attribution: 0.75, area: 0.5 });
  });

  test("count only what lies on the picture, and no NaN", () => {
    const map = f32([1, 4], [100, 1, 3, Number.NaN]);
    const padded = { x: -20, y: 0, width: 80, height: 30 };
    expect(shareOf(region, picture, map, padded)).toEqual({ attribution: 0.25, area: 0.5 });
  });

  test("of a map of zeros, or without a map, there is none", () => {
    expect(shareOf(region, picture, f32([1, 2], [0, 0]), placement).attribution).toBeNull();
    expect(shareOf(region, picture, null, null)).toEqual({ attribution: null, area: 0.5 });
  });
});

test("an outline follows the edges of the mask and its holes", () => {
  expect(outline({ width: 3, height: 3, data: Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0, 0) })).toBe(
    "M1.5 1L2 1.5L1.5 2L1 1.5Z",
  );
  const square = outline({
    width: 4,
    height: 4,
    data: Uint8Array.of(0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0),
  });
  expect(square).toBe("M1.5 1L2.5 1L3 1.5L3 2.5L2.5 3L1.5 3L1 2.5L1 1.5Z");
  const ring = outline({ width: 3, height: 3, data: Uint8Array.of(1, 1, 1, 1, 0, 1, 1, 1, 1) });
  expect(ring.match(/M/g)).toHaveLength(2);
  expect(outline(emptyMask(3, 3))).toBe("");
});
