// What is asked: channels, classes or own objectives; the layer; parameters, and the picture that it starts from.

import type { Change, Context, Part } from "../../components/context";
import { segmented } from "../../components/controls";
import { layerPicker } from "../../components/layer_picker";
import { helpText, readField } from "../../components/parameters";
import { imageRail } from "../../components/rail";
import { RegionState } from "../../components/region_state";
import { h, setAttr, setText, svg, uniqueId } from "../../core/dom";
import type { Kind } from "../../core/gallery";
import type { Asked, ParameterInfo, ParameterValue, Region } from "../../core/protocol";
import { drawPicture } from "../../core/renderer";
import type { Store } from "../../core/store";
import type { GalleryStore } from "./store";

const KINDS: { value: Kind; text: string; title: string }[] = [
  { value: "channels", text: "Channels", title: "What each channel of a layer looks for" },
  { value: "classes", text: "Classes", title: "What the model takes for each class" },
  { value: "own", text: "Given", title: "Objectives that were given: concept vectors, sums, differences" },
];

/** `parts` stand in the side panel, in order. */
export function asking(context: Context, store: GalleryStore): Part[] {
  return [kinds(store), region(store), layers(context, store), form(store), start(context, store)];
}

function kinds(store: GalleryStore): Part {
  const choice = segmented("radiogroup", "Pictures of", KINDS, (value) => {
    if (value !== store.asked("kind")) store.turnTo({ kind: value as Kind });
  });
  const given = choice.root.querySelector('[data-value="own"]') as HTMLElement;
  return {
    root: h(
      "section",
      { class: "xaiw-section" },
      h("div", { class: "xaiw-heading" }, h("h3", {}, "Pictures of")),
      choice.root,
    ),
    update() {
      choice.select(store.asked("kind"));
      given.hidden = !store.gallery?.own.length && store.asked("kind") !== "own";
    },
  };
}

/** Of which region these are the channels, with the way back to all of them. */
function region(store: GalleryStore): Part {
  const canvas = h("canvas", { role: "img" });
  const mark = svg("svg", { class: "xaiw-box", preserveAspectRatio: "none", "aria-hidden": "true" });
  const words = h("span");
  const all = h(
    "button",
    { type: "button", class: "xaiw-link", onclick: () => store.turnTo({ region: null }) },
    "All channels",
  );
  const root = h(
    "section",
    { class: "xaiw-section", hidden: true },
    h("div", { class: "xaiw-heading" }, h("h3", {}, "Region"), all),
    h("div", { class: "xaiw-where" }, h("span", { class: "xaiw-excited-picture" }, canvas, mark), words),
  );
  let drawn: unknown = null;
  return {
    root,
    update() {
      const where = store.gallery?.where ?? null;
      root.hidden = where === null;
      if (!where || where === drawn) return;
      drawn = where;
      drawPicture(canvas, where.array);
      setAttr(canvas, "aria-label", where.name);
      const facade = { picture: where, mapOfPicture: null, superpixels: null, get: () => where.region };
      const state = new RegionState(facade as unknown as Store, () => where.region as Region);
      state.refresh();
      setAttr(mark, "viewBox", `0 0 ${where.width} ${where.height}`);
      const { shape } = state;
      mark.replaceChildren(
        ...[0, 1].map(() =>
          svg("path", { d: shape?.path ?? "", transform: shape ? `scale(${shape.sx} ${shape.sy})` : null }),
        ),
      );
      setText(
        words,
        `Channels that fire in the region of ${where.name} more than elsewhere, the strongest first.`,
      );
    },
  };
}

/** The Explorer's list; another layer begins at its first page. */
function layers(context: Context, store: GalleryStore): Part {
  const facade = Object.create(store, {
    set: { value: ({ layer }: Partial<Asked>) => store.turnTo({ layer: layer ?? null }) },
    method: { value: null },
  }) as Store;
  const part = layerPicker(Object.create(context, { store: { value: facade } }) as Context);
  return {
    root: part.root,
    update(change: Change) {
      part.root.hidden = store.asked("kind") !== "channels";
      part.update(change);
    },
  };
}

/** The optimisation's parameters; only what differs from the defaults is sent. */
function form(store: GalleryStore): Part {
  const fields = h("div", { class: "xaiw-fields" });
  const helpId = uniqueId("help");
  const help = h("small", { id: helpId, class: "xaiw-about" });
  const reset = h("button", { type: "button", class: "xaiw-link", hidden: true }, "Reset");
  reset.addEventListener("click", () => store.ask({ parameters: {} }));
  let shown: ParameterInfo[] | null = null;
  let setters: ((value: ParameterValue) => void)[] = [];

  function field(info: ParameterInfo): HTMLElement {
    const id = uniqueId("parameter");
    const wrong = h("small", { class: "xaiw-wrong", id: `${id}-wrong`, role: "alert" });
    const common = {
      id,
      "data-parameter": info.name,
      title: info.help ?? null,
      "aria-describedby": `${id}-wrong ${helpId}`,
      onfocus: () => setText(help, helpText(info)),
    };
    const input = info.choices
      ? h("select", common, ...info.choices.map((choice) => h("option", { value: choice }, String(choice))))
      : h("input", {
          ...common,
          type: "number",
          min: info.minimum,
          max: info.maximum,
          step: info.step ?? "any",
        });
    input.addEventListener("change", () => {
      const read = readField(info, input.value, false);
      setAttr(input, "aria-invalid", "wrong" in read ? true : null);
      setText(wrong, "wrong" in read ? read.wrong : "");
      if (!("value" in read)) return;
      const own = { ...store.asked("parameters"), [info.name]: read.value };
      if (read.value === info.default) delete own[info.name];
      store.ask({ parameters: own });
    });
    setters.push((value) => {
      if (input.value !== String(value)) input.value = String(value ?? "");
      setAttr(input, "aria-invalid", null);
      setText(wrong, "");
    });
    return h(
      "div",
      { class: "xaiw-field" },
      h("label", { for: id, title: info.help ?? null }, info.label),
      h("span", { class: "xaiw-input" }, input),
      wrong,
    );
  }

  return {
    root: h(
      "section",
      { class: "xaiw-section" },
      h("div", { class: "xaiw-heading" }, h("h3", {}, "Optimisation"), reset),
      fields,
      help,
    ),
    update(change: Change) {
      if (change !== "setup" && change !== "traits") return;
      const infos = store.about?.parameters ?? [];
      if (infos !== shown) {
        shown = infos;
        setters = [];
        fields.replaceChildren(...infos.map(field));
      }
      const own = store.asked("parameters") ?? {};
      infos.forEach((info, index) => {
        setters[index](info.name in own ? own[info.name] : info.default);
      });
      reset.hidden = Object.keys(own).length === 0;
    },
  };
}

/** Noise, or one of the images. */
function start(context: Context, store: GalleryStore): Part {
  const noise = h(
    "button",
    { type: "button", class: "xaiw-link", onclick: () => store.ask({ start: null }) },
    "Noise",
  );
  const facade = {
    get setup() {
      return store.setup;
    },
    thumbnails: store.thumbnails,
    requestThumbnails: (index: number) => store.requestThumbnails(index),
    get: () => store.asked("start") ?? -1,
    setImage: (index: number) => store.ask({ start: index }),
  };
  const rail = imageRail(Object.create(context, { store: { value: facade } }) as Context);
  const words = h("small");
  const root = h(
    "section",
    { class: "xaiw-section xaiw-start" },
    h("div", { class: "xaiw-heading" }, h("h3", {}, "Start from"), noise),
    rail.root,
    words,
  );
  return {
    root,
    update(change: Change) {
      root.hidden = !store.setup?.n_images;
      rail.update(change);
      const from = store.asked("start");
      setAttr(noise, "aria-pressed", from === null);
      (rail.root.querySelector(".xaiw-rail-count") as HTMLElement).hidden = true;
      const name = from === null ? null : (store.thumbnails.get(from)?.name ?? `image ${from}`);
      setText(words, name ? `Each picture starts as ${name}.` : "Each picture starts as faint noise.");
    },
  };
}
