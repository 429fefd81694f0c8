import { expect, test } from "vitest";
import { cdp } from "vitest/browser";
import { EVERY, PathStack } from "../src/core/path_stack";
import { MockModel } from "./mock_model";
import { MockScrubber, type ScrubberOptions } from "./mock_scrubber";
import { frames, mountScrubber } from "./mount";

const stackOf = (options: ScrubberOptions) => {
  const kernel = new MockScrubber(new MockModel(), { side: 8, ...options });
  const stack = new PathStack(kernel.path);
  for (const level of kernel.levels()) stack.add(kernel.message(level));
  stack.settle();
  stack.finished = true;
  return stack;
};

/** The sums by the plain definition, from the maps alone, in double precision. */
function plainly(stack: PathStack): number[][] {
  const { nodes, path } = stack;
  const maps = nodes.map((_, k) => [...stack.map(k)]);
  let sum = maps[0].map(() => 0);
  return nodes.map((node, k) => {
    if (k === 0) return sum;
    const step = node.alpha - nodes[k - 1].alpha;
    sum = sum.map((value, i) => {
      const mean = path.rule === "backward" ? maps[k][i] : (maps[k - 1][i] + maps[k][i]) / 2;
      return value + step * mean;
    });
    return sum;
  });
}

test.each<[string, ScrubberOptions]>([
  ["a trapezoid", { steps: 64 }],
  ["half precision", { steps: 64, halves: true }],
  ["a guided path", { steps: 30, guided: true }],
  ["uneven steps", { steps: 64, tolerance: 0.1 }],
  ["fewer points than a mark", { steps: 4 }],
])("a jump to any point of %s gives the sum up to it", (_name, options) => {
  const stack = stackOf(options);
  const expected = plainly(stack);
  const order = stack.nodes.map((_, k) => (k * 29) % stack.nodes.length);
  const largest = Math.max(...expected[expected.length - 1].map(Math.abs));
  for (const k of [...order, ...order.reverse()]) {
    stack.accumulated(k).forEach((value, i) => {
      expect(Math.abs(value - expected[k][i])).toBeLessThan(1e-5 * largest);
    });
    const total = expected[k].reduce((a, b) => a + b, 0);
    expect(stack.sums[k]).toBeCloseTo(total, 3);
    expect(stack.curve([3, 20]).sum[k]).toBeCloseTo(expected[k][3] + expected[k][20], 5);
  }
  const parts = stack.nodes.map((_, k) => stack.contribution(k).reduce((a, b) => a + b, 0));
  expect(parts.reduce((a, b) => a + b, 0)).toBeCloseTo(stack.sums[stack.sums.length - 1], 3);
});

test("half precision is kept as its bits, with a sum at every eighth point", () => {
  const [coarse, fine] = [stackOf({ steps: 64 }), stackOf({ steps: 64, halves: true })];
  coarse.map(40).forEach((value, i) => {
    expect(Math.abs(fine.map(40)[i] - value)).toBeLessThanOrEqual(2e-3 * Math.abs(value) + 1e-4);
  });
  expect(fine.nodes[0].values).toBeInstanceOf(Uint16Array);
  const size = 64;
  const marks = Math.ceil(65 / EVERY) * size * 4;
  fine.accumulated(3);
  expect(fine.nbytes).toBe(65 * size * 2 + marks + 2 * size * 4);
});

test("every halving of the steps shows in the convergence, also where they are uneven", () => {
  const stack = stackOf({ steps: 64, tolerance: 0.1 });
  const levels = stack.convergence();
  expect(levels[levels.length - 1].evaluations).toBe(14);
  expect(levels[levels.length - 1].gap).toBeCloseTo(stack.gap(13).gap, 6);
  expect(levels[0].evaluations).toBe(9);
  let error = 0;
  for (let k = 1; k < 14; k += 1) {
    const [a, b] = [stack.nodes[k - 1], stack.nodes[k]];
    error += Math.abs(((b.alpha - a.alpha) * (a.slope + b.slope)) / 2 - (b.scores[0] - a.scores[0]));
  }
  const change = stack.nodes[13].scores[0] - stack.nodes[0].scores[0];
  expect(stack.error()).toBeCloseTo(error / change, 5);
});

test("512 steps of 224 pixels take at most 70 MB, and closing the view frees them", async () => {
  const session = cdp() as unknown as { send(method: string): Promise<{ backingStorageSize: number }> };
  const used = async () => {
    await frames();
    await session.send("HeapProfiler.collectGarbage");
    await session.send("HeapProfiler.collectGarbage");
    return (await session.send("Runtime.getHeapUsage")).backingStorageSize;
  };
  const freed: string[] = [];
  const registry = new FinalizationRegistry((name: string) => freed.push(name));
  const before = await used();
  const size = await (async () => {
    const view = mountScrubber({ steps: 512, side: 224, zeros: true, halves: true });
    await frames();
    const held = await used();
    registry.register(view.root, "view");
    registry.register(view.kernel, "kernel");
    view.close();
    return held - before;
  })();
  console.log(`512 steps of 224 px: ${(size / 1e6).toFixed(1)} MB in the browser`);
  expect(size).toBeGreaterThan(50e6);
  expect(size).toBeLessThanOrEqual(70e6);
  await expect.poll(used, { timeout: 10_000 }).toBeLessThan(before + 5e6);
  await expect
    .poll(async () => (await used()) && freed.sort().join(), { timeout: 10_000 })
    .toBe("kernel,view");
});
