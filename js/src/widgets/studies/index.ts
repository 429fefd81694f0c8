// The studies below the grid: which one is open, how far it is, and its cancel. No part of what is saved with the comparison.
import { segmented } from "../../components/controls";
import { workLine } from "../../components/status_bar";
import type { Study } from "../../core/comparison";
import { h, setAttr, setText } from "../../core/dom";
import { nameOf } from "../comparison/state";
import { agreementStudy } from "./agreement";
import { curvesStudy } from "./curves";
import { pairStudy } from "./pair";
import { sanityStudy } from "./sanity";
import type { Scene, StudyView } from "./study";

const STUDIES: { value: Study; text: string; title: string; make: (scene: Scene) => StudyView }[] = [
  { value: "pair", text: "Pair", title: "Two maps against each other", make: pairStudy },
  {
    value: "agreement",
    text: "Agreement",
    title: "Rank correlations between the columns",
    make: agreementStudy,
  },
  {
    value: "curves",
    text: "Deletion and insertion",
    title: "Pixels go or come in order of importance",
    make: curvesStudy,
  },
  { value: "sanity", text: "Sanity", title: "The map while the network forgets", make: sanityStudy },
];

export interface Studies {
  root: HTMLElement;
  update(): void;
  stop(): void;
}

export function studies(scene: Scene): Studies {
  const { store } = scene;
  const open = new Map<Study, StudyView>();
  const choice = segmented("group", "Study", STUDIES, (value) => {
    store.set({ study: store.get("study") === value ? null : (value as Study) });
  });
  const chosen = h("span", { class: "xaiw-chosen" });
  const clear = h("button", { type: "button", class: "xaiw-link" }, "Clear selection");
  clear.addEventListener("click", () => store.set({ selected: [] }));
  const work = workLine(() => store.cancelStudy());
  const body = h("div", { class: "xaiw-study" });
  const root = h(
    "section",
    { class: "xaiw-studies", "aria-label": "Studies" },
    h(
      "div",
      { class: "xaiw-study-bar" },
      choice.root,
      chosen,
      clear,
      h("span", { class: "xaiw-space" }),
      work.root,
    ),
    body,
  );

  function update(): void {
    const study = store.get("study");
    choice.select(study);
    const names = ([0, 1] as const).map((i) => store.chosen(i));
    const said = names.flatMap((key, i) => (key ? [`${"AB"[i]}: ${nameOf(store, key)}`] : []));
    setText(chosen, said.join("  \u00b7  ") || "Select a cell to study its map; Shift selects a second one.");
    setAttr(chosen, "title", said.join("\n") || null);
    clear.hidden = !said.length;
    const { studyState } = store;
    const busy = studyState?.state === "computing";
    work.update(
      busy ? { done: studyState.done, total: studyState.total, stage: "explain", text: "" } : null,
      busy,
    );
    work.root.hidden = !busy;
    body.hidden = study === null;
    for (const [name, view] of open) {
      if (name === study) continue;
      if (!view.root.hidden) view.stop();
      view.root.hidden = true;
    }
    if (!study) return;
    let view = open.get(study);
    if (!view) {
      const spec = STUDIES.find(({ value }) => value === study);
      if (!spec) return;
      view = spec.make(scene);
      open.set(study, view);
      body.append(view.root);
    }
    view.root.hidden = false;
    view.update();
  }
  return {
    root,
    update,
    stop() {
      for (const view of open.values()) view.stop();
    },
  };
}
