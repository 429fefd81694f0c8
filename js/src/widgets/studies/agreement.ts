// How far the columns agree: their rank correlations as a table of coloured numbers.
import { colourTable, gradient } from "../../core/colours";
import { entryText, TITLES } from "../../core/comparison";
import { h, setText } from "../../core/dom";
import { signed } from "../../core/format";
import { empty, type Scene, type StudyView } from "./study";

/** The colour of a correlation, and black or white, whichever is easier to read on it (WCAG's contrast). */
export function shade(value: number, colours: string): { background: string; color: string } {
  const table = colourTable(colours);
  const entry = 3 * Math.round(((Math.max(-1, Math.min(1, value)) + 1) / 2) * 255);
  const rgb = [table[entry], table[entry + 1], table[entry + 2]];
  const [r, g, b] = rgb.map((c) =>
    c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4,
  );
  const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return { background: `rgb(${rgb.join(",")})`, color: light > 0.179 ? "#000" : "#fff" };
}

/** With two decimals, and no minus before a zero. */
const hundredths = (value: number) => (Math.round(value * 100) / 100 + 0).toFixed(2).replace("-", "\u2212");

export function agreementStudy({ store, state }: Scene): StudyView {
  const nothing = empty("");
  const table = h("table", { class: "xaiw-matrix" });
  const words = h("p", { class: "xaiw-study-words" });
  const bar = h("div", { class: "xaiw-bar", role: "img", "aria-label": "Colour scale from minus 1 to 1" });
  const scale = h(
    "div",
    { class: "xaiw-legend xaiw-matrix-legend" },
    h("span", { class: "xaiw-legend-low" }, "\u22121"),
    bar,
    h("span", { class: "xaiw-legend-high" }, "+1"),
  );
  const body = h(
    "div",
    { class: "xaiw-study-body" },
    h("div", { class: "xaiw-matrix-box" }, table),
    scale,
    words,
  );
  return {
    root: h("div", { class: "xaiw-agreement" }, nothing, body),
    update() {
      const { agreement, grid, setup } = store;
      const n = agreement?.labels.length ?? 0;
      const asked = store.studyState;
      // Numbers of another grid do not stand for this one, which can have none.
      const none = n <= 1 || asked?.state === "failed";
      nothing.hidden = !none;
      body.hidden = none;
      // While those of this grid are computed, the old ones stay where they are.
      body.classList.toggle("is-stale", asked?.state === "computing" || store.busy);
      if (!agreement || none || !grid || !setup) {
        const few = (grid?.across.length ?? 0) < 2;
        setText(
          nothing,
          few
            ? "One column agrees with itself: show two columns at least."
            : asked?.state === "failed" && asked.message
              ? asked.message
              : store.busy
                ? "The correlations come when the grid is complete."
                : "The correlations are not there yet.",
        );
        return;
      }
      const what = TITLES[grid.columns].many.toLowerCase();
      const { diverging } = state.display.state;
      bar.style.backgroundImage = gradient(diverging);
      const names = agreement.keys.map(
        (at, i) => agreement.labels[i] ?? entryText(setup.axes[grid.columns][at]),
      );
      const head = (text: string, scope: string) => h("th", { scope, title: text }, h("span", {}, text));
      table.replaceChildren(
        h("caption", { class: "xaiw-sr" }, `Rank correlation between ${what}`),
        h("thead", {}, h("tr", {}, h("td"), ...names.map((name) => head(name, "col")))),
        h(
          "tbody",
          {},
          ...names.map((name, row) =>
            h(
              "tr",
              {},
              head(name, "row"),
              ...names.map((other, column) => {
                const value = agreement.matrix.data[row * n + column];
                const known = Number.isFinite(value);
                const cell = h("td", { title: `${name} and ${other}` }, known ? hundredths(value) : "\u2013");
                if (known) Object.assign(cell.style, shade(value, diverging));
                return cell;
              }),
            ),
          ),
        ),
      );
      let least: [number, number] = [0, 1];
      for (let i = 0; i < n; i += 1)
        for (let j = i + 1; j < n; j += 1)
          if (agreement.matrix.data[i * n + j] < agreement.matrix.data[least[0] * n + least[1]])
            least = [i, j];
      const worst = agreement.matrix.data[least[0] * n + least[1]];
      const apart = Number.isFinite(worst)
        ? ` ${names[least[0]]} and ${names[least[1]]} are furthest apart, ${signed(worst)}.`
        : "";
      setText(
        words,
        `${agreement.over[0].toUpperCase()}${agreement.over.slice(1)}. Agreement is no proof: maps can be wrong together.${apart}`,
      );
    },
    stop() {},
  };
}
