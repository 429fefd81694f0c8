// One view of the readiness panel: the verdict, the report, the status line. All state is in the store.

import { download, reportView } from "../../components/readiness/report_view";
import { verdictLine } from "../../components/readiness/verdict";
import { type Fact, statusBar } from "../../components/status_bar";
import { h, setAttr, setText } from "../../core/dom";
import type { ReadinessStore } from "./store";

export class Readiness {
  readonly root: HTMLElement;
  #live = h("div", { class: "xaiw-sr", "aria-live": "polite" });
  #verdict = verdictLine();
  #view = reportView((text) => setText(this.#live, text));
  #forget: () => void;

  constructor(
    private readonly store: ReadinessStore,
    signal?: AbortSignal,
  ) {
    const save = h(
      "button",
      { type: "button", class: "xaiw-link", onclick: () => store.report && download(store.report) },
      "Export JSON",
    );
    const again = h(
      "button",
      { type: "button", class: "xaiw-link", onclick: () => store.retry() },
      "Check again",
    );
    const bar = statusBar({
      store,
      facts: () => this.#facts(),
      actions: [save, again],
      nothing: "",
    });
    const foot = h("div", { class: "xaiw-foot" }, bar.line);
    const wait = h("div", { class: "xaiw-report-wait", "aria-hidden": "true" });
    const body = h(
      "div",
      { class: "xaiw-panel" },
      h("div", { class: "xaiw-readiness-head" }, this.#verdict.root),
      wait,
      this.#view.root,
    );
    this.root = h(
      "div",
      {
        class: "xaiw",
        role: "region",
        "aria-label": "Readiness",
        "data-widget": "readiness",
        "data-lm-suppress-shortcuts": "true",
        "data-state": "empty",
        "data-revision": 0,
      },
      body,
      foot,
      this.#live,
    );

    const showReport = () => {
      save.hidden = store.report === null;
      if (!store.report) return;
      this.#view.show(store.report);
      setText(this.#live, `Checked: ${store.report.sentence}`);
    };
    const showState = () => {
      const { state, report, setup } = store;
      const waiting = ["empty", "busy"].includes(state);
      if (report) this.#verdict.set(report);
      else if (setup) {
        const name = setup.framework ? `${setup.title} (${setup.framework})` : setup.title;
        this.#verdict.without(waiting ? "Checking" : "Not checked", name, state === "error");
      } else this.#verdict.without("Readiness", "", false);
      bar.update(foot);
      again.hidden = state !== "idle";
      wait.hidden = report !== null || !waiting;
      body.classList.toggle("is-stale", report !== null && state !== "idle");
      setAttr(this.#view.root, "aria-busy", state === "busy");
      this.root.classList.toggle("has-setup", setup !== null);
      setAttr(this.root, "data-state", state);
      setAttr(this.root, "data-revision", store.finalRevision);
    };
    this.#forget = store.subscribe((topic) => {
      if (topic === "report") showReport();
      showState();
    });
    showReport();
    showState();
    signal?.addEventListener("abort", () => this.remove(), { once: true });
  }

  /** Lets go of everything; safe to call twice, as hosts may do both or neither. */
  remove(): void {
    this.#forget();
    this.root.remove();
  }

  #facts(): Fact[] {
    const versions = Object.entries(this.store.report?.versions ?? {});
    return versions.map(([name, version]) => ({
      text: `${name} ${version}`,
      title: `Checked with ${name} ${version}`,
    }));
  }
}
