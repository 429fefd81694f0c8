// The status line: verdict, facts, notes, progress, Cancel and Retry; an error is a sentence, its traceback folded away.

import { h, setAttr, setText, uniqueId } from "../core/dom";
import { seconds } from "../core/format";
import type { Finding } from "../core/protocol";
import type { Change, Context, Part } from "./context";

const GOOD = ["explainable", "input-gradients-only", "layer-gradients-only"];
const SILENT =
  "No answer from the kernel: it is busy with a cell, or it was restarted and the cell must be run again.";

export function statusLine(context: Context): Part {
  const { store } = context;
  const foldId = uniqueId("findings");
  const badge = h("button", {
    type: "button",
    class: "xaiw-badge",
    "aria-expanded": "false",
    "aria-controls": foldId,
    hidden: true,
  });
  const facts = h("span", { class: "xaiw-facts" });
  const message = h("span", { class: "xaiw-status-message", role: "status" });
  const more = h("button", {
    type: "button",
    class: "xaiw-note",
    "aria-expanded": "false",
    "aria-controls": foldId,
    hidden: true,
  });
  const bar = h("progress", { "aria-label": "Progress" });
  const done = h("span", { class: "xaiw-done" });
  const cancel = h("button", { type: "button", class: "xaiw-link", onclick: () => store.cancel() }, "Cancel");
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
  const work = h("span", { class: "xaiw-work" }, bar, done, cancel);
  const trace = h("pre", { tabindex: 0, role: "region", "aria-label": "Traceback" });
  const details = h(
    "details",
    { class: "xaiw-traceback", hidden: true },
    h("summary", {}, "Traceback"),
    trace,
  );
  const fold = h("div", { id: foldId, class: "xaiw-findings", hidden: true });
  const line = h(
    "div",
    { class: "xaiw-status" },
    badge,
    facts,
    more,
    message,
    h("span", { class: "xaiw-space" }),
    work,
    details,
    retry,
  );
  const root = h("div", { class: "xaiw-foot" }, fold, line);

  const toggleFold = () => {
    fold.hidden = !fold.hidden;
    for (const button of [badge, more]) setAttr(button, "aria-expanded", !fold.hidden);
  };
  badge.addEventListener("click", toggleFold);
  more.addEventListener("click", toggleFold);

  const item = ({ level, text }: Finding) =>
    h(
      "li",
      { class: `xaiw-level-${level}` },
      h("span", {}, level === "info" ? "Note" : level === "warning" ? "Warning" : "Error"),
      " ",
      text,
    );

  function verdict(): void {
    const { setup, result } = store;
    const verdict = setup?.verdict;
    badge.hidden = !verdict;
    if (verdict && setup) {
      setText(badge, verdict.verdict.replaceAll("-", " "));
      setAttr(badge, "title", verdict.sentence);
      badge.classList.toggle("is-bad", !GOOD.includes(verdict.verdict));
      const notes = result?.notes ?? [];
      const about = `${setup.title} (${setup.framework}). ${verdict.sentence} Input: ${setup.preprocessing}`;
      fold.replaceChildren(h("p", {}, about), h("ul", {}, ...[...notes, ...verdict.findings].map(item)));
    }
    const first = result?.notes.find((note) => note.level !== "info") ?? result?.notes[0];
    more.hidden = !first || store.state !== "idle";
    if (first) {
      setText(more, first.text);
      setAttr(more, "title", first.text);
      more.className = `xaiw-note xaiw-level-${first.level}`;
    }
  }

  function show(): void {
    const { state, progress, error, result } = store;
    const busy = state === "busy" || (state === "empty" && store.setup === null);
    work.classList.toggle("is-idle", !busy);
    const known = progress && progress.total > 0;
    if (known) {
      bar.max = progress.total;
      bar.value = Math.min(progress.done, progress.total);
    } else bar.removeAttribute("value");
    setText(done, known ? `${progress.done} of ${progress.total}` : "");
    cancel.hidden = state !== "busy";
    retry.hidden = !["error", "cancelled", "silent"].includes(state);
    const text = {
      empty: store.setup ? "No images." : "Connecting to the kernel",
      busy: progress?.text ?? "",
      idle: "",
      error: error?.message ?? "",
      cancelled: store.cancelled || "Cancelled.",
      silent: SILENT,
    }[state];
    setText(message, text);
    setAttr(message, "title", text || null);
    root.classList.toggle("is-error", state === "error");
    root.classList.toggle("is-warning", state === "silent");
    const hasTrace = state === "error" && Boolean(error?.traceback);
    if (!hasTrace) details.open = false;
    details.hidden = !hasTrace;
    setText(trace, error?.traceback ?? "");
    const shownFacts = result && (state === "idle" || state === "busy") ? [...result.facts] : [];
    if (result) {
      shownFacts.push({
        text: result.cached ? `${seconds(result.seconds)}, cached` : seconds(result.seconds),
        title: result.cached ? "Computed before, shown again" : "Time in the kernel",
      });
    }
    facts.hidden = state !== "idle" && state !== "busy";
    facts.replaceChildren(
      ...shownFacts.flatMap((fact, index) => [
        index ? " \u00b7 " : "",
        h("span", { title: fact.title }, fact.text),
      ]),
    );
    verdict();
  }

  function update(change: Change): void {
    if (change === "status" || change === "setup" || change === "traits") show();
  }
  return { root, update };
}
