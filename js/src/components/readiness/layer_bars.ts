// The architecture as a list with the norm of the gradient at each layer, as bars on a logarithmic scale.

import { h, setAttr, setText } from "../../core/dom";
import { magnitude } from "../../core/format";
import {
  arrives,
  barLength,
  type Decades,
  decades,
  lastDead,
  measured,
  outline,
  type Report,
  type ReportLayer,
} from "../../core/report";
import { commonPath } from "../layer_picker";
import { Listbox, reveal } from "../listbox";

/** Lists longer than this get a filter. */
const MANY = 24;
const SUPERSCRIPTS: Record<string, string> = { "-": "\u207b" };
"\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079".split("").forEach((sign, digit) => {
  SUPERSCRIPTS[digit] = sign;
});

/** 10⁻³, as it stands at an axis. */
const power = (exponent: number) => `10${[...String(exponent)].map((sign) => SUPERSCRIPTS[sign]).join("")}`;
const shapeText = (layer: ReportLayer) => layer.shape.join(" \u00d7 ");

function normText(layer: ReportLayer, looked: boolean): string {
  if (!layer.finite) return "not finite";
  if (layer.gradient_norm === null) return looked ? "none" : "\u2013";
  return magnitude(layer.gradient_norm);
}

/** Where the gradient ends: position of the layer, -1 for nowhere. */
interface Deadline {
  index: number;
  text: string;
  cause: string | null;
}

export interface LayerBars {
  root: HTMLElement;
  show(report: Report): void;
  /** Brings a layer into view and focuses it. */
  reveal(name: string): void;
}

export function layerBars(announce: (text: string) => void): LayerBars {
  let report: Report | null = null;
  let everything = false;
  const listbox = new Listbox({
    label: "Layers",
    onPick: (value) => {
      picked = picked === value ? null : value;
      detail(true);
    },
  });
  let picked: string | null = null;
  const list = listbox.root;
  list.classList.add("xaiw-gradients");
  const note = h("small");
  const toggle = h("button", { type: "button", class: "xaiw-link", "aria-pressed": "false" });
  const filter = h("input", { type: "search", placeholder: "Filter layers", "aria-label": "Filter layers" });
  const axis = h("div", { class: "xaiw-axis", "aria-hidden": "true" });
  const line = h("p", { class: "xaiw-layer-detail", hidden: true });
  const none = h("p", { class: "xaiw-none", hidden: true });
  const plot = h("div", { class: "xaiw-gradients-box" }, axis, list);
  const root = h(
    "section",
    { class: "xaiw-section xaiw-architecture" },
    h("div", { class: "xaiw-heading" }, h("h3", {}, "Gradient at each layer"), note),
    filter,
    none,
    plot,
    line,
    toggle,
  );
  toggle.addEventListener("click", () => {
    everything = !everything;
    fill();
  });
  filter.addEventListener("input", fill);

  /** What the report says of a layer, errors first. */
  const finding = (name: string) =>
    report?.findings
      .filter(({ layer, level }) => layer === name && (level === "error" || level === "warning"))
      .sort((a, b) => Number(b.level === "error") - Number(a.level === "error"))[0] ?? null;

  /** The layer at which the gradient ends, as the norms show it, with the cause that the report names. */
  function deadline(): Deadline {
    if (!report) return { index: -1, text: "", cause: null };
    const { layers, findings } = report;
    const dead = lastDead(report);
    const index = dead < 0 ? layers.map(({ faint }) => faint).lastIndexOf(true) : dead;
    if (index < 0) return { index, text: "", cause: null };
    const lost = findings.find(({ level, cause }) => level === (dead < 0 ? "warning" : "error") && cause);
    const cause = finding(layers[index].name)?.cause ?? lost?.cause ?? null;
    const where =
      dead < 0
        ? "The gradient is next to nothing from here on"
        : index === layers.length - 1
          ? "No gradient leaves the score"
          : "The gradient ends here";
    return { index, text: cause ? `${where}: ${cause}` : where, cause };
  }

  function option(layer: ReportLayer, prefix: string, scale: Decades, end: Deadline): HTMLElement {
    const at = report?.layers.indexOf(layer) ?? 0;
    const dead = at <= end.index && (layer.faint || !arrives(layer));
    const looked = report !== null && measured(report);
    const said = finding(layer.name);
    const bar = h("b");
    if (layer.finite && layer.gradient_norm)
      bar.style.width = `${barLength(layer.gradient_norm, scale) * 100}%`;
    const other = said?.level === "error" && said.cause !== end.cause ? said.cause : null;
    const caption = at === end.index ? end.text : other;
    const star =
      layer.recommended &&
      h(
        "small",
        { class: "xaiw-star", role: "img", "aria-label": "recommended", title: "recommended" },
        "\u2605",
      );
    return h(
      "div",
      {
        role: "option",
        class: [
          "xaiw-option xaiw-gradient",
          dead && "is-dead",
          at === end.index && "is-last-dead",
          !layer.finite && "is-wrong",
          looked && !arrives(layer) && "is-none",
          layer.faint && "is-faint",
        ]
          .filter(Boolean)
          .join(" "),
        "data-value": layer.name,
        "data-text": layer.name.slice(prefix.length),
        "data-level": said?.level,
        title: `${layer.name}, ${layer.kind}, ${shapeText(layer)}`,
      },
      h("span", { class: "xaiw-name" }, layer.name.slice(prefix.length), star && " ", star),
      h("small", { class: "xaiw-shape" }, shapeText(layer)),
      h("span", { class: "xaiw-track", "aria-hidden": "true" }, bar),
      h(
        "span",
        { class: "xaiw-number" },
        h("span", { class: "xaiw-sr" }, "gradient "),
        normText(layer, looked),
      ),
      caption && h("span", { class: "xaiw-deadline" }, caption),
    );
  }

  function fill(): void {
    if (!report) return;
    const { layers } = report;
    const end = deadline();
    const dying = layers[end.index]?.name;
    const first = outline(layers, commonPath(layers.map((layer) => layer.name)));
    const main = layers.filter(({ name }) => first.has(name) || name === dying || finding(name));
    const some = main.length > 0 && main.length < layers.length;
    const base = everything || !some ? layers : main;
    const query = filter.value.trim().toLowerCase();
    const shown = base.filter(({ name, kind }) => `${name} ${kind}`.toLowerCase().includes(query));
    const prefix = commonPath(base.map((layer) => layer.name));
    const scale = decades(layers);
    list.style.setProperty("--decades", String(scale.high - scale.low));
    listbox.setOptions(shown.map((layer) => option(layer, prefix, scale, end)));
    ticks(scale);
    filter.hidden = base.length <= MANY && !query;
    toggle.hidden = !some;
    setAttr(toggle, "aria-pressed", everything);
    setText(toggle, everything ? "Main layers only" : `All ${layers.length} layers`);
    plot.hidden = shown.length === 0;
    none.hidden = shown.length > 0;
    setText(none, layers.length ? "No layer has this in its name." : "This format has no layers to look at.");
    const dead = measured(report) ? layers.filter((layer) => !arrives(layer)).length : 0;
    const order = layers.length ? ["input first, score last"] : [];
    setText(note, (dead ? [`${dead} of ${layers.length} get none`, ...order] : order).join(" \u00b7 "));
    detail(false);
  }

  function ticks({ low, high }: Decades): void {
    const step = high - low > 4 ? 2 : 1;
    const marks = [];
    for (let exponent = high; exponent >= low; exponent -= step) {
      const mark = h("span", {}, power(exponent));
      mark.style.left = `${((exponent - low) / (high - low)) * 100}%`;
      marks.push(mark);
    }
    axis.replaceChildren(...marks);
  }

  /** The picked layer in full, below the list. */
  function detail(say: boolean): void {
    const layer = report?.layers.find(({ name }) => name === picked);
    listbox.select(layer ? layer.name : null);
    line.hidden = !layer;
    if (!layer) return;
    const said = finding(layer.name);
    const looked = report !== null && measured(report);
    const none = looked ? "no gradient arrives" : "no gradient was looked at";
    const norm = arrives(layer) ? `gradient ${normText(layer, looked)}` : none;
    const words = [layer.name, layer.kind, shapeText(layer), norm];
    if (layer.recommended) words.push("recommended for class activation maps");
    const text = `${words.join(", ")}.${said ? ` ${said.text}` : ""}`;
    setText(line, text);
    if (say) announce(text);
  }

  return {
    root,
    show(next) {
      report = next;
      fill();
      // The place where the gradient ends is what one came to see; only the list scrolls.
      const last = list.querySelector<HTMLElement>(".is-last-dead");
      if (last?.isConnected) reveal(last, list);
    },
    reveal(name) {
      const find = () => listbox.items.find((item) => item.dataset.value === name);
      if (!find()) {
        everything = true;
        filter.value = "";
      }
      picked = name;
      fill();
      const row = find();
      if (!row) return;
      for (const item of listbox.items) item.tabIndex = item === row ? 0 : -1;
      row.focus({ preventScroll: true });
      reveal(row, list);
    },
  };
}
