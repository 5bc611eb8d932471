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
}

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
