// Colour maps: 256-entry tables exported from matplotlib. Sequential for magnitude, diverging around zero for signed.
import { DIVERGING, SEQUENTIAL } from "./colour_tables";

const ENCODED: Record<string, string> = { ...SEQUENTIAL, ...DIVERGING };

export const SEQUENTIAL_NAMES = Object.keys(SEQUENTIAL);
export const DIVERGING_NAMES = Object.keys(DIVERGING);

const TITLES: Record<string, string> = {
  RdBu_r: "Blue-red",
  PuOr_r: "Purple-orange",
  coolwarm: "Cool-warm",
};

/** Name for people: "Blue-red" for RdBu_r, "Viridis" for viridis. */
export const colourTitle = (name: string) => TITLES[name] ?? name[0].toUpperCase() + name.slice(1);

const tables = new Map<string, Uint8Array>();

/** The 256 colours of a map, 768 bytes R G B. */
export function colourTable(name: string): Uint8Array {
  let table = tables.get(name);
  if (!table) {
    const encoded = ENCODED[name];
    if (!encoded)
      throw new Error(`"${name}" is not one of the colour maps ${Object.keys(ENCODED).join(", ")}.`);
    table = unpack(encoded);
    tables.set(name, table);
  }
  return table;
}

/** Neighbouring colours differ by at most 8 levels: two differences a character, as js/scripts/export_colours.py packs them. */
function unpack(text: string): Uint8Array {
  const table = new Uint8Array(768);
  const low = Number(text[6]);
  for (let i = 0; i < 3; i += 1) table[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  for (let i = 3; i < 768; i += 1) {
    const code = text.charCodeAt(7 + ((i - 3) >> 1));
    const pair = code - (code > 92 ? 36 : 35);
    table[i] = table[i - 3] - low + (i % 2 ? Math.floor(pair / 9) : pair % 9);
  }
  return table;
}

/** A CSS gradient over entries `from`..`to` of a map. */
export function gradient(name: string, from = 0, to = 255): string {
  const table = colourTable(name);
  const stops: string[] = [];
  for (let step = 0; step <= 16; step += 1) {
    const entry = Math.round(from + ((to - from) * step) / 16) * 3;
    stops.push(`rgb(${table[entry]},${table[entry + 1]},${table[entry + 2]})`);
  }
  return `linear-gradient(90deg,${stops.join(",")})`;
}
