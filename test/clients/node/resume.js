// Connections of Microsoft's client with stateful reconnect. Each checks that it receives the numbered events of one
// agent once and in order, and that its application sees no reconnect.
//
//   node resume.js VERSION URL TOKEN CONNECTIONS ENTITY EVENT
//
// After all have subscribed, it prints a report for each line of the standard input:
//
//   {"subscribed": 20, "received": [events of each], "wrong": ["what came out of order"], "noticed": 0,
//    "outages": [milliseconds of each ordinary reconnect, until it has subscribed again], "states": [of each],
//    "ids": [of each]}
//
// A client that reconnects uses the token in RESUME_NEXT_TOKEN from then on, if there is one. RESUME_SERVER_TIMEOUT is
// the server timeout of the clients in milliseconds.
import { createInterface } from "node:readline";

const [, , version, url, token, size, entity, event] = process.argv;
const { HubConnectionBuilder, LogLevel } = await import(`signalr-${version}`);
const { MessagePackHubProtocol } = await import(`signalr-${version}-msgpack`);

const members = [];
const wrong = [];
const outages = [];
let noticed = 0;

async function join(place) {
  let lost;
  const builder = new HubConnectionBuilder()
    .withUrl(url, { accessTokenFactory: () => (lost && process.env.RESUME_NEXT_TOKEN) || token })
    .withStatefulReconnect()
    .withAutomaticReconnect()
    .configureLogging(LogLevel.None);
  if (process.env.RESUME_SERVER_TIMEOUT) builder.withServerTimeout(Number(process.env.RESUME_SERVER_TIMEOUT));
  if (place % 2) builder.withHubProtocol(new MessagePackHubProtocol());
  const connection = builder.build();
  const member = { connection, received: 0, calls: 0, subscribed: false };
  connection.on("MessageReceived", (message) => {
    const data = message.data ?? message.Data;
    const number = data.number ?? data.Number;
    if (member.anew && number >= member.received) member.received = number;
    member.anew = false;
    if (number !== member.received) wrong.push(`connection ${place}: event ${number}, want ${member.received}`);
    member.received++;
  });
  const subscribe = async () => {
    const [result] = await connection.invoke("Subscribe", [{ EntityId: entity, EventName: event }]);
    member.subscribed = result.subscribed ?? result.Subscribed;
  };
  connection.onreconnecting(() => {
    noticed++;
    lost = Date.now();
  });
  connection.onreconnected(async () => {
    member.anew = true;
    await subscribe();
    outages.push(Date.now() - lost);
    repeat();
  });
  connection.onclose(() => noticed++);
  members.push(member);
  await connection.start();
  await subscribe();
  // Calls are resent as events are: each is answered once.
  const call = async () => {
    const list = await connection.invoke("ActiveSubscriptions");
    if (list.length !== 1) wrong.push(`connection ${place} has ${list.length} subscriptions`);
    member.calls++;
    setTimeout(repeat, 5 * Number(size)); // the calls of all take the same time, whatever their number
  };
  const failed = (error) => connection.state === "Connected" && wrong.push(`connection ${place}: ${error.message}`);
  const repeat = () => call().catch(failed);
  repeat();
}

for (let place = 0; place < Number(size); place++) await join(place);

for await (const _ of createInterface({ input: process.stdin })) {
  const report = {
    subscribed: members.filter((member) => member.subscribed).length,
    received: members.map((member) => member.received),
    calls: members.map((member) => member.calls),
    wrong,
    noticed,
    outages,
    states: members.map((member) => member.connection.state),
    ids: members.map((member) => member.connection.connectionId),
  };
  process.stdout.write(JSON.stringify(report) + "\n");
}
process.exit();
