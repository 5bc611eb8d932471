// The data of the boards: the state of the call centre. It begins with an answer of the REST API and follows the events.
import type { CallbackChanged, QueueStatus, RteEvent, UserStatus } from "@rte-server/client";
import type { CentreState, Entity, Figures, UserWord } from "./rest.ts";

export interface Queue {
  readonly id: string;
  readonly name: string;
  openStatus: number;
  waiting: number;
  ringing: number;
  connected: number;
  free: number;
  checkedIn: number;
  longestWait: number;
  /** The time of the last status, by the clock of the server. */
  statusAt: number;
  figures: { -readonly [name in keyof Figures]: number };
  /** The time of the last data about it, by the clock of this page. */
  receivedAt: number;
}

export interface User {
  readonly id: string;
  readonly name: string;
  word: UserWord;
  since: number;
  availability: string;
  note: string;
  queueId: string | undefined;
  parked: number;
  talking: boolean;
  wrapUp: boolean;
  atWork: boolean;
  serving: boolean;
  fetchMode: boolean;
  receivedAt: number;
}

export interface Call {
  readonly id: string;
  readonly caller: string;
  readonly target: string;
  state: "waiting" | "ringing" | "connected" | "parked";
  since: number;
  queueId: string | undefined;
  userId: string | undefined;
  queued: number;
}

export interface Callback {
  readonly id: string;
  readonly listId: string;
  readonly contact: string;
  readonly name: string;
  readonly created: number;
  readonly kind: number;
  assigned: string | undefined;
}

export interface Alert {
  readonly id: string;
  readonly text: string;
  readonly value: string;
  readonly since: number;
}

export interface Sample {
  readonly at: number;
  readonly waiting: number;
  readonly connected: number;
}

/** alertTime is how long the boards show an alert, in ms. historyTime is the time that the chart shows. */
const alertTime = 2 * 60_000;
export const historyTime = 60 * 60_000;
const sampleTime = 10_000;

/** Centre follows the call centre. It shows nothing until the first state is there. */
export class Centre {
  run = "";
  scenario = "";
  started = 0;
  serviceLevel = 20_000;
  /** The time of the last event or state, by the clock of the server, as text and in ms. */
  asOf = "";
  time = 0;
  readonly queues = new Map<string, Queue>();
  readonly users = new Map<string, User>();
  readonly lists = new Map<string, string>();
  readonly calls = new Map<string, Call>();
  readonly callbacks = new Map<string, Callback>();
  alerts: Alert[] = [];
  history: Sample[] = [];
  events = 0;
  /** The last state has all events up to this time. */
  private loaded = "";
  /** How far the clock of the server is ahead of the clock of this page, in ms. */
  private ahead = 0;

  /** now returns the time by the clock of the server. */
  now(): number {
    return Date.now() + this.ahead;
  }

  /** names replaces the names of entities. */
  names(entities: readonly Entity[]): void {
    this.lists.clear();
    for (const { entityId, entityType, name } of entities) {
      if (entityType === "CallList") this.lists.set(entityId, name);
    }
  }

  nameOf(id: string | undefined): string {
    if (!id) return "";
    return this.queues.get(id)?.name ?? this.users.get(id)?.name ?? this.lists.get(id) ?? id;
  }

  /** load replaces everything. Calls that ended during an interruption are gone, and another run of the server has other calls. */
  load(state: CentreState): void {
    const received = Date.now();
    this.run = state.run;
    this.scenario = state.scenario;
    this.started = Date.parse(state.started);
    this.serviceLevel = state.serviceLevelSeconds * 1000;
    this.asOf = this.loaded = state.asOf;
    this.time = Date.parse(state.asOf);
    this.ahead = this.time - received;
    this.queues.clear();
    for (const { queueId, figures, ...rest } of state.queues) {
      this.queues.set(queueId, {
        id: queueId, ...rest, figures: { ...figures }, statusAt: this.time, receivedAt: received,
      });
    }
    this.calls.clear();
    for (const call of state.calls) {
      this.calls.set(call.callId, {
        id: call.callId, caller: call.callerNumber, target: call.targetNumber,
        state: call.state === "held" ? "connected" : call.state, since: Date.parse(call.since),
        queueId: call.queueId, userId: call.userId, queued: Date.parse(call.queued ?? call.since),
      });
    }
    this.users.clear();
    for (const user of state.users) {
      const word = user.state;
      this.users.set(user.userId, {
        id: user.userId, name: user.name, word, since: Date.parse(user.since), availability: user.availability,
        note: user.note, queueId: user.queueId, parked: user.parked, fetchMode: user.fetchMode,
        talking: word === "ringing" || word === "talking" || word === "calling" || word === "supervising",
        wrapUp: word === "wrapUp", atWork: word !== "offWork",
        serving: word !== "offWork" && word !== "noQueue" && word !== "supervising", receivedAt: received,
      });
    }
    this.callbacks.clear();
    for (const callback of state.callbacks) {
      this.callbacks.set(callback.callBackId, {
        id: callback.callBackId, listId: callback.callListId, contact: callback.contactNumber,
        name: callback.contactName, created: Date.parse(callback.creationTime), kind: callback.typeId,
        assigned: callback.assignedUserId || undefined,
      });
    }
    this.alerts = state.alerts.map((alert) => ({
      id: alert.alertId, text: alert.conditionName, value: alert.value, since: Date.parse(alert.since),
    }));
    this.history = state.history.map(({ at, waiting, connected }) => ({ at: Date.parse(at), waiting, connected }));
  }

  /** follow takes an event. It ignores events that the state has already. */
  follow(event: RteEvent): boolean {
    const at = Date.parse(event.timestamp);
    this.ahead = Math.max(this.ahead, at - Date.now());
    if (event.timestamp <= this.loaded) return false;
    if (event.timestamp > this.asOf) {
      this.asOf = event.timestamp;
      this.time = at;
    }
    this.events++;
    this.apply(event, at);
    this.sample(at);
    return true;
  }

  private apply(event: RteEvent, at: number): void {
    switch (event.eventType) {
      case "QueueStatus":
        return this.queueStatus(event, at);
      case "UserStatus":
        return this.userStatus(event, at);
      case "CallbackChanged":
        return this.callback(event);
      case "UserAvailability": {
        const user = this.users.get(event.userId);
        if (!user) return;
        user.availability = event.availability ?? "";
        user.note = event.note ?? "";
        return this.setWord(user, at);
      }
      case "UserAlert":
        if (!this.alerts.some((alert) => alert.id === event.alertId)) {
          this.alerts.unshift({ id: event.alertId, text: event.conditionName ?? "", value: event.value ?? "", since: at });
        }
        this.alerts = this.alerts.filter((alert) => at - alert.since < alertTime).slice(0, 20);
        return;
      case "QueueCallInArrived": {
        const call: Call = {
          id: event.callId, caller: event.callerNumber ?? "", target: event.targetNumber ?? "", state: "waiting",
          since: at, queueId: event.queueId, userId: undefined, queued: at,
        };
        this.calls.set(call.id, call);
        return this.figure(call, "offered");
      }
      case "UserCallInUserAllocated": {
        const call = this.calls.get(event.callId) ?? {
          id: event.callId, caller: event.callerNumber ?? "", target: event.targetNumber ?? "", state: "ringing",
          since: at, queueId: undefined, userId: undefined, queued: at,
        };
        this.calls.set(call.id, call);
        return this.move(call, "ringing", event.userId, at);
      }
      case "UserCallInUserCancelled": {
        const call = this.calls.get(event.callId);
        if (!call) return;
        if (!call.queueId) this.calls.delete(call.id);
        return this.move(call, "waiting", undefined, at);
      }
      case "UserCallInUserConnected": {
        const call = this.calls.get(event.callId);
        if (!call) return;
        this.figure(call, "answered");
        if (at - call.queued <= this.serviceLevel) this.figure(call, "inTime");
        return this.move(call, "connected", event.userId, at);
      }
      case "QueueCallInOverflow": {
        const call = this.calls.get(event.callId);
        if (!call || call.state !== "waiting") return;
        this.figure(call, "overflowed");
        this.calls.delete(call.id);
        return;
      }
      case "QueueCallInDisconnected": {
        const call = this.calls.get(event.callId);
        if (!call) return;
        if (call.state === "waiting") this.figure(call, event.reason === "remote" ? "abandoned" : "overflowed");
        this.calls.delete(call.id);
        return;
      }
      case "UserCallInDisconnected": {
        const call = this.calls.get(event.callId);
        if (!call) return;
        this.calls.delete(call.id);
        return this.move(call, "connected", undefined, at);
      }
      default:
        return;
    }
  }

  private figure(call: Call, name: keyof Figures): void {
    const queue = call.queueId ? this.queues.get(call.queueId) : undefined;
    if (queue) queue.figures[name]++;
  }

  /** move changes the state of a call, and the words of the users that it leaves and reaches. */
  private move(call: Call, state: Call["state"], userId: string | undefined, at: number): void {
    const before = call.userId;
    call.state = state;
    call.since = at;
    call.userId = userId;
    for (const id of new Set([before, userId])) {
      const user = id ? this.users.get(id) : undefined;
      if (user) this.setWord(user, at);
    }
  }

  private queueStatus(status: QueueStatus, at: number): void {
    const queue = this.queues.get(status.queueId);
    if (!queue) return;
    Object.assign(queue, {
      openStatus: status.openStatus, waiting: status.nbrOfQueuingRequesters, ringing: status.nbrOfAllocated,
      connected: status.nbrOfConnected, free: status.nbrOfAgentsImmediatelyFree,
      checkedIn: status.nbrOfAgentsCheckedInQueue, longestWait: status.maxWaitTime, statusAt: at,
      receivedAt: Date.now(),
    });
  }

  private userStatus(status: UserStatus, at: number): void {
    const user = this.users.get(status.userId);
    if (!user) return;
    Object.assign(user, {
      talking: status.talking, parked: status.parkedCalls, wrapUp: status.wrapUpEnd !== null, atWork: status.schedule,
      serving: status.serving, fetchMode: status.fetchMode, queueId: status.activeQueueId ?? undefined,
      receivedAt: Date.now(),
    });
    this.setWord(user, at);
  }

  /** setWord finds the word for a user. */
  private setWord(user: User, at: number): void {
    const call = [...this.calls.values()].find((each) => each.userId === user.id);
    if (call && call.state !== "ringing") {
      const state = user.parked > 0 ? "parked" : "connected";
      if (call.state !== state) {
        call.state = state;
        call.since = at;
      }
    }
    const word = this.wordOf(user, call);
    if (word !== user.word) {
      user.word = word;
      user.since = at;
    }
  }

  private wordOf(user: User, call: Call | undefined): UserWord {
    if (call) return call.state === "ringing" ? "ringing" : call.state === "parked" ? "parked" : "talking";
    if (user.talking) return user.serving ? "calling" : "supervising";
    if (user.wrapUp) return "wrapUp";
    if (!user.atWork) return "offWork";
    if (user.availability !== "Available") return "away";
    if (user.fetchMode) return "fetching";
    return user.serving ? "free" : "noQueue";
  }

  private callback(changed: CallbackChanged): void {
    if (changed.isClosed) {
      this.callbacks.delete(changed.callBackId);
      return;
    }
    this.callbacks.set(changed.callBackId, {
      id: changed.callBackId, listId: changed.callListId, contact: changed.contactNumber ?? "",
      name: changed.contactName ?? "", created: Date.parse(changed.creationTime), kind: changed.typeId,
      assigned: changed.assignedUserId ?? undefined,
    });
  }

  private sample(at: number): void {
    const last = this.history.at(-1);
    if (last && at - last.at < sampleTime) return;
    const { waiting, connected } = this.sums();
    this.history.push({ at, waiting, connected });
    while (this.history[0] && at - this.history[0].at > historyTime) this.history.shift();
  }

  /** sums returns the numbers of all queues together. */
  sums() {
    const sum = {
      waiting: 0, ringing: 0, connected: 0, longest: undefined as Queue | undefined, offered: 0, answered: 0, inTime: 0,
      abandoned: 0,
    };
    for (const queue of this.queues.values()) {
      sum.waiting += queue.waiting;
      sum.ringing += queue.ringing;
      sum.connected += queue.connected;
      sum.offered += queue.figures.offered;
      sum.answered += queue.figures.answered;
      sum.inTime += queue.figures.inTime;
      sum.abandoned += queue.figures.abandoned;
      if (queue.waiting > 0 && (!sum.longest || this.firstIn(queue) < this.firstIn(sum.longest))) {
        sum.longest = queue;
      }
    }
    return sum;
  }

  /** firstIn returns the time since which the first call of a queue waits. */
  firstIn(queue: Queue): number {
    return queue.statusAt - queue.longestWait * 1000;
  }

  /** longestWait returns how long the first call of a queue waits at a time, in ms. */
  longestWait(queue: Queue | undefined, now: number): number {
    if (!queue || queue.waiting === 0) return 0;
    return Math.max(0, now - this.firstIn(queue));
  }

  /** words counts the users who serve queues, by their activity. */
  words(): Map<UserWord, number> {
    const counts = new Map<UserWord, number>();
    for (const { word } of this.users.values()) counts.set(word, (counts.get(word) ?? 0) + 1);
    return counts;
  }
}

/** serviceLevelOf returns the fraction of calls that were answered in time; undefined without a call. */
export function serviceLevelOf(figures: Pick<Figures, "answered" | "inTime" | "abandoned">): number | undefined {
  const ended = figures.answered + figures.abandoned;
  return ended === 0 ? undefined : figures.inTime / ended;
}
