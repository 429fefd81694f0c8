// Small controls: segmented buttons (radio group or toolbar) and labelled sliders.
import { h, setAttr, setText } from "../core/dom";

export interface Choice {
  value: string;
  text: string;
  title?: string;
}

export interface Segmented {
  root: HTMLElement;
  select(value: string | null): void;
  setDisabled(disabled: boolean, title?: string): void;
}

/**
 * Joined buttons of which at most one is on, with arrow keys.
 *
 * As a radiogroup one is always checked and arrows choose; as a toolbar or group, buttons are pressed by Enter or a click.
 */
export function segmented(
  role: "radiogroup" | "toolbar" | "group",
  label: string,
  choices: readonly Choice[],
  onPick: (value: string) => void,
): Segmented {
  const radio = role === "radiogroup";
  const state = radio ? "aria-checked" : "aria-pressed";
  const buttons = choices.map(({ value, text, title }) =>
    h(
      "button",
      { type: "button", role: radio ? "radio" : null, "data-value": value, title, [state]: "false" },
      text,
    ),
  );
  const root = h("span", { class: "xaiw-segmented", role, "aria-label": label }, ...buttons);
  const rove = (active: HTMLElement) => {
    for (const button of buttons) button.tabIndex = button === active ? 0 : -1;
  };
  rove(buttons[0]);
  for (const button of buttons) {
    button.addEventListener("click", () => {
      if (root.getAttribute("aria-disabled") === "true") return;
      rove(button);
      onPick(button.dataset.value as string);
    });
  }
  root.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(event.target as HTMLButtonElement);
    const steps: Record<string, number> = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    const step = steps[event.key];
    if (at < 0 || !step) return;
    event.preventDefault();
    event.stopPropagation();
    const next = buttons[(at + step + buttons.length) % buttons.length];
    rove(next);
    next.focus();
    if (radio) next.click();
  });
  return {
    root,
    select(value) {
      for (const button of buttons) {
        const on = button.dataset.value === value;
        setAttr(button, state, on);
        if (on && !root.contains(document.activeElement)) rove(button);
      }
    },
    setDisabled(disabled, title) {
      setAttr(root, "aria-disabled", disabled ? true : null);
      setAttr(root, "title", title ?? null);
      for (const button of buttons) setAttr(button, "aria-disabled", disabled ? true : null);
    },
  };
}

export interface Slider {
  root: HTMLElement;
  set(value: number): void;
}

/** A labelled range input with its value beside it; `text` is also what a screen reader says. */
export function slider(
  label: string,
  range: { min: number; max: number; step: number },
  text: (value: number) => string,
  onInput: (value: number) => void,
): Slider {
  const input = h("input", { type: "range", ...range, "aria-label": label });
  const output = h("span", { class: "xaiw-value", "aria-hidden": "true" });
  const show = () => {
    const value = text(input.valueAsNumber);
    setText(output, value);
    setAttr(input, "aria-valuetext", value);
    const share = (input.valueAsNumber - range.min) / (range.max - range.min);
    input.style.setProperty("--filled", `${share * 100}%`);
  };
  input.addEventListener("input", () => {
    show();
    onInput(input.valueAsNumber);
  });
  return {
    root: h("label", { class: "xaiw-slider" }, h("span", {}, label), input, output),
    set(value) {
      if (input.valueAsNumber !== value || !output.textContent) {
        input.value = String(value);
        show();
      }
    },
  };
}

/** A share as a bar; `before` draws a pale bar behind it. */
export function track(): { root: HTMLElement; set(now: number | null, before?: number | null): void } {
  const pale = h("i");
  const full = h("b");
  const width = (share: number | null | undefined) => `${Math.max(0, Math.min(1, share ?? 0)) * 100}%`;
  return {
    root: h("span", { class: "xaiw-track", "aria-hidden": "true" }, pale, full),
    set(now, before = null) {
      pale.style.width = width(before);
      full.style.width = width(now);
    },
  };
}
