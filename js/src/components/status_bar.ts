// The line at the bottom of every tool: facts, message, progress, Cancel and Retry; an error's traceback is folded away.

import { h, setAttr, setText } from "../core/dom";
import { seconds } from "../core/format";
import type { JobState } from "../core/job_store";
import type { Progress } from "../core/protocol";

const SILENT =
  "No answer from the kernel: it is busy with a cell, or it was restarted and the cell must be run again.";

export interface Fact {
  text: string;
  title: string;
}

export interface StatusBarOptions {
  store: JobState;
  /** Stand before the facts, and between them and the message. */
  lead?: Node[];
  notes?: Node[];
  /** Stand at the end, for as long as the tool wants. */
  actions?: Node[];
  /** Short facts of the newest result. */
  facts(): Fact[];
  /** What is said when there is nothing to work on. */
  nothing: string;
  /** What the button says that asks once more. */
  again?(): string;
}

export interface StatusBar {
  /** The line alone; `foot` is given the classes of the state. */
  line: HTMLElement;
  update(foot: HTMLElement): void;
}

export function statusBar(options: StatusBarOptions): StatusBar {
  const { store } = options;
  const facts = h("span", { class: "xaiw-facts" });
  const message = h("span", { class: "xaiw-status-message", role: "status" });
  const work = workLine(() => store.cancel());
  const retry = h(
    "button",
    {
      type: "button",
      class: "xaiw-link",
      hidden: true,
      onclick: () => (store.state === "silent" ? store.hello() : store.retry()),
    },
    "Retry",
  );
  const trace = traceback();
  const line = h(
    "div",
    { class: "xaiw-status" },
    ...(options.lead ?? []),
    facts,
    ...(options.notes ?? []),
    message,
    h("span", { class: "xaiw-space" }),
    work.root,
    trace.root,
    retry,
    ...(options.actions ?? []),
  );

  function update(foot: HTMLElement): void {
    const { state, progress, error, result } = store;
    work.update(progress, state === "busy" || (state === "empty" && store.setup === null), state === "busy");
    setText(retry, options.again?.() ?? "Retry");
    retry.hidden = !["error", "cancelled", "silent"].includes(state);
    const text = {
      empty: store.setup ? options.nothing : "Connecting to the kernel",
      busy: progress?.text ?? "",
      idle: "",
      error: error?.message ?? "",
      cancelled: store.cancelled || "Cancelled.",
      silent: SILENT,
    }[state];
    setText(message, text);
    setAttr(message, "title", text || null);
    foot.classList.toggle("is-error", state === "error");
    foot.classList.toggle("is-warning", state === "silent");
    trace.set(state === "error" ? (error?.traceback ?? "") : "");
    const shown = options.facts();
    if (result) {
      shown.push({
        text: result.cached ? `${seconds(result.seconds)}, cached` : seconds(result.seconds),
        title: result.cached ? "Computed before, shown again" : "Time in the kernel",
      });
    }
    facts.hidden = state !== "idle" && state !== "busy";
    facts.replaceChildren(
      ...shown.flatMap((fact, index) => [
        index ? " \u00b7 " : "",
        h("span", { title: fact.title }, fact.text),
      ]),
    );
  }
  return { line, update };
}

export interface WorkLine {
  root: HTMLElement;
  update(progress: Progress | null, busy: boolean, cancellable?: boolean): void;
}

/** How far a job is, and Cancel. */
export function workLine(onCancel: () => void): WorkLine {
  const bar = h("progress", { "aria-label": "Progress" });
  const done = h("span", { class: "xaiw-done" });
  const cancel = h("button", { type: "button", class: "xaiw-link", onclick: onCancel }, "Cancel");
  const root = h("span", { class: "xaiw-work" }, bar, done, cancel);
  return {
    root,
    update(progress, busy, cancellable = busy) {
      root.classList.toggle("is-idle", !busy);
      const known = progress && progress.total > 0;
      if (known) {
        bar.max = progress.total;
        bar.value = Math.min(progress.done, progress.total);
      } else bar.removeAttribute("value");
      setText(done, known ? `${progress.done} of ${progress.total}` : "");
      cancel.hidden = !cancellable;
    },
  };
}

/** A folded traceback, hidden while there is none. */
export function traceback(): { root: HTMLDetailsElement; set(text: string): void } {
  const trace = h("pre", { tabindex: 0, role: "region", "aria-label": "Traceback" });
  const root = h("details", { class: "xaiw-traceback", hidden: true }, h("summary", {}, "Traceback"), trace);
  return {
    root,
    set(text) {
      if (!text) root.open = false;
      root.hidden = !text;
      setText(trace, text);
    },
  };
}
