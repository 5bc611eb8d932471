// A release of Microsoft's client in Node.
//
//   node node.js MAJOR_VERSION
import { createInterface } from "node:readline";
import { makeAdapter } from "./adapter.js";

const version = process.argv[2];
// Version 5 takes a Node with fetch for a browser.
if (version === "5") globalThis.self = globalThis;
const signalR = await import(`signalr-${version}`);
const msgpack = await import(`signalr-${version}-msgpack`);
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const run = makeAdapter(signalR, msgpack, print);

print({ protocols: ["json", "messagepack"] });
for await (const line of createInterface({ input: process.stdin })) {
  run(JSON.parse(line)).then(print); // not awaited: connections do not wait for each other
}
process.exit();
