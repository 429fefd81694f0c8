import axe from "axe-core";
import { beforeEach, expect, test } from "vitest";
import { button, find, frames, mount } from "./mount";

/** A host that draws a made-up widget for a model, and remembers what it has drawn. */
function hosted() {
  const drawn: string[] = [];
  const gone: string[] = [];
  const host = {
    getWidget: async (reference: string) => ({
      render: async ({ el, signal }: { el: HTMLElement; signal: AbortSignal }) => {
        drawn.push(reference);
        el.textContent = `view of ${reference}`;
        signal.addEventListener("abort", () => gone.push(reference));
      },
    }),
  };
  return { host, drawn, gone };
}
const opened = (view: ReturnType<typeof mount>, model: string | null, error: string | null = null) =>
  view.model.receive("opened", { tools: model || error ? { scrubber: { model, error } } : {} });
const companion = (view: ReturnType<typeof mount>, name = "Path scrubber") =>
  find(view.host, `.xaiw-companion[aria-label^="${name}"]`);
const last = (view: ReturnType<typeof mount>) => view.model.sent[view.model.sent.length - 1];

let host: ReturnType<typeof hosted>;
let view: ReturnType<typeof mount>;
beforeEach(async () => {
  host = hosted();
  view = mount({ host: host.host });
  await frames();
});

test("a button asks for the tool, its view stands below, and Close lets it go", async () => {
  const open = button(view.root, "Path scrubber");
  expect(open.getAttribute("aria-expanded")).toBe("false");
  expect(companion(view).hidden).toBe(true);
  open.click();
  expect(last(view)).toMatchObject({ kind: "open", payload: { tool: "scrubber", open: true } });
  opened(view, "a1");
  await frames();
  expect(host.drawn).toEqual(["anywidget:a1"]);
  expect(companion(view).textContent).toContain("view of anywidget:a1");
  expect(open.getAttribute("aria-expanded")).toBe("true");
  expect(open.getAttribute("aria-controls")).toBe(companion(view).id);
  opened(view, "a1"); // told again, as after another view's hello: it is not drawn anew
  await frames();
  expect(host.drawn).toHaveLength(1);
  button(companion(view), "Close").click();
  expect(last(view)).toMatchObject({ kind: "open", payload: { tool: "scrubber", open: false } });
  opened(view, null);
  expect(host.gone).toEqual(["anywidget:a1"]);
  expect(companion(view).hidden).toBe(true);
  expect(companion(view).textContent).not.toContain("view of");
  expect(document.activeElement).toBe(open);
});

test("another model takes the place of the first, and every view of the Explorer shows it", async () => {
  const other = view.again();
  opened(view, "a1");
  await frames();
  expect(host.drawn).toHaveLength(2);
  expect(other.parentElement?.textContent).toContain("view of anywidget:a1");
  opened(view, "b2");
  await frames();
  expect(host.gone).toEqual(["anywidget:a1", "anywidget:a1"]);
  expect(companion(view).textContent).toContain("view of anywidget:b2");
  view.close();
  expect(host.gone.slice(2)).toEqual(["anywidget:b2", "anywidget:b2"]);
  expect(document.querySelector(".xaiw-companion")).toBeNull();
});

test("without a host that shows widgets, a sentence says what to do, and the kernel makes none", () => {
  view.close();
  view = mount();
  const { length } = view.model.sent;
  button(view.root, "Path scrubber").click();
  expect(companion(view).textContent).toContain("display PathScrubber.of(explorer) in a cell");
  expect(view.model.sent).toHaveLength(length);
  button(companion(view), "Close").click();
  expect(companion(view).hidden).toBe(true);
});

test("a host that fails is told with the same sentence, an error of the kernel with its own", async () => {
  view.close();
  view = mount({ host: { getWidget: () => Promise.reject(new Error("no such widget")) } });
  opened(view, "a1");
  await frames();
  expect(companion(view).textContent).toContain("display PathScrubber.of(explorer) in a cell");
  opened(view, null, "The scrubber cannot be opened for this model.");
  expect(companion(view).textContent).toContain("cannot be opened for this model");
  expect(companion(view).hidden).toBe(false);
});

test("there is no button for what the model cannot do", () => {
  expect(button(view.root, "Path scrubber").hidden).toBe(false);
  expect(button(view.root, "Features").hidden).toBe(false);
  expect(button(view.root, "Attention").hidden).toBe(true); // the mock's network has none
});

test("axe finds nothing in the bar above an open tool", async () => {
  opened(view, "a1");
  await frames();
  const { violations } = await axe.run(view.host, { resultTypes: ["violations"] });
  expect(violations.map(({ id, nodes }) => [id, nodes[0].html])).toEqual([]);
});
