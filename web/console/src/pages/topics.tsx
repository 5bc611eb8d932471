import { call } from "../api.ts";
import { count, rate, time } from "../format.ts";
import { Choice, Form, Text, guidPattern } from "../parts/form.tsx";
import { FilterLink, Id } from "../parts/id.tsx";
import { NodesNote, Panel } from "../parts/panel.tsx";
import { Meter, Table } from "../parts/table.tsx";
import { useResource } from "../resource.ts";
import { go, linkTo, route } from "../router.ts";

/** Topics lists the topics with the most subscribers or events. */
export function Topics() {
  const { query } = route.value;
  const value = (name: string) => query.get(name) ?? "";
  const order = value("order") || "subscribers";
  const wanted = { organization: value("organization"), entity: value("entity"), event: value("event"), order };
  const list = useResource(
    (signal) => call("GET /api/topics", { query: { ...wanted, nodes: "all", limit: 100 }, signal }), 5000, query.toString(),
  );
  const most = list.data.value?.topics.reduce((n, t) => Math.max(n, order === "rate" ? t.events : t.subscribers), 0) ?? 0;
  const seconds = list.data.value ? Math.max((list.at.value - Date.parse(list.data.value.since)) / 1000, 1) : 60;
  return (
    <>
      <Form label="Filter" class="filters" reset={query.toString()} send={(v) => go("topics", "", v)}>
        <Choice label="First" name="order" value={order} choices={[["subscribers", "most subscribers"], ["rate", "most events"]]} />
        <Text label="Organization" name="organization" value={wanted.organization} placeholder="GUID" pattern={guidPattern} wide />
        <Text label="Entity" name="entity" value={wanted.entity} placeholder="GUID" pattern={guidPattern} wide />
        <Text label="Event" name="event" value={wanted.event} placeholder="UserStatus" />
        <div class="buttons">
          <button type="submit" class="primary">Filter</button>
          <a class="button" href={linkTo("topics")}>All</a>
        </div>
      </Form>
      <Panel
        title={order === "rate" ? "Busiest topics" : "Topics with the most subscribers"} resource={list} rows={8}
        note={list.data.value && (
          <span class="dim">events since {time(list.data.value.since)}, on <NodesNote data={list.data.value} /></span>
        )}
        empty={{ when: (l) => l.topics.length === 0, text: "No topic has a subscriber.", hint: "Topics appear when clients subscribe." }}
      >
        {(l) => (
          <Table
            caption="Topics" rows={l.topics} keyOf={(t) => t.entity + t.type + t.organization}
            columns={[
              { name: "Event", cell: (t) => t.type },
              { name: "Entity", cell: (t) => <Id id={t.entity} whole /> },
              { name: "Organization", cell: (t) => <FilterLink by="organization" id={t.organization} /> },
              {
                name: "Part of the first", unseen: true, cell: (t) => <Meter value={order === "rate" ? t.events : t.subscribers} max={most} />,
              },
              { name: "Subscribers", number: true, sorted: order === "subscribers", cell: (t) => count(t.subscribers) },
              { name: "Events/min", number: true, sorted: order === "rate", cell: (t) => rate((t.events * 60) / seconds) },
              {
                name: "Latest events",
                cell: (t) => <a href={linkTo("events", "", { entity: t.entity, event: t.type })}>Trace</a>,
              },
              { name: "Live", cell: (t) => <a href={linkTo("tap", "", { entity: t.entity, event: t.type })}>Tap</a> },
            ]}
          />
        )}
      </Panel>
    </>
  );
}
