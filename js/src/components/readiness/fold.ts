// The readiness report inside the Explorer: a section below the status line, asked for when it is opened first.

import { h, setAttr, setText, uniqueId } from "../../core/dom";
import type { Finding } from "../../core/protocol";
import type { Context } from "../context";
import { traceback } from "../status_bar";
import { download, reportView } from "./report_view";
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
  const message = h("p", { class: "xaiw-checking", role: "status" });
  const trace = traceback();
  const view = reportView(context.announce);
  const again = h(
    "button",
    { type: "button", class: "xaiw-link", onclick: () => store.requestCheck(true) },
    "Check again",
  );
  const save = h(
    "button",
    {
      type: "button",
      class: "xaiw-link",
      onclick: () => store.report?.report && download(store.report.report),
    },
    "Export JSON",
  );
  const root = h("section", {
    class: "xaiw-readiness",
    id: uniqueId("readiness"),
    "aria-label": "Readiness",
    hidden: true,
  });
  const actions = h("span", { class: "xaiw-actions" }, save, again);
  const parts = [
    h("div", { class: "xaiw-readiness-head" }, verdict.root, actions),
    first,
    message,
    trace.root,
    view.root,
  ];

  /** What is known before any check: from the format, and from what was assumed while loading. */
  const item = ({ level, text }: Finding) => h("li", { class: `xaiw-level-${level}` }, text);

  function update(): void {
    const { setup, report } = store;
    const known = report?.report ?? setup?.verdict;
    if (known) verdict.set(known);
    first.hidden = Boolean(report?.report);
    first.replaceChildren(...(setup?.verdict.findings ?? []).map(item));
    const failed = !store.checking && report?.error;
    setText(message, store.checking ? "Checking the model" : failed ? failed.message : "");
    message.hidden = !message.textContent;
    root.classList.toggle("is-checking", store.checking);
    root.classList.toggle("is-error", Boolean(failed));
    trace.set(failed ? failed.traceback : "");
    save.hidden = !report?.report;
    setAttr(again, "aria-disabled", store.checking ? true : null);
    if (report?.report) view.show(report.report);
  }

  return {
    root,
    toggle() {
      if (!root.childElementCount) root.append(...parts);
      root.hidden = !root.hidden;
      if (!root.hidden && !store.report) store.requestCheck();
      update();
    },
    update,
  };
}
