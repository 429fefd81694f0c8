// Undo and redo of one value: what it was, in order, and where we are in it.

/** Equality by content; undefined counts as null. */
export const same = (a: unknown, b: unknown) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

export class History<T> {
  #values: T[];
  #at = 0;

  constructor(first: T) {
    this.#values = [first];
  }

  get canUndo(): boolean {
    return this.#at > 0;
  }

  get canRedo(): boolean {
    return this.#at < this.#values.length - 1;
  }

  /** Adds a value after the present one; the present one itself, as after an undo, adds nothing. */
  push(value: T): void {
    if (same(value, this.#values[this.#at])) return;
    this.#values = [...this.#values.slice(0, this.#at + 1), value];
    this.#at += 1;
  }

  undo(): T {
    this.#at = Math.max(0, this.#at - 1);
    return this.#values[this.#at];
  }

  redo(): T {
    this.#at = Math.min(this.#values.length - 1, this.#at + 1);
    return this.#values[this.#at];
  }

  /** Changes every value: what is no step of its own, and holds before and after. */
  map(change: (value: T) => T): void {
    this.#values = this.#values.map(change);
  }

  reset(value: T): void {
    this.#values = [value];
    this.#at = 0;
  }
}
