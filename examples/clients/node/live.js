// Prints the status of all queues of the demo call centre, and each change.
import { RteClient } from "@rte-server/client";

const server = process.env.RTE_SERVER ?? "http://127.0.0.1:8080";
const json = async (path) => (await fetch(server + path)).json();

const client = new RteClient({
  token: () => json("/token/me/rte/"), // a new one for each connection
  onError: (error) => console.error(error.message),
});
client.on("QueueStatus", (queue) => console.log(`${queue.queueName}: ${queue.nbrOfQueuingRequesters} wait`));
client.onState(({ kind, reason }) => console.log(kind, reason));
client.onDiscontinuity(({ topics }) => console.log(`${topics.length} topics: fetch what they show from the REST API`));

for (const { entityId, entityType } of await json("/demo/entities")) {
  if (entityType === "Queue") client.subscribe(entityId, "QueueStatus");
}
await client.start();
