// Shows the queues of the demo call centre with React.
import { StrictMode, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { RteClient } from "@rte-server/client";
import { useRte, useRteState } from "@rte-server/client/react";

interface Entity {
  entityId: string;
  entityType: string;
  name: string;
}

const json = async (path: string) => (await fetch(path)).json();
const client = new RteClient({ token: () => json("/token/me/rte/") });
void client.start();

function Queue({ entityId, name }: Entity) {
  const { last, state, reason } = useRte(client, entityId, "QueueStatus");
  return (
    <tr>
      <td>{name}</td>
      <td>{state === "refused" ? reason : (last?.nbrOfQueuingRequesters ?? "…")}</td>
      <td>{last?.nbrOfConnected ?? "…"}</td>
    </tr>
  );
}

function Board() {
  const [queues, setQueues] = useState<Entity[]>([]);
  const { kind, reason } = useRteState(client);
  useEffect(() => {
    json("/demo/entities").then((all: Entity[]) => setQueues(all.filter((entity) => entity.entityType === "Queue")));
  }, []);
  useEffect(() => {
    document.body.dataset.state = kind;
  }, [kind]);
  return (
    <>
      <p role="status">{kind === "right" ? "" : `${kind}: ${reason}`}</p>
      <table>
        <tbody>{queues.map((queue) => <Queue key={queue.entityId} {...queue} />)}</tbody>
      </table>
    </>
  );
}

createRoot(document.getElementById("root")!).render(<StrictMode><Board /></StrictMode>);
