import type {
  EntitySubscription, EventMap, EventName, Guid, MessageReceived, Resync, RteEvent, Subscription, SubscriptionResult,
  SubscriptionsEnded,
} from "./events.js";
import { Link } from "./link.js";
import { type AccessReason, retryDelay, type RteClientOptions } from "./options.js";
import { callAll, type ClientState, type Discontinuity, Signal, type StateKind, textOf, within } from "./state.js";
import { type Handler, keyOf, RteSubscription, type Subscriber, TopicEntry } from "./subscription.js";

type Reload = (discontinuity: Discontinuity) => void | Promise<void>;

/** Ids of events that are remembered to leave out duplicates. */
const maxSeen = 4096;

/** Messages of the next connection that wait for the end of the one before. */
const maxWaiting = 4096;

/** The next connection, and the topics that it has already. */
interface Next {
  readonly link: Link;
  readonly topics: Set<TopicEntry>;
}

/**
 * A client of the hub. It connects until it succeeds, subscribes again after every interruption, and reports where
 * events may be missing. One instance serves a whole application.
 */
export class RteClient {
  readonly #options: RteClientOptions;
  readonly #topics = new Map<string, TopicEntry>();
  readonly #handlers = new Map<string, Set<Handler>>();
  readonly #reloads = new Set<Reload>();
  readonly #stateListeners = new Set<(state: ClientState) => void>();
  readonly #seen = new Set<string>();
  readonly #work = new Signal();
  readonly #pause = new Signal();
  #state: ClientState = { kind: "behind", since: new Date(), reason: "not started" };
  #link: Link | undefined;
  #next: Next | undefined;
  #preparing = false;
  // Subscriptions of the connection that the application has ended before it was the client's.
  #leftovers: TopicEntry[] = [];
  #running: Promise<void> | undefined;
  #stopping = false;
  #connected!: () => void;
  #ended!: (error: Error) => void;
  readonly #started: Promise<void>;
  #notices: Resync[] = [];
  // Items of one call: at most, and as long as the server refuses more.
  #mostItems: number;
  #batchItems: number;
  #batchBytes: number;
  #snapshotsUnderWay = false;
  // The topics that the application has to reload, each with the time since when events are missing.
  #missed = new Map<TopicEntry, number>();
  #missedReason = "";
  #reloading = false;
  #reloadFailures = 0;
  #reloadDue = 0;

  constructor(options: RteClientOptions) {
    this.#options = options;
    this.#batchItems = this.#mostItems = options.batchItems ?? 2000;
    this.#batchBytes = options.batchBytes ?? 30_000;
    this.#started = new Promise((resolve, reject) => {
      this.#connected = resolve;
      this.#ended = reject;
    });
    this.#started.catch(() => undefined); // an application may not wait for it
  }

  /** What to show beside the data. */
  get state(): ClientState {
    return this.#state;
  }

  /** Calls a function after each change of `state`. Returns a function that ends this. */
  onState(listener: (state: ClientState) => void): () => void {
    this.#stateListeners.add(listener);
    return () => void this.#stateListeners.delete(listener);
  }

  /**
   * Calls a function where events may be missing: after a lost connection, and when the server reports a loss. The last
   * states have arrived by then, as far as the server has them. The function fetches the rest: call events, and states that
   * the server does not retain. `state` is behind until its promise resolves; if it rejects, it is called again.
   */
  onDiscontinuity(reload: Reload): () => void {
    this.#reloads.add(reload);
    return () => void this.#reloads.delete(reload);
  }

  /** Calls a function with each event of a type, of all subscriptions. Returns a function that ends this. */
  on<Name extends EventName>(
    name: Name, handler: (event: EventMap[Name], subscription: Subscription<Name>) => void,
  ): () => void {
    return this.#on(name.toLowerCase(), handler as unknown as Handler);
  }

  /** Calls a function with each event. */
  onAny(handler: (event: RteEvent, subscription: Subscription) => void): () => void {
    return this.#on("", handler);
  }

  #on(name: string, handler: Handler): () => void {
    const handlers = this.#handlers.get(name) ?? new Set();
    this.#handlers.set(name, handlers.add(handler));
    return () => void handlers.delete(handler);
  }

  /**
   * Subscribes to an event of an entity, until `unsubscribe` or a refusal. It may be called at any time, also before
   * `start`, and as often as needed: calls of the same moment become one call to the server, cut to its limits. Several
   * subscriptions to one topic are one at the server; a later one gets the last states that the client has.
   */
  subscribe<Name extends EventName>(
    entityId: Guid, eventName: Name, handler?: (event: EventMap[Name], subscription: Subscription) => void,
  ): RteSubscription<Name> {
    const key = keyOf(entityId, eventName);
    let topic = this.#topics.get(key);
    if (!topic) {
      topic = new TopicEntry(entityId, eventName, () => this.#work.set());
      this.#topics.set(key, topic);
    }
    const subscription = new RteSubscription<Name>(topic, handler, this.#report);
    topic.subscriptions.add(subscription);
    if (this.#state.kind === "gone") topic.set("ended", this.#state.reason);
    else if (topic.state === "refused" || topic.state === "ended") topic.set("pending");
    if (topic.state !== "pending") queueMicrotask(() => subscription.changed());
    if (handler && topic.states.size > 0) this.#replay(topic, subscription);
    this.#work.set();
    return subscription;
  }

  /** Returns the names of all events that the server knows. */
  availableSubscriptions(): Promise<string[]> {
    return this.#call("AvailableSubscriptions");
  }

  /** Returns what the server has as subscriptions of this connection. */
  activeSubscriptions(): Promise<Subscription[]> {
    return this.#call("ActiveSubscriptions");
  }

  /** Begins to connect. The promise resolves at the first connection, however long that takes; it rejects at the end. */
  start(): Promise<void> {
    if (!this.#running && !this.#stopping) {
      globalThis.addEventListener?.("online", this.#online);
      this.#running = this.#run();
    }
    return this.#started;
  }

  /** Ends the client for good. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const link = this.#link;
    link?.end(undefined);
    this.#next?.link.end(undefined);
    this.#pause.set();
    if (this.#running) await this.#running;
    else this.#end("stopped");
    await link?.stop();
  }

  /** Connects now instead of after the pause. */
  readonly #online = (): void => this.#pause.set();

  readonly #report = (error: unknown): void => {
    (this.#options.onError ?? console.error)(error);
  };

  async #call<T>(method: string): Promise<T> {
    if (!this.#link) throw new Error("not connected");
    return this.#link.call<T>(method);
  }

  async #access(reason: AccessReason): Promise<{ token: string; url: string } | null> {
    const timeout = this.#options.timeout ?? 30_000;
    const answer = await within(timeout, "getting a token", Promise.resolve(this.#options.token(reason)));
    const access = typeof answer === "string" ? { Token: answer } : answer;
    if (!access?.Token) return null;
    const url = this.#options.url ?? access.WssEndpoint ?? access.WSSEndpoint;
    if (!url) throw new Error("RteClientOptions.url is missing, and the answer for a token has no WssEndpoint");
    return { token: access.Token, url };
  }

  /** Connects again and again. */
  async #run(): Promise<void> {
    const delay = this.#options.retryDelay ?? retryDelay;
    let failures = 0;
    let renewed = false;
    while (!this.#stopping) {
      let link: Link | undefined;
      let since = 0;
      try {
        link = this.#adopt();
        if (!link) {
          const access = await this.#access(renewed ? "refused" : "connect");
          if (this.#stopping) break;
          if (!access) return this.#end("there is no token");
          this.#show("connecting");
          link = this.#open(access);
          await link.start();
        }
        since = Date.now();
        renewed = false;
        this.#link = link;
        this.#connected();
        await this.#serve(link);
      } catch (error) {
        link?.end(error);
        if (!link) {
          this.#report(error);
          this.#show(`no token: ${textOf(error)}`);
        }
      }
      this.#link = undefined;
      if (this.#stopping) break;
      if (link) this.#interrupt(link, since);
      if (this.#next) continue;
      if (link?.unauthorized) {
        if (renewed) return this.#end("the server refused a new token: 401");
        renewed = true;
        continue;
      }
      // Otherwise a server that accepts and closes at once would be called without a pause.
      if (since > 0 && Date.now() - since > 10_000) failures = 0;
      await this.#pause.wait(delay(failures++));
    }
    this.#end("stopped");
  }

  #open({ url, token }: { url: string; token: string }): Link {
    const link: Link = new Link(this.#options, url, token, {
      message: (message) => {
        if (!link.waiting) this.#receive(message);
        else if (link.waiting.push(message) > maxWaiting) link.end(new Error("too many events wait"));
      },
      ended: (notice) => this.#drop(notice),
      resync: (notice) => {
        if (link.waiting) return link.end(new Error("events were lost")); // the next one begins with a reload
        this.#notices.push(notice);
        this.#work.set();
      },
      limits: ({ items, messageBytes }) => {
        this.#batchItems = this.#mostItems = this.#options.batchItems ?? items;
        this.#batchBytes = this.#options.batchBytes ?? messageBytes - 100; // what is around the items
      },
      closing: () => {
        link.closing = true;
        this.#work.set();
      },
      closed: () => this.#work.set(),
      renew: async () => (await this.#access("expiring"))?.token ?? null,
    });
    return link;
  }

  /**
   * Opens the next connection while the server still serves the one that it is about to close, so that no event is
   * missing. The events of the next one wait until the old one has ended: so they stay in order. If it fails, the client
   * connects again as after any other end.
   */
  async #prepare(before: Link): Promise<void> {
    this.#preparing = true;
    let link: Link | undefined;
    try {
      const access = await this.#access("connect");
      if (access && !this.#stopping) {
        link = this.#open(access);
        link.waiting = [];
        await link.start();
        const next: Next = { link, topics: new Set() };
        const active = [...this.#topics.values()].filter((topic) => topic.state === "active");
        for (let rest = active; rest.length > 0; ) {
          const batch = this.#batch(rest);
          rest = rest.slice(batch.length);
          const results = await link.call<SubscriptionResult[]>("Subscribe", items(batch));
          batch.forEach((topic, i) => codeOf(results[i]) === "ok" && next.topics.add(topic));
        }
        if (this.#link === before && !before.over) this.#next = next;
        else link.end(undefined); // too late
      }
    } catch (error) {
      link?.end(error);
    }
    this.#preparing = false;
  }

  /** Makes the next connection the client's, if there is one. */
  #adopt(): Link | undefined {
    const next = this.#next;
    this.#next = undefined;
    if (!next || next.link.over) return undefined;
    this.#leftovers = [...next.topics].filter((topic) =>
      topic.state !== "active" || this.#topics.get(keyOf(topic.entityId, topic.eventName)) !== topic);
    const waiting = next.link.waiting ?? [];
    next.link.waiting = undefined;
    // Messages before an event that the client has are older, such as the state that came at the subscription.
    const known = new Map<TopicEntry | undefined, number>();
    waiting.forEach((message, i) => {
      const topic = this.#topicOf(message);
      if (topic && this.#seen.has(idOf(topic, message.data))) known.set(topic, i);
    });
    waiting.forEach((message, i) => {
      if (i > (known.get(this.#topicOf(message)) ?? -1)) this.#receive(message);
    });
    return next.link;
  }

  /** A new connection has no subscriptions, and events of the time without one are missing. */
  #interrupt(link: Link, since: number): void {
    if (this.#next?.link.over) this.#next = undefined;
    const why = `connection lost: ${textOf(link.failure)}`;
    if (!this.#next) this.#show(why);
    this.#leftovers = [];
    for (const topic of this.#topics.values()) {
      if (topic.state === "active" && !this.#next?.topics.has(topic)) {
        if (since > 0) topic.miss(Date.now() - link.blindness, "reconnect");
        topic.set("pending", why);
      }
      topic.due = topic.failures = 0;
    }
    for (const notice of this.#notices.splice(0)) this.#lose(notice);
  }

  #end(reason: string): void {
    globalThis.removeEventListener?.("online", this.#online);
    this.#stopping = true;
    this.#next?.link.end(undefined);
    this.#set("gone", reason);
    this.#ended(new Error(`the client is gone: ${reason}`));
    for (const topic of this.#topics.values()) topic.set("ended", reason);
  }

  #show(reason: string): void {
    this.#set("behind", reason);
  }

  #set(kind: StateKind, reason = ""): void {
    const before = this.#state;
    if (before.kind === "gone" || (before.kind === kind && before.reason === reason)) return;
    this.#state = { kind, since: before.kind === kind ? before.since : new Date(), reason };
    callAll(this.#stateListeners, this.#report, this.#state);
  }

  /** Does what is due on a connection until it ends. It alone calls the server. */
  async #serve(link: Link): Promise<void> {
    while (!link.over) {
      const next = await this.#step(link);
      if (next > 0 && !link.over) await this.#work.wait(next);
    }
  }

  /** Does one thing. Returns the time until the next one in milliseconds; 0: at once. */
  async #step(link: Link): Promise<number> {
    if (link.closing && !this.#preparing && (this.#next?.link.over ?? true)) {
      link.closing = false;
      void this.#prepare(link);
    }
    if (this.#leftovers.length > 0) {
      await this.#unsubscribe(link, this.#leftovers.splice(0));
      return 0;
    }
    const topics = [...this.#topics.values()];
    const unused = topics.filter((topic) => topic.subscriptions.size === 0);
    if (unused.length > 0) {
      for (const topic of unused) {
        this.#topics.delete(keyOf(topic.entityId, topic.eventName));
        this.#missed.delete(topic);
      }
      await this.#unsubscribe(link, unused.filter((topic) => topic.state === "active"));
      return 0;
    }
    const notice = this.#notices.shift();
    if (notice) {
      await this.#recover(link, notice);
      return 0;
    }
    const pending = topics.filter((topic) => topic.state === "pending");
    const now = Date.now();
    const due = pending.filter((topic) => topic.due <= now);
    if (due.length > 0) {
      if (this.#state.kind === "right") this.#show("subscribing");
      await this.#subscribe(link, this.#batch(due));
      return 0;
    }
    if (this.#snapshotsUnderWay) {
      // The server answers the next call when the client has taken the snapshots.
      this.#snapshotsUnderWay = false;
      await link.call("AvailableSubscriptions");
      return 0;
    }
    if (this.#missed.size > 0 && !this.#reloading && this.#reloadDue <= now) void this.#reload();
    if (pending.length > 0) this.#show(pending[0]!.reason);
    else if (this.#reloading) this.#show("reloading");
    else if (this.#missed.size === 0) this.#set("right");
    const times = pending.map((topic) => topic.due);
    if (this.#missed.size > 0) times.push(this.#reloadDue);
    return Math.max(1, Math.min(60_000, ...times.map((time) => time - now)));
  }

  #batch(topics: TopicEntry[]): TopicEntry[] {
    const batch: TopicEntry[] = [];
    let bytes = 0;
    for (const topic of topics) {
      bytes += topic.bytes;
      if (batch.length > 0 && (batch.length >= this.#batchItems || bytes > this.#batchBytes)) break;
      batch.push(topic);
    }
    return batch;
  }

  async #subscribe(link: Link, batch: TopicEntry[]): Promise<void> {
    let results: SubscriptionResult[];
    try {
      results = await link.call<SubscriptionResult[]>("Subscribe", items(batch));
      if (link.over) return;
    } catch (error) {
      if (link.over) return;
      for (const topic of batch) this.#postpone(topic, textOf(error));
      return;
    }
    const codes = batch.map((_, i) => codeOf(results[i]));
    const limit = codes.indexOf("limit");
    // Either the call had too many items, or there are too many subscriptions: the rest in another call shows it.
    const tooMany = limit > 0;
    if (tooMany) this.#batchItems = Math.min(this.#batchItems, limit);
    else if (limit === 0) this.#batchItems = this.#mostItems;
    batch.forEach((topic, i) => {
      const code = codes[i]!;
      if (code === "ok") this.#grant(topic);
      else if (code === "limit" && tooMany) topic.due = 0;
      else if (code === "unavailable") this.#postpone(topic, "Temporarily unavailable");
      else topic.set("refused", code, results[i]?.traceId);
    });
  }

  #grant(topic: TopicEntry): void {
    topic.failures = 0;
    if (topic.keys) this.#snapshotsUnderWay = true;
    if (topic.gapSince !== undefined) this.#mustReload(topic, topic.gapSince, topic.gapReason);
    topic.gapSince = undefined;
    topic.set("active");
  }

  #postpone(topic: TopicEntry, why: string): void {
    topic.due = Date.now() + retryDelay(++topic.failures);
    topic.set("pending", why);
  }

  async #unsubscribe(link: Link, topics: TopicEntry[]): Promise<void> {
    for (let rest = topics; rest.length > 0 && !link.over; ) {
      const batch = this.#batch(rest);
      rest = rest.slice(batch.length);
      await link.call("Unsubscribe", items(batch));
    }
  }

  /** Has the states sent again that a loss may concern, and notes what the application has to reload. */
  async #recover(link: Link, notice: Resync): Promise<void> {
    if (notice.reason === "unavailable") {
      // Nothing was lost: the server can decide again.
      for (const topic of this.#topics.values()) topic.due = 0;
      return;
    }
    this.#show(`events were lost: ${notice.reason}`);
    await this.#unsubscribe(link, this.#lose(notice));
  }

  /** Notes what is missing after a loss. Returns the topics that became pending: the server sends their states again. */
  #lose({ subscriptions, total, from, reason }: Resync): TopicEntry[] {
    const named = new Set(subscriptions.map((s) => keyOf(s.entityId, s.eventType)));
    const since = from === null ? -Infinity : Date.parse(from);
    const again: TopicEntry[] = [];
    for (const [key, topic] of this.#topics) {
      const active = topic.state === "active";
      if (!(active || topic.state === "pending") || !(total > subscriptions.length || named.has(key))) continue;
      if (active && !topic.keys) {
        this.#mustReload(topic, since, reason);
        continue;
      }
      topic.miss(since, reason);
      if (!active) continue;
      again.push(topic);
      topic.due = 0;
      topic.set("pending", reason);
    }
    return again;
  }

  #mustReload(topic: TopicEntry, since: number, reason: string): void {
    if (this.#reloads.size === 0) return;
    this.#missed.set(topic, Math.min(since, this.#missed.get(topic) ?? since));
    this.#missedReason = reason;
  }

  async #reload(): Promise<void> {
    this.#reloading = true;
    const missed = this.#missed;
    this.#missed = new Map();
    const from = Math.min(...missed.values());
    const discontinuity: Discontinuity = {
      reason: this.#missedReason,
      from: Number.isFinite(from) ? new Date(from) : null,
      topics: [...missed.keys()].map(({ entityId, eventName }) => ({ entityId, eventName })),
    };
    try {
      await Promise.all([...this.#reloads].map(async (reload) => reload(discontinuity)));
      this.#reloadFailures = this.#reloadDue = 0;
    } catch (error) {
      this.#report(error);
      for (const [topic, since] of missed) {
        if (topic.subscriptions.size > 0) this.#mustReload(topic, since, discontinuity.reason);
      }
      this.#reloadDue = Date.now() + retryDelay(this.#reloadFailures++);
    }
    this.#reloading = false;
    this.#work.set();
  }

  #topicOf({ subscription }: MessageReceived): TopicEntry | undefined {
    return this.#topics.get(keyOf(subscription.entityId, subscription.eventType));
  }

  #receive(message: MessageReceived): void {
    const { subscription, data } = message;
    const topic = this.#topicOf(message);
    if (!topic || topic.subscriptions.size === 0) return; // unsubscribed a moment ago
    if (this.#isDuplicate(topic, data)) return;
    const handlers: Handler[] = [];
    for (const each of topic.subscriptions) {
      if (each.handler && !each.replaying) handlers.push(each.handler);
    }
    handlers.push(...(this.#handlers.get(subscription.eventType.toLowerCase()) ?? []), ...(this.#handlers.get("") ?? []));
    callAll(handlers, this.#report, data, subscription);
    if (topic.keys) for (const each of [...topic.subscriptions]) each.changed();
  }

  /** Reports whether the topic had this event before. A snapshot may be the state that the client has. */
  #isDuplicate(topic: TopicEntry, event: RteEvent): boolean {
    const key = idOf(topic, event);
    if (event.id && this.#seen.has(key)) return true;
    if (!topic.keep(event)) return true;
    if (!event.id) return false;
    this.#seen.add(key);
    if (this.#seen.size > maxSeen) this.#seen.delete(this.#seen.values().next().value!);
    return false;
  }

  /** Gives a later subscription the states that earlier ones of its topic got. */
  #replay(topic: TopicEntry, subscription: Subscriber): void {
    subscription.replaying = true;
    queueMicrotask(() => {
      subscription.replaying = false;
      for (const event of topic.states.values()) {
        if (!topic.subscriptions.has(subscription)) return;
        callAll([subscription.handler!], this.#report, event, {
          id: "", allRootEntities: false, allEntities: false, rootEntityId: event.rootEntityId,
          rootEntityType: event.rootEntityType, organizationId: event.rootEntityId, eventType: event.eventType,
          entityType: event.entityType, entityId: event.entityId,
        });
      }
    });
  }

  /** Ends what the server no longer allows. If it does not name all, subscribing again shows which. */
  #drop(notice: SubscriptionsEnded): void {
    for (const { entityId, eventType } of notice.subscriptions) {
      this.#topics.get(keyOf(entityId, eventType))?.set("ended", notice.code);
    }
    if (notice.total > notice.subscriptions.length) {
      for (const topic of this.#topics.values()) {
        if (topic.state === "active") topic.set("pending", notice.code);
      }
    }
    this.#work.set();
  }
}

const items = (topics: TopicEntry[]): EntitySubscription[] =>
  topics.map(({ entityId, eventName }) => ({ EntityId: entityId, EventName: eventName }));

const idOf = (topic: TopicEntry, event: RteEvent): string => `${topic.serial} ${event.id}`;

/** Servers without notices send no codes. */
function codeOf(result: SubscriptionResult | undefined): string {
  if (result?.subscribed) return "ok";
  return result?.code ?? (result?.message === "Temporarily unavailable" ? "unavailable" : result?.message ?? "unavailable");
}
