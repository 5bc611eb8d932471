// Reads frames of the MessagePack hub protocol with Microsoft's own parser. Each line of standard input is
// {frame, json, dates}: the frame in base64, the JSON text that its argument must equal, and the properties whose strings
// became points in time. Each line of output is true or the difference.
import { createInterface } from "node:readline";
import { isDeepStrictEqual } from "node:util";
import { NullLogger } from "@microsoft/signalr";
import { MessagePackHubProtocol } from "@microsoft/signalr-protocol-msgpack";

const protocol = new MessagePackHubProtocol();

// A DateTime without a zone is UTC; Date.parse takes it for local time.
const pointInTime = (text) => new Date(/(Z|[+-]\d\d:\d\d)$/.test(text) ? text : text + "Z");

for await (const line of createInterface({ input: process.stdin })) {
  const { frame, json, dates } = JSON.parse(line);
  const bytes = Uint8Array.from(Buffer.from(frame, "base64"));
  const [message, ...more] = protocol.parseMessages(bytes.buffer, NullLogger.instance);
  const got = message.arguments[0];
  const want = JSON.parse(json);
  for (const name of dates) {
    // Far from 1970 the parser's arithmetic is not exact to the millisecond that a Date holds.
    if (got[name] instanceof Date && Math.abs(got[name] - pointInTime(want[name])) <= 1) {
      want[name] = got[name];
    }
  }
  const same = more.length === 0 && message.type === 1 && message.target === "MessageReceived" && isDeepStrictEqual(got, want);
  console.log(JSON.stringify(same || { got, want }));
}
