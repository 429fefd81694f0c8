// The method: those that apply with their cost, the others greyed with the reason.

import { h } from "../core/dom";
import type { MethodInfo } from "../core/protocol";
import type { Change, Context, Part } from "./context";
import { Listbox, reveal } from "./listbox";

/** A cost short enough for a row: "26 forwards, 25 backwards" becomes "26 + 25 passes". */
export function shortCost(cost: string): string {
  const [, forwards, backwards] = /^(\d+) forwards?, (\d+) backwards?$/.exec(cost) ?? [];
  if (!forwards || forwards === "1") return cost;
  return forwards === backwards ? `${forwards} of each` : `${forwards} + ${backwards} passes`;
}

export function methodPicker(context: Context): Part {
  const { store } = context;
  const listbox = new Listbox({
    label: "Method",
    onPick: (value) => {
      const method = store.setup?.methods.find((candidate) => candidate.name === value);
      if (!method) return;
      if (!method.applicable) {
        context.announce(
          `${method.title} does not apply: ${method.reason ?? "this model cannot be explained with it"}`,
        );
        return;
      }
      store.set({ method: value });
      context.announce(`Method ${method.title}`);
    },
  });
  const none = h("small", { class: "xaiw-none", hidden: true }, "None applies to this model.");
  const root = h(
    "section",
    { class: "xaiw-section" },
    h("div", { class: "xaiw-heading" }, h("h3", {}, "Method")),
    listbox.root,
    none,
  );

  function option(method: MethodInfo): HTMLElement {
    const aside = method.applicable ? shortCost(method.cost) : (method.reason ?? "does not apply");
    return h(
      "div",
      {
        role: "option",
        class: "xaiw-row",
        "data-value": method.name,
        "data-text": method.title,
        "aria-disabled": method.applicable ? null : "true",
        title: method.applicable
          ? `${method.title}: ${method.cost}. ${method.reference}`
          : `${method.title}: ${aside}`,
      },
      h("span", { class: "xaiw-name" }, method.title),
      h("small", {}, aside),
    );
  }

  function update(change: Change): void {
    if (change === "setup") {
      listbox.setOptions((store.setup?.methods ?? []).map(option));
      none.hidden = store.setup === null || store.setup.methods.length > 0;
    }
    if (change === "setup" || change === "traits") {
      const name = store.get("method");
      listbox.select(name);
      const chosen = listbox.items.find((item) => item.dataset.value === name);
      if (chosen?.isConnected) reveal(chosen, listbox.root);
    }
  }
  return { root, update };
}
