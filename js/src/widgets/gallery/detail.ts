// The enlarged picture: its steps or its mixture with another under one slider, the curve, and what excites it most.

import { chart } from "../../components/charts";
import { player } from "../../components/player";
import { h, setAttr, setText } from "../../core/dom";
import { percent } from "../../core/format";
import type { Film } from "../../core/gallery";
import { download, pngOf, withText } from "../../core/png";
import { clear, drawPicture } from "../../core/renderer";
import { outcome, rounded } from "./reading";
import type { GalleryStore } from "./store";

export interface Detail {
  root: HTMLElement;
  canvas: HTMLCanvasElement;
  /** What the picture is of, and where it stands, in words. */
  readonly words: string;
  /** Another picture is enlarged, or more of it is here. */
  update(): void;
  /** Stands over the picture instead of it. */
  setMessage(text: string): void;
  stop(): void;
}

/** `below` stands below the curve where there is room beside the picture, else below everything. */
export function detail(store: GalleryStore, below: HTMLElement, signal: AbortSignal): Detail {
  const canvas = h("canvas", { class: "xaiw-large", role: "img" });
  const message = h("div", { class: "xaiw-message", hidden: true });
  const name = h("span");
  const aside = h("span", { class: "xaiw-aside" });
  const figure = h(
    "figure",
    { class: "xaiw-pane" },
    h("figcaption", {}, name, aside),
    h("div", { class: "xaiw-frame" }, canvas, message),
  );
  const curve = chart("Objective", {
    fit: true,
    signal,
    onPick: (position) => {
      const film = current();
      if (!film) return;
      line.stop();
      go(nearest(film.positions.data, position));
    },
  });
  const save = h(
    "button",
    { type: "button", class: "xaiw-link", title: "Download this picture as a PNG that says how it was made" },
    "Save PNG",
  );
  const line = player({
    label: "Step of the optimisation",
    group: "Frames",
    at: () => at,
    go,
    extra: save,
  });
  const mix = h("select", { "aria-label": "Mix with" });
  mix.addEventListener("change", () =>
    store.look({ selected: store.shown, mix_with: mix.value === "" ? null : Number(mix.value) }),
  );
  const mixState = h("small", { role: "status" });
  const mixing = h(
    "div",
    { class: "xaiw-mixing" },
    h("label", { class: "xaiw-select" }, h("span", {}, "Mix with"), mix),
    mixState,
  );
  const beside = h("div", { class: "xaiw-beside" }, curve.root, mixing);
  const root = h(
    "div",
    { class: "xaiw-detail" },
    h("div", {}, figure, line.root),
    h("div", {}, beside, below),
  );

  /** Which film the frame counts in; another one is shown from its end, a mixture from its middle. */
  let film: Film | null = null;
  let at = 0;
  let drawn: unknown = null;

  const current = (): Film | null => {
    if (store.asked("mix_with") === null) return store.film;
    return store.mixture?.error ? null : store.mixture;
  };

  function words(index: number) {
    if (!film) return { title: "", about: "", spoken: "nothing to scrub yet" };
    const position = film.positions.data[index];
    const values = valuesAt(film, position);
    if (film.role === "steps") {
      const last = film.positions.data[film.positions.data.length - 1];
      const title = `Step ${position} of ${last}`;
      return {
        title,
        about: `objective ${rounded(values[0])}`,
        spoken: `step ${position} of ${last}, objective ${rounded(values[0])}`,
      };
    }
    const [a, b] = film.names;
    const shares = `${percent(1 - position)} ${a}, ${percent(position)} ${b}`;
    return {
      title: `${percent(1 - position)} \u00b7 ${percent(position)}`,
      about: values.map(rounded).join(" \u00b7 "),
      spoken: `${shares}, objectives ${values.map(rounded).join(" and ")}`,
    };
  }

  function go(index: number): void {
    at = index;
    drawFrame();
    drawLine();
  }

  function drawLine(): void {
    const last = film ? film.frames.shape[0] - 1 : 0;
    const label = film?.role === "mixture" ? "Share of the second picture" : "Step of the optimisation";
    line.update({ label, last: Math.max(1, last), disabled: last < 1, ...words(at) });
  }

  function drawFrame(): void {
    if (!film) return;
    const [, height, width] = film.frames.shape;
    const size = height * width * 3;
    const data = film.frames.data.subarray(at * size, (at + 1) * size);
    drawPicture(canvas, { dtype: "uint8", shape: [height, width, 3], data });
    canvas.dataset.frame = String(at);
    curve.move(nearest(film.at.data, film.positions.data[at]));
    const { title, about } = words(at);
    setText(aside, led());
    setAttr(canvas, "aria-label", `${name.textContent}: ${title}, ${about}`);
  }

  /** From where to where the optimisation went; of a mixture, that it is one. */
  function led(): string {
    if (!film) return "";
    if (film.role === "mixture") return `a grid of ${film.frames.shape[0]}`;
    const { data } = film.curves;
    const path = `${rounded(data[0])} \u2192 ${rounded(data[data.length - 1])}`;
    return film.partial ? `${path}, cancelled` : path;
  }

  function drawCurve(): void {
    if (film) {
      const { at: positions, curves, names, role, note } = film;
      const [lines, n] = curves.shape;
      const kinds = ["target", "contrast"];
      curve.set(
        [...positions.data],
        Array.from({ length: lines }, (_, i) => ({
          kind: kinds[i] ?? "change",
          text: role === "steps" ? "" : names[i],
          values: [...curves.data.subarray(i * n, (i + 1) * n)],
        })),
      );
      curve.setWords(note || (role === "steps" ? "at each step" : ""));
      return;
    }
    const tile = store.shown === null ? undefined : store.tiles.get(store.shown);
    if (tile && tile.history.length > 1) {
      curve.set(
        tile.history.map(([step]) => step),
        [{ kind: "target", text: "", values: tile.history.map(([, value]) => value) }],
      );
      curve.move(tile.history.length - 1);
    } else curve.clear("");
  }

  /** Without a film: what the optimisation has come to, or nothing. */
  function drawTile(): void {
    const tile = store.shown === null ? undefined : store.tiles.get(store.shown);
    if (tile) drawPicture(canvas, tile.live ?? tile.array);
    else clear(canvas);
    delete canvas.dataset.frame;
    setText(aside, tile ? outcome(tile) : "");
    setAttr(canvas, "aria-label", `${name.textContent}${tile ? `: ${outcome(tile)}` : ": nothing yet"}`);
  }

  let listed = "";
  function fillMix(): void {
    const index = store.shown;
    const chosen = store.asked("mix_with");
    const items = (store.gallery?.items ?? []).filter((item) => item.index !== index);
    if (chosen !== null && chosen !== index && !items.some((item) => item.index === chosen)) {
      items.push({ index: chosen, name: String(chosen), value: null });
    }
    const key = JSON.stringify([store.gallery?.key, items]);
    if (key !== listed) {
      // Only then: an open list would close under the hand.
      listed = key;
      mix.replaceChildren(
        h("option", { value: "" }, "nothing"),
        ...items.map((item) => h("option", { value: item.index }, item.name)),
      );
    }
    mix.value = chosen === null ? "" : String(chosen);
    mix.disabled = items.length === 0;
    const waits = chosen !== null && !store.mixture ? "The grid between the two is being computed." : "";
    setText(mixState, store.mixture?.error ?? waits);
  }

  function update(): void {
    const before = film;
    film = current();
    const index = store.shown;
    const second = store.item(store.asked("mix_with"));
    const words = film?.names ?? [store.item(index)?.name, second?.name];
    setText(name, words.filter(Boolean).join(" + "));
    setAttr(name, "title", name.textContent);
    fillMix();
    const mixed = film?.role === "mixture";
    if (film && film !== before) {
      line.stop();
      const last = film.frames.shape[0] - 1;
      at = mixed ? Math.round(last / 2) : last;
    }
    const fresh = film ?? (index === null ? null : (store.tiles.get(index) ?? index));
    if (fresh !== drawn) {
      drawn = fresh;
      drawCurve();
      if (film) drawFrame();
      else drawTile();
    }
    drawLine();
    save.disabled = canvas.width === 0 || (!film && !(index !== null && store.tiles.get(index)));
    figure.classList.toggle("is-waiting", !film && index !== null && !store.tiles.get(index) && store.busy);
  }

  save.addEventListener("click", async () => {
    const stem = `${name.textContent} ${film ? words(at).title : ""}`.trim();
    const bytes = await pngOf(canvas);
    const known = film ? { ...JSON.parse(film.provenance), shown: words(at).spoken } : {};
    download(withText(bytes, "Description", JSON.stringify(known)), `${stem}.png`);
  });

  return {
    root,
    canvas,
    get words() {
      return `${name.textContent}: ${film ? words(at).spoken : aside.textContent}`;
    },
    update,
    setMessage(text) {
      message.hidden = text === "";
      setText(message, text);
    },
    stop: () => line.stop(),
  };
}

/** Where in ascending numbers the one nearest to another stands. */
export function nearest(sorted: ArrayLike<number>, wanted: number): number {
  let best = 0;
  for (let i = 1; i < sorted.length; i += 1) {
    if (Math.abs(sorted[i] - wanted) < Math.abs(sorted[best] - wanted)) best = i;
  }
  return best;
}

/** Each curve at a position. */
function valuesAt(film: Film, position: number): number[] {
  const [lines, n] = film.curves.shape;
  const i = nearest(film.at.data, position);
  return Array.from({ length: lines }, (_, line) => film.curves.data[line * n + i]);
}
