// Many of Microsoft's clients in one process, with the default policy of automatic reconnect. Each subscribes again
// after a reconnect, as an application does.
//
//   node swarm.mjs FILE    with {"url": "...", "tokens": ["..."], "items": [{"EntityId": "...", "EventName": "..."}]}
//
// stdin:  a line for each comparison
// stdout: {"event": "connected"} once, {"event": "down" | "up" | "closed", "client": 0, "at": milliseconds}, and
//         {"event": "compared", "connected": 0, "missing": 0} for each comparison: missing counts the clients that are
//         connected without all their subscriptions
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { HubConnectionBuilder, HubConnectionState, LogLevel } from "@microsoft/signalr";

const options = JSON.parse(readFileSync(process.argv[2], "utf8"));
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");

const clients = options.tokens.map((token, client) => {
  const connection = new HubConnectionBuilder()
    .withUrl(options.url, { accessTokenFactory: () => token })
    .withAutomaticReconnect()
    .configureLogging(LogLevel.None)
    .build();
  connection.on("MessageReceived", () => {});
  const report = (event) => print({ event, client, at: Date.now() });
  const subscribe = () => connection.invoke("Subscribe", options.items);
  connection.onreconnecting(() => report("down"));
  connection.onreconnected(() => {
    // A connection that ends meanwhile reports that itself.
    subscribe().then(() => report("up"), () => {});
  });
  connection.onclose(() => report("closed"));
  return { connection, subscribe };
});
for (const { connection, subscribe } of clients) {
  for (let started = false; !started; ) {
    started = await connection.start().then(() => true, () => new Promise((resolve) => setTimeout(resolve, 1000, false)));
  }
  await subscribe();
}
print({ event: "connected" });

for await (const _ of createInterface({ input: process.stdin })) {
  const states = await Promise.all(clients.map(async ({ connection }) => {
    if (connection.state !== HubConnectionState.Connected) return "away";
    try {
      const active = await connection.invoke("ActiveSubscriptions");
      return active.length === options.items.length ? "whole" : "missing";
    } catch {
      return "away";
    }
  }));
  const count = (state) => states.filter((s) => s === state).length;
  print({ event: "compared", connected: states.length - count("away"), missing: count("missing") });
}
await Promise.all(clients.map(({ connection }) => connection.stop()));
