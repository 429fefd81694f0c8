// Pictures to draw on: out of a file, dropped or pasted; decoded and made small in the browser.
import type { NDArray } from "../../core/codec";
import type { SketchStore } from "./store";

/** The kernel keeps no more; 3 MB in one message. */
const LONGEST_SIDE = 1024;

/** uint8 [h, w, 3] of an image file, on white where it is transparent. */
export async function decodePicture(file: Blob): Promise<NDArray<Uint8Array>> {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * scale));
  const height = Math.max(1, Math.round(bitmap.height * scale));
  const canvas = new OffscreenCanvas(width, height);
  const ink = canvas.getContext("2d") as OffscreenCanvasRenderingContext2D;
  ink.imageSmoothingQuality = "high";
  ink.fillStyle = "#fff";
  ink.fillRect(0, 0, width, height);
  ink.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const { data } = ink.getImageData(0, 0, width, height);
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    rgb[to] = data[from];
    rgb[to + 1] = data[from + 1];
    rgb[to + 2] = data[from + 2];
  }
  return { dtype: "uint8", shape: [height, width, 3], data: rgb };
}

export interface Receiver {
  take(file: File | null | undefined): Promise<void>;
}

/** Takes pictures that are dropped on or pasted into an element. */
export function receivePictures(
  root: HTMLElement,
  store: SketchStore,
  say: (text: string) => void,
): Receiver {
  const take: Receiver["take"] = async (file) => {
    if (!file) {
      say("That is no picture: drop or paste an image file.");
      return;
    }
    try {
      store.setBackground(file.name || "picture", await decodePicture(file));
      say(`${file.name || "The picture"} is below the drawing.`);
    } catch {
      say(`${file.name || "That"} cannot be read as a picture: use PNG, JPEG, WebP or GIF.`);
    }
  };
  const image = (items: FileList | undefined) =>
    [...(items ?? [])].find(({ type }) => type.startsWith("image/")) ?? items?.[0];
  for (const type of ["dragenter", "dragover"] as const) {
    root.addEventListener(type, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.stopPropagation();
      root.classList.add("is-target");
    });
  }
  root.addEventListener("dragleave", (event) => {
    if (!root.contains(event.relatedTarget as Node | null)) root.classList.remove("is-target");
  });
  root.addEventListener("drop", (event) => {
    root.classList.remove("is-target");
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    void take(image(event.dataTransfer.files));
  });
  root.addEventListener("paste", (event) => {
    const files = event.clipboardData?.files;
    if (!files?.length) return;
    event.preventDefault();
    event.stopPropagation();
    void take(image(files));
  });
  return { take };
}
