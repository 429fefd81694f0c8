// Below the pictures: scores, the sweep, the sorted images, the agreement of concepts; or why there are none yet.
import type { Change, Context, Part } from "../../components/context";
import { h, setAttr, setText } from "../../core/dom";
import type { WorkbenchStore } from "../workbench/store";
import { scoreBars } from "./bars";
import { cosineMatrix, numbersTable } from "./numbers";
import { rankingStrip } from "./ranking";
import { sweepBox } from "./sweep";

export function results(context: Context, store: WorkbenchStore): Part {
  const bars = scoreBars(context, store);
  const sweep = sweepBox(context, store);
  const ranking = rankingStrip(context, store);
  const cosines = cosineMatrix(store);
  const numbers = numbersTable(store);
  const parts = [bars, sweep, ranking, cosines, numbers];
  const empty = h("p", { class: "xaiw-results-empty" });
  const root = h(
    "div",
    { class: "xaiw-results", role: "group", "aria-label": "Results" },
    empty,
    bars.root,
    h("div", { class: "xaiw-beside" }, sweep.root, cosines.root),
    ranking.root,
    numbers.root,
  );

  /** What stands where the scores will be. */
  function reason(): string {
    const { setup, state, error } = store;
    if (setup && !store.testable) {
      return `Concepts can be marked and kept, but not tested. ${setup.verdict.sentence}`;
    }
    if (state === "error") return `No scores. ${error?.message ?? ""}`;
    if (state === "cancelled" && store.asked("testing")) return "Cancelled before there were scores.";
    if (store.asked("testing")) return "The scores appear here.";
    return "Mark some examples of a concept, then press Test: the scores appear here, with how sure they are.";
  }

  return {
    root,
    update(change: Change) {
      for (const part of parts) part.update(change);
      if (["cursor", "draft", "thumbnails", "display"].includes(change)) return;
      const has = Boolean(store.bars?.records.length);
      bars.root.hidden = !has;
      empty.hidden = has;
      setText(empty, store.setup ? reason() : "");
      setAttr(root, "data-empty", !has);
      setAttr(root, "aria-busy", store.busy);
      root.classList.toggle("is-stale", has && store.busy && store.bars?.partial !== true);
    },
  };
}
