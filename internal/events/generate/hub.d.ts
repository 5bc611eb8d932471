// Types of the messages between an rte-server and clients of the JSON protocol.
//
//   connection.on("MessageReceived", ({ data }: MessageReceived) => {
//     if (data.eventType === "QueueStatus") show(data.queueName, data.nbrOfQueuingRequesters);
//   });

/**
 * 36 characters, for instance `29f6e823-b484-e611-80c9-00505689257e`. Subscriptions have ids in lower case, `data` has
 * them as published: compare them without regard to case.
 */
export type Guid = string;

/** ISO 8601, for instance `2023-10-19T14:21:19.7009158Z`; without a zone it is UTC. */
export type DateTime = string;

/** The name of an event. */
export type EventName = keyof EventMap;

/** One event of one entity: an element of the argument of `Subscribe` and `Unsubscribe`. */
export interface EntitySubscription {
  /** A user, a queue or a call list. */
  EntityId: Guid;
  /** Upper and lower case are equal. The typings have the published spelling. */
  EventName: EventName | (string & {});
}

/** The result for one EntitySubscription. */
export interface SubscriptionResult {
  subscribed: boolean;
  /** The reason for a refusal, otherwise null. */
  message: string | null;
  /** As in the request. */
  entityId: string;
  /** In lower case. */
  eventName: string;
  /** With `features=notices` only. */
  code?: SubscriptionCode;
  /** With `features=notices` only, for refusals of `Subscribe`: the id by which an operator finds the reason. */
  traceId?: string;
}

/** The result for an EntitySubscription as a stable word. Later versions may add words. */
export type SubscriptionCode =
  | "ok"
  | "invalid_entity"
  | "unknown_event"
  | "wrong_kind"
  | "unauthorized"
  | "unavailable"
  | "limit"
  | "not_subscribed"
  | (string & {});

/** An active subscription. Its ids are in lower case. */
export interface Subscription<Name extends string = EventName> {
  id: Guid;
  allRootEntities: boolean;
  rootEntityId: Guid;
  rootEntityType: string;
  organizationId: Guid;
  eventType: Name;
  entityType: "User" | "Queue" | "CallList";
  entityId: Guid;
  allEntities: boolean;
}

/** The argument of the client method `MessageReceived`. */
export interface MessageReceived<E extends Envelope = RteEvent> {
  subscription: Subscription;
  data: E;
}

/** The argument of the client method `SubscriptionsEnded`, which the server invokes with `features=notices` only. */
export interface SubscriptionsEnded {
  /** Why the server ended them. */
  code: SubscriptionCode;
  /** The number of ended subscriptions. */
  total: number;
  /** Up to 500 of them. */
  subscriptions: Subscription[];
}

/**
 * The argument of the client method `Resync`, which the server invokes with `features=notices` only: the client may
 * have missed events that the server cannot recover. Fetch the state of these entities again. With the reason
 * `unavailable` it names none: subscribe again to what was refused with the code `unavailable`.
 */
export interface Resync {
  organizationId: Guid;
  /** Why events may be missing. */
  reason: "trimmed" | "fork" | "outage" | "overflow" | "unavailable" | (string & {});
  /** When the first missing event was published; null if unknown. */
  from: DateTime | null;
  /** When the last missing event was published; null if unknown. */
  to: DateTime | null;
  /** The number of affected subscriptions of this connection. */
  total: number;
  /** Up to 500 of them. */
  subscriptions: Subscription[];
}

/**
 * The argument of the client method `Closing`, which the server invokes with `features=notices` only: the server is
 * about to close this connection and allows the client to reconnect. A client that opens its next connection before
 * misses nothing.
 */
export interface Closing {
  /** `drain`: the node stops; `shed`: it has more connections than others. */
  reason: "drain" | "shed" | (string & {});
  /** When the server closes the connection. */
  at: DateTime;
}

/** The argument of the client method `Limits`, which the server invokes first, with `features=limits` only. */
export interface Limits {
  /** Items of one `Subscribe`; further ones are refused. */
  items: number;
  /** Subscriptions of the connection, which depend on the role. */
  subscriptions: number;
  /** Size of the largest message to the server; a longer one ends the connection. */
  messageBytes: number;
  /** Rate above which the server reads more slowly; 0: no limit. */
  callsPerSecond: number;
}

/** The methods of the hub, for a typed wrapper around `connection.invoke`. */
export interface Hub {
  /** Results are in the order of the request. Items that fail do not affect the others. */
  Subscribe(subscriptions: EntitySubscription[]): Promise<SubscriptionResult[]>;
  Unsubscribe(subscriptions: EntitySubscription[]): Promise<SubscriptionResult[]>;
  UnsubscribeAll(): Promise<boolean>;
  /** The names of all events. */
  AvailableSubscriptions(): Promise<EventName[]>;
  ActiveSubscriptions(): Promise<Subscription[]>;
}
