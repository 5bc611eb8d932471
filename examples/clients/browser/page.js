// Shows the queues of the demo call centre. The page dims old values.
import { RteClient } from "./rte-client.js"; // dist/browser.js of the package

const json = async (path) => (await fetch(path)).json();
const client = new RteClient({ token: () => json("/token/me/rte/") });

client.onState(({ kind, reason }) => {
  document.body.dataset.state = kind;
  document.querySelector("[role=status]").textContent = kind === "right" ? "" : `${kind}: ${reason}`;
});
for (const { entityId, entityType, name } of await json("/demo/entities")) {
  if (entityType !== "Queue") continue;
  const row = document.querySelector("tbody").insertRow();
  const cells = [name, "…", "…"].map((text) => Object.assign(row.insertCell(), { textContent: text }));
  client.subscribe(entityId, "QueueStatus", (queue) => {
    cells[1].textContent = queue.nbrOfQueuingRequesters;
    cells[2].textContent = queue.nbrOfConnected;
  });
}
await client.start();
