// How this page gets its data: it subscribes to all events of all entities, reads the state once, and follows the events.
// After an interruption it reads the state again. A client of a real system reads a REST API and not demo/state.
import { type RteEvent, RteClient, type EventName } from "@rte-server/client";
import { signal } from "@preact/signals";
import { Centre } from "./centre.ts";
import { type CentreState, type Entity, getJSON } from "./rest.ts";

/** maxLog bounds the events in the log, maxBuffer the events that wait for a state. */
const maxLog = 300;
const maxBuffer = 20_000;

/** silent is the time without any answer after which the numbers count as old. A probe is due before that. */
const silentTime = 4500;
const probeTime = 2000;

/** Freshness is the state of the numbers of the page. */
export interface Freshness {
  /** loading: no numbers yet; fresh: right; old: the numbers may be wrong. */
  readonly kind: "loading" | "fresh" | "old";
  readonly reason: string;
  /** Since when, by the clock of this page. */
  readonly since: number;
}

/** Entry is a line of the log. */
export interface Entry {
  readonly key: number;
  readonly event: RteEvent;
}

export const centre = new Centre();
export const entities = signal<readonly Entity[]>([]);
export const freshness = signal<Freshness>({ kind: "loading", reason: "connecting", since: Date.now() });
/** frame changes when the page has to draw again. */
export const frame = signal(0);
/** time is the end of running durations. It stands still while the numbers are old. */
export const time = signal(Date.now());

export const log: Entry[] = [];

let loaded = false; // the events follow a state
let loading: Promise<void> | undefined;
let buffer: RteEvent[] = [];
let receivedAt = Date.now();
let probing = false;
let drawing = false;

const client = new RteClient({
  token: () => getJSON("token/me/rte/"),
  retryDelay: (failures) => Math.min(5000, 250 * 2 ** failures) * (0.5 + Math.random() / 2),
  onError: (error) => console.info(String(error)), // the page itself shows the reason
});

client.onAny((event) => {
  receivedAt = Date.now();
  log.push({ key: log.length === 0 ? 1 : log.at(-1)!.key + 1, event });
  if (log.length > maxLog) log.shift();
  if (loaded) centre.follow(event);
  else if (buffer.push(event) > maxBuffer) buffer.shift();
  draw();
});
client.onDiscontinuity(load);
client.onState(({ kind }) => {
  if (kind === "right" && !loaded) void load();
  updateFreshness();
});

/** load reads the state. Events that arrive meanwhile follow it. */
function load(): Promise<void> {
  loaded = false;
  loading ??= readState().finally(() => (loading = undefined));
  return loading;
}

async function readState(): Promise<void> {
  const [all, state] = await Promise.all([getJSON<Entity[]>("demo/entities"), getJSON<CentreState>("demo/state")]);
  receivedAt = Date.now();
  entities.value = all;
  centre.names(all);
  centre.load(state);
  loaded = true;
  for (const event of buffer.splice(0)) centre.follow(event);
  updateFreshness();
}

/** updateFreshness finds out whether the numbers are right. */
function updateFreshness(): void {
  const { kind } = client.state;
  const reason = client.state.reason.replace(/^no token: (?=the server does not answer)/, "");
  const quiet = Date.now() - receivedAt;
  if (centre.run === "") set("loading", kind === "right" ? "reading the state" : reason);
  else if (kind !== "right") set("old", reason);
  else if (!loaded) set("old", "reading the state");
  else if (quiet > silentTime) set("old", "the server does not answer");
  else set("fresh", "");
  draw();
}

function set(kind: Freshness["kind"], reason: string): void {
  const before = freshness.value;
  if (before.kind === kind && before.reason === reason) return;
  const since = before.kind === kind ? before.since : kind === "old" ? Math.min(Date.now(), receivedAt) : Date.now();
  freshness.value = { kind, reason, since };
}

/** probe calls the server if it was quiet. So the page notices a dead connection within seconds. */
async function probe(): Promise<void> {
  if (probing || client.state.kind !== "right" || Date.now() - receivedAt < probeTime) return;
  probing = true;
  try {
    await Promise.race([client.availableSubscriptions(), new Promise((_, reject) => setTimeout(reject, 2 * silentTime))]);
    receivedAt = Date.now();
  } catch {
    // The state of the client has the reason, or the page counts as old.
  }
  probing = false;
}

/** draw draws again soon, but at most some times a second. */
function draw(): void {
  if (drawing) return;
  drawing = true;
  setTimeout(() => {
    drawing = false;
    if (freshness.value.kind === "fresh") time.value = centre.now();
    frame.value++;
  }, 100);
}

const kindOf = (name: string) => (name.startsWith("User") ? "User" : name.startsWith("Queue") ? "Queue" : "CallList");

/** start connects and subscribes. The client goes on until the page ends. */
export async function start(): Promise<void> {
  setInterval(() => {
    void probe();
    if (!loaded && client.state.kind === "right" && !loading) void load().catch(() => undefined);
    updateFreshness();
  }, 1000);
  for (;;) {
    try {
      entities.value = await getJSON<Entity[]>("demo/entities");
      break;
    } catch (error) {
      set("loading", error instanceof Error ? error.message : String(error));
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
  await client.start();
  const names = (await client.availableSubscriptions()) as EventName[];
  for (const { entityId, entityType } of entities.value) {
    for (const name of names) if (kindOf(name) === entityType) client.subscribe(entityId, name);
  }
}
