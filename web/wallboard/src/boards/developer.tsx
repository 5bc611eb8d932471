import { signal } from "@preact/signals";
import type { RteEvent } from "@rte-server/client";
import { timeOfDay } from "../format.ts";
import { centre, entities, type Entry, frame, log } from "../live.ts";
import { call, delivered, exchanges, status } from "../session.ts";

/** Developer is the board for developers of clients. */
export function Developer() {
  return (
    <main class="developer">
      <Methods />
      <Log />
    </main>
  );
}

interface Request {
  readonly method: string;
  readonly about: string;
  readonly items: boolean;
}

/** requests are the five methods of the hub. */
const requests: readonly Request[] = [
  { method: "AvailableSubscriptions", about: "names of all events", items: false },
  { method: "Subscribe", about: "to the items above", items: true },
  { method: "ActiveSubscriptions", about: "of this connection", items: false },
  { method: "Unsubscribe", about: "from the items above", items: true },
  { method: "UnsubscribeAll", about: "from everything", items: false },
];

const user = signal("me");
const items = signal("");
const problem = signal("");

/** sample is a request that shows how authorization works: allowed, refused and unknown items. */
function sample(): string {
  const queues = entities.value.filter(({ entityType }) => entityType === "Queue");
  const users = entities.value.filter(({ entityType }) => entityType === "User");
  const own = user.value === "me" ? users[0] : users.find(({ entityId }) => entityId === user.value);
  const wanted = [
    [queues[0]?.entityId, "QueueStatus"], [queues[1]?.entityId, "QueueStatus"], [own?.entityId, "UserStatus"],
    [users.find((each) => each !== own)?.entityId, "UserAlert"], [queues[0]?.entityId, "NoSuchEvent"],
  ];
  const lines = wanted.map(([EntityId, EventName]) => JSON.stringify({ EntityId, EventName }));
  return `[\n  ${lines.join(",\n  ")}\n]`;
}

async function send({ method, items: needsItems }: Request): Promise<void> {
  problem.value = "";
  let args: unknown[] = [];
  if (needsItems) {
    try {
      args = [JSON.parse(items.value || sample())];
    } catch (error) {
      problem.value = `The items are no JSON: ${error instanceof Error ? error.message : String(error)}`;
      return;
    }
  }
  await call(user.value, user.value === "me" ? "me" : centre.nameOf(user.value), method, args);
}

function Methods() {
  return (
    <section class="methods" aria-labelledby="methods-title">
      <h2 id="methods-title">The five methods</h2>
      <p class="hint">
        A connection of its own, with Microsoft's client. Change the user and subscribe again: an agent may see the own
        queues and the own user. <a href="live.ts.txt">How this page itself connects</a> ·{" "}
        <a href="demo/state">state of the call centre</a> · <a href="LICENSES.txt">licences</a>
      </p>
      <label>User <select value={user.value} onChange={(e) => (user.value = e.currentTarget.value)}>
        <option value="me">me: a supervisor</option>
        {entities.value.filter(({ entityType }) => entityType === "User").map(({ entityId, name }) => (
          <option value={entityId}>{name}</option>
        ))}
      </select></label>
      <p class="hint" role="status">
        {status.value} · {delivered.value} {delivered.value === 1 ? "event" : "events"} received by this connection
      </p>
      <label class="block">Items of Subscribe and Unsubscribe
        <textarea rows={7} wrap="off" spellcheck={false} value={items.value || sample()}
          onInput={(e) => (items.value = e.currentTarget.value)} />
      </label>
      {problem.value && <p class="problem" role="alert">{problem.value}</p>}
      <div class="buttons">
        {requests.map((request) => (
          <button type="button" title={request.about} onClick={() => void send(request)}>{request.method}</button>
        ))}
      </div>
      {exchanges.value.length === 0 && <p class="hint">No call yet: press one of the buttons.</p>}
      <ol class="exchanges">
        {exchanges.value.map((exchange) => (
          <li key={exchange.key} data-failed={exchange.failed}>
            <p><strong>{exchange.user}</strong> called, answered in {exchange.took} ms</p>
            <pre tabIndex={0} aria-label={`Request of ${exchange.method}`}>{exchange.request}</pre>
            <pre tabIndex={0} aria-label={`Answer of ${exchange.method}`}>{exchange.answer}</pre>
          </li>
        ))}
      </ol>
    </section>
  );
}

const states = new Set(["UserStatus", "QueueStatus"]);
const shows = signal({ status: false, text: "" });
const held = signal<readonly Entry[] | undefined>(undefined); // entries while the log is on hold
const open = signal<number | undefined>(undefined);

/** about summarizes an event in a few words. */
function about(event: RteEvent): string {
  const data = event as unknown as Record<string, unknown>;
  const text = (name: string) => (typeof data[name] === "string" ? (data[name] as string) : "");
  const words = [centre.nameOf(event.entityId)];
  if (event.eventType === "CallbackChanged") {
    words.push(event.contactNumber ?? "", event.isClosed ? "closed" : event.created ? "new" : event.lastAttemptNote ?? "");
  } else if (text("callerNumber")) {
    words.push([text("callerNumber"), text("targetNumber")].filter(Boolean).join(" → "));
  }
  for (const name of ["availability", "note", "keyword", "value", "conditionName", "reason"]) words.push(text(name));
  return words.filter(Boolean).join(" · ");
}

function Log() {
  frame.value; // draws again
  const { status: withStatus, text } = shows.value;
  const entries = (held.value ?? log)
    .filter(({ event }) => withStatus || !states.has(event.eventType))
    .filter(({ event }) => `${event.eventType} ${about(event)}`.toLowerCase().includes(text.toLowerCase()))
    .slice(-150).reverse();
  return (
    <section class="feed" aria-labelledby="feed-title">
      <div class="head">
        <h2 id="feed-title">Events <span id="received">{centre.events.toLocaleString("en")}</span></h2>
        <label><input type="checkbox" id="show-status" checked={withStatus}
          onChange={(e) => (shows.value = { ...shows.value, status: e.currentTarget.checked })} /> with status</label>
        <label><input type="checkbox" id="hold" checked={held.value !== undefined}
          onChange={(e) => (held.value = e.currentTarget.checked ? [...log] : undefined)} /> hold</label>
        <label>Find <input type="search" value={text}
          onInput={(e) => (shows.value = { ...shows.value, text: e.currentTarget.value })} /></label>
      </div>
      <ol id="feed" tabIndex={0} aria-label="Events, the newest first">
        {entries.map(({ key, event }) => (
          <li key={key} data-event={event.eventType} data-kind={event.entityType}>
            <button type="button" aria-expanded={open.value === key}
              onClick={() => (open.value = open.value === key ? undefined : key)}>
              <time dateTime={event.timestamp}>{timeOfDay(Date.parse(event.timestamp))}</time>
              <span class="event">{event.eventType}</span>
              <span class="about">{about(event)}</span>
            </button>
            {open.value === key && <pre tabIndex={0} aria-label="The event">{JSON.stringify(event, null, 1)}</pre>}
          </li>
        ))}
      </ol>
      {entries.length === 0 && (
        <p class="hint">
          {log.length === 0 ? "No event yet: this page is connected, and nothing has happened since."
            : `No event of the latest ${log.length} matches${withStatus ? "." : "; statuses are hidden."}`}
        </p>
      )}
    </section>
  );
}
