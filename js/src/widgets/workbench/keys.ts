// The workbench's own keys, and where they are listed.
import type { Part } from "../../components/context";
import { h, setAttr, uniqueId } from "../../core/dom";

export interface Help extends Part {
  button: HTMLButtonElement;
  toggle(): void;
  /** Keys and what they do; the list comes with the scores' code. */
  fill(list: readonly (readonly [string, string])[]): void;
}

export function help(): Help {
  const id = uniqueId("keys");
  const root = h("dl", { id, class: "xaiw-keys", hidden: true });
  const button = h(
    "button",
    {
      type: "button",
      class: "xaiw-link",
      "aria-expanded": "false",
      "aria-controls": id,
      title: "Keys (?)",
    },
    "Keys",
  );
  const toggle = () => {
    root.hidden = !root.hidden;
    setAttr(button, "aria-expanded", !root.hidden);
  };
  button.addEventListener("click", toggle);
  const fill: Help["fill"] = (list) => {
    root.replaceChildren(...list.flatMap(([key, text]) => [h("dt", {}, key), h("dd", {}, text)]));
  };
  return { root, button, toggle, fill, update: () => {} };
}

/** What the keys do. */
export interface Actions {
  undo(): void;
  redo(): void;
  name(): void;
  whole(): void;
  select(position: number): void;
  turn(step: number): void;
  help(): void;
  /** True when there was something to drop. */
  drop(): boolean;
}

/** Handles the keys that no part took for itself; texts that are being typed keep theirs. */
export function bindKeys(root: HTMLElement, actions: Actions): void {
  root.addEventListener("keydown", (event) => {
    const target = event.target as Element;
    if (target.matches("input:not([type=range], [type=checkbox]), select, textarea")) return;
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    if (command && key === "z") event.shiftKey ? actions.redo() : actions.undo();
    else if (command && key === "y") actions.redo();
    else if (command || event.altKey) return;
    else if (/^[1-9]$/.test(key)) actions.select(Number(key) - 1);
    else if (key === "n") actions.name();
    else if (key === "w") actions.whole();
    else if (key === "?") actions.help();
    else if (event.key === "PageDown") actions.turn(1);
    else if (event.key === "PageUp") actions.turn(-1);
    else if (event.key !== "Escape" || !actions.drop()) return;
    event.preventDefault();
    event.stopPropagation();
  });
}
