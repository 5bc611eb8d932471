import { signal } from "@preact/signals";
import type { Call, Callback, Queue, User } from "../centre.ts";
import { serviceLevelOf } from "../centre.ts";
import { clock, isOpen, openTexts, percent, timeOfDay, wordTexts } from "../format.ts";
import { centre, time } from "../live.ts";
import { Age, isOld } from "../parts/age.tsx";
import { Chart } from "../parts/chart.tsx";
import type { UserWord } from "../rest.ts";

/** Supervisor is the board for supervisors. */
export function Supervisor() {
  const now = time.value;
  return (
    <main class="supervisor">
      <Alerts now={now} />
      <section class="cards" aria-label="Queues">
        {[...centre.queues.values()].map((queue) => <Card key={queue.id} queue={queue} now={now} />)}
      </section>
      <div class="columns">
        <Users now={now} />
        <div>
          <section aria-labelledby="chart-title">
            <h2 id="chart-title">Calls in the last hour</h2>
            <Chart samples={[...centre.history, { at: now, ...centre.sums() }]} now={now} />
          </section>
          <Calls now={now} />
          <Callbacks now={now} />
        </div>
      </div>
    </main>
  );
}

function Alerts({ now }: { now: number }) {
  if (centre.alerts.length === 0) return <p class="alerts none">No alert.</p>;
  return (
    <section class="alerts" role="status" aria-label="Alerts">
      <ul>
        {centre.alerts.slice(0, 3).map((alert) => (
          <li key={alert.id}><strong>{alert.text}</strong> {alert.value} · {clock(now - alert.since)} ago</li>
        ))}
        {centre.alerts.length > 3 && <li>{centre.alerts.length - 3} more</li>}
      </ul>
    </section>
  );
}

function Card({ queue, now }: { queue: Queue; now: number }) {
  const wait = centre.longestWait(queue, now);
  const figures: [string, string, string | number][] = [
    ["ringing", "ringing", queue.ringing], ["connected", "on a call", queue.connected], ["free", "free", queue.free],
    ["checkedIn", "agents", queue.checkedIn], ["level", "in time", percent(serviceLevelOf(queue.figures))],
    ["abandoned", "abandoned", queue.figures.abandoned],
  ];
  const load = !isOpen(queue.openStatus) ? "closed" : queue.waiting === 0 ? "none" : queue.waiting < 4 ? "some" : "long";
  return (
    <article class="card" data-queue={queue.id} data-load={load}>
      <h2>{queue.name} {!isOpen(queue.openStatus) && <em>{openTexts[queue.openStatus]}</em>}</h2>
      <p class="big"><strong data-field="waiting">{queue.waiting}</strong> waiting{wait > 0 && ` · ${clock(wait)}`}</p>
      <dl>
        {figures.map(([name, label, value]) => (
          <div><dt>{label}</dt><dd data-field={name}>{value}</dd></div>
        ))}
      </dl>
      <Age at={queue.receivedAt} />
    </article>
  );
}

type Column = "name" | "word" | "since" | "queue";

const columns: readonly [Column, string][] = [["name", "Agent"], ["word", "State"], ["since", "Time"], ["queue", "About"]];

const sorting = signal<{ column: Column; down: boolean }>({ column: "word", down: false });
const filter = signal({ text: "", word: "" as UserWord | "" });

/** order is the order of the words: the most urgent ones come first. */
const order: readonly UserWord[] = [
  "ringing", "talking", "parked", "calling", "supervising", "wrapUp", "free", "fetching", "away", "noQueue", "offWork",
];

/** aboutUser describes the activity of a user. */
function aboutUser(user: User): string {
  if (user.word === "away" || user.word === "offWork") return [user.availability, user.note].filter(Boolean).join(", ");
  const direct = user.word === "ringing" || user.word === "talking" || user.word === "parked";
  return centre.nameOf(user.queueId) || (direct ? "direct call" : "");
}

function compare(a: User, b: User, column: Column): number {
  switch (column) {
    case "name":
      return a.name.localeCompare(b.name);
    case "word":
      return order.indexOf(a.word) - order.indexOf(b.word) || a.since - b.since;
    case "since":
      return a.since - b.since;
    case "queue":
      return aboutUser(a).localeCompare(aboutUser(b));
  }
}

function Users({ now }: { now: number }) {
  const { column, down } = sorting.value;
  const { text, word } = filter.value;
  const all = [...centre.users.values()];
  const shown = all
    .filter((user) => (word === "" || user.word === word) &&
      `${user.name} ${aboutUser(user)}`.toLowerCase().includes(text.toLowerCase()))
    .sort((a, b) => (down ? -1 : 1) * compare(a, b, column) || a.name.localeCompare(b.name));
  const counts = centre.words();
  const none = () => (filter.value = { text: "", word: "" });
  return (
    <section class="users" aria-labelledby="users-title">
      <div class="head">
        <h2 id="users-title">Agents</h2>
        <label>Find <input type="search" value={text}
          onInput={(e) => (filter.value = { ...filter.value, text: e.currentTarget.value })} /></label>
        <label>State <select value={word}
          onChange={(e) => (filter.value = { ...filter.value, word: e.currentTarget.value as UserWord | "" })}>
          <option value="">all ({all.length})</option>
          {order.filter((each) => counts.has(each) || each === word).map((each) => (
            <option value={each}>{wordTexts[each]} ({counts.get(each) ?? 0})</option>
          ))}
        </select></label>
      </div>
      <table>
        <thead>
          <tr>
            {columns.map(([name, title]) => (
              <th scope="col" aria-sort={column !== name ? "none" : down ? "descending" : "ascending"}>
                <button type="button" onClick={() => (sorting.value = { column: name, down: column === name && !down })}>
                  {title}<span aria-hidden="true">{column !== name ? "" : down ? " ▼" : " ▲"}</span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((user) => (
            <tr key={user.id} data-user={user.id} data-word={user.word}>
              <th scope="row">{user.name}</th>
              <td class="state"><span class="dot" aria-hidden="true" />{wordTexts[user.word]}</td>
              <td class="number">{isOld(user.receivedAt) ? "⚠ " : ""}{clock(now - user.since)}</td>
              <td class="about">{aboutUser(user)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {shown.length === 0 && (
        <p class="hint">
          {all.length === 0 ? "The organization has no user." : `The filter hides all ${all.length} users. `}
          {all.length > 0 && <button type="button" onClick={none}>Show all</button>}
        </p>
      )}
    </section>
  );
}

const callTexts: Record<Call["state"], string> = {
  waiting: "waits", ringing: "rings at", connected: "talks with", parked: "is parked by",
};

function Calls({ now }: { now: number }) {
  const rank: Call["state"][] = ["waiting", "ringing", "parked", "connected"];
  const calls = [...centre.calls.values()].sort((a, b) =>
    rank.indexOf(a.state) - rank.indexOf(b.state) || a.queued - b.queued);
  return (
    <section class="calls" aria-labelledby="calls-title">
      <h2 id="calls-title">Calls <span>{calls.length}</span></h2>
      {calls.length === 0 && <p class="hint">No call waits, rings or is connected.</p>}
      <ul>
        {calls.map((call) => (
          <li key={call.id} data-call={call.id} data-state={call.state}>
            <span class="number">{call.caller}</span>
            <span>{callTexts[call.state]} {centre.nameOf(call.userId)}</span>
            <span class="about">{call.queueId ? centre.nameOf(call.queueId) : `direct call to ${call.target}`}</span>
            <span class="number">{clock(now - call.since)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

const kinds: Record<number, string> = { 1: "requested", 2: "gave up", 3: "added" };

function Callbacks({ now }: { now: number }) {
  const callbacks = [...centre.callbacks.values()].sort((a: Callback, b: Callback) => a.created - b.created);
  return (
    <section class="callbacks" aria-labelledby="callbacks-title">
      <h2 id="callbacks-title">Open callbacks <span>{callbacks.length}</span></h2>
      {callbacks.length === 0 && <p class="hint">No callback is open.</p>}
      <ul>
        {callbacks.map((callback) => (
          <li key={callback.id} data-callback={callback.id}>
            <span class="number">{callback.contact}</span>
            <span>{callback.name || kinds[callback.kind]}</span>
            <span class="about">
              {callback.assigned ? `called by ${centre.nameOf(callback.assigned)}` : centre.nameOf(callback.listId)}
            </span>
            <span class="number" title={`created ${timeOfDay(callback.created)}`}>{clock(now - callback.created)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
