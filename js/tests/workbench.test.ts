import { beforeEach, describe, expect, test, vi } from "vitest";
import "../dev/themes.css";
import { cells } from "./mock_concepts";
import { button, find, frames, mountWorkbench, option, point, press, slide } from "./mount";

type View = Awaited<ReturnType<typeof mountWorkbench>>;

let view: View;
beforeEach(async () => {
  view = await mountWorkbench();
  await frames();
});

const frame = (root: HTMLElement) => find(root, '[aria-label="Picture view"]');
const edits = ({ model }: View) =>
  model.sent.filter(({ kind }) => kind === "edit").map(({ payload }) => payload);
const tool = (name: string) => button(view.root, name).click();
const marks = (root: HTMLElement) =>
  [...root.querySelectorAll<HTMLElement>(".xaiw-pane-image .xaiw-example-mark")].map(
    ({ dataset }) => dataset.example,
  );

/** A pointer event at a share of the picture, which stands in the middle of a wider frame. */
function at(u: number, v: number, type: string, init: PointerEventInit = {}) {
  const { width, height } = frame(view.root).getBoundingClientRect();
  const side = Math.min(width, height);
  point(frame(view.root), type, 0.5 + ((u - 0.5) * side) / width, 0.5 + ((v - 0.5) * side) / height, init);
}
function click(u: number, v: number) {
  at(u, v, "pointermove");
  at(u, v, "pointerdown", { buttons: 1 });
  at(u, v, "pointerup");
}
function drag(from: [number, number], to: [number, number]) {
  at(...from, "pointerdown", { buttons: 1 });
  at((from[0] + to[0]) / 2, (from[1] + to[1]) / 2, "pointermove", { buttons: 1 });
  at(...to, "pointermove", { buttons: 1 });
  at(...to, "pointerup");
}
const keys = (...names: string[]) => {
  for (const name of names) press(frame(view.root), name);
};

describe("every tool makes an example of the selected concept", () => {
  test("a click on a superpixel, which is highlighted under the cursor", () => {
    at(0.5, 0.5, "pointermove");
    expect(find(view.root, ".xaiw-pane-image .xaiw-draft-mark path").getAttribute("d")).toContain("M");
    click(0.5, 0.5);
    const id = cells(0).array.data[64 * 128 + 64];
    expect(edits(view)).toEqual([
      { op: "add", concept: "ruler", index: 0, region: { type: "superpixels", ids: [id] } },
    ]);
    expect(option(view.root, "Concepts", "ruler").textContent).toContain("13");
  });

  test("a superpixel by keyboard", () => {
    keys("ArrowRight", "Enter");
    expect(edits(view)).toHaveLength(1);
    expect(edits(view)[0].region).toMatchObject({ type: "superpixels" });
  });

  test("a patch of the chosen size, by mouse and by keyboard", () => {
    tool("Patch");
    slide(view.root, "Side", 50);
    click(0.5, 0.5);
    keys("ArrowLeft", " ");
    expect(edits(view).map(({ region }) => region)).toEqual([
      { type: "rect", x: 32, y: 32, width: 64, height: 64 },
      { type: "rect", x: expect.any(Number), y: expect.any(Number), width: 64, height: 64 },
    ]);
  });

  test("a patch stays inside the picture", () => {
    tool("Patch");
    slide(view.root, "Side", 25);
    click(0.99, 0.01);
    expect(edits(view)[0].region).toEqual({ type: "rect", x: 96, y: 0, width: 32, height: 32 });
  });

  test("a rectangle by a drag, by two clicks and by keyboard", () => {
    tool("Rectangle");
    drag([0.25, 0.25], [0.5, 0.75]);
    click(0.25, 0.25);
    click(0.5, 0.75);
    expect(edits(view).map(({ region }) => region)).toEqual([
      { type: "rect", x: 32, y: 32, width: 32, height: 64 },
      { type: "rect", x: 32, y: 32, width: 32, height: 64 },
    ]);
    keys("Enter", "ArrowRight", "ArrowDown", "Enter");
    expect(edits(view)[2].region).toMatchObject({ type: "rect", width: 3, height: 3 });
  });

  test("a polygon by clicks and by keyboard", () => {
    tool("Polygon");
    for (const [u, v] of [
      [0.25, 0.25],
      [0.75, 0.25],
      [0.5, 0.75],
      [0.25, 0.25],
    ])
      click(u, v);
    const { points } = edits(view)[0].region as { points: number[][] };
    expect(points).toEqual([
      [32, 32],
      [96, 32],
      [64, 96],
    ]);
    keys("Enter", "ArrowRight", "ArrowRight", "Enter", "ArrowDown", "ArrowDown", "Enter", "Enter");
    expect(edits(view)).toHaveLength(2);
    expect((edits(view)[1].region as { points: number[][] }).points).toHaveLength(3);
  });

  test("the brush paints until Enter or Add, and the eraser takes away", () => {
    tool("Brush");
    drag([0.3, 0.5], [0.7, 0.5]);
    expect(edits(view)).toHaveLength(0);
    expect(button(view.root, "Add")).toHaveProperty("disabled", false);
    drag([0.5, 0.3], [0.5, 0.7]);
    keys("Enter");
    tool("Brush");
    drag([0.3, 0.5], [0.7, 0.5]);
    button(view.root, "Add").click();
    tool("Brush");
    drag([0.3, 0.5], [0.7, 0.5]);
    tool("Eraser");
    drag([0.3, 0.5], [0.5, 0.5]);
    keys("Enter");
    const painted = edits(view).map(({ region }) => {
      const { counts, size } = region as { counts: number[]; size: number[] };
      expect(size).toEqual([128, 128]);
      return counts.filter((_, i) => i % 2).reduce((a, b) => a + b, 0);
    });
    expect(painted).toHaveLength(3);
    expect(painted[0]).toBeGreaterThan(painted[1]);
    expect(painted[1]).toBeGreaterThan(painted[2] * 1.5);
    expect(painted[2]).toBeGreaterThan(0);
  });

  test("the brush by keyboard: Space paints, Ctrl and Z takes a stroke back, Escape drops all", () => {
    tool("Brush");
    keys(" ", "ArrowRight", "ArrowRight", " ");
    press(frame(view.root), "z", { ctrlKey: true });
    keys("Enter");
    expect(edits(view)).toHaveLength(1);
    keys(" ", "Escape", "Enter", "Escape");
    expect(edits(view)).toHaveLength(1);
  });

  test("the whole image by a button and by W", () => {
    button(view.root, "Whole image").click();
    keys("w");
    const whole = { op: "add", concept: "ruler", index: 0, region: null };
    expect(edits(view)).toEqual([whole, whole]);
  });
});

describe("what is not added belongs to its picture", () => {
  const spoken = () => find(view.root, "[aria-live=polite]").textContent;

  test("a brush stroke is dropped, and said to be", () => {
    tool("Brush");
    drag([0.3, 0.5], [0.7, 0.5]);
    keys("PageDown");
    expect(spoken()).toBe("This is another picture: what was not added is dropped.");
    expect(button(view.root, "Add")).toHaveProperty("disabled", true);
    press(frame(view.root), "z", { ctrlKey: true }); // takes back no stroke of another picture
    expect(button(view.root, "Add")).toHaveProperty("disabled", true);
    button(view.root, "Add").click();
    expect(edits(view)).toEqual([]);
  });

  test("a redraw is dropped: the next region is an example of its own", () => {
    tool("Pan");
    click(0.5, 0.94);
    button(view.root, "Redraw").click();
    keys("PageDown");
    expect(spoken()).toBe("This is another picture: the example keeps its outline.");
    tool("Rectangle");
    drag([0.25, 0.25], [0.5, 0.5]);
    expect(edits(view)).toEqual([
      {
        op: "add",
        concept: "ruler",
        index: 1,
        region: { type: "rect", x: 32, y: 32, width: 32, height: 32 },
      },
    ]);
  });

  test("a polygon that is not closed is dropped", () => {
    tool("Polygon");
    click(0.25, 0.25);
    click(0.75, 0.25);
    keys("PageDown");
    expect(spoken()).toBe("This is another picture: what was not added is dropped.");
    click(0.5, 0.75);
    click(0.25, 0.25);
    expect(edits(view)).toEqual([]);
  });

  test("the same picture sent again leaves it as it is", () => {
    tool("Brush");
    drag([0.3, 0.5], [0.7, 0.5]);
    view.model.onSave();
    keys("Enter");
    expect(edits(view)).toHaveLength(1);
  });
});

test("the examples of a picture are outlined in the colours of their concepts, with their names", () => {
  expect(marks(view.root)).toHaveLength(3);
  const names = [...view.root.querySelectorAll(".xaiw-pane-image .xaiw-names span")].map(
    ({ textContent }) => textContent,
  );
  expect(names).toEqual(["ruler", "border", "hair"]);
  const border = view.root.querySelectorAll<HTMLElement>(".xaiw-pane-image .xaiw-example-mark")[1];
  expect(border.style.getPropertyValue("--concept")).toBe("#ee6677");
});

test("with Pan a click picks an example, and Delete takes it away", () => {
  tool("Pan");
  click(0.5, 0.94);
  const details = find(view.root, '[aria-label="Selected example"]');
  expect(details.hidden).toBe(false);
  expect(details.textContent).toContain("lesion 0.png");
  tool("Superpixel");
  keys("Delete");
  expect(edits(view)).toEqual([{ op: "remove", ids: ["e1"] }]);
  expect(marks(view.root)).not.toContain("e1");
});

describe("the shelf", () => {
  const examples = (root: HTMLElement) => [
    ...find(root, '[aria-label="Examples of ruler"]').querySelectorAll<HTMLElement>("[role=option]"),
  ];

  test("shows concepts with counts and advice, and selects by click and by number", () => {
    expect(option(view.root, "Concepts", "random").textContent).toContain("100 examples");
    option(view.root, "Concepts", "border").click();
    expect(view.model.state.concept).toBe("border");
    keys("3");
    expect(view.model.state.concept).toBe("hair");
    expect(find(view.root, ".xaiw-concept .xaiw-advice").textContent).toContain("2 more to test it");
  });

  test("asks for thumbnails that are in view, at most 40 a message, once", async () => {
    option(view.root, "Concepts", "random").click();
    await frames(4);
    const asked = view.model.sent.filter(({ kind }) => kind === "examples");
    const ids = asked.flatMap(({ payload }) => payload.ids as string[]);
    for (const { payload } of asked) expect((payload.ids as string[]).length).toBeLessThanOrEqual(40);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeLessThan(12 + 12 + 3 + 100);
    await expect.poll(() => view.root.querySelectorAll(".xaiw-example canvas").length).toBeGreaterThan(8);
  });

  test("a click and Enter exclude and include, Delete removes", () => {
    const [first, second] = examples(view.root);
    first.click();
    expect(first.getAttribute("aria-selected")).toBe("false");
    press(first, "Enter");
    expect(first.getAttribute("aria-selected")).toBe("true");
    press(second, "Delete");
    expect(edits(view)).toEqual([
      { op: "change", ids: ["e1"], included: false },
      { op: "change", ids: ["e1"], included: true },
      { op: "remove", ids: [second.dataset.value] },
    ]);
    expect(examples(view.root)).toHaveLength(11);
  });

  test("an example has a comment, is moved, copied and redrawn", () => {
    examples(view.root)[0].click();
    const comment = find<HTMLInputElement>(view.root, '[aria-label="Comment on the example"]');
    comment.value = "blurred";
    press(comment, "Enter");
    for (const verb of ["Copy", "Move"]) {
      if (verb === "Move") button(view.root, "Redraw").click();
      const select = find<HTMLSelectElement>(view.root, `[aria-label="${verb} to another concept"]`);
      if (verb === "Move") {
        tool("Rectangle");
        drag([0.25, 0.25], [0.5, 0.5]);
      }
      select.value = "hair";
      select.dispatchEvent(new Event("change", { bubbles: true }));
    }
    expect(edits(view).slice(1)).toEqual([
      { op: "change", ids: ["e1"], comment: "blurred" },
      { op: "copy", ids: ["e1"], concept: "hair" },
      { op: "reshape", id: "e1", region: { type: "rect", x: 32, y: 32, width: 32, height: 32 } },
      { op: "move", ids: ["e1"], concept: "hair" },
    ]);
    expect(option(view.root, "Concepts", "hair").textContent).toContain("5");
  });

  test("a new concept gets a name and a free colour, and is selected once it is there", () => {
    keys("n");
    const field = find<HTMLInputElement>(view.root, '[aria-label="Name of the new concept"]');
    expect(document.activeElement).toBe(field);
    press(field, "Enter");
    expect(view.root.textContent).toContain("Type a name first.");
    field.value = "Ruler";
    press(field, "Enter");
    expect(view.root.textContent).toContain("There is a concept \u201cRuler\u201d already.");
    field.value = "<b>globules</b>";
    press(field, "Enter");
    expect(edits(view)).toEqual([{ op: "create_concept", name: "<b>globules</b>", colour: "#ccbb44" }]);
    expect(view.model.state.concept).toBe("<b>globules</b>");
    expect(find(view.root, ".xaiw-shelf").dataset.concept).toBe("<b>globules</b>");
    expect(find(view.root, '[aria-label="Concepts"] [aria-selected=true]').textContent).toContain("globules");
    expect(view.root.querySelector("b b")).toBeNull();
  });

  test("a concept is renamed, recoloured, commented and deleted", () => {
    button(view.root, "Edit").click();
    const type = (label: string, text: string) => {
      const field = find<HTMLInputElement>(view.root, `[aria-label="${label}"]`);
      field.value = text;
      press(field, "Enter");
    };
    type("Comment on the concept", "a scale in millimetres");
    find(view.root, '[aria-label="Colour"] [aria-label="teal"]').click();
    type("Name of the concept", "scale");
    expect(view.model.state.concept).toBe("scale");
    button(view.root, "Delete concept").click();
    expect(edits(view)).toEqual([
      { op: "change_concept", name: "ruler", comment: "a scale in millimetres" },
      { op: "change_concept", name: "ruler", colour: "#009988" },
      { op: "change_concept", name: "ruler", to: "scale" },
      { op: "delete_concept", name: "scale" },
    ]);
  });

  test("undo and redo say what they do, by button and by key", () => {
    examples(view.root)[0].click();
    button(view.root, "Undo: exclude an example").click();
    expect(examples(view.root)[0].getAttribute("aria-selected")).toBe("true");
    press(view.root, "y", { ctrlKey: true });
    press(view.root, "z", { ctrlKey: true });
    press(view.root, "z", { ctrlKey: true, shiftKey: true });
    expect(edits(view).map(({ op }) => op)).toEqual(["change", "undo", "redo", "undo", "redo"]);
    expect(button(view.root, "Redo")).toHaveProperty("disabled", true);
  });

  test("the random set is replaced", () => {
    option(view.root, "Concepts", "random").click();
    button(view.root, "Replace the random set").click();
    expect(edits(view)).toEqual([{ op: "random" }]);
    click(0.5, 0.5);
    expect(edits(view)).toHaveLength(1);
    expect(find(view.root, '[aria-label="Name of the new concept"]').checkVisibility()).toBe(true);
  });

  test("a region drawn before there is a concept waits for its name", async () => {
    view.close();
    view = await mountWorkbench({ examples: 0 });
    await frames();
    button(view.root, "Rectangle").click();
    drag([0.25, 0.25], [0.5, 0.5]);
    const field = find<HTMLInputElement>(view.root, '[aria-label="Name of the new concept"]');
    expect(document.activeElement).toBe(field);
    field.value = "hair";
    press(field, "Enter");
    expect(edits(view)).toEqual([
      { op: "create_concept", name: "hair", colour: "#4477aa" },
      { op: "add", concept: "hair", index: 0, region: { type: "rect", x: 32, y: 32, width: 32, height: 32 } },
    ]);
  });
  test("a region that waits for a name is added to the picture it was drawn on", async () => {
    view.close();
    view = await mountWorkbench({ examples: 0 });
    await frames();
    tool("Rectangle");
    drag([0.25, 0.25], [0.5, 0.5]);
    keys("PageDown");
    const field = find<HTMLInputElement>(view.root, '[aria-label="Name of the new concept"]');
    field.value = "hair";
    press(field, "Enter");
    expect(edits(view)[1]).toEqual({
      op: "add",
      concept: "hair",
      index: 0,
      region: { type: "rect", x: 32, y: 32, width: 32, height: 32 },
    });
  });

  test("spaces inside a name are single ones, as the store keeps them", () => {
    option(view.root, "Concepts", "random").click();
    button(view.root, "Whole image").click();
    const field = find<HTMLInputElement>(view.root, '[aria-label="Name of the new concept"]');
    field.value = " blue   white \u00a0 veil ";
    press(field, "Enter");
    expect(edits(view)).toEqual([
      { op: "create_concept", name: "blue white veil", colour: "#ccbb44" },
      { op: "add", concept: "blue white veil", index: 0, region: null },
    ]);
    expect(view.model.state.concept).toBe("blue white veil");
    keys("n");
    field.value = "Blue  white  veil";
    press(field, "Enter");
    expect(view.root.textContent).toContain("There is a concept \u201cBlue white veil\u201d already.");
    button(view.root, "Edit").click();
    const name = find<HTMLInputElement>(view.root, '[aria-label="Name of the concept"]');
    for (const text of ["blue  veil", "blue   veil"]) {
      name.value = text;
      press(name, "Enter");
      expect(view.model.state.concept).toBe("blue veil");
      expect(name.value).toBe("blue veil");
    }
    expect(edits(view).slice(2)).toEqual([
      { op: "change_concept", name: "blue white veil", to: "blue veil" },
    ]);
  });
});

describe("autosave", () => {
  const kept = () => find(view.root, ".xaiw-saved");

  test("says saved only when it is on disk", async () => {
    view.close();
    view = await mountWorkbench({ slow: true });
    await frames();
    expect(kept().textContent).toBe("Folder concepts");
    button(view.root, "Whole image").click();
    expect(kept().textContent).toBe("Saving \u2026");
    view.kernel.save(view.model.sent.find(({ kind }) => kind === "edit") as never);
    expect(kept().textContent).toBe("Saved in folder concepts");
    expect(kept().title).toBe("/home/someone/concepts");
  });

  test("a kernel that does not answer has saved nothing", async () => {
    view.model.onSend = () => {};
    vi.useFakeTimers();
    button(view.root, "Whole image").click();
    vi.advanceTimersByTime(6000);
    vi.useRealTimers();
    expect(kept().textContent).toBe("Not saved: the kernel does not answer.");
  });

  test("a refused edit says why", () => {
    view.kernel.concepts = view.kernel.concepts.filter(({ name }) => name !== "ruler");
    button(view.root, "Whole image").click();
    expect(kept().textContent).toBe("There is no such concept.");
    expect(kept().dataset.state).toBe("failed");
  });

  test("a conflict is a sentence with a way on", async () => {
    view.close();
    view = await mountWorkbench({ conflict: "Another kernel changed the folder: both versions are kept." });
    await frames();
    const conflict = find(view.root, ".xaiw-conflict");
    expect(conflict.textContent).toContain("Another kernel changed the folder");
    expect(kept().dataset.state).toBe("conflict");
    button(view.root, "Refresh").click();
    expect(edits(view)).toEqual([{ op: "refresh" }]);
    expect(conflict.hidden).toBe(true);
    expect(kept().textContent).toBe("Saved in folder concepts");
  });
});

test("hello fills a second view, and asks for the code of the scores only once", async () => {
  const root = view.again();
  await frames();
  const hellos = view.model.sent.filter(({ kind }) => kind === "hello").map(({ payload }) => payload.module);
  expect(hellos).toEqual([true, false]);
  expect(marks(root)).toEqual(marks(view.root));
  expect(root.querySelector(".xaiw-test")).toBeTruthy();
  expect(option(root, "Concepts", "ruler").textContent).toContain("12");
});

test("? opens the list of keys, and page keys turn the images", () => {
  keys("?");
  expect(find(view.root, ".xaiw-keys").hidden).toBe(false);
  expect(find(view.root, ".xaiw-keys").textContent).toContain("a new concept");
  keys("PageDown");
  expect(view.model.state.image_index).toBe(1);
  keys("PageUp", "PageUp");
  expect(view.model.state.image_index).toBe(0);
});

test("what the concept looks for is asked of the kernel each time, and shown below", async () => {
  const drawn: string[] = [];
  const host = {
    getWidget: async (reference: string) => ({
      render: async ({ el }: { el: HTMLElement }) => {
        drawn.push(reference);
        el.textContent = `view of ${reference}`;
      },
    }),
  };
  const hosted = await mountWorkbench({ host });
  const ask = button(hosted.root, "What does it look for?");
  ask.click();
  const asked = () => hosted.model.sent.filter(({ kind }) => kind === "open").map(({ payload }) => payload);
  expect(asked()).toEqual([{ tool: "features", open: true }]);
  hosted.model.receive("opened", { tools: { features: { model: "g1", error: null } } });
  await frames();
  expect(drawn).toEqual(["anywidget:g1"]);
  expect(ask.getAttribute("aria-expanded")).toBe("true");
  ask.click(); // another concept: the kernel adds it to the gallery that is open
  expect(asked()).toHaveLength(2);
  const below = find(hosted.host, ".xaiw-companion");
  expect(below.textContent).toContain("view of anywidget:g1");
  button(below, "Close").click();
  expect(asked()[2]).toEqual({ tool: "features", open: false });
  hosted.model.receive("opened", {
    tools: { features: { model: null, error: "\u201cruler\u201d has no vector yet: press Test." } },
  });
  expect(below.textContent).toContain("has no vector yet: press Test");
});
