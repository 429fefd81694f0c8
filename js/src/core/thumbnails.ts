// Small pictures of the images, asked for in pages when they come into view.
import type { Thumbnail } from "./protocol";

const PAGE = 40;

export class Thumbnails {
  readonly items = new Map<number, Thumbnail>();
  #pages = new Set<number>();

  constructor(private readonly send: (range: { start: number; stop: number }) => void) {}

  /** Asks for the page an image is on, once. */
  request(index: number, count: number, most = PAGE): void {
    const size = Math.min(PAGE, most);
    const page = Math.floor(index / size);
    if (this.#pages.has(page) || this.items.has(index)) return;
    this.#pages.add(page);
    this.send({ start: page * size, stop: Math.min(count, (page + 1) * size) });
  }

  take(items: Thumbnail[]): void {
    for (const item of items) this.items.set(item.index, item);
  }

  /** What was asked for may never come: it may be asked for again. */
  forget(): void {
    this.#pages.clear();
  }
}
