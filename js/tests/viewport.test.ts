import { expect, test } from "vitest";
import { MAX_ZOOM, Viewport } from "../src/core/viewport";

const frame = { width: 200, height: 200 };

function viewport(width = 100, height = 50): Viewport {
  const view = new Viewport();
  view.setPicture({ width, height });
  return view;
}

test("a picture fits and is centred", () => {
  expect(viewport().transform(frame)).toEqual({ scale: 2, x: 0, y: 50 });
});

test("zooming keeps the point under the pointer", () => {
  const view = viewport(100, 100);
  const before = view.toPicture(frame, 150, 60);
  view.zoomAt(frame, 150, 60, 3);
  const after = view.toPicture(frame, 150, 60);
  expect(after.x).toBeCloseTo(before.x, 6);
  expect(after.y).toBeCloseTo(before.y, 6);
  expect(view.zoom).toBe(3);
});

test("zoom has limits, and panning stays on the picture", () => {
  const view = viewport(100, 100);
  view.zoomAt(frame, 0, 0, 1000);
  expect(view.zoom).toBe(MAX_ZOOM);
  view.panBy(frame, 1e6, -1e6);
  const corner = view.toPicture(frame, 0, 200);
  expect(corner.x).toBeCloseTo(0, 6);
  expect(corner.y).toBeCloseTo(100, 6);
  view.zoomAt(frame, 0, 0, 1e-6);
  expect([view.zoom, view.cx, view.cy]).toEqual([1, 0.5, 0.5]);
});

test("keys zoom, fit and pan; others are left to the page", () => {
  const view = viewport(100, 100);
  let changes = 0;
  view.onChange(() => {
    changes += 1;
  });
  expect(view.key(frame, "+", true)).toBe(true);
  expect(view.zoom).toBeCloseTo(1.25);
  expect(view.key(frame, "ArrowRight", true)).toBe(true);
  expect(view.cx).toBeGreaterThan(0.5);
  expect(view.key(frame, "ArrowRight", false)).toBe(false);
  expect(view.key(frame, "-", true)).toBe(true);
  expect(view.key(frame, "0", true)).toBe(true);
  expect(view.zoom).toBe(1);
  expect(view.key(frame, "a", true)).toBe(false);
  expect(changes).toBe(4);
});

test("a frame without a size breaks nothing", () => {
  const view = viewport();
  const empty = { width: 0, height: 0 };
  view.zoomAt(empty, 0, 0, 2);
  expect(Number.isFinite(view.transform(empty).x)).toBe(true);
  expect(Number.isFinite(view.cx)).toBe(true);
});

test("another picture of the same size keeps the zoom, one of another size resets it", () => {
  const view = viewport(100, 100);
  view.zoomAt(frame, 10, 10, 4);
  view.setPicture({ width: 100, height: 100 });
  expect(view.zoom).toBe(4);
  view.setPicture({ width: 100, height: 90 });
  expect(view.zoom).toBe(1);
});
