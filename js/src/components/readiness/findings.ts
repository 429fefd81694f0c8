// The findings by level, worst first, each with what to do about it; what passed is counted and folded away.

import { h } from "../../core/dom";
import type { FindingLevel, Report, ReportFinding } from "../../core/report";

const LEVELS: [FindingLevel, (n: number) => string][] = [
  ["error", (n) => (n === 1 ? "Error" : `${n} errors`)],
  ["warning", (n) => (n === 1 ? "Warning" : `${n} warnings`)],
  ["info", (n) => (n === 1 ? "Note" : `${n} notes`)],
];

/** `onLayer` is called with the layer of a finding that somebody wants to see. */
export function findingsList(onLayer: (name: string) => void): {
  root: HTMLElement;
  show(report: Report): void;
} {
  const groups = h("div", { class: "xaiw-found" });
  const root = h(
    "section",
    { class: "xaiw-section" },
    h("div", { class: "xaiw-heading" }, h("h3", {}, "Findings")),
    groups,
  );

  function item(finding: ReportFinding, known: Set<string>): HTMLElement {
    const { layer, cause } = finding;
    const where =
      layer === null || layer === ""
        ? null
        : known.has(layer)
          ? h("button", { type: "button", class: "xaiw-link", onclick: () => onLayer(layer) }, layer)
          : h("span", {}, layer);
    return h(
      "li",
      { "data-check": finding.check },
      h("p", {}, finding.text),
      finding.advice && h("p", { class: "xaiw-advice" }, finding.advice),
      (where || cause) &&
        h(
          "p",
          { class: "xaiw-where" },
          where && h("small", {}, "Layer "),
          where,
          cause && h("small", {}, where ? " \u00b7 cause " : "Cause "),
          cause && h("code", {}, cause),
        ),
    );
  }

  function show(report: Report): void {
    const known = new Set(report.layers.map((layer) => layer.name));
    const of = (level: FindingLevel) => report.findings.filter((finding) => finding.level === level);
    const passed = of("ok");
    const open = groups.querySelector("details")?.open ?? passed.length === report.findings.length;
    groups.replaceChildren(
      ...LEVELS.flatMap(([level, title]) => {
        const found = of(level);
        if (found.length === 0) return [];
        return [
          h(
            "div",
            { class: `xaiw-group xaiw-group-${level}` },
            h("h4", {}, title(found.length)),
            h("ul", {}, ...found.map((finding) => item(finding, known))),
          ),
        ];
      }),
      ...(passed.length
        ? [
            h(
              "details",
              { class: "xaiw-group xaiw-group-ok", open },
              h("summary", {}, passed.length === 1 ? "1 check passed" : `${passed.length} checks passed`),
              h("ul", {}, ...passed.map((finding) => item(finding, known))),
            ),
          ]
        : []),
    );
  }
  return { root, show };
}
