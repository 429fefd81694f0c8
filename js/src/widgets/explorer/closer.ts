// The tools that look closer at the Explorer's picture.
import type { Entry } from "../../components/companions";

export const TOOLS: readonly Entry[] = [
  {
    tool: "scrubber",
    title: "Path scrubber",
    help: "Integrated gradients of this picture, step by step; target, baseline and steps are shared",
    method: "integrated_gradients",
    code: "PathScrubber.of(explorer)",
  },
  {
    tool: "attention",
    title: "Attention",
    help: "Where each patch of this picture attends",
    method: "attention_rollout",
    code: "AttentionView(model, image)",
  },
  {
    tool: "features",
    title: "Features",
    help: "What the channels of the layer look for; with a region, those that fire there",
    method: "integrated_gradients",
    code: "FeatureGallery.of(explorer)",
  },
];
