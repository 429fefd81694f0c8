// What can be done with the selected example: a comment, its image, a new outline, another concept.
import type { Change, Context, Part } from "../../components/context";
import type { ConceptInfo } from "../../core/concepts";
import { h, setAttr, setText } from "../../core/dom";
import type { Desk } from "../workbench/desk";
import { about, remove } from "../workbench/examples";
import type { WorkbenchStore } from "../workbench/store";
import { textField } from "../workbench/swatches";

export function exampleDetails({ announce, display }: Context, store: WorkbenchStore, desk: Desk): Part {
  const brushing = () => ["brush", "eraser"].includes(display.state.tool);
  const name = h("b", { class: "xaiw-name" });
  const comment = textField("Comment on the example", "Comment", (text) => {
    if (desk.example) store.edit({ op: "change", ids: [desk.example], comment: text });
  });
  const link = (text: string, title: string, action: (id: string) => void) =>
    h(
      "button",
      { type: "button", class: "xaiw-link", title, onclick: () => desk.example && action(desk.example) },
      text,
    );
  const show = link("Show", "Show the image it comes from", (id) => {
    const index = store.example(id)?.example.index;
    if (typeof index === "number") store.setImage(index);
  });
  const redraw = link("Redraw", "The next region becomes its outline", (id) => desk.redraw(id, brushing()));
  const gone = link("Remove", "Take it away (Delete)", (id) => remove(store, desk, id, announce));
  const to = (op: "move" | "copy", text: string) => {
    const select = h("select", { "aria-label": `${text} to another concept` });
    select.addEventListener("change", () => {
      if (desk.example && select.value) store.edit({ op, ids: [desk.example], concept: select.value });
      announce(`${op === "move" ? "Moved" : "Copied"} to ${select.value}.`);
      select.value = "";
    });
    return select;
  };
  const move = to("move", "Move");
  const copy = to("copy", "Copy");
  const root = h(
    "div",
    { class: "xaiw-details", role: "group", "aria-label": "Selected example", hidden: true },
    name,
    comment.root,
    h("span", { class: "xaiw-links" }, show, redraw, gone),
    h("span", { class: "xaiw-moves" }, move, copy),
  );

  function fill(select: HTMLSelectElement, text: string, others: ConceptInfo[]): void {
    select.replaceChildren(
      h("option", { value: "" }, `${text} to \u2026`),
      ...others.map((concept) => h("option", { value: concept.name }, concept.name)),
    );
    select.disabled = !others.length;
  }

  return {
    root,
    update(change: Change) {
      if (!["shelf", "setup", "traits", "suggestions", "picture"].includes(change)) return;
      const found = store.example(desk.example);
      const shown = found && found.concept.name === store.concept?.name;
      root.hidden = !shown;
      if (!shown) return;
      const { concept, example } = found;
      setText(name, `${example.name}${example.region ? "" : ", whole"}`);
      setAttr(name, "title", about(example));
      comment.set(example.comment);
      const here = example.index !== null && example.index === store.picture?.index;
      show.disabled = example.index === null || here;
      redraw.disabled = !here;
      const others = store.concepts.filter((other) => other.name !== concept.name);
      fill(move, "Move", others);
      fill(copy, "Copy", others);
    },
  };
}
