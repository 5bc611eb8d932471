import { useCallback, useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import type { ClientState, EventMap, EventName, Guid, RteClient, RteSubscription, SubscriptionState } from "./index.js";

/** What useRte returns. */
export interface RteValue<Name extends EventName> {
  /** The last state, for events that are states; otherwise undefined. */
  readonly last: EventMap[Name] | undefined;
  readonly state: SubscriptionState;
  /** Why it is pending or refused. */
  readonly reason: string;
}

/**
 * Subscribes to an event of an entity while the component is mounted, and renders it again when a state arrives or the
 * subscription changes. Components may share topics. `handler` gets each event; it need not be stable.
 */
export function useRte<Name extends EventName>(
  client: RteClient, entityId: Guid, eventName: Name, handler?: (event: EventMap[Name]) => void,
): RteValue<Name> {
  const newest = useRef(handler);
  useEffect(() => {
    newest.current = handler;
  });
  const value = useRef<RteValue<Name>>(nothing);
  // A new topic starts with nothing.
  const topic = useMemo(() => ({ client, entityId, eventName }), [client, entityId, eventName]);
  const subscribe = useCallback(
    (changed: () => void) => {
      const take = (subscription: RteSubscription<Name>) => {
        value.current = { last: subscription.last, state: subscription.state, reason: subscription.reason };
        changed();
      };
      const subscription = topic.client.subscribe(topic.entityId, topic.eventName, (event) => newest.current?.(event));
      const end = subscription.onChange(take);
      take(subscription);
      return () => {
        end();
        subscription.unsubscribe();
        value.current = nothing;
      };
    },
    [topic],
  );
  return useSyncExternalStore(subscribe, () => value.current, () => nothing);
}

const nothing = { last: undefined, state: "pending", reason: "" } as const;

/** Renders the component again when the state of the client changes. */
export function useRteState(client: RteClient): ClientState {
  return useSyncExternalStore(
    useCallback((changed: () => void) => client.onState(changed), [client]),
    () => client.state,
    () => client.state,
  );
}
