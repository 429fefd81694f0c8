// The gallery as a PNG: the enlarged picture, the page, and what excites it.

import { pngOf } from "../../core/png";
import { drawPicture } from "../../core/renderer";
import { sheet } from "../../core/sheet";
import type { Detail } from "./detail";
import { rounded } from "./reading";
import type { GalleryStore } from "./store";

const LARGE = 320;
const TILE = 72;
const GAP = 12;
const TOP = 44;
const ACROSS = 8;

/** PNG bytes on white, whatever the theme: it is kept in documents. */
export async function toPng(store: GalleryStore, detail: Detail): Promise<Uint8Array> {
  const items = store.gallery?.items ?? [];
  const found = (store.exciting?.items ?? []).slice(0, ACROSS);
  const rows = Math.ceil(items.length / ACROSS);
  const width = LARGE + 3 * GAP + ACROSS * (TILE + GAP);
  const page = rows * (TILE + 24);
  const height = TOP + Math.max(LARGE, page + (found.length ? TILE + 56 : 0)) + 24;
  const paper = sheet(width, height);
  if (!paper) return new Uint8Array(0);
  const { canvas, ink } = paper;
  const of = store.gallery?.layer ? `${store.gallery.layer}, ` : "";
  ink.fillText(`${store.setup?.title ?? ""}: ${of}${detail.words}`, GAP, 27, width - 2 * GAP);
  ink.imageSmoothingEnabled = false;
  if (detail.canvas.width) ink.drawImage(detail.canvas, GAP, TOP, LARGE, LARGE);
  ink.imageSmoothingEnabled = true;
  ink.font = "11px system-ui, sans-serif";
  ink.fillStyle = "#3c434d";
  const small = document.createElement("canvas");
  const left = LARGE + 2 * GAP + GAP;
  items.forEach((item, at) => {
    const x = left + (at % ACROSS) * (TILE + GAP);
    const y = TOP + Math.floor(at / ACROSS) * (TILE + 24);
    const tile = store.tiles.get(item.index);
    if (tile) {
      drawPicture(small, tile.array);
      ink.drawImage(small, x, y, TILE, TILE);
    } else ink.strokeRect(x, y, TILE, TILE);
    ink.fillText(item.name, x, y + TILE + 13, TILE);
  });
  if (found.length) ink.fillText("In the images", left, TOP + page + 18);
  found.forEach((each, at) => {
    const x = left + at * (TILE + GAP);
    drawPicture(small, each.crop);
    ink.drawImage(small, x, TOP + page + 26, TILE, TILE);
    ink.fillText(rounded(each.value), x, TOP + page + TILE + 40, TILE);
  });
  return pngOf(canvas);
}
