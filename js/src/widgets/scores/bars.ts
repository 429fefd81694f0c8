// The scores: a bar with its interval for each concept, layer and class, two-sided around zero.
//
// Significance is a filled bar and a star, never a colour alone; what cannot be tested says why.
import type { Change, Context, Part } from "../../components/context";
import { Listbox } from "../../components/listbox";
import { h, setAttr, setText } from "../../core/dom";
import { magnitude } from "../../core/format";
import type { WorkbenchStore } from "../workbench/store";
import { axisOf, type Plot, plot, sentence } from "./plot";

export function scoreBars(context: Context, store: WorkbenchStore): Part {
  const listbox = new Listbox({
    label: "Scores",
    onPick: (value) => {
      const [concept, layer] = JSON.parse(value) as [string, string];
      store.ask({ concept, layer });
      context.announce(`Showing ${concept} at ${layer}`);
    },
  });
  listbox.root.classList.add("xaiw-scores");
  const title = h("h3", {}, "Scores");
  const about = h("small", {
    title:
      "Mean derivative of the class along the concept, over the images of the class. Corrected for the number of tests (Holm).",
  });
  const note = h("p", { class: "xaiw-advice xaiw-bars-note" });
  const heads = h("div", { class: "xaiw-score-heads", "aria-hidden": "true" });
  const key = h(
    "p",
    { class: "xaiw-score-key", "aria-hidden": "true" },
    h("span", { class: "xaiw-plot is-sample", "data-significant": "true" }, h("i"), h("b", {}, "\u2217")),
    h("span", {}, "significant"),
    h("span", { class: "xaiw-plot is-sample", "data-significant": "false" }, h("i")),
    h("span", {}, "not significant"),
    h("span", {}, "\u00b7 %: images that agree (classic TCAV)"),
  );
  const root = h(
    "section",
    { class: "xaiw-section xaiw-bars-box", "aria-label": "Scores of the concepts" },
    h("div", { class: "xaiw-heading" }, title, about),
    heads,
    listbox.root,
    note,
    key,
  );

  interface Row {
    name: string;
    layer: string;
    /** Whether a concept separates has nothing to do with the class: the reason is given once. */
    alone: boolean;
  }
  interface Drawn {
    row: HTMLElement;
    said: HTMLElement;
    plots: Plot[];
  }
  let drawn = new Map<string, Drawn>();
  let built = "";
  const keyOf = ({ name, layer }: Row) => JSON.stringify([name, layer]);

  /** The rows in the order of the shelf and of the model's layers. */
  function rows(): Row[] {
    const records = store.bars?.records ?? [];
    const order = store.concepts.map(({ name }) => name);
    const layers = store.setup?.layers.map(({ name }) => name) ?? [];
    const found = new Map<string, Row>();
    for (const { concept: name, layer } of records) {
      const cells = store.classes.map((each) => store.record(name, layer, each));
      const alone = cells.every((cell) => cell && !cell.testable && cell.note === cells[0]?.note);
      found.set(JSON.stringify([name, layer]), { name, layer, alone });
    }
    return [...found.values()].sort(
      (a, b) =>
        order.indexOf(a.name) - order.indexOf(b.name) || layers.indexOf(a.layer) - layers.indexOf(b.layer),
    );
  }

  function build(all: Row[]): void {
    drawn = new Map();
    const groups: HTMLElement[] = [];
    const options: HTMLElement[] = [];
    for (const each of all) {
      const { name, layer, alone } = each;
      if (groups.at(-1)?.dataset.concept !== name) {
        const colour = store.concepts.find((concept) => concept.name === name)?.colour ?? "currentColor";
        const dot = h("i", { class: "xaiw-dot-mark" });
        groups.push(
          h(
            "div",
            {
              role: "group",
              class: "xaiw-score-group",
              "aria-label": name,
              "data-concept": name,
              style: `--concept:${colour}`,
            },
            h("div", { class: "xaiw-score-name", "aria-hidden": "true" }, dot, name),
          ),
        );
      }
      const plots = (alone ? store.classes.slice(0, 1) : store.classes).map(() => plot(alone));
      const said = h("span", { class: "xaiw-sr" });
      const row = h(
        "div",
        { role: "option", class: "xaiw-score", "data-value": keyOf(each), "data-text": layer },
        h("span", { class: "xaiw-name", "aria-hidden": "true" }, layer),
        ...plots.flatMap(({ cells }) => cells),
        said,
      );
      groups.at(-1)?.append(row);
      options.push(row);
      drawn.set(keyOf(each), { row, said, plots });
    }
    listbox.setOptions(options, groups);
  }

  function fill(): void {
    const { bars, classes } = store;
    const records = bars?.records ?? [];
    root.style.setProperty("--classes", String(Math.max(1, classes.length)));
    heads.hidden = key.hidden = !records.length;
    setAttr(root, "data-partial", bars?.partial ?? null);
    const axis = axisOf(records);
    heads.replaceChildren(
      h("span"),
      ...classes.flatMap((name) => [
        h(
          "span",
          { class: "xaiw-score-head" },
          h("small", {}, `\u2212${magnitude(axis)}`),
          h("b", { class: "xaiw-name", title: name }, name),
          h("small", {}, `+${magnitude(axis)}`),
        ),
        h("span"),
      ]),
    );
    const all = rows();
    const colours = store.concepts.map(({ name, colour }) => [name, colour]);
    const shape = JSON.stringify([classes, all, colours]);
    if (shape !== built) build(all);
    built = shape;
    for (const each of all) {
      const { row, said, plots } = drawn.get(keyOf(each)) as Drawn;
      const cells = classes.map((of) => store.record(each.name, each.layer, of));
      const sentences = cells.flatMap((cell) => (cell ? [sentence(cell)] : []));
      plots.forEach((one, i) => {
        one.set(cells[i], axis);
      });
      setText(said, sentences.join(". "));
      setAttr(row, "title", sentences.join("\n"));
    }
    select();
    const disk = bars?.stored ? " \u00b7 from disk" : "";
    const what = `for ${bars?.target_text} \u00b7 ${bars?.n_images} images \u00b7 \u03b1 ${bars?.alpha}${disk}`;
    setText(about, bars ? what : "");
  }

  function select(): void {
    const { bars, concept, layerShown: layer } = store;
    listbox.select(JSON.stringify([concept?.name, layer]));
    // What is to be known of the row that is shown: of it alone, so that it is read.
    const own = concept && layer ? store.record(concept.name, layer, store.classes[0] ?? "") : null;
    const words = [
      bars?.partial ? "Significance follows: random concepts are being scored." : "",
      bars?.note ?? "",
      own?.testable && own.note ? `${own.concept} at ${own.layer}: ${own.note}` : "",
    ];
    setText(note, words.filter(Boolean).join(" "));
  }

  return {
    root,
    update(change: Change) {
      if (change === "bars" || change === "setup" || change === "shelf") fill();
      else if (change === "traits") select();
    },
  };
}
