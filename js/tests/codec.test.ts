import { describe, expect, test } from "vitest";
import { type DType, decode, decodeArray, encode, fromHalf, type NDArray } from "../src/core/codec";

const reference = (dtype: DType, shape: number[], buffer = 0) => ({ dtype, shape, buffer });

describe("arrays in messages", () => {
  test.each([
    ["uint8", new Uint8Array([0, 1, 255])],
    ["int8", new Int8Array([-128, 0, 127])],
    ["uint16", new Uint16Array([0, 1, 65535])],
    ["int16", new Int16Array([-32768, 0, 32767])],
    ["uint32", new Uint32Array([0, 1, 4294967295])],
    ["int32", new Int32Array([-2147483648, 0, 2147483647])],
    ["float32", new Float32Array([Number.NaN, Number.NEGATIVE_INFINITY, -0.1])],
    ["float64", new Float64Array([Math.PI, Number.NaN, Number.POSITIVE_INFINITY])],
  ] as const)("%s survives the round trip", (dtype, data) => {
    const buffers: ArrayBuffer[] = [];
    const sent = encode({ a: { dtype, shape: [1, 3], data } }, buffers);
    const { a } = decode(sent, buffers) as { a: NDArray };
    expect(a.shape).toEqual([1, 3]);
    expect(a.data).toEqual(data);
  });

  test("arrays are found at any depth and numbered in order", () => {
    const buffers: ArrayBuffer[] = [];
    const array = (value: number) => ({ dtype: "uint8" as const, shape: [1], data: Uint8Array.of(value) });
    const sent = encode(
      { items: [{ array: array(7) }, { array: null }, { array: array(9) }], text: "x" },
      buffers,
    );
    expect(sent).toEqual({
      items: [{ array: reference("uint8", [1], 0) }, { array: null }, { array: reference("uint8", [1], 1) }],
      text: "x",
    });
    const back = decode(sent, buffers) as { items: { array: NDArray | null }[] };
    expect(back.items.map(({ array }) => array?.data[0])).toEqual([7, undefined, 9]);
  });

  test("a view into a larger buffer is read at its offset, aligned or not", () => {
    for (const offset of [0, 1, 3, 8]) {
      const bytes = new Uint8Array(offset + 8 + 5);
      const values = new Float32Array([1.5, -2.25]);
      bytes.set(new Uint8Array(values.buffer), offset);
      const array = decodeArray(reference("float32", [2]), [new DataView(bytes.buffer, offset, 8)]);
      expect(array.data).toEqual(values);
      expect(array.data.buffer.byteLength).toBe(8);
    }
  });

  test("sending a view sends its own bytes, not the buffer below it", () => {
    const buffers: ArrayBuffer[] = [];
    const data = new Float32Array([1, 2, 3, 4]).subarray(1, 3);
    encode({ dtype: "float32", shape: [2], data }, buffers);
    expect(new Float32Array(buffers[0])).toEqual(new Float32Array([2, 3]));
  });

  test("an empty array stays empty", () => {
    const array = decodeArray(reference("float32", [0, 5]), [new DataView(new ArrayBuffer(0))]);
    expect(array.data.length).toBe(0);
    expect(array.shape).toEqual([0, 5]);
  });

  test("half precision becomes single precision", () => {
    const cases: [number, number][] = [
      [0x0000, 0],
      [0x3c00, 1],
      [0xc000, -2],
      [0x3555, 0.333251953125],
      [0x0001, 2 ** -24],
      [0x7bff, 65504],
      [0x7c00, Number.POSITIVE_INFINITY],
      [0xfc00, Number.NEGATIVE_INFINITY],
    ];
    for (const [bits, value] of cases) expect(fromHalf(bits)).toBe(value);
    expect(fromHalf(0x7e00)).toBeNaN();
    const bits = Uint16Array.from(cases, ([half]) => half);
    const array = decodeArray(reference("float16", [cases.length]), [bits.buffer]);
    expect(array.data).toEqual(Float32Array.from(cases, ([, value]) => value));
  });

  test("what does not fit is refused in a sentence", () => {
    const buffers = [new DataView(new ArrayBuffer(4))];
    expect(() => decodeArray(reference("complex64" as DType, [1]), buffers)).toThrow(
      /dtype "complex64" is not one of/,
    );
    expect(() => decodeArray(reference("float32", [2]), buffers)).toThrow("needs 8 bytes; got 4");
    expect(() => decodeArray(reference("float32", [1], 3), buffers)).toThrow("asked for buffer 3");
    expect(() => encode({ dtype: "uint8", shape: [1], data: new Float32Array(1) }, [])).toThrow(
      "is a Float32Array",
    );
  });
});
