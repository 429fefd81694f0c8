// What tests concepts and shows the outcome: no part of what is saved with the workbench, it comes when a view is shown.
import { type Closer, companions, type Entry, type Host } from "../../components/companions";
import type { Context, Part } from "../../components/context";
import { targetPicker } from "../../components/target_picker";
import type { Desk } from "../workbench/desk";
import type { WorkbenchStore } from "../workbench/store";
import { compareList, layerList, testForm } from "./asking";
import { exampleDetails } from "./details";
import { results } from "./results";
import { suggestionStrip } from "./suggestions";

export { KEYS } from "./keys";
export { toPng } from "./snapshot";

export interface Scores {
  side: Part[];
  details: Part;
  suggestions: Part;
  results: Part;
  closer: Closer;
}

const LOOKS_FOR: Entry = {
  tool: "features",
  title: "Features",
  ask: "What does it look for?",
  help: "Optimises a picture for the concept\u2019s vector in the layer of the map",
  method: "integrated_gradients",
  code: "xw.FeatureGallery(model)",
  again: true,
};

export function scores(context: Context, store: WorkbenchStore, desk: Desk, host?: Host): Scores {
  const closer = companions(store, host, [LOOKS_FOR]);
  return {
    side: [
      ...[targetPicker, compareList, layerList, testForm].map((make) => make(context, store)),
      closer.buttons,
    ],
    details: exampleDetails(context, store, desk),
    suggestions: suggestionStrip(context, store),
    results: results(context, store),
    closer,
  };
}
