import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { send, urlOf, wordsOf } from "../api.ts";
import { bytes, count, plural, span, time } from "../format.ts";
import { Badge, type Tone, toneOfOutcome, wordOf } from "../parts/badge.tsx";
import { Choice, Form, Text, guidPattern } from "../parts/form.tsx";
import { FilterLink, Id } from "../parts/id.tsx";
import { Empty, Section } from "../parts/panel.tsx";
import { go, linkTo, route } from "../router.ts";
import { mayAct } from "../session.ts";
import { messagesOf } from "../sse.ts";

/** TapEvent is an event that a node copies for the tap. Its personal data is masked unless the tap has data=full. */
interface TapEvent {
  readonly at: string;
  readonly node: string;
  readonly organization: string;
  readonly entity: string;
  readonly entityType: string;
  readonly event: string;
  readonly id?: string;
  readonly lane: string;
  readonly outcome: string;
  readonly ageMs?: number | null;
  readonly subscribers: number;
  readonly bytes: number;
  readonly data?: unknown;
}

/** Row is an event as the page shows it: once, with the nodes that received it. */
interface Row extends TapEvent {
  readonly key: number;
  readonly nodes: readonly string[];
}

/** maxRows bounds the rows of the page, renderEvery the time until it shows an event. */
const maxRows = 300;
/** recent is the number of rows in which the page searches for an event of another node. */
const recent = 50;
const renderEvery = 200;

const parameters = ["organization", "entity", "event", "user", "connection", "data"] as const;

/** TapPage shows events as they happen. */
export function TapPage() {
  const { query } = route.value;
  const key = query.toString();
  const tap = useRef<Tap | undefined>(undefined);
  tap.current ??= new Tap();
  const t = tap.current;
  useEffect(() => {
    t.start(Object.fromEntries(query));
    return () => t.stop();
  }, [key]);
  const state = t.state.value;
  const dropped = t.dropped.value;
  return (
    <>
      <Form label="Filter" class="filters" reset={key} send={(values) => go("tap", "", values)}>
        <Text label="Organization" name="organization" value={query.get("organization") ?? ""} placeholder="GUID"
          pattern={guidPattern} wide />
        <Text label="Entity" name="entity" value={query.get("entity") ?? ""} placeholder="GUID" pattern={guidPattern} wide />
        <Text label="Event" name="event" value={query.get("event") ?? ""} placeholder="UserStatus, QueueStatus" />
        <Text label="User" name="user" value={query.get("user") ?? ""} placeholder="GUID" pattern={guidPattern} wide />
        <Text label="Connection" name="connection" value={query.get("connection") ?? ""} placeholder="id" wide />
        <Choice label="Data" name="data" value={query.get("data") ?? ""}
          choices={[["", "masked"], ["none", "without"], ...(mayAct.value ? [["full", "with personal data"]] as const : [])]} />
        <div class="buttons">
          <button type="submit" class="primary">Filter</button>
          <a class="button" href={linkTo("tap")}>All</a>
        </div>
      </Form>
      <Section
        title="Events as they happen" class={state.tone === "bad" ? "is-stale" : ""}
        note={<span role="status"><Badge tone={state.tone}>{state.text}</Badge></span>}
        actions={(
          <>
            <span class="dim"><b>{count(t.total.value)}</b> shown</span>
            {dropped > 0 && <Badge tone="warn">{count(dropped)} left out: {t.reasons.value}</Badge>}
            <button type="button" onClick={() => t.clear()}>Clear</button>
            <button type="button" class="primary" aria-pressed={t.paused.value} onClick={() => t.pause()}>
              {t.paused.value ? "Continue" : "Pause"}
            </button>
          </>
        )}
      >
        {[...t.problems.value].map(([node, text]) => (
          <p class="line line-warn" key={node}><Badge tone="warn">incomplete</Badge> Node <b>{node}</b> {text}</p>
        ))}
        {t.rows.value.length === 0
          ? <Empty text="No event has come yet." hint="Events appear within a second. Personal data in them is masked." />
          : (
            <ol class="tap" aria-label="Events, the newest first">
              {t.rows.value.map((row) => <TapRow key={row.key} row={row} />)}
            </ol>
          )}
      </Section>
    </>
  );
}

function TapRow({ row: e }: { row: Row }) {
  return (
    <li>
      <div class="tap-head">
        <time dateTime={e.at}>{time(e.at, true)}</time>
        <b>{e.event}</b>
        <span>{e.entityType?.toLowerCase()} <Id id={e.entity} /></span>
        <span class="dim">organization <FilterLink by="organization" id={e.organization} /></span>
        <span title={e.nodes.join(", ")}>
          <Badge tone={e.subscribers > 0 ? "ok" : toneOfOutcome(e.outcome)}>
            {e.subscribers > 0 ? plural(e.subscribers, "subscriber") : wordOf(e.outcome)}
          </Badge>{" "}
          <span class="dim">{e.nodes.length === 1 ? e.nodes[0] : plural(e.nodes.length, "node")}</span>
        </span>
        <span class="dim">{bytes(e.bytes)}{e.ageMs != null && `, ${span(Math.max(e.ageMs, 0))} old`}</span>
        {e.id && <a href={linkTo("events", e.id)}>Trace</a>}
      </div>
      {e.data !== undefined && (
        <details class="tap-data">
          <summary>{digest(e.data)}</summary>
          <pre tabIndex={0}>{JSON.stringify(e.data, undefined, 2)}</pre>
        </details>
      )}
    </li>
  );
}

/** shownAbove are the properties of each event that the page shows above its data, or that add nothing. */
const shownAbove = new Set([
  "Id", "EntityId", "EntityType", "EventType", "OrganizationId", "RootEntityId", "RootEntityType", "Timestamp",
]);

/** digest is the data on one line. */
function digest(data: unknown): string {
  if (data === null || typeof data !== "object") return String(data);
  return Object.entries(data).filter(([name]) => !shownAbove.has(name))
    .map(([name, value]) => `${name} ${JSON.stringify(value)}`).join("  ") || "no further properties";
}

/** Tap keeps a stream open, and opens it again after its end. */
class Tap {
  readonly rows = signal<readonly Row[]>([]);
  readonly total = signal(0);
  readonly dropped = signal(0);
  readonly reasons = signal("");
  readonly problems = signal<ReadonlyMap<string, string>>(new Map());
  readonly paused = signal(false);
  readonly state = signal<{ readonly tone: Tone; readonly text: string }>({ tone: "mute", text: "connecting" });
  #ends = new AbortController();
  #waiting: Row[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;
  #key = 0;
  #counts = new Map<string, number>();

  start(query: Readonly<Record<string, string>>): void {
    this.stop();
    this.clear();
    this.#ends = new AbortController();
    this.#timer = setInterval(() => this.#show(), renderEvery);
    void this.#run(query, this.#ends.signal);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#ends.abort();
  }

  clear(): void {
    this.#waiting = [];
    this.#counts.clear();
    this.rows.value = [];
    this.total.value = 0;
    this.dropped.value = 0;
  }

  pause(): void {
    this.paused.value = !this.paused.value;
  }

  async #run(query: Readonly<Record<string, string>>, ends: AbortSignal): Promise<void> {
    const wanted = Object.fromEntries(parameters.map((name) => [name, query[name]]));
    for (let pause = 500; !ends.aborted; pause = Math.min(pause * 2, 5000)) {
      try {
        const answer = await send("GET", urlOf("/api/tap", wanted), { signal: ends, headers: { Accept: "text/event-stream" } });
        if (answer.body) {
          for await (const message of messagesOf(answer.body)) {
            pause = 500;
            this.#take(message.event, message.data);
          }
        }
        this.state.value = { tone: "bad", text: "interrupted, trying again" };
      } catch (error) {
        if (ends.aborted) return;
        this.state.value = { tone: "bad", text: `${wordsOf(error)} Trying again.` };
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  #take(event: string, data: string): void {
    const body: unknown = JSON.parse(data);
    if (body === null || typeof body !== "object") return;
    switch (event) {
      case "hello":
        this.problems.value = new Map();
        this.state.value = { tone: "ok", text: "live" };
        break;
      case "event":
        this.#add(body as TapEvent);
        break;
      case "dropped":
        this.#drop(body as { count: number; reason: string });
        break;
      case "node":
        this.#node(body as { node: string; state: string; detail?: string });
        break;
    }
  }

  /** add adds an event, or the node to the event that another node has passed on. */
  #add(e: TapEvent): void {
    const same = (r: Row) => e.id !== undefined && r.id === e.id;
    const merge = (r: Row): Row => ({ ...r, subscribers: r.subscribers + e.subscribers, nodes: [...r.nodes, e.node] });
    const waits = this.#waiting.findIndex(same);
    const found = this.#waiting[waits];
    if (found) {
      this.#waiting[waits] = merge(found);
    } else if (this.rows.peek().slice(0, recent).some(same)) {
      this.rows.value = this.rows.peek().map((r) => (same(r) ? merge(r) : r));
    } else {
      this.#waiting.push({ ...e, key: ++this.#key, nodes: [e.node] });
      if (this.#waiting.length > maxRows) this.#waiting.shift();
      this.total.value++;
    }
  }

  #drop({ count: n, reason }: { count: number; reason: string }): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + n);
    this.dropped.value += n;
    this.reasons.value = [...this.#counts.keys()].join(", ");
  }

  #node({ node, state, detail = "" }: { node: string; state: string; detail?: string }): void {
    const problems = new Map(this.problems.value);
    if (state === "joined") problems.delete(node);
    else problems.set(node, `${state}: ${detail}`);
    this.problems.value = problems;
  }

  #show(): void {
    if (this.paused.value || this.#waiting.length === 0) return;
    this.rows.value = [...this.#waiting.reverse(), ...this.rows.value].slice(0, maxRows);
    this.#waiting = [];
  }
}
