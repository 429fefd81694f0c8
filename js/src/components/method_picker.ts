// The method, by family: those that apply with their cost, the others greyed with the reason; the caveat of the chosen one.

import { h, setAttr, setText } from "../core/dom";
import type { MethodInfo } from "../core/protocol";
import type { Change, Context, Part } from "./context";
import { Listbox, reveal } from "./listbox";

/** Families in words, in this order; others follow under their own name. */
const FAMILIES: Record<string, string> = {
  gradient: "Gradient",
  path: "Path",
  cam: "Class activation",
  shap: "Shapley values",
  noise: "Noise",
  perturbation: "Perturbation",
  attention: "Attention",
};

/** Lists longer than this get a filter. */
const MANY = 12;

/** A cost short enough for a row: "1 forward, 1 backward" becomes "1 of each". */
export function shortCost(cost: string): string {
  const [, forwards, backwards] = /^(\d+) forwards?, (\d+) backwards?$/.exec(cost) ?? [];
  if (!forwards) return cost;
  return forwards === backwards ? `${forwards} of each` : `${forwards} + ${backwards} passes`;
}

/** Methods by family, with the family in words. */
export function byFamily(methods: readonly MethodInfo[]): [string, MethodInfo[]][] {
  const order = new Set([...Object.keys(FAMILIES), ...methods.map((method) => method.family)]);
  return [...order].flatMap((family): [string, MethodInfo[]][] => {
    const own = methods.filter((method) => method.family === family);
    const words = FAMILIES[family] ?? family.charAt(0).toUpperCase() + family.slice(1);
    return own.length ? [[words, own]] : [];
  });
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
      context.announce(`Method ${method.title}${method.note ? `: ${method.note}` : ""}`);
    },
  });
  listbox.root.classList.add("xaiw-methods");
  const filter = h("input", {
    type: "search",
    placeholder: "Filter methods",
    "aria-label": "Filter methods",
  });
  filter.addEventListener("input", fill);
  const none = h("small", { class: "xaiw-none", hidden: true });
  const about = h("small", { class: "xaiw-about" });
  const root = h(
    "section",
    { class: "xaiw-section" },
    h("div", { class: "xaiw-heading" }, h("h3", {}, "Method")),
    filter,
    listbox.root,
    none,
    about,
  );

  function option(method: MethodInfo): HTMLElement {
    const aside = method.applicable ? shortCost(method.cost) : (method.reason ?? "does not apply");
    const words = method.applicable
      ? `${method.title}: ${method.cost}. ${method.note ? `${method.note} ` : ""}${method.reference}`
      : `${method.title}: ${aside}`;
    return h(
      "div",
      {
        role: "option",
        class: "xaiw-row",
        "data-value": method.name,
        "data-text": method.title,
        "aria-disabled": method.applicable ? null : "true",
        title: words,
      },
      h("span", { class: "xaiw-name" }, method.title),
      h("small", {}, aside),
    );
  }

  function fill(): void {
    const query = filter.value.trim().toLowerCase();
    const all = store.setup?.methods ?? [];
    const found = byFamily(all).flatMap(([words, methods]) => {
      const match = ({ title }: MethodInfo) => `${words} ${title}`.toLowerCase().includes(query);
      const options = methods.filter(match).map(option);
      const head = h("div", { class: "xaiw-family", "aria-hidden": "true" }, words);
      return options.length
        ? [{ options, group: h("div", { role: "group", "aria-label": words }, head, ...options) }]
        : [];
    });
    listbox.setOptions(
      found.flatMap(({ options }) => options),
      found.map(({ group }) => group),
    );
    filter.hidden = all.length <= MANY;
    none.hidden = store.setup === null || found.length > 0;
    setText(none, all.length ? "No method has this in its name." : "None applies to this model.");
    select();
  }

  function select(): void {
    const { method } = store;
    listbox.select(method?.name ?? null);
    const chosen = listbox.items.find((item) => item.dataset.value === method?.name);
    if (chosen?.isConnected) reveal(chosen, listbox.root);
    // Always a line or two, so that nothing below moves with the choice.
    const words = method?.note ?? method?.reference ?? "";
    setText(about, words);
    setAttr(about, "title", words || null);
    about.classList.toggle("is-note", Boolean(method?.note));
  }

  function update(change: Change): void {
    if (change === "setup") fill();
    else if (change === "traits") select();
  }
  return { root, update };
}
