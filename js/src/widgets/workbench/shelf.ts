// The concept shelf: concepts with counts and advice, their examples, undo, and whether everything is on disk.
import type { Change, Context, Part } from "../../components/context";
import { Listbox } from "../../components/listbox";
import { freeColour } from "../../core/concepts";
import { h, setAttr, setText, uniqueId } from "../../core/dom";
import type { Desk } from "./desk";
import { exampleGrid } from "./examples";
import type { WorkbenchStore } from "./store";
import { swatches, textField } from "./swatches";

export interface Shelf extends Part {
  /** What another program did to the folder, and the way on. */
  conflict: HTMLElement;
  /** Where the selected example's details stand, which come with the scores' code. */
  details: HTMLElement;
  /** Opens the form for a new concept. */
  name(): void;
  select(position: number): void;
}

/** A name as the kernel keeps it. */
const oneLine = (name: string) => name.trim().replace(/\s+/g, " ");

export function shelf(context: Context, store: WorkbenchStore, desk: Desk): Shelf {
  const { announce, signal } = context;
  const link = (text: string, action: () => void, title?: string) =>
    h("button", { type: "button", class: "xaiw-link", title, onclick: action }, text);

  /** Selected as soon as the kernel has it. */
  let awaited: string | null = null;
  const listbox = new Listbox({
    label: "Concepts",
    onPick: (name) => {
      store.ask({ concept: name });
      announce(`Concept ${name}`);
    },
  });
  listbox.root.classList.add("xaiw-concepts");

  // A new concept
  const formId = uniqueId("concept");
  const add = h(
    "button",
    {
      type: "button",
      class: "xaiw-link",
      "aria-expanded": "false",
      "aria-controls": formId,
      title: "A new concept (N)",
    },
    "New",
  );
  const field = h("input", {
    type: "text",
    class: "xaiw-text",
    placeholder: "Name, for example stripes",
    "aria-label": "Name of the new concept",
  });
  const colours = swatches("Colour of the new concept", () => {});
  const wrong = h("small", { class: "xaiw-wrong", role: "alert" });
  const form = h(
    "div",
    { id: formId, class: "xaiw-concept-form", hidden: true },
    field,
    colours.root,
    wrong,
    h(
      "span",
      { class: "xaiw-links" },
      h("button", { type: "button", class: "xaiw-button", onclick: () => create() }, "Create"),
      link("Close", () => close()),
    ),
  );
  const open = (shown: boolean) => {
    form.hidden = !shown;
    setAttr(add, "aria-expanded", shown);
  };
  function name(): void {
    open(true);
    setText(wrong, "");
    colours.set(freeColour(store.concepts));
    field.value = "";
    field.focus();
  }
  function close(): void {
    open(false);
    desk.drop();
    add.focus();
  }
  function create(): void {
    const text = oneLine(field.value);
    const taken = store.concepts.some((concept) => concept.name.toLowerCase() === text.toLowerCase());
    const fault = text
      ? taken
        ? `There is a concept \u201c${text}\u201d already.`
        : ""
      : "Type a name first.";
    setText(wrong, fault);
    if (fault) return;
    open(false);
    awaited = text;
    store.edit({ op: "create_concept", name: text, colour: colours.value });
    desk.named(text);
    announce(`Concept ${text} made. Mark examples on the picture.`);
    add.focus();
  }
  add.addEventListener("click", () => (form.hidden ? name() : close()));
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault(); // or the button that gets the focus is pressed by the same key
    if (event.key === "Enter") create();
    else close();
  });

  // The selected concept
  const rename = textField("Name of the concept", "Name", (text) => {
    const { concept } = store;
    const to = oneLine(text);
    rename.root.value = to;
    if (!concept || !to || to === concept.name) return;
    awaited = to;
    store.edit({ op: "change_concept", name: concept.name, to });
  });
  const recolour = swatches("Colour", (colour) => {
    if (store.concept) store.edit({ op: "change_concept", name: store.concept.name, colour });
  });
  const comment = textField("Comment on the concept", "Comment", (text) => {
    if (store.concept) store.edit({ op: "change_concept", name: store.concept.name, comment: text });
  });
  const drop = link("Delete concept", () => {
    const { concept } = store;
    if (!concept) return;
    store.edit({ op: "delete_concept", name: concept.name });
    announce(`${concept.name} deleted; Ctrl and Z brings it back.`);
  });
  const editId = uniqueId("edit");
  const editor = h(
    "div",
    { id: editId, class: "xaiw-concept-form", hidden: true },
    rename.root,
    recolour.root,
    comment.root,
    h("span", { class: "xaiw-links" }, drop),
  );
  const edit = h(
    "button",
    { type: "button", class: "xaiw-link", "aria-expanded": "false", "aria-controls": editId },
    "Edit",
  );
  edit.addEventListener("click", () => {
    editor.hidden = !editor.hidden;
    setAttr(edit, "aria-expanded", !editor.hidden);
  });
  const title = h("h3");
  const advice = h("p", { class: "xaiw-advice" });
  const grid = exampleGrid(store, desk, announce, signal);
  const details = h("div");
  const suggest = link(
    "Suggest more",
    () => store.concept && store.suggest(store.concept.name),
    "Rank parts of all images by their likeness to the examples",
  );
  const random = link(
    "",
    () => store.edit({ op: "random" }),
    "Random parts of the images that show no concept: what scores are compared with",
  );
  const panel = h(
    "section",
    { class: "xaiw-section xaiw-concept", "aria-label": "Selected concept" },
    h("div", { class: "xaiw-heading" }, title, edit),
    editor,
    grid.root,
    advice,
    details,
    h("div", { class: "xaiw-links" }, suggest, random),
  );

  // What was done, and whether it is kept
  const undo = link("Undo", () => store.edit({ op: "undo" }));
  const redo = link("Redo", () => store.edit({ op: "redo" }));
  const kept = h("span", { class: "xaiw-saved", role: "status" });
  const refresh = h(
    "button",
    { type: "button", class: "xaiw-button", onclick: () => store.edit({ op: "refresh" }) },
    "Refresh",
  );
  const foot = h("div", { class: "xaiw-shelf-foot" }, h("span", { class: "xaiw-links" }, undo, redo), kept);
  const sentence = h("span");
  const conflict = h("div", { class: "xaiw-conflict", role: "alert", hidden: true }, sentence, refresh);

  const empty = h(
    "p",
    { class: "xaiw-advice" },
    "A concept is something you can point at: stripes, a ruler, a wheel. Click it on some pictures, and the model is asked whether it matters.",
  );
  const root = h(
    "div",
    { class: "xaiw-shelf", role: "group", "aria-label": "Concept shelf" },
    h(
      "section",
      { class: "xaiw-section" },
      h("div", { class: "xaiw-heading" }, h("h3", {}, "Concepts"), add),
      form,
      listbox.root,
      empty,
    ),
    panel,
    foot,
  );

  const row = (position: number) => {
    const concept = store.concepts[position];
    const { n, n_included: included } = concept;
    const count = included === n ? String(n) : `${included} of ${n}`;
    return h(
      "div",
      {
        role: "option",
        class: "xaiw-row xaiw-concept-row",
        "data-value": concept.name,
        "data-text": concept.name,
        "data-role": concept.role,
        title: [concept.comment, concept.advice, position < 9 ? `Key ${position + 1}` : ""]
          .filter(Boolean)
          .join(" \u00b7 "),
        style: `--concept:${concept.colour}`,
      },
      h("i", { class: "xaiw-dot-mark" }),
      h("span", { class: "xaiw-name" }, concept.name),
      " ",
      h("small", {}, count),
      h("span", { class: "xaiw-sr" }, ` examples. ${concept.advice}`),
    );
  };

  function fill(): void {
    if (awaited && store.concepts.some((each) => each.name === awaited)) {
      const wanted = awaited;
      awaited = null;
      store.ask({ concept: wanted }); // which fills once more: what is shown is read after it
    }
    const { concepts, concept } = store;
    listbox.setOptions(concepts.map((_, position) => row(position)));
    listbox.select(concept?.name ?? null);
    empty.hidden = store.shelf === null || concepts.some(({ role }) => role === "concept");
    panel.hidden = !concept;
    const isRandom = concept?.role === "random";
    setText(title, concept?.name ?? "");
    setAttr(root, "data-concept", concept?.name ?? null);
    setText(advice, concept?.advice ?? "");
    rename.set(concept?.name ?? "");
    comment.set(concept?.comment ?? "");
    if (concept) recolour.set(concept.colour);
    suggest.hidden = isRandom;
    suggest.disabled = !concept?.n_included || store.suggesting !== null || !store.testable;
    const any = concepts.some(({ role }) => role === "random");
    random.hidden = any && !isRandom;
    setText(random, any ? "Replace the random set" : "Make a random set");
    setAttr(panel, "data-role", concept?.role ?? null);
    grid.update();
  }

  function status(): void {
    const { saving, saved, shelf: kind } = store;
    const clash = kind?.conflict ?? null;
    const path = kind?.folder ?? store.workbench?.folder ?? "";
    const folder = path.split(/[\\/]/).filter(Boolean).pop() ?? path;
    const failed = saved && !saved.ok ? (saved.message ?? "The last change was not saved.") : null;
    const lost = saving.size > 0 && store.channel.silent;
    setText(sentence, clash ?? "");
    conflict.hidden = clash === null;
    const text = clash
      ? "The last change was not saved."
      : lost
        ? "Not saved: the kernel does not answer."
        : saving.size
          ? "Saving \u2026"
          : (failed ?? (saved ? `Saved in folder ${folder}` : folder ? `Folder ${folder}` : ""));
    setText(kept, text);
    setAttr(kept, "title", path);
    setAttr(
      kept,
      "data-state",
      clash ? "conflict" : lost || (failed && !saving.size) ? "failed" : saving.size ? "saving" : "saved",
    );
    for (const [button, verb, what] of [
      [undo, "Undo", kind?.undo],
      [redo, "Redo", kind?.redo],
    ] as const) {
      button.disabled = !what;
      setText(button, what ? `${verb}: ${what}` : verb);
      setAttr(button, "title", what ? `${verb}: ${what}` : null);
    }
  }

  function update(change: Change): void {
    if (change === "shelf" || change === "setup") {
      fill();
      status();
    } else if (change === "traits" || change === "suggestions") fill();
    else if (change === "examples") grid.update();
    else if (change === "status") status();
  }
  return {
    root,
    update,
    conflict,
    details,
    name,
    select(position) {
      const concept = store.concepts[position];
      if (!concept) return;
      store.ask({ concept: concept.name });
      announce(`Concept ${concept.name}`);
    },
  };
}
