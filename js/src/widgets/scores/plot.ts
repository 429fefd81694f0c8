// One score as a bar with its interval; changes move it, so that the eye can follow what an edit does.
import type { ScoreRecord } from "../../core/concepts";
import { h, setAttr, setText } from "../../core/dom";
import { percent, signed } from "../../core/format";

export const finite = (value: number | null): value is number => value !== null && Number.isFinite(value);

/** p as people write it. */
export const pText = (p: number | null) =>
  finite(p) ? (p < 0.001 ? "< 0.001" : p.toFixed(p < 0.01 ? 3 : 2)) : "\u2026";

/** Why a concept is not scored; reasons may begin with the words themselves. */
export function refusal({ note }: ScoreRecord): string {
  if (!note) return "not testable: no reason given";
  return /^not testable/i.test(note) ? note.charAt(0).toLowerCase() + note.slice(1) : `not testable: ${note}`;
}

/** A score in one sentence. */
export function sentence(record: ScoreRecord): string {
  const where = `${record.concept} at ${record.layer} for ${record.class}`;
  if (!record.testable) return `${where}: ${refusal(record)}`;
  const interval =
    finite(record.low) && finite(record.high) ? `, from ${signed(record.low)} to ${signed(record.high)}` : "";
  const p = record.p_adjusted ?? record.p;
  const verdict =
    record.significant === null || p === null
      ? "significance not known yet"
      : `${record.significant ? "significant" : "not significant"}, p ${pText(p)}`;
  const fraction = finite(record.score) ? `; ${percent(record.score)} of the images agree` : "";
  return `${where}: ${signed(record.magnitude)}${interval}, ${verdict}${fraction}`;
}

/** Ends of an axis, so coarse that most edits leave it where it is. */
const ENDS = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];

/** End of the axis: a round number that holds every interval. */
export function axisOf(records: readonly ScoreRecord[]): number {
  const values = records
    .filter(({ testable }) => testable)
    .flatMap(({ magnitude: value, low, high }) => [value, low, high])
    .filter(finite)
    .map(Math.abs);
  const most = Math.max(...values, 0);
  if (!most) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  const end = ENDS.find((each) => each * power >= most * (1 - 1e-9)) ?? 10;
  return Number((end * power).toPrecision(3));
}

export interface Plot {
  /** The cells of one score: the bar, and the share of the images beside it unless it stands for all classes. */
  cells: HTMLElement[];
  set(record: ScoreRecord | null, axis: number): void;
}

export function plot(alone: boolean): Plot {
  const bar = h("i");
  const whisker = h("s");
  const star = h("b");
  const words = h("em");
  const cell = h("span", { class: "xaiw-plot", "aria-hidden": "true" }, bar, whisker, star, words);
  const fraction = h("small", { class: "xaiw-fraction", "aria-hidden": "true" });
  cell.classList.toggle("is-alone", alone);
  return {
    cells: alone ? [cell] : [cell, fraction],
    set(record, axis) {
      const testable = record?.testable === true;
      cell.classList.toggle("is-untestable", record !== null && !testable);
      bar.hidden = whisker.hidden = star.hidden = !testable;
      words.hidden = testable || !record;
      setText(words, record && !testable ? refusal(record) : "");
      setText(fraction, testable && finite(record.score) ? percent(record.score) : "");
      setText(star, testable && record.significant ? "\u2217" : "");
      setAttr(cell, "data-significant", testable ? (record.significant ?? "open") : null);
      if (!testable) return;
      const at = (value: number) => 50 + 42 * Math.max(-1, Math.min(1, value / axis));
      const value = record.magnitude ?? 0;
      const low = record.low ?? value;
      const high = record.high ?? value;
      bar.style.left = `${Math.min(50, at(value))}%`;
      bar.style.width = `${Math.abs(at(value) - 50)}%`;
      whisker.hidden = !finite(record.low) || !finite(record.high);
      whisker.style.left = `${at(low)}%`;
      whisker.style.width = `${at(high) - at(low)}%`;
      star.className = value >= 0 ? "is-right" : "is-left";
      star.style.left = `${at(value >= 0 ? Math.max(value, high) : Math.min(value, low))}%`;
    },
  };
}
