import { expect, test, vi } from "vitest";
import pulse from "../src/widgets/pulse/index";
import { MockModel } from "./mock_model";

function started(): MockModel {
  const model = new MockModel();
  pulse.initialize({
    model: model.any,
    signal: new AbortController().signal,
    experimental: {} as never,
  });
  return model;
}

test("each frame is answered once it is on the screen, and not before", async () => {
  const model = started();
  model.receive("ping", {}, 7);
  expect(model.sent).toHaveLength(0);
  await expect.poll(() => model.sent.length).toBe(1);
  expect(model.sent[0]).toMatchObject({ kind: "pong", revision: 7 });
});

test("a page that draws no frames answers nevertheless", async () => {
  vi.spyOn(window, "requestAnimationFrame").mockReturnValue(0);
  const model = started();
  model.receive("ping", {}, 1);
  await expect.poll(() => model.kinds()).toEqual(["pong"]);
  vi.restoreAllMocks();
});

test("other messages are not answered", async () => {
  const model = started();
  model.receive("cancelled", { message: "" }, 1);
  model.receive("ping", {}, 2);
  await expect.poll(() => model.sent.map(({ revision }) => revision)).toEqual([2]);
});
