// A readiness report: model, findings, the gradient at each layer, formats. The panel and the Explorer show the same.

import { h } from "../../core/dom";
import { fileName, type Report } from "../../core/report";
import { findingsList } from "./findings";
import { formatTable } from "./format_table";
import { layerBars } from "./layer_bars";
import { modelFacts } from "./verdict";

export interface ReportView {
  root: HTMLElement;
  show(report: Report): void;
}

export function reportView(announce: (text: string) => void): ReportView {
  const layers = layerBars(announce);
  const findings = findingsList((name) => layers.reveal(name));
  const formats = formatTable();
  const facts = h("div");
  const root = h(
    "div",
    { class: "xaiw-report", hidden: true },
    facts,
    h("div", { class: "xaiw-report-body" }, findings.root, layers.root),
    formats.root,
  );
  return {
    root,
    show(report) {
      root.hidden = false;
      facts.replaceChildren(modelFacts(report));
      findings.show(report);
      layers.show(report);
      formats.show(report);
    },
  };
}

/** Saves the report as a JSON file from what the kernel has sent; nothing is asked of it. */
export function download(report: Report): void {
  const blob = new Blob([`${JSON.stringify(report, null, 2)}\n`], { type: "application/json" });
  const address = URL.createObjectURL(blob);
  const link = h("a", { href: address, download: fileName(report), hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  // Revoked at once, the address would be gone before some browsers have read it.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
