import { type EventMap, type EventName, type Guid, type RteEvent, stateKeys, type Subscription } from "./events.js";
import { callAll } from "./state.js";

/**
 * - pending: not yet confirmed, or waiting for a new connection or for a server that can decide.
 * - active: the server sends events.
 * - refused: the server refused it; `reason` is its code. It is not tried again.
 * - ended: by unsubscribe, by the server (`reason` is its code), or with the client.
 */
export type SubscriptionState = "pending" | "active" | "refused" | "ended";

export type Handler<E = RteEvent> = (event: E, subscription: Subscription) => void;

/** What a topic knows of a subscription. */
export interface Subscriber {
  readonly handler: Handler | undefined;
  replaying: boolean;
  changed(): void;
}

/** A subscription to one event of one entity. The client renews it on every connection until it ends. */
export class RteSubscription<Name extends EventName = EventName> implements Subscriber {
  /** Resolves when the subscription is no longer pending for the first time: look at `state`. It never rejects. */
  readonly ready: Promise<RteSubscription<Name>>;
  readonly entityId: Guid;
  readonly eventName: Name;
  /** @internal */ readonly handler: Handler | undefined;
  /** @internal Whether the states so far are still to be given to the handler. */ replaying = false;
  #topic: TopicEntry;
  #report: (error: unknown) => void;
  #resolve!: (self: RteSubscription<Name>) => void;
  #listeners = new Set<(self: RteSubscription<Name>) => void>();
  #ended = false;

  /** @internal */
  constructor(topic: TopicEntry, handler: Handler<EventMap[Name]> | undefined, report: (error: unknown) => void) {
    this.#topic = topic;
    this.#report = report;
    this.entityId = topic.entityId;
    this.eventName = topic.eventName as Name;
    this.handler = handler as Handler | undefined;
    this.ready = new Promise((resolve) => (this.#resolve = resolve));
  }

  get state(): SubscriptionState {
    return this.#ended ? "ended" : this.#topic.state;
  }

  /** The code of a refusal, for instance "unauthorized"; why it is pending; otherwise empty. */
  get reason(): string {
    return this.#ended ? "unsubscribed" : this.#topic.reason;
  }

  /** The id by which the operator finds the reason of a refusal; otherwise empty. */
  get traceId(): string {
    return this.#topic.traceId;
  }

  /** The last state; undefined if none arrived, and for events that are no states. */
  get last(): EventMap[Name] | undefined {
    return [...this.#topic.states.values()].at(-1) as EventMap[Name] | undefined;
  }

  /** Calls a function after each change of `state`, `reason` or `last`. Returns a function that ends this. */
  onChange(listener: (self: RteSubscription<Name>) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Ends the subscription. Its handler gets no further event. */
  unsubscribe(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#topic.remove(this);
    this.changed();
  }

  /** @internal */
  changed(): void {
    if (this.state !== "pending") this.#resolve(this);
    callAll(this.#listeners, this.#report, this);
  }
}

/** What the server knows once, however many subscriptions of the application need it. */
export class TopicEntry {
  state: SubscriptionState = "pending";
  reason = "";
  traceId = "";
  /** When to subscribe, as Date.now(); for pending ones. */
  due = 0;
  failures = 0;
  /** Since when events may be missing, as Date.now(); undefined: none is. -Infinity: unknown. */
  gapSince: number | undefined;
  gapReason = "";
  /** Last states by their key. */
  readonly states = new Map<string, RteEvent>();
  readonly subscriptions = new Set<Subscriber>();
  readonly serial: number;
  readonly keys: readonly string[] | undefined;
  #wake: () => void;
  static #serials = 0;

  constructor(readonly entityId: Guid, readonly eventName: string, wake: () => void) {
    this.serial = TopicEntry.#serials++;
    const name = Object.keys(stateKeys).find((state) => state.toLowerCase() === eventName.toLowerCase());
    this.keys = name === undefined ? undefined : stateKeys[name];
    this.#wake = wake;
  }

  /** The bytes that it takes in a call at most: JSON writes a character that is not ASCII in six. */
  get bytes(): number {
    const size = (text: string) => text.replace(/[^ -~]/g, "123456").length;
    return 32 + size(this.entityId) + size(this.eventName);
  }

  remove(subscription: Subscriber): void {
    this.subscriptions.delete(subscription);
    this.#wake();
  }

  set(state: SubscriptionState, reason = "", traceId = ""): void {
    if (state === this.state && reason === this.reason) return;
    this.state = state;
    this.reason = reason;
    this.traceId = traceId;
    for (const each of [...this.subscriptions]) each.changed();
  }

  /** Remembers that events may be missing. */
  miss(since: number, reason: string): void {
    this.gapSince = Math.min(since, this.gapSince ?? since);
    this.gapReason = reason;
  }

  /** Keeps a state. Returns false if it is the one that was there. */
  keep(event: RteEvent): boolean {
    if (!this.keys) return true;
    const key = this.keys.map((name) => (event as unknown as Record<string, unknown>)[name]).join("\n");
    if (event.id && this.states.get(key)?.id === event.id) return false;
    this.states.delete(key); // so that the newest is the last one
    this.states.set(key, event);
    if (this.states.size > 1000) this.states.delete(this.states.keys().next().value!);
    return true;
  }
}

/** Names a topic. The server does not distinguish upper and lower case. */
export const keyOf = (entityId: string, eventName: string): string => `${entityId}/${eventName}`.toLowerCase();
