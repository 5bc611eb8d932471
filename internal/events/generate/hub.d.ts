// Types of what an rte-server sends to clients of the JSON protocol, and of what it takes from them.
//
//   connection.on("MessageReceived", ({ data }: MessageReceived) => {
//     if (data.eventType === "QueueStatus") show(data.queueName, data.nbrOfQueuingRequesters);
//   });

/** 36 characters, for instance `29f6e823-b484-e611-80c9-00505689257e`. */
export type Guid = string;

/** ISO 8601, for instance `2023-10-19T14:21:19.7009158Z`; without a zone it is UTC. */
export type DateTime = string;

/** The name of an event. */
export type EventName = RteEvent["eventType"];

/** What is listened to: an argument of `Subscribe` and `Unsubscribe`. */
export interface EntitySubscription {
  /** A user, a queue or a call list. */
  EntityId: Guid;
  /** In any case; the typings know the names as they are published. */
  EventName: EventName | (string & {});
}

/** What became of one EntitySubscription. */
export interface SubscriptionResult {
  subscribed: boolean;
  /** Why not; null if it was. */
  message: string | null;
  /** As it was asked for. */
  entityId: string;
  /** In lower case. */
  eventName: string;
  /** With `features=notices` only. */
  code?: SubscriptionCode;
  /** With `features=notices` only, and if it was refused by `Subscribe`: what an operator finds the reason by. */
  traceId?: string;
}

/** What became of an EntitySubscription, in a stable word; more words may come. */
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

/** An active subscription. */
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
  /** Why the server has ended them. */
  code: SubscriptionCode;
  /** How many there were. */
  total: number;
  /** Up to 500 of them. */
  subscriptions: Subscription[];
}

/**
 * The argument of the client method `Resync`, which the server invokes with `features=notices` only: events may be
 * missing that it cannot get any more. What they were about should be fetched again.
 */
export interface Resync {
  organizationId: Guid;
  /** Why they are missing. */
  reason: "trimmed" | "fork" | "outage" | "overflow" | (string & {});
  /** When the first of them was published; null: not known. */
  from: DateTime | null;
  /** When the last of them was published; null: not known. */
  to: DateTime | null;
  /** How many subscriptions of this connection are concerned. */
  total: number;
  /** Up to 500 of them. */
  subscriptions: Subscription[];
}

/** The methods of the hub, for a typed wrapper around `connection.invoke`. */
export interface Hub {
  /** Answers in the order of the request; items that fail do not keep the others from being subscribed. */
  Subscribe(subscriptions: EntitySubscription[]): Promise<SubscriptionResult[]>;
  Unsubscribe(subscriptions: EntitySubscription[]): Promise<SubscriptionResult[]>;
  UnsubscribeAll(): Promise<boolean>;
  /** The names of all events. */
  AvailableSubscriptions(): Promise<EventName[]>;
  ActiveSubscriptions(): Promise<Subscription[]>;
}
