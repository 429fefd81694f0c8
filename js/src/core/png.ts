// A line of text inside of a PNG file, so that a saved picture says how it was made.

const TABLE = Uint32Array.from({ length: 256 }, (_, entry) => {
  let value = entry;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** The checksum of PNG's chunks. */
export function crc32(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = (value >>> 8) ^ TABLE[(value ^ byte) & 0xff];
  return (value ^ 0xffffffff) >>> 0;
}

/** Signature and header chunk; other chunks may follow. */
const HEAD = 8 + 25;

/** The file with an uncompressed UTF-8 text (iTXt) behind its header. */
export function withText(png: Uint8Array, keyword: string, text: string): Uint8Array {
  const encoder = new TextEncoder();
  // Keyword, end, no compression (two bytes), no language, no translated keyword, text.
  const body = new Uint8Array([
    ...encoder.encode("iTXt"),
    ...encoder.encode(keyword),
    ...[0, 0, 0, 0, 0],
    ...encoder.encode(text),
  ]);
  const found = new Uint8Array(png.length + body.length + 8);
  const view = new DataView(found.buffer);
  found.set(png.subarray(0, HEAD));
  view.setUint32(HEAD, body.length - 4);
  found.set(body, HEAD + 4);
  view.setUint32(HEAD + 4 + body.length, crc32(body));
  found.set(png.subarray(HEAD), HEAD + 8 + body.length);
  return found;
}

/** What a canvas shows, as a PNG file. */
export async function pngOf(canvas: HTMLCanvasElement): Promise<Uint8Array> {
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  return blob ? new Uint8Array(await blob.arrayBuffer()) : new Uint8Array(0);
}

/** Has the browser save a file. */
export function download(bytes: Uint8Array, name: string): void {
  const url = URL.createObjectURL(new Blob([bytes as BlobPart], { type: "image/png" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
