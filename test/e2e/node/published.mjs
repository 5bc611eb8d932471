// Runs the calls of the published API's JavaScript samples in their order and with their arguments, including the call
// that passes `subscriptions` to AvailableSubscriptions. Prints {"name": result, ...}.
//
//   node published.mjs TOKEN_URL USER_ID QUEUE_ID
//
// "messages" are the messages until each of the two subscriptions has one. A line "subscribed" on stdout means that the
// events may be published.
import * as signalR from "@microsoft/signalr";

const [, , tokenUrl, userId, queueId] = process.argv;
const response = await (await fetch(tokenUrl, { method: "GET" })).json();

// The client needs the URL of its first request, which is HTTP, and derives the URL of the WebSocket.
var connection = new signalR.HubConnectionBuilder()
  .withUrl(response.WssEndpoint.replace(/^ws/, "http"), { accessTokenFactory: () => response.Token })
  .withAutomaticReconnect()
  .configureLogging(signalR.LogLevel.Warning)
  .build();
await connection.start();

const printed = {};
const messages = [];
const received = new Promise((resolve) => {
  connection.on("MessageReceived", function (message) {
    messages.push(message);
    if (new Set(messages.map((m) => m.subscription.id)).size === 2) {
      resolve();
    }
  });
});

var subscriptions = new Array();
subscriptions.push({
  EntityId: userId,
  EventName: "UserStatus",
});
subscriptions.push({
  EntityId: queueId,
  EventName: "QueueStatus",
});

printed.Subscribe = await connection.invoke("Subscribe", subscriptions);
console.log("subscribed");
await received;
printed.messages = messages;
printed.AvailableSubscriptions = await connection.invoke("AvailableSubscriptions", subscriptions);
printed.ActiveSubscriptions = await connection.invoke("ActiveSubscriptions");
printed.Unsubscribe = await connection.invoke("Unsubscribe", subscriptions);
printed.UnsubscribeAll = await connection.invoke("UnsubscribeAll");
printed.ActiveSubscriptionsAfter = await connection.invoke("ActiveSubscriptions");
console.log(JSON.stringify(printed));
await connection.stop();
