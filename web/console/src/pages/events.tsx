import { useState } from "preact/hooks";
import type { Answers } from "../../generated/operator.d.ts";
import { call, wordsOf } from "../api.ts";
import { isGUID, plural, time } from "../format.ts";
import { Badge, toneOfOutcome, wordOf } from "../parts/badge.tsx";
import { Area, Form, Text, guidPattern } from "../parts/form.tsx";
import { Id } from "../parts/id.tsx";
import { Empty, Failed, Panel, Section } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import { EventTree, Fates } from "../parts/tree.tsx";
import { useResource } from "../resource.ts";
import { go, linkTo, route } from "../router.ts";
import { mayAct } from "../session.ts";

/** Events finds events, and shows the path of one. */
export function Events() {
  const { argument, query } = route.value;
  return argument === "" ? <List query={query} /> : <Trace id={argument} user={query.get("user") ?? ""} />;
}

function List({ query }: { query: URLSearchParams }) {
  const value = (name: string) => query.get(name) ?? "";
  const key = query.toString();
  const wanted = { user: value("user"), entity: value("entity"), event: value("event"), since: value("since") };
  const list = useResource((signal) => call("GET /api/events", { query: { ...wanted, limit: 100 }, signal }), 0, key);
  return (
    <>
      <div class="columns">
        <Section title="One event" note={<span class="dim">by its Id</span>}>
          <Form label="One event" send={(v) => go("events", v["id"], { user: v["user"] })}>
            <Text label="Event Id" name="id" placeholder="GUID" pattern={guidPattern} required wide />
            <Text label="User who missed it" name="user" placeholder="GUID, or nothing for all" pattern={guidPattern} wide />
            <div class="buttons"><button type="submit" class="primary">Trace</button></div>
          </Form>
        </Section>
        <Section title="Events" note={<span class="dim">by user, entity, type and time</span>}>
          <Form label="Events" reset={key} send={(v) => go("events", "", v)}>
            <Text label="User" name="user" value={wanted.user} placeholder="GUID" pattern={guidPattern} wide />
            <Text label="Entity" name="entity" value={wanted.entity} placeholder="GUID" pattern={guidPattern} wide />
            <Text label="Event" name="event" value={wanted.event} placeholder="UserStatus" />
            <Text label="Since" name="since" value={wanted.since} placeholder="10m" />
            <div class="buttons">
              <button type="submit" class="primary">Find</button>
              <a class="button" href={linkTo("events")}>Latest</a>
            </div>
          </Form>
        </Section>
      </div>
      <Panel
        title="Found" resource={list} rows={8}
        note={list.data.value && <span class="dim">records of all nodes since {time(list.data.value.since)}</span>}
        actions={<button type="button" onClick={() => void list.refresh()}>Refresh</button>}
        empty={{
          when: (l) => l.events.length === 0, text: "No node has such an event.",
          hint: "Nodes keep the latest events only (trace.entries). Was the event published to the lane of its organization?",
        }}
      >
        {(l) => (
          <Table
            caption="Events" rows={l.events} keyOf={(e) => (e.event ?? "") + e.at}
            toneOf={(e) => (e.nodes.some((n) => toneOfOutcome(n.outcome) === "bad") ? "bad" : undefined)}
            columns={[
              { name: "Received", cell: (e) => <time dateTime={e.at} title={e.at}>{time(e.at, true)}</time> },
              { name: "Type", cell: (e) => e.type ?? <span class="dim">unknown</span> },
              {
                name: "Event",
                cell: (e) => (e.event === undefined ? <span class="dim">without an Id</span>
                  : <a href={linkTo("events", e.event, { user: wanted.user })}><code>{e.event}</code></a>),
              },
              { name: "Entity", cell: (e) => (e.entity === undefined ? "" : <Id id={e.entity} />) },
              { name: "Nodes", cell: (e) => <Outcomes nodes={e.nodes} /> },
              ...(wanted.user === "" ? [] : [{
                name: "For the user",
                cell: (e: Summary) => e.conclusion && (
                  <span title={e.conclusion.text}>
                    <Badge tone={e.conclusion.delivered ? "ok" : toneOfOutcome(e.conclusion.code)}>
                      {wordOf(e.conclusion.code)}
                    </Badge>
                  </span>
                ),
              }]),
            ]}
          />
        )}
      </Panel>
      <DryRun />
    </>
  );
}

type Summary = Answers["GET /api/events"]["events"][number];

function Outcomes({ nodes }: { nodes: Summary["nodes"] }) {
  const groups = new Map<string, { names: string[]; subscribers: number; reason: string }>();
  for (const n of nodes) {
    const group = groups.get(n.outcome) ?? { names: [], subscribers: 0, reason: n.reason ?? "" };
    group.names.push(n.node);
    group.subscribers += n.subscribers;
    groups.set(n.outcome, group);
  }
  return (
    <span class="outcomes">
      {[...groups].map(([outcome, g]) => (
        <span key={outcome} title={g.names.join(", ")}>
          <Badge tone={toneOfOutcome(outcome)}>{wordOf(outcome)}</Badge>{" "}
          {outcome === "matched" ? plural(g.subscribers, "subscriber") : wordOf(g.reason)}
        </span>
      ))}
    </span>
  );
}

function Trace({ id, user }: { id: string; user: string }) {
  const trace = useResource(
    (signal) => call("GET /api/events/{id}", { path: id, query: { user }, signal }), 0, `${id} ${user}`,
  );
  const data = trace.data.value;
  return (
    <>
      <p class="crumbs"><a href={linkTo("events")}>Events</a> <span aria-hidden="true">/</span> <Id id={id} whole /></p>
      <div class="trace">
        <Section title="Why did a user not receive it?">
          <Form label="For a user" reset={user} send={(v) => go("events", id, v)}>
            <Text label="User" name="user" value={user} placeholder="GUID" pattern={guidPattern} wide />
            <div class="buttons">
              <button type="submit" class="primary">Why?</button>
              {user !== "" && <a class="button" href={linkTo("events", id)}>All subscribers</a>}
            </div>
          </Form>
          {data?.conclusion && (
            <p class={`conclusion ${data.conclusion.delivered ? "conclusion-ok" : "conclusion-bad"}`} role="status">
              <Badge tone={data.conclusion.delivered ? "ok" : toneOfOutcome(data.conclusion.code)}>
                {wordOf(data.conclusion.code)}
              </Badge>
              <span>{data.conclusion.text}</span>
            </p>
          )}
        </Section>
        <Panel
          title={user === "" ? "What became of it" : "What became of it for this user"} resource={trace} rows={6}
          note={data && <span class="dim">{plural(data.answered.length, "node")} answered</span>}
          actions={<button type="button" onClick={() => void trace.refresh()}>Refresh</button>}
          empty={{
            when: (t) => t.nodes.every((n) => n.records.length === 0 && n.connections.length === 0),
            text: "No node has a record of this event.",
            hint: "Was it published to the lane of its organization? Nodes keep the latest events only (trace.entries).",
          }}
        >
          {(t) => <EventTree trace={t} />}
        </Panel>
      </div>
    </>
  );
}

const sample = `{
  "Id": "${crypto.randomUUID?.() ?? ""}",
  "OrganizationId": "",
  "EntityId": "",
  "EntityType": "User",
  "EventType": "UserStatus"
}`;

/** DryRun finds out who would receive an event. The reader may not: it is a POST. */
function DryRun() {
  const [found, setFound] = useState<Answers["POST /api/events/dry-run"] | string>("");
  if (!mayAct.value) return null;
  const run = async (values: Record<string, string>) => {
    try {
      setFound(await call("POST /api/events/dry-run", { query: { user: values["user"] }, body: values["event"] ?? "" }));
    } catch (error) {
      setFound(wordsOf(error));
    }
  };
  return (
    <Section title="Dry run" note={<span class="dim">Who would receive an event now? No client gets it.</span>}>
      <Form label="Dry run" send={(values) => void run(values)}>
        <Area label="Event, as a publisher would send it" name="event" value={sample} rows={7} />
        <Text label="Only this user" name="user" placeholder="GUID, or nothing for all" pattern={guidPattern} wide />
        <div class="buttons"><button type="submit" class="primary">Find out</button></div>
      </Form>
      <div aria-live="polite">
        {found === "" ? <Empty text="No answer yet." /> : typeof found === "string" ? <Failed error={found} /> : <DryTree run={found} />}
      </div>
    </Section>
  );
}

function DryTree({ run }: { run: Answers["POST /api/events/dry-run"] }) {
  return (
    <>
      <p class={`conclusion ${run.receivers > 0 ? "conclusion-ok" : "conclusion-bad"}`}>
        <Badge tone={run.receivers > 0 && !run.expired ? "ok" : "warn"}>{plural(run.receivers, "receiver")}</Badge>
        <span>
          {run.expired ? "Its MessageTTLSeconds have ended: all nodes would skip it."
            : `${plural(run.receivers, "connection")} would receive this ${run.type} through lane ${run.lane}.`}
        </span>
      </p>
      <ul class="tree">
        {run.nodes.map((n) => (
          <li key={n.node}>
            <div class="tree-node">
              <b>{n.node}</b>
              {n.problem ? <Badge tone="bad">{n.problem}</Badge> : <Badge tone="ok">events arrive</Badge>}
              {n.connections.length === 0 && <span class="dim">no connection concerned</span>}
            </div>
            <Fates fates={n.connections} more={n.more} />
          </li>
        ))}
        {run.unanswered.map((n) => (
          <li key={n.node}><div class="tree-node"><b>{n.node}</b> <Badge tone="warn">{n.detail}</Badge></div></li>
        ))}
      </ul>
    </>
  );
}

/** openEvent leads from any text with an id to the trace. */
export function openEvent(text: string): boolean {
  if (!isGUID(text)) return false;
  go("events", text.trim());
  return true;
}
