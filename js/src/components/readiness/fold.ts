// The readiness report inside the Explorer: a section below the status line, asked for when it is opened first.

import { h, setAttr, setText, uniqueId } from "../../core/dom";
import type { Finding } from "../../core/protocol";
import type { Context } from "../context";
import { traceback, workLine } from "../status_bar";
import type { ReportView } from "./report_view";
import { verdictLine } from "./verdict";

export interface ReadinessFold {
  root: HTMLElement;
  toggle(): void;
  update(): void;
}

export function readinessFold(context: Context): ReadinessFold {
  const { store } = context;
  const verdict = verdictLine();
  const first = h("ul", { class: "xaiw-first-findings" });
  const message = h("span", { role: "status" });
  const work = workLine(() => store.cancelCheck());
  const line = h("p", { class: "xaiw-checking" }, message, work.root);
  const trace = traceback();
  let view: ReportView | null = null;
  const link = (text: string, onclick: () => void) =>
    h("button", { type: "button", class: "xaiw-link", onclick }, text);
  const again = link("Check again", () => store.requestCheck(true));
  const save = link("Export JSON", () => {
    if (store.report?.report) store.reporter?.download(store.report.report);
  });
  const root = h("section", {
    class: "xaiw-readiness",
    id: uniqueId("readiness"),
    "aria-label": "Readiness",
    hidden: true,
  });
  const actions = h("span", { class: "xaiw-actions" }, save, again);
  const parts = [h("div", { class: "xaiw-readiness-head" }, verdict.root, actions), first, line, trace.root];

  /** What is known before any check: from the format, and from what was assumed while loading. */
  const item = ({ level, text }: Finding) => h("li", { class: `xaiw-level-${level}` }, text);

  function update(): void {
    const { setup, checking, reporter } = store;
    const report = store.report?.report;
    const known = report ?? setup?.verdict;
    if (known) verdict.set(known);
    first.hidden = Boolean(report);
    first.replaceChildren(...(setup?.verdict.findings ?? []).map(item));
    const failed = checking ? null : store.report?.error;
    setText(message, checking?.text ?? failed?.message ?? "");
    work.update(checking, checking !== null);
    line.hidden = !message.textContent;
    root.classList.toggle("is-checking", checking !== null);
    root.classList.toggle("is-error", Boolean(failed?.traceback));
    trace.set(failed?.traceback ?? "");
    save.hidden = !report || !reporter;
    setAttr(again, "aria-disabled", checking ? true : null);
    setAttr(root, "aria-busy", checking !== null);
    if (!report || !reporter) return;
    if (!view) {
      view = reporter.reportView(context.announce);
      root.append(h("style", {}, reporter.style), view.root);
    }
    view.show(report);
  }

  return {
    root,
    toggle() {
      if (!root.childElementCount) root.append(...parts);
      root.hidden = !root.hidden;
      if (!root.hidden && !(store.report && store.reporter)) store.requestCheck();
      update();
    },
    update,
  };
}
