// The convergence strip: the gap at every halving of the steps, and in words whether more would help.
import { h, setAttr, setText } from "../../core/dom";
import { signed } from "../../core/format";
import { type PathStack, verdictOf } from "../../core/path_stack";

export interface Strip {
  root: HTMLElement;
  set(stack: PathStack | null): void;
}

export function strip(): Strip {
  const list = h("ol", { class: "xaiw-levels", "aria-label": "Gap by number of evaluations" });
  const words = h("p", { class: "xaiw-strip-words" });
  const root = h(
    "section",
    { class: "xaiw-strip" },
    h("span", { class: "xaiw-strip-title" }, h("b", {}, "Convergence"), h("small", {}, "gap by evaluations")),
    list,
    words,
  );
  return {
    root,
    set(stack) {
      const levels = stack?.convergence() ?? [];
      setAttr(root, "data-empty", !levels.length);
      if (!stack || !levels.length) {
        list.replaceChildren();
        setText(words, stack ? "Refining: the gap is known once every step is there." : "");
        return;
      }
      const { nodes } = stack;
      const change = Math.abs(nodes[nodes.length - 1].scores[0] - nodes[0].scores[0]);
      const most = Math.max(...levels.map(({ gap }) => Math.abs(gap))) || 1;
      list.replaceChildren(
        ...levels.map(({ evaluations, gap }) => {
          const share = change ? `${((Math.abs(gap) / change) * 100).toPrecision(2)} %` : signed(gap);
          const bar = h("i", { "aria-hidden": "true" });
          bar.style.height = `${Math.max(6, (Math.abs(gap) / most) * 100)}%`;
          const title = `${evaluations} evaluations: gap ${signed(gap)}`;
          return h(
            "li",
            { title },
            h("span", { class: "xaiw-level-bar" }, bar),
            h(
              "b",
              {},
              String(Number.parseFloat(share) >= 100 ? `${Math.round(Number.parseFloat(share))} %` : share),
            ),
            h("small", {}, String(evaluations)),
          );
        }),
      );
      setText(words, verdictOf(stack));
    },
  };
}
