import { expect, test } from "vitest";
import { envelope, FINAL, OF_A_JOB, readEnvelope, TO_BROWSER, TO_KERNEL } from "../src/core/protocol";

test("ids are unique and the envelope says what it carries", () => {
  const a = envelope("hello", {}, 3);
  const b = envelope("cancel", {}, 3);
  expect(a.id).not.toBe(b.id);
  expect(a).toMatchObject({ v: 1, kind: "hello", revision: 3, payload: {} });
});

test("final kinds and kinds of a job are kinds", () => {
  for (const kind of [...FINAL, ...OF_A_JOB]) expect(TO_BROWSER).toContain(kind);
  expect(new Set(TO_BROWSER).size).toBe(TO_BROWSER.length);
  expect(new Set(TO_KERNEL).size).toBe(TO_KERNEL.length);
});

test.each([
  null,
  3,
  "hello",
  {},
  { v: 2, kind: "ack", revision: 0 },
  { v: 1, kind: "alert", revision: 0 },
  { v: 1, kind: "ack" },
])("%o is not one of our messages", (content) => {
  expect(readEnvelope(content)).toBeNull();
});
