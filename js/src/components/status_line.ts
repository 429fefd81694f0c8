// The Explorer's status line: the verdict, which opens the readiness report below, facts and notes of the result.

import { h, setAttr, setText, uniqueId } from "../core/dom";
import type { Finding } from "../core/protocol";
import type { Change, Context, Part } from "./context";
import { readinessFold } from "./readiness/fold";
import { statusBar } from "./status_bar";
import { showVerdict } from "./verdict_badge";

export function statusLine(context: Context): Part {
  const { store } = context;
  const readiness = readinessFold(context);
  const badge = h("button", {
    type: "button",
    class: "xaiw-badge",
    "aria-expanded": "false",
    "aria-controls": readiness.root.id,
    hidden: true,
  });
  const foldId = uniqueId("findings");
  const more = h("button", {
    type: "button",
    class: "xaiw-note",
    "aria-expanded": "false",
    "aria-controls": foldId,
    hidden: true,
  });
  const fold = h("div", { id: foldId, class: "xaiw-findings", hidden: true });
  const bar = statusBar({
    store,
    lead: [badge],
    notes: [more],
    facts: () => (["idle", "busy"].includes(store.state) ? [...(store.result?.facts ?? [])] : []),
    nothing: "No images.",
  });
  const root = h("div", { class: "xaiw-foot" }, fold, bar.line, readiness.root);

  badge.addEventListener("click", () => {
    readiness.toggle();
    setAttr(badge, "aria-expanded", !readiness.root.hidden);
  });
  more.addEventListener("click", () => {
    fold.hidden = !fold.hidden;
    setAttr(more, "aria-expanded", !fold.hidden);
  });

  const item = ({ level, text }: Finding) =>
    h(
      "li",
      { class: `xaiw-level-${level}` },
      h("span", {}, level === "info" ? "Note" : level === "warning" ? "Warning" : "Error"),
      " ",
      text,
    );

  function show(): void {
    showVerdict(badge, store.report?.report ?? store.setup?.verdict);
    const notes = store.result?.notes ?? [];
    const first = notes.find((note) => note.level !== "info") ?? notes[0];
    more.hidden = !first || store.state !== "idle";
    if (first) {
      setText(more, first.text);
      setAttr(more, "title", first.text);
      more.className = `xaiw-note xaiw-level-${first.level}`;
    }
    if (!first) {
      fold.hidden = true;
      setAttr(more, "aria-expanded", false);
    }
    fold.replaceChildren(h("ul", {}, ...notes.map(item)));
  }

  function update(change: Change): void {
    if (change === "status" || change === "setup" || change === "traits") {
      bar.update(root);
      show();
    }
    if (change === "report" || change === "setup") {
      readiness.update();
      show();
    }
  }
  return { root, update };
}
