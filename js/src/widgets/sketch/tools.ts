// The tools beside the pad: brush and eraser, size, colours, undo, pictures. They belong to this view's hand.

import { segmented, slider } from "../../components/controls";
import { h, setAttr, setText } from "../../core/dom";
import { percent } from "../../core/format";
import { type Hand, MAX_WIDTH, MIN_WIDTH } from "./hand";
import type { Receiver } from "./pictures";
import type { SketchStore } from "./store";

export interface Tools {
  root: HTMLElement;
  say(text: string): void;
  update(): void;
}

export function tools(
  store: SketchStore,
  hand: Hand,
  announce: (text: string) => void,
): Tools & { receive(receiver: Receiver): void } {
  const { pad } = store;
  const kind = segmented(
    "radiogroup",
    "Tool",
    [
      { value: "brush", text: "Brush", title: "Draws (E changes to the eraser)" },
      { value: "eraser", text: "Eraser", title: "Takes ink away; the paper shows again (E)" },
    ],
    (value) => hand.set({ erase: value === "eraser" }),
  );
  const size = slider(
    "Size",
    { min: MIN_WIDTH, max: MAX_WIDTH, step: 0.005 },
    (value) => percent(value),
    (value) => hand.set({ width: value }),
  );
  const colour = (label: string, title: string, pick: (value: string) => void) => {
    const input = h("input", { type: "color", "aria-label": label, title });
    input.addEventListener("input", () => pick(input.value));
    return input;
  };
  const ink = colour("Ink", "Colour of the brush", (value) =>
    hand.set({ colour: value === pad.ink ? null : value, erase: false }),
  );
  const paper = colour("Paper", "Colour below the strokes", () => {});
  // Not while it is chosen: every value is a new picture for the model.
  paper.addEventListener("change", () => store.setGround(paper.value));
  const pressure = check("Pen pressure", "A pen that is pressed harder draws wider", (on) =>
    hand.set({ pressure: on }),
  );
  const fit = check(
    "Fit to drawing",
    "The model sees the part of the pad that just encloses the drawing, whatever its place and size",
    (on) => store.setFit(on ? (margin ?? 0) : null),
  );
  let margin: number | null = null;

  const button = (text: string, title: string, act: () => void) =>
    h("button", { type: "button", class: "xaiw-button", title, onclick: act }, text);
  const undo = button("Undo", "Take the last stroke back (Ctrl+Z)", () => {
    hand.lift();
    store.undo();
    announce("Undone");
  });
  const redo = button("Redo", "Bring it back (Ctrl+Shift+Z)", () => {
    store.redo();
    announce("Redone");
  });
  const clear = button("Clear", "Take all strokes away; Undo brings them back", () => {
    hand.lift();
    store.replace([]);
    announce("Cleared");
  });
  const file = h("input", { type: "file", accept: "image/*", class: "xaiw-sr", tabindex: -1 });
  setAttr(file, "aria-label", "Picture to draw on");
  const load = button("Picture", "Draw on a picture: choose a file, or drop or paste one", () =>
    file.click(),
  );
  const remove = button("No picture", "Take the picture away and keep the strokes", () => {
    store.setBackground("", null);
    setText(message, "");
  });
  let receiver: Receiver | null = null;
  file.addEventListener("change", () => {
    void receiver?.take(file.files?.[0]);
    file.value = "";
  });
  const message = h("p", { class: "xaiw-said", role: "status" });
  const root = h(
    "div",
    { class: "xaiw-brushes", role: "group", "aria-label": "Drawing tools" },
    kind.root,
    size.root,
    h("div", { class: "xaiw-colours" }, label("Ink", ink), label("Paper", paper)),
    fit.root,
    pressure.root,
    h("div", { class: "xaiw-buttons" }, undo, redo, clear),
    h("div", { class: "xaiw-buttons" }, load, remove, file),
    message,
  );
  return {
    root,
    receive(given) {
      receiver = given;
    },
    say(text) {
      setText(message, text);
    },
    update() {
      const { brush } = hand;
      kind.select(brush.erase ? "eraser" : "brush");
      size.set(brush.width);
      ink.value = brush.colour ?? pad.ink;
      if (document.activeElement !== paper) paper.value = pad.ground;
      paper.disabled = Boolean(pad.background?.array);
      if (pad.fit !== null) margin = pad.fit;
      fit.input.checked = pad.fit !== null;
      fit.input.disabled = Boolean(pad.background?.array);
      pressure.input.checked = brush.pressure;
      undo.disabled = !pad.history.canUndo && !pad.current;
      redo.disabled = !pad.history.canRedo;
      clear.disabled = pad.all.length === 0;
      remove.hidden = !pad.background?.array;
      setAttr(paper, "title", store.padSetup?.paper ?? "Colour below the strokes");
    },
  };
}

const label = (text: string, input: HTMLElement) =>
  h("label", { class: "xaiw-colour" }, input, h("span", {}, text));

function check(
  text: string,
  title: string,
  act: (on: boolean) => void,
): { root: HTMLElement; input: HTMLInputElement } {
  const input = h("input", { type: "checkbox" });
  input.addEventListener("change", () => act(input.checked));
  return { root: h("label", { class: "xaiw-check", title }, input, h("span", {}, text)), input };
}
