// The legend: the colour scale with its numbers, a marker at the value under the cursor, and the read-out.
import { gradient } from "../core/colours";
import { h, setAttr, setText } from "../core/dom";
import { magnitude, signed } from "../core/format";
import { type Change, type Context, coloursShown, type Part, scaleShown, valueAt } from "./context";

/** Range of values the colours stand for, with the entries of the colour table at its ends. */
export function legendRange(context: Context): { low: number; high: number; from: number; to: number } {
  const scale = scaleShown(context);
  const { sign } = context.display.state;
  if (context.store.map?.signed === false) return { low: 0, high: scale, from: 0, to: 255 };
  if (sign === "positive") return { low: 0, high: scale, from: 128, to: 255 };
  if (sign === "negative") return { low: -scale, high: 0, from: 0, to: 127 };
  return { low: -scale, high: scale, from: 0, to: 255 };
}

export function legend(context: Context): Part {
  const low = h("span", { class: "xaiw-legend-low" });
  const high = h("span", { class: "xaiw-legend-high" });
  const marker = h("i");
  const bar = h("div", { class: "xaiw-bar" }, marker);
  const position = h("span");
  const value = h("b");
  const readout = h("span", { class: "xaiw-readout" }, position, value);
  const root = h("div", { class: "xaiw-legend" }, low, bar, high, readout);

  function update(change: Change): void {
    const { store, cursor } = context;
    if (change !== "cursor") {
      const range = legendRange(context);
      const has = store.map !== null;
      setText(low, has ? (range.low === 0 ? "0" : signed(range.low)) : "");
      const plain = store.map?.signed === false;
      setText(high, has ? (plain || range.high === 0 ? magnitude(range.high) : signed(range.high)) : "");
      bar.style.backgroundImage = has ? gradient(coloursShown(context), range.from, range.to) : "";
      setAttr(bar, "role", has ? "img" : null);
      setAttr(
        bar,
        "aria-label",
        has ? `Colour scale from ${magnitudeText(range.low)} to ${magnitudeText(range.high)}` : null,
      );
    }
    const at = cursor ? valueAt(context, cursor) : null;
    const { low: from, high: to } = legendRange(context);
    marker.hidden = at === null || !Number.isFinite(at) || to === from;
    if (at !== null && to !== from) {
      const share = Math.max(0, Math.min(1, (at - from) / (to - from)));
      marker.style.left = `${share * 100}%`;
    }
    const inside =
      cursor &&
      store.picture &&
      cursor.x >= 0 &&
      cursor.y >= 0 &&
      cursor.x < store.picture.width &&
      cursor.y < store.picture.height;
    setText(position, cursor && inside ? `x ${Math.floor(cursor.x)}, y ${Math.floor(cursor.y)}` : "");
    setText(value, cursor && inside && store.mapOfPicture ? signed(at) : "");
  }
  return { root, update };
}

const magnitudeText = (value: number) => (value < 0 ? `minus ${magnitude(-value)}` : magnitude(value));
