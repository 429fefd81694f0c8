// A button that folds a panel away where there is no room for it.
import { h, setAttr } from "../core/dom";

/** A button for narrow views that folds a panel away; the panel's own place in the grid is left to CSS. */
export function foldButton(
  text: string,
  controls: string,
  body: HTMLElement,
  className: string,
  open: boolean,
  ...rest: Node[]
): HTMLElement {
  const button = h(
    "button",
    { type: "button", class: "xaiw-fold-button", "aria-controls": controls },
    h("b", {}, text),
    ...rest,
  );
  const set = (value: boolean) => {
    body.classList.toggle(className, value);
    setAttr(button, "aria-expanded", value);
  };
  set(open);
  button.addEventListener("click", () => set(!body.classList.contains(className)));
  return button;
}
