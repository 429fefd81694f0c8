// The linked views: image, attribution, overlay. Two canvases are redrawn per display change; zoom is CSS only.

import { h, setAttr, uniqueId } from "../core/dom";
import type { Rectangle } from "../core/protocol";
import { clear, drawMap, drawPicture, type Quantised } from "../core/renderer";
import {
  type Change,
  type Context,
  coloursShown,
  type Part,
  quantiser,
  scaleShown,
  thresholdShown,
} from "./context";
import { Drawing } from "./drawing";
import { bindGestures } from "./gestures";
import { Pane } from "./pane";
import type { RegionState } from "./region_state";

/** A finer crop is asked for when the view rests. */
const CROP_AFTER_MS = 250;

/** What another tool puts in place of the Explorer's own. */
export interface ViewOptions {
  titles?: { image: string; overlay: string };
  help?: string;
  drawing?: (changed: () => void) => Drawing;
}

const HELP =
  "Plus and minus zoom, 0 fits. With Pan, arrows move the picture and Shift with arrows the read-out. With another tool, " +
  "arrows move the cursor, Shift for single pixels, and Enter places a corner or point, paints, or picks the superpixel; " +
  "Delete erases with the brush, Backspace takes back a point, Escape abandons.";

export interface Views extends Part {
  panes: Pane[];
  drawing: Drawing;
}

export function linkedViews(
  context: Context,
  region: RegionState,
  changed: (change: Change) => void,
  options: ViewOptions = {},
): Views {
  const { store, viewport, display, signal } = context;
  const canvas = (name: string, label: string) =>
    h("canvas", { class: name, role: "img", "aria-label": label });
  const picture = canvas("xaiw-picture", "Picture");
  const pictureCrop = canvas("xaiw-crop", "Finer part of the picture");
  const heat = canvas("xaiw-heat", "Attribution map");
  const under = canvas("xaiw-under", "Picture");
  const underCrop = canvas("xaiw-crop", "Finer part of the picture");
  const overlay = canvas("xaiw-overlay", "Attribution over the picture");
  const helpId = uniqueId("help");
  const image = new Pane("Image", [picture, pictureCrop], viewport, helpId, options.titles?.image);
  const attribution = new Pane("Attribution", [heat], viewport, helpId);
  const over = new Pane("Overlay", [under, underCrop, overlay], viewport, helpId, options.titles?.overlay);
  const panes = [image, attribution, over];
  const root = h(
    "div",
    { class: "xaiw-views" },
    ...panes.map((pane) => pane.root),
    h("div", { id: helpId, hidden: true }, options.help ?? HELP),
  );
  const drawing =
    options.drawing?.(() => changed("draft")) ?? new Drawing(context, region, () => changed("draft"));
  for (const pane of panes) bindGestures(pane, context, drawing);

  const quantised = quantiser();
  let drawn: { values: Quantised; key: string } | null = null;
  /** What was asked for last; the answer may be clipped or rounded by the kernel. */
  let cropAsked = "";
  let cropTimer: ReturnType<typeof setTimeout> | null = null;

  const layout = () => {
    for (const pane of panes) {
      pane.layout();
      pane.setCursor(context.cursor);
    }
    if (cropTimer) clearTimeout(cropTimer);
    cropTimer = setTimeout(askForCrop, CROP_AFTER_MS);
  };
  viewport.onChange(layout);
  const sizes = new ResizeObserver(() => {
    if (panes.map((pane) => pane.measure()).some(Boolean)) layout();
  });
  for (const pane of panes) sizes.observe(pane.frame);
  signal.addEventListener("abort", () => {
    sizes.disconnect();
    if (cropTimer) clearTimeout(cropTimer);
  });

  /** Asks for the visible part when the preview is coarser than the screen and there is more to see. */
  function askForCrop(): void {
    const shown = store.picture;
    const pane = panes.reduce((a, b) => (b.size.width > a.size.width ? b : a));
    if (!shown || !root.isConnected || pane.size.width === 0 || viewport.zoom <= 1) return;
    const density = shown.array.shape[1] / shown.width;
    const needed = viewport.transform(pane.size).scale * devicePixelRatio;
    if (density >= 1 || needed <= density * 1.1) return;
    const a = viewport.toPicture(pane.size, 0, 0);
    const b = viewport.toPicture(pane.size, pane.size.width, pane.size.height);
    const x = Math.max(0, Math.floor(a.x));
    const y = Math.max(0, Math.floor(a.y));
    const area: Rectangle = {
      x,
      y,
      width: Math.min(shown.width, Math.ceil(b.x)) - x,
      height: Math.min(shown.height, Math.ceil(b.y)) - y,
    };
    const key = JSON.stringify([shown.index, area]);
    const had = key === cropAsked;
    if (!had && area.width > 0 && area.height > 0) {
      cropAsked = key;
      store.requestCrop(
        area,
        Math.min(1024, Math.ceil(Math.max(pane.size.width, pane.size.height) * devicePixelRatio)),
      );
    }
  }

  function drawPictures(): void {
    const shown = store.picture;
    for (const target of [picture, under]) {
      if (shown) drawPicture(target, shown.array);
      else clear(target);
    }
    if (!shown) {
      image.setAside("");
      return;
    }
    viewport.setPicture(shown);
    const whole = { x: 0, y: 0, width: shown.width, height: shown.height };
    image.place(picture, whole);
    over.place(under, whole);
    image.setAside(`${shown.width} \u00d7 ${shown.height}`);
    setAttr(picture, "aria-label", `Picture ${shown.name}`);
    setAttr(picture, "data-index", shown.index);
    drawCrop();
    layout();
  }

  function drawCrop(): void {
    const { crop } = store;
    for (const [pane, target] of [
      [image, pictureCrop],
      [over, underCrop],
    ] as const) {
      target.hidden = !crop?.array || crop.index !== store.picture?.index;
      if (!crop?.array || target.hidden) continue;
      drawPicture(target, crop.array);
      pane.place(target, crop);
    }
    layout();
  }

  function drawMaps(): void {
    const map = store.mapOfPicture;
    const { opacity, sign } = display.state;
    over.setAside(`opacity ${opacity.toFixed(2)}`);
    if (!map) {
      drawn = null;
      clear(heat);
      clear(overlay);
      return;
    }
    const style = { colours: coloursShown(context), sign, threshold: thresholdShown(context) };
    if (!map.signed) style.sign = "both";
    const values = quantised(map.array, scaleShown(context), map.signed);
    drawMap(overlay, values, { ...style, opacity });
    // Opacity, the slider that is moved most, leaves the opaque map as it is.
    const key = JSON.stringify(style);
    if (drawn?.values === values && drawn.key === key) return;
    drawn = { values, key };
    drawMap(heat, values, { ...style, opacity: null });
    // For whoever reads the pixels: what they were drawn with.
    setAttr(heat, "data-key", map.key);
    setAttr(heat, "data-scale", values.scale);
    setAttr(heat, "data-colours", style.colours);
  }

  function placeMaps(): void {
    const map = store.mapOfPicture;
    if (!map) return;
    attribution.place(heat, map.placement);
    over.place(overlay, map.placement);
    attribution.setAside(`for ${map.target_text}`);
    setAttr(heat, "aria-label", `${map.method_title} map for ${map.target_text}`);
    layout();
  }

  function status(): void {
    const { state } = store;
    root.classList.toggle("is-stale", store.stale);
    root.classList.toggle("is-busy", state === "busy");
    root.classList.toggle("is-waiting", !store.picture && (state === "empty" || state === "busy"));
    const missing = !store.mapOfPicture;
    const verdict = store.setup?.verdict;
    const refused = verdict?.verdict === "inference-only" || verdict?.verdict === "broken";
    const reason = refused
      ? verdict.sentence
      : state === "error"
        ? "No map: the reason is below."
        : state === "cancelled"
          ? "Cancelled before there was a map."
          : store.setup?.n_images === 0
            ? "There is no image to explain."
            : "";
    attribution.setMessage(missing ? reason : "");
    image.setMessage(!store.picture && state === "error" ? "No picture: the reason is below." : "");
    if (missing) attribution.setAside("");
  }

  function marks(): void {
    region.refresh();
    for (const pane of panes) pane.setRegion(region.shape);
  }

  function update(change: Change): void {
    if (change === "picture") {
      drawPictures();
      drawMaps();
      placeMaps();
    } else if (change === "map") {
      drawMaps();
      placeMaps();
    } else if (change === "display") {
      drawMaps();
      setAttr(root, "data-tool", display.state.tool);
      if (display.state.tool === "superpixel") store.requestSuperpixels();
    } else if (change === "crop") drawCrop();
    else if (change === "cursor") for (const pane of panes) pane.setCursor(context.cursor);
    else if (change === "draft") {
      const shape = drawing.shape();
      for (const pane of panes) pane.setDraft(shape);
    }
    if (change === "picture" || change === "map" || change === "traits" || change === "superpixels") marks();
    if (change === "superpixels") drawing.superpixelsArrived();
    if (change === "status" || change === "setup" || change === "traits" || change === "map") status();
    if (change === "picture" && display.state.tool === "superpixel") store.requestSuperpixels();
  }
  return { root, update, panes, drawing };
}
