import { useState } from "preact/hooks";
import type { Answers } from "../../generated/operator.d.ts";
import { call } from "../api.ts";
import { bytes, count, plural, span } from "../format.ts";
import { Badge } from "../parts/badge.tsx";
import { confirmed, perform } from "../parts/dialog.tsx";
import { Choice, Form, Text, guidPattern } from "../parts/form.tsx";
import { ConnectionLink, FilterLink } from "../parts/id.tsx";
import { NodesNote, Panel } from "../parts/panel.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { now, useResource } from "../resource.ts";
import { go, linkTo, route } from "../router.ts";
import { mayAct } from "../session.ts";

export type Connection = Answers["GET /api/connections"]["connections"][number];

const perPage = 50;
const filters = ["user", "organization", "address", "client", "protocol", "slow", "order"] as const;

const columns: readonly Column<Connection>[] = [
  { name: "Connection", cell: (c) => <ConnectionLink id={c.id} /> },
  { name: "User", cell: (c) => <FilterLink by="user" id={c.user} /> },
  { name: "Organization", cell: (c) => <FilterLink by="organization" id={c.organization} /> },
  { name: "Node", cell: (c) => c.node },
  { name: "Address", cell: (c) => c.address ?? <span class="dim">unknown</span> },
  { name: "Client", cell: (c) => <span class="cut" title={c.client}>{c.client ?? "unknown"}</span> },
  { name: "Protocol", cell: (c) => c.protocol },
  { name: "Subscriptions", number: true, cell: (c) => count(c.subscriptions) },
  { name: "Sent", number: true, cell: (c) => bytes(c.sentBytes) },
  {
    name: "Waiting", number: true,
    cell: (c) => (c.waitingBytes > 0
      ? <Badge tone="warn" title={`behind by ${span(c.delayMs)}`}>{bytes(c.waitingBytes)}</Badge> : "0 B"),
  },
  { name: "Open for", number: true, cell: (c) => <time dateTime={c.since} title={c.since}>{span(now.value - Date.parse(c.since))}</time> },
];

/** Connections lists the connections of all nodes. */
export function Connections() {
  const { query } = route.value;
  const values = Object.fromEntries(filters.map((name) => [name, query.get(name) ?? ""]));
  const after = query.get("after") ?? "";
  const key = query.toString();
  const [before, setBefore] = useState<readonly string[]>([]);
  const list = useResource(
    (signal) => call("GET /api/connections", { query: { ...values, after, nodes: "all", limit: perPage }, signal }), 5000, key,
  );
  const show = (more: Record<string, string>) => go("connections", "", { ...values, ...more });
  const user = values["user"] ?? "";

  const disconnectUser = async () => {
    await perform(async () => {
      const { matching } = await call("GET /api/connections", { query: { user, nodes: "all", limit: 0 } });
      const yes = await confirmed({
        title: "Disconnect this user?", action: "Disconnect", clients: matching,
        text: <>All connections of user <code>{user}</code> on all nodes end. The clients may come back at once.</>,
      });
      if (!yes) return "Nothing was changed.";
      const answer = await call("POST /api/disconnect", { query: { user, nodes: "all" } });
      void list.refresh();
      return answer.detail ?? `${plural(answer.closed, "connection")} of the user ended.`;
    });
  };

  return (
    <>
      <Form
        label="Filter" class="filters" reset={key}
        send={(wanted) => {
          setBefore([]);
          go("connections", "", wanted);
        }}
      >
        <Text label="User" name="user" value={values["user"] ?? ""} placeholder="GUID" pattern={guidPattern} wide />
        <Text label="Organization" name="organization" value={values["organization"] ?? ""} placeholder="GUID"
          pattern={guidPattern} wide />
        <Text label="Address" name="address" value={values["address"] ?? ""} placeholder="192.0.2.7" />
        <Text label="Client" name="client" value={values["client"] ?? ""} placeholder="part of its name" />
        <Choice label="Protocol" name="protocol" value={values["protocol"] ?? ""}
          choices={[["", "any"], ["json", "json"], ["messagepack", "messagepack"]]} />
        <Choice label="Reads" name="slow" value={values["slow"] ?? ""}
          choices={[["", "any"], ["true", "slowly"], ["false", "in time"]]} />
        <Choice label="First" name="order" value={values["order"] ?? ""}
          choices={[["", "the oldest"], ["waiting", "most bytes waiting"], ["delay", "furthest behind"]]} />
        <div class="buttons">
          <button type="submit" class="primary">Filter</button>
          <a class="button" href={linkTo("connections")}>All</a>
        </div>
      </Form>
      <Panel
        title="Connections" resource={list} rows={8}
        note={list.data.value && (
          <span class="dim">
            <b>{count(list.data.value.matching)}</b> of {count(list.data.value.open)} match, on{" "}
            <NodesNote data={list.data.value} />
          </span>
        )}
        actions={user !== "" && mayAct.value && (
          <button type="button" class="danger" onClick={() => void disconnectUser()}>Disconnect user…</button>
        )}
        empty={{
          when: (l) => l.connections.length === 0, text: key === "" ? "No client is connected." : "No connection matches.",
          hint: key === "" ? "Clients appear here as soon as they connect." : <a href={linkTo("connections")}>Show all connections</a>,
        }}
      >
        {(l) => (
          <>
            <Table caption="Connections" rows={l.connections} keyOf={(c) => c.id} columns={columns}
              toneOf={(c) => (c.waitingBytes > 0 ? "warn" : undefined)} />
            {(before.length > 0 || l.next !== undefined) && (
              <nav class="pages" aria-label="Pages of the list">
                <button
                  type="button" disabled={before.length === 0}
                  onClick={() => {
                    show({ after: before.at(-1) ?? "" });
                    setBefore(before.slice(0, -1));
                  }}
                >
                  ← Before
                </button>
                <span>Page {before.length + 1}, {plural(l.connections.length, "connection")}</span>
                <button
                  type="button" disabled={l.next === undefined}
                  onClick={() => {
                    setBefore([...before, after]);
                    show({ after: l.next ?? "" });
                  }}
                >
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
