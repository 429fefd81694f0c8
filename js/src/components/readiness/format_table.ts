// What each model format allows, with the row of this model marked.

import { h } from "../../core/dom";
import { type Report, type ReportFormat, verdictWords } from "../../core/report";

export function formatTable(): { root: HTMLElement; show(report: Report): void } {
  const body = h("tbody");
  const head = ["Format", "Gradients", "Layers", "Verdict"];
  const root = h(
    "section",
    { class: "xaiw-section xaiw-formats" },
    h("div", { class: "xaiw-heading" }, h("h3", {}, "What each format allows")),
    h("table", {}, h("thead", {}, h("tr", {}, ...head.map((text) => h("th", { scope: "col" }, text)))), body),
  );
  const row = (format: ReportFormat) =>
    h(
      "tr",
      { class: format.this && "is-this", "data-format": format.name },
      h(
        "th",
        { scope: "row" },
        format.title,
        format.this && " ",
        format.this && h("small", {}, "this model"),
      ),
      h("td", {}, format.input_gradients),
      h("td", {}, format.layers),
      h("td", {}, verdictWords(format.verdict)),
    );
  return {
    root,
    show(report) {
      body.replaceChildren(...report.formats.map(row));
      root.hidden = report.formats.length === 0;
    },
  };
}
