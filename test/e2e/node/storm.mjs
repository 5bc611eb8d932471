// Many stock clients in one process.
//
//   node storm.mjs '{"url": "...", "tokens": ["...", ...]}'
//
// Each token gets a client with the automatic reconnect of the library. All start at once. stdout has a line for each of
// their events, with the milliseconds since the beginning:
//   {"event": "in" | "failed" | "reconnecting" | "reconnected" | "close", "client": 1, "at": 123, "error": "..."}
// The process ends with its input.
import { HubConnectionBuilder, LogLevel } from "@microsoft/signalr";

const options = JSON.parse(process.argv[2]);
const began = Date.now();

const connections = options.tokens.map((token, client) => {
  const print = (event, error) => {
    process.stdout.write(JSON.stringify({ event, client, at: Date.now() - began, error: error?.message }) + "\n");
  };
  const connection = new HubConnectionBuilder()
    .withUrl(options.url, { accessTokenFactory: () => token })
    .withAutomaticReconnect()
    .configureLogging(LogLevel.None)
    .build();
  connection.onreconnecting((error) => print("reconnecting", error));
  connection.onreconnected(() => print("reconnected"));
  connection.onclose((error) => print("close", error));
  connection.start().then(
    () => print("in"),
    (error) => print("failed", error),
  );
  return connection;
});

process.stdin.resume();
process.stdin.on("end", async () => {
  await Promise.all(connections.map((connection) => connection.stop()));
  process.exit(0);
});
