// Pictures of the development page in both themes and several widths, into dev/out (git-ignored): look at them.
import { mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as esbuild from "esbuild";
import { chromium } from "playwright";

const dev = dirname(fileURLToPath(import.meta.url));
const out = join(dev, "out");
await mkdir(out, { recursive: true });
/** Code that comes later, in a message: script and styles. */
const bundled = async (name) => {
  const built = await esbuild.build({
    entryPoints: ["index.ts", `${name}.css`].map((file) => resolve(dev, `../src/widgets/${name}`, file)),
    outdir: out,
    bundle: true,
    format: "esm",
    write: false,
  });
  return Object.fromEntries(
    built.outputFiles.map(({ path, text }) => [path.endsWith(".css") ? "style" : "script", text]),
  );
};
await esbuild.build({
  define: {
    SCORES: JSON.stringify(await bundled("scores")),
    REPORT: JSON.stringify(await bundled("report")),
    STUDIES: JSON.stringify(await bundled("studies")),
    "import.meta.url": '"file:///"',
  },
  entryPoints: [
    { in: join(dev, "main.ts"), out: "main" },
    { in: resolve(dev, "../src/widgets/explorer/explorer.css"), out: "explorer" },
    { in: resolve(dev, "../src/widgets/readiness/readiness.css"), out: "readiness" },
    { in: resolve(dev, "../src/widgets/attention/attention.css"), out: "attention" },
    { in: resolve(dev, "../src/widgets/scrubber/scrubber.css"), out: "scrubber" },
    { in: resolve(dev, "../src/widgets/workbench/workbench.css"), out: "workbench" },
    { in: resolve(dev, "../src/widgets/comparison/comparison.css"), out: "comparison" },
    { in: resolve(dev, "../src/widgets/gallery/gallery.css"), out: "gallery" },
  ],
  outdir: out,
  bundle: true,
  format: "iife",
  target: "es2022",
});

const shots = process.argv.slice(2).map((argument) => argument.split(","));
if (!shots.length) {
  for (const width of [480, 800, 1120, 1400])
    for (const theme of ["light", "dark"]) shots.push(["region", theme, width]);
  for (const scene of ["plain", "cam", "busy", "error", "refused", "connecting", "loading", "classes"])
    shots.push([scene, "light", 1120]);
  for (const width of [480, 800, 1120])
    for (const theme of ["light", "dark"]) shots.push(["check-lost", theme, width]);
  for (const scene of ["healthy", "faded", "onnx", "broken", "many", "busy", "error"])
    shots.push([`check-${scene}`, "light", 1120]);
  for (const width of [480, 800, 1120, 1400]) shots.push(["attention", "light", width]);
  shots.push(["attention-large", "dark", 1120], ["attention-none", "light", 1120]);
  for (const width of [480, 800, 1120, 1400]) shots.push(["scrubber", "light", width]);
  shots.push(["scrubber", "dark", 1120], ["scrubber-busy", "light", 1120], ["scrubber-none", "light", 1120]);
  for (const width of [480, 800, 1120, 1400])
    for (const theme of ["light", "dark"]) shots.push(["workbench", theme, width]);
  for (const scene of [
    "new",
    "empty",
    "classes",
    "partial",
    "busy",
    "error",
    "conflict",
    "refused",
    "suggest",
    "edit",
  ])
    shots.push([`workbench-${scene}`, "light", 1120]);
  for (const width of [480, 800, 1400])
    for (const theme of ["light", "dark"])
      for (const study of ["", "-pair", "-curves", "-sanity"])
        shots.push([`comparison${study}`, theme, width]);
  for (const scene of ["many", "busy", "agreement"]) shots.push([`comparison-${scene}`, "light", 1120]);
  shots.push(["badge", "light", 1120], ["badge", "dark", 640]);
}
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-background-networking", "--allow-file-access-from-files"],
});
for (const [scene, theme, width] of shots) {
  const page = await browser.newPage({ viewport: { width: Number(width) + 48, height: 900 } });
  page.on("pageerror", (error) => console.error(error));
  page.on("console", (message) => message.type() === "error" && console.error(message.text()));
  await page.goto(`${pathToFileURL(join(dev, "index.html"))}?scene=${scene}&theme=${theme}&width=${width}`);
  await page.locator(".xaiw").waitFor();
  if (scene.startsWith("workbench")) {
    await page.locator(".xaiw-test").waitFor({ state: "attached" });
    await page.waitForTimeout(500);
    const box = await page.locator(".xaiw-frame:visible").first().boundingBox();
    await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.35);
  }
  if (scene.startsWith("comparison")) {
    await page.locator(".xaiw-studies").waitFor();
    await page.waitForTimeout(700);
    const box = await page.locator(".xaiw-cell-frame").first().boundingBox();
    await page.mouse.move(box.x + box.width * 0.6, box.y + box.height * 0.7);
  }
  if (scene === "region") {
    const box = await page.locator(".xaiw-frame").first().boundingBox();
    await page.mouse.move(box.x + box.width * 0.62, box.y + box.height * 0.9);
  }
  await page.screenshot({ path: join(out, `${scene}-${theme}-${width}.png`), fullPage: true });
  await page.close();
}
await browser.close();
