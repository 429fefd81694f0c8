// The workbench's status line: the verdict, facts and the first note of the result, progress, and the list of keys.

import type { Change, Context, Part } from "../../components/context";
import { statusBar } from "../../components/status_bar";
import { showVerdict } from "../../components/verdict_badge";
import { h, setAttr, setText } from "../../core/dom";
import type { WorkbenchStore } from "./store";

export function statusFoot(_context: Context, store: WorkbenchStore, keys: HTMLElement): Part {
  const badge = h("span", { class: "xaiw-badge-text", hidden: true });
  const note = h("span", { class: "xaiw-note", hidden: true });
  const bar = statusBar({
    store,
    lead: [badge],
    notes: [note],
    actions: [keys],
    facts: () => [...(store.result?.facts ?? [])],
    nothing: "No images.",
  });
  const root = h("div", { class: "xaiw-foot" }, bar.line);
  return {
    root,
    update(change: Change) {
      if (!["status", "setup", "traits"].includes(change)) return;
      bar.update(root);
      showVerdict(badge, store.setup?.verdict);
      const notes = store.result?.notes ?? [];
      const first = notes.find(({ level }) => level !== "info") ?? notes[0];
      note.hidden = !first || store.state !== "idle";
      if (first) {
        setText(note, first.text);
        setAttr(note, "title", notes.map(({ text }) => text).join("\n"));
        note.className = `xaiw-note xaiw-level-${first.level}`;
      }
    },
  };
}
