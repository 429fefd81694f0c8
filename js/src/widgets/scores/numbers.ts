// Every number of the test in a table, folded away; and how alike the concepts are.
import type { Change, Part } from "../../components/context";
import { h, setText } from "../../core/dom";
import { percent, signed } from "../../core/format";
import type { WorkbenchStore } from "../workbench/store";
import { pText } from "./plot";

const HEADS = [
  "Concept",
  "Layer",
  "Class",
  "Magnitude",
  "Interval",
  "Images that agree",
  "p",
  "p (Holm)",
  "Accuracy",
  "Examples",
  "Note",
];

const share = (value: number | null) => (value === null ? "\u2026" : percent(value));
const range = (low: number | null, high: number | null, text: (value: number) => string) =>
  low === null || high === null ? "\u2026" : `${text(low)} to ${text(high)}`;

export function numbersTable(store: WorkbenchStore): Part {
  const body = h("tbody");
  const root = h(
    "details",
    { class: "xaiw-numbers" },
    h("summary", {}, "All numbers"),
    h(
      "div",
      { class: "xaiw-table", tabindex: 0, role: "region", "aria-label": "All numbers" },
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, ...HEADS.map((head) => h("th", { scope: "col" }, head)))),
        body,
      ),
    ),
  );
  return {
    root,
    update(change: Change) {
      if (change !== "bars" && change !== "setup") return;
      const records = store.bars?.records ?? [];
      root.hidden = !records.length;
      body.replaceChildren(
        ...records.map((record) => {
          const accuracy = `${share(record.accuracy)} (${range(record.accuracy_low, record.accuracy_high, percent)})`;
          const cells = record.testable
            ? [
                signed(record.magnitude),
                range(record.low, record.high, signed),
                share(record.score),
                pText(record.p),
                pText(record.p_adjusted),
              ]
            : ["not testable", "", "", "", ""];
          return h(
            "tr",
            {},
            h("th", { scope: "row" }, record.concept),
            h("td", {}, record.layer),
            h("td", {}, record.class),
            ...cells.map((cell) => h("td", {}, cell)),
            h("td", {}, record.accuracy === null ? "" : accuracy),
            h("td", {}, String(record.n_examples)),
            h("td", { class: "xaiw-note-cell" }, record.note ?? ""),
          );
        }),
      );
    },
  };
}

/** Agreement between the concepts' vectors at the layer shown, as a matrix of cosines. */
export function cosineMatrix(store: WorkbenchStore): Part {
  const table = h("table", { class: "xaiw-cosines" });
  const about = h("small");
  const root = h(
    "section",
    { class: "xaiw-section xaiw-cosine-box" },
    h("div", { class: "xaiw-heading" }, h("h3", {}, "Agreement of concepts"), about),
    h(
      "div",
      { class: "xaiw-table", tabindex: 0, role: "region", "aria-label": "Cosines between the concepts" },
      table,
    ),
  );
  return {
    root,
    update(change: Change) {
      if (!["bars", "traits", "shelf", "setup"].includes(change)) return;
      const layer = store.layerShown;
      const found = store.bars?.cosines.find((each) => each.layer === layer) ?? store.bars?.cosines[0];
      root.hidden = !found || found.names.length < 2;
      if (!found || root.hidden) return;
      const { names, array } = found;
      setText(about, `cosine at ${found.layer}`);
      const head = (name: string, scope: string) => {
        const colour = store.concepts.find((each) => each.name === name)?.colour ?? "currentColor";
        return h(
          "th",
          { scope, title: name, style: `--concept:${colour}` },
          h("i", { class: "xaiw-dot-mark" }),
          h("span", { class: "xaiw-name" }, name),
        );
      };
      const cell = (value: number) => {
        const td = h("td", {}, value.toFixed(2).replace("-", "\u2212"));
        const strength = Math.round(Math.min(1, Math.abs(value)) * 42);
        const colour = value < 0 ? "#d9731a" : "var(--accent)";
        td.style.background = `color-mix(in srgb, ${colour} ${strength}%, var(--bg))`;
        return td;
      };
      table.replaceChildren(
        h("thead", {}, h("tr", {}, h("td"), ...names.map((name) => head(name, "col")))),
        h(
          "tbody",
          {},
          ...names.map((name, i) =>
            h(
              "tr",
              {},
              head(name, "row"),
              ...names.map((_, j) => cell(Number(array.data[i * names.length + j]))),
            ),
          ),
        ),
      );
    },
  };
}
