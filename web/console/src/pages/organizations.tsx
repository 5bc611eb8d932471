import { call } from "../api.ts";
import { bytes, count, plural, rate, span } from "../format.ts";
import { Badge } from "../parts/badge.tsx";
import { Choice, Form, Text, guidPattern } from "../parts/form.tsx";
import { ConnectionLink, FilterLink, Id } from "../parts/id.tsx";
import { NodesNote, Panel } from "../parts/panel.tsx";
import { type Column, Meter, Table } from "../parts/table.tsx";
import type { Answers } from "../../generated/operator.d.ts";
import { useResource } from "../resource.ts";
import { go, linkTo, route } from "../router.ts";

type Use = Answers["GET /api/organizations"]["organizations"][number];

const orders = {
  events: { name: "events", of: (u: Use) => u.eventsPerSecond },
  deliveries: { name: "deliveries", of: (u: Use) => u.deliveriesPerSecond },
  bytes: { name: "bytes", of: (u: Use) => u.bytesPerSecond },
  connections: { name: "connections", of: (u: Use) => u.connections },
  subscriptions: { name: "subscriptions", of: (u: Use) => u.subscriptions },
} as const;
type Order = keyof typeof orders;

const isOrder = (text: string): text is Order => text in orders;

/** Organizations lists the organizations that use most. */
export function Organizations() {
  const { query } = route.value;
  const wanted = query.get("order") ?? "";
  const order: Order = isOrder(wanted) ? wanted : "deliveries";
  const organization = query.get("organization") ?? "";
  return (
    <>
      <Form label="Filter" class="filters" reset={query.toString()} send={(v) => go("organizations", "", v)}>
        <Choice label="First" name="order" value={order}
          choices={Object.entries(orders).map(([key, o]) => [key, `most ${o.name}`] as const)} />
        <Text label="Organization" name="organization" value={organization} placeholder="GUID" pattern={guidPattern} wide />
        <div class="buttons">
          <button type="submit" class="primary">Show</button>
          <a class="button" href={linkTo("organizations")}>All</a>
        </div>
      </Form>
      <TopOrganizations limit={100} order={order} organization={organization} />
      <Slowest limit={20} />
    </>
  );
}

interface TopOptions {
  readonly limit: number;
  readonly order?: Order;
  readonly organization?: string;
}

/** TopOrganizations lists the same in few rows, for the overview. */
export function TopOrganizations({ limit, order = "deliveries", organization = "" }: TopOptions) {
  const brief = limit < 20;
  const list = useResource(
    (signal) => call("GET /api/organizations", { query: { order, organization, limit, nodes: "all" }, signal }), 5000,
    `${order} ${organization}`,
  );
  const { of } = orders[order];
  const most = list.data.value?.organizations.reduce((n, u) => Math.max(n, of(u)), 0) ?? 0;
  const known = (u: number, format: (n: number) => string) =>
    (list.data.value?.rateSeconds === 0 ? <span class="dim">–</span> : format(u));
  const all: readonly (Column<Use> & { readonly long?: boolean })[] = [
    {
      name: "Organization",
      cell: (u) => (brief ? <FilterLink by="organization" id={u.organization} /> : <><FilterLink by="organization" id={u.organization} /> <Id id={u.organization} whole /></>),
    },
    { name: "Part of the first", unseen: true, cell: (u) => <Meter value={of(u)} max={most} /> },
    { name: "Connections", number: true, sorted: order === "connections", cell: (u) => count(u.connections) },
    { name: "Subscriptions", number: true, long: true, sorted: order === "subscriptions", cell: (u) => count(u.subscriptions) },
    { name: "Events/s", number: true, long: true, sorted: order === "events", cell: (u) => known(u.eventsPerSecond, rate) },
    { name: "Deliveries/s", number: true, sorted: order === "deliveries", cell: (u) => known(u.deliveriesPerSecond, rate) },
    { name: "Bytes/s", number: true, sorted: order === "bytes", cell: (u) => known(u.bytesPerSecond, bytes) },
    { name: "Live", long: true, cell: (u) => <a href={linkTo("tap", "", { organization: u.organization })}>Tap</a> },
  ];
  return (
    <Panel
      title="Organizations" resource={list} rows={brief ? 4 : 8}
      note={list.data.value && (
        <span class="dim">{count(list.data.value.known)} known, on <NodesNote data={list.data.value} /></span>
      )}
      actions={brief && <a href={linkTo("organizations")}>All</a>}
      empty={{
        when: (l) => l.organizations.length === 0, text: "No organization uses the nodes.",
        hint: "Organizations appear when their clients subscribe.",
      }}
    >
      {(l) => <Table caption="Organizations" rows={l.organizations} keyOf={(u) => u.organization} columns={all.filter((c) => !brief || !c.long)} />}
    </Panel>
  );
}

/** Slowest lists the clients that are the furthest behind. */
export function Slowest({ limit }: { limit: number }) {
  const list = useResource(
    (signal) => call("GET /api/connections", { query: { nodes: "all", slow: true, order: "delay", limit }, signal }), 5000,
  );
  return (
    <Panel
      title="Slowest clients" resource={list} rows={4}
      note={list.data.value && <span class="dim">{plural(list.data.value.matching, "client")} behind</span>}
      actions={<a href={linkTo("connections", "", { slow: true, order: "delay" })}>All</a>}
      empty={{ when: (l) => l.connections.length === 0, text: "All clients keep up.", hint: "No byte waits behind a full socket." }}
    >
      {(l) => (
        <Table
          caption="Slowest clients" rows={l.connections} keyOf={(c) => c.id} toneOf={() => "warn"}
          columns={[
            { name: "Connection", cell: (c) => <ConnectionLink id={c.id} /> },
            { name: "User", cell: (c) => <FilterLink by="user" id={c.user} /> },
            { name: "Node", cell: (c) => c.node },
            { name: "Waiting", number: true, cell: (c) => <Badge tone="warn">{bytes(c.waitingBytes)}</Badge> },
            { name: "Behind by", number: true, sorted: true, cell: (c) => span(c.delayMs) },
          ]}
        />
      )}
    </Panel>
  );
}
