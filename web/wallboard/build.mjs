// Makes the files of the wallboard, in internal/demo/web or in a folder that is named. Fails if the types are wrong, or
// if the files are larger than they may be.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

const limit = 80 * 1024; // bytes of all files, with gzip

const root = import.meta.dirname;
const to = resolve(process.argv[2] ?? join(root, "../../internal/demo/web"));
process.chdir(root);
const require = createRequire(import.meta.url);
const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
execFileSync(process.execPath, [tsc, "--project", "."], { stdio: "inherit" });

mkdirSync(to, { recursive: true });
await esbuild.build({
  absWorkingDir: root, entryPoints: { app: "src/main.tsx" }, outdir: to, bundle: true, minify: true, format: "esm",
  target: "es2022", platform: "browser", legalComments: "none", logLevel: "warning", charset: "utf8",
  mainFields: ["module", "main"],
  alias: { "@rte-server/client": join(root, "../../clients/typescript/src/index.ts") },
  nodePaths: [join(root, "node_modules")], // of the client, too
  // Microsoft's client reads Node's modules only in Node.
  external: ["ws", "eventsource", "node-fetch", "fetch-cookie", "tough-cookie"],
});
for (const name of ["index.html", "icon.svg"]) {
  copyFileSync(join("src", name), join(to, name));
}
// The developer's board links to the code that connects this page.
writeFileSync(join(to, "live.ts.txt"), readFileSync("src/live.ts"));
// The package of Microsoft's client names its licence but does not contain the text.
const licences = Object.entries({
  "@microsoft/signalr": "src/signalr.LICENSE", preact: "node_modules/preact/LICENSE",
  "@preact/signals": "node_modules/@preact/signals/LICENSE",
}).map(([name, file]) => {
  const { version, license } = JSON.parse(readFileSync(join("node_modules", name, "package.json"), "utf8"));
  if (license !== "MIT") throw new Error(`${name} has the licence ${license}, but ${file} is MIT`);
  return `${name} ${version}\n\n${readFileSync(file, "utf8").trim()}\n`;
});
writeFileSync(join(to, "LICENSES.txt"), licences.join("\n\n"));
const files = ["index.html", "icon.svg", "app.js", "app.css"];
const size = files.reduce((sum, name) => sum + gzipSync(readFileSync(join(to, name)), { level: 9 }).length, 0);
console.log(`${size} bytes of ${limit}`);
if (size > limit) {
  throw new Error(`the wallboard has ${size} bytes, ${limit} are allowed`);
}
