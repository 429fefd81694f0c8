// The development page: a widget over a fake kernel. ?theme=dark&width=1120&scene=region, or &scene=check-lost
import createAttention from "../src/widgets/attention/index";
import createComparison from "../src/widgets/comparison/index";
import create from "../src/widgets/explorer/index";
import createGallery from "../src/widgets/gallery/index";
import createReadiness from "../src/widgets/readiness/index";
import createScrubber from "../src/widgets/scrubber/index";
import createWorkbench from "../src/widgets/workbench/index";
import { type AttentionOptions, MockAttention } from "../tests/mock_attention";
import { TRAITS as COMPARED, type ComparisonOptions, MockComparison } from "../tests/mock_comparison";
import { TRAITS as GALLERY_TRAITS, type GalleryOptions, MockGallery } from "../tests/mock_gallery";
import { type KernelOptions, MockKernel, manyMethods } from "../tests/mock_kernel";
import { MockModel } from "../tests/mock_model";
import { MockChecker, REPORTS } from "../tests/mock_report";
import { MockScrubber, type ScrubberOptions } from "../tests/mock_scrubber";
import { MockWorkbench, TRAITS, type WorkbenchOptions } from "../tests/mock_workbench";

/** What shows a report, put in by screenshots.mjs. */
declare const REPORT: { script: string; style: string };
/** What shows scores. */
declare const SCORES: { script: string; style: string };
/** What shows the studies of a comparison. */
declare const STUDIES: { script: string; style: string };

const query = new URLSearchParams(location.search);
const scene = query.get("scene") ?? "region";
if (query.get("theme")) document.body.dataset.jpThemeLight = String(query.get("theme") !== "dark");

const RULER = { type: "rect", x: 11, y: 111, width: 106, height: 14 } as const;
const manyLabels = Array.from({ length: 1000 }, (_, index) => `class number ${index}`);
const refused =
  "The scores do not depend on the input through any gradient: this model predicts, but cannot be explained.";
const options: Record<string, KernelOptions> = {
  busy: { manual: true },
  loading: { manual: true },
  error: { manual: true },
  classes: { setup: { labels: manyLabels } },
  refused: {
    manual: true,
    setup: { verdict: { verdict: "inference-only", sentence: refused, findings: [] }, methods: [] },
  },
  methods: { setup: { methods: manyMethods() } },
  dense: { setup: { labels: ["background", "tree", "house", "car"], task: "segmentation" } },
  area: { setup: { labels: ["lesion area"], classifier: false, task: "regression" } },
  neuron: {},
  large: { display: 2400 },
  badge: { report: "lost", module: REPORT },
};
const model = new MockModel(
  scene === "region" || scene === "busy" ? { region: RULER, ablation: "blur" } : {},
);
if (scene === "methods") model.state.method = "shap_1";
if (scene === "dense") model.state.region = RULER;
if (scene === "neuron")
  model.state.target = { kind: "layer", layer: "stage3.block2", channel: 7, position: null, reduce: "max" };
if (scene === "cam") model.state.method = "grad_cam";
const checked = scene.startsWith("check-") ? scene.slice("check-".length) : null;
const attention = scene.startsWith("attention") ? scene : null;
const ATTENTION: Record<string, AttentionOptions> = {
  attention: { heads: 4 },
  "attention-large": { layers: 12, heads: 12, side: 14, prefix: 5 },
  "attention-none": { error: "SmallNet has no attention that can be seen: choose a vision transformer." },
  "attention-busy": { manual: true },
};
if (attention) model.state = { layer: attention === "attention" ? 3 : null, head: "mean", query: [5, 6] };
const scrubber = scene.startsWith("scrubber") ? scene : null;
const SCRUBBER: Record<string, ScrubberOptions> = {
  scrubber: { steps: 64, side: 128, hint: true },
  "scrubber-busy": { steps: 64, side: 128, manual: true },
  "scrubber-none": { error: "The path has no gradients to scrub through." },
};
if (scrubber) model.state = { target: null, baseline: "black", n_steps: 64, path: "straight", region: null };
const workbench = scene.startsWith("workbench") ? scene : null;
const WORKBENCH: Record<string, WorkbenchOptions & { traits?: Partial<typeof TRAITS> }> = {
  workbench: { traits: { testing: true, concept: "ruler" } },
  "workbench-new": {},
  "workbench-empty": { examples: 0 },
  "workbench-classes": { traits: { testing: true, compare: [0], concept: "border" } },
  "workbench-partial": { partial: true, traits: { testing: true } },
  "workbench-busy": { manual: true, traits: { testing: true } },
  "workbench-error": { error: "“hair” has 3 examples: a test needs 5. Mark more, or exclude it." },
  "workbench-conflict": {
    conflict: "Another kernel changed the folder “concepts”: both versions are kept; refresh to go on.",
  },
  "workbench-refused": {
    setup: { verdict: { verdict: "inference-only", sentence: refused, findings: [] }, layers: [] },
  },
  "workbench-suggest": {},
  "workbench-edit": {},
};
if (workbench) model.state = { ...TRAITS, ...WORKBENCH[workbench]?.traits };
const comparison = scene.startsWith("comparison") ? scene : null;
const place = (image: number, method: number) => ({
  models: 0,
  images: image,
  methods: method,
  layers: 0,
  targets: 0,
});
const COMPARISON: Record<string, ComparisonOptions & { traits?: Partial<typeof COMPARED> }> = {
  comparison: { images: 3, failing: [[1, 3]], traits: { selected: [place(0, 2)] } },
  "comparison-many": { images: 40, traits: { sort: { metric: "deletion", axis: "columns" } } },
  "comparison-busy": { images: 3, manual: true },
  "comparison-pair": { images: 2, traits: { selected: [place(0, 0), place(0, 2)], study: "pair" } },
  "comparison-curves": { images: 2, traits: { selected: [place(0, 2)], study: "curves" } },
  "comparison-sanity": { images: 2, traits: { selected: [place(0, 2)], study: "sanity" } },
  "comparison-agreement": { images: 2, traits: { study: "agreement" } },
};
if (comparison) model.state = { ...COMPARED, ...COMPARISON[comparison]?.traits };
const gallery = scene.startsWith("gallery") ? scene : null;
const GALLERY: Record<string, GalleryOptions & { traits?: Partial<typeof GALLERY_TRAITS> }> = {
  gallery: { channels: 128, side: 64, images: 12, traits: { selected: 6 } },
  "gallery-busy": { manual: true, channels: 64, side: 64 },
  "gallery-mix": { side: 64, traits: { selected: 6, mix_with: 8 } },
  "gallery-classes": { side: 64, images: 0, own: ["stripes"], traits: { kind: "classes" } },
  "gallery-region": { side: 64, traits: { region: RULER } },
  "gallery-none": {
    error: "The output of layer “pool” has no channels: choose a layer with height, width and channels.",
  },
  "gallery-refused": { never: true, error: "Pictures are made by gradients, and this model only predicts." },
};
if (gallery) model.state = { ...GALLERY_TRAITS, ...GALLERY[gallery]?.traits };
const kernel =
  scene === "connecting" || checked || attention || scrubber || workbench || comparison || gallery
    ? null
    : new MockKernel(model, options[scene]);
const host = document.getElementById("host") as HTMLElement;
host.style.maxWidth = `${query.get("width") ?? 1120}px`;

const styles = document.createElement("link");
styles.rel = "stylesheet";
const sheet = checked
  ? "readiness"
  : attention
    ? "attention"
    : scrubber
      ? "scrubber"
      : workbench
        ? "workbench"
        : comparison
          ? "comparison"
          : gallery
            ? "gallery"
            : "explorer";
styles.href = `out/${sheet}.css`;
document.head.append(styles);
const widget = checked
  ? createReadiness()
  : attention
    ? createAttention()
    : scrubber
      ? createScrubber()
      : workbench
        ? createWorkbench()
        : comparison
          ? createComparison()
          : gallery
            ? createGallery()
            : create();
if (scrubber) new MockScrubber(model, SCRUBBER[scrubber]);
if (workbench) new MockWorkbench(model, { module: SCORES, ...WORKBENCH[workbench] });
const compared = comparison
  ? new MockComparison(model, { module: STUDIES, ...COMPARISON[comparison] })
  : null;
if (gallery) new MockGallery(model, GALLERY[gallery]);
if (attention) new MockAttention(model, ATTENTION[attention]);
const waits = checked === "busy" || checked === "error";
const checker = checked ? new MockChecker(model, REPORTS[waits ? "lost" : checked](), waits) : null;
const signal = new AbortController().signal;
const props = { model: model.any, signal, experimental: {} as never, host: {} as never };
widget.initialize(props);
widget.render({ ...props, el: host });

if (kernel && scene === "busy") {
  kernel.finish();
  model.set("target", { kind: "class", index: 0, versus: null });
  kernel.job();
  model.receive(
    "progress",
    { done: 42, total: 64, stage: "explain", text: "Integrated gradients" },
    kernel.revision,
  );
}
if (kernel && scene === "error") {
  kernel.picture();
  const traceback = "Traceback (most recent call last):\n  File ...\nxai_widgets.errors.LayerError: ...";
  model.receive(
    "error",
    {
      message: "The layer \u201cstem\u201d gives no gradient: pick one of the main layers.",
      traceback,
      stage: "explain",
    },
    kernel.revision,
  );
}
if (kernel && scene === "refused") {
  kernel.picture();
  model.receive(
    "result",
    { seconds: 0.05, cached: false, target: null, layer: null, facts: [], notes: [] },
    kernel.revision,
  );
}
if (workbench === "workbench-suggest")
  setTimeout(() => {
    for (const link of host.querySelectorAll("button")) if (link.textContent === "Suggest more") link.click();
  }, 300);
if (workbench === "workbench-edit")
  setTimeout(() => {
    host.querySelectorAll<HTMLElement>(".xaiw-example")[2]?.click();
    for (const link of host.querySelectorAll("button")) if (link.textContent === "Edit") link.click();
    for (const link of host.querySelectorAll("button")) if (link.textContent === "Keys") link.click();
  }, 300);
if (compared && comparison === "comparison-busy") {
  const keys = compared.keys();
  for (const key of keys.slice(0, 7)) compared.cell(key);
  const [done] = [keys[7]];
  const cell = { key: done, array: null, state: "computing" as const };
  model.receive("cell", { ...cell, notes: [], message: null, sharing: null } as never, compared.revision);
  model.receive(
    "progress",
    { done: 7, total: keys.length, stage: "explain", text: "Guided backprop" },
    compared.revision,
  );
}
if (scene === "badge") host.querySelector<HTMLElement>(".xaiw-badge")?.click();
if (checked === "error") {
  const traceback = "Traceback (most recent call last):\n  File ...\nxai_widgets.errors.ModelError: ...";
  checker?.fail("The model returned a list: expected scores [N, K].", traceback);
}
Object.assign(window, { model, kernel, checker });
