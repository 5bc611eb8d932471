// A browser extension as it was written for the original system: node extension.mjs ADDRESS.
//
// It reads WSSEndpoint, puts https:// before it, keeps its first token, calls AvailableSubscriptions without arguments,
// subscribes its own user to events of which some no longer exist, has handlers for methods that the server never calls,
// and takes endTime as UTC although it has no Z.
import * as signalR from "@microsoft/signalr";

const [, , address] = process.argv;
const response = await (await fetch(`${address}/token/me/rte/`)).json();
const userId = JSON.parse(Buffer.from(response.Token.split(".")[1], "base64url")).sub;

const connection = new signalR.HubConnectionBuilder()
  .withUrl("https://" + response.WSSEndpoint, { accessTokenFactory: () => response.Token })
  .withAutomaticReconnect()
  .configureLogging(signalR.LogLevel.Error)
  .build();
for (const name of ["Connected", "SubscriptionChanged", "UserStatusChanged", "Error"]) {
  connection.on(name, () => console.log(`unexpected ${name}`));
}
connection.on("MessageReceived", (message) => {
  const { eventType, endTime, note } = message.data;
  if (eventType === "UserAvailability" && note === "Back at two.") console.log(`until ${new Date(endTime + "Z").toISOString()}`);
});
await connection.start();
console.log(`available ${(await connection.invoke("AvailableSubscriptions")).length}`);
const events = ["UserAvailability", "UserStatus", "UserCallIncoming", "UserCallConnected", "UserPresence", "UserCallDisconnected"];
const results = await connection.invoke("Subscribe", events.map((EventName) => ({ EntityId: userId, EventName })));
results.forEach((r) => console.log(`${r.eventName} ${r.subscribed} ${r.message}`));
console.log(`user ${userId}`);
process.stdin.on("data", () => undefined).on("end", () => connection.stop());
