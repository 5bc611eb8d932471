// Makes the files of the console, in internal/console/web or in a folder that is named. Fails if the types are wrong, or
// if the files are larger than they may be.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import { writeTypes } from "./types.mjs";

const limit = 120 * 1024; // bytes of all files, with gzip

const root = import.meta.dirname;
const to = resolve(process.argv[2] ?? join(root, "../../internal/console/web"));
process.chdir(root);
writeTypes(root);
const require = createRequire(import.meta.url);
const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
execFileSync(process.execPath, [tsc, "--project", "."], { stdio: "inherit" });

mkdirSync(to, { recursive: true });
await esbuild.build({
  absWorkingDir: root, entryPoints: { app: "src/main.tsx" }, outdir: to, bundle: true, minify: true, format: "esm",
  target: "es2022", platform: "browser", legalComments: "inline", logLevel: "warning", charset: "utf8",
});
for (const name of ["index.html", "icon.svg"]) {
  copyFileSync(join("src", name), join(to, name));
}
// The licenses of the bundled packages demand a copy of their text.
const inside = ["preact", "@preact/signals", "@preact/signals-core", "uplot"];
const licenses = inside.map((name) => `${name}\n\n${readFileSync(join("node_modules", name, "LICENSE"), "utf8").trim()}\n`);
writeFileSync(join(to, "licenses.txt"), licenses.join("\n"));
const files = ["index.html", "icon.svg", "app.js", "app.css", "licenses.txt"];
const size = files.reduce((sum, name) => sum + gzipSync(readFileSync(join(to, name)), { level: 9 }).length, 0);
console.log(`${size} bytes of ${limit}`);
if (size > limit) {
  throw new Error(`the console has ${size} bytes, ${limit} are allowed`);
}
