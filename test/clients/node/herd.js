// Many connections of Microsoft's client, like those of pages: they reconnect automatically and then subscribe again.
//
//   node herd.js URL TOKEN CONNECTIONS ENTITY EVENT
//
// After all have connected, it prints a report for each line of the standard input:
//
//   {"connected": 500, "subscribed": 500, "reconnects": 0, "lost": ["why one gave up"], "received": [events of each]}
import { createInterface } from "node:readline";
import { HubConnectionBuilder, HubConnectionState, LogLevel } from "signalr-10";

const [, , url, token, size, entity, event] = process.argv;
const herd = [];

async function join() {
  const connection = new HubConnectionBuilder()
    .withUrl(url, { accessTokenFactory: () => token })
    .withAutomaticReconnect()
    .configureLogging(LogLevel.None)
    .build();
  const member = { connection, subscribed: false, lost: "", reconnects: 0, received: 0 };
  const subscribe = async () => {
    const [result] = await connection.invoke("Subscribe", [{ EntityId: entity, EventName: event }]);
    member.subscribed = result.subscribed;
  };
  connection.on("MessageReceived", () => member.received++);
  connection.onreconnecting(() => {
    member.subscribed = false;
    member.reconnects++;
  });
  // A connection that is lost before it subscribed again subscribes after the next reconnect.
  connection.onreconnected(() => subscribe().catch(() => {}));
  connection.onclose((error) => (member.lost = error?.message ?? "closed"));
  herd.push(member);
  await connection.start();
  await subscribe();
}

// A few at a time: the test needs the connections, not a storm of requests.
const joins = Array.from({ length: 10 }, async () => {
  while (herd.length < Number(size)) await join();
});
await Promise.all(joins);

const print = () => {
  const report = {
    connected: herd.filter((member) => member.connection.state === HubConnectionState.Connected).length,
    subscribed: herd.filter((member) => member.subscribed).length,
    lost: herd.map((member) => member.lost).filter((text) => text),
    reconnects: herd.reduce((sum, member) => sum + member.reconnects, 0),
    received: herd.map((member) => member.received),
  };
  process.stdout.write(JSON.stringify(report) + "\n");
};
for await (const _ of createInterface({ input: process.stdin })) print();
process.exit();
