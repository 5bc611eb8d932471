// Microsoft's client in a process of its own, driven by lines of JSON.
//
//   node client.mjs '{"url": "...", "features": "...", "token": "...", "skipNegotiation": false, "reconnect": false}'
//
// stdin:  {"id": 1, "do": "start" | "stop" | "invoke" | "send" | "refresh", "target": "...", "args": [...], "token": "..."}
// stdout: {"id": 1, "result": ...} or {"id": 1, "error": "..."} for each command, and events when they happen:
//         {"event": "message" | "close" | "reconnecting" | "reconnected" | "SubscriptionsEnded" | "Resync", ...}
import { createInterface } from "node:readline";
import { DefaultHttpClient, HttpTransportType, HubConnectionBuilder, LogLevel, NullLogger } from "@microsoft/signalr";

const options = JSON.parse(process.argv[2]);
const print = (line) => {
  process.stdout.write(JSON.stringify(line) + "\n");
};

// The library does not report the negotiated connection token.
class HttpClient extends DefaultHttpClient {
  async send(request) {
    const response = await super.send(request);
    if (request.url.includes("/negotiate")) {
      this.connectionToken = JSON.parse(response.content).connectionToken;
    }
    return response;
  }
}
const httpClient = new HttpClient(NullLogger.instance);

const url = {
  httpClient,
  ...(options.token ? { accessTokenFactory: () => options.token } : {}),
  ...(options.skipNegotiation ? { skipNegotiation: true, transport: HttpTransportType.WebSockets } : {}),
};
const query = options.features ? `?features=${options.features}` : "";
let builder = new HubConnectionBuilder().withUrl(options.url + query, url).configureLogging(LogLevel.Warning);
if (options.reconnect) {
  builder = builder.withAutomaticReconnect([0, 50, 100, 200, 400, 800, 1600]);
}
const connection = builder.build();

connection.on("MessageReceived", (...args) => {
  print({ event: "message", args });
});
// Without handlers the library warns of unexpected invocations, as in any stock client.
if (options.features) {
  for (const event of ["SubscriptionsEnded", "Resync"]) {
    connection.on(event, (...args) => {
      print({ event, args });
    });
  }
}
connection.onreconnecting((error) => print({ event: "reconnecting", error: error?.message }));
connection.onreconnected(() => print({ event: "reconnected" }));
connection.onclose((error) => print({ event: "close", error: error?.message }));

const commands = {
  start: () => connection.start(),
  stop: () => connection.stop(),
  invoke: ({ target, args }) => connection.invoke(target, ...args),
  send: ({ target, args }) => connection.send(target, ...args),
  refresh: async ({ token }) => {
    const response = await fetch(`${options.url}/refresh`, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "X-SignalR-Connection-Token": httpClient.connectionToken },
    });
    const text = await response.text();
    return { status: response.status, ...(text ? JSON.parse(text) : {}) };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  // Not awaited: commands may overlap, like the calls of a page.
  commands[command.do](command).then(
    (result) => print({ id: command.id, result: result ?? null }),
    (error) => print({ id: command.id, error: error.message }),
  );
}
await connection.stop();
