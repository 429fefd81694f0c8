import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Channel, PROBE_AFTER_MS, SILENT_AFTER_MS } from "../src/core/channel";
import type { Asked, Payloads } from "../src/core/protocol";
import { DEFAULTS, MockModel } from "./mock_model";

const result: Payloads["result"] = {
  seconds: 1,
  cached: false,
  target: null,
  layer: null,
  facts: [],
  notes: [],
};
const asked: Asked = DEFAULTS;

let model: MockModel;
let channel: Channel;
let heard: string[];
let silences: boolean[];

beforeEach(() => {
  vi.useFakeTimers();
  model = new MockModel();
  heard = [];
  silences = [];
  channel = new Channel(
    model.any,
    (kind, _payload, revision) => heard.push(`${kind} ${revision}`),
    (silent) => silences.push(silent),
  );
});
afterEach(() => {
  channel.close();
  vi.useRealTimers();
});

test("messages of older jobs are dropped", () => {
  model.receive("accepted", asked, 2);
  model.receive("progress", { done: 1, total: 2, stage: "explain", text: "" }, 1);
  model.receive("result", result, 1);
  model.receive("accepted", asked, 1);
  model.receive("result", result, 2);
  expect(heard).toEqual(["accepted 2", "result 2"]);
});

test("a job has one final; whatever follows it is dropped", () => {
  model.receive("accepted", asked, 1);
  model.receive("cancelled", { message: "" }, 1);
  model.receive("result", result, 1);
  model.receive("error", { message: "", traceback: "", stage: "" }, 1);
  model.receive("progress", { done: 1, total: 2, stage: "explain", text: "" }, 1);
  expect(heard).toEqual(["accepted 1", "cancelled 1"]);
});

test("a finished job that the kernel repeats for a new view is heard again", () => {
  for (let i = 0; i < 2; i += 1) {
    model.receive("accepted", asked, 1);
    model.receive("result", result, 1);
  }
  expect(heard).toEqual(["accepted 1", "result 1", "accepted 1", "result 1"]);
});

test("replies that belong to no job are never dropped", () => {
  model.receive("accepted", asked, 5);
  model.receive("thumbnails", { start: 0, items: [] }, 2);
  model.receive("snapshot", { token: "a" }, 1);
  expect(heard.slice(1)).toEqual(["thumbnails 2", "snapshot 1"]);
});

test("without an acknowledgement for 5 s the kernel is silent, until it speaks", () => {
  const id = channel.send("hello");
  vi.advanceTimersByTime(SILENT_AFTER_MS - 1);
  expect(silences).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(channel.silent).toBe(true);
  model.receive("ack", { id });
  expect(silences).toEqual([true, false]);
});

test("an acknowledgement in time keeps it quiet, and covers what was sent before", () => {
  channel.send("hello");
  const second = channel.send("superpixels");
  model.receive("ack", { id: second });
  vi.advanceTimersByTime(10 * SILENT_AFTER_MS);
  expect(silences).toEqual([]);
});

test("a changed trait that leads to no job is asked after, and is silent 5 s after the change", () => {
  channel.expectJob();
  vi.advanceTimersByTime(PROBE_AFTER_MS);
  expect(model.kinds()).toEqual(["hello"]);
  vi.advanceTimersByTime(SILENT_AFTER_MS - PROBE_AFTER_MS);
  expect(channel.silent).toBe(true);
});

test("a changed trait that leads to a job is not asked after", () => {
  channel.expectJob();
  model.receive("accepted", asked, 1);
  vi.advanceTimersByTime(10 * SILENT_AFTER_MS);
  expect(model.kinds()).toEqual([]);
});

test("a host that cannot send counts as silent", () => {
  model.send = () => {
    throw new Error("no comm");
  };
  channel.send("hello");
  expect(channel.silent).toBe(true);
});

test("foreign messages on the same model are ignored", () => {
  model.receive("ack", { id: "x" });
  (model as unknown as { receive(kind: string, payload: object): void }).receive("anywidget-command", {});
  expect(heard).toEqual(["ack 0"]);
});
