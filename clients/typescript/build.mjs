// Makes dist/, or another folder that is named: declarations with tsc, and code with esbuild. Fails if the package is larger than it may be.
import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

const limit = 8 * 1024; // bytes of the helper with the React hooks, minified and with gzip, without its peers

const dist = resolve(process.argv[2] ?? join(import.meta.dirname, "dist"));
process.chdir(import.meta.dirname);
rmSync(dist, { recursive: true, force: true });
const require = createRequire(import.meta.url);
const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
execFileSync(process.execPath, [tsc, "--project", ".", "--outDir", dist], { stdio: "inherit" });

const peers = ["@microsoft/signalr", "react"];
const shared = {
  absWorkingDir: import.meta.dirname, bundle: true, target: "es2022", external: peers, logLevel: "warning",
};
const entries = { entryPoints: ["src/index.ts", "src/react.ts"], outdir: dist, ...shared };
await esbuild.build({ ...entries, format: "esm", splitting: true, chunkNames: "chunk-[hash]" });
await esbuild.build({ ...entries, format: "cjs", outExtension: { ".js": ".cjs" } });
// For pages without a bundler: one file with everything in it.
await esbuild.build({
  ...shared, entryPoints: ["src/index.ts"], outfile: join(dist, "browser.js"), format: "esm", external: [], minify: true,
  platform: "browser", legalComments: "none", mainFields: ["module", "main"],
});

// CommonJS has declarations of its own, whose imports name the other ones.
for (const name of readdirSync(dist).filter((name) => name.endsWith(".d.ts"))) {
  const text = readFileSync(join(dist, name), "utf8");
  writeFileSync(join(dist, name.replace(/\.d\.ts$/, ".d.cts")), text.replace(/(["'])(\.\/[\w-]+)\.js\1/g, "$1$2.cjs$1"));
}
copyFileSync("../../LICENSE", join(dist, "LICENSE"));

const all = await esbuild.build({
  ...shared, format: "esm", minify: true, write: false,
  stdin: { contents: 'export * from "./src/index.ts"; export * from "./src/react.ts";', resolveDir: import.meta.dirname },
});
const size = gzipSync(all.outputFiles[0].contents, { level: 9 }).length;
console.log(`${size} bytes of ${limit}`);
if (size > limit) {
  throw new Error(`the package has ${size} bytes, ${limit} are allowed`);
}
