// Arrays in messages: {dtype, shape, buffer} plus little-endian, C-contiguous bytes. Twin of xai_widgets/widgets/codec.py.

const VIEWS = {
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  float16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
} as const;

export type DType = keyof typeof VIEWS;
export type Numbers =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

export interface NDArray<T extends Numbers = Numbers> {
  dtype: DType;
  shape: number[];
  /** Values in C order; float16 arrives as float32. */
  data: T;
}

interface Reference {
  dtype: DType;
  shape: number[];
  buffer: number;
}

const isReference = (value: object): value is Reference =>
  "dtype" in value && "shape" in value && "buffer" in value;

/** Half precision bits to a number, subnormals, infinities and NaN included. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * One array from its reference and the message's buffers.
 *
 * The bytes are copied: a buffer's offset need not be a multiple of the item size, and the message's other bytes
 * should not be kept alive by one small array.
 */
export function decodeArray(reference: Reference, buffers: readonly (DataView | ArrayBuffer)[]): NDArray {
  const { dtype, shape } = reference;
  const View = VIEWS[dtype];
  if (!View) throw new Error(`Array dtype "${dtype}" is not one of ${Object.keys(VIEWS).join(", ")}.`);
  const bytes = buffers[reference.buffer];
  if (!bytes)
    throw new Error(
      `The message has ${buffers.length} buffers; an array asked for buffer ${reference.buffer}.`,
    );
  const size = shape.reduce((product, length) => product * length, 1);
  const expected = size * View.BYTES_PER_ELEMENT;
  if (bytes.byteLength !== expected) {
    throw new Error(
      `A ${dtype} array of shape ${shape.join(" x ")} needs ${expected} bytes; got ${bytes.byteLength}.`,
    );
  }
  const copy =
    bytes instanceof ArrayBuffer
      ? bytes.slice(0)
      : (bytes.buffer as ArrayBuffer).slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  if (dtype === "float16") {
    return { dtype, shape, data: Float32Array.from(new Uint16Array(copy), fromHalf) };
  }
  return { dtype, shape, data: new View(copy) };
}

/** The payload with every array reference in it, at any depth, replaced by its array. */
export function decode(payload: unknown, buffers: readonly (DataView | ArrayBuffer)[]): unknown {
  if (Array.isArray(payload)) return payload.map((item) => decode(item, buffers));
  if (typeof payload !== "object" || payload === null) return payload;
  if (isReference(payload)) return decodeArray(payload, buffers);
  return Object.fromEntries(Object.entries(payload).map(([key, value]) => [key, decode(value, buffers)]));
}

const isArray = (value: object): value is NDArray => "dtype" in value && "shape" in value && "data" in value;

/**
 * The payload with every array in it moved to `buffers`.
 *
 * Each buffer is a copy of exactly the array's bytes: JupyterLab sends the whole underlying buffer of a view, which
 * gives wrong numbers without any error.
 */
export function encode(payload: unknown, buffers: ArrayBuffer[]): unknown {
  if (Array.isArray(payload)) return payload.map((item) => encode(item, buffers));
  if (typeof payload !== "object" || payload === null) return payload;
  if (isArray(payload)) {
    const { dtype, shape, data } = payload;
    if (dtype === "float16") throw new Error("float16 is only read, never sent: send float32 instead.");
    if (!(data instanceof VIEWS[dtype]))
      throw new Error(`The data of a ${dtype} array is a ${data.constructor.name}.`);
    buffers.push(data.slice().buffer as ArrayBuffer);
    return { dtype, shape, buffer: buffers.length - 1 };
  }
  return Object.fromEntries(Object.entries(payload).map(([key, value]) => [key, encode(value, buffers)]));
}
