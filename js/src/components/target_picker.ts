// The target: probability bars of the top classes, a searchable list of all of them, and the class to contrast with.

import { h, setAttr, setText, uniqueId } from "../core/dom";
import { percent, probability, signed } from "../core/format";
import { isClass } from "../core/store";
import type { Change, Context, Part } from "./context";
import { track } from "./controls";
import { Listbox } from "./listbox";

const TOP = 5;
/** Search results drawn at once; typing narrows them down. */
const SHOWN = 100;

export function targetPicker(context: Context): Part {
  const { store } = context;
  const pick = (value: string) => {
    const index = Number(value);
    const before = store.get("target");
    const versus = isClass(before) ? before.versus : null;
    store.set({ target: { kind: "class", index, versus: versus === index ? null : versus } });
    context.announce(`Target ${store.label(index)}`);
  };
  const top = new Listbox({ label: "Target", onPick: pick });
  const all = new Listbox({ label: "All classes", onPick: pick });
  for (const list of [top, all]) list.root.classList.add("xaiw-bars");
  const versus = h("select", { "aria-label": "Versus, the class to contrast with", class: "xaiw-versus" });
  versus.addEventListener("change", () => {
    const target = store.resolvedTarget;
    if (target)
      store.set({ target: { ...target, versus: versus.value === "" ? null : Number(versus.value) } });
  });

  const follow = h("button", { type: "button", class: "xaiw-link xaiw-follow" }, "predicted");
  follow.addEventListener("click", () => store.set({ target: null }));
  const foldId = uniqueId("classes");
  const toggle = h("button", {
    type: "button",
    class: "xaiw-link",
    "aria-expanded": "false",
    "aria-controls": foldId,
  });
  const search = h("input", {
    type: "search",
    placeholder: "Search classes",
    "aria-label": "Search classes",
  });
  const found = h("small", { role: "status" });
  const fold = h("div", { id: foldId, class: "xaiw-fold", hidden: true }, search, all.root, found);
  toggle.addEventListener("click", () => {
    fold.hidden = !fold.hidden;
    setAttr(toggle, "aria-expanded", !fold.hidden);
    if (!fold.hidden) {
      fillAll();
      search.focus();
    }
  });
  search.addEventListener("input", fillAll);
  search.addEventListener("keydown", (event) => {
    const first = all.items[0];
    if (event.key === "ArrowDown" && first) {
      event.preventDefault();
      first.focus();
    } else if (event.key === "Enter" && first) pick(first.dataset.value as string);
    else if (event.key === "Escape") toggle.click();
  });

  const contrast = h("label", {}, h("span", {}, "versus"), versus);
  /** A target that is no class, or what the shares and the region mean. */
  const other = h("p", { class: "xaiw-other", hidden: true });
  const hint = h("small", { class: "xaiw-about", hidden: true });
  const root = h(
    "section",
    { class: "xaiw-section" },
    h("div", { class: "xaiw-heading" }, h("h3", {}, "Target"), follow, contrast),
    other,
    top.root,
    hint,
    toggle,
    fold,
  );

  function option(index: number): HTMLElement {
    const outputs = store.outputs;
    const value = outputs?.[index];
    const text = store.label(index);
    const bar = track();
    const isProbability = store.prediction?.probabilities !== null;
    const largest = outputs && !isProbability ? outputs.reduce((a, b) => Math.max(a, Math.abs(b)), 0) : 1;
    bar.set(value === undefined || !largest ? 0 : Math.abs(value) / largest);
    const number =
      value === undefined || !Number.isFinite(value)
        ? ""
        : store.dense
          ? percent(value)
          : isProbability
            ? probability(value)
            : store.setup?.task === "regression"
              ? signed(value).replace("+", "")
              : signed(value);
    return h(
      "div",
      { role: "option", class: "xaiw-option", "data-value": index, "data-text": text, title: text },
      h("span", { class: "xaiw-name" }, text),
      bar.root,
      h("span", { class: "xaiw-number" }, number),
    );
  }

  function ranking(): number[] {
    const outputs = store.outputs;
    const n = store.setup?.labels.length || outputs?.length || 0;
    const order = Array.from({ length: n }, (_, index) => index);
    // Classes compete, numbers of a regression do not.
    const ranked = outputs && store.setup?.task !== "regression";
    return ranked ? order.sort((a, b) => outputs[b] - outputs[a]) : order;
  }

  function fillTop(): void {
    const order = ranking();
    const shown = order.slice(0, TOP);
    const target = store.resolvedTarget;
    // The asked classes keep their place below the top ones, so that nothing selected is ever out of sight.
    for (const index of [target?.index, target?.versus]) {
      if (typeof index === "number" && !shown.includes(index)) shown.push(index);
    }
    top.setOptions(shown.map(option));
    const n = order.length;
    toggle.hidden = n <= TOP;
    setText(toggle, `All ${n} classes`);
    fillVersus(order);
    select();
    if (!fold.hidden) fillAll();
  }

  function fillVersus(order: number[]): void {
    const options = [
      h("option", { value: "" }, "none"),
      ...order.map((i) => h("option", { value: i }, store.label(i))),
    ];
    versus.replaceChildren(...options);
    versus.disabled = order.length < 2;
    contrast.hidden = order.length < 2;
    follow.hidden = order.length < 2;
  }

  function fillAll(): void {
    const query = search.value.trim().toLowerCase();
    const order = ranking().filter((index) => store.label(index).toLowerCase().includes(query));
    all.setOptions(order.slice(0, SHOWN).map(option));
    const more = order.length - SHOWN;
    setText(
      found,
      order.length === 0
        ? "No class has this in its name."
        : more > 0
          ? `and ${more} more: type to narrow down`
          : "",
    );
    all.select(String(store.resolvedTarget?.index ?? ""));
  }

  function select(): void {
    const target = store.resolvedTarget;
    const asked = store.get("target");
    const following = asked === null;
    const named = asked !== null && !isClass(asked);
    other.hidden = !named;
    setText(other, named ? store.targetText : "");
    contrast.hidden = named || versus.disabled;
    follow.hidden = versus.disabled && !named;
    hint.hidden = !store.dense;
    setText(
      hint,
      store.get("region")
        ? "Shares of the picture; explained in the region."
        : "Shares of the picture; mark a region to explain a class there.",
    );
    setAttr(follow, "aria-pressed", following);
    setAttr(follow, "title", following ? "Follows the predicted class" : "Follow the predicted class again");
    top.select(target ? String(target.index) : null);
    all.select(target ? String(target.index) : null);
    versus.value = target?.versus === null || target?.versus === undefined ? "" : String(target.versus);
    for (const item of versus.options)
      item.disabled = item.value !== "" && Number(item.value) === target?.index;
    for (const item of top.items) {
      const chosen = item.getAttribute("aria-selected") === "true";
      setAttr(
        item,
        "title",
        chosen && following ? `${item.dataset.text}: the prediction, followed` : (item.dataset.text ?? ""),
      );
      item.classList.toggle("is-versus", Number(item.dataset.value) === target?.versus);
    }
  }

  function update(change: Change): void {
    if (change === "setup" || change === "prediction") fillTop();
    else if (change === "traits") {
      const index = store.resolvedTarget?.index;
      if (index !== undefined && !top.items.some((item) => item.dataset.value === String(index))) fillTop();
      else select();
    }
    if (change === "status") {
      const old = store.prediction !== null && store.prediction.index !== store.get("image_index");
      root.classList.toggle("is-stale", old);
    }
  }
  return { root, update };
}
