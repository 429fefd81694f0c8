// The one slider that moves everything: drag, arrow keys, Home and End, play, pause and speed.

import { player } from "../../components/player";
import { signed } from "../../core/format";
import type { ViewState } from "./state";

export interface Timeline {
  root: HTMLElement;
  /** Follows the state: step, number of steps. */
  update(): void;
  stop(): void;
}

const spoken = (value: number) => signed(value).replace("+", "").replace("\u2212", "minus ");

export function timeline(state: ViewState, go: (position: number) => void, extra: Node): Timeline {
  const steps = () => (state.stack?.uneven ? state.stack.nodes.length - 1 : (state.stack?.path.n_steps ?? 1));
  const line = player({
    label: "Step of the path",
    group: "Path",
    at: () => state.at,
    go,
    /** Of uneven steps, to a point that there is. */
    by(delta) {
      const { stack } = state;
      if (!stack?.uneven) return state.at + delta;
      return stack.nodes[Math.max(0, Math.min(steps(), state.index + delta))].position;
    },
    positionOf: (share) => state.stack?.positionOf(share) ?? Number.POSITIVE_INFINITY,
    steps,
    extra,
  });
  return {
    root: line.root,
    update() {
      const { stack } = state;
      const last = stack?.path.n_steps ?? 1;
      if (!stack) {
        line.update({ last, disabled: true, spoken: "no path yet", title: "", about: "" });
        return;
      }
      const node = stack.nodes[state.index];
      const [here, of] = stack.uneven ? [state.index, stack.nodes.length - 1] : [node.position, last];
      const alpha = node.alpha.toFixed(2);
      const value = node.scores[0];
      line.update({
        last,
        fine: stack.uneven,
        disabled: false,
        spoken: `step ${here} of ${of}, alpha ${alpha}, score ${spoken(value)}`,
        title: `Step ${here} of ${of}`,
        about: `\u03b1 ${alpha} \u00b7 score ${signed(value).replace("+", "")}`,
      });
    },
    stop: line.stop,
  };
}
