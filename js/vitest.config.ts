// Tests run in a real browser: canvas pixels, pointer events and container queries are what is tested.
import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";

const launchOptions = {
  executablePath: process.env.CHROMIUM_PATH ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-background-networking"],
};
const viewport = { width: 1280, height: 900 };

export default defineConfig({
  optimizeDeps: { include: ["axe-core"] },
  test: {
    include: ["tests/**/*.test.ts"],
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({ launchOptions }),
      instances: [
        { browser: "chromium", name: "1x", viewport },
        {
          browser: "chromium",
          name: "2x",
          viewport,
          provider: playwright({ launchOptions, contextOptions: { deviceScaleFactor: 2 } }),
          include: ["tests/renderer.test.ts", "tests/explorer.test.ts", "tests/explorer_job.test.ts"],
        },
      ],
    },
  },
});
