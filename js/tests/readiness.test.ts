import axe from "axe-core";
import { describe, expect, test, vi } from "vitest";
import "../dev/themes.css";
import type { Report } from "../src/core/report";
import { REPORTS } from "./mock_report";
import { button, find, frames, mount, mountReadiness, press } from "./mount";

const rows = (root: ParentNode) => [
  ...root.querySelectorAll<HTMLElement>('[role=listbox][aria-label="Layers"] [role=option]'),
];
const row = (root: ParentNode, name: string) =>
  find(root, `[aria-label="Layers"] [data-value="${name}"]`) as HTMLElement;
const names = (root: ParentNode) => rows(root).map((each) => each.dataset.value);
const type = (root: ParentNode, text: string) => {
  const filter = find<HTMLInputElement>(root, 'input[aria-label="Filter layers"]');
  filter.value = text;
  filter.dispatchEvent(new Event("input"));
};

describe("the report", () => {
  test("a view says hello once and shows verdict, model and seconds", () => {
    const { model, root } = mountReadiness("healthy");
    expect(model.kinds()).toEqual(["hello"]);
    expect(root.dataset).toMatchObject({ widget: "readiness", state: "idle", revision: "1" });
    const verdict = find(root, ".xaiw-verdict");
    expect(verdict.textContent).toMatch(/^explainable A gradient flows/);
    expect(verdict.dataset.tone).toBe("good");
    expect(find(root, ".xaiw-model").textContent).toContain("128 \u00d7 128 \u00d7 3");
    expect(find(root, ".xaiw-facts").textContent).toBe("torch 2.13.0 \u00b7 xai_widgets 0.1.0 \u00b7 0.08 s");
  });

  test("findings stand by level, worst first, with what to do, where and why; what passed is folded", () => {
    const { root } = mountReadiness("lost");
    const titles = [...root.querySelectorAll(".xaiw-group h4, .xaiw-group summary")];
    expect(titles.map((title) => title.textContent)).toEqual(["Error", "Warning", "Note", "4 checks passed"]);
    const error = find(root, ".xaiw-group-error");
    expect(find(error, ".xaiw-advice").textContent).toContain("Take the no_grad block");
    expect(find(error, "code").textContent).toBe("no_grad");
    expect(find<HTMLDetailsElement>(root, "details.xaiw-group-ok").open).toBe(false);
  });

  test("the layer at which the gradient ends is marked, and nothing behind it has a bar", () => {
    const { root } = mountReadiness("lost");
    const [last, ...others] = root.querySelectorAll<HTMLElement>(".is-last-dead");
    expect(others).toEqual([]);
    expect(last.dataset.value).toBe("stage2.block2");
    expect(last.textContent).toContain("The gradient ends here: no_grad");
    const dead = rows(root).filter((each) => each.classList.contains("is-dead"));
    expect(dead.map((each) => each.dataset.value)).toEqual(names(root).slice(0, dead.length));
    for (const each of rows(root)) {
      const width = find(each, ".xaiw-track b").getBoundingClientRect().width;
      if (dead.includes(each)) expect(width).toBe(0);
      else expect(width).toBeGreaterThan(1);
      expect(find(each, ".xaiw-number").textContent).toContain(dead.includes(each) ? "none" : "0.");
    }
  });

  test("a gradient that arrives and is next to nothing is marked, with a bar of what is left", () => {
    const { root } = mountReadiness("faded");
    const [last, ...others] = root.querySelectorAll<HTMLElement>(".is-last-dead");
    expect(others).toEqual([]);
    expect(last.dataset.value).toBe("stage2.block2");
    expect(last.textContent).toContain("next to nothing from here on: vanishing");
    const faint = rows(root).filter((each) => each.classList.contains("is-faint"));
    expect(faint.map((each) => each.dataset.value)).toEqual(names(root).slice(0, faint.length));
    const colour = (each: HTMLElement) => getComputedStyle(find(each, ".xaiw-track b")).backgroundColor;
    expect(colour(faint[0])).not.toBe(colour(rows(root)[faint.length]));
    expect(find(root, ".xaiw-heading small").textContent).toBe("input first, score last");
  });

  test("bars are as long as the logarithms of the norms, under one axis", () => {
    const { root } = mountReadiness("healthy");
    const report = REPORTS.healthy();
    const track = find(rows(root)[0], ".xaiw-track").getBoundingClientRect();
    const marks = [...root.querySelectorAll<HTMLElement>(".xaiw-axis span")];
    expect(marks.map((mark) => mark.textContent)).toEqual([
      "10\u2070",
      "10\u207b\u00b9",
      "10\u207b\u00b2",
      "10\u207b\u00b3",
    ]);
    const middle = (mark: HTMLElement) => {
      const { left, width } = mark.getBoundingClientRect();
      return left + width / 2;
    };
    expect(Math.abs(middle(marks[0]) - track.right)).toBeLessThan(2);
    expect(Math.abs(middle(marks[3]) - track.left)).toBeLessThan(2);
    for (const each of rows(root)) {
      const layer = report.layers.find(({ name }) => name === each.dataset.value);
      const share = (Math.log10(layer?.gradient_norm ?? 0) + 3) / 3;
      const bar = find(each, ".xaiw-track b").getBoundingClientRect();
      expect(bar.width / track.width).toBeCloseTo(share, 1);
      expect(bar.left).toBeCloseTo(track.left, 0);
    }
  });

  test("main layers come first, all on demand, many can be filtered", () => {
    const { root } = mountReadiness("healthy");
    expect(names(root)).toHaveLength(12);
    expect(names(root)).not.toContain("stage1.block1.conv1");
    expect(find(row(root, "stage4.block2"), '[aria-label="recommended"]')).not.toBeNull();
    button(root, "All 28 layers").click();
    expect(names(root)).toHaveLength(28);
    type(root, "CONV1");
    expect(names(root)).toHaveLength(8);
    type(root, "nothing like it");
    expect(find(root, ".xaiw-none").textContent).toBe("No layer has this in its name.");
    expect(find(root, ".xaiw-gradients-box").hidden).toBe(true);
  });

  test("arrows, Home, End and letters move in the list; Enter shows the layer in full", () => {
    const { root } = mountReadiness("lost");
    const list = rows(root);
    list[0].focus();
    press(list[0], "End");
    expect(document.activeElement).toBe(list[list.length - 1]);
    press(list[list.length - 1], "ArrowUp");
    expect((document.activeElement as HTMLElement).dataset.value).toBe("stage4.block2");
    press(document.activeElement as Element, "Enter");
    const detail = find(root, ".xaiw-layer-detail");
    expect(detail.hidden).toBe(false);
    expect(detail.textContent).toMatch(
      /stage4\.block2, ResidualBlock, 8 \u00d7 8 \u00d7 64, gradient 0\.\d+, recommended/,
    );
    press(document.activeElement as Element, "Enter");
    expect(detail.hidden).toBe(true);
    press(document.activeElement as Element, "h");
    expect((document.activeElement as HTMLElement).dataset.value).toBe("head");
  });

  test("the layer of a finding leads to its row, shown before or not", () => {
    const { model, root, checker } = mountReadiness("lost");
    const report: Report = { ...REPORTS.lost() };
    report.findings = [{ ...report.findings[0], level: "info", layer: "stage1.block1.conv1" }];
    model.receive("report", { report, error: null }, checker.revision);
    expect(names(root)).not.toContain("stage1.block1.conv1");
    button(root, "stage1.block1.conv1").click();
    expect((document.activeElement as HTMLElement).dataset.value).toBe("stage1.block1.conv1");
    expect(find(root, ".xaiw-layer-detail").textContent).toContain("no gradient arrives");
  });

  test("the format of this model is marked in the table", () => {
    const { root } = mountReadiness("onnx");
    const marked = root.querySelectorAll("tr.is-this");
    expect(marked).toHaveLength(1);
    expect(marked[0].textContent).toContain("this model");
    expect((marked[0] as HTMLElement).dataset.format).toBe("onnx");
    expect(root.querySelectorAll("tbody tr")).toHaveLength(8);
    expect(find(root, ".xaiw-architecture .xaiw-none").textContent).toBe(
      "This format has no layers to look at.",
    );
  });

  test("a model that does not predict what its reference does keeps its verdict, in red", () => {
    const { model, root, checker } = mountReadiness("healthy");
    model.receive("report", { report: { ...REPORTS.healthy(), ok: false }, error: null }, checker.revision);
    const verdict = find(root, ".xaiw-verdict");
    expect(verdict.textContent).toContain("explainable");
    expect(verdict.dataset.tone).toBe("bad");
  });

  test("a model that is not finite names the layer and calls nothing dead", () => {
    const { root } = mountReadiness("broken");
    expect(root.querySelector(".is-dead")).toBeNull();
    expect(row(root, "stage3.block1").textContent).toContain("not finite");
    expect(row(root, "stage3.block1").textContent).toContain("not_finite");
    expect(find(row(root, "stem"), ".xaiw-number").textContent).toContain("\u2013");
  });

  test("whatever a model is called is text", () => {
    const { model, root, checker } = mountReadiness("lost");
    const text = JSON.stringify(REPORTS.lost())
      .replaceAll("stage2.block2", "<img src=x>")
      .replaceAll("LesionNet", "<b>x</b>");
    model.receive("report", { report: JSON.parse(text), error: null }, checker.revision);
    expect(root.querySelector("img")).toBeNull();
    expect(find(root, ".xaiw-model").textContent).toContain("<b>x</b>");
    expect(row(root, "<img src=x>").classList.contains("is-last-dead")).toBe(true);
  });

  test("Export JSON saves the report as the kernel sent it, and asks it nothing", async () => {
    const { model, root } = mountReadiness("lost");
    const saved: { name: string; text: Promise<string> }[] = [];
    const click = vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (
      this: HTMLAnchorElement,
    ) {
      saved.push({ name: this.download, text: fetch(this.href).then((answer) => answer.text()) });
    });
    button(root, "Export JSON").click();
    click.mockRestore();
    expect(saved[0].name).toBe("readiness-LesionNet.json");
    expect(JSON.parse(await saved[0].text)).toEqual(JSON.parse(JSON.stringify(REPORTS.lost())));
    expect(model.kinds()).toEqual(["hello"]);
  });
});

describe("the job", () => {
  test("while checking it says so, no verdict is shown, and Cancel cancels", () => {
    const { model, root, checker } = mountReadiness("lost", { manual: true });
    expect(root.dataset.state).toBe("busy");
    expect(find(root, ".xaiw-verdict").textContent).toContain("Checking");
    expect(find(root, ".xaiw-status-message").textContent).toBe("Checking LesionNet");
    expect(button(root, "Export JSON").hidden).toBe(true);
    button(root, "Cancel").click();
    expect(model.sent.at(-1)).toMatchObject({ kind: "cancel", revision: 1 });
    expect(root.dataset.state).toBe("cancelled");
    expect(find(root, ".xaiw-verdict").textContent).toContain("Not checked");
    button(root, "Retry").click();
    expect(root.dataset.state).toBe("busy");
    checker.finish();
    expect(root.dataset.state).toBe("idle");
  });

  test("Check again keeps the old report, paler, until the new one is here", () => {
    const { model, root, checker } = mountReadiness("healthy", { manual: true });
    checker.finish();
    button(root, "Check again").click();
    expect(model.kinds()).toEqual(["hello", "retry"]);
    expect(root.dataset.state).toBe("busy");
    expect(find(root, ".xaiw-panel").classList.contains("is-stale")).toBe(true);
    expect(find(root, ".xaiw-verdict").textContent).toContain("explainable");
    checker.finish();
    expect(find(root, ".xaiw-panel").classList.contains("is-stale")).toBe(false);
    expect(root.dataset.revision).toBe("2");
  });

  test("an error is a sentence, and its traceback is folded away", () => {
    const { root, checker } = mountReadiness("lost", { manual: true });
    checker.fail("The model returned a list: expected scores [N, K].", "Traceback <script>");
    expect(root.dataset.state).toBe("error");
    expect(find(root, ".xaiw-status-message").textContent).toContain("returned a list");
    const details = find<HTMLDetailsElement>(root, ".xaiw-foot details");
    expect(details.hidden).toBe(false);
    expect(details.open).toBe(false);
    expect(details.textContent).toContain("Traceback <script>");
  });

  test("a silent kernel is said to be silent after 5 s", () => {
    vi.useFakeTimers();
    try {
      const { root } = mountReadiness("lost", { silent: true });
      vi.advanceTimersByTime(5000);
      expect(root.dataset.state).toBe("silent");
      expect(find(root, ".xaiw-status-message").textContent).toMatch(/cell must be run again/);
    } finally {
      vi.useRealTimers();
    }
  });

  test("two views show the same, and a closed one hears nothing", () => {
    const mounted = mountReadiness("lost");
    const other = mounted.again();
    expect(names(other)).toEqual(names(mounted.root));
    mounted.close();
    mounted.model.receive("report", { report: REPORTS.healthy(), error: null }, 1);
    expect(find(other, ".xaiw-verdict").textContent).toContain("layer gradients only");
  });
});

describe("in the Explorer", () => {
  /** Opens the badge; the code that shows a report comes when it is opened first. */
  const opened = async (root: HTMLElement) => {
    find(root, ".xaiw-badge").click();
    const fold = find(root, ".xaiw-readiness");
    await vi.waitFor(() => expect(button(fold, "Export JSON").hidden).toBe(false));
    return fold;
  };

  test("the badge opens the report below the status line, asked for once", async () => {
    const { model, root } = mount({ report: "lost" });
    const badge = find(root, ".xaiw-badge");
    const fold = find(root, ".xaiw-readiness");
    expect(badge.textContent).toBe("explainable");
    expect(badge.getAttribute("aria-controls")).toBe(fold.id);
    expect(fold.hidden).toBe(true);
    await opened(root);
    expect(fold.hidden).toBe(false);
    expect(badge.getAttribute("aria-expanded")).toBe("true");
    expect(badge.textContent).toBe("layer gradients only");
    expect(find(fold, ".is-last-dead").dataset.value).toBe("stage2.block2");
    expect(find(fold, "style").textContent).toBe(".xaiw-report { order: 1; }");
    badge.click();
    badge.click();
    const asked = model.sent.filter(({ kind }) => kind === "check");
    expect(asked.map(({ payload }) => payload)).toEqual([{ again: false, module: true }]);
    button(fold, "Check again").click();
    expect(model.sent.at(-1)).toMatchObject({ kind: "check", payload: { again: true, module: false } });
    expect(root.dataset.state).toBe("idle");
    expect(fold.querySelectorAll("style")).toHaveLength(1);
  });

  test("until the report is here, the sentence known from the format stands, with how far the check is", async () => {
    const sentence = "It only predicts.";
    const setup = { methods: [], verdict: { verdict: "inference-only", sentence, findings: [] } };
    const { model, root, kernel } = mount({ manual: true, setup, report: "onnx" });
    kernel.finish();
    find(root, ".xaiw-badge").click();
    const fold = find(root, ".xaiw-readiness");
    const line = find(fold, ".xaiw-checking");
    expect(find(fold, ".xaiw-verdict").textContent).toContain(sentence);
    expect(line.textContent).toContain("Checking the model");
    model.receive("checking", { done: 1, total: 4, stage: "check", text: "Predicting in a batch" }, 1);
    expect(find(line, "[role=status]").textContent).toBe("Predicting in a batch");
    expect(find(line, ".xaiw-done").textContent).toBe("1 of 4");
    expect(find<HTMLProgressElement>(line, "progress").position).toBe(0.25);
    expect(fold.getAttribute("aria-busy")).toBe("true");
    expect(fold.querySelector(".xaiw-report")).toBeNull();
    kernel.check();
    expect(line.hidden).toBe(true);
    await vi.waitFor(() => expect(find(fold, ".xaiw-report").hidden).toBe(false));
  });

  test("Cancel stops the check, not the explanation, and says so without alarm", async () => {
    const { model, root, kernel } = mount({ manual: true });
    kernel.finish();
    find(root, ".xaiw-badge").click();
    const fold = find(root, ".xaiw-readiness");
    button(fold, "Cancel").click();
    expect(model.sent.at(-1)).toMatchObject({ kind: "cancel", payload: { check: true } });
    expect(root.dataset.state).toBe("idle");
    expect(find(fold, ".xaiw-checking").textContent).toContain("The check was cancelled.");
    expect(fold.classList.contains("is-error")).toBe(false);
    expect(find(fold, ".xaiw-work").classList.contains("is-idle")).toBe(true);
    button(fold, "Check again").click();
    kernel.check();
    await vi.waitFor(() => expect(find(fold, ".xaiw-report").hidden).toBe(false));
  });

  test("a check that fails is a sentence with a folded traceback, and can be repeated", async () => {
    const { model, root, kernel } = mount({ manual: true });
    kernel.finish();
    find(root, ".xaiw-badge").click();
    const error = { message: "The check failed.", traceback: "Traceback" };
    model.receive("report", { report: null, error }, 1);
    const fold = find(root, ".xaiw-readiness");
    expect(find(fold, ".xaiw-checking [role=status]").textContent).toBe("The check failed.");
    expect(fold.classList.contains("is-error")).toBe(true);
    expect(find<HTMLDetailsElement>(fold, ".xaiw-traceback").hidden).toBe(false);
    expect(root.dataset.state).toBe("idle");
    button(fold, "Check again").click();
    kernel.check();
    await vi.waitFor(() => expect(find(fold, ".xaiw-report").hidden).toBe(false));
  });

  test("a page that refuses the report's code is told what to do", async () => {
    const { root } = mount({ module: { script: "throw new Error('refused')", style: "" } });
    find(root, ".xaiw-badge").click();
    const status = find(root, ".xaiw-checking [role=status]");
    await vi.waitFor(() => expect(status.textContent).toContain("ReadinessPanel(model)"));
  });

  test("a kernel that says nothing is not waited for", () => {
    vi.useFakeTimers();
    try {
      const { model, root } = mount();
      model.onSend = () => {};
      find(root, ".xaiw-badge").click();
      expect(find(root, ".xaiw-readiness").getAttribute("aria-busy")).toBe("true");
      vi.advanceTimersByTime(5000);
      expect(root.dataset.state).toBe("silent");
      expect(find(root, ".xaiw-readiness").getAttribute("aria-busy")).toBe("false");
    } finally {
      vi.useRealTimers();
    }
  });

  test.each(["light", "dark"])("axe finds nothing in the %s theme", async (theme) => {
    document.body.dataset.jpThemeLight = String(theme === "light");
    document.body.style.overflow = "visible";
    const { root } = mount({ report: "lost" });
    const fold = await opened(root);
    const { violations } = await axe.run(fold, { resultTypes: ["violations"] });
    expect(violations.map(({ id }) => id)).toEqual([]);
  });
});

describe("for everybody", () => {
  const violations = async (root: HTMLElement) => {
    document.body.style.overflow = "visible";
    const { violations: found } = await axe.run(root, { resultTypes: ["violations"] });
    return found.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 120)}`));
  };

  test.each(["light", "dark"])("axe finds nothing in the %s theme", async (theme) => {
    document.body.dataset.jpThemeLight = String(theme === "light");
    for (const [name, width] of [
      ["lost", 1120],
      ["lost", 480],
      ["healthy", 800],
      ["onnx", 1120],
      ["broken", 640],
      ["faded", 800],
      ["many", 1120],
    ] as const) {
      const { root, close } = mountReadiness(name, { width });
      for (const details of root.querySelectorAll("details")) details.open = true;
      rows(root)[0]?.click();
      await frames();
      expect(await violations(root), `${name} at ${width}`).toEqual([]);
      close();
    }
    const waiting = mountReadiness("lost", { manual: true });
    expect(await violations(waiting.root)).toEqual([]);
    waiting.checker.fail("It failed.", "Traceback");
    expect(await violations(waiting.root)).toEqual([]);
    waiting.root.append(Object.assign(document.createElement("button"), { type: "button" }));
    expect(await violations(waiting.root)).toEqual([expect.stringContaining("button-name")]);
  });

  test("nothing overflows from 480 to 1400 px", async () => {
    for (const width of [480, 640, 800, 960, 1120, 1400])
      for (const name of ["lost", "many", "onnx"]) {
        const { root, close } = mountReadiness(name, { width });
        await frames();
        const limit = root.getBoundingClientRect().right + 0.5;
        for (const each of root.querySelectorAll<HTMLElement>(
          "button, input, table, section, p, dl, [role=option]",
        )) {
          if (!each.getClientRects().length || each.closest(".xaiw-sr")) continue;
          expect(
            each.getBoundingClientRect().right,
            `${each.outerHTML.slice(0, 80)} in ${name} at ${width}`,
          ).toBeLessThanOrEqual(limit);
        }
        close();
      }
  });
});
