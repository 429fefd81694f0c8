// Bundles every widget into the Python package: src/widgets/<name> -> xai_widgets/static/<name>.js and .css.
// A bundle is saved with every widget instance, so one over 100 KiB (script and styles) fails the build.
import { mkdir, readdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const LIMIT_BYTES = 100 * 1024;
const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const outdir = resolve(root, process.env.XAIW_STATIC ?? "../xai_widgets/static");
const watch = process.argv.includes("--watch");

await mkdir(outdir, { recursive: true });
const names = (await readdir(join(root, "src/widgets"), { withFileTypes: true }))
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

const entryPoints = names.flatMap((name) => [
  { in: join(root, `src/widgets/${name}/index.ts`), out: name },
  { in: join(root, `src/widgets/${name}/${name}.css`), out: name },
]);
const options = {
  entryPoints,
  outdir,
  bundle: true,
  minify: !watch,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
};

if (watch) {
  const context = await esbuild.context(options);
  await context.watch();
} else {
  await esbuild.build(options);
  for (const name of names) {
    const sizes = await Promise.all(
      [".js", ".css"].map(async (suffix) => (await stat(join(outdir, name + suffix))).size),
    );
    const total = sizes[0] + sizes[1];
    console.log(
      `${name}: ${(sizes[0] / 1024).toFixed(1)} KiB script, ${(sizes[1] / 1024).toFixed(1)} KiB styles`,
    );
    if (total > LIMIT_BYTES) {
      console.error(`${name} is ${total} bytes; a bundle may have at most ${LIMIT_BYTES}.`);
      process.exitCode = 1;
    }
  }
}
