// The scores: a bar with its interval for each concept, layer and class, two-sided around zero.
//
// Significance is a filled bar and a star, never a colour alone; what cannot be tested says why.
import type { Change, Context, Part } from "../../components/context";
import { Listbox } from "../../components/listbox";
import type { ScoreRecord } from "../../core/concepts";
import { h, setAttr, setText } from "../../core/dom";
import { magnitude, percent, signed } from "../../core/format";
import type { WorkbenchStore } from "../workbench/store";

const finite = (value: number | null): value is number => value !== null && Number.isFinite(value);

/** p as people write it. */
export const pText = (p: number | null) =>
  finite(p) ? (p < 0.001 ? "< 0.001" : p.toFixed(p < 0.01 ? 3 : 2)) : "\u2026";

/** Why a concept is not scored; reasons may begin with the words themselves. */
export function refusal({ note }: ScoreRecord): string {
  if (!note) return "not testable: no reason given";
  return /^not testable/i.test(note) ? note.charAt(0).toLowerCase() + note.slice(1) : `not testable: ${note}`;
}

/** A score in one sentence. */
export function sentence(record: ScoreRecord): string {
  const where = `${record.concept} at ${record.layer} for ${record.class}`;
  if (!record.testable) return `${where}: ${refusal(record)}`;
  const interval =
    finite(record.low) && finite(record.high) ? `, from ${signed(record.low)} to ${signed(record.high)}` : "";
  const p = record.p_adjusted ?? record.p;
  const verdict =
    record.significant === null || p === null
      ? "significance not known yet"
      : `${record.significant ? "significant" : "not significant"}, p ${pText(p)}`;
  const fraction = finite(record.score) ? `; ${percent(record.score)} of the images agree` : "";
  return `${where}: ${signed(record.magnitude)}${interval}, ${verdict}${fraction}`;
}

/** Largest magnitude on the axis. */
export function axisOf(records: readonly ScoreRecord[]): number {
  const values = records
    .filter(({ testable }) => testable)
    .flatMap(({ magnitude: value, low, high }) => [value, low, high])
    .filter(finite)
    .map(Math.abs);
  return Math.max(...values, 0) || 1;
}

function plot(record: ScoreRecord | null, axis: number): HTMLElement {
  const cell = h("span", { class: "xaiw-plot", "aria-hidden": "true" });
  if (!record) return cell;
  if (!record.testable) {
    cell.classList.add("is-untestable");
    cell.append(h("em", {}, refusal(record)));
    return cell;
  }
  const at = (value: number) => 50 + 42 * Math.max(-1, Math.min(1, value / axis));
  const bar = h("i");
  const value = record.magnitude ?? 0;
  bar.style.left = `${Math.min(50, at(value))}%`;
  bar.style.width = `${Math.abs(at(value) - 50)}%`;
  cell.append(bar);
  if (finite(record.low) && finite(record.high)) {
    const whisker = h("s");
    whisker.style.left = `${at(record.low)}%`;
    whisker.style.width = `${at(record.high) - at(record.low)}%`;
    cell.append(whisker);
  }
  setAttr(cell, "data-significant", record.significant === null ? "open" : record.significant);
  if (record.significant) {
    const star = h("b", {}, "\u2217");
    const end = value >= 0 ? Math.max(value, record.high ?? value) : Math.min(value, record.low ?? value);
    star.style.left = `${at(end)}%`;
    star.className = value >= 0 ? "is-right" : "is-left";
    cell.append(star);
  }
  return cell;
}

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
  const about = h("small");
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

  function fill(): void {
    const { bars, classes } = store;
    const records = bars?.records ?? [];
    root.style.setProperty("--classes", String(Math.max(1, classes.length)));
    heads.hidden = key.hidden = !records.length;
    setAttr(root, "data-partial", bars?.partial ?? null);
    if (!bars) {
      listbox.setOptions([]);
      setText(about, "");
      setText(note, "");
      return;
    }
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
    const order = store.concepts.map(({ name }) => name);
    const layers = store.setup?.layers.map(({ name }) => name) ?? [];
    const names = [...new Set(records.map(({ concept }) => concept))].sort(
      (a, b) => order.indexOf(a) - order.indexOf(b),
    );
    const options: HTMLElement[] = [];
    const groups = names.map((name) => {
      const own = records.filter(({ concept }) => concept === name);
      const at = [...new Set(own.map(({ layer }) => layer))].sort(
        (a, b) => layers.indexOf(a) - layers.indexOf(b),
      );
      const concept = store.concepts.find((each) => each.name === name);
      const rows = at.map((layer) => {
        const cells = classes.map((each) => store.record(name, layer, each));
        // Whether a concept separates has nothing to do with the class: the reason is given once.
        const alike = cells.every((cell) => cell && !cell.testable && cell.note === cells[0]?.note);
        const row = h(
          "div",
          {
            role: "option",
            class: "xaiw-score",
            "data-value": JSON.stringify([name, layer]),
            "data-text": layer,
            title: cells.flatMap((cell) => (cell ? [sentence(cell)] : [])).join("\n"),
          },
          h("span", { class: "xaiw-name", "aria-hidden": "true" }, layer),
          ...(alike ? cells.slice(0, 1) : cells).flatMap((cell) => {
            const drawn = plot(cell, axis);
            if (alike) drawn.classList.add("is-alone");
            if (cell && !cell.testable) return [drawn];
            const share = cell && finite(cell.score) ? percent(cell.score) : "";
            return [drawn, h("small", { class: "xaiw-fraction", "aria-hidden": "true" }, share)];
          }),
          h("span", { class: "xaiw-sr" }, cells.flatMap((cell) => (cell ? [sentence(cell)] : [])).join(". ")),
        );
        options.push(row);
        return row;
      });
      return h(
        "div",
        {
          role: "group",
          class: "xaiw-score-group",
          "aria-label": name,
          style: `--concept:${concept?.colour ?? "currentColor"}`,
        },
        h(
          "div",
          { class: "xaiw-score-name", "aria-hidden": "true" },
          h("i", { class: "xaiw-dot-mark" }),
          name,
        ),
        ...rows,
      );
    });
    listbox.setOptions(options, groups);
    select();
    const disk = bars.stored ? " \u00b7 from disk" : "";
    setText(
      about,
      `for ${bars.target_text} \u00b7 ${bars.n_images} images \u00b7 \u03b1 ${bars.alpha}${disk}`,
    );
    setAttr(
      about,
      "title",
      "Mean derivative of the class along the concept, over the images of the class. Corrected for the number of tests (Holm).",
    );
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
