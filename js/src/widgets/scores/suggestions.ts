// Suggestions: parts of the images that look like the concept to the model, to accept or reject with one key.
import type { Change, Context, Part } from "../../components/context";
import { Listbox } from "../../components/listbox";
import { h, setAttr, setText } from "../../core/dom";
import { drawPicture } from "../../core/renderer";
import type { WorkbenchStore } from "../workbench/store";

const REJECT = ["Delete", "Backspace", "x", "X"];

export function suggestionStrip(context: Context, store: WorkbenchStore): Part {
  const listbox = new Listbox({
    label: "Suggestions",
    orientation: "horizontal",
    onPick: (_, option) => focus(listbox.items.indexOf(option)),
  });
  const list = listbox.root;
  list.classList.add("xaiw-suggestions");
  let active = 0;
  let drawn: unknown = null;
  const sentence = h("span");
  const button = (text: string, title: string, action: () => void, className: string) =>
    h("button", { type: "button", class: className, title, onclick: action }, text);
  const accept = button("Accept", "It shows the concept (Enter)", () => decide(true), "xaiw-button");
  const reject = button("Reject", "Never show it again (Delete)", () => decide(false), "xaiw-button");
  const show = button(
    "Show",
    "Show the image it comes from",
    () => {
      const item = store.suggestions?.items[active];
      if (item) store.setImage(item.index);
    },
    "xaiw-link",
  );
  const close = button("Close", "Close the suggestions", () => shut(), "xaiw-link");
  const root = h(
    "div",
    { class: "xaiw-region xaiw-suggest", role: "group", "aria-label": "Suggestions", hidden: true },
    h(
      "div",
      { class: "xaiw-suggest-head" },
      sentence,
      h("span", { class: "xaiw-space" }),
      accept,
      reject,
      show,
      close,
    ),
    list,
  );

  function shut(): void {
    if (store.suggesting) store.cancel();
    store.dismiss();
  }

  function focus(position: number): void {
    active = Math.max(0, position);
    store.look(store.suggestions?.items[active] ?? null);
    listbox.items.forEach((item, i) => {
      setAttr(item, "aria-selected", i === active);
    });
  }

  /** Accepts or rejects, and goes on to the next one. */
  function decide(yes: boolean): void {
    const item = store.suggestions?.items[active];
    if (!item) return;
    const within = list.contains(document.activeElement);
    store.decide(active, yes);
    const left = store.suggestions?.items.length ?? 0;
    context.announce(`${yes ? "Accepted" : "Rejected"}; ${left ? `${left} left` : "that was the last one"}.`);
    active = Math.min(active, Math.max(0, left - 1));
    focus(active);
    if (within) (listbox.items[active] ?? close).focus();
  }

  list.addEventListener("focusin", (event) => focus(listbox.items.indexOf(event.target as HTMLElement)));
  // Before the list takes the keys for itself.
  list.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const yes = event.key === "Enter" || event.key === " ";
      if (!yes && !REJECT.includes(event.key)) return;
      event.preventDefault();
      event.stopPropagation();
      focus(listbox.items.indexOf(event.target as HTMLElement));
      decide(yes);
    },
    { capture: true },
  );

  function fill(): void {
    const { suggestions, suggesting } = store;
    root.hidden = !suggestions && !suggesting;
    const n = suggestions?.items.length ?? 0;
    setText(
      sentence,
      suggesting
        ? `Looking for parts like \u201c${suggesting}\u201d \u2026`
        : suggestions
          ? (suggestions.message ??
            (n
              ? `Like \u201c${suggestions.concept}\u201d: Enter accepts, Delete rejects`
              : "Nothing is left."))
          : "",
    );
    for (const each of [accept, reject, show]) each.hidden = !n;
    setText(close, suggesting ? "Cancel" : "Close");
    if (drawn === suggestions) return;
    const fresh = drawn === null;
    drawn = suggestions;
    if (fresh) active = 0;
    listbox.setOptions(
      (suggestions?.items ?? []).map((item, position) => {
        const canvas = h("canvas", { "aria-hidden": "true" });
        if (item.array) drawPicture(canvas, item.array);
        const likeness = item.similarity.toFixed(2);
        return h(
          "div",
          {
            role: "option",
            class: "xaiw-thumb xaiw-suggestion",
            "data-value": `${item.index} ${JSON.stringify(item.region)}`,
            "aria-label": `${position + 1}: ${item.name}, similarity ${likeness}`,
            title: `${item.name}, similarity ${likeness}`,
          },
          canvas,
          h("small", { "aria-hidden": "true" }, likeness),
        );
      }),
    );
    focus(Math.min(active, Math.max(0, n - 1)));
  }

  return {
    root,
    update(change: Change) {
      if (change === "suggestions" || change === "setup") fill();
    },
  };
}
