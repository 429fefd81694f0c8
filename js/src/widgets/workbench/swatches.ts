// A colour from the colour-blind safe list, and names typed on the spot: small forms without a dialog.
import { PALETTE } from "../../core/concepts";
import { h, setAttr } from "../../core/dom";

export interface Swatches {
  root: HTMLElement;
  set(colour: string): void;
  readonly value: string;
}

/** A radio group of colours, with arrow keys. */
export function swatches(label: string, onPick: (colour: string) => void): Swatches {
  let value = PALETTE[0][0];
  const buttons = PALETTE.map(([colour, name]) =>
    h("button", {
      type: "button",
      role: "radio",
      class: "xaiw-swatch",
      style: `--concept:${colour}`,
      "data-value": colour,
      "aria-label": name,
      title: name,
    }),
  );
  const root = h("span", { class: "xaiw-swatches", role: "radiogroup", "aria-label": label }, ...buttons);
  const set = (colour: string) => {
    value = colour.toLowerCase();
    const known = buttons.some((button) => button.dataset.value === value);
    buttons.forEach((button, i) => {
      const on = button.dataset.value === value;
      setAttr(button, "aria-checked", on);
      button.tabIndex = on || (!known && i === 0) ? 0 : -1;
    });
  };
  root.addEventListener("click", (event) => {
    const button = (event.target as Element).closest<HTMLElement>("[role=radio]");
    if (!button) return;
    set(button.dataset.value as string);
    onPick(value);
  });
  root.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(event.target as HTMLButtonElement);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (at < 0 || !step) return;
    event.preventDefault();
    event.stopPropagation();
    const next = buttons[(at + step + buttons.length) % buttons.length];
    next.focus();
    next.click();
  });
  set(value);
  return {
    root,
    set,
    get value() {
      return value;
    },
  };
}

/** A text that is changed in place: Enter or leaving the field takes it, Escape gives the old one back. */
export function textField(
  label: string,
  placeholder: string,
  onChange: (text: string) => void,
): { root: HTMLInputElement; set(text: string): void } {
  let before = "";
  const root = h("input", { type: "text", class: "xaiw-text", "aria-label": label, placeholder });
  const take = () => {
    const text = root.value.trim();
    if (text === before) return;
    before = text;
    onChange(text);
  };
  root.addEventListener("change", take);
  root.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") {
      event.preventDefault();
      take();
    }
    if (event.key === "Escape") {
      root.value = before;
      root.blur();
    }
  });
  return {
    root,
    set(text) {
      before = text;
      if (document.activeElement !== root) root.value = text;
    },
  };
}
