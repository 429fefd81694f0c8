// The verdict on the model, as a badge shows it.
import { setAttr, setText } from "../core/dom";
import { tone, verdictWords } from "../core/report";

/** Shows a verdict with its sentence; hidden while there is none. */
export function showVerdict(
  badge: HTMLElement,
  verdict: { verdict: string; sentence: string } | null | undefined,
): void {
  badge.hidden = !verdict;
  if (!verdict) return;
  setText(badge, verdictWords(verdict.verdict));
  setAttr(badge, "title", verdict.sentence);
  setAttr(badge, "data-tone", tone(verdict.verdict));
}
