import axe from "axe-core";
import { expect, test } from "vitest";
import "../dev/themes.css";
import { manyMethods } from "./mock_kernel";
import { button, frames, mount, option } from "./mount";

const RULER = { type: "rect", x: 11, y: 111, width: 106, height: 14 } as const;

async function violations(root: HTMLElement): Promise<string[]> {
  document.body.style.overflow = "visible";
  const { violations: found } = await axe.run(root, { resultTypes: ["violations"] });
  return found.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${id}: ${node.html.slice(0, 120)} ${node.any[0]?.message ?? ""}`),
  );
}

test("axe sees a planted fault", async () => {
  const { root } = mount();
  const fault = document.createElement("p");
  fault.textContent = "Hardly to be read";
  fault.style.cssText = "color:#ddd;background:#fff";
  root.append(fault);
  expect(await violations(root)).toEqual([expect.stringContaining("color-contrast")]);
});

test.each([
  ["light", 1120],
  ["dark", 1120],
  ["light", 480],
  ["dark", 640],
] as const)("axe finds nothing in the %s theme at %i px", async (theme, width) => {
  document.body.dataset.jpThemeLight = String(theme === "light");
  const { root } = mount({ width, traits: { region: RULER, ablation: "blur" } });
  await frames();
  for (const toggle of root.querySelectorAll<HTMLElement>(
    ".xaiw-fold-button[aria-expanded=false], .xaiw-badge",
  ))
    toggle.click();
  expect(await violations(root)).toEqual([]);
});

test.each([
  ["light", { setup: { methods: manyMethods() }, traits: { method: "shap_1" } }],
  ["dark", { setup: { methods: manyMethods() }, traits: { method: "shap_1" } }],
  ["dark", { setup: { task: "segmentation" as const }, traits: { region: RULER } }],
  ["light", { traits: { target: { kind: "function" as const, name: "my score" } } }],
])(
  "axe finds nothing in the %s theme with many methods, a segmentation, an own target",
  async (theme, options) => {
    document.body.dataset.jpThemeLight = String(theme === "light");
    const { root } = mount(options);
    await frames();
    expect(await violations(root)).toEqual([]);
  },
);

test.each(["light", "dark"])("axe finds nothing in the %s theme's other states", async (theme) => {
  document.body.dataset.jpThemeLight = String(theme === "light");
  const busy = mount({ manual: true, setup: { labels: Array.from({ length: 30 }, (_, i) => `class ${i}`) } });
  busy.kernel.finish();
  button(busy.root, "All 30 classes").click();
  button(busy.root, "Brush").click();
  option(busy.root, "Method", "grad_cam").click();
  busy.model.receive("progress", { done: 1, total: 4, stage: "explain", text: "" }, busy.kernel.revision);
  expect(await violations(busy.root)).toEqual([]);

  const failed = mount({ manual: true });
  failed.model.receive(
    "error",
    { message: "It failed.", traceback: "Traceback", stage: "explain" },
    failed.kernel.revision,
  );
  (failed.root.querySelector("details") as HTMLDetailsElement).open = true;
  expect(await violations(failed.root)).toEqual([]);

  const refused = mount({
    manual: true,
    setup: {
      methods: [],
      layers: [],
      verdict: { verdict: "inference-only", sentence: "It only predicts.", findings: [] },
    },
  });
  refused.kernel.picture();
  expect(await violations(refused.root)).toEqual([]);

  const waiting = mount({ silent: true });
  expect(await violations(waiting.root)).toEqual([]);
});
