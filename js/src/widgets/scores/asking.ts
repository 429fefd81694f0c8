// What is tested: at which layers, beside which classes, with which classifier, against what. And the Test button.
import type { Change, Context, Part } from "../../components/context";
import { segmented } from "../../components/controls";
import { commonPath } from "../../components/layer_picker";
import { h, setAttr, setText } from "../../core/dom";
import type { LayerInfo } from "../../core/protocol";
import type { WorkbenchStore } from "../workbench/store";

/** So many classes stand beside the target at most: more bars cannot be told apart. */
const MOST_CLASSES = 4;

export function layerList(context: Context, store: WorkbenchStore): Part {
  const list = h("div", { class: "xaiw-checks", role: "group", "aria-label": "Layers to test" });
  const note = h("small");
  const toggle = h("button", { type: "button", class: "xaiw-link", "aria-pressed": "false" });
  const root = h(
    "section",
    { class: "xaiw-section" },
    h("div", { class: "xaiw-heading" }, h("h3", {}, "Layers"), note),
    list,
    toggle,
  );
  let everything = false;
  let built = "";
  toggle.addEventListener("click", () => {
    everything = !everything;
    fill();
  });
  list.addEventListener("change", () => {
    const chosen = [...list.querySelectorAll("input")].filter((box) => box.checked).map((box) => box.value);
    const hidden = (store.asked("layers") ?? []).filter(
      (name) => ![...list.querySelectorAll("input")].some((box) => box.value === name),
    );
    const order = store.setup?.layers.map(({ name }) => name) ?? [];
    const layers = [...hidden, ...chosen].sort((a, b) => order.indexOf(a) - order.indexOf(b));
    store.ask({ layers });
    context.announce(layers.length ? `${layers.length} layers` : "The recommended layers");
  });

  function row(layer: LayerInfo, prefix: string): HTMLElement {
    const box = h("input", { type: "checkbox", value: layer.name });
    const star = layer.recommended ? " \u2605" : "";
    return h(
      "label",
      {
        class: "xaiw-check",
        title: `${layer.name}, ${layer.kind}${layer.recommended ? ", recommended" : ""}`,
      },
      box,
      h("span", { class: "xaiw-name" }, layer.name.slice(prefix.length) + star),
      h("small", {}, layer.shape.join("\u00d7")),
    );
  }

  function fill(): void {
    const layers = store.setup?.layers ?? [];
    const asked = store.asked("layers") ?? [];
    const main = layers.filter((layer) => layer.main || asked.includes(layer.name));
    const shown = everything ? layers : main;
    const key = JSON.stringify(shown.map(({ name }) => name));
    if (key !== built) {
      built = key;
      const prefix = commonPath(shown.map(({ name }) => name));
      list.replaceChildren(...shown.map((layer) => row(layer, prefix)));
    }
    for (const box of list.querySelectorAll("input")) box.checked = asked.includes(box.value);
    setText(
      note,
      !layers.length ? "none found" : asked.length ? `${asked.length} chosen` : "chosen for the model",
    );
    toggle.hidden = main.length === layers.length;
    setAttr(toggle, "aria-pressed", everything);
    setText(toggle, everything ? "Main layers only" : `All ${layers.length} layers`);
  }
  return {
    root,
    update(change: Change) {
      if (change === "setup" || change === "traits") fill();
    },
  };
}

/** Other classes whose bars stand beside the target's. */
export function compareList(context: Context, store: WorkbenchStore): Part {
  const chips = h("span", { class: "xaiw-chips" });
  const select = h("select", { "aria-label": "Compare with the class" });
  const root = h(
    "section",
    { class: "xaiw-section xaiw-compare" },
    h("div", { class: "xaiw-heading" }, h("h3", {}, "Compare with")),
    h("div", { class: "xaiw-fields" }, chips, select),
  );
  const asked = () => store.asked("compare") ?? [];
  select.addEventListener("change", () => {
    if (!select.value) return;
    const index = Number(select.value);
    store.ask({ compare: [...asked(), index] });
    context.announce(`Beside ${store.label(index)}`);
  });
  function fill(): void {
    const labels = store.setup?.labels ?? [];
    const target = store.resolvedTarget?.index;
    const compare = asked();
    chips.replaceChildren(
      ...compare.map((index) =>
        h(
          "button",
          {
            type: "button",
            class: "xaiw-chip",
            "aria-label": `Leave out ${store.label(index)}`,
            title: "Leave it out",
            onclick: () => {
              store.ask({ compare: compare.filter((other) => other !== index) });
              select.focus();
            },
          },
          store.label(index),
          " \u00d7",
        ),
      ),
    );
    chips.hidden = !compare.length;
    const order = [...labels.keys()].filter((index) => index !== target && !compare.includes(index));
    const outputs = store.outputs;
    if (outputs) order.sort((a, b) => outputs[b] - outputs[a]);
    select.replaceChildren(
      h("option", { value: "" }, "Add a class \u2026"),
      ...order.map((index) => h("option", { value: index }, store.label(index))),
    );
    select.disabled = !order.length || compare.length >= MOST_CLASSES;
    root.hidden = labels.length < 2;
  }
  return {
    root,
    update(change: Change) {
      if (change === "setup" || change === "prediction" || change === "traits") fill();
    },
  };
}

export function testForm(context: Context, store: WorkbenchStore): Part {
  const classifier = h("select", { "aria-label": "Classifier" });
  classifier.addEventListener("change", () => store.ask({ classifier: classifier.value }));
  const pooled = segmented(
    "radiogroup",
    "Activations",
    [
      {
        value: "pooled",
        text: "Pooled",
        title: "The mean over all places: what is there, not where. Fast and steady",
      },
      { value: "full", text: "Full", title: "Every place on its own: needs more examples, and more time" },
    ],
    (value) => store.ask({ pooled: value === "pooled" }),
  );
  const against = segmented(
    "radiogroup",
    "Against",
    [
      { value: "random", text: "Random", title: "Against many random sets" },
      { value: "others", text: "Others", title: "Against the other concepts: a relative concept" },
    ],
    (value) => store.ask({ against: value as "random" | "others" }),
  );
  const row = (text: string, child: Node) =>
    h("div", { class: "xaiw-field" }, h("span", {}, text), h("span", { class: "xaiw-input" }, child));
  const test = h("button", { type: "button", class: "xaiw-test" }, "Test");
  const note = h("small", { class: "xaiw-test-note" });
  test.addEventListener("click", () => {
    const testing = !store.asked("testing");
    store.ask({ testing });
    context.announce(testing ? "Testing. Every change is scored again." : "Not testing any more.");
  });
  const root = h(
    "section",
    { class: "xaiw-section" },
    h("div", { class: "xaiw-heading" }, h("h3", {}, "Test")),
    h(
      "div",
      { class: "xaiw-fields" },
      row("Classifier", classifier),
      row("Activations", pooled.root),
      row("Against", against.root),
      test,
      note,
    ),
  );

  function show(): void {
    const choices = store.workbench?.classifiers ?? [];
    if (classifier.options.length !== choices.length) {
      classifier.replaceChildren(...choices.map(({ name, title }) => h("option", { value: name }, title)));
    }
    classifier.value = store.asked("classifier") ?? "";
    setAttr(classifier, "title", classifier.selectedOptions[0]?.text ?? null);
    pooled.select(store.asked("pooled") === false ? "full" : "pooled");
    against.select(store.asked("against"));
    const testing = Boolean(store.asked("testing"));
    setText(test, testing ? "Stop testing" : "Test");
    setAttr(test, "data-testing", testing);
    const ready = store.concepts.some(({ role, n_included: n }) => role === "concept" && n > 0);
    test.disabled = !testing && (!ready || !store.testable);
    const { progress } = store;
    const far = progress?.total ? ` ${progress.done} of ${progress.total}` : "";
    setText(
      note,
      testing && store.busy && progress
        ? `${progress.text}${far}`
        : testing
          ? "Every change is scored again at once."
          : !store.testable
            ? "This model cannot be tested."
            : ready
              ? "Does the model use the concepts for this class?"
              : "Mark some examples of a concept first.",
    );
  }
  return {
    root,
    update(change: Change) {
      if (["setup", "traits", "shelf", "bars", "status"].includes(change)) show();
    },
  };
}
