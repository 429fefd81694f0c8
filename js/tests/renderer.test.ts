import { describe, expect, test } from "vitest";
import { colourTable, DIVERGING_NAMES, gradient, SEQUENTIAL_NAMES } from "../src/core/colours";
import { clear, drawMap, drawPicture, fade, quantise, type Style, upsample } from "../src/core/renderer";
import fixture from "./fixtures/colours.json";
import { f32, u8 } from "./mock_model";

const bytes = (text: string) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const floats = (text: string) => new Float32Array(bytes(text).buffer);
const opaque = (colours: string): Style => ({ colours, sign: "both", threshold: 0, opacity: null });

function draw(values: ArrayLike<number>, shape: number[], scale: number, signed: boolean, style: Style) {
  const canvas = document.createElement("canvas");
  drawMap(canvas, quantise(f32(shape, values), scale, signed), style);
  return read(canvas);
}

function read(canvas: HTMLCanvasElement): Uint8ClampedArray {
  const ink = canvas.getContext("2d") as CanvasRenderingContext2D;
  return ink.getImageData(0, 0, canvas.width, canvas.height).data;
}

describe("colours equal matplotlib's", () => {
  const { height, width, scale } = fixture;
  test.each([...SEQUENTIAL_NAMES, ...DIVERGING_NAMES])("%s, within 2/255", (name) => {
    const signed = DIVERGING_NAMES.includes(name);
    const values = floats(signed ? fixture.signed : fixture.unsigned);
    const drawn = draw(values, [height, width], scale, signed, opaque(name));
    const wanted = bytes(fixture.pixels[name as keyof typeof fixture.pixels]);
    expect(drawn.length).toBe(wanted.length);
    let nan = 0;
    for (let i = 0; i < values.length; i += 1) {
      if (Number.isNaN(values[i])) {
        nan += 1;
        expect(drawn[4 * i + 3]).toBe(0);
        continue;
      }
      for (let c = 0; c < 4; c += 1)
        expect(Math.abs(drawn[4 * i + c] - wanted[4 * i + c])).toBeLessThanOrEqual(2);
    }
    expect(nan).toBe(1);
  });

  test("one canvas pixel per map pixel, whatever the device's pixel ratio", ({ task }) => {
    expect(devicePixelRatio).toBe(task.file.projectName === "2x" ? 2 : 1);
    const canvas = document.createElement("canvas");
    drawMap(canvas, quantise(f32([12, 17], floats(fixture.signed)), 2, true), opaque("RdBu_r"));
    expect([canvas.width, canvas.height]).toEqual([17, 12]);
  });

  test("tables have 256 colours, and an unknown name is refused", () => {
    expect(colourTable("viridis").length).toBe(768);
    expect(() => colourTable("jet")).toThrow(/not one of the colour maps/);
    expect(gradient("viridis")).toContain("rgb(68,1,84)");
  });
});

describe("a signed map", () => {
  test("has zero in the middle of the colours", () => {
    const [r, g, b] = draw([0, 1, -1], [1, 3], 1, true, opaque("RdBu_r"));
    const table = colourTable("RdBu_r");
    expect([r, g, b]).toEqual([...table.slice(128 * 3, 128 * 3 + 3)]);
  });

  test("shows one sign only when asked, the other as zero", () => {
    const zero = draw([0], [1, 1], 1, true, opaque("RdBu_r"));
    const drawn = draw([1, -1], [1, 2], 1, true, { ...opaque("RdBu_r"), sign: "positive" });
    expect(drawn.slice(4)).toEqual(zero);
    expect(drawn.slice(0, 4)).not.toEqual(zero);
  });
});

describe("an overlay", () => {
  const style: Style = { colours: "viridis", sign: "both", threshold: 0, opacity: 0.5 };
  test("fades with the magnitude up to the opacity", () => {
    const drawn = draw([0, 0.25, 1, 2], [1, 4], 1, false, style);
    expect(drawn[3]).toBe(0);
    expect(drawn[7]).toBeCloseTo(255 * 0.5 * fade(0.25), -0.5);
    expect(drawn[11]).toBeGreaterThan(126);
    expect(drawn[15]).toBeGreaterThan(126);
  });

  test("leaves out what is below the threshold", () => {
    const drawn = draw([0.2, 0.5, -0.2, -0.5], [1, 4], 1, true, {
      ...style,
      threshold: 0.3,
      colours: "RdBu_r",
    });
    expect([drawn[3] > 0, drawn[7] > 0, drawn[11] > 0, drawn[15] > 0]).toEqual([false, true, false, true]);
  });
});

describe("pictures and odd sizes", () => {
  test("a picture keeps its pixels", () => {
    const canvas = document.createElement("canvas");
    drawPicture(canvas, u8([1, 2, 3], [1, 2, 3, 250, 251, 252]));
    expect([...read(canvas)]).toEqual([1, 2, 3, 255, 250, 251, 252, 255]);
    clear(canvas);
    expect(read(canvas)[3]).toBe(0);
  });

  test.each([[[0, 0]], [[0, 4]], [[3, 0]]])("a map of shape %s draws nothing and throws nothing", (shape) => {
    const canvas = document.createElement("canvas");
    drawMap(canvas, quantise(f32(shape, []), 1, true), opaque("RdBu_r"));
    drawPicture(canvas, u8([...shape, 3], []));
    expect(read(canvas)[3]).toBe(0);
  });

  test("a map of zeros has no scale and is all zero-coloured", () => {
    const drawn = draw([0, 0], [1, 2], 0, true, opaque("RdBu_r"));
    expect(drawn.slice(0, 4)).toEqual(drawn.slice(4));
  });

  test("a coarse map is upsampled as values, between pixel centres", () => {
    const fine = upsample(f32([1, 2], [0, 1]), 1, 4);
    expect([...fine.data]).toEqual([0, 0.25, 0.75, 1]);
    const same = f32([4, 4], new Float32Array(16));
    expect(upsample(same, 4, 4)).toBe(same);
    expect(upsample(same, 2, 2)).toBe(same);
  });
});
