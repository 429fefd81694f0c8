// A listbox after the WAI-ARIA pattern: one tab stop, arrows move, Enter or Space picks, letters jump.

import { h, setAttr } from "../core/dom";

export interface ListboxOptions {
  label: string;
  orientation?: "vertical" | "horizontal";
  /** Of a grid: how many options stand in a row, so that up and down move by one row. */
  columns?(): number;
  onPick(value: string, option: HTMLElement): void;
}

/** Options are elements made by `option`; the listbox owns their roles, selection and focus. */
export class Listbox {
  readonly root: HTMLElement;
  #active: HTMLElement | null = null;
  #typed = "";
  #typedAt = 0;

  constructor(private readonly options: ListboxOptions) {
    this.root = h("div", {
      role: "listbox",
      "aria-label": options.label,
      class: "xaiw-listbox",
      hidden: true,
    });
    if (options.orientation) this.setOrientation(options.orientation);
    this.root.addEventListener("click", (event) => {
      const option = (event.target as Element).closest<HTMLElement>("[role=option]");
      if (option) this.#pick(option);
    });
    this.root.addEventListener("keydown", (event) => this.#key(event));
  }

  get items(): HTMLElement[] {
    return Array.from(this.root.querySelectorAll<HTMLElement>("[role=option]"));
  }

  setOrientation(orientation: "vertical" | "horizontal"): void {
    setAttr(this.root, "aria-orientation", orientation);
  }

  /** Replaces the options, which may lie in groups, and keeps the focus on the same value. */
  setOptions(options: HTMLElement[], children = options): void {
    const focused = this.root.contains(document.activeElement)
      ? (document.activeElement as HTMLElement)
      : null;
    const value = (focused ?? this.#active)?.dataset.value;
    this.root.replaceChildren(...children);
    this.root.hidden = options.length === 0;
    this.#active = options.find((option) => option.dataset.value === value) ?? null;
    this.#rove();
    if (focused) this.#active?.focus({ preventScroll: true });
  }

  select(value: string | null): void {
    let chosen: HTMLElement | null = null;
    for (const option of this.items) {
      const selected = option.dataset.value === value;
      setAttr(option, "aria-selected", selected);
      if (selected) chosen = option;
    }
    if (!this.root.contains(document.activeElement)) this.#active = chosen;
    this.#rove();
  }

  #rove(): void {
    const items = this.items;
    if (!this.#active || !items.includes(this.#active)) {
      this.#active = items.find((item) => item.getAttribute("aria-selected") === "true") ?? items[0] ?? null;
    }
    for (const item of items) item.tabIndex = item === this.#active ? 0 : -1;
  }

  #pick(option: HTMLElement): void {
    this.#focus(option);
    if (option.dataset.value !== undefined) this.options.onPick(option.dataset.value, option);
  }

  #focus(option: HTMLElement): void {
    this.#active = option;
    this.#rove();
    option.focus({ preventScroll: true });
    reveal(option, this.root);
  }

  #key(event: KeyboardEvent): void {
    const items = this.items.filter((item) => !item.hidden);
    const at = items.indexOf(event.target as HTMLElement);
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = items.length - 1;
    const row = this.options.columns?.() ?? 1;
    const moves: Record<string, number> = {
      ArrowDown: at + row > last ? (row > 1 ? at : last) : at + row,
      ArrowRight: Math.min(last, at + 1),
      ArrowUp: at - row < 0 ? (row > 1 ? at : 0) : at - row,
      ArrowLeft: Math.max(0, at - 1),
      PageDown: Math.min(last, at + 10),
      PageUp: Math.max(0, at - 10),
      Home: 0,
      End: last,
    };
    if (event.key in moves) this.#focus(items[moves[event.key]]);
    else if (event.key === "Enter" || event.key === " ") this.#pick(items[at]);
    else if (event.key.length === 1) {
      // Letters typed in a row are one word; the same one again goes on to the next.
      if (event.timeStamp - this.#typedAt > 700) this.#typed = "";
      this.#typedAt = event.timeStamp;
      const letter = event.key.toLowerCase();
      this.#typed = this.#typed === letter ? letter : this.#typed + letter;
      const from = this.#typed.length === 1 ? at + 1 : at;
      const order = [...items.slice(from), ...items.slice(0, from)];
      const starts = (text = "") => ` ${text.toLowerCase()}`.includes(` ${this.#typed}`);
      const hit = order.find((item) => starts(item.dataset.text));
      if (!hit) return;
      this.#focus(hit);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** Scrolls a list, and nothing around it, so that an item is visible. */
export function reveal(item: HTMLElement, list: HTMLElement): void {
  const a = item.getBoundingClientRect();
  const b = list.getBoundingClientRect();
  if (a.top < b.top) list.scrollTop -= b.top - a.top;
  else if (a.bottom > b.bottom) list.scrollTop += a.bottom - b.bottom;
  if (a.left < b.left) list.scrollLeft -= b.left - a.left;
  else if (a.right > b.right) list.scrollLeft += a.right - b.right;
}
