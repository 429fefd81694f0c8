// The verdict in one line, a coloured dot, a word and a sentence; and below it what model this is.

import { h, setAttr, setText } from "../../core/dom";
import { type Report, tone, verdictWords } from "../../core/report";

export interface VerdictLine {
  root: HTMLElement;
  set(verdict: { verdict: string; sentence: string; ok?: boolean }): void;
  /** What is said while there is no verdict. */
  without(word: string, sentence: string, bad: boolean): void;
}

export function verdictLine(): VerdictLine {
  const word = h("b", { class: "xaiw-verdict-word" });
  const sentence = h("span");
  const root = h("p", { class: "xaiw-verdict" }, word, " ", sentence);
  const say = (colour: string, first: string, rest: string) => {
    setAttr(root, "data-tone", colour);
    setText(word, first);
    setText(sentence, rest);
  };
  return {
    root,
    set({ verdict, sentence: text, ok }) {
      say(ok === false ? "bad" : tone(verdict), verdictWords(verdict), text);
    },
    without(first, rest, bad) {
      say(bad ? "bad" : "none", first, rest);
    },
  };
}

const by = (shape: readonly number[]) => shape.join(" \u00d7 ");

/** What was checked, as a line of facts; hosts style definition lists in ways of their own. */
export function modelFacts({ model }: Report): HTMLElement {
  const facts: [string, string][] = [
    ["Model", model.class],
    ["Framework", model.framework],
    ["Format", model.format + (model.trusted ? ", trusted" : "")],
    ["Input", by(model.input_shape)],
    ["Outputs", String(model.n_outputs)],
    ["Preprocessing", model.preprocessing],
  ];
  return h(
    "p",
    { class: "xaiw-model" },
    ...facts.flatMap(([name, value]) => [h("span", {}, h("span", {}, name), " ", value), " "]),
  );
}
