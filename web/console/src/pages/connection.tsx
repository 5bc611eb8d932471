import { useState } from "preact/hooks";
import type { Answers } from "../../generated/operator.d.ts";
import { Failure, call, wordsOf } from "../api.ts";
import { bytes, count, plural, span, time } from "../format.ts";
import { Badge } from "../parts/badge.tsx";
import { confirmed, perform } from "../parts/dialog.tsx";
import { Form, Text, guidPattern } from "../parts/form.tsx";
import { FilterLink, Id } from "../parts/id.tsx";
import { Empty, Failed, Panel, Section } from "../parts/panel.tsx";
import { Facts, Table } from "../parts/table.tsx";
import { Final, now, useResource } from "../resource.ts";
import { linkTo, route } from "../router.ts";
import { mayAct } from "../session.ts";

type Detail = Answers["GET /api/connections/{id}"];

const perPage = 100;

/** load describes the connection. Its end is final: a client that comes back has another connection. */
async function load(id: string, offset: number, signal: AbortSignal): Promise<Detail> {
  try {
    return await call("GET /api/connections/{id}", { path: id, query: { offset, limit: perPage }, signal });
  } catch (error) {
    if (error instanceof Failure && error.message.includes("no node has the connection")) {
      throw new Final("The connection has ended. A client that comes back has another one.");
    }
    throw error;
  }
}

/** ConnectionPage shows one connection of any node. */
export function ConnectionPage() {
  const id = route.value.argument;
  const [offset, setOffset] = useState(0);
  const detail = useResource(
    (signal) => load(id, offset, signal), 2000, `${id} ${offset}`,
  );
  const data = detail.data.value;

  const disconnect = () => perform(async () => {
    const yes = await confirmed({
      title: "Disconnect this client?", action: "Disconnect", clients: 1,
      text: <>Connection <code>{id}</code> ends. The client may come back at once.</>,
    });
    if (!yes) return "Nothing was changed.";
    const answer = await call("POST /api/disconnect", { query: { connection: id, nodes: "all" } });
    void detail.refresh();
    return answer.detail ?? (answer.closed > 0 ? "The connection was ended." : "The connection had ended already.");
  });

  return (
    <>
      <p class="crumbs"><a href={linkTo("connections")}>Connections</a> <span aria-hidden="true">/</span> <Id id={id} whole /></p>
      <div class="columns columns-top">
        <Panel
          title="Client" resource={detail} rows={6}
          actions={mayAct.value && data && !detail.over.value && (
            <button type="button" class="danger" onClick={() => void disconnect()}>Disconnect…</button>
          )}
        >
          {(d) => <Client detail={d} />}
        </Panel>
        <div class="stack">
          <Panel title="Queue" resource={detail} rows={3}>{(d) => <Queue detail={d} />}</Panel>
          {data && <Explain user={data.user} />}
        </div>
      </div>
      <Panel
        title="Subscriptions" resource={detail} note={data && <span class="dim">{count(data.subscriptions)}</span>}
        empty={{
          when: (d) => d.subscriptions === 0, text: "The client has not subscribed to anything.",
          hint: "It receives no event until it calls Subscribe.",
        }}
      >
        {(d) => (
          <>
            <Table
              caption="Subscriptions" rows={d.list} keyOf={(s) => s.id}
              columns={[
                { name: "Event", cell: (s) => s.eventType },
                { name: "Kind", cell: (s) => s.entityType },
                { name: "Entity", cell: (s) => <Id id={s.entityId} whole /> },
                { name: "Organization", cell: (s) => <FilterLink by="organization" id={s.organizationId} /> },
                {
                  name: "Latest events",
                  cell: (s) => <a href={linkTo("events", "", { entity: s.entityId, event: s.eventType, user: d.user })}>Trace</a>,
                },
              ]}
            />
            {d.subscriptions > perPage && (
              <nav class="pages" aria-label="Pages of the list">
                <button type="button" disabled={offset === 0} onClick={() => setOffset(offset - perPage)}>← Before</button>
                <span>{offset + 1} to {offset + d.list.length} of {count(d.subscriptions)}</span>
                <button type="button" disabled={offset + perPage >= d.subscriptions} onClick={() => setOffset(offset + perPage)}>
                  Next →
                </button>
              </nav>
            )}
          </>
        )}
      </Panel>
    </>
  );
}

function Client({ detail: d }: { detail: Detail }) {
  return (
    <Facts
      facts={[
        ["User", <Id id={d.user} whole />],
        ["Organization", <Id id={d.organization} whole />],
        ["Role", d.role],
        ["Node", d.node ?? ""],
        ["Address", d.address ?? "unknown"],
        ["Client", d.client ?? "unknown"],
        ["Protocol", d.protocol],
        ["Features", d.features?.join(", ") ?? "none"],
        ["Open for", <time dateTime={d.since}>{span(now.value - Date.parse(d.since))}, since {time(d.since)}</time>],
        ["Token", d.jti ? <Id id={d.jti} whole /> : "without an id"],
      ]}
    />
  );
}

function Queue({ detail: d }: { detail: Detail }) {
  const slow = d.waitingBytes > 0;
  return (
    <div class={`queue ${slow ? "queue-slow" : ""}`}>
      <p class="big">
        <span class="figure">{bytes(d.waitingBytes)}</span>
        <Badge tone={slow ? "warn" : "ok"}>{slow ? "waiting" : "nothing waits"}</Badge>
      </p>
      <p class="dim">
        {slow
          ? "The client does not take what the node sends. Newer states replace older ones; the connection ends when the queue is full."
          : "The client takes everything at once."}
      </p>
      <Facts facts={[["Behind by", span(d.delayMs)], ["Sent", bytes(d.sentBytes)], ["Received", bytes(d.receivedBytes)]]} />
    </div>
  );
}

type Explanation = Answers["GET /api/explain"];

/** Explain shows whether the user may subscribe, and why. */
export function Explain({ user }: { user: string }) {
  const [found, setFound] = useState<Explanation | string>("");
  const request = async (values: Record<string, string>) => {
    try {
      setFound(await call("GET /api/explain", { query: { user, nodes: "all", ...values } }));
    } catch (error) {
      setFound(wordsOf(error));
    }
  };
  return (
    <Section title="Explain" note={<span class="dim">May this user subscribe, and why?</span>}>
      <Form label="Explain" send={(values) => void request(values)}>
        <Text label="Entity" name="entity" placeholder="GUID" pattern={guidPattern} required wide />
        <Text label="Event" name="event" placeholder="UserStatus" required />
        <div class="buttons"><button type="submit" class="primary">Explain</button></div>
      </Form>
      <div aria-live="polite">
        {found === "" ? <Empty text="No answer yet." hint="Name an entity and an event to see each step of the decision." />
          : typeof found === "string" ? <Failed error={found} /> : <Steps explanation={found} />}
      </div>
    </Section>
  );
}

function Steps({ explanation: e }: { explanation: Explanation }) {
  return (
    <div class="steps">
      <p class="sentence">
        <Badge tone={e.allowed ? "ok" : "bad"}>{e.allowed ? "allowed" : "refused"}</Badge>{" "}
        {e.allowed ? "The user may subscribe to this event." : e.message}
      </p>
      <ol>
        {e.steps.map((s) => (
          <li key={s.step}>
            <Badge tone={s.passed ? "ok" : "bad"}>{s.step}</Badge> <span>{s.reason}</span>
          </li>
        ))}
      </ol>
      <p class="dim">
        {plural(e.steps.length, "step")}. Role and organization come from the {e.source}: {e.role}, <code>{e.organization}</code>.
      </p>
    </div>
  );
}
