// The application in Node: node node.mjs HELPER TOKEN_URL TRUTH_URL. HELPER is the module of the helper.
//
// stdin:  {"id": 1, "do": "see", ...}
// stdout: {"id": 1, "result": ...} or {"id": 1, "error": "..."}
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { application } from "./view.mjs";

const [, , helper, tokenUrl, truthUrl] = process.argv;
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const rte = helper.endsWith(".cjs") ? createRequire(import.meta.url)(helper) : await import(helper);
const app = application(rte, tokenUrl, truthUrl, print);
for await (const line of createInterface({ input: process.stdin })) {
  const { id, do: name, ...rest } = JSON.parse(line);
  Promise.resolve(app[name](rest)).then(
    (result) => print({ id, result: result ?? null }),
    (error) => print({ id, error: String(error) }),
  );
}
await app.stop(); // the process ends by itself: the helper leaves no timer and no socket
