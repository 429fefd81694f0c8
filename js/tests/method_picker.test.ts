import { expect, test } from "vitest";
import { shortCost } from "../src/components/method_picker";

test.each([
  ["1 forward, 1 backward", "1 of each"],
  ["257 forwards", "257 forwards"],
  ["26 forwards, 25 backwards", "26 + 25 passes"],
  ["65 forwards, 65 backwards", "65 of each"],
  ["25 of each + 1", "25 of each + 1"],
  ["", ""],
])("the cost %o is shown as %o", (cost, short) => {
  expect(shortCost(cost)).toBe(short);
});
