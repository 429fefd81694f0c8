// What is asked, beside the grid: which axes make rows and columns, where the others stand, which entries and metrics are shown.

import { type Axis, entryText, entryTitle, fixedAt, TITLES } from "../../core/comparison";
import { h, setAttr, setText, uniqueId } from "../../core/dom";
import { same } from "../../core/history";
import type { ComparisonStore } from "./store";

const ORDER: readonly Axis[] = ["images", "methods", "models", "layers", "targets"];

export interface Asking {
  root: HTMLElement;
  update(): void;
}

function select(
  label: string,
  onPick: (value: string) => void,
): {
  root: HTMLElement;
  set(options: { value: string; text: string }[], value: string): void;
} {
  const id = uniqueId("choice");
  const input = h("select", { id });
  input.addEventListener("change", () => onPick(input.value));
  let shown: unknown = null;
  return {
    root: h(
      "div",
      { class: "xaiw-field" },
      h("label", { for: id }, label),
      h("span", { class: "xaiw-input" }, input),
    ),
    set(options, value) {
      if (!same(shown, options)) {
        shown = options;
        input.replaceChildren(...options.map((each) => h("option", { value: each.value }, each.text)));
      }
      input.value = value;
    },
  };
}

/** A list of boxes to tick, folded away with how many are ticked. */
function ticks(title: string, onChange: (off: number[]) => void, several = true) {
  const count = h("small");
  const all = h("button", { type: "button", class: "xaiw-link" }, "Show all");
  const list = h("div", { class: "xaiw-ticks", role: "group", "aria-label": title });
  const root = h(
    "details",
    { class: "xaiw-tick-fold" },
    h("summary", {}, h("b", {}, title), count),
    list,
    all,
  );
  let boxes: HTMLInputElement[] = [];
  let shown: unknown = null;
  all.addEventListener("click", () => onChange([]));
  return {
    root,
    set(entries: { text: string; title: string; why?: string | null }[], off: readonly number[]) {
      if (!same(shown, entries)) {
        shown = entries;
        boxes = entries.map((_, at) =>
          h("input", {
            type: "checkbox",
            "data-at": at,
            onchange: () => onChange(boxes.flatMap((box, i) => (box.checked || box.disabled ? [] : [i]))),
          }),
        );
        list.replaceChildren(
          ...entries.map(({ text, title: about, why }, at) => {
            boxes[at].disabled = Boolean(why);
            return h(
              "label",
              { class: "xaiw-tick", title: why ?? about, "aria-disabled": why ? true : null },
              boxes[at],
              h("span", { class: "xaiw-name" }, text),
              why ? h("small", {}, why) : null,
            );
          }),
        );
      }
      const hidden = new Set(off);
      boxes.forEach((box, at) => {
        box.checked = !hidden.has(at) && !box.disabled;
      });
      setText(count, `${boxes.filter((box) => box.checked).length} of ${boxes.length}`);
      all.hidden = !several || !boxes.some((box) => !box.checked && !box.disabled);
    },
  };
}

export function askingForm(store: ComparisonStore): Asking {
  const change = (side: "rows" | "columns", axis: Axis) => {
    const { rows, columns } = store.traits;
    const other = side === "rows" ? columns : rows;
    // The axis of the other side: both change places.
    if (axis === other) store.set({ rows: columns, columns: rows });
    else store.set({ [side]: axis });
  };
  const rows = select("Rows", (value) => change("rows", value as Axis));
  const columns = select("Columns", (value) => change("columns", value as Axis));
  const swap = h(
    "button",
    { type: "button", class: "xaiw-link", title: "Rows become columns; nothing is computed again" },
    "Swap",
  );
  swap.addEventListener("click", () => {
    const { rows: down, columns: across } = store.traits;
    store.set({ rows: across, columns: down });
  });
  const fixed = h("div", { class: "xaiw-fields" });
  const fixedSelects = new Map<Axis, ReturnType<typeof select>>();
  for (const axis of ORDER) {
    fixedSelects.set(
      axis,
      select(TITLES[axis].one, (value) =>
        store.set({ fixed: { ...store.get("fixed"), [axis]: Number(value) } }),
      ),
    );
  }
  fixed.append(...[...fixedSelects.values()].map(({ root }) => root));
  const shown = h("div", { class: "xaiw-section" });
  const lists = new Map(
    ORDER.map((axis) => [
      axis,
      ticks(TITLES[axis].many, (off) => {
        const { [axis]: _, ...others } = store.get("hidden") ?? {};
        store.set({ hidden: off.length ? { ...others, [axis]: off } : others });
      }),
    ]),
  );
  // All metrics at once would take their time: they are chosen one by one.
  const measure = (off: number[]) => {
    const names = (store.setup?.metrics ?? []).filter((metric) => !metric.needs_missing);
    const hidden = new Set(off.map((at) => store.setup?.metrics[at].name));
    const wanted = names.map(({ name }) => name).filter((name) => !hidden.has(name));
    const sort = store.get("sort");
    store.set({ metrics: wanted, ...(sort && !wanted.includes(sort.metric) ? { sort: null } : {}) });
  };
  const metrics = ticks("Metrics", measure, false);
  setAttr(metrics.root, "open", "");
  shown.append(...[...lists.values()].map(({ root }) => root), metrics.root);
  const root = h(
    "div",
    { class: "xaiw-side" },
    h(
      "section",
      { class: "xaiw-section" },
      h("div", { class: "xaiw-heading" }, h("h3", {}, "Grid"), swap),
      h("div", { class: "xaiw-fields" }, rows.root, columns.root),
      fixed,
    ),
    h("section", { class: "xaiw-section" }, h("div", { class: "xaiw-heading" }, h("h3", {}, "Shown")), shown),
  );

  function update(): void {
    const { setup } = store;
    if (!setup) return;
    const traits = store.traits;
    const options = ORDER.map((axis) => ({
      value: axis,
      text: `${TITLES[axis].many} (${setup.axes[axis].length})`,
    }));
    rows.set(options, traits.rows);
    columns.set(options, traits.columns);
    for (const axis of ORDER) {
      const entries = setup.axes[axis];
      const inGrid = axis === traits.rows || axis === traits.columns;
      const choice = fixedSelects.get(axis);
      if (choice) {
        choice.root.hidden = inGrid || entries.length < 2;
        if (!choice.root.hidden) {
          choice.set(
            entries.map((entry, at) => ({ value: String(at), text: entryText(entry) })),
            String(fixedAt(axis, traits, setup)),
          );
        }
      }
      const list = lists.get(axis);
      if (list) {
        list.root.hidden = !inGrid || entries.length < 2;
        if (!list.root.hidden) {
          list.set(
            entries.map((entry) => ({ text: entryText(entry), title: entryTitle(entry) })),
            traits.hidden?.[axis] ?? [],
          );
        }
      }
    }
    metrics.root.hidden = setup.metrics.length === 0;
    const wanted = new Set(traits.metrics);
    metrics.set(
      setup.metrics.map(({ title, meaning, direction, needs_missing }) => ({
        text: title,
        title: `${meaning} ${direction === "higher" ? "Higher" : "Lower"} is better.`,
        why: needs_missing,
      })),
      setup.metrics.flatMap(({ name }, at) => (wanted.has(name) ? [] : [at])),
    );
  }
  return { root, update };
}
