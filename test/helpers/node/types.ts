// Programs against the package. It is compiled and not run. Lines that must not compile are marked.
import { RteClient, type Envelope, type EventMap, type RteSubscription } from "@rte-server/client";
import { useRte, useRteState } from "@rte-server/client/react";

declare module "@rte-server/client" {
  interface EventMap {
    ParcelSent: Envelope & { eventType: "ParcelSent"; weight: number };
  }
}

export const client = new RteClient({ url: "wss://rte.example.com/rte", token: async () => "token" });
client.on("QueueStatus", (event) => {
  const waiting: number = event.nbrOfQueuingRequesters;
  // @ts-expect-error: a QueueStatus has no user
  void event.userId;
  return waiting;
});
client.on("ParcelSent", (event) => event.weight.toFixed());
// @ts-expect-error: there is no such event
client.on("QueueStats", () => undefined);
client.onAny((event) => (event.eventType === "UserStatus" ? event.talking : undefined));

export const subscription: RteSubscription<"UserStatus"> = client.subscribe("id", "UserStatus", (event) => event.talking);
subscription.ready.then(({ state, reason, last }) => (state === "refused" ? reason : last?.available));
client.onDiscontinuity(async ({ from, topics }) => {
  // @ts-expect-error: the time may be unknown
  from.toISOString();
  await Promise.all(topics.map(({ entityId, eventName }) => entityId + eventName));
});
// @ts-expect-error: a client needs tokens
export const without = new RteClient({ url: "/rte" });

export function Queue({ id }: { id: string }): string {
  const { last, state } = useRte(client, id, "QueueStatus");
  const { kind } = useRteState(client);
  return `${kind} ${state} ${last?.queueName} ${last?.nbrOfRequesters.toFixed()}`;
}
export type Names = keyof EventMap;
